//! One answer and its usage, before a dialect makes a body or a stream of it.
//!
//! [`script`] decides what it says, [`wording`] cuts it into tokens, [`example`] invents values that fit a schema.

mod example;
mod script;
mod wording;

use serde_json::Value;

pub(crate) use self::wording::Wording;

/// A generated answer: `choices` times the same parts.
pub(crate) struct Answer {
    /// The request's number, of which each dialect makes its ids.
    pub(crate) id: u64,
    /// Unix seconds.
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) choices: u32,
    pub(crate) parts: Vec<Part>,
    pub(crate) finish: Finish,
    /// Whether signatures come with what is not thought.
    pub(crate) signs: bool,
    /// `None` if the provider tells no usage.
    pub(crate) usage: Option<Usage>,
}

pub(crate) enum Part {
    Thinking(Wording),
    Text(Wording),
    Call(ToolCall),
}

pub(crate) struct ToolCall {
    pub(crate) name: String,
    pub(crate) arguments: Value,
    /// `arguments` as JSON.
    pub(crate) wording: Wording,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Finish {
    #[default]
    Stop,
    Length,
    ToolCalls,
}

/// Tokens as the provider counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: u32,
    /// Thoughts included.
    pub(crate) completion_tokens: u32,
    pub(crate) reasoning_tokens: u32,
}

/// What an answer says, before it is anybody's answer.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) parts: Vec<Part>,
    pub(crate) finish: Finish,
}

/// One token of an answer.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'a> {
    /// Which part it belongs to, by its place in the answer.
    pub(crate) index: usize,
    pub(crate) part: &'a Part,
    pub(crate) text: &'a str,
    /// Whether the part begins with it.
    pub(crate) is_first: bool,
    /// Whether the part ends with it.
    pub(crate) is_last: bool,
}

/// A place between two tokens of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    part: usize,
    token: u32,
}

impl Usage {
    pub(crate) fn new(prompt_tokens: u32, completion_tokens: u32, reasoning_tokens: u32) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            reasoning_tokens,
        }
    }

    pub(crate) fn total_tokens(self) -> u32 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    /// The same request, reported as `total_tokens`.
    pub(crate) fn reported_as(self, total_tokens: u32) -> Self {
        let prompt_tokens = self.prompt_tokens.min(total_tokens);
        let completion_tokens = total_tokens - prompt_tokens;
        let reasoning_tokens = self.reasoning_tokens.min(completion_tokens);
        Self::new(prompt_tokens, completion_tokens, reasoning_tokens)
    }
}

impl Part {
    pub(crate) fn wording(&self) -> &Wording {
        match self {
            Self::Thinking(wording) | Self::Text(wording) => wording,
            Self::Call(call) => &call.wording,
        }
    }

    pub(crate) fn call(&self) -> Option<&ToolCall> {
        match self {
            Self::Call(call) => Some(call),
            Self::Thinking(_) | Self::Text(_) => None,
        }
    }
}

impl ToolCall {
    pub(crate) fn new(name: String, arguments: Value) -> Self {
        Self {
            name,
            wording: Wording::said(arguments.to_string()),
            arguments,
        }
    }
}

impl Said {
    /// Tokens in one choice, and how many of them are thoughts.
    pub(crate) fn tokens(&self) -> (u32, u32) {
        let mut tokens = 0_u32;
        let mut thoughts = 0_u32;
        for part in &self.parts {
            let count = part.wording().tokens();
            tokens = tokens.saturating_add(count);
            if matches!(part, Part::Thinking(_)) {
                thoughts = thoughts.saturating_add(count);
            }
        }
        (tokens, thoughts)
    }
}

impl Answer {
    /// Tokens in one choice, which are its content chunks in a stream.
    pub(crate) fn tokens(&self) -> u32 {
        self.parts.iter().fold(0, |tokens, part| {
            tokens.saturating_add(part.wording().tokens())
        })
    }

    /// All that is thought.
    pub(crate) fn thoughts(&self) -> Option<String> {
        self.parts.iter().find_map(|part| match part {
            Part::Thinking(wording) => Some(wording.whole()),
            Part::Text(_) | Part::Call(_) => None,
        })
    }

    /// All that is said; `None` if only tools are called.
    pub(crate) fn text(&self) -> Option<String> {
        self.parts.iter().find_map(|part| match part {
            Part::Text(wording) => Some(wording.whole()),
            Part::Thinking(_) | Part::Call(_) => None,
        })
    }

    /// The calls, in their order.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(Part::call)
    }

    /// How many calls come before the part at `index`.
    pub(crate) fn calls_before(&self, index: usize) -> usize {
        let before = self.parts.iter().take(index);
        before.filter(|part| part.call().is_some()).count()
    }

    /// The piece at `cursor`, which moves behind it.
    pub(crate) fn next_piece(&self, cursor: &mut Cursor) -> Option<Piece<'_>> {
        loop {
            let part = self.parts.get(cursor.part)?;
            let wording = part.wording();
            let tokens = wording.tokens();
            if cursor.token < tokens {
                let token = cursor.token;
                cursor.token += 1;
                return Some(Piece {
                    index: cursor.part,
                    part,
                    text: wording.piece(token),
                    is_first: token == 0,
                    is_last: cursor.token == tokens,
                });
            }
            cursor.part += 1;
            cursor.token = 0;
        }
    }
}
