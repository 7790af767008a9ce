//! The messages of a chat.

use serde_json::Value;

use super::place::{Place, texts};
use super::set_fields;
use crate::BadRequest;
use crate::canon::{Message, Origin, Part, Proof, Role, Source, ToolCall, ToolResult, proof};

/// Reads all messages; fields that nobody knows go to `others`.
pub(super) fn read_messages(
    messages: Vec<Value>,
    place: Place<'_>,
    others: &mut Vec<(String, Value)>,
) -> Result<Vec<Message>, BadRequest> {
    let mut calls = Calls::default();
    let messages = messages.into_iter().enumerate();
    messages
        .map(|(index, message)| {
            let place = place.item(index);
            let sent = Sent::read(message, place, others)?;
            sent.into_message(place, &mut calls)
        })
        .collect()
}

pub(super) fn read_images(value: Value, place: Place<'_>) -> Result<Vec<Part>, BadRequest> {
    let images = texts(value, place)?;
    let images = (0..).zip(images);
    let read = images.map(|(index, image)| read_image(image, Origin::at(&place.item(index))));
    Ok(read.collect())
}

/// Ollama sends base64 alone.
fn read_image(image: String, origin: Origin) -> Part {
    let source = match image.starts_with("data:") {
        true => Source::of_url(&image),
        false => Source::Data {
            media_type: media_type(&image).to_owned(),
            base64: image,
        },
    };
    Part::Image {
        source,
        detail: None,
        origin,
    }
}

/// Told by the first bytes, as they look in base64.
fn media_type(base64: &str) -> &'static str {
    // `RIFF`, four bytes of length, and `WEBP`, of which the last three letters stand alone.
    let is_webp = base64.starts_with("UklGR") && base64.get(12..16) == Some("RUJQ");
    match base64 {
        _ if is_webp => "image/webp",
        _ if base64.starts_with("/9j/") => "image/jpeg",
        _ if base64.starts_with("R0lGOD") => "image/gif",
        // Its own mark is `iVBORw0KGgo`; it is also the guess for all that is unknown.
        _ => "image/png",
    }
}

/// What somebody said at once.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) content: String,
    pub(super) images: Vec<Part>,
}

impl Turn {
    /// Images first: that is where Ollama puts them into the prompt.
    pub(super) fn into_parts(self) -> Vec<Part> {
        let mut parts = self.images;
        if !self.content.is_empty() || parts.is_empty() {
            parts.push(Part::Text(self.content));
        }
        parts
    }
}

/// A message as it was sent.
struct Sent {
    role: Role,
    turn: Turn,
    thinking: String,
    calls: Vec<SentCall>,
    tool_name: Option<String>,
    call_id: Option<String>,
}

struct SentCall {
    id: Option<String>,
    name: String,
    arguments: String,
    signature: Option<Proof>,
}

impl Sent {
    fn read(
        message: Value,
        place: Place<'_>,
        others: &mut Vec<(String, Value)>,
    ) -> Result<Self, BadRequest> {
        let mut role = None;
        let mut sent = Self {
            role: Role::User,
            turn: Turn::default(),
            thinking: String::new(),
            calls: Vec::new(),
            tool_name: None,
            call_id: None,
        };
        let mut name_sent = None;
        for (name, value) in set_fields(place.object(message)?) {
            let place = place.field(&name);
            match name.as_str() {
                "role" => role = Some(read_role(value, place)?),
                "content" => sent.turn.content = place.text(value)?,
                "thinking" => sent.thinking = place.text(value)?,
                "images" => sent.turn.images = read_images(value, place)?,
                "tool_calls" => {
                    let calls = place.items(value)?.into_iter().enumerate();
                    sent.calls = calls
                        .map(|(index, call)| SentCall::read(call, place.item(index), others))
                        .collect::<Result<_, _>>()?;
                }
                "tool_name" => sent.tool_name = Some(place.text(value)?),
                "tool_call_id" => sent.call_id = Some(place.text(value)?),
                "name" => name_sent = Some(place.text(value)?),
                _ => others.push((place.to_string(), value)),
            }
        }
        sent.role = role.ok_or_else(|| place.field("role").missing())?;
        if let Some(name) = name_sent {
            // Before there was `tool_name`, clients called it so.
            match sent.role {
                Role::Tool => sent.tool_name = sent.tool_name.or(Some(name)),
                _ => others.push((place.field("name").to_string(), Value::String(name))),
            }
        }
        Ok(sent)
    }

    fn into_message(self, place: Place<'_>, calls: &mut Calls) -> Result<Message, BadRequest> {
        if self.role != Role::Assistant && !self.calls.is_empty() {
            return Err(place
                .field("tool_calls")
                .invalid("them in messages of the assistant only"));
        }
        let role = self.role;
        let parts = match role {
            Role::System | Role::User => self.turn.into_parts(),
            Role::Assistant => self.into_answer(calls),
            Role::Tool => vec![Part::ToolResult(self.into_result(calls))],
        };
        Ok(Message::new(role, parts))
    }

    fn into_answer(self, calls: &mut Calls) -> Vec<Part> {
        let mut parts = Vec::new();
        if !self.thinking.is_empty() {
            parts.push(Part::Thinking {
                text: self.thinking,
                signature: None,
            });
        }
        let has_turn = !self.turn.content.is_empty() || !self.turn.images.is_empty();
        if has_turn || self.calls.is_empty() {
            parts.extend(self.turn.into_parts());
        }
        if !self.calls.is_empty() {
            calls.open.clear();
        }
        let made = self.calls.into_iter().map(|call| calls.open(call));
        parts.extend(made.map(Part::ToolCall));
        parts
    }

    fn into_result(self, calls: &mut Calls) -> ToolResult {
        let (call_id, name) = calls.close(self.call_id, self.tool_name);
        ToolResult {
            call_id,
            name,
            parts: self.turn.into_parts(),
            is_error: false,
        }
    }
}

impl SentCall {
    fn read(
        call: Value,
        place: Place<'_>,
        others: &mut Vec<(String, Value)>,
    ) -> Result<Self, BadRequest> {
        let mut id = None;
        let mut function = None;
        for (name, value) in set_fields(place.object(call)?) {
            let place = place.field(&name);
            match name.as_str() {
                "id" => id = Some(place.text(value)?),
                "type" if value == "function" => {}
                "function" => function = Some(place.object(value)?),
                _ => others.push((place.to_string(), value)),
            }
        }
        let function_place = place.field("function");
        let function = function.ok_or_else(|| function_place.missing())?;

        let mut tool = String::new();
        let mut arguments = "{}".to_owned();
        for (name, value) in set_fields(function) {
            let place = function_place.field(&name);
            match name.as_str() {
                "name" => tool = place.text(value)?,
                "arguments" => arguments = Value::Object(place.object(value)?).to_string(),
                // Calls stand in order.
                "index" => {}
                _ => others.push((place.to_string(), value)),
            }
        }
        if tool.is_empty() {
            return Err(function_place.field("name").missing());
        }
        let (id, signature) = unpack(id);
        Ok(Self {
            id,
            name: tool,
            arguments,
            signature,
        })
    }
}

/// The calls that have no result yet, for results that do not say whose they are.
#[derive(Default)]
struct Calls {
    /// How many had to be given an id, in the whole chat.
    n_made: usize,
    /// Id and name, oldest first.
    open: Vec<(String, String)>,
}

impl Calls {
    fn open(&mut self, call: SentCall) -> ToolCall {
        let id = call.id.unwrap_or_else(|| self.new_id());
        self.open.push((id.clone(), call.name.clone()));
        ToolCall {
            id,
            name: call.name,
            arguments: call.arguments,
            signature: call.signature,
        }
    }

    /// The id and the tool's name of a result that was sent with these.
    ///
    /// Without an id it belongs to the first open call of its tool, and without a name to the first of all.
    fn close(&mut self, id: Option<String>, name: Option<String>) -> (String, Option<String>) {
        let (id, _) = unpack(id);
        let position = self
            .open
            .iter()
            .position(|(open, tool)| match (&id, &name) {
                (Some(id), _) => open == id,
                (None, Some(name)) => tool == name,
                (None, None) => true,
            });
        let Some(position) = position else {
            return (id.unwrap_or_else(|| self.new_id()), name);
        };
        let (call_id, tool) = self.open.remove(position);
        (call_id, name.or(Some(tool)))
    }

    fn new_id(&mut self) -> String {
        let id = format!("call_{}", self.n_made);
        self.n_made += 1;
        id
    }
}

/// An empty id is none.
fn unpack(id: Option<String>) -> (Option<String>, Option<Proof>) {
    match id.filter(|id| !id.is_empty()) {
        Some(id) => {
            let (id, signature) = proof::unpack(&id);
            (Some(id.to_owned()), signature)
        }
        None => (None, None),
    }
}

fn read_role(value: Value, place: Place<'_>) -> Result<Role, BadRequest> {
    let role = place.text(value)?;
    match role.to_ascii_lowercase().as_str() {
        "system" | "developer" => Ok(Role::System),
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        "tool" => Ok(Role::Tool),
        _ => Err(place.invalid("`system`, `user`, `assistant` or `tool`")),
    }
}
