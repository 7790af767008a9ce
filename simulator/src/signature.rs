//! Signatures on thoughts: what a provider hands out, it wants back as it was.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::base64;

/// The signature on `content` at the provider `issuer`; another issuer's does not hold here.
pub(crate) fn of(issuer: &str, content: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (issuer, content).hash(&mut hasher);
    let text = format!("signed by simulated {issuer} {:016x}", hasher.finish());
    base64::encode(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_issuer_and_its_content_only() {
        let signature = of("a", "thought");

        assert_eq!(signature, of("a", "thought"));
        assert_ne!(signature, of("b", "thought"));
        assert_ne!(signature, of("a", "thoughts"));
        assert!(base64::is_valid(&signature));
    }
}
