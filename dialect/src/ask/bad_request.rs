//! What is wrong with a request, in words for its sender.

use crate::error::{ErrorBody, ErrorType};

/// A request that no upstream would understand, in words for its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest {
    pub message: String,
    /// The path of the field at fault.
    pub param: Option<String>,
    pub code: Option<&'static str>,
}

impl BadRequest {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            param: None,
            code: None,
        }
    }

    /// A field with a value that cannot be; `expected` ends the sentence "expected …".
    pub fn invalid(field: &str, expected: &str) -> Self {
        Self {
            message: format!("Invalid '{field}': expected {expected}."),
            param: Some(field.to_owned()),
            code: Some("invalid_value"),
        }
    }

    pub fn missing(field: &str) -> Self {
        Self {
            message: format!("Missing required parameter: '{field}'."),
            param: Some(field.to_owned()),
            code: Some("missing_required_parameter"),
        }
    }

    pub fn duplicate(field: &str) -> Self {
        Self {
            message: format!("Duplicate parameter: '{field}' may be given only once."),
            param: Some(field.to_owned()),
            code: Some("duplicate_parameter"),
        }
    }

    /// As the body of a 400.
    pub fn body(&self) -> ErrorBody<'_> {
        ErrorBody {
            message: &self.message,
            kind: ErrorType::InvalidRequest,
            param: self.param.as_deref(),
            code: self.code,
        }
    }
}
