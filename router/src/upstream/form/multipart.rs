//! A form towards a provider, its files read from disk while they are sent.

use reqwest::Body;
use reqwest::multipart::{Form as Multipart, Part};
use tokio_util::io::ReaderStream;

use super::{Form, FormContent};
use crate::upstream::SendError;

pub(in crate::upstream) fn multipart(form: &Form) -> Result<Multipart, SendError> {
    let unbuildable = |error: &dyn std::fmt::Display| SendError::Unbuildable(error.to_string());
    let mut multipart = Multipart::new();
    for part in &form.parts {
        let name = part.name.clone();
        multipart = match &part.content {
            FormContent::Text(text) => multipart.text(name, text.clone()),
            FormContent::File {
                name: file_name,
                media_type,
                file,
                len,
            } => {
                // Each attempt reads from the beginning.
                let file = file.reopen().map_err(|error| unbuildable(&error))?;
                let stream = ReaderStream::new(tokio::fs::File::from_std(file));
                let mut part = Part::stream_with_length(Body::wrap_stream(stream), *len)
                    .file_name(file_name.clone());
                if let Some(media_type) = media_type {
                    part = part
                        .mime_str(media_type)
                        .map_err(|error| unbuildable(&error))?;
                }
                multipart.part(name, part)
            }
        };
    }
    Ok(multipart)
}
