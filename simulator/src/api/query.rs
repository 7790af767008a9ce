//! The part of an address behind its question mark, and the escapes in the part before it.

use std::borrow::Cow;

/// The value of `name` in `query`.
pub(super) fn field<'a>(query: Option<&'a str>, name: &str) -> Option<Cow<'a, str>> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, value)| *key == name && !value.is_empty())?;
    Some(decoded(value))
}

/// `text` without its percent escapes; what is none of them stays as it is.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let byte = escape
            .get(..2)
            .and_then(|it| u8::from_str_radix(it, 16).ok());
        match (byte, escape.get(2..)) {
            (Some(byte), Some(behind)) => {
                bytes.push(byte);
                rest = behind;
            }
            _ => {
                bytes.push(b'%');
                rest = escape;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_once() {
        let read = ["claude%3A0", "a%2Fb%253A", "100%", "%zz%2", "plain"].map(decoded);

        assert_eq!(read, ["claude:0", "a/b%3A", "100%", "%zz%2", "plain"]);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let query = Some("monkey=1&key=s%2Bk&alt=sse");

        assert_eq!(field(query, "key").as_deref(), Some("s+k"));
        assert_eq!(field(query, "alt").as_deref(), Some("sse"));
        assert_eq!(field(query, "on"), None);
        assert_eq!(field(None, "key"), None);
    }
}
