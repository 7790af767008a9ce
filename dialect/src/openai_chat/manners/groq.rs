//! Groq answers 400 to what it does not support, and thinks in four steps. Its own name for thoughts is `reasoning`.

use super::{Fields, Habits, OTHERS, effort, within};
use crate::canon::{Effort, Field, Reasoning};

pub(super) const HABITS: Habits = Habits {
    refused: &[
        Field::TopK,
        Field::MinP,
        Field::LogitBias,
        Field::Logprobs,
        Field::N,
    ],
    knows_names: false,
    unknown_in_history: &[
        "reasoning_content",
        "reasoning_details",
        "thinking_blocks",
        "extra_content",
    ],
    reasoning: |asked| Some(reasoning(asked)),
    ..OTHERS
};

fn reasoning(reasoning: &Reasoning) -> Fields {
    let mut fields = effort(&within(reasoning, Effort::Low, Effort::High));
    if let Some(is_shown) = reasoning.is_shown {
        fields.insert("include_reasoning".to_owned(), is_shown.into());
    }
    fields
}
