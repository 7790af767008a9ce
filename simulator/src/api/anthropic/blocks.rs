//! Messages and their blocks, and the order they must come in.

use crate::api::schema;
use crate::ask::{Conversation, UserTurn};
use crate::base64;
use crate::fields::{Fields, Invalid, Item, Reading};

use super::request::{Terms, Version, read_effort};
use super::signature;

const IMAGE_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

pub(super) struct Messages {
    pub(super) conversation: Conversation,
    /// Whether the system has set an effort between turns.
    pub(super) has_effort: bool,
    /// What is wrong with the last results if thinking is enabled: their calls came without thoughts.
    pub(super) unthought_calls: Option<Invalid>,
}

pub(super) fn read(messages: &Item<'_>, terms: Terms) -> Reading<Messages> {
    let mut reader = Reader::new(terms);
    let messages = messages.some()?;
    for message in &messages {
        message.object(|fields| reader.message(message, fields))?;
    }
    if let Some(last) = messages.last() {
        reader.check_answered(last)?;
        if reader.last_text_ends_blank {
            let rule = "final assistant content cannot end with trailing whitespace";
            return Err(last.against(rule));
        }
    }
    Ok(Messages {
        has_effort: reader.has_effort,
        unthought_calls: reader.unthought_calls.filter(|_| reader.has_results),
        conversation: reader.conversation,
    })
}

pub(super) fn read_system(system: &Item<'_>) -> Reading<String> {
    if system.is_text() {
        return system.text().map(str::to_owned);
    }
    let mut text = String::new();
    for block in system.list()? {
        block.object(|fields| {
            fields.need_one_of("type", &["text"])?;
            text.push_str(read_text(fields)?);
            Ok(())
        })?;
    }
    Ok(text)
}

pub(super) fn check_cache_control(fields: &mut Fields<'_>) -> Reading<()> {
    let Some(item) = fields.nullable("cache_control") else {
        return Ok(());
    };
    item.object(|control| {
        control.need_one_of("type", &["ephemeral"])?;
        control.one_of("ttl", &["5m", "1h"]).map(drop)
    })
}

struct Reader {
    terms: Terms,
    conversation: Conversation,
    has_effort: bool,
    /// Ids of the last assistant's calls that have no result yet.
    pending: Vec<String>,
    is_begun: bool,
    /// Says that the last assistant's calls have no thoughts before them.
    unthought_calls: Option<Invalid>,
    /// Whether the last message has results.
    has_results: bool,
    last_text_ends_blank: bool,
}

impl Reader {
    fn new(terms: Terms) -> Self {
        Self {
            terms,
            conversation: Conversation::default(),
            has_effort: false,
            pending: Vec::new(),
            is_begun: false,
            unthought_calls: None,
            has_results: false,
            last_text_ends_blank: false,
        }
    }

    fn message(&mut self, message: &Item<'_>, fields: &mut Fields<'_>) -> Reading<()> {
        let roles: &[&'static str] = match self.terms.has_system_turns {
            false => &["user", "assistant"],
            true => &["user", "assistant", "system"],
        };
        let role = fields.need_one_of("role", roles)?;
        let content = fields.need("content")?;
        if role == "system" {
            return self.system(message, &content, fields);
        }
        if !self.is_begun && role != "user" {
            return Err(message.against("first message must use the \"user\" role"));
        }
        self.is_begun = true;
        self.last_text_ends_blank = false;
        match role {
            "user" => self.user(message, &content),
            _ => self.assistant(message, &content),
        }
    }

    fn system(
        &mut self,
        message: &Item<'_>,
        content: &Item<'_>,
        fields: &mut Fields<'_>,
    ) -> Reading<()> {
        self.check_answered(message)?;
        if self.terms.has_turn_config {
            let effort = fields.object("output_config", read_effort)?;
            self.has_effort |= effort.flatten().is_some();
        }
        let text = read_system(content)?;
        if !text.is_empty() && !self.is_begun {
            let rule = "use the top-level 'system' parameter for the initial system prompt";
            return Err(message.against(rule));
        }
        self.conversation.instruct(&text);
        Ok(())
    }

    fn user(&mut self, message: &Item<'_>, content: &Item<'_>) -> Reading<()> {
        let mut turn = UserTurn::default();
        let mut has_others = false;
        self.has_results = false;
        if content.is_text() {
            if content.text()?.is_empty() {
                return Err(message.against("user messages must have non-empty content"));
            }
            turn = UserTurn::saying(content.text()?);
            has_others = true;
        } else {
            for block in content.some()? {
                block.object(|fields| {
                    let kind = fields.need_text("type")?;
                    if kind != "tool_result" {
                        has_others = true;
                        return self.read_user_block(kind, &mut turn, fields);
                    }
                    if has_others {
                        let rule = "`tool_result` blocks must come first in their message";
                        return Err(block.against(rule));
                    }
                    self.has_results = true;
                    self.result(fields)
                })?;
            }
        }
        self.check_answered(message)?;
        if has_others {
            self.conversation.user(turn);
        }
        Ok(())
    }

    fn result(&mut self, fields: &mut Fields<'_>) -> Reading<()> {
        let id = fields.need_text("tool_use_id")?;
        let Some(place) = self.pending.iter().position(|pending| pending == id) else {
            return Err(fields.against(
                "tool_use_id",
                format!(
                    "unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have \
                     a corresponding `tool_use` block in the previous message."
                ),
            ));
        };
        self.pending.remove(place);
        fields.flag("is_error")?;
        check_cache_control(fields)?;
        let mut turn = UserTurn::default();
        if let Some(content) = fields.item("content") {
            if content.is_text() {
                turn = UserTurn::saying(content.text()?);
            } else {
                for block in content.list()? {
                    block.object(|fields| {
                        let kind = fields.need_text("type")?;
                        self.read_user_block(kind, &mut turn, fields)
                    })?;
                }
            }
        }
        self.conversation.result(turn.texts.concat());
        Ok(())
    }

    fn read_user_block(
        &self,
        kind: &str,
        turn: &mut UserTurn,
        fields: &mut Fields<'_>,
    ) -> Reading<()> {
        match kind {
            "text" => {
                if let Some(citations) = fields.nullable("citations")
                    && self.terms.version == Version::Of2026
                    && !citations.list()?.is_empty()
                {
                    return Err(citations.against("Extra inputs are not permitted"));
                }
                turn.texts.push(read_text(fields)?.to_owned());
            }
            "image" => {
                read_source(fields, &["base64", "url", "file"], &IMAGE_TYPES)?;
                turn.images += 1;
            }
            "document" => {
                read_document(fields)?;
                turn.files += 1;
            }
            "search_result" => {
                fields.need_text("source")?;
                fields.need_text("title")?;
                fields.need("content")?.list()?;
                fields.any_object("citations")?;
                turn.files += 1;
            }
            _ => {
                let kinds = "one of 'text', 'image', 'document', 'search_result', 'tool_result'";
                return Err(fields.wrong("type", kinds));
            }
        }
        check_cache_control(fields)
    }

    fn assistant(&mut self, message: &Item<'_>, content: &Item<'_>) -> Reading<()> {
        self.check_answered(message)?;
        self.has_results = false;
        let mut text = String::new();
        let mut begins_with_thoughts = false;
        if content.is_text() {
            text.push_str(content.text()?);
        } else {
            for (place, block) in content.list()?.iter().enumerate() {
                block.object(|fields| match fields.need_text("type")? {
                    "text" => {
                        fields.nullable("citations");
                        check_cache_control(fields)?;
                        text.push_str(read_text(fields)?);
                        Ok(())
                    }
                    "thinking" => {
                        begins_with_thoughts |= place == 0;
                        read_thinking(fields)
                    }
                    "redacted_thinking" => {
                        begins_with_thoughts |= place == 0;
                        let data = fields.need("data")?;
                        match base64::is_valid(data.text()?) {
                            true => Ok(()),
                            false => {
                                Err(data.against("Invalid `data` in `redacted_thinking` block"))
                            }
                        }
                    }
                    "tool_use" => self.call(fields),
                    "document" if self.terms.version == Version::Of2023 => read_document(fields),
                    _ => {
                        let kinds = "one of 'text', 'thinking', 'redacted_thinking', 'tool_use'";
                        Err(fields.wrong("type", kinds))
                    }
                })?;
            }
        }
        let is_unthought = !self.pending.is_empty() && !begins_with_thoughts;
        self.unthought_calls = is_unthought.then(|| {
            message.against(
                "Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final \
                 `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and \
                 `tool_result` blocks).",
            )
        });
        self.last_text_ends_blank = text.ends_with(char::is_whitespace);
        self.conversation.assistant(&text);
        Ok(())
    }

    fn call(&mut self, fields: &mut Fields<'_>) -> Reading<()> {
        let id = fields.need("id")?;
        if !schema::is_plain(id.text()?) {
            return Err(id.against("String should match pattern '^[a-zA-Z0-9_-]+$'"));
        }
        if self
            .pending
            .iter()
            .any(|pending| Some(pending.as_str()) == id.text().ok())
        {
            return Err(id.against("`tool_use` ids must be unique"));
        }
        self.pending.push(id.text()?.to_owned());
        fields.need_text("name")?;
        fields.need("input")?.any_object()?;
        fields.any_object("caller")?;
        check_cache_control(fields)
    }

    /// Refuses `message` while calls wait for their results.
    fn check_answered(&self, message: &Item<'_>) -> Reading<()> {
        match self.pending.is_empty() {
            true => Ok(()),
            false => Err(message.against(format!(
                "`tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block \
                 must have a corresponding `tool_result` block in the next message.",
                self.pending.join(", ")
            ))),
        }
    }
}

/// The text of a text block.
fn read_text<'a>(fields: &mut Fields<'a>) -> Reading<&'a str> {
    fields.nullable("citations");
    check_cache_control(fields)?;
    match fields.need_text("text")? {
        "" => Err(fields.against("text", "text content blocks must be non-empty")),
        text => Ok(text),
    }
}

fn read_thinking(fields: &mut Fields<'_>) -> Reading<()> {
    let thoughts = fields.need_text("thinking")?;
    match fields.need_text("signature")? == signature(thoughts) {
        true => Ok(()),
        false => Err(fields.against("signature", "Invalid `signature` in `thinking` block")),
    }
}

fn read_document(fields: &mut Fields<'_>) -> Reading<()> {
    fields.nullable("title");
    fields.nullable("context");
    fields.nullable("citations");
    check_cache_control(fields)?;
    let kinds = ["base64", "text", "content", "url", "file"];
    read_source(fields, &kinds, &["application/pdf"])
}

fn read_source(
    fields: &mut Fields<'_>,
    kinds: &[&'static str],
    media_types: &[&'static str],
) -> Reading<()> {
    fields.need("source")?.object(|source| {
        match source.need_one_of("type", kinds)? {
            "base64" => {
                source.need_one_of("media_type", media_types)?;
                let data = source.need("data")?;
                if !base64::is_valid(data.text()?) {
                    return Err(data.against("The base64 provided is not valid"));
                }
            }
            "text" => {
                source.need_one_of("media_type", &["text/plain"])?;
                source.need_text("data")?;
            }
            "content" => {
                source.need("content")?;
            }
            "url" => {
                let url = source.need("url")?;
                let text = url.text()?;
                if !text.starts_with("https://") && !text.starts_with("http://") {
                    return Err(url.against("Only HTTPS URLs are supported."));
                }
            }
            _ => {
                source.need_text("file_id")?;
            }
        }
        Ok(())
    })
}
