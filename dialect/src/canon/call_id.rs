//! Ids of tool calls, for providers that do not take any text as one.
//!
//! The same id always becomes the same, so that a call and its result still find each other.

use std::borrow::Cow;
use std::fmt::Write;

/// `id` in letters, digits, `_` and `-` alone; any other byte is told by its number.
pub(crate) fn plain(id: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if id.bytes().all(is_plain) {
        return Cow::Borrowed(id);
    }
    let mut plain = String::with_capacity(id.len() + 8);
    for byte in id.bytes() {
        match is_plain(byte) {
            true => plain.push(char::from(byte)),
            // Into memory: this cannot fail.
            false => write!(plain, "_{byte:02x}").unwrap_or_default(),
        }
    }
    Cow::Owned(plain)
}

/// As [`plain`], and at most `bytes_max` long, which is 32 or more: a longer one ends in a hash of the whole.
pub(crate) fn short(id: &str, bytes_max: usize) -> Cow<'_, str> {
    let plain = plain(id);
    if plain.len() <= bytes_max {
        return plain;
    }
    let hash = format!("_{:016x}", fnv(id.as_bytes()));
    let kept = plain.chars().take(bytes_max.saturating_sub(hash.len()));
    Cow::Owned(kept.chain(hash.chars()).collect())
}

/// `id` if it is nine letters and digits, else nine that stand for it.
pub(crate) fn nine(id: &str) -> Cow<'_, str> {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const N_LETTERS: usize = 9;
    if id.len() == N_LETTERS && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Cow::Borrowed(id);
    }
    let mut rest = fnv(id.as_bytes());
    let letters = (0..N_LETTERS).map(|_| {
        let digit = usize::try_from(rest % 62).unwrap_or_default();
        rest /= 62;
        LETTERS.get(digit).copied().map_or('0', char::from)
    });
    Cow::Owned(letters.collect())
}

/// FNV-1a of 64 bits: prompts are cached by their bytes, so it has to be the same everywhere and forever.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_that_are_taken_stay_as_they_are() {
        let id = "toolu_01-".to_owned() + &"A".repeat(55);

        assert_eq!(short(&id, 64), id);
        assert_eq!(plain("call.1:2"), "call_2e1_3a2");
    }

    #[test]
    fn any_id_becomes_nine_letters_and_digits_of_its_own() {
        assert_eq!(nine("abcDEF123"), "abcDEF123");

        let ids = [
            "call_0",
            "call_1",
            "call_10",
            "toolu_01",
            "",
            "abc-EF123",
            "abcDEF12é",
        ];
        let written: HashSet<_> = ids.into_iter().map(nine).collect();

        assert_eq!(written.len(), ids.len());
        for id in written {
            let is_taken = id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
            assert!(is_taken, "{id}");
        }
        // Prompts are cached by their bytes.
        assert_eq!(nine("call_0"), "ckTj2MTct");
    }

    #[test]
    fn long_ids_that_begin_alike_stay_apart() {
        let [one, other] = ["x", "y"].map(|end| "call_".repeat(20) + end);

        let (one, other) = (short(&one, 64), short(&other, 64));

        assert_eq!((one.len(), other.len()), (64, 64));
        assert_ne!(one, other);
        assert!(one.starts_with("call_call_"));
    }
}
