//! What a target has no words for.

use bytes::Bytes;
use shared::config::Dialect;

use super::sent::Sent;
use super::{Field, Origin, Part, ToolCall, ToolResult};
use crate::BadRequest;

/// Something that the client asked for and the target cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// As the client named it.
    pub field: String,
    pub target: Dialect,
}

/// Decides what becomes of such things: the first is refused, by the client's own path, or all are dropped.
#[derive(Debug)]
pub struct Losses {
    sent: Sent,
    target: Dialect,
    is_dropping: bool,
}

impl Losses {
    /// `is_dropping` is the model's `drop_unsupported`.
    pub fn new(client: Dialect, target: Dialect, is_dropping: bool) -> Self {
        Self {
            sent: Sent {
                dialect: client,
                body: Bytes::new(),
            },
            target,
            is_dropping,
        }
    }

    /// Keeps the client's request, in which a refusal looks up what the client calls it.
    #[must_use]
    pub fn of_request(mut self, body: Bytes) -> Self {
        self.sent.body = body;
        self
    }

    /// Whether client and target speak the same dialect, and only manners are translated.
    pub fn is_within_a_dialect(&self) -> bool {
        self.sent.dialect == self.target
    }

    /// Whether one provider understands both dialects: only then do a file's id and the rules of a schema mean the same.
    pub(crate) fn is_within_a_family(&self) -> bool {
        let is_openais =
            |dialect| matches!(dialect, Dialect::OpenaiChat | Dialect::OpenaiResponses);
        self.is_within_a_dialect() || (is_openais(self.sent.dialect) && is_openais(self.target))
    }

    /// Meets a field that the target does not have.
    ///
    /// # Errors
    ///
    /// Unless the model drops what is unsupported.
    pub fn lose(&self, field: Field) -> Result<(), Unsupported> {
        self.lose_at(|sent| sent.field(field))
    }

    /// As [`Self::lose`], for a field of one dialect alone, wherever in the request it stands.
    pub fn lose_key(&self, name: &str) -> Result<(), Unsupported> {
        self.lose_at(|sent| sent.key(name))
    }

    /// [`Self::lose`], if `value` is there.
    pub fn lose_if<T: Copy>(&self, field: Field, value: Option<T>) -> Result<(), Unsupported> {
        match value {
            Some(_) => self.lose(field),
            None => Ok(()),
        }
    }

    /// Meets a part of a message or of a tool's result.
    pub fn lose_part(&self, part: &Part) -> Result<(), Unsupported> {
        self.lose_at(|sent| part.origin().unwrap_or(sent.list()).to_owned())
    }

    /// Meets the `detail` of the image that stood at `image`.
    pub fn lose_detail(&self, image: &Origin) -> Result<(), Unsupported> {
        self.lose_at(|sent| {
            let image = image.path().unwrap_or(sent.list());
            match sent.dialect {
                Dialect::OpenaiChat => format!("{image}.image_url.detail"),
                _ => format!("{image}.detail"),
            }
        })
    }

    /// Meets the name of who speaks in the message at `index`.
    ///
    /// Only OpenAI's chat has names. Its messages are the canonical ones, one for one, unless some were dropped: and who
    /// drops messages is refused no name.
    pub fn lose_name(&self, index: usize) -> Result<(), Unsupported> {
        self.lose_at(|sent| format!("{}[{index}].name", sent.list()))
    }

    /// Meets an assistant that speaks before anybody else.
    pub fn lose_first_answer(&self) -> Result<(), Unsupported> {
        self.lose_at(Sent::first_answer)
    }

    /// Meets the fields that the client's reader had no place for.
    pub fn lose_others(&self, others: &[(String, serde_json::Value)]) -> Result<(), Unsupported> {
        others
            .iter()
            .try_for_each(|(path, _)| self.lose_named(path))
    }

    /// As [`Self::lose`], for what the reader has noted the path of.
    pub fn lose_named(&self, path: &str) -> Result<(), Unsupported> {
        self.lose_at(|_| path.to_owned())
    }

    /// A call whose arguments are no JSON object, to a target that has nothing else. It cannot be dropped: a result
    /// may follow.
    pub fn no_object(&self, call: &ToolCall) -> BadRequest {
        BadRequest::invalid(&self.sent.arguments(call), "the text of a JSON object")
    }

    /// A result of no call, to a target that has to name the tool.
    pub fn no_call(&self, result: &ToolResult) -> BadRequest {
        let path = self.sent.call_id(result);
        BadRequest::invalid(&path, "the id of a tool call in a message before")
    }

    /// The path is only made up for a refusal.
    fn lose_at(&self, path: impl FnOnce(&Sent) -> String) -> Result<(), Unsupported> {
        match self.is_dropping {
            true => Ok(()),
            false => Err(Unsupported {
                field: path(&self.sent),
                target: self.target,
            }),
        }
    }
}

impl From<Unsupported> for BadRequest {
    fn from(unsupported: Unsupported) -> Self {
        let Unsupported { field, target } = unsupported;
        Self {
            message: format!(
                "'{field}' cannot be expressed to the upstream, which speaks `{}`. Leave it out, or let the model drop it (`drop_unsupported: true`).",
                target.name()
            ),
            param: Some(field),
            code: Some("unsupported_parameter"),
        }
    }
}
