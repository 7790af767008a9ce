//! Everything but the messages: tools, thinking, the answer's form.

use serde_json::Value;

use super::fields::{Fields, Place};
use crate::BadRequest;
use crate::canon::{Chat, Effort, Format, Reasoning, Schema, Tool, ToolChoice};

pub(super) fn read(body: &mut Fields<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    if let Some(tools) = body.take("tools") {
        read_tools(tools, chat)?;
    }
    if let Some(choice) = body.take("tool_choice") {
        read_tool_choice(choice, chat)?;
    }
    let thinking = match body.take("thinking") {
        Some(thinking) => read_thinking(thinking, chat)?,
        None => None,
    };
    let effort = match body.take("output_config") {
        Some(config) => read_output_config(config, chat)?,
        None => None,
    };
    chat.reasoning = reasoning(thinking, effort, Place::Top.field("output_config"), chat);
    if let Some(management) = body.take("context_management") {
        read_context_management(management, chat)?;
    }
    if let Some(metadata) = body.take("metadata") {
        let mut metadata = Fields::of(metadata, Place::Top.field("metadata"))?;
        chat.user = metadata.optional_text("user_id")?;
    }
    Ok(())
}

/// Without its clearing, all that would have been cleared is there; what makes a summary answers with one.
fn read_context_management(management: Value, chat: &mut Chat) -> Result<(), BadRequest> {
    let place = Place::Top.field("context_management");
    let mut management = Fields::of(management, place)?;
    let edits = match management.take("edits") {
        None => Vec::new(),
        Some(Value::Array(edits)) => edits,
        Some(_) => return Err(management.invalid("edits", "an array of edits")),
    };
    let place = place.field("edits");
    for (index, edit) in edits.into_iter().enumerate() {
        let clears = word(&edit, "type").is_some_and(|kind| kind.starts_with("clear_"));
        if !clears {
            chat.others.push((place.item(index).to_string(), edit));
        }
    }
    management.leave_rest_to(&mut chat.others);
    Ok(())
}

fn read_tools(tools: Value, chat: &mut Chat) -> Result<(), BadRequest> {
    let place = Place::Top.field("tools");
    let Value::Array(tools) = tools else {
        return Err(place.invalid("an array of tools"));
    };
    for (index, tool) in tools.into_iter().enumerate() {
        let place = place.item(index);
        // The provider runs tools of other types itself.
        if !matches!(word(&tool, "type"), None | Some("custom")) {
            chat.others.push((place.to_string(), tool));
            continue;
        }
        let mut tool = Fields::of(tool, place)?;
        chat.tools.push(Tool {
            name: tool.text("name")?,
            description: tool.optional_text("description")?,
            parameters: Some(tool.required("input_schema")?),
            strict: tool.optional_flag("strict")?,
        });
        // How the arguments are cut into pieces changes none of them.
        tool.forget(&["type", "eager_input_streaming"]);
        tool.leave_rest_to(&mut chat.others);
    }
    Ok(())
}

fn read_tool_choice(choice: Value, chat: &mut Chat) -> Result<(), BadRequest> {
    let mut choice = Fields::of(choice, Place::Top.field("tool_choice"))?;
    chat.tool_choice = Some(match &*choice.text("type")? {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.text("name")?),
        _ => return Err(choice.invalid("type", "`auto`, `any`, `tool` or `none`")),
    });
    // `false` is what everybody does who is not told otherwise.
    let is_single = choice.optional_flag("disable_parallel_tool_use")? == Some(true);
    chat.parallel_tool_calls = is_single.then_some(false);
    choice.leave_rest_to(&mut chat.others);
    Ok(())
}

/// `None` for a type of thinking that nobody else has.
fn read_thinking(thinking: Value, chat: &mut Chat) -> Result<Option<Reasoning>, BadRequest> {
    let place = Place::Top.field("thinking");
    let is_known = matches!(
        word(&thinking, "type"),
        None | Some("enabled" | "adaptive" | "disabled")
    );
    if !is_known {
        chat.others.push((place.to_string(), thinking));
        return Ok(None);
    }
    let mut thinking = Fields::of(thinking, place)?;
    let kind = thinking.text("type")?;
    let is_shown = match thinking.optional_text("display")?.as_deref() {
        None => None,
        Some("summarized") => Some(true),
        Some("omitted") => Some(false),
        Some(_) => return Err(thinking.invalid("display", "`summarized` or `omitted`")),
    };
    let reasoning = match &*kind {
        // Who gives a budget is shown the thoughts, unless they ask not to be; who leaves it to the model has to ask.
        "enabled" => Reasoning {
            budget: Some(thinking.count("budget_tokens")?),
            is_shown: is_shown.or(Some(true)),
            effort: None,
        },
        "adaptive" => Reasoning {
            is_shown,
            ..Reasoning::default()
        },
        _ => Reasoning {
            effort: Some(Effort::None),
            ..Reasoning::default()
        },
    };
    thinking.leave_rest_to(&mut chat.others);
    Ok(Some(reasoning))
}

fn read_output_config(config: Value, chat: &mut Chat) -> Result<Option<Effort>, BadRequest> {
    let place = Place::Top.field("output_config");
    let mut config = Fields::of(config, place)?;
    let effort = read_effort(&mut config)?;
    if let Some(format) = config.take("format") {
        let mut format = Fields::of(format, place.field("format"))?;
        if format.text("type")? != "json_schema" {
            return Err(format.invalid("type", "`json_schema`"));
        }
        chat.format = Some(Format::Schema(Schema {
            schema: format.required("schema")?,
            ..Schema::default()
        }));
        format.leave_rest_to(&mut chat.others);
    }
    config.leave_rest_to(&mut chat.others);
    Ok(effort)
}

/// Reads what a system's message sets from there on; the last one holds.
pub(super) fn read_turn_config(
    config: Value,
    place: Place<'_>,
    chat: &mut Chat,
) -> Result<(), BadRequest> {
    let mut config = Fields::of(config, place)?;
    if let Some(effort) = read_effort(&mut config)? {
        let thinking = chat.reasoning.take();
        chat.reasoning = reasoning(thinking, Some(effort), place, chat);
    }
    config.leave_rest_to(&mut chat.others);
    Ok(())
}

fn read_effort(config: &mut Fields<'_>) -> Result<Option<Effort>, BadRequest> {
    let Some(word) = config.optional_text("effort")? else {
        return Ok(None);
    };
    match Effort::parse(&word) {
        Some(effort) if effort >= Effort::Low => Ok(Some(effort)),
        _ => Err(config.invalid("effort", "`low`, `medium`, `high`, `xhigh` or `max`")),
    }
}

/// Without thoughts, the effort goes into the answer alone, which only this dialect has.
fn reasoning(
    thinking: Option<Reasoning>,
    effort: Option<Effort>,
    config: Place<'_>,
    chat: &mut Chat,
) -> Option<Reasoning> {
    let Some(effort) = effort else {
        return thinking;
    };
    let thinking = thinking.unwrap_or_default();
    if thinking.effort == Some(Effort::None) {
        let place = config.field("effort").to_string();
        chat.others.push((place, Value::from(effort.as_str())));
        return Some(thinking);
    }
    Some(Reasoning {
        effort: Some(effort),
        ..thinking
    })
}

/// What the field says, if it is a word at all.
fn word<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}
