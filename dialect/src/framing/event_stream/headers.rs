//! The headers of a message: `name length 1 · name · type 1 · value`, one after the other.

/// Those that say what a message is; all others are passed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Headers<'a> {
    pub(super) message_type: Option<&'a str>,
    pub(super) event_type: Option<&'a str>,
    pub(super) exception_type: Option<&'a str>,
    pub(super) error_code: Option<&'a str>,
    pub(super) error_message: Option<&'a str>,
}

/// The type of a value that is text.
const STRING: u8 = 7;

impl<'a> Headers<'a> {
    /// `None` if a header reaches beyond the end, or has a type that nobody knows the length of.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut headers = Self::default();
        let mut rest = bytes;
        while let Some((&name_len, after)) = rest.split_first() {
            let (name, after) = after.split_at_checked(usize::from(name_len))?;
            let (&kind, after) = after.split_first()?;
            let (value, after) = take_value(kind, after)?;
            rest = after;
            let place = match name {
                b":message-type" => &mut headers.message_type,
                b":event-type" => &mut headers.event_type,
                b":exception-type" => &mut headers.exception_type,
                b":error-code" => &mut headers.error_code,
                b":error-message" => &mut headers.error_message,
                _ => continue,
            };
            if kind == STRING {
                *place = Some(std::str::from_utf8(value).ok()?);
            }
        }
        Some(headers)
    }
}

/// Cuts the value of a header of type `kind` off.
fn take_value(kind: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = match kind {
        // True and false, which have no value besides.
        0 | 1 => 0,
        // Byte, short, int and long.
        2 => 1,
        3 => 2,
        4 => 4,
        5 => 8,
        // Bytes and text, with their length before them.
        6 | STRING => {
            let (len, value) = bytes.split_first_chunk()?;
            return value.split_at_checked(usize::from(u16::from_be_bytes(*len)));
        }
        // A time in milliseconds, and a UUID.
        8 => 8,
        9 => 16,
        _ => return None,
    };
    bytes.split_at_checked(len)
}

/// Appends a header with a text; of a longer one than fits, the beginning.
pub(super) fn put(headers: &mut Vec<u8>, name: &str, value: &str) {
    let name_len = u8::try_from(name.len()).unwrap_or(u8::MAX);
    headers.push(name_len);
    headers.extend(name.bytes().take(usize::from(name_len)));
    headers.push(STRING);
    let value_len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    headers.extend(value_len.to_be_bytes());
    headers.extend(value.bytes().take(usize::from(value_len)));
}
