//! What a target has no words for.

use super::Field;
use shared::config::Dialect;

use crate::BadRequest;

/// Something that the client asked for and the target cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// As the client named it.
    pub field: String,
    pub target: Dialect,
}

/// Decides what becomes of such things: the first is refused, or all are dropped.
#[derive(Debug)]
pub struct Losses {
    client: Dialect,
    target: Dialect,
    is_dropping: bool,
}

impl Losses {
    /// `is_dropping` is the model's `drop_unsupported`.
    pub fn new(client: Dialect, target: Dialect, is_dropping: bool) -> Self {
        Self {
            client,
            target,
            is_dropping,
        }
    }

    /// Whether client and target speak the same dialect, and only manners are translated.
    pub fn is_within_a_dialect(&self) -> bool {
        self.client == self.target
    }

    /// Whether one provider understands both dialects: only then do a file's id and the rules of a schema mean the same.
    pub(crate) fn is_within_a_family(&self) -> bool {
        let is_openais =
            |dialect| matches!(dialect, Dialect::OpenaiChat | Dialect::OpenaiResponses);
        self.is_within_a_dialect() || (is_openais(self.client) && is_openais(self.target))
    }

    /// Meets a field that the target does not have.
    ///
    /// # Errors
    ///
    /// Unless the model drops what is unsupported.
    pub fn lose(&self, field: Field) -> Result<(), Unsupported> {
        self.lose_named(field.name(self.client))
    }

    /// As [`Self::lose`], for what has no [`Field`]: `messages[3].content[1]`.
    pub fn lose_named(&self, field: &str) -> Result<(), Unsupported> {
        match self.is_dropping {
            true => Ok(()),
            false => Err(Unsupported {
                field: field.to_owned(),
                target: self.target,
            }),
        }
    }

    /// [`Self::lose`], if `value` is there.
    pub fn lose_if<T: Copy>(&self, field: Field, value: Option<T>) -> Result<(), Unsupported> {
        match value {
            Some(_) => self.lose(field),
            None => Ok(()),
        }
    }

    /// Meets the fields that the client's reader had no place for.
    pub fn lose_others(&self, others: &[(String, serde_json::Value)]) -> Result<(), Unsupported> {
        others
            .iter()
            .try_for_each(|(field, _)| self.lose_named(field))
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
