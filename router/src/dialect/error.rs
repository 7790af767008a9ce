//! Stand-in.
use bytes::Bytes;

pub struct ErrorBody<'a> {
    pub message: &'a str,
    pub kind: &'a str,
    pub param: Option<&'a str>,
    pub code: Option<&'a str>,
}

impl ErrorBody<'_> {
    pub fn to_bytes(&self) -> Bytes {
        serde_json::json!({"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}).to_string().into()
    }
}
