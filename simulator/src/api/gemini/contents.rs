//! Contents and their parts, and the order they must come in.

use serde_json::{Map, Value};

use crate::ask::{Conversation, UserTurn};
use crate::base64;
use crate::fields::{Fields, Item, Reading};

use super::{UNSIGNED, call_signature, text_signature, wants_signatures};

/// A part has exactly one of them.
const KINDS: [&str; 7] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
];

/// What one content says.
#[derive(Default)]
struct Content {
    turn: UserTurn,
    calls: Vec<Call>,
    /// The names and the texts.
    responses: Vec<(String, String)>,
}

struct Call {
    name: String,
    is_signed: bool,
}

pub(super) fn read(
    contents: &Item<'_>,
    model: &str,
    conversation: &mut Conversation,
) -> Reading<()> {
    let list = contents.list()?;
    if list.is_empty() {
        return Err(contents.against("contents is not specified"));
    }
    let mut pending: Vec<String> = Vec::new();
    // The last content whose calls came without a signature, in the turn that goes on.
    let mut unsigned = None;
    for item in &list {
        let (role, content) = item.object(read_content)?;
        check_order(item, role, &content, &mut pending)?;
        let says_something = content.turn != UserTurn::default();
        if role == "model" {
            if content.calls.first().is_some_and(|call| !call.is_signed) {
                unsigned.get_or_insert(item);
            }
            conversation.assistant(&content.turn.texts.concat());
            pending.extend(content.calls.into_iter().map(|call| call.name));
            continue;
        }
        for (_, text) in content.responses {
            conversation.result(text);
        }
        if says_something {
            // Earlier turns may have come from anywhere.
            unsigned = None;
            conversation.user(content.turn);
        }
    }
    if let Some(unsigned) = unsigned
        && wants_signatures(model)
    {
        return Err(unsigned.against(
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work \
             correctly, and missing thought_signature may lead to degraded model performance.",
        ));
    }
    match list.last() {
        Some(last) if !pending.is_empty() => Err(last.against(OUT_OF_ORDER)),
        _ => Ok(()),
    }
}

pub(super) fn read_system(system: &Item<'_>, conversation: &mut Conversation) -> Reading<()> {
    system.object(|fields| {
        fields.text("role")?;
        for part in fields.need("parts")?.list()? {
            part.object(|part| {
                conversation.instruct(part.need_text("text")?);
                Ok(())
            })?;
        }
        Ok(())
    })
}

const OUT_OF_ORDER: &str = "Please ensure that function call turn comes immediately after a user turn or after a \
     function response turn, and that the number of function response parts is equal to the number of function call \
     parts of the function call turn.";

/// Every call is answered in the very next content, by its name.
fn check_order(
    item: &Item<'_>,
    role: &str,
    content: &Content,
    pending: &mut Vec<String>,
) -> Reading<()> {
    let belongs_elsewhere = match role {
        "model" => !content.responses.is_empty(),
        _ => !content.calls.is_empty(),
    };
    let is_complete = content.responses.len() == pending.len();
    for (name, _) in &content.responses {
        match pending.iter().position(|it| it == name) {
            Some(place) => pending.remove(place),
            None => return Err(item.against(OUT_OF_ORDER)),
        };
    }
    match belongs_elsewhere || !is_complete {
        true => Err(item.against(OUT_OF_ORDER)),
        false => Ok(()),
    }
}

fn read_content(fields: &mut Fields<'_>) -> Reading<(&'static str, Content)> {
    let Some(role) = fields
        .one_of("role", &["user", "model"])
        .map_err(|_| fields.against("role", "Please use a valid role: user, model."))?
    else {
        return Ok(("user", read_parts(fields)?));
    };
    Ok((role, read_parts(fields)?))
}

fn read_parts(fields: &mut Fields<'_>) -> Reading<Content> {
    let parts = fields.need("parts")?;
    let list = parts.list()?;
    if list.is_empty() {
        return Err(parts.against("contents.parts must not be empty."));
    }
    let mut content = Content::default();
    for part in list {
        part.object(|fields| read_part(&part, &mut content, fields))?;
    }
    Ok(content)
}

fn read_part(item: &Item<'_>, content: &mut Content, fields: &mut Fields<'_>) -> Reading<()> {
    let is_thought = fields.flag("thought")?.unwrap_or_default();
    fields.any_object("videoMetadata")?;
    fields.any_object("mediaResolution")?;
    let signature = fields.text("thoughtSignature")?;
    let mut kinds = KINDS.iter().filter(|kind| fields.value(kind).is_some());
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        return Err(item.against("required oneof field 'data' must have one initialized field"));
    };
    let mut expected = text_signature();
    match *kind {
        "text" => {
            let text = fields.need_text("text")?;
            if !is_thought && !text.is_empty() {
                content.turn.texts.push(text.to_owned());
            }
        }
        "inlineData" => {
            let kind = fields.need("inlineData")?.object(read_blob)?;
            count(&mut content.turn, kind);
        }
        "fileData" => {
            let kind = fields.need("fileData")?.object(|file| {
                file.need_text("fileUri")?;
                Ok(file.text("mimeType")?.unwrap_or_default())
            })?;
            count(&mut content.turn, kind);
        }
        "functionCall" => {
            let name = fields.need("functionCall")?.object(|call| {
                call.text("id")?;
                call.any_object("args")?;
                call.need_text("name")
            })?;
            expected = call_signature(name);
            content.calls.push(Call {
                name: name.to_owned(),
                is_signed: signature.is_some(),
            });
        }
        "functionResponse" => {
            let response = fields.need("functionResponse")?.object(|response| {
                response.text("id")?;
                response.flag("willContinue")?;
                response.text("scheduling")?;
                let name = response.need_text("name")?.to_owned();
                let result = response.need("response")?;
                Ok((name, text_of(result.any_object()?)))
            })?;
            content.responses.push(response);
        }
        _ => {}
    }
    match signature {
        Some(given) if given != expected && !is_excuse(given) => {
            Err(fields.against("thoughtSignature", "Thought signature is not valid."))
        }
        _ => Ok(()),
    }
}

/// The field has bytes, so either alphabet of base64 says the same.
fn is_excuse(signature: &str) -> bool {
    UNSIGNED.contains(&&*signature.replace('/', "_"))
}

/// The kind of inline data.
fn read_blob<'a>(blob: &mut Fields<'a>) -> Reading<&'a str> {
    blob.text("displayName")?;
    let data = blob.need("data")?;
    // Google takes the alphabet for addresses too.
    let standard = data.text()?.replace('-', "+").replace('_', "/");
    if !base64::is_valid(&standard) {
        return Err(data.against("Base64 decoding failed"));
    }
    blob.need_text("mimeType")
}

fn count(turn: &mut UserTurn, kind: &str) {
    match kind.starts_with("image/") {
        true => turn.images += 1,
        false => turn.files += 1,
    }
}

/// A result that is nothing but a text is that text; any other is its JSON.
fn text_of(response: &Map<String, Value>) -> String {
    let mut values = response.values();
    match (values.next(), values.next()) {
        (Some(Value::String(text)), None) => text.clone(),
        _ => Value::Object(response.clone()).to_string(),
    }
}
