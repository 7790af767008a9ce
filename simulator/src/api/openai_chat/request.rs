//! The fields of a chat beside its messages and tools.

use serde_json::Value;

use crate::api::dialect::Dialect;
use crate::api::form::Form;
use crate::api::inference::{Call, Received};
use crate::api::schema;
use crate::ask::{Ask, Format, ToolChoice};
use crate::fields::{self, Fields, Item, Reading};

use super::tools::Tools;
use super::{CHOICES_MAX, messages, tools};

const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// How a chat is answered.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct ChatForm {
    /// Whether a stream ends with a usage chunk.
    pub(super) include_usage: bool,
    /// Whether filters tell what they think of prompt and answer.
    pub(super) is_filtered: bool,
}

pub(in crate::api) fn read(received: Received<'_>) -> Reading<Call> {
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let model = received.model_of(fields)?;
        let messages = fields.need("messages")?;
        let conversation = messages::read(&messages)?;
        let stream = fields.flag("stream")?.unwrap_or_default();
        let include_usage = read_stream_options(fields, stream)?;
        let Tools {
            offered,
            choice,
            is_parallel,
        } = tools::read(fields)?;
        let effort = fields.one_of("reasoning_effort", &EFFORTS)?;
        let format = fields.item("response_format");
        let format = format.map(|item| read_format(&item)).transpose()?;
        if is_json_mode(fields) && !schema::says_json(messages.value()) {
            let rule = "'messages' must contain the word 'json' in some form, to use 'response_format' of type \
                        'json_object'.";
            return Err(messages.against(rule));
        }
        let tokens_max = read_tokens_max(fields)?;
        let choices = fields.whole("n", 1..=CHOICES_MAX)?.unwrap_or(1);
        check_others(fields)?;
        let ask = Ask {
            tools: offered,
            tool_choice: choice.unwrap_or(ToolChoice::Auto),
            is_parallel,
            format: format.unwrap_or_default(),
            reasons: effort.is_some_and(|effort| effort != "none"),
            tokens_max,
            choices: u32::try_from(choices).unwrap_or(1),
            ..Ask::plain(model, conversation)
        };
        let form = Form::Chat(ChatForm {
            include_usage,
            is_filtered: received.dialect == Dialect::Azure,
        });
        Ok(Call::ask(ask, form, stream))
    })
}

/// Whether usage is asked for at the end of a stream.
pub(in crate::api) fn read_stream_options(fields: &mut Fields<'_>, stream: bool) -> Reading<bool> {
    let options = fields.object("stream_options", |options| {
        options.flag("include_obfuscation")?;
        options.flag("include_usage")
    })?;
    match options {
        Some(_) if !stream => Err(fields.against(
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        )),
        options => Ok(options.flatten().unwrap_or_default()),
    }
}

/// A string or up to four.
pub(in crate::api) fn read_stop(fields: &mut Fields<'_>) -> Reading<()> {
    let Some(stop) = fields.item("stop") else {
        return Ok(());
    };
    if stop.is_text() {
        return Ok(());
    }
    let several = stop.list()?;
    if several.len() > 4 {
        return Err(stop.wrong("at most 4 strings"));
    }
    several.iter().try_for_each(|stop| stop.text().map(drop))
}

fn is_json_mode(fields: &mut Fields<'_>) -> bool {
    let format = fields.value("response_format");
    format.is_some_and(|format| format["type"] == "json_object")
}

fn read_format(item: &Item<'_>) -> Reading<Format> {
    item.object(|format| {
        let kinds = ["text", "json_object", "json_schema"];
        Ok(match format.need_one_of("type", &kinds)? {
            "text" => Format::Text,
            "json_object" => Format::Json,
            _ => {
                let schema = format.need("json_schema")?.object(|json_schema| {
                    schema::name(&json_schema.need("name")?)?;
                    json_schema.text("description")?;
                    let is_strict = json_schema.flag("strict")?.unwrap_or_default();
                    let schema = json_schema.item("schema");
                    let schema = schema.map(|item| checked_schema(&item, is_strict));
                    schema.transpose()
                })?;
                schema.map_or(Format::Json, Format::Schema)
            }
        })
    })
}

fn checked_schema(item: &Item<'_>, is_strict: bool) -> Reading<Value> {
    schema::check_root(item)?;
    if is_strict && !schema::is_strict(item.value()) {
        let rule = "Invalid schema for response_format: with 'strict', 'additionalProperties' is required to be \
                    supplied and to be false, and 'required' to include every key in properties.";
        return Err(item.against(rule));
    }
    Ok(item.value().clone())
}

fn read_tokens_max(fields: &mut Fields<'_>) -> Reading<Option<u32>> {
    let old = fields.count("max_tokens", 1)?;
    let new = fields.count("max_completion_tokens", 1)?;
    if old.is_some() && new.is_some() {
        return Err(fields.against(
            "max_tokens",
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        ));
    }
    Ok(new.or(old))
}

/// What is checked and changes nothing.
fn check_others(fields: &mut Fields<'_>) -> Reading<()> {
    fields.number("temperature", 0.0..=2.0)?;
    fields.number("top_p", 0.0..=1.0)?;
    fields.number("presence_penalty", -2.0..=2.0)?;
    fields.number("frequency_penalty", -2.0..=2.0)?;
    fields.whole("seed", i64::MIN..=i64::MAX)?;
    fields.any_object("logit_bias")?;
    let logprobs = fields.flag("logprobs")?.unwrap_or_default();
    if fields.whole("top_logprobs", 0..=20)?.is_some() && !logprobs {
        let rule = "'top_logprobs' is only allowed when 'logprobs' is enabled.";
        return Err(fields.against("top_logprobs", rule));
    }
    read_stop(fields)?;
    fields.flag("store")?;
    fields.any_object("metadata")?;
    fields.text("user")?;
    fields.text("safety_identifier")?;
    fields.text("prompt_cache_key")?;
    let tiers = ["auto", "default", "flex", "scale", "priority", "fast"];
    fields.one_of("service_tier", &tiers)?;
    fields.one_of("verbosity", &["low", "medium", "high"])?;
    fields.texts("modalities")?;
    fields.any_object("prediction")?;
    fields.any_object("audio")?;
    fields.any_object("web_search_options")?;
    fields.skip(&[
        "moderation",
        "prompt_cache_options",
        "prompt_cache_retention",
    ]);
    Ok(())
}
