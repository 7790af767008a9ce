//! `application/vnd.amazon.eventstream`: messages of headers and a payload, each with two checksums.

use serde_json::Value;

use crate::crc32;

/// Lengths and their checksum, before the headers; another checksum is behind the payload.
const PRELUDE_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;

/// The type of a header's value that is a string.
const STRING: u8 = 7;

/// An event called `name`.
pub(super) fn write_event(name: &str, payload: &Value, out: &mut Vec<u8>) {
    let headers = [
        (":event-type", name),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    write(&headers, payload, out);
}

/// An exception called `name`, after which nothing comes.
pub(super) fn write_exception(name: &str, payload: &Value, out: &mut Vec<u8>) {
    let headers = [
        (":exception-type", name),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    write(&headers, payload, out);
}

fn write(headers: &[(&str, &str)], payload: &Value, out: &mut Vec<u8>) {
    let mut encoded = Vec::new();
    for (name, value) in headers {
        encoded.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        encoded.extend_from_slice(name.as_bytes());
        encoded.push(STRING);
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        encoded.extend_from_slice(&length.to_be_bytes());
        encoded.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    let total = PRELUDE_BYTES + encoded.len() + payload.len() + CHECKSUM_BYTES;
    let mut message = Vec::with_capacity(total);
    for length in [total, encoded.len()] {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        message.extend_from_slice(&length.to_be_bytes());
    }
    let checksum = crc32::of(0, &message);
    message.extend_from_slice(&checksum.to_be_bytes());
    message.extend_from_slice(&encoded);
    message.extend_from_slice(payload.as_bytes());
    let checksum = crc32::of(0, &message);
    message.extend_from_slice(&checksum.to_be_bytes());
    out.extend_from_slice(&message);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_framed_as_amazon_frames_it() {
        let mut message = Vec::new();
        write_event("x", &json!({}), &mut message);

        let (checked, checksum) = message.split_at(message.len() - CHECKSUM_BYTES);
        assert_eq!(checksum, crc32::of(0, checked).to_be_bytes());
        let (prelude, rest) = checked.split_at(PRELUDE_BYTES);
        let (lengths, checksum) = prelude.split_at(8);
        assert_eq!(checksum, crc32::of(0, lengths).to_be_bytes());
        assert_eq!(
            lengths[..4],
            u32::try_from(message.len()).unwrap().to_be_bytes()
        );
        let headers = rest.strip_suffix(b"{}").unwrap();
        assert_eq!(
            lengths[4..],
            u32::try_from(headers.len()).unwrap().to_be_bytes()
        );
        assert!(headers.starts_with(b"\x0b:event-type\x07\x00\x01x\x0d:content-type\x07\x00\x10"));
    }
}
