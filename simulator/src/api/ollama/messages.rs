//! The messages of a chat. Their order is free, as it is at the real one.

use crate::ask::{Conversation, UserTurn};
use crate::base64;
use crate::fields::{Fields, Reading};

pub(super) fn read(message: &mut Fields<'_>, conversation: &mut Conversation) -> Reading<()> {
    let role = message.need_one_of("role", &["system", "user", "assistant", "tool"])?;
    let content = message.text("content")?.unwrap_or_default();
    message.text("thinking")?;
    let images = read_images(message)?;
    for call in message.list("tool_calls")?.unwrap_or_default() {
        call.object(|call| {
            call.text("id")?;
            call.one_of("type", &["function"])?;
            call.need("function")?.object(|function| {
                function.whole("index", 0..=i64::from(u32::MAX))?;
                function.need_text("name")?;
                function.need("arguments")?.any_object().map(drop)
            })
        })?;
    }
    message.text("tool_name")?;
    message.text("tool_call_id")?;
    match role {
        "system" => conversation.instruct(content),
        "user" => conversation.user(UserTurn {
            images,
            ..UserTurn::saying(content)
        }),
        "assistant" => conversation.assistant(content),
        _ => conversation.result(content.to_owned()),
    }
    Ok(())
}

/// How many images there are: base64 without anything before it.
pub(super) fn read_images(fields: &mut Fields<'_>) -> Reading<u32> {
    let mut n_images = 0;
    for image in fields.list("images")?.unwrap_or_default() {
        if !base64::is_valid(image.text()?) {
            return Err(image.against("illegal base64 data at input byte 0"));
        }
        n_images += 1;
    }
    Ok(n_images)
}
