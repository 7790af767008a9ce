//! One JSON array whose elements come one by one: Gemini's stream without `alt=sse`.

use std::borrow::Cow;

use super::FrameError;

/// Follows brackets and strings; a frame is what comes up to the end of one element: `[{…}`, `,{…}`, and at last `]`.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    searched: usize,
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
}

impl Cursor {
    /// The position after the first element, or after the array's end; `None` until that has arrived.
    ///
    /// A `}` that closes nothing is malformed. Kinds of brackets are not told apart: whoever reads the element finds out.
    pub(super) fn frame_end(&mut self, buffer: &[u8]) -> Result<Option<usize>, FrameError> {
        while let Some(&byte) = buffer.get(self.searched) {
            self.searched += 1;
            if self.is_in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.is_in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.is_in_string = true,
                // The array's own bracket opens and closes at depth 0.
                b'[' if self.depth == 0 => {}
                b']' if self.depth == 0 => return Ok(Some(self.searched)),
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.checked_sub(1).ok_or(FrameError::Malformed)?;
                    if self.depth == 0 {
                        return Ok(Some(self.searched));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

/// The element; `None` for the array's end.
pub(super) fn payload(frame: &[u8]) -> Option<Cow<'_, [u8]>> {
    let start = frame.iter().position(|&byte| byte == b'{')?;
    frame.get(start..).map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The elements of `stream`, found as the bytes come in pieces of `step`.
    fn elements(stream: &str, step: usize) -> Result<Vec<String>, FrameError> {
        let mut elements = Vec::new();
        let mut held = Vec::new();
        let mut cursor = Cursor::default();
        for piece in stream.as_bytes().chunks(step) {
            held.extend_from_slice(piece);
            while let Some(end) = cursor.frame_end(&held)? {
                cursor = Cursor::default();
                let frame: Vec<u8> = held.drain(..end).collect();
                elements.extend(
                    payload(&frame).map(|element| String::from_utf8_lossy(&element).into_owned()),
                );
            }
        }
        Ok(elements)
    }

    #[track_caller]
    fn check(stream: &str, expected: &[&str]) {
        for step in [1, 2, 3, stream.len()] {
            assert_eq!(
                elements(stream, step).unwrap(),
                expected,
                "{stream} by {step}"
            );
        }
    }

    #[test]
    fn elements_are_found_whatever_stands_between_them() {
        check(r#"[{"a":1},{"b":2}]"#, &[r#"{"a":1}"#, r#"{"b":2}"#]);
        check(
            "[{\"a\":1}\n,\r\n{\"b\":2}\n]\n",
            &[r#"{"a":1}"#, r#"{"b":2}"#],
        );
        check("  \n[ {\"a\": [1, {}]} ] ", &[r#"{"a": [1, {}]}"#]);
        check("[]", &[]);
    }

    #[test]
    fn brackets_and_quotes_inside_of_strings_are_text() {
        check(
            r#"[{"a":"}]"},{"b":"\"}{\\"}]"#,
            &[r#"{"a":"}]"}"#, r#"{"b":"\"}{\\"}"#],
        );
        check(r#"[{"ä}":"\\\"]"}]"#, &[r#"{"ä}":"\\\"]"}"#]);
    }

    #[test]
    fn an_error_is_an_element_like_any_other_with_an_array_around_it_or_not() {
        let error = r#"{"error":{"code":429,"details":[{"a":[]}]}}"#;

        check(&format!("[{error}]"), &[error]);
        check(&format!("[{error}\n]\n"), &[error]);
        check(error, &[error]);
    }

    #[test]
    fn an_element_without_its_end_is_waited_for() {
        check(r#"[{"a":1},{"b":"}"#, &[r#"{"a":1}"#]);
    }

    #[test]
    fn a_bracket_that_closes_nothing_is_malformed() {
        for stream in ["}", "[}", "[{}}", "[{}]}"] {
            assert_eq!(elements(stream, 1), Err(FrameError::Malformed), "{stream}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(stream in r#"[\[\]{}",\\a \n]{0,40}"#) {
            let whole = elements(&stream, stream.len().max(1));

            prop_assert_eq!(elements(&stream, 1), whole);
        }
    }
}
