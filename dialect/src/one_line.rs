//! Compact JSON in which nothing can be taken for the end of a line.
//!
//! Ollama's Python SDK, and Google's up to 3.3, read lines as Unicode knows them, which also end at U+0085, U+2028 and
//! U+2029. Inside strings these are escaped; line ends between the tokens of a provider's own JSON become spaces.

use std::io;

use memchr::memchr2;
use serde::Serialize;
use serde_json::ser::Formatter;

/// Appends `value` to `out`.
pub(crate) fn write(value: &impl Serialize, out: &mut Vec<u8>) {
    let mut serializer = serde_json::Serializer::with_formatter(out, OneLine);
    // Strings and numbers can always be written, and memory takes all that is written.
    let _written = value.serialize(&mut serializer);
}

struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        let mut searched = 0;
        // The first bytes of the three in UTF-8, and of many others.
        while let Some(offset) = find_from(rest, searched) {
            let Some((before, after)) = rest.split_at_checked(offset) else {
                break;
            };
            let mut letters = after.chars();
            let escape = match letters.next() {
                Some('\u{85}') => "\\u0085",
                Some('\u{2028}') => "\\u2028",
                Some('\u{2029}') => "\\u2029",
                _ => {
                    searched = offset + 1;
                    continue;
                }
            };
            writer.write_all(before.as_bytes())?;
            writer.write_all(escape.as_bytes())?;
            rest = letters.as_str();
            searched = 0;
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_raw_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Inside strings JSON allows no line ends as they are.
        for (index, piece) in fragment.split(['\n', '\r']).enumerate() {
            if index > 0 {
                writer.write_all(b" ")?;
            }
            self.write_string_fragment(writer, piece)?;
        }
        Ok(())
    }
}

fn find_from(text: &str, start: usize) -> Option<usize> {
    let rest = text.as_bytes().get(start..)?;
    memchr2(0xC2, 0xE2, rest).map(|offset| start + offset)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn json(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        write(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_in_a_string_ends_a_line() {
        let text = "a\u{2028}\u{2029}b\u{85}\né\u{a0}“ok”…\u{2028}";

        assert_eq!(
            json(&text),
            r#""a\u2028\u2029b\u0085\né "#.to_owned().replace(' ', "\u{a0}") + r#"“ok”…\u2028""#
        );
    }

    #[test]
    fn nothing_in_a_providers_json_ends_a_line() {
        let raw: &RawValue = serde_json::from_str("{\r\n  \"a\": \"x\\n\u{2028}\"\n}").unwrap();

        assert_eq!(json(&raw), r#"{    "a": "x\n\u2028" }"#);
    }

    proptest! {
        #[test]
        fn every_text_is_read_back_and_stays_on_its_line(text in "[\u{80}-\u{a0}\u{2020}-\u{2030}\n\r\\\\a\"é]{0,20}") {
            let json = json(&text);

            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
            prop_assert!(!json.contains(breaks), "{}", json);
        }
    }
}
