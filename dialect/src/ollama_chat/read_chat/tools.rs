//! The functions that the model may call.

use serde_json::Value;

use super::place::Place;
use super::set_fields;
use crate::BadRequest;
use crate::canon::Tool;

pub(super) fn read_tools(
    tools: Vec<Value>,
    place: Place<'_>,
    others: &mut Vec<(String, Value)>,
) -> Result<Vec<Tool>, BadRequest> {
    let tools = tools.into_iter().enumerate();
    tools
        .map(|(index, tool)| read_tool(tool, place.item(index), others))
        .collect()
}

fn read_tool(
    tool: Value,
    place: Place<'_>,
    others: &mut Vec<(String, Value)>,
) -> Result<Tool, BadRequest> {
    let mut function = None;
    for (name, value) in set_fields(place.object(tool)?) {
        let place = place.field(&name);
        match name.as_str() {
            "type" if value == "function" => {}
            "type" => return Err(place.invalid("`function`")),
            "function" => function = Some(read_function(value, place, others)?),
            _ => others.push((place.to_string(), value)),
        }
    }
    function.ok_or_else(|| place.field("function").missing())
}

fn read_function(
    function: Value,
    place: Place<'_>,
    others: &mut Vec<(String, Value)>,
) -> Result<Tool, BadRequest> {
    let mut tool = Tool {
        name: String::new(),
        description: None,
        parameters: None,
        strict: None,
    };
    for (name, value) in set_fields(place.object(function)?) {
        let place = place.field(&name);
        match name.as_str() {
            "name" => tool.name = place.text(value)?,
            "description" => tool.description = Some(place.text(value)?),
            // Ollama does not know it, but passes over it.
            "strict" => tool.strict = Some(place.flag(&value)?),
            "parameters" => tool.parameters = Some(Value::Object(place.object(value)?)),
            _ => others.push((place.to_string(), value)),
        }
    }
    match tool.name.is_empty() {
        true => Err(place.field("name").missing()),
        false => Ok(tool),
    }
}
