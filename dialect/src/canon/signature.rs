//! A provider's signature inside a tool call's id, for dialects that have no other place for it.
//!
//! Gemini refuses a call that comes back without the signature it was made with. Clients send a call's id back as it is, so
//! `call_1` with the signature `abc` goes out as `call_1_sig_abc`. Anthropic's ids allow letters, digits, `_` and `-`
//! only, so the signature's base64 is written with the URL alphabet and `_sig_` parts the two.

const MARK: &str = "_sig_";

/// `id` with `signature` behind it.
pub(crate) fn pack(id: &str, signature: Option<&str>) -> String {
    match signature {
        None => id.to_owned(),
        Some(signature) => {
            let url_safe: String = signature
                .chars()
                .map(|letter| match letter {
                    '+' => '-',
                    '/' => '_',
                    // Padding is found again from the length.
                    letter => letter,
                })
                .filter(|letter| *letter != '=')
                .collect();
            format!("{id}{MARK}{url_safe}")
        }
    }
}

/// Takes an id apart that [`pack`] made; any other is returned whole.
pub(crate) fn unpack(id: &str) -> (String, Option<String>) {
    let Some((id, url_safe)) = id.split_once(MARK) else {
        return (id.to_owned(), None);
    };
    let mut signature: String = url_safe
        .chars()
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            letter => letter,
        })
        .collect();
    while !signature.len().is_multiple_of(4) {
        signature.push('=');
    }
    (id.to_owned(), Some(signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_found_again() {
        for signature in ["AQ==", "CiQB+/8A", "abc="] {
            let packed = pack("call_1", Some(signature));

            assert!(
                packed
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
                "{packed}"
            );
            assert_eq!(
                unpack(&packed),
                ("call_1".to_owned(), Some(signature.to_owned()))
            );
        }
    }

    #[test]
    fn ids_without_a_signature_are_left_alone() {
        assert_eq!(pack("call_1", None), "call_1");
        assert_eq!(unpack("toolu_01A"), ("toolu_01A".to_owned(), None));
    }
}
