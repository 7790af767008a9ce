//! One content block of an upstream's answer.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// All kinds in one: the fields of a kind's own are there, and those of the others are not. (An enum would be buffered
/// before it is known which kind it is.)
#[derive(Debug, Deserialize)]
pub(super) struct Block<'a> {
    /// `text`, `thinking`, `redacted_thinking`, `tool_use`. Blocks of the provider's own tools have others, and pass
    /// unread: nobody could ask for them in another dialect.
    #[serde(rename = "type", default, borrow)]
    pub(super) kind: Cow<'a, str>,
    pub(super) text: Option<String>,
    pub(super) thinking: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) data: Option<String>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
}
