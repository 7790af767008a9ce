//! Leaves the budget of thoughts out of a request in which Anthropic refuses one: where the assistant's last turn calls
//! tools and does not begin with thoughts, as after those of another were cut out of it.
//!
//! A turn may begin as it likes where the model itself decides whether to think (`adaptive`).

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;

use crate::scan::{self, Member};
use crate::splice::Splice;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: Vec<Typed<'a>>,
}

/// A block, a setting of thoughts, or an edit of the context.
#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Management<'a> {
    #[serde(borrow)]
    edits: Vec<Typed<'a>>,
}

pub(super) fn leave_out(body: Bytes) -> Bytes {
    let Ok(object) = scan::scan_object(&body, |_| false) else {
        return body;
    };
    let value = |member: &Member| body.get(member.value.clone()).unwrap_or_default();
    let named = |name: &str| {
        let mut members = object.members.iter();
        members.find(|member| member.name(&body) == name.as_bytes())
    };
    let thinking = named("thinking").map(value).and_then(read::<Typed<'_>>);
    let has_budget = thinking.is_some_and(|thinking| thinking.kind == "enabled");
    if !has_budget || !named("messages").is_some_and(|member| ends_unthought(value(member))) {
        return body;
    }
    let mut splice = Splice::default();
    let mut spans = Vec::with_capacity(object.members.len());
    let mut stays = Vec::with_capacity(object.members.len());
    for member in &object.members {
        spans.push(member.start..member.value.end);
        stays.push(match member.name(&body) {
            b"thinking" => false,
            b"context_management" => keep_edits(&body, member, &mut splice),
            _ => true,
        });
    }
    splice.cut(&spans, &stays);
    splice.apply(&body)
}

/// Whether the assistant calls tools in its last message, and does not begin that with thoughts.
fn ends_unthought(messages: &[u8]) -> bool {
    let messages = scan::elements(messages)
        .into_iter()
        .rev()
        .filter_map(|span| messages.get(span));
    for raw in messages {
        // Words alone are no list, and need no thoughts before them.
        match read::<Message<'_>>(raw) {
            Some(Message { role, content }) if role == "assistant" => {
                let begins_with_thoughts = content.first().is_some_and(is_thought);
                return !begins_with_thoughts
                    && content.iter().any(|block| block.kind == "tool_use");
            }
            _ => {}
        }
    }
    false
}

/// Cuts out of `management` what has to do with thoughts, which the API takes only beside them; `false` if that is all.
fn keep_edits(body: &[u8], management: &Member, splice: &mut Splice) -> bool {
    let raw = body.get(management.value.clone()).unwrap_or_default();
    let (Some(Management { edits }), Ok(object)) = (read(raw), scan::scan_object(raw, |_| false))
    else {
        return true;
    };
    let stays: Vec<_> = edits
        .iter()
        .map(|edit| !edit.kind.starts_with("clear_thinking"))
        .collect();
    if !stays.contains(&true) {
        return stays.is_empty();
    }
    let mut members = object.members.iter();
    if let Some(edits) = members.find(|member| member.name(raw) == b"edits") {
        let list = scan::within(&management.value, &edits.value);
        let elements = scan::elements(body.get(list.clone()).unwrap_or_default());
        let spans: Vec<_> = elements
            .iter()
            .map(|element| scan::within(&list, element))
            .collect();
        splice.cut(&spans, &stays);
    }
    true
}

fn is_thought(block: &Typed<'_>) -> bool {
    matches!(&*block.kind, "thinking" | "redacted_thinking")
}

fn read<'a, T: Deserialize<'a>>(raw: &'a [u8]) -> Option<T> {
    serde_json::from_slice(raw).ok()
}
