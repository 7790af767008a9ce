//! `input`: a text, or items that follow each other.

use crate::api::openai_chat::{check_base64, check_url};
use crate::api::schema;
use crate::ask::{Conversation, UserTurn};
use crate::fields::{Fields, Item, Reading};

use super::encrypted_content;

const ROLES: [&str; 4] = ["user", "assistant", "system", "developer"];

pub(super) fn read(input: &Item<'_>, conversation: &mut Conversation) -> Reading<()> {
    if input.is_text() {
        conversation.user(UserTurn::saying(input.text()?));
        return Ok(());
    }
    if !input.is_list() {
        return Err(input.wrong("a string or an array of items"));
    }
    let mut reader = Reader {
        conversation,
        calls: Vec::new(),
        has_lone_thoughts: false,
    };
    for item in input.some()? {
        item.object(|fields| reader.item(&item, fields))?;
    }
    reader.check_followed(input)?;
    match reader.calls.iter().find(|call| !call.is_answered) {
        Some(call) => {
            let rule = format!("No tool output found for function call {}.", call.id);
            Err(input.against(rule))
        }
        None => Ok(()),
    }
}

struct Reader<'c> {
    conversation: &'c mut Conversation,
    calls: Vec<Call>,
    /// Whether the item before were thoughts, which are nothing without what they led to.
    has_lone_thoughts: bool,
}

struct Call {
    id: String,
    is_answered: bool,
}

impl Reader<'_> {
    fn item(&mut self, item: &Item<'_>, fields: &mut Fields<'_>) -> Reading<()> {
        let kind = fields.text("type")?.unwrap_or("message");
        fields.one_of("status", &["in_progress", "completed", "incomplete"])?;
        match kind {
            "message" => self.message(item, fields),
            "function_call" => {
                self.has_lone_thoughts = false;
                check_id(fields, "fc_")?;
                fields.need_text("arguments")?;
                self.call(fields)
            }
            "custom_tool_call" => {
                self.has_lone_thoughts = false;
                check_id(fields, "ctc_")?;
                fields.need_text("input")?;
                self.call(fields)
            }
            "function_call_output" | "custom_tool_call_output" => {
                self.check_followed(item)?;
                fields.text("id")?;
                self.result(fields)
            }
            "reasoning" => {
                self.check_followed(item)?;
                self.has_lone_thoughts = true;
                read_reasoning(fields)
            }
            "item_reference" => {
                let id = fields.need_text("id")?;
                Err(fields.against("id", format!("Item with id '{id}' not found.")))
            }
            _ => Err(fields.wrong(
                "type",
                "'message', 'function_call', 'function_call_output' or 'reasoning'",
            )),
        }
    }

    fn message(&mut self, item: &Item<'_>, fields: &mut Fields<'_>) -> Reading<()> {
        let role = fields.need_one_of("role", &ROLES)?;
        let content = fields.need("content")?;
        if role == "assistant" {
            self.has_lone_thoughts = false;
            check_id(fields, "msg_")?;
            fields.text("phase")?;
            self.conversation.assistant(&read_output(&content)?);
            return Ok(());
        }
        self.check_followed(item)?;
        fields.text("id")?;
        let turn = read_input(&content)?;
        match role {
            "user" => self.conversation.user(turn),
            _ => self.conversation.instruct(&turn.texts.concat()),
        }
        Ok(())
    }

    fn call(&mut self, fields: &mut Fields<'_>) -> Reading<()> {
        schema::name(&fields.need("name")?)?;
        let id = fields.need_text("call_id")?.to_owned();
        self.calls.push(Call {
            id,
            is_answered: false,
        });
        self.conversation.assistant("");
        Ok(())
    }

    fn result(&mut self, fields: &mut Fields<'_>) -> Reading<()> {
        let id = fields.need_text("call_id")?;
        let Some(call) = self.calls.iter_mut().find(|call| call.id == id) else {
            let rule = format!("No tool call found for function call output with call_id {id}.");
            return Err(fields.against("call_id", rule));
        };
        call.is_answered = true;
        let output = read_input(&fields.need("output")?)?;
        self.conversation.result(output.texts.concat());
        Ok(())
    }

    fn check_followed(&self, item: &Item<'_>) -> Reading<()> {
        match self.has_lone_thoughts {
            true => Err(item.against(
                "Item of type 'reasoning' was provided without its required following item.",
            )),
            false => Ok(()),
        }
    }
}

fn check_id(fields: &mut Fields<'_>, prefix: &str) -> Reading<()> {
    match fields.text("id")? {
        Some(id) if !id.starts_with(prefix) => {
            let rule = format!("Invalid 'id': '{id}'. Expected an ID that begins with '{prefix}'.");
            Err(fields.against("id", rule))
        }
        _ => Ok(()),
    }
}

fn read_reasoning(fields: &mut Fields<'_>) -> Reading<()> {
    check_id(fields, "rs_")?;
    for (name, kind) in [("summary", "summary_text"), ("content", "reasoning_text")] {
        for part in fields.list(name)?.unwrap_or_default() {
            part.object(|part| {
                part.need_text("text")?;
                match part.need_text("type")? == kind {
                    true => Ok(()),
                    false => Err(part.wrong("type", kind)),
                }
            })?;
        }
    }
    if fields.value("summary").is_none() {
        return Err(fields.missing("summary"));
    }
    match fields.text("encrypted_content")? {
        Some(sealed) if sealed != encrypted_content() => Err(fields.against(
            "encrypted_content",
            "The encrypted content could not be verified.",
        )),
        _ => Ok(()),
    }
}

/// What the assistant said: a string, or parts of output.
fn read_output(content: &Item<'_>) -> Reading<String> {
    if content.is_text() {
        return content.text().map(str::to_owned);
    }
    let mut text = String::new();
    for part in content.list()? {
        part.object(|fields| {
            match fields.need_one_of("type", &["output_text", "refusal"])? {
                "output_text" => {
                    text.push_str(fields.need_text("text")?);
                    fields.list("annotations")?;
                    fields.list("logprobs")?;
                }
                _ => text.push_str(fields.need_text("refusal")?),
            }
            Ok(())
        })?;
    }
    Ok(text)
}

/// What anybody else said: a string, or parts of input.
fn read_input(content: &Item<'_>) -> Reading<UserTurn> {
    if content.is_text() {
        return content.text().map(UserTurn::saying);
    }
    let mut turn = UserTurn::default();
    for part in content.list()? {
        part.object(|fields| read_part(&mut turn, fields))?;
    }
    Ok(turn)
}

fn read_part(turn: &mut UserTurn, fields: &mut Fields<'_>) -> Reading<()> {
    fields.any_object("prompt_cache_breakpoint")?;
    let kinds = ["input_text", "input_image", "input_file", "input_audio"];
    match fields.need_one_of("type", &kinds)? {
        "input_text" => turn.texts.push(fields.need_text("text")?.to_owned()),
        "input_image" => {
            fields.one_of("detail", &["auto", "low", "high", "original"])?;
            let id = fields.text("file_id")?;
            match fields.item("image_url") {
                Some(url) => check_url(&url, &["image/"])?,
                None if id.is_some() => {}
                None => return Err(fields.missing("image_url")),
            }
            turn.images += 1;
        }
        "input_file" => {
            fields.text("filename")?;
            fields.one_of("detail", &["auto", "low", "high"])?;
            let id = fields.text("file_id")?;
            let url = fields.text("file_url")?;
            match fields.item("file_data") {
                Some(data) => check_url(&data, &["application/", "text/"])?,
                None if id.or(url).is_some() => {}
                None => return Err(fields.missing("file_data")),
            }
            turn.files += 1;
        }
        _ => {
            fields.need("input_audio")?.object(|audio| {
                audio.need_one_of("format", &["wav", "mp3"])?;
                check_base64(&audio.need("data")?)
            })?;
            turn.files += 1;
        }
    }
    Ok(())
}
