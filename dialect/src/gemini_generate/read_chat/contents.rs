//! `contents` → messages.
//!
//! A result of a tool is a part of the user's content here and a message of its own in the canonical form. Ids are
//! optional: calls without one get one, so that results can be told whose they are.

use serde_json::Value;

use super::super::place::{self, Others, Place, camel};
use super::part::read_part;
use crate::BadRequest;
use crate::canon::{Message, Part, Role, ToolCall, ToolResult};

/// One of `contents`, or the `systemInstruction`.
pub(super) struct Content {
    is_models: bool,
    pub(super) parts: Vec<Part>,
}

/// Reads all of `contents`, oldest first.
pub(super) fn read_contents(
    value: Value,
    at: Place<'_>,
    others: &mut Others,
) -> Result<Vec<Message>, BadRequest> {
    let mut conversation = Conversation::default();
    for (index, content) in (0..).zip(place::list(value, at)?) {
        let at = at.item(index);
        let Content { is_models, parts } = read_content(content, at, others)?;
        match is_models {
            true => conversation.add_models(parts, at)?,
            false => conversation.add_users(parts, at)?,
        }
    }
    let mut messages = conversation.messages;
    messages.retain(|message| !message.parts.is_empty());
    Ok(messages)
}

pub(super) fn read_content(
    value: Value,
    at: Place<'_>,
    others: &mut Others,
) -> Result<Content, BadRequest> {
    let mut content = Content {
        is_models: false,
        parts: Vec::new(),
    };
    for (name, value) in place::fields(value, at)? {
        let at = at.field(&name);
        match &*camel(&name) {
            "role" => content.is_models = is_models(&at.text(value)?, at)?,
            "parts" => {
                for (index, part) in (0..).zip(place::list(value, at)?) {
                    let part = read_part(part, at.item(index), others)?;
                    content.parts.extend(part);
                }
            }
            _ => others.push((at.to_string(), value)),
        }
    }
    Ok(content)
}

fn is_models(role: &str, at: Place<'_>) -> Result<bool, BadRequest> {
    match role {
        "model" => Ok(true),
        // Results of tools used to have a role of their own. System instructions come with any.
        "" | "user" | "function" | "tool" | "system" => Ok(false),
        _ => Err(at.invalid("`user` or `model`")),
    }
}

#[derive(Default)]
struct Conversation {
    messages: Vec<Message>,
    n_calls: usize,
    /// Calls of the model's latest turn that no result has come for.
    open_calls: Vec<OpenCall>,
}

struct OpenCall {
    id: String,
    is_id_made: bool,
    name: String,
}

impl Conversation {
    /// A streamed answer is often sent back as it came, one content for each piece: they are one message.
    fn add_models(&mut self, parts: Vec<Part>, at: Place<'_>) -> Result<(), BadRequest> {
        if self.last_role() != Some(Role::Assistant) {
            self.open_calls.clear();
            self.messages
                .push(Message::new(Role::Assistant, Vec::new()));
        }
        for part in parts {
            let part = match part {
                Part::ToolCall(call) => Part::ToolCall(self.open(call)),
                Part::ToolResult(_) => {
                    return Err(at
                        .field("parts")
                        .invalid("a `functionResponse` only where the role is `user`"));
                }
                part => part,
            };
            if let Some(message) = self.messages.last_mut() {
                join(&mut message.parts, part);
            }
        }
        Ok(())
    }

    /// Results go first: other dialects want them right behind the calls.
    fn add_users(&mut self, parts: Vec<Part>, at: Place<'_>) -> Result<(), BadRequest> {
        let mut results = Vec::new();
        let mut rest = Vec::new();
        for part in parts {
            match part {
                Part::ToolResult(result) => results.push(Part::ToolResult(self.answer(result))),
                Part::ToolCall(_) => {
                    return Err(at
                        .field("parts")
                        .invalid("a `functionCall` only where the role is `model`"));
                }
                // Thoughts are the model's; from anybody else they tell nothing.
                Part::Thinking { .. } => {}
                part => rest.push(part),
            }
        }
        if !results.is_empty() {
            match self.messages.last_mut() {
                Some(message) if message.role == Role::Tool => message.parts.append(&mut results),
                _ => self.messages.push(Message::new(Role::Tool, results)),
            }
        }
        if !rest.is_empty() {
            self.messages.push(Message::new(Role::User, rest));
        }
        Ok(())
    }

    fn last_role(&self) -> Option<Role> {
        self.messages.last().map(|message| message.role)
    }

    fn open(&mut self, mut call: ToolCall) -> ToolCall {
        let is_id_made = call.id.is_empty();
        if is_id_made {
            call.id = self.make_id();
        }
        self.n_calls += 1;
        self.open_calls.push(OpenCall {
            id: call.id.clone(),
            is_id_made,
            name: call.name.clone(),
        });
        call
    }

    /// Finds the call that `result` belongs to: the one with its id, or the first of its name.
    fn answer(&mut self, mut result: ToolResult) -> ToolResult {
        let has_id = !result.call_id.is_empty();
        let by_id = |call: &OpenCall| call.id == result.call_id;
        let by_name = |call: &OpenCall| {
            Some(&call.name) == result.name.as_ref() && (call.is_id_made || !has_id)
        };
        let mut calls = self.open_calls.iter();
        let found = calls
            .position(by_id)
            .or_else(|| self.open_calls.iter().position(by_name));
        match found {
            Some(index) => result.call_id = self.open_calls.remove(index).id,
            None if has_id => {}
            None => {
                result.call_id = self.make_id();
                self.n_calls += 1;
            }
        }
        result
    }

    fn make_id(&self) -> String {
        format!("call_{}", self.n_calls)
    }
}

/// Adds a part to those of the model, of whose words and thoughts several pieces may be one.
fn join(parts: &mut Vec<Part>, part: Part) {
    match (parts.last_mut(), part) {
        // The last chunk of a stream has one.
        (_, Part::Text(empty)) if empty.is_empty() => {}
        (Some(Part::Text(text)), Part::Text(more)) => text.push_str(&more),
        (
            Some(Part::Thinking {
                text,
                signature: signature @ None,
            }),
            Part::Thinking {
                text: more,
                signature: more_signature,
            },
        ) => {
            text.push_str(&more);
            *signature = more_signature;
        }
        (_, part) => parts.push(part),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::canon::Proof;
    use crate::gemini_generate::OWN;

    fn messages(contents: Value) -> Vec<Message> {
        let at = Place::Top.field("contents");
        read_contents(contents, at, &mut Vec::new()).unwrap()
    }

    /// The id of each call and result, in their order.
    fn ids(messages: &[Message]) -> Vec<&str> {
        let parts = messages.iter().flat_map(|message| &message.parts);
        parts
            .filter_map(|part| match part {
                Part::ToolCall(call) => Some(&*call.id),
                Part::ToolResult(result) => Some(&*result.call_id),
                _ => None,
            })
            .collect()
    }

    fn call(name: &str) -> Value {
        json!({"functionCall": {"name": name, "args": {}}})
    }

    fn result(name: &str) -> Value {
        json!({"functionResponse": {"name": name, "response": {"result": "x"}}})
    }

    #[test]
    fn results_without_ids_find_their_calls_by_name_and_order() {
        let messages = messages(json!([
            {"role": "model", "parts": [call("a"), call("b"), call("a")]},
            {"role": "user", "parts": [result("b"), result("a"), result("a")]},
            {"role": "model", "parts": [call("a")]},
            {"role": "user", "parts": [result("a")]},
        ]));

        let expected = [
            "call_0", "call_1", "call_2", "call_1", "call_0", "call_2", "call_3", "call_3",
        ];
        assert_eq!(ids(&messages), expected);
    }

    #[test]
    fn ids_that_are_there_decide() {
        let messages = messages(json!([
            {"role": "model", "parts": [
                {"functionCall": {"id": "x", "name": "a"}}, {"functionCall": {"id": "y", "name": "a"}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "y", "name": "a", "response": {}}},
                {"functionResponse": {"id": "x", "name": "a", "response": {}}},
                {"functionResponse": {"id": "z", "name": "a", "response": {}}},
            ]},
        ]));

        assert_eq!(ids(&messages), ["x", "y", "y", "x", "z"]);
    }

    #[test]
    fn a_call_that_was_never_answered_is_not_answered_later() {
        let messages = messages(json!([
            {"role": "model", "parts": [call("a")]},
            {"role": "user", "parts": [{"text": "never mind"}]},
            {"role": "model", "parts": [call("a")]},
            {"role": "user", "parts": [result("a")]},
        ]));

        assert_eq!(ids(&messages), ["call_0", "call_1", "call_1"]);
    }

    #[test]
    fn results_come_before_what_the_user_says_beside_them() {
        let messages = messages(json!([
            {"role": "model", "parts": [call("a")]},
            {"parts": [{"text": "here"}, result("a")]},
        ]));

        let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::Assistant, Role::Tool, Role::User]);
    }

    #[test]
    fn the_pieces_of_a_streamed_answer_are_one_message() {
        let messages = messages(json!([
            {"role": "model", "parts": [{"text": "I ", "thought": true}]},
            {"role": "model", "parts": [{"text": "think", "thought": true}]},
            {"role": "model", "parts": [{"text": "", "thought": true, "thoughtSignature": "c2ln"}]},
            {"role": "model", "parts": [{"text": "Hel"}]},
            {"role": "model", "parts": [{"text": "lo"}]},
            {"role": "model", "parts": [{"text": ""}]},
        ]));

        let thinking = Part::Thinking {
            text: "I think".to_owned(),
            signature: Proof::new(OWN, "c2ln".to_owned()),
        };
        let expected = vec![thinking, Part::Text("Hello".to_owned())];
        assert_eq!(messages, [Message::new(Role::Assistant, expected)]);
    }

    #[test]
    fn calls_are_the_models_and_results_are_the_users() {
        let at = Place::Top.field("contents");
        let param = |contents: Value| {
            read_contents(contents, at, &mut Vec::new())
                .unwrap_err()
                .param
                .unwrap()
        };

        assert_eq!(
            param(json!([{"role": "user", "parts": [call("a")]}])),
            "contents[0].parts"
        );
        assert_eq!(
            param(json!([{"role": "model", "parts": [result("a")]}])),
            "contents[0].parts"
        );
        assert_eq!(
            param(json!([{"role": "assistant", "parts": []}])),
            "contents[0].role"
        );
    }
}
