//! What a language model reads in a request or an answer: text, and what is no text.

use std::ops::Range;

use super::reading::{self, Verdict};

/// Text is remembered piece by piece up to here; beyond it only its length is kept, since it is no longer
/// tokenized (see `tokens`).
const TEXT_BYTES_MAX: usize = crate::tokens::TOKENIZED_BYTES_MAX;

/// Attachments that are remembered by their place; beyond, they are only counted. Providers take some hundred at most,
/// and a hostile request shall not cost many times its own size in memory.
const ATTACHMENTS_MAX: usize = 256;

/// What stands in the members that hold text.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// String values, without their quotes, as they are written; JSON values that are read as they are written.
    pub(crate) strings: Vec<Range<usize>>,
    /// Length of all of them, also of those not in `strings`.
    pub(crate) n_bytes: usize,
    /// Numbers standing for text: token ids in a prompt.
    pub(crate) n_numbers: usize,
    /// The first of the attachments.
    pub(crate) attachments: Vec<Attachment>,
    n_images: usize,
    n_sounds: usize,
    n_documents: usize,
    /// Attachments of which nothing has told the kind yet.
    n_unsettled: usize,
}

/// Content that is no text, whatever its size in bytes.
#[derive(Debug)]
pub(crate) struct Attachment {
    /// `None` until something tells.
    kind: Option<AttachmentKind>,
    /// Of the string that is it, or says where it is: Base64, a URL, an id.
    pub(crate) value: Range<usize>,
    /// Whether OpenAI is asked to look at it at low resolution.
    pub(crate) is_low_detail: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttachmentKind {
    Image,
    Sound,
    /// Also what does not tell its kind.
    Document,
}

/// A moment in a scan: what was noted after it lies inside the value that began there.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    n_attachments: usize,
    n_unsettled: usize,
}

impl Text {
    pub(crate) fn n_attachments(&self, kind: AttachmentKind) -> usize {
        match kind {
            AttachmentKind::Image => self.n_images,
            AttachmentKind::Sound => self.n_sounds,
            AttachmentKind::Document => self.n_documents,
        }
    }

    #[cfg(test)]
    pub(super) fn n_unsettled(&self) -> usize {
        self.n_unsettled
    }

    pub(super) fn note(&mut self, span: Range<usize>) {
        self.n_bytes += span.len();
        if !span.is_empty() && self.n_bytes <= TEXT_BYTES_MAX {
            self.strings.push(span);
        }
    }

    /// Notes the string at `span` of `body`, which tells its kind only where it is a `data:` URL.
    pub(super) fn note_attachment(&mut self, body: &[u8], span: Range<usize>) {
        let raw = body.get(span.clone()).unwrap_or_default();
        let kind = reading::kind_of_data_url(raw);
        self.count(kind, 1);
        if self.attachments.len() < ATTACHMENTS_MAX {
            self.attachments.push(Attachment {
                kind,
                value: span,
                is_low_detail: false,
            });
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            n_attachments: self.attachments.len(),
            n_unsettled: self.n_unsettled,
        }
    }

    /// Says what the attachments since `mark` are, as far as nothing nearer has said it.
    pub(super) fn settle(&mut self, mark: Mark, verdict: impl FnOnce() -> Option<Verdict>) {
        // Nearly always there are none.
        let n_unsettled = self.n_unsettled - mark.n_unsettled;
        if n_unsettled == 0 {
            return;
        }
        let kind = match verdict() {
            None => return,
            Some(Verdict::Attachment(kind)) => Some(kind),
            Some(Verdict::Text | Verdict::Nothing) if self.attachments.len() == ATTACHMENTS_MAX => {
                Some(AttachmentKind::Document)
            }
            Some(Verdict::Text) => {
                self.unnote_attachments(mark, Self::note);
                None
            }
            Some(Verdict::Nothing) => {
                self.unnote_attachments(mark, |_, _| {});
                None
            }
        };
        self.n_unsettled = mark.n_unsettled;
        if kind.is_some() {
            self.count(kind, n_unsettled);
            for attachment in self.since(mark) {
                attachment.kind = attachment.kind.or(kind);
            }
        }
    }

    pub(super) fn lower_detail(&mut self, mark: Mark) {
        for attachment in self.since(mark) {
            attachment.is_low_detail = true;
        }
    }

    pub(super) fn settle_the_rest(&mut self) {
        let start = Mark {
            n_attachments: 0,
            n_unsettled: 0,
        };
        self.settle(start, || {
            Some(Verdict::Attachment(AttachmentKind::Document))
        });
    }

    /// Forgets the attachments since `mark` of which nothing has told the kind, and does `instead` with each.
    fn unnote_attachments(&mut self, mark: Mark, instead: fn(&mut Self, Range<usize>)) {
        let since = self.attachments.split_off(mark.n_attachments);
        for attachment in since {
            match attachment.kind {
                Some(_) => self.attachments.push(attachment),
                None => instead(self, attachment.value),
            }
        }
    }

    fn since(&mut self, mark: Mark) -> &mut [Attachment] {
        self.attachments
            .get_mut(mark.n_attachments..)
            .unwrap_or_default()
    }

    fn count(&mut self, kind: Option<AttachmentKind>, n: usize) {
        let counter = match kind {
            Some(AttachmentKind::Image) => &mut self.n_images,
            Some(AttachmentKind::Sound) => &mut self.n_sounds,
            Some(AttachmentKind::Document) => &mut self.n_documents,
            None => &mut self.n_unsettled,
        };
        *counter += n;
    }
}

impl Attachment {
    pub(crate) fn kind(&self) -> AttachmentKind {
        self.kind.unwrap_or(AttachmentKind::Document)
    }
}
