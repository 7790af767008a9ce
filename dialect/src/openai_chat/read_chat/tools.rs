//! Tools, which of them to call, and the form of the answer.

use serde_json::Value;

use super::place::{Fields, Others, Place};
use crate::BadRequest;
use crate::canon::{Format, Schema, Tool, ToolChoice};

pub(super) fn read(
    value: Value,
    place: Place<'_>,
    others: &mut Others,
) -> Result<Vec<Tool>, BadRequest> {
    let mut tools = Vec::new();
    for (index, value) in (0..).zip(place.items(value)?) {
        let place = Place::Item(&place, index);
        let mut tool = Fields::of(value, place)?;
        let kind = tool.take_kind()?;
        if kind != "function" {
            tool.give_up(kind, others);
            continue;
        }
        let function = tool.require("function")?;
        tool.finish(others);
        let mut function = Fields::of(function, Place::Field(&place, "function"))?;
        tools.push(Tool {
            name: function.require_text("name")?,
            description: function.take_text("description")?,
            parameters: function.take("parameters"),
            strict: function.take_flag("strict")?,
        });
        function.finish(others);
    }
    Ok(tools)
}

pub(super) fn read_choice(
    value: Value,
    place: Place<'_>,
    others: &mut Others,
) -> Result<Option<ToolChoice>, BadRequest> {
    if let Value::String(word) = &value {
        return match word.as_str() {
            "none" => Ok(Some(ToolChoice::None)),
            "auto" => Ok(Some(ToolChoice::Auto)),
            "required" => Ok(Some(ToolChoice::Required)),
            _ => Err(place.invalid("`none`, `auto`, `required` or an object")),
        };
    }
    let mut choice = Fields::of(value, place)?;
    let kind = choice.take_kind()?;
    match kind.as_str() {
        "function" => {
            let function = choice.require("function")?;
            choice.finish(others);
            let mut function = Fields::of(function, Place::Field(&place, "function"))?;
            Ok(Some(ToolChoice::Named(function.require_text("name")?)))
        }
        "allowed_tools" => {
            let allowed = choice.require("allowed_tools")?;
            read_allowed(allowed, Place::Field(&place, "allowed_tools"), others)
        }
        _ => {
            choice.give_up(kind, others);
            Ok(None)
        }
    }
}

fn read_allowed(
    value: Value,
    place: Place<'_>,
    others: &mut Others,
) -> Result<Option<ToolChoice>, BadRequest> {
    let mut allowed = Fields::of(value, place)?;
    let mode = Place::Field(&place, "mode");
    let is_required = match allowed.require_text("mode")?.as_str() {
        "auto" => false,
        "required" => true,
        _ => return Err(mode.invalid("`auto` or `required`")),
    };
    let tools_place = Place::Field(&place, "tools");
    let mut names = Vec::new();
    for (index, value) in (0..).zip(tools_place.items(allowed.require("tools")?)?) {
        let place = Place::Item(&tools_place, index);
        let mut tool = Fields::of(value, place)?;
        let kind = tool.take_kind()?;
        if kind == "function" {
            let function = tool.require("function")?;
            let mut function = Fields::of(function, Place::Field(&place, "function"))?;
            names.push(function.require_text("name")?);
        } else {
            tool.give_up(kind, others);
        }
    }
    Ok(Some(ToolChoice::Among { names, is_required }))
}

pub(super) fn read_format(
    value: Value,
    place: Place<'_>,
    others: &mut Others,
) -> Result<Option<Format>, BadRequest> {
    let mut format = Fields::of(value, place)?;
    let kind = format.take_kind()?;
    match kind.as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::Json)),
        "json_schema" => {
            let schema = format.require("json_schema")?;
            let mut schema = Fields::of(schema, Place::Field(&place, "json_schema"))?;
            let read = Schema {
                name: schema.take_text("name")?,
                description: schema.take_text("description")?,
                schema: schema.require("schema")?,
                strict: schema.take_flag("strict")?,
            };
            schema.finish(others);
            Ok(Some(Format::Schema(read)))
        }
        _ => {
            format.give_up(kind, others);
            Ok(None)
        }
    }
}
