//! What a chat asks.

use std::borrow::{Borrow, Cow};

use serde_json::{Map, Value, json};

use super::{Origin, Proof};

/// A chat request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chat {
    /// As the reader found it; a writer is told the upstream's name.
    pub model: String,
    pub is_stream: bool,
    /// Oldest first. System messages may stand anywhere.
    pub messages: Vec<Message>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    /// `Some(false)`: at most one tool call in an answer.
    pub parallel_tool_calls: Option<bool>,
    /// `None`: text.
    pub format: Option<Format>,
    pub max_tokens: Option<u32>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u32>,
    pub min_p: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub seed: Option<i64>,
    pub stop: Vec<String>,
    /// How many answers.
    pub n: Option<u32>,
    pub logprobs: Option<LogprobsAsked>,
    /// By token id, in OpenAI's form.
    pub logit_bias: Option<Map<String, Value>>,
    pub reasoning: Option<Reasoning>,
    /// The end user, for the provider's abuse monitoring.
    pub user: Option<String>,
    /// `low`, `medium`, `high`.
    pub verbosity: Option<String>,
    /// Fields of the client's dialect that have no place here, by their path there, such as `prediction` or
    /// `generationConfig.mediaResolution`. Another dialect cannot express them.
    ///
    /// Hints that change no answer (`metadata`, `store: false`, cache hints) are not kept at all when they are read.
    pub others: Vec<(String, Value)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub role: Role,
    /// Who of several with this role speaks.
    pub name: Option<String>,
    pub parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Also OpenAI's `developer`.
    System,
    User,
    Assistant,
    /// Has only [`Part::ToolResult`]s.
    Tool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Text(String),
    /// The assistant's, instead of an answer.
    Refusal(String),
    Image {
        source: Source,
        /// OpenAI's `detail`: `auto`, `low`, `high`, `original`.
        detail: Option<String>,
        origin: Origin,
    },
    Audio {
        /// Base64.
        data: String,
        /// Media type: `audio/wav`, `audio/mp3`.
        media_type: String,
        origin: Origin,
    },
    /// A document, PDF mostly.
    File {
        source: Source,
        name: Option<String>,
        origin: Origin,
    },
    /// What the model thought, and the provider's proof that it did.
    Thinking {
        text: String,
        signature: Option<Proof>,
    },
    /// Thoughts that only the provider can read.
    RedactedThinking(Proof),
    ToolCall(ToolCall),
    ToolResult(ToolResult),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Url(String),
    Data {
        /// `image/png`.
        media_type: String,
        /// Without a `data:` prefix.
        base64: String,
    },
    /// Uploaded to this provider before.
    FileId(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// JSON text, as the model wrote it; mostly an object.
    pub arguments: String,
    /// To be sent back with the call; only Gemini signs calls.
    pub signature: Option<Proof>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    pub call_id: String,
    /// The tool's; readers fill it in from the call where the dialect does not send it.
    pub name: Option<String>,
    /// Text, images, files.
    pub parts: Vec<Part>,
    pub is_error: bool,
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    pub name: String,
    pub description: Option<String>,
    /// JSON schema; `None`: no parameters.
    pub parameters: Option<Value>,
    pub strict: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    None,
    Auto,
    /// Some tool.
    Required,
    Named(String),
    /// Only these; `is_required`: one of them.
    Among {
        names: Vec<String>,
        is_required: bool,
    },
}

/// What the system says between turns, as a text of the user's, for those who have no other place for it.
pub fn between_turns<S: Borrow<str>>(texts: &[S]) -> String {
    format!("<system>\n{}\n</system>", texts.join("\n\n"))
}

impl ToolChoice {
    /// Whether the answer has to be a call.
    pub fn is_forced(&self) -> bool {
        match self {
            Self::None | Self::Auto => false,
            Self::Required | Self::Named(_) => true,
            Self::Among { is_required, .. } => *is_required,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Any JSON object.
    Json,
    Schema(Schema),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// OpenAI wants one; others do not send it.
    pub name: Option<String>,
    pub description: Option<String>,
    pub schema: Value,
    pub strict: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogprobsAsked {
    /// Alternatives to each token.
    pub top: Option<u32>,
}

/// How much to think before answering.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    pub effort: Option<Effort>,
    /// Tokens; 0 is none, as with [`Effort::None`].
    pub budget: Option<u32>,
    /// Whether the thoughts, or a summary of them, are wanted in the answer.
    pub is_shown: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    /// OpenAI's `xhigh`.
    ExtraHigh,
    Max,
}

impl Effort {
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Minimal,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::ExtraHigh,
        Self::Max,
    ];

    /// As OpenAI writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::ExtraHigh => "xhigh",
            Self::Max => "max",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == word)
    }
}

impl Reasoning {
    /// The effort that is asked for, or the one that the budget comes nearest to, by the table with which Google's
    /// OpenAI-compatible endpoint translates the other way: low is 1024, medium 8192, high 24576.
    pub fn nearest_effort(&self) -> Option<Effort> {
        let of_budget = |budget| match budget {
            0 => Effort::None,
            1..=1024 => Effort::Low,
            1025..=8192 => Effort::Medium,
            _ => Effort::High,
        };
        self.effort.or(self.budget.map(of_budget))
    }

    /// The budget that is asked for, or the one of the effort by the same table.
    pub fn nearest_budget(&self) -> Option<u32> {
        let of_effort = |effort| match effort {
            Effort::None => 0,
            Effort::Minimal | Effort::Low => 1024,
            Effort::Medium => 8192,
            Effort::High | Effort::ExtraHigh | Effort::Max => 24_576,
        };
        self.budget.or(self.effort.map(of_effort))
    }
}

impl Chat {
    /// Takes out settings that say what would be without them: no target has to have words for them.
    pub(crate) fn forget_defaults(&mut self) {
        let nothing = |value: &f64| value.abs() < f64::EPSILON;
        self.frequency_penalty = self.frequency_penalty.filter(|value| !nothing(value));
        self.presence_penalty = self.presence_penalty.filter(|value| !nothing(value));
        self.min_p = self.min_p.filter(|value| !nothing(value));
        self.logit_bias = self.logit_bias.take().filter(|bias| !bias.is_empty());
        self.verbosity = self
            .verbosity
            .take()
            .filter(|verbosity| verbosity != "medium");
        self.n = self.n.filter(|&n| n != 1);
        if self.tools.is_empty() {
            self.parallel_tool_calls = None;
        }
    }

    /// Takes out the names of speakers who are alone in their role: they tell nobody apart.
    pub(crate) fn forget_lone_names(&mut self) {
        for role in [Role::System, Role::User, Role::Assistant, Role::Tool] {
            let of_role = |message: &&Message| message.role == role;
            let messages = self.messages.iter().filter(of_role);
            let mut names = messages.filter_map(|message| message.name.as_deref());
            let first = names.next();
            if names.all(|name| Some(name) == first) {
                let messages = self.messages.iter_mut();
                for message in messages.filter(|message| message.role == role) {
                    message.name = None;
                }
            }
        }
    }

    /// The tools that may be called: where the client allows only some, a target that cannot be told so is given those.
    pub(crate) fn allowed_tools(&self) -> impl Iterator<Item = &Tool> {
        let names = match &self.tool_choice {
            Some(ToolChoice::Among { names, .. }) => Some(names),
            _ => None,
        };
        let is_allowed = move |tool: &&Tool| names.is_none_or(|names| names.contains(&tool.name));
        self.tools.iter().filter(is_allowed)
    }

    /// The name of the tool that was called under `id`, in the messages so far.
    pub fn tool_name(&self, id: &str) -> Option<&str> {
        let parts = self
            .messages
            .iter()
            .rev()
            .flat_map(|message| &message.parts);
        parts
            .filter_map(|part| match part {
                Part::ToolCall(call) => Some(call),
                _ => None,
            })
            .find(|call| call.id == id)
            .map(|call| call.name.as_str())
    }
}

impl Tool {
    /// Its parameters, said to be an object even where that went without saying.
    pub(crate) fn object_schema(&self) -> Cow<'_, Value> {
        match &self.parameters {
            None => Cow::Owned(json!({"type": "object", "properties": {}})),
            Some(Value::Object(schema)) if !schema.contains_key("type") => {
                let mut typed = schema.clone();
                typed.shift_insert(0, "type".to_owned(), "object".into());
                Cow::Owned(Value::Object(typed))
            }
            Some(schema) => Cow::Borrowed(schema),
        }
    }
}

impl Format {
    /// Asks for any JSON object.
    pub(crate) const JSON_IN_WORDS: &str =
        "Answer with a JSON object only: no text around it, and no Markdown fences.";

    /// Whether OpenAI refuses to answer `messages` in this form: it wants the word "json" in them.
    pub(crate) fn lacks_the_word(&self, messages: &[Message]) -> bool {
        let has_word = |part: &Part| match part {
            Part::Text(text) => {
                let mut words = text.as_bytes().windows(4);
                words.any(|word| word.eq_ignore_ascii_case(b"json"))
            }
            _ => false,
        };
        let mut parts = messages.iter().flat_map(|message| &message.parts);
        *self == Self::Json && !parts.any(has_word)
    }

    /// Asks for it in words, where there is no field for it.
    pub(crate) fn in_words(&self) -> Cow<'static, str> {
        match self {
            Self::Json => Cow::Borrowed(Self::JSON_IN_WORDS),
            Self::Schema(Schema { schema, .. }) => Cow::Owned(format!(
                "Answer only with JSON that follows this schema: no text around it, and no Markdown fences.\n{schema}"
            )),
        }
    }
}

impl Message {
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self {
            role,
            name: None,
            parts,
        }
    }
}

impl Source {
    /// Takes `data:image/png;base64,…` apart; any other URL is kept as it is.
    pub fn of_url(url: &str) -> Self {
        let data = url
            .strip_prefix("data:")
            .and_then(|rest| rest.split_once(";base64,"));
        match data {
            Some((media_type, base64)) => Self::Data {
                media_type: media_type.to_owned(),
                base64: base64.to_owned(),
            },
            None => Self::Url(url.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_forgotten_that_tell_nobody_apart() {
        let say = |role, name: Option<&str>| Message {
            name: name.map(str::to_owned),
            ..Message::new(role, Vec::new())
        };
        let mut chat = Chat {
            messages: vec![
                say(Role::System, Some("operator")),
                say(Role::User, Some("ann")),
                say(Role::Assistant, Some("planner")),
                say(Role::User, None),
                say(Role::Assistant, Some("critic")),
            ],
            ..Chat::default()
        };

        chat.forget_lone_names();

        let names: Vec<_> = chat.messages.iter().map(|it| it.name.as_deref()).collect();
        assert_eq!(names, [None, None, Some("planner"), None, Some("critic")]);
    }
}
