//! Reads a form with files: each file goes to disk while it comes in, so that no upload is ever in memory as a whole.

use std::sync::Arc;

use axum::body::Body;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use multer::{Constraints, Field, Multipart, SizeLimit};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt as _;

use crate::pipeline::payload::Payload;
use crate::pipeline::problem::Problem;
use crate::upstream::{Form, FormContent, FormPart};

/// Of one plain field.
const TEXT_MAX: usize = 1024 * 1024;

const PARTS_MAX: usize = 128;

/// Reads a form of at most `limit` bytes.
///
/// # Errors
///
/// What is no form, or too large.
pub(crate) async fn read_form(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Payload, Problem> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let boundary = multer::parse_boundary(content_type).map_err(|_| {
        Problem::bad_request(
            "This endpoint takes a form: send `Content-Type: multipart/form-data` with its boundary.",
            None,
        )
    })?;
    let whole = SizeLimit::new().whole_stream(u64::try_from(limit).unwrap_or(u64::MAX));
    let constraints = Constraints::new().size_limit(whole);
    let mut multipart = Multipart::with_constraints(body.into_data_stream(), boundary, constraints);

    let mut form = Form::default();
    let mut len = 0;
    while let Some(field) = multipart
        .next_field()
        .await
        .map_err(|error| broken(&error, limit))?
    {
        if form.parts.len() == PARTS_MAX {
            return Err(Problem::bad_request(
                format!("The form has more than {PARTS_MAX} parts."),
                None,
            ));
        }
        let name = field.name().unwrap_or_default().to_owned();
        let (content, part_len) = match field.file_name().map(str::to_owned) {
            Some(file_name) => read_file(field, file_name, limit).await?,
            None => read_text(field, &name, limit).await?,
        };
        len += part_len;
        form.parts.push(FormPart { name, content });
    }
    Ok(Payload {
        json: form.to_json(),
        form: Some(form),
        len,
    })
}

async fn read_file(
    mut field: Field<'_>,
    name: String,
    limit: usize,
) -> Result<(FormContent, usize), Problem> {
    let media_type = field.content_type().map(ToString::to_string);
    let spooled = NamedTempFile::new().map_err(|error| no_disk(&error))?;
    let writer = spooled.reopen().map_err(|error| no_disk(&error))?;
    let mut writer = tokio::fs::File::from_std(writer);
    let mut len = 0;
    while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error, limit))? {
        len += chunk.len();
        writer
            .write_all(&chunk)
            .await
            .map_err(|error| no_disk(&error))?;
    }
    writer.flush().await.map_err(|error| no_disk(&error))?;
    let content = FormContent::File {
        name,
        media_type,
        file: Arc::new(spooled),
        len: u64::try_from(len).unwrap_or(u64::MAX),
    };
    Ok((content, len))
}

async fn read_text(
    mut field: Field<'_>,
    name: &str,
    limit: usize,
) -> Result<(FormContent, usize), Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error, limit))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > TEXT_MAX {
            return Err(Problem::bad_request(
                format!("The field '{name}' is longer than {TEXT_MAX} bytes; send it as a file."),
                Some(name),
            ));
        }
    }
    let len = bytes.len();
    let text = String::from_utf8(bytes).map_err(|_| {
        Problem::bad_request(format!("The field '{name}' is not UTF-8."), Some(name))
    })?;
    Ok((FormContent::Text(text), len))
}

fn broken(error: &multer::Error, limit: usize) -> Problem {
    match error {
        multer::Error::StreamSizeExceeded { .. } => Problem::BodyTooLarge { limit },
        // It names what is wrong with the form, nothing of what is in it.
        error => Problem::bad_request(format!("The form cannot be read: {error}."), None),
    }
}

fn no_disk(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "An upload cannot be kept on disk: {error}");
    Problem::Internal
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use futures_util::stream;

    use super::*;

    const FORM: &str = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
        content-type: audio/wav\r\n\r\nRIFF\r\n--b\r\n\
        content-disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--b--\r\n";

    async fn read(form: &'static str, limit: usize) -> Result<Payload, Problem> {
        let mut headers = HeaderMap::new();
        let content_type = http::HeaderValue::from_static("multipart/form-data; boundary=b");
        headers.insert(CONTENT_TYPE, content_type);
        let pieces = form.as_bytes().chunks(7).map(Ok::<_, std::io::Error>);
        read_form(&headers, Body::from_stream(stream::iter(pieces)), limit).await
    }

    #[tokio::test]
    async fn a_model_is_found_behind_its_file() {
        let payload = read(FORM, 10_000).await.unwrap();

        assert_eq!(payload.json, r#"{"model":"whisper"}"#);
        let FormContent::File {
            name, file, len, ..
        } = &payload.form.unwrap().parts[0].content
        else {
            panic!("a file")
        };
        let mut content = String::new();
        file.reopen().unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(
            (name.as_str(), *len, content.as_str()),
            ("a.wav", 4, "RIFF")
        );
    }

    #[tokio::test]
    async fn a_form_over_the_limit_is_refused_while_it_comes() {
        let read = read(FORM, 50).await;

        assert!(matches!(read, Err(Problem::BodyTooLarge { limit: 50 })));
    }

    #[tokio::test]
    async fn half_a_form_is_refused() {
        let read = read(&FORM[..100], 10_000).await;

        assert!(matches!(read, Err(Problem::BadRequest(_))));
    }
}
