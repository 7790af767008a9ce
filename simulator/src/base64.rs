//! Base64 (RFC 4648): written in its standard alphabet, read strictly.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut bits = 0_u32;
        for position in 0..3 {
            bits = bits << 8 | u32::from(group.get(position).copied().unwrap_or_default());
        }
        for position in 0..4 {
            if position > group.len() {
                text.push('=');
            } else {
                let index = bits >> (18 - 6 * position) & 63;
                text.push(ALPHABET[index as usize].into());
            }
        }
    }
    text
}

/// Whether `text` is base64 of at least one byte: the standard alphabet, padded, without line breaks.
pub(crate) fn is_valid(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let n_padding = text.len() - digits.len();
    let is_whole = text.len().is_multiple_of(4) && n_padding <= 2 && !digits.is_empty();
    is_whole && digits.bytes().all(is_digit)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let encoded = ["", "f", "fo", "foo", "foob", "fooba", "foobar"]
            .map(|text| encode(text.as_bytes()))
            .join(" ");

        assert_eq!(encoded, " Zg== Zm8= Zm9v Zm9vYg== Zm9vYmE= Zm9vYmFy");
    }

    #[test]
    fn only_whole_base64_is_valid() {
        for valid in ["Zg==", "Zm8=", "Zm9v", "+/+/"] {
            assert!(is_valid(valid), "{valid}");
        }
        for invalid in [
            "",
            "Zg",
            "Zg=",
            "Z===",
            "====",
            "Zm9v\n",
            "Zm_v",
            "data:,Zm9v",
        ] {
            assert!(!is_valid(invalid), "{invalid}");
        }
    }
}
