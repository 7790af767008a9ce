//! What a request asks for, whatever the dialect it was asked in.

use serde_json::Value;

/// A checked request for text.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) model: String,
    pub(crate) prompt_tokens: u32,
    pub(crate) last: Turn,
    /// Those that the answer may call.
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: ToolChoice,
    /// Whether one answer may call several tools.
    pub(crate) is_parallel: bool,
    pub(crate) format: Format,
    /// Whether thoughts come before the answer.
    pub(crate) reasons: bool,
    /// Whether the answer is signed, thoughts or not.
    pub(crate) signs: bool,
    /// Per choice.
    pub(crate) tokens_max: Option<u32>,
    pub(crate) choices: u32,
}

/// What the answer answers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Neither a user's words nor a tool's results: a prefix to go on with, or instructions alone.
    #[default]
    Other,
    User(UserTurn),
    /// All results since the calls.
    Results(Vec<String>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserTurn {
    /// One per text part.
    pub(crate) texts: Vec<String>,
    pub(crate) images: u32,
    pub(crate) files: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// The JSON schema of its arguments.
    pub(crate) schema: Value,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    #[default]
    Auto,
    None,
    /// Some tool must be called.
    Required,
    Named(String),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
    Schema(Value),
}

/// Counts a conversation's text and keeps what came last in it.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    bytes: u64,
    last: Turn,
}

impl Conversation {
    /// Text that is counted, and answered by nothing.
    pub(crate) fn instruct(&mut self, text: &str) {
        self.count(text);
    }

    pub(crate) fn user(&mut self, turn: UserTurn) {
        for text in &turn.texts {
            self.count(text);
        }
        self.last = Turn::User(turn);
    }

    pub(crate) fn assistant(&mut self, text: &str) {
        self.count(text);
        self.last = Turn::Other;
    }

    pub(crate) fn result(&mut self, text: String) {
        self.count(&text);
        match &mut self.last {
            Turn::Results(results) => results.push(text),
            Turn::Other | Turn::User(_) => self.last = Turn::Results(vec![text]),
        }
    }

    /// One token for every four bytes, and at least one.
    pub(crate) fn tokens(&self) -> u32 {
        tokens_in(self.bytes)
    }

    pub(crate) fn into_last(self) -> Turn {
        self.last
    }

    fn count(&mut self, text: &str) {
        self.bytes += text.len() as u64;
    }
}

/// How many tokens so many bytes of a prompt are.
pub(crate) fn tokens_in(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(4)).unwrap_or(u32::MAX).max(1)
}

impl UserTurn {
    pub(crate) fn saying(text: &str) -> Self {
        Self {
            texts: vec![text.to_owned()],
            ..Self::default()
        }
    }

    /// What follows `words` in the part that says them.
    pub(crate) fn after(&self, words: &str) -> Option<&str> {
        self.texts
            .iter()
            .find_map(|text| text.split_once(words))
            .map(|(_, rest)| rest)
    }

    pub(crate) fn says(&self, words: &str) -> bool {
        self.texts.iter().any(|text| text.contains(words))
    }
}

impl Ask {
    /// A question without anything but its text.
    pub(crate) fn plain(model: String, conversation: Conversation) -> Self {
        Self {
            model,
            prompt_tokens: conversation.tokens(),
            last: conversation.into_last(),
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            is_parallel: true,
            format: Format::Text,
            reasons: false,
            signs: false,
            tokens_max: None,
            choices: 1,
        }
    }
}
