//! Reads a form with files: each file goes to disk while it comes in, so that no upload is ever in memory as a whole.

use std::future::Future;
use std::sync::Arc;

use axum::body::Body;
use dialect::BadRequest;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use multer::{Constraints, Field, Multipart, SizeLimit};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout_at;

use crate::http::body::{Pace, declared_length};
use crate::pipeline::payload::Payload;
use crate::pipeline::problem::Problem;
use crate::upstream::{Form, FormContent, FormPart};

/// Of one plain field.
const TEXT_MAX: usize = 1024 * 1024;

const PARTS_MAX: usize = 128;

/// What routing reads.
const ROUTING_FIELDS: [&str; 3] = ["model", "stream", "prompt"];

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
    if declared_length(headers).is_some_and(|length| length > limit) {
        return Err(Problem::BodyTooLarge { limit });
    }
    let boundary = multer::parse_boundary(content_type).map_err(|_| {
        Problem::bad_request(
            "This endpoint takes a form: send `Content-Type: multipart/form-data` with its boundary.",
            None,
        )
    })?;
    let whole = SizeLimit::new().whole_stream(u64::try_from(limit).unwrap_or(u64::MAX));
    let constraints = Constraints::new().size_limit(whole);
    let multipart = Multipart::with_constraints(body.into_data_stream(), boundary, constraints);
    let mut reader = FormReader {
        limit,
        pace: Pace::begin(),
        n_read: 0,
    };
    reader.read(multipart).await
}

/// Reads part after part, none of them longer than it should take.
struct FormReader {
    limit: usize,
    pace: Pace,
    /// Bytes of content so far.
    n_read: usize,
}

impl FormReader {
    async fn read(&mut self, mut multipart: Multipart<'_>) -> Result<Payload, Problem> {
        let mut form = Form::default();
        while let Some(field) = self.in_time(multipart.next_field()).await? {
            if form.parts.len() == PARTS_MAX {
                return Err(Problem::bad_request(
                    format!("The form has more than {PARTS_MAX} parts."),
                    None,
                ));
            }
            let name = field.name().unwrap_or_default().to_owned();
            let content = match field.file_name().map(str::to_owned) {
                Some(file_name) => self.read_file(field, file_name).await?,
                None => self.read_text(field, &name).await?,
            };
            // This router and the upstream could each believe another one.
            let is_known = form.parts.iter().any(|part| part.name == name);
            if is_known && ROUTING_FIELDS.contains(&name.as_str()) {
                return Err(BadRequest::duplicate(&name).into());
            }
            form.parts.push(FormPart { name, content });
        }
        Ok(Payload {
            json: form.to_json(),
            form: Some(form),
            len: self.n_read,
        })
    }

    async fn read_file(
        &mut self,
        mut field: Field<'_>,
        name: String,
    ) -> Result<FormContent, Problem> {
        let media_type = field.content_type().map(ToString::to_string);
        let spooled = NamedTempFile::new().map_err(|error| no_disk(&error))?;
        let writer = spooled.reopen().map_err(|error| no_disk(&error))?;
        let mut writer = tokio::fs::File::from_std(writer);
        let mut len = 0;
        while let Some(chunk) = self.in_time(field.chunk()).await? {
            len += chunk.len();
            self.n_read += chunk.len();
            writer
                .write_all(&chunk)
                .await
                .map_err(|error| no_disk(&error))?;
        }
        writer.flush().await.map_err(|error| no_disk(&error))?;
        Ok(FormContent::File {
            name,
            media_type,
            file: Arc::new(spooled),
            len: u64::try_from(len).unwrap_or(u64::MAX),
        })
    }

    async fn read_text(
        &mut self,
        mut field: Field<'_>,
        name: &str,
    ) -> Result<FormContent, Problem> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.in_time(field.chunk()).await? {
            self.n_read += chunk.len();
            bytes.extend_from_slice(&chunk);
            if bytes.len() > TEXT_MAX {
                return Err(Problem::bad_request(
                    format!(
                        "The field '{name}' is longer than {TEXT_MAX} bytes; send it as a file."
                    ),
                    Some(name),
                ));
            }
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            Problem::bad_request(format!("The field '{name}' is not UTF-8."), Some(name))
        })?;
        Ok(FormContent::Text(text))
    }

    async fn in_time<T>(
        &self,
        next: impl Future<Output = Result<Option<T>, multer::Error>>,
    ) -> Result<Option<T>, Problem> {
        match timeout_at(self.pace.deadline(self.n_read), next).await {
            Ok(next) => next.map_err(|error| broken(&error, self.limit)),
            Err(_) => Err(Problem::BodyTimeout),
        }
    }
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

    #[tokio::test(start_paused = true)]
    async fn a_form_that_trickles_is_given_up() {
        let mut headers = HeaderMap::new();
        let content_type = http::HeaderValue::from_static("multipart/form-data; boundary=b");
        headers.insert(CONTENT_TYPE, content_type);
        let never = Body::from_stream(stream::pending::<std::io::Result<bytes::Bytes>>());

        let read = read_form(&headers, never, 10_000).await;

        assert!(matches!(read, Err(Problem::BodyTimeout)));
    }

    #[tokio::test]
    async fn a_model_that_comes_twice_is_refused() {
        const TWICE: &str = "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\na\r\n--b\r\n\
            content-disposition: form-data; name=\"model\"\r\n\r\nb\r\n--b--\r\n";

        let read = read(TWICE, 10_000).await;

        assert!(matches!(read, Err(Problem::BadRequest(_))));
    }

    #[tokio::test]
    async fn half_a_form_is_refused() {
        let read = read(&FORM[..100], 10_000).await;

        assert!(matches!(read, Err(Problem::BadRequest(_))));
    }
}
