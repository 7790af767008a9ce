//! The canonical form → a request for an upstream.

mod items;
mod settings;

use serde::Serialize;

use self::items::InputItem;
use self::settings::{ReasoningAsked, TextAsked, ToolChoiceAsked, ToolOffered};
use crate::canon::{Chat, Field, Format, Losses};
use crate::{BadRequest, Target};

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    input: Vec<InputItem<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolOffered<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ToolChoiceAsked<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<TextAsked<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<ReasoningAsked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    /// Never: who asks through another dialect sends the whole conversation each time.
    store: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

/// Writes a whole request.
///
/// # Errors
///
/// What this dialect has no words for, unless `losses` says to drop it.
pub(crate) fn write_chat(
    chat: &Chat,
    target: &Target<'_>,
    losses: &Losses,
) -> Result<Vec<u8>, BadRequest> {
    losses.lose_others(&chat.others)?;
    losses.lose_if(Field::TopK, chat.top_k)?;
    losses.lose_if(Field::MinP, chat.min_p)?;
    losses.lose_if(Field::FrequencyPenalty, chat.frequency_penalty)?;
    losses.lose_if(Field::PresencePenalty, chat.presence_penalty)?;
    losses.lose_if(Field::Seed, chat.seed)?;
    losses.lose_if(Field::Stop, chat.stop.first())?;
    losses.lose_if(Field::N, chat.n.filter(|n| *n != 1))?;
    losses.lose_if(Field::LogitBias, chat.logit_bias.as_ref())?;

    let (mut instructions, messages) = items::split_instructions(&chat.messages);
    let text = settings::text(chat, losses);
    let has_format = text.as_ref().is_some_and(TextAsked::has_format);
    if let Some(format) = chat.format.as_ref().filter(|_| !has_format) {
        let instructions = instructions.get_or_insert_default();
        if !instructions.is_empty() {
            instructions.push_str("\n\n");
        }
        instructions.push_str(&format.in_words());
    }
    let mut input = items::write(messages, chat.messages.len() - messages.len(), losses)?;
    // Who speaks OpenAI's language knows that it wants the word; but in instructions it does not count.
    let lacks_the_word = |format: &Format| {
        let is_owed = !losses.is_within_a_family() || !format.lacks_the_word(&chat.messages);
        is_owed && format.lacks_the_word(messages)
    };
    if has_format && chat.format.as_ref().is_some_and(lacks_the_word) {
        input.insert(0, InputItem::system(Format::JSON_IN_WORDS));
    }
    let reasoning = settings::reasoning(chat.reasoning.as_ref());
    let mut include = Vec::new();
    if reasoning.as_ref().is_some_and(ReasoningAsked::is_thinking) {
        // Without a store, the next turn has nothing else to go on with. Models that do not think refuse it.
        include.push("reasoning.encrypted_content");
    }
    if chat.logprobs.is_some() {
        include.push("message.output_text.logprobs");
    }
    let request = Request {
        model: target.model,
        instructions,
        input,
        tools: settings::tools(&chat.tools, losses),
        tool_choice: chat.tool_choice.as_ref().map(settings::tool_choice),
        parallel_tool_calls: chat.parallel_tool_calls,
        text,
        reasoning,
        max_output_tokens: chat.max_tokens,
        temperature: chat.temperature,
        top_p: chat.top_p,
        top_logprobs: chat.logprobs.and_then(|logprobs| logprobs.top),
        include,
        user: chat.user.as_deref(),
        store: false,
        stream: chat.is_stream,
    };
    serde_json::to_vec(&request)
        .map_err(|error| BadRequest::new(format!("The request cannot be written: {error}.")))
}

#[cfg(test)]
mod tests;
