//! Mistral answers 422 (`extra_forbidden`) to any field of a message that it does not know, and 400 to an id of a tool call
//! that is not nine letters and digits (code 3280), and to turns out of order (code 3230): `mistral_common`,
//! which checks them, lets no system speak after an assistant or a tool, and until its versions of 2026 no user after a tool.

use super::{Habits, OTHERS};

pub(super) const HABITS: Habits = Habits {
    unknown_in_history: &[
        "reasoning_content",
        "reasoning",
        "reasoning_details",
        "thinking_blocks",
        "extra_content",
    ],
    wants_nine_letter_ids: true,
    has_strict_turns: true,
    ..OTHERS
};
