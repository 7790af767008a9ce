//! The messages of a chat, and the rule that every call is answered before anything else is said.

use crate::ask::{Conversation, UserTurn};
use crate::base64;
use crate::fields::{Fields, Item, Reading};

use super::tools;

const ROLES: [&str; 6] = [
    "developer",
    "system",
    "user",
    "assistant",
    "tool",
    "function",
];

pub(super) fn read(messages: &Item<'_>) -> Reading<Conversation> {
    let mut reader = Reader::default();
    for message in messages.some()? {
        message.object(|fields| reader.message(&message, fields))?;
    }
    reader.check_answered(messages)?;
    Ok(reader.conversation)
}

#[derive(Default)]
struct Reader {
    conversation: Conversation,
    /// Ids of the last assistant's calls that have no result yet.
    pending: Vec<String>,
    /// Whether nothing but results has come since those calls.
    is_among_results: bool,
}

impl Reader {
    fn message(&mut self, message: &Item<'_>, fields: &mut Fields<'_>) -> Reading<()> {
        let role = fields.need_one_of("role", &ROLES)?;
        if role == "tool" {
            return self.result(fields);
        }
        self.check_answered(message)?;
        self.is_among_results = false;
        fields.text("name")?;
        match role {
            "assistant" => self.assistant(fields),
            "user" => {
                let turn = read_user(&fields.need("content")?)?;
                self.conversation.user(turn);
                Ok(())
            }
            "function" => {
                let text = read_text(&fields.need("content")?)?;
                self.conversation.result(text);
                Ok(())
            }
            _ => {
                let text = read_text(&fields.need("content")?)?;
                self.conversation.instruct(&text);
                Ok(())
            }
        }
    }

    fn assistant(&mut self, fields: &mut Fields<'_>) -> Reading<()> {
        let content = fields.item("content");
        let text = content.map(|content| read_text(&content)).transpose()?;
        let refusal = fields.text("refusal")?;
        let calls = fields.item("tool_calls");
        self.pending = match &calls {
            Some(calls) => tools::read_calls(calls)?,
            None => Vec::new(),
        };
        self.is_among_results = !self.pending.is_empty();
        let function = fields.any_object("function_call")?;
        let audio = fields.any_object("audio")?;
        // The servers that show thoughts in these fields take them back in them.
        fields.text("reasoning_content")?;
        fields.text("reasoning")?;
        // An answer that comes back as it was has these.
        fields.list("annotations")?;
        let says_something = text.is_some() || refusal.is_some() || audio.is_some();
        if !says_something && calls.is_none() && function.is_none() {
            return Err(fields.missing("content"));
        }
        self.conversation.assistant(&text.unwrap_or_default());
        Ok(())
    }

    fn result(&mut self, fields: &mut Fields<'_>) -> Reading<()> {
        let id = fields.need_text("tool_call_id")?;
        if !self.is_among_results {
            return Err(fields.against(
                "role",
                "messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
            ));
        }
        let Some(place) = self.pending.iter().position(|pending| pending == id) else {
            return Err(fields.against(
                "tool_call_id",
                format!("'tool_call_id' of '{id}' not found in 'tool_calls' of previous message."),
            ));
        };
        self.pending.remove(place);
        let text = read_text(&fields.need("content")?)?;
        self.conversation.result(text);
        Ok(())
    }

    /// Refuses `item` while calls wait for their results.
    fn check_answered(&self, item: &Item<'_>) -> Reading<()> {
        match self.pending.is_empty() {
            true => Ok(()),
            false => Err(item.against(format!(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
                 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
                self.pending.join(", ")
            ))),
        }
    }
}

/// A string, or parts that are text or a refusal.
fn read_text(content: &Item<'_>) -> Reading<String> {
    if content.is_text() {
        return content.text().map(str::to_owned);
    }
    if !content.is_list() {
        return Err(content.wrong("a string or an array of parts"));
    }
    let mut text = String::new();
    for part in content.some()? {
        part.object(|fields| {
            let said = match fields.need_one_of("type", &["text", "refusal"])? {
                "text" => fields.need_text("text")?,
                _ => fields.need_text("refusal")?,
            };
            text.push_str(said);
            fields.any_object("prompt_cache_breakpoint").map(drop)
        })?;
    }
    Ok(text)
}

fn read_user(content: &Item<'_>) -> Reading<UserTurn> {
    if content.is_text() {
        return content.text().map(UserTurn::saying);
    }
    if !content.is_list() {
        return Err(content.wrong("a string or an array of parts"));
    }
    let mut turn = UserTurn::default();
    for part in content.some()? {
        part.object(|fields| read_part(&mut turn, fields))?;
    }
    Ok(turn)
}

fn read_part(turn: &mut UserTurn, fields: &mut Fields<'_>) -> Reading<()> {
    fields.any_object("prompt_cache_breakpoint")?;
    match fields.need_one_of("type", &["text", "image_url", "input_audio", "file"])? {
        "text" => turn.texts.push(fields.need_text("text")?.to_owned()),
        "image_url" => {
            fields.need("image_url")?.object(|image| {
                image.one_of("detail", &["auto", "low", "high", "original"])?;
                check_url(&image.need("url")?, &["image/"])
            })?;
            turn.images += 1;
        }
        "input_audio" => {
            fields.need("input_audio")?.object(|audio| {
                audio.need_one_of("format", &["wav", "mp3"])?;
                check_base64(&audio.need("data")?)
            })?;
            turn.files += 1;
        }
        _ => {
            fields.need("file")?.object(|file| {
                file.text("filename")?;
                let id = file.text("file_id")?;
                match file.item("file_data") {
                    Some(data) => check_url(&data, &["application/", "text/"]),
                    None if id.is_some() => Ok(()),
                    None => Err(file.missing("file_data")),
                }
            })?;
            turn.files += 1;
        }
    }
    Ok(())
}

/// A web address, or data of one of `kinds` in the address itself.
pub(in crate::api) fn check_url(url: &Item<'_>, kinds: &[&str]) -> Reading<()> {
    let text = url.text()?;
    if text.starts_with("https://") || text.starts_with("http://") {
        return Ok(());
    }
    let data = text.strip_prefix("data:");
    let data = data.and_then(|data| data.split_once(";base64,"));
    match data {
        Some((kind, data)) if base64::is_valid(data) => {
            match kinds.iter().any(|allowed| kind.starts_with(allowed)) {
                true => Ok(()),
                false => Err(url.against(format!("You uploaded an unsupported type: '{kind}'."))),
            }
        }
        _ => Err(url.wrong("a base64-encoded data URL with a MIME type, or a web address")),
    }
}

pub(in crate::api) fn check_base64(data: &Item<'_>) -> Reading<()> {
    match base64::is_valid(data.text()?) {
        true => Ok(()),
        false => Err(data.wrong("base64")),
    }
}
