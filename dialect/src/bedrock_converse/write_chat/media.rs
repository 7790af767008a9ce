//! Images, sounds, films and documents: Bedrock wants their format by name and their bytes in base64.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::canon;

#[derive(Serialize)]
pub(super) struct Media<'a> {
    format: &'static str,
    source: Source<'a>,
}

#[derive(Serialize)]
pub(super) struct Document<'a> {
    format: &'static str,
    name: String,
    source: Source<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Source<'a> {
    Bytes(&'a str),
    S3Location { uri: &'a str },
}

/// The names that documents of this request have: no two may have the same.
#[derive(Default)]
pub(super) struct DocumentNames(BTreeSet<String>);

/// A media type or the ending of a file's name, and Bedrock's name for the format.
type Format = (&'static str, &'static str, &'static str);

const IMAGES: [Format; 5] = [
    ("image/png", "png", "png"),
    ("image/jpeg", "jpg", "jpeg"),
    ("image/jpg", "jpeg", "jpeg"),
    ("image/gif", "gif", "gif"),
    ("image/webp", "webp", "webp"),
];

const SOUNDS: [Format; 12] = [
    ("audio/wav", "wav", "wav"),
    ("audio/x-wav", "wav", "wav"),
    ("audio/mp3", "mp3", "mp3"),
    ("audio/mpeg", "mp3", "mp3"),
    ("audio/aac", "aac", "aac"),
    ("audio/flac", "flac", "flac"),
    ("audio/ogg", "ogg", "ogg"),
    ("audio/opus", "opus", "opus"),
    ("audio/mp4", "m4a", "mp4"),
    ("audio/m4a", "m4a", "m4a"),
    ("audio/webm", "webm", "webm"),
    ("audio/pcm", "pcm", "pcm"),
];

const FILMS: [Format; 8] = [
    ("video/mp4", "mp4", "mp4"),
    ("video/quicktime", "mov", "mov"),
    ("video/webm", "webm", "webm"),
    ("video/x-matroska", "mkv", "mkv"),
    ("video/mpeg", "mpeg", "mpeg"),
    ("video/x-flv", "flv", "flv"),
    ("video/x-ms-wmv", "wmv", "wmv"),
    ("video/3gpp", "3gp", "three_gp"),
];

const DOCUMENTS: [Format; 9] = [
    ("application/pdf", "pdf", "pdf"),
    ("text/csv", "csv", "csv"),
    ("application/msword", "doc", "doc"),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "docx",
        "docx",
    ),
    ("application/vnd.ms-excel", "xls", "xls"),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xlsx",
        "xlsx",
    ),
    ("text/html", "html", "html"),
    ("text/plain", "txt", "txt"),
    ("text/markdown", "md", "md"),
];

const NAME_CHARS_MAX: usize = 180;

/// `None`, here and below, for what Bedrock cannot take: another format, or a URL that it does not fetch.
pub(super) fn image(source: &canon::Source) -> Option<Media<'_>> {
    media(source, &IMAGES)
}

pub(super) fn video(source: &canon::Source) -> Option<Media<'_>> {
    media(source, &FILMS)
}

pub(super) fn audio<'a>(data: &'a str, media_type: &str) -> Option<Media<'a>> {
    Some(Media {
        format: by_media_type(media_type, &SOUNDS)?,
        source: Source::Bytes(data),
    })
}

/// A document has its name as the model will read it, so it is kept as far as the letters are allowed.
pub(super) fn document<'a>(
    source: &'a canon::Source,
    name: Option<&str>,
    names: &mut DocumentNames,
) -> Option<Document<'a>> {
    let (format, source) = match source {
        canon::Source::Data { media_type, base64 } => {
            let format = by_media_type(media_type, &DOCUMENTS)
                .or_else(|| by_ending(name.unwrap_or_default(), &DOCUMENTS));
            (format?, Source::Bytes(base64))
        }
        canon::Source::Url(url) => (by_ending(url, &DOCUMENTS)?, in_s3(url)?),
        canon::Source::FileId(_) => return None,
    };
    Some(Document {
        format,
        name: names.give(name),
        source,
    })
}

fn media<'a>(source: &'a canon::Source, formats: &[Format]) -> Option<Media<'a>> {
    let (format, source) = match source {
        canon::Source::Data { media_type, base64 } => {
            (by_media_type(media_type, formats)?, Source::Bytes(base64))
        }
        canon::Source::Url(url) => (by_ending(url, formats)?, in_s3(url)?),
        canon::Source::FileId(_) => return None,
    };
    Some(Media { format, source })
}

fn in_s3(url: &str) -> Option<Source<'_>> {
    url.starts_with("s3://")
        .then_some(Source::S3Location { uri: url })
}

/// Parameters, such as a character set, do not count.
fn by_media_type(media_type: &str, formats: &[Format]) -> Option<&'static str> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let mut formats = formats.iter();
    let (_, _, format) = formats.find(|(name, ..)| name.eq_ignore_ascii_case(essence))?;
    Some(format)
}

fn by_ending(name: &str, formats: &[Format]) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    let mut formats = formats.iter();
    let (_, _, format) = formats.find(|(_, name, _)| name.eq_ignore_ascii_case(ending))?;
    Some(format)
}

impl DocumentNames {
    /// Letters, digits, single spaces, hyphens and brackets are allowed.
    fn give(&mut self, name: Option<&str>) -> String {
        let name = name.unwrap_or_default();
        let stem = match (by_ending(name, &DOCUMENTS), name.rsplit_once('.')) {
            (Some(_), Some((stem, _))) => stem,
            _ => name,
        };
        let allowed: String = stem
            .chars()
            .take(NAME_CHARS_MAX)
            .map(|letter| match letter {
                '-' | '(' | ')' | '[' | ']' => letter,
                letter if letter.is_ascii_alphanumeric() => letter,
                letter if letter.is_whitespace() => ' ',
                _ => '-',
            })
            .collect();
        let words: Vec<&str> = allowed.split(' ').filter(|word| !word.is_empty()).collect();
        let base = match words.is_empty() {
            true => "document".to_owned(),
            false => words.join(" "),
        };
        let mut name = base.clone();
        let mut number = 1;
        while !self.0.insert(name.clone()) {
            number += 1;
            name = format!("{base} ({number})");
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_names_that_are_allowed_and_their_own() {
        let mut names = DocumentNames::default();

        let given = [
            Some("report.final_2.pdf"),
            Some("Bericht für  März.pdf"),
            Some("report.final_2"),
            Some(".pdf"),
            None,
        ]
        .map(|name| names.give(name));

        assert_eq!(
            given,
            [
                "report-final-2",
                "Bericht f-r M-rz",
                "report-final-2 (2)",
                "document",
                "document (2)",
            ]
        );
    }

    #[test]
    fn a_document_of_no_type_is_known_by_its_ending() {
        let source = canon::Source::Data {
            media_type: "application/octet-stream".to_owned(),
            base64: "AAAA".to_owned(),
        };
        let mut names = DocumentNames::default();

        let by_name = document(&source, Some("a.XLSX"), &mut names);
        let unknown = document(&source, Some("a.exe"), &mut names);

        assert_eq!(by_name.map(|document| document.format), Some("xlsx"));
        assert!(unknown.is_none());
    }

    #[test]
    fn what_lies_in_s3_is_fetched_by_bedrock_and_no_other_url() {
        let url = |url: &str| canon::Source::Url(url.to_owned());

        assert!(image(&url("s3://bucket/a.jpg")).is_some());
        assert!(image(&url("s3://bucket/a")).is_none());
        assert!(image(&url("https://example.com/a.jpg")).is_none());
        assert!(video(&url("s3://bucket/a.mp4")).is_some());
    }
}
