//! Mistral answers 422 (`extra_forbidden`) to any field of a message that it does not know.

use super::{Habits, OTHERS};

pub(super) const HABITS: Habits = Habits {
    unknown_in_history: &[
        "reasoning_content",
        "reasoning",
        "reasoning_details",
        "thinking_blocks",
        "extra_content",
    ],
    ..OTHERS
};
