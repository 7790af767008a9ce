//! The canonical form → a request for an upstream.

mod messages;
mod tools;

use serde::Serialize;
use serde_json::Value;

use self::messages::MessageShape;
use self::tools::{ChoiceShape, FormatShape, ToolShape};
use super::manners::{Fields, Habits};
use crate::canon::{Chat, Field, Format, Losses, Unsupported};
use crate::{BadRequest, Target};

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<MessageShape<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ChoiceShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<FormatShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logit_bias: Option<&'a Fields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a str>,
    #[serde(flatten)]
    reasoning: Fields,
    /// The client's own, if it speaks this dialect, too.
    #[serde(flatten)]
    others: Fields,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

/// A stream reports its usage nowhere else, so it is always asked for.
#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// Writes a whole request.
///
/// # Errors
///
/// What this dialect, or this provider of it, has no words for, unless `losses` says to drop it.
pub(crate) fn write_chat(
    chat: &Chat,
    target: &Target<'_>,
    losses: &Losses,
) -> Result<Vec<u8>, BadRequest> {
    let habits = Habits::of(target.manners);
    let keep = Keep { habits, losses };
    let others = others(chat, losses)?;
    let logprobs = keep.option(Field::Logprobs, chat.logprobs)?;
    let format = chat.format.as_ref();
    let response_format = format.and_then(|format| FormatShape::of(format, habits, losses));
    let mut messages = messages::shapes(chat, habits, losses)?;
    // Who speaks OpenAI's language knows that it wants the word.
    let lacks_the_word =
        |format: &&Format| !losses.is_within_a_family() && format.lacks_the_word(&chat.messages);
    let in_words = match &response_format {
        None => format,
        Some(_) => format.filter(lacks_the_word),
    };
    if let Some(format) = in_words {
        messages::instruct(&mut messages, format.in_words());
    }
    let (tools, tool_choice) = tools::offer(chat, habits, losses)?;
    let max_tokens = |has_this_name: bool| chat.max_tokens.filter(|_| has_this_name);
    let request = Request {
        model: target.model,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls: chat.parallel_tool_calls,
        response_format,
        max_completion_tokens: max_tokens(habits.knows_max_completion_tokens),
        max_tokens: max_tokens(!habits.knows_max_completion_tokens),
        temperature: chat.temperature,
        top_p: chat.top_p,
        top_k: keep.option(Field::TopK, chat.top_k)?,
        min_p: keep.option(Field::MinP, chat.min_p)?,
        frequency_penalty: chat.frequency_penalty,
        presence_penalty: chat.presence_penalty,
        seed: chat.seed,
        stop: &chat.stop,
        // One answer is what everyone gives unasked.
        n: keep.option(Field::N, chat.n.filter(|n| *n != 1))?,
        logprobs: logprobs.map(|_| true),
        top_logprobs: logprobs.and_then(|logprobs| logprobs.top),
        logit_bias: keep.option(Field::LogitBias, chat.logit_bias.as_ref())?,
        user: chat.user.as_deref(),
        verbosity: chat.verbosity.as_deref(),
        reasoning: reasoning(chat, habits, losses)?,
        others,
        stream: chat.is_stream.then_some(true),
        stream_options: chat.is_stream.then_some(StreamOptions {
            include_usage: true,
        }),
    };
    Ok(serde_json::to_vec(&request).unwrap_or_default())
}

/// Lets a setting through that the provider takes.
struct Keep<'a> {
    habits: &'a Habits,
    losses: &'a Losses,
}

impl Keep<'_> {
    fn option<T>(&self, field: Field, value: Option<T>) -> Result<Option<T>, Unsupported> {
        if !self.habits.refused.contains(&field) {
            return Ok(value);
        }
        self.losses.lose_if(field, value.as_ref())?;
        Ok(None)
    }
}

fn reasoning(chat: &Chat, habits: &Habits, losses: &Losses) -> Result<Fields, Unsupported> {
    let Some(reasoning) = &chat.reasoning else {
        return Ok(Fields::new());
    };
    if let Some(fields) = (habits.reasoning)(reasoning) {
        return Ok(fields);
    }
    losses.lose(Field::Reasoning)?;
    Ok(Fields::new())
}

/// The fields that go on as they are, to an upstream of the client's dialect that is translated for its manners.
fn others(chat: &Chat, losses: &Losses) -> Result<Fields, Unsupported> {
    let mut fields = Fields::new();
    for (path, value) in &chat.others {
        let is_inside = path.contains(['.', '[']);
        match losses.is_within_a_dialect() && !is_inside {
            true => {
                fields.insert(path.clone(), Value::clone(value));
            }
            false => losses.lose_named(path)?,
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests;
