//! Google's OpenAI-compatible endpoint: wants its signatures back, and has fields of its own in `extra_body.google`.

use super::{Fields, Habits, OTHERS, effort, one, within};
use crate::canon::{Effort, Reasoning};

pub(super) const HABITS: Habits = Habits {
    takes_signatures: true,
    counts_thoughts_apart: true,
    reasoning: |asked| Some(reasoning(asked)),
    ..OTHERS
};

fn reasoning(reasoning: &Reasoning) -> Fields {
    match (reasoning.effort, reasoning.budget) {
        (None, Some(budget)) => {
            let config = one("thinking_config", one("thinking_budget", budget));
            one("extra_body", one("google", config))
        }
        _ => effort(&within(reasoning, Effort::Minimal, Effort::High)),
    }
}
