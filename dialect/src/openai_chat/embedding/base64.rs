//! Vectors as OpenAI packs them: the base64 of little-endian `f32`s.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn write(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let [first, second, third] = [0, 1, 2].map(|at| group.get(at).copied());
        let bits = u32::from_be_bytes([
            0,
            first.unwrap_or_default(),
            second.unwrap_or_default(),
            third.unwrap_or_default(),
        ]);
        let is_there = [true, true, second.is_some(), third.is_some()];
        for (nth, is_there) in (0..).zip(is_there) {
            text.push(if is_there { digit(bits, nth) } else { '=' });
        }
    }
    text
}

/// `None` if it is no base64, or no whole numbers.
pub(super) fn read(text: &str) -> Option<Vec<f32>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0;
        for nth in 0..4 {
            let value = group.get(nth).map_or(Some(0), |digit| value(*digit))?;
            bits = bits << 6 | value;
        }
        let [_, group_bytes @ ..] = u32::to_be_bytes(bits);
        // Two digits are one byte, three are two.
        bytes.extend(group_bytes.iter().take(group.len().checked_sub(1)?));
    }
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| {
        numbers
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect()
    })
}

/// The `nth` of four digits in 24 bits.
fn digit(bits: u32, nth: u32) -> char {
    let value = bits >> (18 - 6 * nth) & 0x3f;
    let at = usize::try_from(value).unwrap_or_default();
    char::from(ALPHABET.get(at).copied().unwrap_or_default())
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
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_packing_is_openais() {
        // Python: base64.b64encode(struct.pack("<3f", 1.0, -2.5, 0.1))
        let packed = "AACAPwAAIMDNzMw9";

        assert_eq!(write(&[1.0, -2.5, 0.1]), packed);
        assert_eq!(read(packed), Some(vec![1.0, -2.5, 0.1]));
        assert_eq!(write(&[1.0]), "AACAPw==");
        assert_eq!(read("AACAPw=="), Some(vec![1.0]));
    }

    #[test]
    fn what_is_no_packing_is_refused() {
        assert_eq!(read("AAC?Pw=="), None);
        assert_eq!(read("AACAPwAA"), None);
        assert_eq!(read(""), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn what_is_packed_is_found_again(
            numbers in prop::collection::vec(prop::num::f32::NORMAL, 0..40),
        ) {
            prop_assert_eq!(read(&write(&numbers)), Some(numbers));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = read(&text);
        }
    }
}
