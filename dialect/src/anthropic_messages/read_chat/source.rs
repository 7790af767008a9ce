//! Where the bytes of images and documents are.

use serde_json::Value;

use super::fields::{Fields, Place};
use crate::canon::Source;
use crate::{BadRequest, base64};

/// Whether a source of this type has a canonical form. Documents made of blocks have none: they are made for citations.
pub(super) fn is_known(kind: Option<&str>) -> bool {
    matches!(kind, None | Some("base64" | "text" | "url" | "file"))
}

pub(super) fn read(
    source: Value,
    place: Place<'_>,
    others: &mut Vec<(String, Value)>,
) -> Result<Source, BadRequest> {
    let mut source = Fields::of(source, place)?;
    let read = match &*source.text("type")? {
        "base64" => Source::Data {
            media_type: source.text("media_type")?,
            base64: source.text("data")?,
        },
        "text" => Source::Data {
            media_type: source.text("media_type")?,
            base64: base64::encode(source.text("data")?.as_bytes()),
        },
        "url" => Source::Url(source.text("url")?),
        "file" => Source::FileId(source.text("file_id")?),
        _ => return Err(source.invalid("type", "`base64`, `text`, `url` or `file`")),
    };
    source.leave_rest_to(others);
    Ok(read)
}
