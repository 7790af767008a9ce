//! The tools of a message request and the choice among them.

use crate::api::openai_chat::read_named;
use crate::api::schema;
use crate::ask::{Tool, ToolChoice};
use crate::fields::{Fields, Item, Reading};

use super::blocks;

pub(super) struct Tools {
    pub(super) offered: Vec<Tool>,
    pub(super) choice: ToolChoice,
    pub(super) is_parallel: bool,
}

pub(super) fn read(fields: &mut Fields<'_>) -> Reading<Tools> {
    let mut offered = Vec::new();
    for tool in fields.list("tools")?.unwrap_or_default() {
        if let Some(tool) = tool.object(read_tool)? {
            offered.push(tool);
        }
    }
    let Some(choice) = fields.item("tool_choice") else {
        return Ok(Tools {
            offered,
            choice: ToolChoice::Auto,
            is_parallel: true,
        });
    };
    if fields.value("tools").is_none() {
        return Err(choice.against("may only be specified while providing `tools`."));
    }
    let (choice, is_parallel) = read_choice(&choice, &offered)?;
    Ok(Tools {
        offered,
        choice,
        is_parallel,
    })
}

/// `None` for the provider's own tools, which nobody but the provider calls.
fn read_tool(tool: &mut Fields<'_>) -> Reading<Option<Tool>> {
    let kind = match tool.nullable("type") {
        Some(kind) => kind.text()?,
        None => "custom",
    };
    let name = tool.need("name")?;
    if !schema::is_plain(name.text()?) || name.text()?.len() > 128 {
        return Err(name.against("String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"));
    }
    if kind != "custom" {
        tool.skip_others();
        return Ok(None);
    }
    tool.text("description")?;
    let is_strict = tool.flag("strict")?.unwrap_or_default();
    tool.flag("defer_loading")?;
    tool.flag("eager_input_streaming")?;
    tool.list("input_examples")?;
    tool.texts("allowed_callers")?;
    blocks::check_cache_control(tool)?;
    let input_schema = tool.need("input_schema")?;
    let fields = input_schema.any_object()?;
    if fields.get("type").is_none_or(|kind| kind != "object") {
        return Err(input_schema.against("Input should have the type 'object'"));
    }
    schema::check_held(&input_schema, is_strict)?;
    Ok(Some(Tool {
        name: name.text()?.to_owned(),
        schema: input_schema.value().clone(),
    }))
}

/// The choice, and whether several tools may be called.
fn read_choice(item: &Item<'_>, offered: &[Tool]) -> Reading<(ToolChoice, bool)> {
    item.object(|fields| {
        let kind = fields.need_one_of("type", &["auto", "any", "tool", "none"])?;
        let choice = match kind {
            "auto" => ToolChoice::Auto,
            "any" => ToolChoice::Required,
            "tool" => read_named(&fields.need("name")?, offered)?,
            _ => return Ok((ToolChoice::None, true)),
        };
        let is_serial = fields.flag("disable_parallel_tool_use")?;
        Ok((choice, !is_serial.unwrap_or_default()))
    })
}
