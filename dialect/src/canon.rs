//! The one form between all dialects: what a chat asks, what it answers, and the events of a streamed answer.
//!
//! A dialect reads its bytes into these types and writes them from these types; no dialect knows another. What a target
//! has no words for is refused by the name that the client gave it, or dropped where the model allows: see [`Losses`].

pub(crate) mod call_id;
mod chat;
mod embedding;
mod event;
mod field;
mod loss;
mod narrow;
mod origin;
mod overrides;
pub(crate) mod proof;
mod reply;
mod sent;
mod strict;
mod strict_room;

pub use chat::{
    Chat, Effort, Format, LogprobsAsked, Message, Part, Reasoning, Role, Schema, Source, Tool,
    ToolCall, ToolChoice, ToolResult, between_turns,
};
pub use embedding::{EmbeddingAsk, EmbeddingReply, Input};
pub use event::{Event, StreamReader, StreamWriter};
pub use field::Field;
pub use loss::{Losses, Unsupported};
use narrow::narrow;
pub use origin::Origin;
pub use overrides::Overrides;
pub(crate) use overrides::{Wording, is_about_tools, override_fields, set_top_level};
pub use proof::Proof;
pub use reply::{AnswerFacts, Choice, Finish, Reply, StreamVariant};
pub(crate) use strict::{is_of_object, is_strict};
pub(crate) use strict_room::StrictRoom;
