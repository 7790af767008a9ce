//! The tools of a chat: those offered, the choice among them, and the calls of earlier turns.

use crate::api::schema;
use crate::ask::{Tool, ToolChoice};
use crate::fields::{Fields, Item, Reading};

/// What a request says about tools.
pub(super) struct Tools {
    pub(super) offered: Vec<Tool>,
    pub(super) choice: Option<ToolChoice>,
    pub(super) is_parallel: bool,
}

pub(super) fn read(fields: &mut Fields<'_>) -> Reading<Tools> {
    let mut offered = Vec::new();
    let tools = fields.item("tools");
    if let Some(tools) = &tools {
        for tool in tools.some()? {
            offered.push(tool.object(read_tool)?);
        }
    }
    let choice = fields.item("tool_choice");
    let is_parallel = fields.flag("parallel_tool_calls")?;
    fields.skip(&["functions", "function_call"]);
    if tools.is_none() {
        for (name, is_set) in [
            ("tool_choice", choice.is_some()),
            ("parallel_tool_calls", is_parallel.is_some()),
        ] {
            if is_set {
                let rule = format!("'{name}' is only allowed when 'tools' are specified.");
                return Err(fields.against(name, rule));
            }
        }
    }
    let choice = choice.map(|choice| read_choice(&choice, &mut offered));
    Ok(Tools {
        choice: choice.transpose()?,
        offered,
        is_parallel: is_parallel.unwrap_or(true),
    })
}

/// Checks the calls of an earlier answer, and tells their ids.
pub(super) fn read_calls(calls: &Item<'_>) -> Reading<Vec<String>> {
    let mut ids = Vec::new();
    for call in calls.some()? {
        let id = call.object(|call| {
            // An index stays behind when a stream's pieces are put together.
            call.whole("index", 0..=i64::from(u32::MAX))?;
            let id = call.need_text("id")?;
            match call.need_one_of("type", &["function", "custom"])? {
                "function" => call.need("function")?.object(|function| {
                    schema::name(&function.need("name")?)?;
                    function.need_text("arguments").map(drop)
                })?,
                _ => call.need("custom")?.object(|custom| {
                    schema::name(&custom.need("name")?)?;
                    custom.need_text("input").map(drop)
                })?,
            }
            Ok(id.to_owned())
        })?;
        ids.push(id);
    }
    Ok(ids)
}

/// The tool called `name`, which must be one of those offered.
pub(in crate::api) fn read_named(item: &Item<'_>, offered: &[Tool]) -> Reading<ToolChoice> {
    let name = item.text()?;
    match offered.iter().any(|tool| tool.name == name) {
        true => Ok(ToolChoice::Named(name.to_owned())),
        false => Err(item.against(format!(
            "Tool choice '{name}' not found in 'tools' parameter."
        ))),
    }
}

fn read_tool(tool: &mut Fields<'_>) -> Reading<Tool> {
    match tool.need_one_of("type", &["function", "custom"])? {
        "function" => tool.need("function")?.object(|function| {
            let name = schema::name(&function.need("name")?)?;
            function.text("description")?;
            let is_strict = function.flag("strict")?.unwrap_or_default();
            let parameters = function.item("parameters");
            let parameters = parameters.map(|item| checked_parameters(&item, is_strict));
            Ok(Tool {
                name: name.to_owned(),
                schema: parameters.transpose()?.unwrap_or_default(),
            })
        }),
        _ => tool.need("custom")?.object(|custom| {
            let name = schema::name(&custom.need("name")?)?;
            custom.text("description")?;
            custom.any_object("format")?;
            Ok(Tool {
                name: name.to_owned(),
                schema: serde_json::Value::Null,
            })
        }),
    }
}

pub(in crate::api) fn checked_parameters(
    item: &Item<'_>,
    is_strict: bool,
) -> Reading<serde_json::Value> {
    let parameters = schema::of_arguments(item)?;
    match is_strict && !schema::is_strict(&parameters) {
        true => Err(item.against(
            "Invalid schema for function: with 'strict', 'additionalProperties' is required to be supplied and to be \
             false, and 'required' to include every key in properties.",
        )),
        false => Ok(parameters),
    }
}

fn read_choice(choice: &Item<'_>, offered: &mut Vec<Tool>) -> Reading<ToolChoice> {
    if choice.is_text() {
        return match choice.text()? {
            "none" => Ok(ToolChoice::None),
            "auto" => Ok(ToolChoice::Auto),
            "required" => Ok(ToolChoice::Required),
            _ => Err(choice.wrong("'none', 'auto', 'required' or an object")),
        };
    }
    choice.object(|fields| {
        let kinds = ["function", "custom", "allowed_tools"];
        let kind = fields.need_one_of("type", &kinds)?;
        fields.need(kind)?.object(|inner| {
            if kind != "allowed_tools" {
                return read_named(&inner.need("name")?, offered);
            }
            let mode = inner.need_one_of("mode", &["auto", "required"])?;
            let mut names = Vec::new();
            for tool in inner.need("tools")?.some()? {
                let name = tool.object(|tool| {
                    let kind = tool.need_one_of("type", &["function", "custom"])?;
                    tool.need(kind)?.object(|named| named.need_text("name"))
                })?;
                names.push(name);
            }
            offered.retain(|tool| names.contains(&tool.name.as_str()));
            Ok(match mode {
                "auto" => ToolChoice::Auto,
                _ => ToolChoice::Required,
            })
        })
    })
}
