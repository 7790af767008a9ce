//! Where something stood in the client's request.

use super::Part;

/// The path that a thing had in the client's request: `contents[2].parts[0].inlineData`.
///
/// Readers note it of what a target may have no words for, media above all. It is no part of what a thing is: two that
/// differ in nothing else are equal.
#[derive(Clone, Debug, Default)]
pub struct Origin(Option<Box<str>>);

impl Origin {
    /// `place` is what the reader calls the thing.
    pub fn at(place: &(impl ToString + ?Sized)) -> Self {
        Self(Some(place.to_string().into_boxed_str()))
    }

    /// `None` for what no client sent.
    pub fn path(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl PartialEq for Origin {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

impl Part {
    /// Where it stood; `None` for a part of which no reader notes it.
    pub fn origin(&self) -> Option<&str> {
        match self {
            Self::Image { origin, .. } | Self::Audio { origin, .. } | Self::File { origin, .. } => {
                origin.path()
            }
            Self::Text(_)
            | Self::Refusal(_)
            | Self::Thinking { .. }
            | Self::RedactedThinking(_)
            | Self::ToolCall(_)
            | Self::ToolResult(_) => None,
        }
    }
}
