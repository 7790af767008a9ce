//! What is set for the whole answer: tools, its form, how much is thought.

use serde_json::Value;

use crate::BadRequest;
use crate::canon::{Chat, Effort, Format, Reasoning, Schema, Tool, ToolChoice};
use crate::openai_responses::fields::{Fields, Place};

pub(super) fn read_tools(fields: &mut Fields<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let place = Place::Top.field("tools");
    for (index, tool) in fields.array("tools")?.into_iter().enumerate() {
        let place = place.item(index);
        match tool.get("type") {
            Some(Value::String(kind)) if kind == "function" => {}
            // Hosted by the provider.
            Some(Value::String(_)) => {
                chat.others.push((place.to_string(), tool));
                continue;
            }
            Some(_) => return Err(place.field("type").invalid("a string")),
            None => return Err(BadRequest::missing(&place.field("type").to_string())),
        }
        let mut fields = Fields::new(&place, tool)?;
        let parameters = fields.take("parameters");
        if parameters
            .as_ref()
            .is_some_and(|schema| !schema.is_object())
        {
            return Err(fields.invalid("parameters", "a JSON schema"));
        }
        let tool = Tool {
            name: fields.required_text("name")?,
            description: fields.text("description")?,
            parameters,
            strict: fields.flag("strict")?,
        };
        for taken in ["type", "cache_control", "prompt_cache_breakpoint"] {
            fields.take(taken);
        }
        fields.drop_default("defer_loading", &[]);
        fields.drop_default("async", &[]);
        fields.leave_rest(&mut chat.others);
        chat.tools.push(tool);
    }
    Ok(())
}

pub(super) fn read_tool_choice(fields: &mut Fields<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let place = Place::Top.field("tool_choice");
    let Some(value) = fields.take("tool_choice") else {
        return Ok(());
    };
    let choice = match &value {
        Value::String(word) => match word.as_str() {
            "none" => Some(ToolChoice::None),
            "auto" => Some(ToolChoice::Auto),
            "required" => Some(ToolChoice::Required),
            _ => return Err(place.invalid("`none`, `auto`, `required` or an object")),
        },
        Value::Object(choice) => match choice.get("type").and_then(Value::as_str) {
            Some("function") => match function_name(&value) {
                Some(name) => Some(ToolChoice::Named(name)),
                None => return Err(BadRequest::missing(&place.field("name").to_string())),
            },
            Some("allowed_tools") => read_allowed_tools(&place, &value)?,
            Some(_) => None,
            None => return Err(BadRequest::missing(&place.field("type").to_string())),
        },
        _ => return Err(place.invalid("a string or an object")),
    };
    match choice {
        Some(choice) => chat.tool_choice = Some(choice),
        // A hosted tool.
        None => chat.others.push((place.to_string(), value)),
    }
    Ok(())
}

/// `None` if hosted tools are among them.
fn read_allowed_tools(place: &Place<'_>, choice: &Value) -> Result<Option<ToolChoice>, BadRequest> {
    let is_required = match choice.get("mode").and_then(Value::as_str) {
        Some("auto") => false,
        Some("required") => true,
        _ => return Err(place.field("mode").invalid("`auto` or `required`")),
    };
    let Some(tools) = choice.get("tools").and_then(Value::as_array) else {
        return Err(place.field("tools").invalid("an array"));
    };
    let names: Option<Vec<String>> = tools.iter().map(function_name).collect();
    Ok(names.map(|names| ToolChoice::Among { names, is_required }))
}

/// Of `{"type": "function", "name": …}`.
fn function_name(tool: &Value) -> Option<String> {
    let is_function = tool.get("type").and_then(Value::as_str) == Some("function");
    let name = tool.get("name").and_then(Value::as_str);
    name.filter(|_| is_function).map(str::to_owned)
}

pub(super) fn read_text(fields: &mut Fields<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let place = Place::Top.field("text");
    let Some(text) = fields.take("text") else {
        return Ok(());
    };
    let mut fields = Fields::new(&place, text)?;
    chat.verbosity = fields.text("verbosity")?;
    read_format(&mut fields, chat)?;
    fields.leave_rest(&mut chat.others);
    Ok(())
}

fn read_format(text: &mut Fields<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let place = text.place().field("format");
    let Some(format) = text.take("format") else {
        return Ok(());
    };
    let kind = format.get("type").and_then(Value::as_str);
    chat.format = match kind {
        Some("text") => None,
        Some("json_object") => Some(Format::Json),
        Some("json_schema") => {
            let mut fields = Fields::new(&place, format)?;
            let schema = match fields.take("schema") {
                Some(schema @ Value::Object(_)) => schema,
                Some(_) => return Err(fields.invalid("schema", "a JSON schema")),
                None => return Err(fields.missing("schema")),
            };
            Some(Format::Schema(Schema {
                name: fields.text("name")?,
                description: fields.text("description")?,
                schema,
                strict: fields.flag("strict")?,
            }))
        }
        Some(_) => {
            chat.others.push((place.to_string(), format));
            None
        }
        None if format.is_object() => {
            return Err(BadRequest::missing(&place.field("type").to_string()));
        }
        None => return Err(place.invalid("an object")),
    };
    Ok(())
}

pub(super) fn read_reasoning(fields: &mut Fields<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    let place = Place::Top.field("reasoning");
    let Some(reasoning) = fields.take("reasoning") else {
        return Ok(());
    };
    let mut fields = Fields::new(&place, reasoning)?;
    let effort = match fields.text("effort")? {
        None => None,
        Some(word) => Some(Effort::parse(&word).ok_or_else(|| {
            let words = Effort::ALL.map(Effort::as_str).join("`, `");
            fields.invalid("effort", &format!("one of `{words}`"))
        })?),
    };
    let mut is_shown = None;
    // The second is the older name.
    for name in ["summary", "generate_summary"] {
        match fields.text(name)?.as_deref() {
            None => {}
            Some("auto" | "concise" | "detailed") => is_shown = Some(true),
            Some(_) => return Err(fields.invalid(name, "`auto`, `concise` or `detailed`")),
        }
    }
    if effort.is_some() || is_shown.is_some() {
        chat.reasoning = Some(Reasoning {
            effort,
            budget: None,
            is_shown,
        });
    }
    fields.drop_default("context", &["auto"]);
    fields.drop_default("mode", &["standard"]);
    fields.leave_rest(&mut chat.others);
    Ok(())
}
