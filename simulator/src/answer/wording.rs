//! A text and its tokens: what is said word for word, then words without end.

/// Plain words, one token each in common vocabularies, that need no escape in JSON.
const WORDS: [&str; 16] = [
    " the", " river", " runs", " past", " the", " mill", " and", " every", " wheel", " turns",
    " as", " the", " water", " comes", " down", " again",
];

/// Bytes in a token of what is said word for word.
const PIECE_BYTES_MAX: usize = 8;

/// A text of known length; the generated words are never held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wording {
    said: String,
    /// Where each token of `said` ends.
    ends: Vec<usize>,
    /// Generated words behind it.
    words: u32,
}

impl Wording {
    pub(crate) fn said(text: String) -> Self {
        Self {
            ends: ends_of_pieces(&text),
            said: text,
            words: 0,
        }
    }

    /// `words` generated words behind `text`.
    pub(crate) fn said_then(text: String, words: u32) -> Self {
        Self {
            words,
            ..Self::said(text)
        }
    }

    pub(crate) fn tokens(&self) -> u32 {
        self.said_tokens().saturating_add(self.words)
    }

    /// Leaves the first `tokens` tokens.
    pub(crate) fn truncate(&mut self, tokens: u32) {
        self.words = self.words.min(tokens.saturating_sub(self.said_tokens()));
        self.ends.truncate(tokens as usize);
        self.said.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// The text of token `index`, which is one of [`Self::tokens`].
    pub(crate) fn piece(&self, index: u32) -> &str {
        let place = index as usize;
        let Some(end) = self.ends.get(place) else {
            return word(index - self.said_tokens(), index == 0);
        };
        let begin = match place.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(0),
            None => 0,
        };
        self.said.get(begin..*end).unwrap_or_default()
    }

    pub(crate) fn whole(&self) -> String {
        let mut text = String::with_capacity(self.said.len() + self.words as usize * 6);
        text.push_str(&self.said);
        for index in 0..self.words {
            text.push_str(word(index, text.is_empty()));
        }
        text
    }

    fn said_tokens(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }
}

fn word(index: u32, is_first: bool) -> &'static str {
    let word = WORDS[index as usize % WORDS.len()];
    match is_first {
        true => word.trim_start(),
        false => word,
    }
}

/// A piece ends before a space, and where it would grow too long.
fn ends_of_pieces(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut begin = 0;
    for (at, letter) in text.char_indices() {
        let is_full = at + letter.len_utf8() - begin > PIECE_BYTES_MAX;
        if at > begin && (letter == ' ' || is_full) {
            ends.push(at);
            begin = at;
        }
    }
    if begin < text.len() {
        ends.push(text.len());
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wording: &Wording, expected: &[&str]) {
        let pieces: Vec<_> = (0..wording.tokens()).map(|it| wording.piece(it)).collect();

        assert_eq!(pieces, expected);
        assert_eq!(wording.whole(), expected.concat());
    }

    #[test]
    fn a_text_is_its_pieces() {
        check(&Wording::said_then(String::new(), 2), &["the", " river"]);
        check(
            &Wording::said_then("saw it".to_owned(), 1),
            &["saw", " it", " the"],
        );
        check(
            &Wording::said("  {\"city\":\"Paris\"}".to_owned()),
            &[" ", " {\"city\"", ":\"Paris\"", "}"],
        );
        check(&Wording::said("ééééé".to_owned()), &["éééé", "é"]);
        check(&Wording::default(), &[]);
    }

    #[test]
    fn a_truncated_text_has_so_many_tokens() {
        let mut wording = Wording::said_then("saw it".to_owned(), 5);

        wording.truncate(3);
        check(&wording, &["saw", " it", " the"]);
        wording.truncate(1);
        check(&wording, &["saw"]);
        wording.truncate(0);
        check(&wording, &[]);
    }
}
