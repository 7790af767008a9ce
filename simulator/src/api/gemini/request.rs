//! The fields of a request to generate or to count.

use serde_json::json;

use crate::api::form::Form;
use crate::api::inference::{Call, JSON, Make, Received};
use crate::ask::{Ask, Conversation};
use crate::fields::{self, Fields, Item, Reading};

use super::config::{self, Config};
use super::stream::Framing;
use super::tools::{self, Tools};
use super::{contents, wants_signatures};
use crate::api::dialect::Dialect;

pub(in crate::api) fn read(received: Received<'_>, stream: bool) -> Reading<Call> {
    let model = received.model.unwrap_or_default();
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let ask = read_ask(fields, model)?;
        let framing = match received.dialect {
            Dialect::GeminiArray => Framing::Array,
            _ => Framing::Events,
        };
        Ok(Call::ask(ask, Form::Generate(framing), stream))
    })
}

/// Counts what is in `contents`, or in a whole request.
pub(in crate::api) fn read_count(received: Received<'_>) -> Reading<Call> {
    let model = received.model.unwrap_or_default();
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        check_model(fields, model)?;
        let whole = fields.object("generateContentRequest", |fields| {
            check_model(fields, model)?;
            Ok(read_ask(fields, model)?.prompt_tokens)
        })?;
        let tokens = match (whole, fields.item("contents")) {
            (Some(tokens), None) => tokens,
            (None, Some(contents)) => {
                let mut conversation = Conversation::default();
                contents::read(&contents, model, &mut conversation)?;
                conversation.tokens()
            }
            _ => {
                let rule = "either contents or generateContentRequest must be specified";
                return Err(fields.against("contents", rule));
            }
        };
        let count = json!({
            "totalTokens": tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
        });
        Ok(Call::Make(Make {
            model: model.to_owned(),
            prompt_tokens: 0,
            content_type: JSON,
            body: Box::new(move |_| count.to_string().into_bytes()),
        }))
    })
}

/// A model in the body must be that of the path.
pub(super) fn check_model(fields: &mut Fields<'_>, model: &str) -> Reading<()> {
    let Some(named) = fields.text("model")? else {
        return Ok(());
    };
    match named.strip_prefix("models/").unwrap_or(named) == model {
        true => Ok(()),
        false => Err(fields.against("model", "must be the model of the URL")),
    }
}

fn read_ask(fields: &mut Fields<'_>, model: &str) -> Reading<Ask> {
    let mut conversation = Conversation::default();
    if let Some(system) = fields.item("systemInstruction") {
        contents::read_system(&system, &mut conversation)?;
    }
    contents::read(&fields.need("contents")?, model, &mut conversation)?;
    let config = fields.item("generationConfig");
    let config = config.map(|config| config::read(&config)).transpose()?;
    let Config {
        tokens_max,
        choices,
        format,
        shows_thoughts,
    } = config.unwrap_or_default();
    let Tools { offered, choice } = tools::read(fields)?;
    for setting in fields.list("safetySettings")?.unwrap_or_default() {
        setting.object(|setting| {
            setting.need_text("category")?;
            setting.need_text("threshold").map(drop)
        })?;
    }
    fields.text("cachedContent")?;
    fields.any_object("labels")?;
    fields.skip(&["serviceTier", "store"]);
    Ok(Ask {
        tools: offered,
        tool_choice: choice,
        format,
        reasons: shows_thoughts,
        signs: shows_thoughts || wants_signatures(model),
        tokens_max,
        choices,
        ..Ask::plain(model.to_owned(), conversation)
    })
}
