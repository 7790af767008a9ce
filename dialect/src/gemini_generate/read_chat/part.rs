//! Parts of a content.

use serde_json::{Map, Value};

use super::super::OWN;
use super::super::place::{self, Others, Place, camel, standard_base64};
use crate::BadRequest;
use crate::canon::{Origin, Part, Proof, Source, ToolCall, ToolResult};

/// Reads one part; `None` for one that the canonical form has no place for, which is in `others` then.
///
/// Calls and results without an id have an empty one.
pub(super) fn read_part(
    value: Value,
    at: Place<'_>,
    others: &mut Others,
) -> Result<Option<Part>, BadRequest> {
    let n_others = others.len();
    let mut is_thought = false;
    let mut signature = None;
    let mut part = None;
    for (name, value) in place::fields(value, at)? {
        let at_field = at.field(&name);
        let data = match &*camel(&name) {
            "thought" => {
                is_thought = at_field.flag(&value)?;
                continue;
            }
            "thoughtSignature" => {
                let text = standard_base64(at_field.text(value)?);
                signature = Proof::read_base64(text, OWN);
                continue;
            }
            "text" => Some(Part::Text(at_field.text(value)?)),
            "inlineData" => read_inline_data(value, at_field, others)?,
            "fileData" => read_file_data(value, at_field, others)?,
            "functionCall" => Some(Part::ToolCall(read_call(value, at_field, others)?)),
            "functionResponse" => Some(Part::ToolResult(read_result(value, at_field, others)?)),
            _ => {
                others.push((at_field.to_string(), value));
                continue;
            }
        };
        if data.is_some() && part.is_some() {
            return Err(at.invalid("one kind of data in each part"));
        }
        part = data.or(part);
    }
    match part {
        Some(Part::Text(text)) if is_thought => Ok(Some(Part::Thinking { text, signature })),
        Some(Part::ToolCall(call)) => Ok(Some(Part::ToolCall(ToolCall { signature, ..call }))),
        // A signature of a text is Google's own, and nobody insists on having it back.
        Some(part) => Ok(Some(part)),
        None if others.len() > n_others => Ok(None),
        None => Err(at.invalid(
            "a part with `text`, `inlineData`, `fileData`, `functionCall` or `functionResponse`",
        )),
    }
}

/// What `inlineData` and `fileData` have.
#[derive(Default)]
struct Media {
    media_type: String,
    /// Base64, or the URI.
    data: Option<String>,
    name: Option<String>,
}

fn read_media(
    value: Value,
    at: Place<'_>,
    data_name: &str,
    others: &mut Others,
) -> Result<Media, BadRequest> {
    let mut media = Media::default();
    for (name, value) in place::fields(value, at)? {
        let at = at.field(&name);
        match &*camel(&name) {
            "mimeType" => media.media_type = at.text(value)?,
            "displayName" => media.name = Some(at.text(value)?),
            camel if camel == data_name => media.data = Some(at.text(value)?),
            _ => others.push((at.to_string(), value)),
        }
    }
    match media.data {
        Some(_) => Ok(media),
        None => Err(at.field(data_name).missing()),
    }
}

fn read_inline_data(
    value: Value,
    at: Place<'_>,
    others: &mut Others,
) -> Result<Option<Part>, BadRequest> {
    let Media {
        media_type,
        data,
        name,
    } = read_media(value, at, "data", others)?;
    let base64 = standard_base64(data.unwrap_or_default());
    Ok(match Kind::of(&media_type) {
        Kind::Audio => Some(Part::Audio {
            data: base64,
            media_type,
            origin: Origin::at(&at),
        }),
        Kind::Image => Some(image(Source::Data { media_type, base64 }, at)),
        Kind::Document => Some(Part::File {
            source: Source::Data { media_type, base64 },
            name,
            origin: Origin::at(&at),
        }),
        Kind::Other => {
            others.push((at.to_string(), Value::from(media_type)));
            None
        }
    })
}

fn read_file_data(
    value: Value,
    at: Place<'_>,
    others: &mut Others,
) -> Result<Option<Part>, BadRequest> {
    let Media {
        media_type,
        data,
        name,
    } = read_media(value, at, "fileUri", others)?;
    let uri = data.unwrap_or_default();
    let media_type = match media_type.is_empty() {
        true => type_of_extension(&uri),
        false => &media_type,
    };
    let kind = Kind::of(media_type);
    let source = match is_googles(&uri) {
        true => Source::FileId(uri),
        false => Source::of_url(&uri),
    };
    Ok(match kind {
        Kind::Image => Some(image(source, at)),
        Kind::Document => Some(Part::File {
            source,
            name,
            origin: Origin::at(&at),
        }),
        Kind::Audio | Kind::Other => {
            others.push((at.to_string(), Value::from(media_type)));
            None
        }
    })
}

fn image(source: Source, at: Place<'_>) -> Part {
    Part::Image {
        source,
        detail: None,
        origin: Origin::at(&at),
    }
}

/// Whether only Google can read what `uri` names.
pub(in super::super) fn is_googles(uri: &str) -> bool {
    uri.starts_with("gs://") || uri.starts_with("https://generativelanguage.googleapis.com/")
}

/// What media are to the canonical form.
enum Kind {
    Image,
    Audio,
    Document,
    /// Video.
    Other,
}

impl Kind {
    fn of(media_type: &str) -> Self {
        match media_type.split('/').next() {
            Some("image") => Self::Image,
            Some("audio") => Self::Audio,
            Some("text" | "application") => Self::Document,
            _ => Self::Other,
        }
    }
}

/// Google finds a type that is not given by itself.
fn type_of_extension(uri: &str) -> &'static str {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let extension = path.rsplit_once('.').map(|(_, extension)| extension);
    match extension.unwrap_or_default().to_ascii_lowercase().as_str() {
        "png" | "jpg" | "jpeg" | "gif" | "webp" | "heic" | "heif" => "image/*",
        "pdf" => "application/pdf",
        _ => "",
    }
}

fn read_call(value: Value, at: Place<'_>, others: &mut Others) -> Result<ToolCall, BadRequest> {
    let mut call = ToolCall {
        arguments: "{}".to_owned(),
        ..ToolCall::default()
    };
    for (name, value) in place::fields(value, at)? {
        let at = at.field(&name);
        match &*camel(&name) {
            "id" => call.id = at.text(value)?,
            "name" => call.name = at.text(value)?,
            "args" => call.arguments = Value::Object(at.object(value)?).to_string(),
            _ => others.push((at.to_string(), value)),
        }
    }
    match call.name.is_empty() {
        true => Err(at.field("name").missing()),
        false => Ok(call),
    }
}

fn read_result(value: Value, at: Place<'_>, others: &mut Others) -> Result<ToolResult, BadRequest> {
    let mut call_id = String::new();
    let mut tool = None;
    let mut response = None;
    let mut media = Vec::new();
    for (name, value) in place::fields(value, at)? {
        let at = at.field(&name);
        match &*camel(&name) {
            "id" => call_id = at.text(value)?,
            "name" => tool = Some(at.text(value)?),
            "response" => response = Some(at.object(value)?),
            "parts" => {
                for (index, part) in (0..).zip(place::list(value, at)?) {
                    let at = at.item(index);
                    media.extend(
                        read_part(part, at, others)?
                            .map(|part| result_part(part, at))
                            .transpose()?,
                    );
                }
            }
            "willContinue" if value == Value::Bool(false) => {}
            _ => others.push((at.to_string(), value)),
        }
    }
    let Some(tool) = tool else {
        return Err(at.field("name").missing());
    };
    let (text, is_error) = unwrap(response.unwrap_or_default());
    let mut parts = vec![Part::Text(text)];
    parts.append(&mut media);
    Ok(ToolResult {
        call_id,
        name: Some(tool),
        parts,
        is_error,
    })
}

/// A part that a result may have beside its text.
fn result_part(part: Part, at: Place<'_>) -> Result<Part, BadRequest> {
    match part {
        Part::ToolCall(_) | Part::ToolResult(_) | Part::Thinking { .. } => {
            Err(at.invalid("`inlineData` or `fileData`"))
        }
        part => Ok(part),
    }
}

/// The text in a `response`, and whether it tells of an error.
///
/// It has to be an object, so a text is put into one under a name that Google suggests.
fn unwrap(response: Map<String, Value>) -> (String, bool) {
    let mut fields = response.iter();
    let only = match (fields.next(), fields.next()) {
        (Some((name, value)), None) => Some((name.as_str(), value)),
        _ => None,
    };
    match only {
        Some(("result" | "output", Value::String(text))) => (text.clone(), false),
        Some(("error", Value::String(text))) => (text.clone(), true),
        Some(("error", error)) => (error.to_string(), true),
        _ => (Value::Object(response).to_string(), false),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(part: Value) -> (Option<Part>, Others) {
        let mut others = Vec::new();
        let part = read_part(part, Place::Top.field("part"), &mut others).unwrap();
        (part, others)
    }

    #[track_caller]
    fn check_response(response: &Value, text: &str, is_error: bool) {
        let part = json!({"functionResponse": {"name": "f", "response": response}});

        let (Some(Part::ToolResult(result)), _) = read(part) else {
            panic!("no result")
        };

        assert_eq!(result.parts, [Part::Text(text.to_owned())]);
        assert_eq!(result.is_error, is_error);
    }

    #[test]
    fn a_text_is_taken_out_of_the_object_around_it_and_nothing_else_is() {
        check_response(&json!({"result": "sunny"}), "sunny", false);
        check_response(&json!({"output": "sunny"}), "sunny", false);
        check_response(&json!({"error": "no city"}), "no city", true);
        check_response(&json!({"error": {"code": 1}}), r#"{"code":1}"#, true);
        check_response(&json!({"result": 21}), r#"{"result":21}"#, false);
        check_response(
            &json!({"result": "x", "unit": "C"}),
            r#"{"result":"x","unit":"C"}"#,
            false,
        );
        check_response(&json!({}), "{}", false);
    }

    #[test]
    fn media_without_a_place_are_told_by_their_path() {
        let video = json!({"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}});
        let code = json!({"executableCode": {"language": "PYTHON", "code": "1"}});
        let youtube = json!({"file_data": {"file_uri": "https://youtu.be/x"}});

        for (part, path) in [
            (video, "part.inlineData"),
            (code, "part.executableCode"),
            (youtube, "part.file_data"),
        ] {
            let (part, others) = read(part);

            assert_eq!(part, None);
            assert_eq!(others.first().map(|(path, _)| path.as_str()), Some(path));
        }
    }

    #[test]
    fn a_part_has_exactly_one_kind_of_data() {
        let read = |part: Value| read_part(part, Place::Top.field("part"), &mut Vec::new());

        assert!(read(json!({})).is_err());
        assert!(read(json!({"thought": true})).is_err());
        assert!(read(json!({"text": "a", "functionCall": {"name": "f"}})).is_err());
        assert!(read(json!({"text": "a", "functionCall": null})).is_ok());
    }
}
