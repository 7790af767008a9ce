//! The functions of a request and which of them may be called.

use crate::ask::{Tool, ToolChoice};
use crate::fields::{Fields, Item, Reading};

use super::schema;

const MODES: [&str; 5] = ["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"];

/// Google's own tools, which nobody but Google calls.
const SERVER_TOOLS: [&str; 7] = [
    "googleSearch",
    "googleSearchRetrieval",
    "codeExecution",
    "urlContext",
    "computerUse",
    "fileSearch",
    "googleMaps",
];

pub(super) struct Tools {
    pub(super) offered: Vec<Tool>,
    pub(super) choice: ToolChoice,
}

pub(super) fn read(fields: &mut Fields<'_>) -> Reading<Tools> {
    let mut offered = Vec::new();
    for tool in fields.list("tools")?.unwrap_or_default() {
        tool.object(|tool| {
            tool.skip(&SERVER_TOOLS);
            for function in tool.list("functionDeclarations")?.unwrap_or_default() {
                offered.push(function.object(read_function)?);
            }
            Ok(())
        })?;
    }
    let choice = fields.object("toolConfig", |config| {
        config.any_object("retrievalConfig")?;
        config.object("functionCallingConfig", |calling| {
            read_calling(calling, &mut offered)
        })
    })?;
    Ok(Tools {
        offered,
        choice: choice.flatten().unwrap_or_default(),
    })
}

fn read_function(function: &mut Fields<'_>) -> Reading<Tool> {
    let name = read_name(&function.need("name")?)?;
    function.text("description")?;
    function.text("behavior")?;
    function.any_object("response")?;
    function.any_object("responseJsonSchema")?;
    let limited = function.item("parameters");
    let full = function.item("parametersJsonSchema");
    let schema = match (limited, full) {
        (Some(both), Some(_)) => {
            return Err(both.against("cannot be set together with parametersJsonSchema"));
        }
        (Some(limited), None) => {
            schema::check(&limited)?;
            limited.value().clone()
        }
        (None, Some(full)) => {
            full.any_object()?;
            full.value().clone()
        }
        (None, None) => serde_json::Value::Null,
    };
    Ok(Tool { name, schema })
}

fn read_calling(calling: &mut Fields<'_>, offered: &mut Vec<Tool>) -> Reading<ToolChoice> {
    let mode = calling.one_of("mode", &MODES)?;
    if let Some(names) = calling.texts("allowedFunctionNames")?
        && !names.is_empty()
    {
        if !matches!(mode, Some("ANY" | "VALIDATED")) {
            let rule = "allowed_function_names should only be set when mode is ANY or VALIDATED";
            return Err(calling.against("allowedFunctionNames", rule));
        }
        if let Some(stranger) = names
            .iter()
            .find(|name| !offered.iter().any(|it| it.name == **name))
        {
            let rule = format!("{stranger} is not among the function declarations");
            return Err(calling.against("allowedFunctionNames", rule));
        }
        offered.retain(|tool| names.contains(&tool.name.as_str()));
    }
    Ok(match mode {
        Some("ANY") if offered.is_empty() => {
            let rule = "Function calling config is set without function_declarations.";
            return Err(calling.against("mode", rule));
        }
        Some("ANY") => ToolChoice::Required,
        Some("NONE") => ToolChoice::None,
        _ => ToolChoice::Auto,
    })
}

/// Begins with a letter or `_`; up to 64 letters, digits, `_`, `.`, `:` and `-`.
fn read_name(item: &Item<'_>) -> Reading<String> {
    let name = item.text()?;
    let is_fine = |letter: char| letter.is_ascii_alphanumeric() || "_.:-".contains(letter);
    let begins_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    match begins_well && name.len() <= 64 && name.chars().all(is_fine) {
        true => Ok(name.to_owned()),
        false => Err(item.against(
            "Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), \
             underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64.",
        )),
    }
}
