//! The parts of a message, or of a tool's result.

use serde_json::Value;

use crate::BadRequest;
use crate::canon::{Origin, Part, Source};
use crate::openai_responses::fields::{Fields, Place};

/// How base64 of `%PDF-` begins.
const PDF_BASE64: &str = "JVBERi";

/// Reads an array of parts; those of an unknown type are left in `others`.
pub(super) fn read(
    place: &Place<'_>,
    list: Vec<Value>,
    others: &mut Vec<(String, Value)>,
) -> Result<Vec<Part>, BadRequest> {
    let mut parts = Vec::with_capacity(list.len());
    for (index, part) in list.into_iter().enumerate() {
        let place = place.item(index);
        let kind = part.get("type").and_then(Value::as_str);
        let read: fn(&mut Fields<'_>) -> Result<Part, BadRequest> = match kind {
            Some("input_text" | "output_text") => read_text,
            Some("refusal") => read_refusal,
            Some("input_image") => read_image,
            Some("input_file") => read_file,
            Some(_) => {
                others.push((place.to_string(), part));
                continue;
            }
            None if part.is_object() => {
                return Err(BadRequest::missing(&place.field("type").to_string()));
            }
            None => return Err(place.invalid("an object")),
        };
        parts.push(read(&mut Fields::new(&place, part)?)?);
    }
    Ok(parts)
}

fn read_text(fields: &mut Fields<'_>) -> Result<Part, BadRequest> {
    fields.required_text("text").map(Part::Text)
}

fn read_refusal(fields: &mut Fields<'_>) -> Result<Part, BadRequest> {
    fields.required_text("refusal").map(Part::Refusal)
}

fn read_image(fields: &mut Fields<'_>) -> Result<Part, BadRequest> {
    let source = match (fields.text("image_url")?, fields.text("file_id")?) {
        (Some(url), _) => Source::of_url(&url),
        (None, Some(id)) => Source::FileId(id),
        (None, None) => return Err(fields.missing("image_url")),
    };
    Ok(Part::Image {
        source,
        detail: fields.text("detail")?,
        origin: Origin::at(fields.place()),
    })
}

fn read_file(fields: &mut Fields<'_>) -> Result<Part, BadRequest> {
    let source = match (
        fields.text("file_data")?,
        fields.text("file_url")?,
        fields.text("file_id")?,
    ) {
        (Some(data), _, _) => read_file_data(fields, data)?,
        (None, Some(url), _) => Source::of_url(&url),
        (None, None, Some(id)) => Source::FileId(id),
        (None, None, None) => return Err(fields.missing("file_data")),
    };
    Ok(Part::File {
        source,
        name: fields.text("filename")?,
        origin: Origin::at(fields.place()),
    })
}

/// Base64 alone does not say what it is, unless it is a PDF.
fn read_file_data(fields: &Fields<'_>, data: String) -> Result<Source, BadRequest> {
    match Source::of_url(&data) {
        source @ Source::Data { .. } => Ok(source),
        _ if data.starts_with(PDF_BASE64) => Ok(Source::Data {
            media_type: "application/pdf".to_owned(),
            base64: data,
        }),
        _ => Err(fields.invalid("file_data", "a data URL: `data:<media type>;base64,…`")),
    }
}
