//! Events → a stream for a client.

use crate::canon::{AnswerFacts, Event, StreamWriter};
use crate::{ErrorBody, Usage};

#[derive(Debug)]
pub(crate) struct Writer {
    facts: AnswerFacts,
}

impl Writer {
    pub(crate) fn new(facts: AnswerFacts) -> Self {
        Self { facts }
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, _event: Event, _out: &mut Vec<u8>) {
        let _ = &self.facts;
    }

    fn finish(&mut self, _usage: Option<Usage>, _out: &mut Vec<u8>) {}

    fn cut(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("data: {}\n\n", error.to_json()).as_bytes());
    }
}
