//! Plain-text documents: this dialect sends the text itself where all others want base64 (RFC 4648 §4).

use crate::base64;

pub(super) const MEDIA_TYPE: &str = "text/plain";

pub(super) fn to_base64(text: &str) -> String {
    base64::encode(text.as_bytes())
}

/// `None` for what is no base64, or no UTF-8.
pub(super) fn of_base64(base64: &str) -> Option<String> {
    String::from_utf8(base64::decode(base64)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_text_is_none() {
        for base64 in ["Z", "Zg-=", "/w=="] {
            assert_eq!(of_base64(base64), None, "{base64}");
        }
    }

    proptest! {
        #[test]
        fn every_text_is_found_again(text in ".*") {
            prop_assert_eq!(of_base64(&to_base64(&text)), Some(text));
        }

        #[test]
        fn nothing_panics(base64 in ".*") {
            of_base64(&base64);
        }
    }
}
