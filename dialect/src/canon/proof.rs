//! What proves to a provider that it thought something itself, and whose proof it is.
//!
//! Only its maker takes a proof back; any other provider refuses it. So a client is given the proofs of another dialect
//! with their maker's name before them: `sluiced_gemini_generate_CiQB…`. One without a name is of the dialect in which it
//! is found. Where a dialect has no place for the proof of a tool call, it stands behind the call's id:
//! `call_1_sluiced_gemini_generate_CiQB…`.

use std::borrow::Cow;

use shared::config::Dialect;

use crate::base64;

/// Where proofs are marked, in a client's request as in its answers; alone, it stands for thoughts without a proof.
pub(crate) const MARK: &str = "sluiced_";

/// How a mark begins in base64, in both of its alphabets.
pub(crate) const MARK_IN_BASE64: &str = "c2x1aWNlZF9";

/// What Google documents for calls that Gemini did not make; without any signature Gemini 3 refuses them:
/// <https://ai.google.dev/gemini-api/docs/thought-signatures>. Clients may write it in base64's other alphabet.
pub(crate) const NOT_GEMINIS: &str = "skip_thought_signature_validator";

/// A signature of thoughts or of a tool call, or thoughts that only their provider can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub by: Dialect,
    pub data: String,
}

impl Proof {
    /// `None` if `data` proves nothing.
    pub(crate) fn new(by: Dialect, data: String) -> Option<Self> {
        let is_proof = !data.is_empty() && !is_not_geminis(&data);
        is_proof.then_some(Self { by, data })
    }

    /// Reads what stands where `own` has its proofs; `None` if nothing is proved.
    pub(crate) fn read(text: String, own: Dialect) -> Option<Self> {
        match text.strip_prefix(MARK) {
            Some(marked) => Self::read_marked(marked),
            None => Self::new(own, text),
        }
    }

    /// As [`Self::read`], where a proof has to be base64.
    pub(crate) fn read_base64(text: String, own: Dialect) -> Option<Self> {
        if !text.starts_with(MARK_IN_BASE64) {
            return Self::read(text, own);
        }
        // Google's SDKs write either alphabet.
        let standard = text.replace('-', "+").replace('_', "/");
        Self::read(String::from_utf8(base64::decode(&standard)?).ok()?, own)
    }

    fn read_marked(marked: &str) -> Option<Self> {
        let (by, data) = Dialect::ALL.into_iter().find_map(|by| {
            let rest = marked.strip_prefix(by.name())?;
            Some((by, rest.strip_prefix('_')?))
        })?;
        Self::new(by, data.to_owned())
    }

    /// What an upstream that speaks `dialect` takes: nothing that is another's.
    pub(crate) fn of(&self, dialect: Dialect) -> Option<&str> {
        (self.by == dialect).then_some(&*self.data)
    }

    /// As it is written where clients find the proofs of `own`.
    pub(crate) fn write(&self, own: Dialect) -> Cow<'_, str> {
        match self.of(own) {
            Some(data) => Cow::Borrowed(data),
            None => Cow::Owned(self.marked()),
        }
    }

    /// As [`Self::write`], where a proof has to be base64.
    pub(crate) fn write_base64(&self, own: Dialect) -> Cow<'_, str> {
        match self.of(own) {
            Some(data) => Cow::Borrowed(data),
            None => Cow::Owned(base64::encode(self.marked().as_bytes())),
        }
    }

    fn marked(&self) -> String {
        let Self { by, data } = self;
        format!("{MARK}{}_{data}", by.name())
    }
}

/// `id` with `proof` behind it, in letters that every dialect takes in ids: letters, digits, `_` and `-`.
pub(crate) fn pack(id: &str, proof: Option<&Proof>) -> String {
    let Some(Proof { by, data }) = proof else {
        return id.to_owned();
    };
    let url_safe: String = data
        .chars()
        // Padding is found again from the length.
        .filter(|letter| *letter != '=')
        .map(|letter| match letter {
            '+' => '-',
            '/' => '_',
            letter => letter,
        })
        .collect();
    format!("{id}_{MARK}{}_{url_safe}", by.name())
}

/// Takes an id apart that [`pack`] made; any other is returned whole.
pub(crate) fn unpack(id: &str) -> (&str, Option<Proof>) {
    let packed = id.split_once(MARK).and_then(|(id, marked)| {
        let proof = Proof::read_marked(marked)?;
        Some((id.strip_suffix('_')?, proof))
    });
    let Some((id, Proof { by, data })) = packed else {
        return (id, None);
    };
    let mut data = data.replace('-', "+").replace('_', "/");
    while !data.len().is_multiple_of(4) {
        data.push('=');
    }
    (id, Some(Proof { by, data }))
}

fn is_not_geminis(text: &str) -> bool {
    let is_same = |(letter, expected)| letter == expected || (letter == b'/' && expected == b'_');
    text.len() == NOT_GEMINIS.len() && text.bytes().zip(NOT_GEMINIS.bytes()).all(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Dialect = Dialect::AnthropicMessages;

    fn proof(by: Dialect, data: &str) -> Proof {
        Proof::new(by, data.to_owned()).unwrap()
    }

    #[test]
    fn a_proof_is_found_again_with_its_maker() {
        for by in Dialect::ALL {
            for data in ["AQ==", "gAAA-_8=", "not base64!", "sluiced_openai_chat_x"] {
                let proof = proof(by, data);

                let told = proof.write(CLIENT).into_owned();
                let told_in_base64 = proof.write_base64(Dialect::GeminiGenerate).into_owned();
                let of_an_sdk = told_in_base64.replace('+', "-").replace('/', "_");

                let read = |text| Proof::read_base64(text, Dialect::GeminiGenerate);
                let is_own_mark = by == CLIENT && data.starts_with(MARK);
                assert!(is_own_mark || Proof::read(told, CLIENT) == Some(proof.clone()));
                if by != Dialect::GeminiGenerate {
                    assert!(told_in_base64.starts_with(MARK_IN_BASE64));
                    assert_eq!(read(told_in_base64).as_ref(), Some(&proof));
                    assert_eq!(read(of_an_sdk).as_ref(), Some(&proof));
                }
            }
        }
    }

    #[test]
    fn only_the_proofs_of_others_are_marked() {
        let own = proof(CLIENT, "AQ==");
        let foreign = proof(Dialect::BedrockConverse, "AQ==");

        assert_eq!(own.write(CLIENT), "AQ==");
        assert_eq!(foreign.write(CLIENT), "sluiced_bedrock_converse_AQ==");
    }

    #[test]
    fn a_proof_goes_to_its_maker_alone() {
        let proof = proof(Dialect::GeminiGenerate, "AQ==");

        assert_eq!(proof.of(Dialect::GeminiGenerate), Some("AQ=="));
        assert_eq!(proof.of(CLIENT), None);
    }

    #[test]
    fn what_proves_nothing_is_none() {
        for text in [
            "",
            MARK,
            "sluiced_somebody_AQ==",
            "sluiced_gemini_generate_",
            NOT_GEMINIS,
            "skip/thought/signature/validator",
        ] {
            assert_eq!(Proof::read(text.to_owned(), CLIENT), None, "{text}");
        }
    }

    #[test]
    fn what_is_packed_is_found_again() {
        for data in ["AQ==", "CiQB+/8A", "abc="] {
            let proof = proof(Dialect::GeminiGenerate, data);

            let packed = pack("call_1", Some(&proof));

            assert!(
                packed
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
                "{packed}"
            );
            assert_eq!(unpack(&packed), ("call_1", Some(proof)));
        }
    }

    #[test]
    fn ids_without_a_proof_are_left_alone() {
        assert_eq!(pack("call_1", None), "call_1");
        for id in [
            "toolu_01A",
            "",
            "call_sluiced_1",
            "sluiced_",
            "a_sluiced_x_AQ",
        ] {
            assert_eq!(unpack(id), (id, None));
        }
    }
}
