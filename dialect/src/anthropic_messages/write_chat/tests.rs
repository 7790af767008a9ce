mod settings;
mod tools;
mod turns;

use serde_json::{Map, json};
use shared::config::{Dialect, Manners};

use super::*;
use crate::Endpoint;
use crate::anthropic_messages::read_chat;
use crate::canon::{
    LogprobsAsked, Message, Origin, Part, Proof, Reasoning, Role, Source, ToolCall, ToolResult,
};

fn write_with(chat: &Chat, drop_unsupported: bool) -> Result<Value, BadRequest> {
    let target = Target {
        dialect: Dialect::AnthropicMessages,
        manners: Manners::Plain,
        model: "claude",
        overrides: &crate::Overrides::default(),
        drop_unsupported,
    };
    let losses = Losses::new(Dialect::OpenaiChat, target.dialect, drop_unsupported);
    let body = write_chat(chat, &target, &losses)?;
    Ok(serde_json::from_slice(&body).unwrap())
}

#[track_caller]
fn write(chat: &Chat) -> Value {
    write_with(chat, false).unwrap()
}

/// Refused by that name, or dropped.
#[track_caller]
fn check_lost(chat: &Chat, name: &str) -> Value {
    let refused = write_with(chat, false).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some(name), "{}", refused.message);
    write_with(chat, true).unwrap()
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn call(id: &str, arguments: &str) -> Part {
    Part::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "find".to_owned(),
        arguments: arguments.to_owned(),
        signature: None,
    })
}

fn result(call_id: &str, parts: Vec<Part>) -> Message {
    let result = ToolResult {
        call_id: call_id.to_owned(),
        name: None,
        parts,
        is_error: false,
    };
    Message::new(Role::Tool, vec![Part::ToolResult(result)])
}

fn says(role: Role, words: &str) -> Message {
    Message::new(role, vec![text(words)])
}

fn chat(messages: Vec<Message>) -> Chat {
    Chat {
        messages,
        ..Chat::default()
    }
}

fn hello() -> Chat {
    chat(vec![says(Role::User, "Hi")])
}

fn texts(words: &[&str]) -> Value {
    let blocks = words
        .iter()
        .map(|words| json!({"type": "text", "text": words}));
    Value::Array(blocks.collect())
}

fn with_tools() -> Chat {
    let mut chat = hello();
    chat.tools = vec![Tool {
        name: "find".to_owned(),
        description: None,
        parameters: None,
        strict: Some(true),
    }];
    chat
}
