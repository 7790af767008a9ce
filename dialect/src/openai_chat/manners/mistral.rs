//! Mistral answers 422 (`extra_forbidden`) to any field of a message that it does not know, and 400 (code 3280) to an id of a
//! tool call that is not nine letters and digits.

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
    ..OTHERS
};
