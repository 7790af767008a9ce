//! What providers of this dialect take otherwise than OpenAI, in the body of a request.
//!
//! How they answer otherwise needs no telling apart: the readers understand them all.

mod deepseek;
mod gemini;
mod groq;
mod mistral;
mod zhipu;

use std::borrow::Cow;

use serde_json::{Map, Value};
use shared::config::Manners;

use crate::canon::{Effort, Field, Reasoning, call_id};

/// Top-level fields of a request.
pub(super) type Fields = Map<String, Value>;

/// What the assistant says where it has to and nobody wrote what it said: a message of none is refused.
pub(super) const AFTER_TOOLS: &str = "OK.";

#[derive(Debug)]
pub(super) struct Habits {
    /// Whether the limit of the output has its new name, `max_completion_tokens`.
    pub(super) knows_max_completion_tokens: bool,
    /// Fields that are not taken.
    pub(super) refused: &'static [Field],
    /// Whether messages say who of several with a role speaks.
    pub(super) knows_names: bool,
    /// Whether one can be told to choose among some of the tools.
    pub(super) knows_allowed_tools: bool,
    /// Whether formats and strict schemas have to keep to OpenAI's rules.
    pub(super) has_schema_rules: bool,
    /// Whether thoughts are in the total of tokens alone, and not in those of the completion.
    pub(super) counts_thoughts_apart: bool,
    /// Whether several texts of a message have to be one string.
    pub(super) wants_one_text: bool,
    /// Whether the assistant's former thoughts go back to it, as `reasoning_content`.
    pub(super) takes_thoughts: bool,
    /// Fields that an earlier answer may have had, of another provider or its own, and that are refused in messages and
    /// their tool calls.
    pub(super) unknown_in_history: &'static [&'static str],
    /// Whether ids of tool calls have to be nine letters and digits.
    pub(super) wants_nine_letter_ids: bool,
    /// Whether the assistant has to speak between a tool's result and the user ([`AFTER_TOOLS`]), and the system may only
    /// speak first or after the user.
    pub(super) has_strict_turns: bool,
    /// Whether the signature of a tool call goes back with it.
    pub(super) takes_signatures: bool,
    /// How to ask for this much thinking; `None` if there are no words for it.
    pub(super) reasoning: fn(&Reasoning) -> Option<Fields>,
}

const OPENAI: Habits = Habits {
    knows_max_completion_tokens: true,
    refused: &[Field::TopK, Field::MinP],
    knows_names: true,
    knows_allowed_tools: true,
    has_schema_rules: true,
    counts_thoughts_apart: false,
    wants_one_text: false,
    takes_thoughts: false,
    unknown_in_history: &[],
    wants_nine_letter_ids: false,
    has_strict_turns: false,
    takes_signatures: false,
    reasoning: |reasoning| Some(effort(reasoning)),
};

/// Everyone else keeps to what OpenAI's interface was for years.
const OTHERS: Habits = Habits {
    knows_max_completion_tokens: false,
    knows_allowed_tools: false,
    has_schema_rules: false,
    ..OPENAI
};

/// Who runs models himself, or passes on to those who do, lets one turn every screw of the sampler.
const SERVERS: Habits = Habits {
    refused: &[],
    ..OTHERS
};

const VLLM: Habits = Habits {
    takes_thoughts: true,
    ..SERVERS
};

impl Habits {
    pub(super) fn of(manners: Manners) -> &'static Self {
        match manners {
            Manners::Plain | Manners::Azure => &OPENAI,
            Manners::Groq => &groq::HABITS,
            Manners::Zhipu => &zhipu::HABITS,
            Manners::DeepSeek => &deepseek::HABITS,
            Manners::GeminiOpenai => &gemini::HABITS,
            Manners::Vllm => &VLLM,
            Manners::LmStudio | Manners::LlamaCpp | Manners::OpenRouter => &SERVERS,
            Manners::Mistral => &mistral::HABITS,
            Manners::Baidu => &OTHERS,
        }
    }

    /// The id of a tool call, whoever made it, as it is taken.
    pub(super) fn call_id<'a>(&self, id: &'a str) -> Cow<'a, str> {
        match self.wants_nine_letter_ids {
            true => call_id::nine(id),
            false => Cow::Borrowed(id),
        }
    }
}

/// By `reasoning_effort`, to which a budget is translated.
///
/// That thoughts are wanted in the answer is no loss: OpenAI shows them to no one, others show them unasked.
fn effort(reasoning: &Reasoning) -> Fields {
    match reasoning.nearest_effort() {
        Some(effort) => one("reasoning_effort", effort.as_str()),
        None => Fields::new(),
    }
}

/// `reasoning`, with an effort that is one of the words from `least` to `most`, or none: the nearest one.
fn within(reasoning: &Reasoning, least: Effort, most: Effort) -> Reasoning {
    let nearest = |effort| match effort {
        Effort::None => Effort::None,
        effort => effort.clamp(least, most),
    };
    Reasoning {
        effort: reasoning.nearest_effort().map(nearest),
        ..reasoning.clone()
    }
}

/// By `thinking`, which only knows yes and no.
fn switch(reasoning: &Reasoning) -> Fields {
    let kind = match reasoning.nearest_effort() {
        Some(Effort::None) => "disabled",
        None => return Fields::new(),
        Some(_) => "enabled",
    };
    one("thinking", one("type", kind))
}

fn one(name: &str, value: impl Into<Value>) -> Fields {
    Fields::from_iter([(name.to_owned(), value.into())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(manners: Manners, reasoning: &Reasoning, expected: impl Into<Option<Value>>) {
        let said = (Habits::of(manners).reasoning)(reasoning).map(Value::Object);
        assert_eq!(said, expected.into(), "{manners:?} {reasoning:?}");
    }

    fn effort(effort: Effort) -> Reasoning {
        Reasoning {
            effort: Some(effort),
            ..Reasoning::default()
        }
    }

    fn budget(budget: u32) -> Reasoning {
        Reasoning {
            budget: Some(budget),
            ..Reasoning::default()
        }
    }

    #[test]
    fn openai_is_told_an_effort_and_a_budget_as_the_nearest() {
        let says = |effort| Some(json!({"reasoning_effort": effort}));

        check(Manners::Plain, &effort(Effort::ExtraHigh), says("xhigh"));
        check(Manners::Plain, &budget(0), says("none"));
        check(Manners::Plain, &budget(1024), says("low"));
        check(Manners::Plain, &budget(9000), says("high"));
        check(Manners::Plain, &Reasoning::default(), Some(json!({})));
    }

    #[test]
    fn groq_knows_four_efforts() {
        let says = |effort| Some(json!({"reasoning_effort": effort}));

        check(Manners::Groq, &effort(Effort::None), says("none"));
        check(Manners::Groq, &effort(Effort::Medium), says("medium"));
        check(Manners::Groq, &effort(Effort::Max), says("high"));
        check(Manners::Groq, &effort(Effort::Minimal), says("low"));
    }

    #[test]
    fn zhipu_thinks_or_not() {
        let says = |kind| Some(json!({"thinking": {"type": kind}}));

        check(Manners::Zhipu, &effort(Effort::None), says("disabled"));
        check(Manners::Zhipu, &effort(Effort::High), says("enabled"));
        check(Manners::Zhipu, &budget(0), says("disabled"));
        check(Manners::Zhipu, &budget(9), says("enabled"));
        check(Manners::Zhipu, &Reasoning::default(), Some(json!({})));
    }

    #[test]
    fn deepseek_is_told_both_whether_and_how_much() {
        let off = json!({"thinking": {"type": "disabled"}});
        let high = json!({"thinking": {"type": "enabled"}, "reasoning_effort": "high"});

        check(Manners::DeepSeek, &effort(Effort::None), Some(off));
        check(Manners::DeepSeek, &effort(Effort::High), Some(high));
    }

    #[test]
    fn google_is_told_a_budget_as_it_is() {
        let config = json!({"thinking_config": {"thinking_budget": 1024}});

        check(
            Manners::GeminiOpenai,
            &budget(1024),
            Some(json!({"extra_body": {"google": config}})),
        );
        check(
            Manners::GeminiOpenai,
            &effort(Effort::Low),
            Some(json!({"reasoning_effort": "low"})),
        );
        check(
            Manners::GeminiOpenai,
            &effort(Effort::ExtraHigh),
            Some(json!({"reasoning_effort": "high"})),
        );
    }
}
