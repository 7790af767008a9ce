//! Groq answers 400 to what it does not support, and thinks in four steps.

use super::{Fields, Habits, OTHERS, effort};
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
    reasoning,
    ..OTHERS
};

fn reasoning(reasoning: &Reasoning) -> Option<Fields> {
    let is_known = matches!(
        reasoning.nearest_effort(),
        None | Some(Effort::None | Effort::Low | Effort::Medium | Effort::High)
    );
    let mut fields = is_known.then(|| effort(reasoning))?;
    if let Some(is_shown) = reasoning.is_shown {
        fields.insert("include_reasoning".to_owned(), is_shown.into());
    }
    Some(fields)
}
