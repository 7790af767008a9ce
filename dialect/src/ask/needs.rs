//! What a model must be able to do to answer a request.

use shared::config::Capability;

use super::Ask;
use super::grammar::Sign;
use crate::Operation;
use crate::scan::AttachmentKind;

/// What a request needs beyond text in, text out; known from its scan alone, whatever the model forces.
///
/// How much room it needs is [`Ask::estimate`]'s to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub capabilities: Vec<Capability>,
    /// Whether words are wanted, not numbers.
    pub has_answer: bool,
}

impl Needs {
    /// The first need that is not among the capabilities `known` of a model.
    ///
    /// Whatever else a list names, `text` goes without saying; but a model that is only known to embed does nothing else.
    pub fn missing_in(&self, known: &[Capability]) -> Option<Capability> {
        let only_embeds = matches!(known, [Capability::Embedding, rest @ ..]
            if rest.iter().all(|more| *more == Capability::Embedding));
        if self.has_answer && only_embeds {
            return Some(Capability::Text);
        }
        let mut needs = self.capabilities.iter().copied();
        needs.find(|need| !known.contains(need))
    }
}

impl Ask {
    /// What is needed of whoever answers.
    pub fn needs(&self) -> Needs {
        let has_any = |kind| self.object.text.n_attachments(kind) > 0;
        let is_needed = |capability: &Capability| match capability {
            // What takes no text at all is asked at endpoints of its own.
            Capability::Text => false,
            Capability::Vision => has_any(AttachmentKind::Image),
            Capability::Audio => has_any(AttachmentKind::Sound),
            Capability::Files => has_any(AttachmentKind::Document),
            Capability::Tools => self.offers_tools(),
            Capability::JsonSchema => self.wants_json_schema(),
            Capability::Embedding => self.endpoint.operation() == Operation::Embedding,
        };
        let capabilities = Capability::ALL.into_iter().filter(is_needed);
        Needs {
            capabilities: capabilities.collect(),
            has_answer: matches!(
                self.endpoint.operation(),
                Operation::Chat | Operation::Completion
            ),
        }
    }

    fn offers_tools(&self) -> bool {
        let lists = self.grammar.tools.iter().flat_map(|path| self.values(path));
        let mut raws = lists.filter_map(|span| self.body.get(span));
        raws.any(|raw| {
            let inside = raw.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
            inside.is_some_and(|inside| !inside.starts_with(b"]"))
        })
    }

    fn wants_json_schema(&self) -> bool {
        let mut signs = self.grammar.answer_schemas.iter();
        signs.any(|(path, sign)| {
            let Some(value) = self.field(path) else {
                return false;
            };
            match sign {
                Sign::Text(text) => value.text().as_deref() == Some(*text),
                Sign::Object => value.raw().starts_with(b"{"),
            }
        })
    }
}

#[cfg(test)]
mod tests;
