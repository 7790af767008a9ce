//! What came while a call was open.

use crate::canon::{Part, ToolCall};

#[derive(Debug, Default)]
pub(super) struct Waiting(Vec<Waits>);

#[derive(Debug)]
pub(super) enum Waits {
    Part(Part),
    Call { number: u32, call: ToolCall },
}

impl Waiting {
    pub(super) fn push(&mut self, part: Part) {
        let last = match self.0.last_mut() {
            Some(Waits::Part(last)) => Some(last),
            Some(Waits::Call { .. }) | None => None,
        };
        match (last, part) {
            (Some(Part::Text(text)), Part::Text(more))
            | (Some(Part::Refusal(text)), Part::Refusal(more)) => text.push_str(&more),
            // Signed thoughts are whole.
            (
                Some(Part::Thinking {
                    text,
                    signature: signature @ None,
                }),
                Part::Thinking {
                    text: more,
                    signature: proof,
                },
            ) => {
                text.push_str(&more);
                *signature = proof;
            }
            (_, part) => self.0.push(Waits::Part(part)),
        }
    }

    pub(super) fn push_call(&mut self, number: u32, call: ToolCall) {
        self.0.push(Waits::Call { number, call });
    }

    pub(super) fn push_arguments(&mut self, number: u32, json: &str) {
        let call = self.0.iter_mut().find_map(|waits| match waits {
            Waits::Call { number: of, call } if *of == number => Some(call),
            Waits::Call { .. } | Waits::Part(_) => None,
        });
        if let Some(call) = call {
            call.arguments.push_str(json);
        }
    }

    pub(super) fn take(&mut self) -> Vec<Waits> {
        std::mem::take(&mut self.0)
    }
}
