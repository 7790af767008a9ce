//! Changes to a body that leave all its other bytes as they are.

use std::ops::Range;

use bytes::Bytes;

/// Edits of one body, in any order; they do not overlap.
#[derive(Debug, Default)]
pub(crate) struct Splice {
    edits: Vec<(Range<usize>, String)>,
}

impl Splice {
    pub(crate) fn replace(&mut self, span: Range<usize>, with: String) {
        self.edits.push((span, with));
    }

    /// Insertions at the same position keep their order.
    pub(crate) fn insert(&mut self, at: usize, text: String) {
        self.edits.push((at..at, text));
    }

    /// Cuts what does not stay out of a list of members or elements, each with one comma.
    pub(crate) fn cut(&mut self, spans: &[Range<usize>], stays: &[bool]) {
        let mut last_end = None;
        let mut nexts = spans.iter().skip(1);
        for (span, stays) in spans.iter().zip(stays) {
            let next = nexts.next();
            match (stays, last_end) {
                (true, _) => last_end = Some(span.end),
                (false, Some(end)) => {
                    self.replace(end..span.end, String::new());
                    last_end = Some(span.end);
                }
                (false, None) => {
                    let end = next.map_or(span.end, |next| next.start);
                    self.replace(span.start..end, String::new());
                }
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.edits.len()
    }

    /// Forgets all but the first `len` edits: of what is cut out, nothing is left to edit.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.edits.truncate(len);
    }

    /// The edited body, in one allocation; the body itself if there is nothing to edit.
    pub(crate) fn apply(mut self, body: &Bytes) -> Bytes {
        if self.edits.is_empty() {
            return body.clone();
        }
        self.edits.sort_by_key(|(span, _)| span.start);

        let n_added: usize = self.edits.iter().map(|(_, text)| text.len()).sum();
        let mut edited = Vec::with_capacity(body.len() + n_added);
        let mut done = 0;
        for (span, text) in &self.edits {
            edited.extend_from_slice(body.get(done..span.start).unwrap_or_default());
            edited.extend_from_slice(text.as_bytes());
            done = span.end;
        }
        edited.extend_from_slice(body.get(done..).unwrap_or_default());
        Bytes::from(edited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_apply_in_the_order_of_their_positions() {
        let body = Bytes::from_static(b"0123456789");
        let mut splice = Splice::default();

        splice.replace(5..7, "x".to_owned());
        splice.insert(1, "a".to_owned());
        splice.insert(1, "b".to_owned());

        assert_eq!(splice.apply(&body), "0ab1234x789");
    }

    #[test]
    fn a_body_without_edits_is_not_copied() {
        let body = Bytes::from_static(b"0123456789");

        let same = Splice::default().apply(&body);

        assert_eq!(same.as_ptr(), body.as_ptr());
    }
}
