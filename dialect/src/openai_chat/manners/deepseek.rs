//! `DeepSeek` takes strings only for content (cline #230, qwen-code #2320), and answers 400 if the thoughts before a tool
//! call do not come back with it (api-docs.deepseek.com, "Thinking Mode").

use super::{Fields, Habits, OTHERS, switch};
use crate::canon::{Effort, Reasoning};

pub(super) const HABITS: Habits = Habits {
    wants_one_text: true,
    takes_thoughts: true,
    reasoning: |reasoning| Some(say(reasoning)),
    ..OTHERS
};

fn say(reasoning: &Reasoning) -> Fields {
    let mut fields = switch(reasoning);
    let effort = reasoning
        .nearest_effort()
        .filter(|effort| *effort != Effort::None);
    if let Some(effort) = effort {
        fields.insert("reasoning_effort".to_owned(), effort.as_str().into());
    }
    fields
}
