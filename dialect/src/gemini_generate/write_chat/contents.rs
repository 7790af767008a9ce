//! Messages → `contents` and `systemInstruction`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::super::OWN;
use super::super::arguments;
use super::super::outgoing::{Content, FunctionResponse, Part as WrittenPart};
use super::super::read_chat::is_googles;
use super::generation;
use crate::BadRequest;
use crate::canon::{Chat, Losses, Message, Part, Proof, Role, Source, ToolResult, between_turns};

#[derive(Serialize)]
pub(super) struct SystemInstruction<'a> {
    parts: Vec<WrittenPart<'a>>,
}

/// What the system says before anyone else does.
pub(super) fn system_instruction<'a>(
    chat: &'a Chat,
    losses: &Losses,
) -> Result<Option<SystemInstruction<'a>>, BadRequest> {
    let mut parts = Vec::new();
    for (index, message) in numbered(chat).take(n_leading(chat)) {
        let texts = system_texts(index, message, losses)?;
        parts.extend(texts.into_iter().map(WrittenPart::text));
    }
    Ok((!parts.is_empty()).then_some(SystemInstruction { parts }))
}

/// How many system messages come first. Not all, if there are no others: the API wants something said by the user, and
/// then they are that.
fn n_leading(chat: &Chat) -> usize {
    let is_system = |message: &&Message| message.role == Role::System;
    let n_leading = chat.messages.iter().take_while(is_system).count();
    match n_leading == chat.messages.len() {
        true => 0,
        false => n_leading,
    }
}

/// Neighbours with the same role are one content: results of tools and what the user says next, above all. What the
/// system says between turns stays in its place, as text between `<system>` tags in the user's content there.
///
/// Of the calls that were made at once, the first has to be signed, or to say that Gemini did not make it.
pub(super) fn contents<'a>(
    chat: &'a Chat,
    model: &str,
    losses: &Losses,
) -> Result<Vec<Content<'a>>, BadRequest> {
    let n_leading = n_leading(chat);
    let is_systems_alone = chat.messages.iter().all(|it| it.role == Role::System);
    let mut contents: Vec<Content<'a>> = Vec::new();
    for (index, message) in numbered(chat).skip(n_leading) {
        let role = match message.role {
            Role::System | Role::User | Role::Tool => "user",
            Role::Assistant => "model",
        };
        let mut parts = match message.role {
            Role::System => {
                let texts = system_texts(index, message, losses)?;
                match is_systems_alone {
                    true => texts.into_iter().map(WrittenPart::text).collect(),
                    false => in_tags(&texts).into_iter().collect(),
                }
            }
            _ => {
                lose_name(index, message, losses)?;
                parts(message, chat, losses)?
            }
        };
        match contents.last_mut() {
            Some(content) if content.role == role => content.parts.append(&mut parts),
            _ if parts.is_empty() => {}
            _ => contents.push(Content { parts, role }),
        }
    }
    for content in &mut contents {
        // Responses answer the content before.
        content.parts.sort_by_key(|part| !part.is_response());
    }
    if wants_signatures(model) {
        for content in &mut contents {
            let mut parts = content.parts.iter_mut();
            if let Some(call) = parts.find(|part| part.is_call()) {
                call.excuse();
            }
        }
    }
    Ok(contents)
}

/// All models do, whatever they are called, but the ones before Gemini 3.
fn wants_signatures(model: &str) -> bool {
    generation(model) >= 3
}

fn own(proof: &Proof) -> Option<Cow<'_, str>> {
    proof.of(OWN).map(Cow::Borrowed)
}

fn in_tags<'a>(texts: &[&'a str]) -> Option<WrittenPart<'a>> {
    (!texts.is_empty()).then(|| WrittenPart::text(between_turns(texts)))
}

fn system_texts<'a>(
    index: usize,
    message: &'a Message,
    losses: &Losses,
) -> Result<Vec<&'a str>, BadRequest> {
    lose_name(index, message, losses)?;
    let mut texts = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(text) => texts.push(text.as_str()),
            _ => losses.lose_part(part)?,
        }
    }
    Ok(texts)
}

fn numbered(chat: &Chat) -> impl Iterator<Item = (usize, &Message)> {
    (0..).zip(&chat.messages)
}

fn lose_name(index: usize, message: &Message, losses: &Losses) -> Result<(), BadRequest> {
    match message.name {
        Some(_) => Ok(losses.lose_name(index)?),
        None => Ok(()),
    }
}

fn parts<'a>(
    message: &'a Message,
    chat: &'a Chat,
    losses: &Losses,
) -> Result<Vec<WrittenPart<'a>>, BadRequest> {
    let mut parts = Vec::new();
    // An empty text beside calls is how OpenAI's clients say that there is none.
    let is_padding = |text: &str| {
        text.is_empty() && (message.role == Role::Assistant || message.parts.len() > 1)
    };
    for part in &message.parts {
        match part {
            Part::Text(text) | Part::Refusal(text) if is_padding(text) => {}
            Part::Text(text) | Part::Refusal(text) => parts.push(WrittenPart::text(text)),
            Part::Thinking { text, signature } => {
                parts.push(WrittenPart::thinking(
                    text,
                    signature.as_ref().and_then(own),
                ));
            }
            // Nobody can read it but who wrote it.
            Part::RedactedThinking(_) => {}
            Part::ToolCall(call) => {
                let signature = call.signature.as_ref().and_then(own);
                let part = WrittenPart::call(call, signature);
                parts.push(part.ok_or_else(|| losses.no_object(call))?);
            }
            Part::ToolResult(result) => parts.push(response(result, chat, losses)?),
            media => parts.extend(written_media(media, losses)?),
        }
    }
    Ok(parts)
}

/// `None` for what was lost, and for what is no medium.
fn written_media<'a>(
    part: &'a Part,
    losses: &Losses,
) -> Result<Option<WrittenPart<'a>>, BadRequest> {
    let source = match part {
        Part::Audio {
            data, media_type, ..
        } => return Ok(Some(WrittenPart::inline(media_type, data))),
        // How closely to look is told for all images together; the Gemini API does not take a file's name.
        Part::Image { source, .. } | Part::File { source, .. } => source,
        _ => return Ok(None),
    };
    match source {
        Source::Data { media_type, base64 } => Ok(Some(WrittenPart::inline(media_type, base64))),
        Source::Url(url) => Ok(Some(WrittenPart::file(url))),
        Source::FileId(uri) if is_googles(uri) => Ok(Some(WrittenPart::file(uri))),
        Source::FileId(_) => {
            losses.lose_part(part)?;
            Ok(None)
        }
    }
}

fn response<'a>(
    result: &'a ToolResult,
    chat: &'a Chat,
    losses: &Losses,
) -> Result<WrittenPart<'a>, BadRequest> {
    let name = result
        .name
        .as_deref()
        .or_else(|| chat.tool_name(&result.call_id));
    let Some(name) = name else {
        return Err(losses.no_call(result));
    };
    let mut texts = Vec::new();
    let mut media = Vec::new();
    for part in &result.parts {
        match part {
            Part::Text(text) => texts.push(text.as_str()),
            part => media.extend(written_media(part, losses)?),
        }
    }
    Ok(WrittenPart::response(FunctionResponse {
        id: &result.call_id,
        name,
        response: response_object(&texts.join("\n\n"), result.is_error)?,
        parts: media,
    }))
}

/// An object stays as it is; a text, and what tells of an error, are put into one.
fn response_object(text: &str, is_error: bool) -> Result<Box<RawValue>, BadRequest> {
    let object = arguments::object(text).filter(|_| !text.is_empty());
    let wrapped = match (object, is_error) {
        (Some(object), false) => return Ok(object),
        (Some(object), true) => format!("{{\"error\":{object}}}"),
        (None, true) => json!({"error": text}).to_string(),
        (None, false) => json!({"result": text}).to_string(),
    };
    RawValue::from_string(wrapped)
        .map_err(|error| BadRequest::new(format!("A tool's result cannot be written: {error}.")))
}

#[cfg(test)]
mod tests {
    use shared::config::Dialect;

    use super::*;
    use crate::canon::{Origin, ToolCall};

    fn written(messages: Vec<Message>) -> Result<String, BadRequest> {
        let losses = Losses::new(Dialect::OpenaiChat, Dialect::GeminiGenerate, false);
        let chat = Chat {
            messages,
            ..Chat::default()
        };
        Ok(serde_json::to_string(&contents(&chat, "gemini-3-pro", &losses)?).unwrap())
    }

    fn call(arguments: &str) -> Message {
        let call = ToolCall {
            id: "call_1".to_owned(),
            name: "f".to_owned(),
            arguments: arguments.to_owned(),
            signature: Proof::new(OWN, "c2ln".to_owned()),
        };
        Message::new(
            Role::Assistant,
            vec![Part::Text(String::new()), Part::ToolCall(call)],
        )
    }

    fn result(call_id: &str, text: &str) -> Message {
        let result = ToolResult {
            call_id: call_id.to_owned(),
            name: None,
            parts: vec![Part::Text(text.to_owned())],
            is_error: false,
        };
        Message::new(Role::Tool, vec![Part::ToolResult(result)])
    }

    fn said(role: Role, text: &str) -> Message {
        Message::new(role, vec![Part::Text(text.to_owned())])
    }

    #[track_caller]
    fn check_response(text: &str, is_error: bool, expected: &str) {
        let object = response_object(text, is_error).unwrap();

        assert_eq!(object.get(), expected);
    }

    #[test]
    fn a_result_is_an_object_with_the_name_of_its_tool() {
        let written = written(vec![
            call("{\"a\": 1}"),
            result("call_1", "sunny"),
            said(Role::User, "And?"),
        ]);

        let expected = concat!(
            r#"[{"parts":[{"functionCall":{"id":"call_1","name":"f","args":{"a":1}},"thoughtSignature":"c2ln"}],"role":"model"},"#,
            r#"{"parts":[{"functionResponse":{"id":"call_1","name":"f","response":{"result":"sunny"}}},{"text":"And?"}],"role":"user"}]"#,
        );
        assert_eq!(written.as_deref(), Ok(expected));
    }

    #[test]
    fn the_first_call_of_each_step_is_signed_or_says_that_gemini_did_not_make_it() {
        let losses = Losses::new(Dialect::OpenaiChat, Dialect::GeminiGenerate, false);
        let unsigned = |mut message: Message| {
            for part in &mut message.parts {
                if let Part::ToolCall(call) = part {
                    call.signature = Proof::new(Dialect::BedrockConverse, "c2ln".to_owned());
                }
            }
            message
        };
        let messages = vec![
            unsigned(call("{}")),
            unsigned(call("{}")),
            result("call_1", "sunny"),
            call("{}"),
            result("call_1", "sunny"),
            unsigned(call("{}")),
        ];
        let chat = Chat {
            messages,
            ..Chat::default()
        };
        let signatures = |model| {
            let contents = contents(&chat, model, &losses).unwrap();
            let contents = serde_json::to_value(contents).unwrap();
            let parts = contents.as_array().unwrap().iter();
            let parts = parts.flat_map(|content| content["parts"].as_array().unwrap().clone());
            let calls = parts.filter(|part| part.get("functionCall").is_some());
            let signatures = calls.map(|call| call["thoughtSignature"].as_str().map(str::to_owned));
            signatures
                .map(Option::unwrap_or_default)
                .collect::<Vec<_>>()
        };

        let excuse = "skip_thought_signature_validator";
        for model in ["gemini-3-pro", "gemini-flash-latest", "tunedModels/mine"] {
            assert_eq!(signatures(model), [excuse, "", "c2ln", excuse], "{model}");
        }
        for model in ["gemini-2.5-pro", "models/gemini-2.0-flash"] {
            assert_eq!(signatures(model), ["", "", "c2ln", ""], "{model}");
        }
    }

    #[test]
    fn results_that_are_no_objects_are_put_into_one() {
        check_response("{\"a\": 1}", false, r#"{"a":1}"#);
        check_response("[1, 2]", false, r#"{"result":"[1, 2]"}"#);
        check_response("", false, r#"{"result":""}"#);
        check_response("no city", true, r#"{"error":"no city"}"#);
        check_response("{\"code\": 1}", true, r#"{"error":{"code":1}}"#);
    }

    #[test]
    fn a_result_of_no_call_is_refused() {
        let refused = written(vec![call("{}"), result("call_2", "x")]).unwrap_err();

        assert_eq!(refused.param.as_deref(), Some("messages"));
    }

    #[test]
    fn arguments_that_are_no_object_are_refused() {
        let refused = written(vec![said(Role::User, "Hi"), call("[1]")]).unwrap_err();

        assert_eq!(refused.param.as_deref(), Some("messages"));
    }

    #[test]
    fn neighbours_with_the_same_role_are_one_content() {
        let written = written(vec![
            said(Role::User, "a"),
            said(Role::User, "b"),
            said(Role::Assistant, ""),
            said(Role::User, "c"),
        ]);

        let expected = r#"[{"parts":[{"text":"a"},{"text":"b"},{"text":"c"}],"role":"user"}]"#;
        assert_eq!(written.as_deref(), Ok(expected));
    }

    #[test]
    fn what_the_system_says_between_turns_stays_there_and_behind_results() {
        let written = written(vec![
            said(Role::System, "first"),
            call("{}"),
            said(Role::System, "s"),
            result("call_1", "done"),
        ])
        .unwrap();

        let contents: serde_json::Value = serde_json::from_str(&written).unwrap();
        let parts = contents[1]["parts"].as_array().unwrap();
        assert!(parts[0]["functionResponse"].is_object(), "{written}");
        assert_eq!(parts[1]["text"], "<system>\ns\n</system>");
        assert!(!written.contains("first"), "{written}");
    }

    #[test]
    fn what_the_system_says_alone_is_said_by_the_user() {
        let written = written(vec![said(Role::System, "Tell a joke.")]);

        let expected = r#"[{"parts":[{"text":"Tell a joke."}],"role":"user"}]"#;
        assert_eq!(written.as_deref(), Ok(expected));
    }

    #[test]
    fn only_googles_own_files_can_be_named() {
        let file = |id: &str| {
            let source = Source::FileId(id.to_owned());
            let file = Part::File {
                source,
                name: None,
                origin: Origin::at("messages[0].content[0]"),
            };
            Message::new(Role::User, vec![file])
        };

        let refused = written(vec![file("file-123")]).unwrap_err();
        let googles = written(vec![file(
            "https://generativelanguage.googleapis.com/v1beta/files/x",
        )]);

        assert_eq!(refused.param.as_deref(), Some("messages[0].content[0]"));
        assert!(googles.is_ok());
    }
}
