//! The fields of a chat and of a generation.

use serde_json::Value;

use crate::answer::{Answer, Finish};
use crate::api::form::Form;
use crate::api::inference::{Call, JSON, Make, Received};
use crate::ask::{Ask, Conversation, Format, Tool, UserTurn};
use crate::fields::{self, Fields, Item, Reading};

use super::messages::{self, read_images};
use super::options;
use super::reply::loaded;

const LEVELS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

/// Which of the two endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Kind {
    Chat,
    Generate,
}

pub(in crate::api) fn read_chat(received: Received<'_>) -> Reading<Call> {
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let messages = fields.list("messages")?.unwrap_or_default();
        let mut conversation = Conversation::default();
        for message in &messages {
            message.object(|message| messages::read(message, &mut conversation))?;
        }
        let mut tools = Vec::new();
        for tool in fields.list("tools")?.unwrap_or_default() {
            tools.push(tool.object(read_tool)?);
        }
        let call = read(fields, Kind::Chat, conversation, tools)?;
        Ok(match messages.is_empty() {
            true => load(&call, Kind::Chat),
            false => call,
        })
    })
}

pub(in crate::api) fn read_generate(received: Received<'_>) -> Reading<Call> {
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let prompt = fields.text("prompt")?.unwrap_or_default();
        let mut conversation = Conversation::default();
        conversation.instruct(fields.text("system")?.unwrap_or_default());
        let turn = UserTurn {
            images: read_images(fields)?,
            ..UserTurn::saying(prompt)
        };
        conversation.user(turn);
        fields.text("suffix")?;
        fields.text("template")?;
        fields.flag("raw")?;
        fields.list("context")?;
        let call = read(fields, Kind::Generate, conversation, Vec::new())?;
        Ok(match prompt.is_empty() {
            true => load(&call, Kind::Generate),
            false => call,
        })
    })
}

/// What both have.
fn read(
    fields: &mut Fields<'_>,
    kind: Kind,
    conversation: Conversation,
    tools: Vec<Tool>,
) -> Reading<Call> {
    let model = fields.need_text("model")?;
    let tokens_max = options::read(fields)?;
    let format = fields.item("format");
    let format = format.map(|format| read_format(&format)).transpose()?;
    let reasons = match fields.item("think") {
        Some(think) => read_think(&think)?,
        None => false,
    };
    // The one API that streams unless it is told not to.
    let stream = fields.flag("stream")?.unwrap_or(true);
    fields.flag("logprobs")?;
    fields.whole("top_logprobs", 0..=20)?;
    fields.flag("truncate")?;
    fields.flag("shift")?;
    let ask = Ask {
        tools,
        format: format.unwrap_or_default(),
        reasons,
        tokens_max,
        ..Ask::plain(model.to_owned(), conversation)
    };
    Ok(Call::ask(ask, Form::Ollama(kind), stream))
}

/// A request without words only loads its model.
fn load(call: &Call, kind: Kind) -> Call {
    let model = call.model().to_owned();
    let answer = Answer {
        id: 0,
        created: 0,
        model: model.clone(),
        choices: 1,
        parts: Vec::new(),
        finish: Finish::Stop,
        signs: false,
        usage: None,
    };
    Call::Make(Make {
        model,
        prompt_tokens: 0,
        content_type: JSON,
        body: Box::new(move |_| loaded(kind, &answer)),
    })
}

fn read_format(format: &Item<'_>) -> Reading<Format> {
    if !format.is_text() {
        format.any_object()?;
        return Ok(Format::Schema(format.value().clone()));
    }
    match format.text()? {
        "" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err(format.wrong("\"json\" or a JSON schema")),
    }
}

fn read_think(think: &Item<'_>) -> Reading<bool> {
    match think.value() {
        Value::Bool(think) => Ok(*think),
        Value::String(level) if LEVELS.contains(&level.as_str()) => Ok(true),
        _ => Err(think.wrong("a boolean, \"low\", \"medium\" or \"high\"")),
    }
}

fn read_tool(tool: &mut Fields<'_>) -> Reading<Tool> {
    tool.one_of("type", &["function"])?;
    tool.need("function")?.object(|function| {
        let name = function.need_text("name")?.to_owned();
        function.text("description")?;
        let parameters = function.item("parameters");
        let schema = parameters.map(|parameters| {
            parameters.any_object()?;
            Ok(parameters.value().clone())
        });
        Ok(Tool {
            name,
            schema: schema.transpose()?.unwrap_or_default(),
        })
    })
}
