//! A client's request → the canonical form.
//!
//! `/api/chat` and `/api/generate` differ in how they hold the prompt, and in nothing else. Ollama's own knobs, such as
//! `options.mirostat`, have no place in other dialects and are kept as others; where they say what is the default anyway,
//! they are not kept.

mod messages;
pub(super) mod place;
mod tools;

use serde_json::{Map, Value};

use self::messages::{Turn, read_images, read_messages};
use self::place::{Place, count, texts};
use self::tools::read_tools;
use crate::canon::{Chat, Effort, Format, LogprobsAsked, Message, Reasoning, Role, Schema};
use crate::{BadRequest, Endpoint};

/// Reads a whole request.
///
/// One without messages, or without a prompt, loads or unloads a model: it is read as a chat without messages.
///
/// # Errors
///
/// A field that is not as this dialect has it; the message names it.
pub(crate) fn read_chat(endpoint: Endpoint, body: &[u8]) -> Result<Chat, BadRequest> {
    let request = read_object(body)?;
    let mut reading = Reading::new();
    match endpoint {
        Endpoint::OllamaGenerate => reading.read_generate(request)?,
        _ => reading.read_chat(request)?,
    }
    Ok(reading.finish())
}

/// Reads a request's body, without a look at its fields.
pub(super) fn read_object(body: &[u8]) -> Result<Map<String, Value>, BadRequest> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(request)) => Ok(request),
        Ok(_) => Err(BadRequest::new("The request body must be a JSON object.")),
        Err(error) => Err(BadRequest::new(format!(
            "The request body is not valid JSON: {error}."
        ))),
    }
}

/// A chat, field by field.
struct Reading {
    chat: Chat,
    wants_logprobs: bool,
    top_logprobs: Option<u32>,
}

impl Reading {
    fn new() -> Self {
        let chat = Chat {
            is_stream: true,
            ..Chat::default()
        };
        Self {
            chat,
            wants_logprobs: false,
            top_logprobs: None,
        }
    }

    fn read_chat(&mut self, request: Map<String, Value>) -> Result<(), BadRequest> {
        for (name, value) in set_fields(request) {
            let place = Place::Top.field(&name);
            match name.as_str() {
                "messages" => {
                    let messages = place.items(value)?;
                    self.chat.messages = read_messages(messages, place, &mut self.chat.others)?;
                }
                "tools" => {
                    self.chat.tools =
                        read_tools(place.items(value)?, place, &mut self.chat.others)?;
                }
                _ => self.read_setting(&name, value)?,
            }
        }
        Ok(())
    }

    fn read_generate(&mut self, request: Map<String, Value>) -> Result<(), BadRequest> {
        let mut system = String::new();
        let mut turn = Turn::default();
        for (name, value) in set_fields(request) {
            let place = Place::Top.field(&name);
            match name.as_str() {
                "prompt" => turn.content = place.text(value)?,
                "system" => system = place.text(value)?,
                "images" => turn.images = read_images(value, place)?,
                _ => self.read_setting(&name, value)?,
            }
        }
        if turn.content.is_empty() {
            return Ok(());
        }
        if !system.is_empty() {
            let system = Turn {
                content: system,
                ..Turn::default()
            };
            let system = Message::new(Role::System, system.into_parts());
            self.chat.messages.push(system);
        }
        let prompt = Message::new(Role::User, turn.into_parts());
        self.chat.messages.push(prompt);
        Ok(())
    }

    /// Reads a field that both endpoints have.
    fn read_setting(&mut self, name: &str, value: Value) -> Result<(), BadRequest> {
        let place = Place::Top.field(name);
        let chat = &mut self.chat;
        match name {
            "model" => chat.model = place.text(value)?,
            "stream" => chat.is_stream = place.flag(&value)?,
            "format" => chat.format = read_format(value, place)?,
            "options" => {
                for (name, value) in set_fields(place.object(value)?) {
                    read_option(chat, &name, value, place.field(&name))?;
                }
            }
            "think" => match read_reasoning(&value, place)? {
                Some(reasoning) => chat.reasoning = Some(reasoning),
                None => chat.others.push((name.to_owned(), value)),
            },
            "logprobs" => self.wants_logprobs = place.flag(&value)?,
            "top_logprobs" => self.top_logprobs = Some(count(&value, place)?),
            // How long the model stays in memory: nothing that an answer depends on.
            "keep_alive" => {}
            _ if is_default(name, &value) => {}
            _ => chat.others.push((name.to_owned(), value)),
        }
        Ok(())
    }

    fn finish(self) -> Chat {
        let mut chat = self.chat;
        // Ollama does not look at `top_logprobs` alone.
        chat.logprobs = self.wants_logprobs.then_some(LogprobsAsked {
            top: self.top_logprobs,
        });
        chat
    }
}

/// The fields that are there: null is the same as absent.
pub(super) fn set_fields(object: Map<String, Value>) -> impl Iterator<Item = (String, Value)> {
    object.into_iter().filter(|(_, value)| !value.is_null())
}

/// Whether a field of Ollama's own says what would happen without it.
pub(super) fn is_default(name: &str, value: &Value) -> bool {
    match (name, value) {
        ("truncate" | "shift", value) => *value == Value::Bool(true),
        ("raw", value) => *value == Value::Bool(false),
        ("template" | "suffix", Value::String(text)) => text.is_empty(),
        ("context", Value::Array(tokens)) => tokens.is_empty(),
        _ => false,
    }
}

fn read_option(
    chat: &mut Chat,
    name: &str,
    value: Value,
    place: Place<'_>,
) -> Result<(), BadRequest> {
    match name {
        // Zero and less are no limit; -2 once meant the rest of the context.
        "num_predict" => {
            let limit = place.rounded(&value)?;
            if limit > 0 {
                let limit = u32::try_from(limit).map_err(|_| place.invalid("a smaller integer"))?;
                chat.max_tokens = Some(limit);
            }
        }
        "temperature" => chat.temperature = Some(place.number(&value)?),
        "top_p" => chat.top_p = Some(place.number(&value)?),
        "top_k" => chat.top_k = Some(count(&value, place)?),
        "min_p" => chat.min_p = Some(place.number(&value)?),
        "frequency_penalty" => chat.frequency_penalty = Some(place.number(&value)?),
        "presence_penalty" => chat.presence_penalty = Some(place.number(&value)?),
        // A negative one is chosen at random, as is none.
        "seed" => chat.seed = Some(place.rounded(&value)?).filter(|seed| *seed >= 0),
        "stop" => {
            chat.stop = match value {
                Value::String(stop) => vec![stop],
                value => texts(value, place)?,
            };
        }
        _ if is_of_the_machine(name) => {}
        _ => chat.others.push((place.to_string(), value)),
    }
    Ok(())
}

/// How a model is run on Ollama's own machine: other providers know best what theirs need.
fn is_of_the_machine(option: &str) -> bool {
    matches!(
        option,
        "num_ctx"
            | "num_batch"
            | "num_gpu"
            | "num_keep"
            | "num_thread"
            | "main_gpu"
            | "low_vram"
            | "numa"
            | "use_mmap"
            | "use_mlock"
            | "f16_kv"
    )
}

fn read_format(value: Value, place: Place<'_>) -> Result<Option<Format>, BadRequest> {
    match value {
        Value::String(format) if format.is_empty() => Ok(None),
        Value::String(format) if format == "json" => Ok(Some(Format::Json)),
        schema @ Value::Object(_) => Ok(Some(Format::Schema(Schema {
            schema,
            ..Schema::default()
        }))),
        _ => Err(place.invalid("`json` or a JSON schema")),
    }
}

/// `None` for a level that only the model itself knows.
fn read_reasoning(value: &Value, place: Place<'_>) -> Result<Option<Reasoning>, BadRequest> {
    let effort = match value {
        Value::Bool(true) => None,
        Value::Bool(false) => Some(Effort::None),
        Value::String(level) => match Effort::parse(level) {
            Some(effort) => Some(effort),
            None => return Ok(None),
        },
        _ => return Err(place.invalid("a boolean or the name of a level")),
    };
    // Whatever Ollama's models think is told in the answer.
    let is_shown = (effort != Some(Effort::None)).then_some(true);
    Ok(Some(Reasoning {
        effort,
        budget: None,
        is_shown,
    }))
}

#[cfg(test)]
mod tests;
