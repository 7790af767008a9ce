//! What this dialect's writers write: contents and their parts, and answers that are made of them.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::OWN;
use super::logprobs::LogprobsResult;
use super::usage::UsageMetadata;
use crate::canon::{Proof, ToolCall, proof};

#[derive(Debug, Serialize)]
pub(super) struct Content<'a> {
    pub(super) parts: Vec<Part<'a>>,
    pub(super) role: &'static str,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_data: Option<Blob<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<FileData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_response: Option<FunctionResponse<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Blob<'a> {
    mime_type: &'a str,
    data: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FileData<'a> {
    file_uri: &'a str,
}

#[derive(Debug, Serialize)]
struct FunctionCall<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    name: &'a str,
    args: Box<RawValue>,
}

#[derive(Debug, Serialize)]
pub(super) struct FunctionResponse<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    /// An object.
    pub(super) response: Box<RawValue>,
    /// Media only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<Part<'a>>,
}

impl<'a> Part<'a> {
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::default()
        }
    }

    pub(super) fn thinking(text: &'a str, signature: Option<Cow<'a, str>>) -> Self {
        Self {
            text: Some(Cow::Borrowed(text)),
            thought: true,
            thought_signature: signature.filter(|signature| is_base64(signature)),
            ..Self::default()
        }
    }

    pub(super) fn inline(mime_type: &'a str, data: &'a str) -> Self {
        Self {
            inline_data: Some(Blob { mime_type, data }),
            ..Self::default()
        }
    }

    pub(super) fn file(file_uri: &'a str) -> Self {
        Self {
            file_data: Some(FileData { file_uri }),
            ..Self::default()
        }
    }

    /// `None` if the call's arguments are no object.
    pub(super) fn call(call: &'a ToolCall, signature: Option<Cow<'a, str>>) -> Option<Self> {
        let ToolCall {
            id,
            name,
            arguments,
            signature: _,
        } = call;
        Some(Self {
            function_call: Some(FunctionCall {
                id,
                name,
                args: super::arguments::object(arguments)?,
            }),
            thought_signature: signature.filter(|signature| is_base64(signature)),
            ..Self::default()
        })
    }

    /// Says that Gemini did not make this call, unless it is signed.
    pub(super) fn excuse(&mut self) {
        let excuse = || Cow::Borrowed(proof::NOT_GEMINIS);
        self.thought_signature.get_or_insert_with(excuse);
    }

    pub(super) fn is_call(&self) -> bool {
        self.function_call.is_some()
    }

    pub(super) fn is_response(&self) -> bool {
        self.function_response.is_some()
    }

    pub(super) fn response(response: FunctionResponse<'a>) -> Self {
        Self {
            function_response: Some(response),
            ..Self::default()
        }
    }
}

/// A whole answer, or one chunk of a stream.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    pub(super) candidates: Vec<Candidate<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage_metadata: Option<UsageMetadata>,
    pub(super) model_version: &'a str,
    pub(super) response_id: &'a str,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_message: Option<String>,
    pub(super) index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs_result: Option<LogprobsResult>,
}

impl<'a> Content<'a> {
    pub(super) fn of_model(parts: Vec<Part<'a>>) -> Self {
        Self {
            parts,
            role: "model",
        }
    }
}

/// A proof as clients get it.
pub(super) fn told(proof: &Proof) -> Cow<'_, str> {
    proof.write_base64(OWN)
}

/// A call as clients get it; `is_signed` is whether one before it in the same answer was.
///
/// Where none is, Gemini did not make them. That is said here: when they come back, and go on to Gemini as they are, it is
/// too late.
pub(super) fn told_call<'a>(call: &'a ToolCall, is_signed: &mut bool) -> Option<Part<'a>> {
    let mut part = Part::call(call, call.signature.as_ref().map(told))?;
    *is_signed |= part.thought_signature.is_some();
    if !*is_signed {
        part.excuse();
    }
    Some(part)
}

/// Base64 with its padding, in one of its two alphabets. What is not is no signature: Google takes none such, and its SDK
/// fails on it.
fn is_base64(text: &str) -> bool {
    let letters = text.trim_end_matches('=');
    let is_of = |others: &[u8]| {
        let mut letters = letters.bytes();
        letters.all(|letter| letter.is_ascii_alphanumeric() || others.contains(&letter))
    };
    let n_padding = text.len() - letters.len();
    text.len().is_multiple_of(4) && n_padding <= 2 && (is_of(b"+/") || is_of(b"-_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_signature_is_sent_as_one() {
        let signature = |signature: &str| {
            let part = serde_json::to_value(Part::thinking("hm", Some(signature.into()))).unwrap();
            part.get("thoughtSignature").is_some()
        };

        for good in ["CiQB", "CvQBAXLI2nzs+/8=", "CiQBVKhc7nr_-A=="] {
            assert!(signature(good), "{good}");
        }
        for bad in ["not base64!", "CiQ", "Ci=B", "====", "C===", "Ci+_"] {
            assert!(!signature(bad), "{bad}");
        }
    }
}
