//! Texts in base64 (RFC 4648 §4).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn encode(text: &str) -> String {
    let mut base64 = String::with_capacity(text.len().div_ceil(3) * 4);
    for bytes in text.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(bytes.get(at).copied().unwrap_or_default());
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = match at > bytes.len() {
                true => '=',
                false => letter(word >> (18 - 6 * at)),
            };
            base64.push(letter);
        }
    }
    base64
}

/// `None` for what is no base64, or no UTF-8.
pub(crate) fn decode(base64: &str) -> Option<String> {
    let digits = base64.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for digits in digits.chunks(4) {
        if digits.len() == 1 {
            return None;
        }
        let mut word = 0;
        for at in 0..4 {
            let value = digits.get(at).map_or(Some(0), |digit| value(*digit))?;
            word = word << 6 | value;
        }
        let [_, decoded @ ..] = word.to_be_bytes();
        bytes.extend_from_slice(decoded.get(..digits.len() - 1)?);
    }
    String::from_utf8(bytes).ok()
}

/// Of the lowest six bits.
fn letter(word: u32) -> char {
    char::from(ALPHABET[(word & 63) as usize])
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_standard_hold() {
        for (text, base64) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(text), base64);
            assert_eq!(decode(base64).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_text_is_none() {
        for base64 in ["Z", "Zg-=", "/w=="] {
            assert_eq!(decode(base64), None, "{base64}");
        }
    }

    proptest! {
        #[test]
        fn every_text_is_found_again(text in ".*") {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }

        #[test]
        fn nothing_panics(base64 in ".*") {
            decode(&base64);
        }
    }
}
