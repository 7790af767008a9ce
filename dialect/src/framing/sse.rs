//! Server-sent events: where one ends, and what its data is. (WHATWG HTML §9.2, as far as LLM providers go.)

use std::borrow::Cow;

use memchr::memchr2;

/// Where the search for an event's end stands, in a buffer that begins with that event and only grows.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// The bytes before were looked at.
    searched: usize,
    line_start: usize,
}

impl Cursor {
    /// The position after the first event's closing blank line; `None` until that has arrived.
    ///
    /// Lines end with LF, CR LF or CR. A CR at the buffer's end is not judged before the next byte is there.
    pub(super) fn frame_end(&mut self, buffer: &[u8]) -> Option<usize> {
        loop {
            let rest = buffer.get(self.searched..).unwrap_or_default();
            let Some(offset) = memchr2(b'\n', b'\r', rest) else {
                self.searched = buffer.len();
                return None;
            };
            let line_end = self.searched + offset;
            let next_line = match (buffer.get(line_end), buffer.get(line_end + 1)) {
                (Some(b'\r'), None) => {
                    self.searched = line_end;
                    return None;
                }
                (Some(b'\r'), Some(b'\n')) => line_end + 2,
                _ => line_end + 1,
            };
            let is_blank = line_end == self.line_start;
            self.searched = next_line;
            self.line_start = next_line;
            if is_blank {
                return Some(next_line);
            }
        }
    }
}

/// The data of one event; `None` if it has none, as comments and keep-alives.
pub(crate) fn data(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut data: Option<Cow<'_, [u8]>> = None;
    let mut rest = event.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(event);
    while !rest.is_empty() {
        let line_len = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(line_len);
        // Between CR and LF this sees one more blank line, which has no data either.
        rest = after.get(1..).unwrap_or_default();
        let Some(value) = data_of_line(line) else {
            continue;
        };
        data = Some(match data {
            None => Cow::Borrowed(value),
            Some(mut lines) => {
                lines.to_mut().push(b'\n');
                lines.to_mut().extend_from_slice(value);
                lines
            }
        });
    }
    data
}

fn data_of_line(line: &[u8]) -> Option<&[u8]> {
    let value = match line.strip_prefix(b"data")? {
        [] => &[],
        [b':', b' ', value @ ..] | [b':', value @ ..] => value,
        _ => return None,
    };
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_data(event: &str, expected: Option<&str>) {
        let data = data(event.as_bytes());
        assert_eq!(data.as_deref(), expected.map(str::as_bytes), "{event:?}");
    }

    #[test]
    fn data_is_found_in_every_way_of_writing_it() {
        check_data("data: {}\n\n", Some("{}"));
        check_data("data:{}\r\n\r\n", Some("{}"));
        check_data("data:  {}\r\r", Some(" {}"));
        check_data("\u{feff}data: {}\n\n", Some("{}"));
        check_data("event: x\nid: 1\ndata: {}\n\n", Some("{}"));
        check_data("data: {\ndata: }\n\n", Some("{\n}"));
        check_data("data\n\n", Some(""));
    }

    #[test]
    fn comments_and_other_fields_are_no_data() {
        check_data(": keep-alive\n\n", None);
        check_data("\n", None);
        check_data("database: x\nretry: 1000\n\n", None);
    }

    #[test]
    fn an_event_ends_with_a_blank_line_of_any_kind() {
        for (buffer, end) in [
            ("a\n\nb", Some(3)),
            ("a\r\n\r\nb", Some(5)),
            ("a\r\rb", Some(3)),
            ("a\r\n\nb", Some(4)),
            ("a\n", None),
            ("a\r\n\r", None),
            ("\n", Some(1)),
        ] {
            let found = Cursor::default().frame_end(buffer.as_bytes());

            assert_eq!(found, end, "{buffer:?}");
        }
    }
}
