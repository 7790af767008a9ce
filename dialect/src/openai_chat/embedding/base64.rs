//! Vectors as OpenAI packs them: the base64 of little-endian `f32`s.

use crate::base64;

pub(super) fn write(vector: &[f32]) -> String {
    let bytes = vector.iter().flat_map(|number| number.to_le_bytes());
    base64::encode(&Vec::from_iter(bytes))
}

/// `None` if it is no base64, or no whole numbers.
pub(super) fn read(text: &str) -> Option<Vec<f32>> {
    let bytes = base64::decode(text)?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    let numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
    rest.is_empty().then(|| numbers.collect())
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
