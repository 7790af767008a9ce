//! `toolConfig`.

use crate::api::openai_chat::read_named;
use crate::api::schema;
use crate::ask::{Tool, ToolChoice};
use crate::fields::{Fields, Item, Reading};

#[derive(Default)]
pub(super) struct Tools {
    pub(super) offered: Vec<Tool>,
    pub(super) choice: ToolChoice,
}

pub(super) fn read(config: &Item<'_>) -> Reading<Tools> {
    config.object(|config| {
        let mut offered = Vec::new();
        for tool in config.need("tools")?.some()? {
            offered.extend(tool.object(|fields| read_tool(&tool, fields))?);
        }
        let choice = config.item("toolChoice");
        let choice = choice.map(|choice| read_choice(&choice, &offered));
        Ok(Tools {
            choice: choice.transpose()?.unwrap_or_default(),
            offered,
        })
    })
}

/// `None` for what nobody but the provider calls.
fn read_tool(item: &Item<'_>, tool: &mut Fields<'_>) -> Reading<Option<Tool>> {
    if tool
        .any_object("cachePoint")?
        .or(tool.any_object("systemTool")?)
        .is_some()
    {
        return Ok(None);
    }
    let Some(spec) = tool.item("toolSpec") else {
        return Err(item.against("must be a toolSpec, a systemTool or a cachePoint"));
    };
    spec.object(|spec| {
        let name = schema::name(&spec.need("name")?)?.to_owned();
        if spec.text("description")?.is_some_and(str::is_empty) {
            return Err(spec.wrong("description", "a string that is not empty"));
        }
        let is_strict = spec.flag("strict")?.unwrap_or_default();
        let schema = spec.need("inputSchema")?.object(|input| {
            let json = input.need("json")?;
            schema::check_held(&json, is_strict)?;
            match json
                .any_object()?
                .get("type")
                .is_some_and(|it| it == "object")
            {
                true => Ok(json.value().clone()),
                false => Err(json.against("must have the type 'object'")),
            }
        })?;
        Ok(Some(Tool { name, schema }))
    })
}

fn read_choice(item: &Item<'_>, offered: &[Tool]) -> Reading<ToolChoice> {
    item.object(|fields| {
        let auto = fields.object("auto", |_| Ok(ToolChoice::Auto))?;
        let any = fields.object("any", |_| Ok(ToolChoice::Required))?;
        let tool = fields.object("tool", |tool| read_named(&tool.need("name")?, offered))?;
        let mut choices = [auto, any, tool].into_iter().flatten();
        match (choices.next(), choices.next()) {
            (Some(choice), None) => Ok(choice),
            _ => Err(item.against("must be exactly one of auto, any and tool")),
        }
    })
}
