//! Values of single request fields, as they are written.

use super::BadRequest;
use crate::scan;

/// A value that is not null.
#[derive(Clone, Copy)]
pub(super) struct FieldValue<'a>(&'a [u8]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldType {
    Boolean,
    Integer,
    PositiveInteger,
    String,
    Array,
    StringOrArray,
    Object,
}

impl<'a> FieldValue<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Option<Self> {
        (raw != b"null").then_some(Self(raw))
    }

    pub(super) fn raw(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn is_true(self) -> bool {
        self.0 == b"true"
    }

    /// Whether it is a text or a list of nothing.
    pub(super) fn is_empty(self) -> bool {
        match self.0 {
            [b'"', inner @ .., b'"'] => inner.is_empty(),
            [b'[', inner @ .., b']'] => inner.trim_ascii().is_empty(),
            _ => false,
        }
    }

    /// The string; `None` if it is none, or has half a surrogate pair.
    pub(super) fn text(self) -> Option<String> {
        let inner = self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        scan::unescape(inner)
    }

    /// The whole number, held in range; also one written as a decimal, as languages without integers write it.
    pub(super) fn integer(self) -> Option<i64> {
        let text = std::str::from_utf8(self.0).ok()?;
        let text = match text.split_once('.') {
            Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
            _ => text,
        };
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let out_of_range = match text.starts_with('-') {
            true => i64::MIN,
            false => i64::MAX,
        };
        is_integer.then(|| text.parse().unwrap_or(out_of_range))
    }

    pub(super) fn check(self, path: &str, expected: FieldType) -> Result<(), BadRequest> {
        let first = self.0.first().copied().unwrap_or_default();
        let is_right = match expected {
            FieldType::Boolean => matches!(first, b't' | b'f'),
            FieldType::Integer | FieldType::PositiveInteger => self.integer().is_some(),
            FieldType::String => first == b'"',
            FieldType::Array => first == b'[',
            FieldType::StringOrArray => matches!(first, b'"' | b'['),
            FieldType::Object => first == b'{',
        };
        if !is_right {
            return Err(BadRequest {
                message: format!(
                    "Invalid type for '{path}': expected {}, but got {} instead.",
                    expected.article(),
                    self.article()
                ),
                param: Some(path.to_owned()),
                code: Some("invalid_type"),
            });
        }
        if expected == FieldType::PositiveInteger && self.integer().is_some_and(|value| value < 1) {
            return Err(BadRequest {
                message: format!("Invalid '{path}': expected a value of at least 1."),
                param: Some(path.to_owned()),
                code: Some("integer_below_min_value"),
            });
        }
        Ok(())
    }

    fn article(self) -> &'static str {
        match self.0.first() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b't' | b'f') => "a boolean",
            _ if self.integer().is_some() => "an integer",
            _ => "a decimal number",
        }
    }
}

impl FieldType {
    fn article(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Integer | Self::PositiveInteger => "an integer",
            Self::String => "a string",
            Self::Array => "an array",
            Self::StringOrArray => "a string or an array",
            Self::Object => "an object",
        }
    }
}
