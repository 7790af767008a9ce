//! The items of `input`: messages, tool calls and their results, thoughts.

use serde_json::Value;

use super::parts;
use crate::BadRequest;
use crate::canon::{Chat, Message, Part, Proof, Role, ToolCall, ToolResult, proof};
use crate::openai_responses::OWN;
use crate::openai_responses::fields::{Fields, Place};

/// Appends `items` to the messages of `chat`.
///
/// What the assistant did in one turn stands in several items, and in one message here; so do results of tools.
pub(super) fn read(
    place: &Place<'_>,
    items: Vec<Value>,
    chat: &mut Chat,
) -> Result<(), BadRequest> {
    for (index, item) in items.into_iter().enumerate() {
        let place = place.item(index);
        let kind = match item.get("type") {
            None | Some(Value::Null) => Kind::Message,
            Some(Value::String(kind)) => Kind::of(kind),
            Some(_) => return Err(place.field("type").invalid("a string")),
        };
        if kind == Kind::Other {
            chat.others.push((place.to_string(), item));
            continue;
        }
        let mut fields = Fields::new(&place, item)?;
        match kind {
            Kind::Message => read_message(&mut fields, chat)?,
            Kind::Call => {
                let call = read_call(&mut fields)?;
                append(chat, Role::Assistant, vec![Part::ToolCall(call)]);
            }
            Kind::CallOutput => {
                let result = read_result(&mut fields, chat)?;
                append(chat, Role::Tool, vec![Part::ToolResult(result)]);
            }
            Kind::Reasoning => {
                let thought = read_thought(&mut fields)?;
                append(chat, Role::Assistant, Vec::from_iter(thought));
            }
            Kind::Other => {}
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Message,
    Call,
    CallOutput,
    Reasoning,
    /// Calls of hosted tools, references to stored items.
    Other,
}

impl Kind {
    fn of(kind: &str) -> Self {
        match kind {
            "message" => Self::Message,
            "function_call" => Self::Call,
            "function_call_output" => Self::CallOutput,
            "reasoning" => Self::Reasoning,
            _ => Self::Other,
        }
    }
}

fn append(chat: &mut Chat, role: Role, parts: Vec<Part>) {
    if parts.is_empty() {
        return;
    }
    let is_joined = matches!(role, Role::Assistant | Role::Tool);
    match chat.messages.last_mut() {
        Some(last) if is_joined && last.role == role => last.parts.extend(parts),
        _ => chat.messages.push(Message::new(role, parts)),
    }
}

fn read_message(fields: &mut Fields<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let role = match fields.required_text("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" | "developer" => Role::System,
        _ => {
            let expected = "`user`, `assistant`, `system` or `developer`";
            return Err(fields.invalid("role", expected));
        }
    };
    let parts = read_content(fields, "content", &mut chat.others)?;
    append(chat, role, parts);
    Ok(())
}

/// A string, or an array of parts.
fn read_content(
    fields: &mut Fields<'_>,
    name: &str,
    others: &mut Vec<(String, Value)>,
) -> Result<Vec<Part>, BadRequest> {
    match fields.take(name) {
        Some(Value::String(text)) => Ok(vec![Part::Text(text)]),
        Some(Value::Array(list)) => parts::read(&fields.place().field(name), list, others),
        Some(_) => Err(fields.invalid(name, "a string or an array of parts")),
        None => Err(fields.missing(name)),
    }
}

fn read_call(fields: &mut Fields<'_>) -> Result<ToolCall, BadRequest> {
    let id = fields.required_text("call_id")?;
    let (id, signature) = proof::unpack(&id);
    Ok(ToolCall {
        id: id.to_owned(),
        name: fields.required_text("name")?,
        arguments: fields.required_text("arguments")?,
        signature,
    })
}

fn read_result(fields: &mut Fields<'_>, chat: &mut Chat) -> Result<ToolResult, BadRequest> {
    let call_id = fields.required_text("call_id")?;
    let (call_id, _) = proof::unpack(&call_id);
    Ok(ToolResult {
        name: chat.tool_name(call_id).map(str::to_owned),
        call_id: call_id.to_owned(),
        parts: read_content(fields, "output", &mut chat.others)?,
        is_error: false,
    })
}

/// `None` for a thought that is only named: what it was is known to whoever stored it.
///
/// Without any summary it was redacted: [`super::super::output`] writes an empty one for thoughts that merely have no
/// text.
fn read_thought(fields: &mut Fields<'_>) -> Result<Option<Part>, BadRequest> {
    let signature = fields
        .text("encrypted_content")?
        .and_then(|text| Proof::read(text, OWN));
    let mut texts = read_texts(fields, "summary")?;
    if texts.is_empty() {
        texts = read_texts(fields, "content")?;
    }
    Ok(match (texts.is_empty(), signature) {
        (true, None) => None,
        (true, Some(sealed)) => Some(Part::RedactedThinking(sealed)),
        (false, signature) => Some(Part::Thinking {
            text: texts.join("\n\n"),
            signature,
        }),
    })
}

fn read_texts(fields: &mut Fields<'_>, name: &str) -> Result<Vec<String>, BadRequest> {
    let list = fields.array(name)?;
    let place = fields.place().field(name);
    let texts = list.into_iter().enumerate().map(|(index, part)| {
        let place = place.item(index);
        Fields::new(&place, part)?.required_text("text")
    });
    texts.collect()
}
