//! Tool calls of which only a part has come.

use std::collections::VecDeque;

use super::super::{arguments, finish};
use crate::canon::{Proof, ToolCall};

/// The calls of one answer that were not told yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: VecDeque<(u32, ToolCall)>,
    /// The first call whose arguments turned out to be no object, in words.
    malformed: Option<String>,
}

impl Calls {
    pub(super) fn begin(
        &mut self,
        number: u32,
        id: String,
        name: String,
        signature: Option<Proof>,
    ) {
        let call = ToolCall {
            id,
            name,
            arguments: String::new(),
            signature,
        };
        self.open.push_back((number, call));
    }

    pub(super) fn add_arguments(&mut self, number: u32, json: &str) {
        let mut calls = self.open.iter_mut();
        if let Some((_, call)) = calls.find(|(known, _)| *known == number) {
            call.arguments.push_str(json);
        }
    }

    /// Takes the calls that can be told, in their order.
    ///
    /// While the answer goes on, one whose arguments are no whole object may still get more of them: it is waited for,
    /// and so are those behind it.
    pub(super) fn take_whole(&mut self, is_finished: bool) -> Vec<ToolCall> {
        let mut whole = Vec::new();
        while let Some((number, call)) = self.open.pop_front() {
            let is_object = arguments::object(&call.arguments).is_some();
            if is_object && (is_finished || !call.arguments.is_empty()) {
                whole.push(call);
            } else if is_finished {
                let words = || finish::malformed_call(&call.name, &call.arguments);
                self.malformed.get_or_insert_with(words);
            } else {
                self.open.push_front((number, call));
                break;
            }
        }
        whole
    }

    pub(super) fn into_malformed(self) -> Option<String> {
        self.malformed
    }
}
