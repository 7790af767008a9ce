//! The fields at the top of a request, one by one.

use serde_json::Value;

use super::place::{Place, count};
use super::tools;
use crate::BadRequest;
use crate::canon::{Chat, Effort, LogprobsAsked, Reasoning};

/// Sets the field `name`, or takes it away if `value` is null; gives `value` back if chats in general have no such field.
pub(super) fn set(chat: &mut Chat, name: &str, value: Value) -> Result<Option<Value>, BadRequest> {
    let place = Place::Top.field(name);
    match name {
        "tools" => chat.tools = list(value, |value| tools::read(value, place, &mut chat.others))?,
        "tool_choice" => {
            chat.tool_choice = match value {
                Value::Null => None,
                value => tools::read_choice(value, place, &mut chat.others)?,
            }
        }
        "parallel_tool_calls" => {
            chat.parallel_tool_calls = optional(value, |value| place.flag(&value))?;
        }
        "response_format" => {
            chat.format = match value {
                Value::Null => None,
                value => tools::read_format(value, place, &mut chat.others)?,
            }
        }
        "max_completion_tokens" | "max_tokens" => {
            chat.max_tokens = optional(value, |value| count(&value, place))?;
        }
        "temperature" => chat.temperature = optional(value, |value| place.number(&value))?,
        "top_p" => chat.top_p = optional(value, |value| place.number(&value))?,
        "top_k" => chat.top_k = optional(value, |value| count(&value, place))?,
        "min_p" => chat.min_p = optional(value, |value| place.number(&value))?,
        "frequency_penalty" => {
            chat.frequency_penalty = optional(value, |value| place.number(&value))?;
        }
        "presence_penalty" => {
            chat.presence_penalty = optional(value, |value| place.number(&value))?;
        }
        "seed" => chat.seed = optional(value, |value| place.integer(&value))?,
        "stop" => chat.stop = list(value, |value| stop(value, place))?,
        "n" => chat.n = optional(value, |value| count(&value, place))?,
        "logprobs" => {
            let is_asked = optional(value, |value| place.flag(&value))? == Some(true);
            chat.logprobs = is_asked.then(|| chat.logprobs.unwrap_or(LogprobsAsked { top: None }));
        }
        "top_logprobs" => {
            let top = optional(value, |value| count(&value, place))?;
            // It may come before `logprobs`, or without.
            let is_asked = chat.logprobs.is_some() || top.is_some_and(|top| top > 0);
            chat.logprobs = is_asked.then_some(LogprobsAsked { top });
        }
        "logit_bias" => {
            chat.logit_bias = match value {
                Value::Null => None,
                Value::Object(bias) => (!bias.is_empty()).then_some(bias),
                _ => return Err(place.invalid("an object")),
            }
        }
        "reasoning_effort" => {
            let is_shown = chat
                .reasoning
                .take()
                .and_then(|reasoning| reasoning.is_shown);
            let effort = optional(value, |value| effort(value, place))?;
            chat.reasoning = effort.map(|effort| Reasoning {
                effort: Some(effort),
                budget: None,
                is_shown,
            });
        }
        "user" => chat.user = optional(value, |value| place.text(value))?,
        "verbosity" => chat.verbosity = optional(value, |value| place.text(value))?,
        _ => return Ok(Some(value)),
    }
    Ok(None)
}

fn optional<T>(
    value: Value,
    read: impl FnOnce(Value) -> Result<T, BadRequest>,
) -> Result<Option<T>, BadRequest> {
    match value {
        Value::Null => Ok(None),
        value => read(value).map(Some),
    }
}

fn list<T>(
    value: Value,
    read: impl FnOnce(Value) -> Result<Vec<T>, BadRequest>,
) -> Result<Vec<T>, BadRequest> {
    Ok(optional(value, read)?.unwrap_or_default())
}

fn stop(value: Value, place: Place<'_>) -> Result<Vec<String>, BadRequest> {
    match value {
        Value::String(word) => Ok(vec![word]),
        Value::Array(words) => (0..)
            .zip(words)
            .map(|(index, word)| Place::Item(&place, index).text(word))
            .collect(),
        _ => Err(place.invalid("a string or an array of strings")),
    }
}

fn effort(value: Value, place: Place<'_>) -> Result<Effort, BadRequest> {
    let word = place.text(value)?;
    Effort::parse(&word).ok_or_else(|| {
        let known = Effort::ALL.map(|effort| format!("`{}`", effort.as_str()));
        place.invalid(&format!("one of {}", known.join(", ")))
    })
}
