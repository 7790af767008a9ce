//! The tool calls of one answer, put together from their pieces.

use crate::canon::{Event, Proof};
use crate::openai_chat::said;

#[derive(Debug, Default)]
pub(super) struct Calls {
    /// In the order they came.
    calls: Vec<Call>,
}

#[derive(Debug)]
struct Call {
    /// As the provider counts; Google's endpoint does not.
    index: Option<u32>,
    id: String,
    name: String,
    signature: Option<Proof>,
    /// What came of the arguments before the call was told of.
    held: String,
    is_begun: bool,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn read(&mut self, piece: said::Call, choice: u32, events: &mut Vec<Event>) {
        let said::Call {
            index,
            id: said::Text(id),
            function,
            extra_content,
        } = piece;
        let name = function.name.0;
        let json = function.arguments.0;
        let at = match self.position(index, &id, &name) {
            Some(at) => at,
            // Only a signature, of no call.
            None if name.is_empty() && id.is_empty() && json.is_empty() => return,
            None => {
                self.begin_all(choice, events);
                self.calls.push(Call {
                    index,
                    id,
                    name: String::new(),
                    signature: None,
                    held: String::new(),
                    is_begun: false,
                });
                self.calls.len() - 1
            }
        };
        let Some(call) = self.calls.get_mut(at) else {
            return;
        };
        // Some repeat it in every piece.
        if call.name.is_empty() {
            call.name = name;
        }
        if let Some(signature) = extra_content.signature() {
            call.signature.get_or_insert(signature);
        }
        call.held.push_str(&json);
        // Without an index it comes from Google, whose signature may follow on its own.
        let awaits_signature = call.index.is_none() && call.signature.is_none();
        if call.is_begun || !(call.name.is_empty() || awaits_signature) {
            call.tell(choice, number(at), events);
        }
    }

    /// Takes a signature that came without a call: it is the last one's.
    pub(super) fn sign(&mut self, signature: Proof) {
        let last = self.calls.last_mut().filter(|call| !call.is_begun);
        if let Some(call) = last {
            call.signature.get_or_insert(signature);
        }
    }

    /// Tells of the calls that waited for more.
    pub(super) fn begin_all(&mut self, choice: u32, events: &mut Vec<Event>) {
        for (at, call) in self.calls.iter_mut().enumerate() {
            if !call.is_begun {
                call.tell(choice, number(at), events);
            }
        }
    }

    /// The call that a piece belongs to; `None` if it begins one.
    fn position(&self, index: Option<u32>, id: &str, name: &str) -> Option<usize> {
        let is_of = |call: &Call| id.is_empty() || call.id == id;
        match index {
            Some(index) => {
                let at = self
                    .calls
                    .iter()
                    .rposition(|call| call.index == Some(index))?;
                // Several whole calls under one index: some servers count from 0 in each chunk.
                let begins_another = !name.is_empty() && !is_of(self.calls.get(at)?);
                (!begins_another).then_some(at)
            }
            None => {
                let at = self.calls.len().checked_sub(1)?;
                let begins_another = !name.is_empty() || !is_of(self.calls.get(at)?);
                (!begins_another).then_some(at)
            }
        }
    }
}

impl Call {
    /// Begins, if it has not, and tells what is held of the arguments.
    fn tell(&mut self, choice: u32, call: u32, events: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.is_begun, true) {
            events.push(Event::ToolCall {
                choice,
                call,
                id: self.id.clone(),
                name: std::mem::take(&mut self.name),
                signature: self.signature.take(),
            });
        }
        if !self.held.is_empty() {
            events.push(Event::ToolArguments {
                choice,
                call,
                json: std::mem::take(&mut self.held),
            });
        }
    }
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
