//! Messages that alternate, and their blocks.

use crate::api::schema;
use crate::ask::{Conversation, UserTurn};
use crate::base64;
use crate::fields::{Fields, Item, Reading};

use super::signature;

/// A block is exactly one of them.
const KINDS: [&str; 12] = [
    "text",
    "image",
    "document",
    "video",
    "audio",
    "toolUse",
    "toolResult",
    "guardContent",
    "cachePoint",
    "reasoningContent",
    "citationsContent",
    "searchResult",
];

const IMAGES: [&str; 4] = ["png", "jpeg", "gif", "webp"];
const DOCUMENTS: [&str; 9] = [
    "pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md",
];

/// Whether there are calls or results.
pub(super) fn read(messages: &Item<'_>, conversation: &mut Conversation) -> Reading<bool> {
    let mut reader = Reader {
        conversation,
        pending: Vec::new(),
        uses_tools: false,
    };
    let list = messages.some()?;
    for (place, message) in list.iter().enumerate() {
        let expected = if place % 2 == 0 { "user" } else { "assistant" };
        message.object(|fields| {
            let role = fields.need_one_of("role", &["user", "assistant"])?;
            if place == 0 && role != "user" {
                let rule = "A conversation must start with a user message. Try again with a conversation that \
                            starts with a user message.";
                return Err(message.against(rule));
            }
            if role != expected {
                let rule = "A conversation must alternate between user and assistant roles. Make sure the \
                            conversation alternates between user and assistant roles and try again.";
                return Err(message.against(rule));
            }
            let content = fields.need("content")?;
            match role {
                "user" => reader.user(&content),
                _ => reader.assistant(&content),
            }
        })?;
    }
    reader.check_answered(messages)?;
    Ok(reader.uses_tools)
}

pub(super) fn read_system(block: &Item<'_>, conversation: &mut Conversation) -> Reading<()> {
    block.object(|fields| {
        fields.any_object("cachePoint")?;
        fields.any_object("guardContent")?;
        conversation.instruct(fields.text("text")?.unwrap_or_default());
        Ok(())
    })
}

struct Reader<'c> {
    conversation: &'c mut Conversation,
    /// Ids of the last assistant's calls that have no result yet.
    pending: Vec<String>,
    uses_tools: bool,
}

impl Reader<'_> {
    fn user(&mut self, content: &Item<'_>) -> Reading<()> {
        let mut turn = UserTurn::default();
        let mut says_something = false;
        for block in content.some()? {
            block.object(|fields| match kind_of(&block, fields)? {
                "toolResult" => fields.need("toolResult")?.object(|it| self.result(it)),
                "toolUse" | "reasoningContent" => {
                    Err(block.against("must not be in a message of the user"))
                }
                "cachePoint" => Ok(()),
                kind => {
                    says_something = true;
                    read_block(kind, &mut turn, fields)
                }
            })?;
        }
        self.check_answered(content)?;
        if says_something {
            self.conversation.user(turn);
        }
        Ok(())
    }

    fn assistant(&mut self, content: &Item<'_>) -> Reading<()> {
        let mut turn = UserTurn::default();
        for block in content.some()? {
            block.object(|fields| match kind_of(&block, fields)? {
                "text" => read_block("text", &mut turn, fields),
                "toolUse" => fields.need("toolUse")?.object(|it| self.call(it)),
                "reasoningContent" => read_thoughts(&fields.need("reasoningContent")?),
                "cachePoint" | "citationsContent" => Ok(()),
                _ => Err(block.against("must not be in a message of the assistant")),
            })?;
        }
        self.conversation.assistant(&turn.texts.concat());
        Ok(())
    }

    fn call(&mut self, call: &mut Fields<'_>) -> Reading<()> {
        self.uses_tools = true;
        let id = schema::call_id(&call.need("toolUseId")?)?;
        self.pending.push(id.to_owned());
        schema::name(&call.need("name")?)?;
        call.text("type")?;
        call.need("input")?.any_object().map(drop)
    }

    fn result(&mut self, result: &mut Fields<'_>) -> Reading<()> {
        self.uses_tools = true;
        let id = result.need_text("toolUseId")?;
        let Some(place) = self.pending.iter().position(|pending| pending == id) else {
            return Err(result.against(
                "toolUseId",
                "The number of toolResult blocks exceeds the number of toolUse blocks of previous turn.",
            ));
        };
        self.pending.remove(place);
        result.one_of("status", &["success", "error"])?;
        result.text("type")?;
        let mut turn = UserTurn::default();
        for block in result.need("content")?.list()? {
            block.object(|fields| {
                if let Some(json) = fields.item("json") {
                    turn.texts.push(json.value().to_string());
                    return Ok(());
                }
                let kind = kind_of(&block, fields)?;
                read_block(kind, &mut turn, fields)
            })?;
        }
        self.conversation.result(turn.texts.concat());
        Ok(())
    }

    fn check_answered(&self, item: &Item<'_>) -> Reading<()> {
        match self.pending.is_empty() {
            true => Ok(()),
            false => Err(item.against(format!(
                "Expected toolResult blocks for the following Ids: {}",
                self.pending.join(", ")
            ))),
        }
    }
}

fn kind_of(block: &Item<'_>, fields: &mut Fields<'_>) -> Reading<&'static str> {
    let mut kinds = KINDS.iter().filter(|kind| fields.value(kind).is_some());
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) => Ok(kind),
        (Some(_), Some(_)) => Err(block.against("must have exactly one member")),
        (None, _) => match block.any_object()?.keys().next() {
            Some(stranger) => Err(fields.unknown(stranger)),
            None => Err(block.against("must have exactly one member")),
        },
    }
}

fn read_block(kind: &str, turn: &mut UserTurn, fields: &mut Fields<'_>) -> Reading<()> {
    match kind {
        "text" => match fields.need_text("text")? {
            text if text.trim().is_empty() => Err(fields.against(
                "text",
                "The text field in the ContentBlock object is blank.",
            )),
            text => {
                turn.texts.push(text.to_owned());
                Ok(())
            }
        },
        "image" => {
            turn.images += 1;
            fields.need("image")?.object(|image| {
                image.need_one_of("format", &IMAGES)?;
                check_source(&image.need("source")?)
            })
        }
        "document" => {
            turn.files += 1;
            fields.need("document")?.object(|document| {
                document.one_of("format", &DOCUMENTS)?;
                check_document_name(&document.need("name")?)?;
                document.text("context")?;
                document.any_object("citations")?;
                check_source(&document.need("source")?)
            })
        }
        _ => {
            turn.files += 1;
            Ok(())
        }
    }
}

/// Letters, digits, single spaces, hyphens, parentheses and square brackets.
fn check_document_name(name: &Item<'_>) -> Reading<()> {
    let text = name.text()?;
    let is_fine = |letter: char| letter.is_ascii_alphanumeric() || " -()[]".contains(letter);
    match !text.is_empty() && text.chars().all(is_fine) && !text.contains("  ") {
        true => Ok(()),
        false => Err(name.against(
            "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, \
             parentheses, and square brackets. The name can't contain more than one consecutive whitespace character.",
        )),
    }
}

fn check_source(source: &Item<'_>) -> Reading<()> {
    source.object(|fields| {
        fields.any_object("s3Location")?;
        fields.text("text")?;
        fields.list("content")?;
        let Some(bytes) = fields.item("bytes") else {
            return Ok(());
        };
        match base64::is_valid(bytes.text()?) {
            true => Ok(()),
            false => Err(bytes.wrong("base64")),
        }
    })
}

fn read_thoughts(item: &Item<'_>) -> Reading<()> {
    item.object(|fields| {
        if let Some(redacted) = fields.item("redactedContent") {
            return match base64::is_valid(redacted.text()?) {
                true => Ok(()),
                false => Err(redacted.wrong("base64")),
            };
        }
        fields.need("reasoningText")?.object(|thoughts| {
            let text = thoughts.need_text("text")?;
            match thoughts.text("signature")? {
                Some(given) if given == signature(text) => Ok(()),
                _ => Err(thoughts.against("signature", "Invalid `signature` in `thinking` block")),
            }
        })
    })
}
