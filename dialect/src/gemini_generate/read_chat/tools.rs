//! `tools` and `toolConfig`.

use serde_json::Value;

use super::super::place::{self, Others, Place, camel};
use super::schema;
use crate::BadRequest;
use crate::canon::{Chat, Tool, ToolChoice};

pub(super) fn read_tools(value: Value, at: Place<'_>, chat: &mut Chat) -> Result<(), BadRequest> {
    for (index, tool) in (0..).zip(place::list(value, at)?) {
        let at = at.item(index);
        for (name, value) in place::fields(tool, at)? {
            let at = at.field(&name);
            // Google's own tools, such as its search, are nobody else's.
            if camel(&name) != "functionDeclarations" {
                chat.others.push((at.to_string(), value));
                continue;
            }
            for (index, declaration) in (0..).zip(place::list(value, at)?) {
                let tool = read_declaration(declaration, at.item(index), &mut chat.others)?;
                chat.tools.push(tool);
            }
        }
    }
    Ok(())
}

fn read_declaration(value: Value, at: Place<'_>, others: &mut Others) -> Result<Tool, BadRequest> {
    let mut tool = Tool {
        name: String::new(),
        description: None,
        parameters: None,
        strict: None,
    };
    for (name, value) in place::fields(value, at)? {
        let at = at.field(&name);
        match &*camel(&name) {
            "name" => tool.name = at.text(value)?,
            "description" => tool.description = Some(at.text(value)?),
            "parameters" => {
                let parameters = Value::Object(at.object(value)?);
                tool.parameters = Some(schema::of_openapi(parameters));
            }
            "parametersJsonSchema" => tool.parameters = Some(value),
            // Google's SDK tells of every function what it returns, asked or not; nobody else can be told.
            "response" | "responseJsonSchema" => {}
            // To wait for the result is what everybody does.
            "behavior" if matches!(value.as_str(), Some("BLOCKING" | "UNSPECIFIED")) => {}
            _ => others.push((at.to_string(), value)),
        }
    }
    match tool.name.is_empty() {
        true => Err(at.field("name").missing()),
        false => Ok(tool),
    }
}

pub(super) fn read_tool_config(
    value: Value,
    at: Place<'_>,
    chat: &mut Chat,
) -> Result<(), BadRequest> {
    for (name, value) in place::fields(value, at)? {
        let at = at.field(&name);
        match &*camel(&name) {
            "functionCallingConfig" => {
                chat.tool_choice = read_choice(value, at, &mut chat.others)?;
            }
            _ => chat.others.push((at.to_string(), value)),
        }
    }
    Ok(())
}

fn read_choice(
    value: Value,
    at: Place<'_>,
    others: &mut Others,
) -> Result<Option<ToolChoice>, BadRequest> {
    let mut mode = String::new();
    let mut names = Vec::new();
    for (name, value) in place::fields(value, at)? {
        let at = at.field(&name);
        match &*camel(&name) {
            "mode" => mode = at.text(value)?.to_ascii_uppercase(),
            "allowedFunctionNames" => names = place::texts(value, at)?,
            "streamFunctionCallArguments" if value == Value::Bool(false) => {}
            _ => others.push((at.to_string(), value)),
        }
    }
    let choice = match (mode.as_str(), names.len()) {
        ("" | "MODE_UNSPECIFIED", 0) => return Ok(None),
        ("NONE", _) => ToolChoice::None,
        ("AUTO" | "VALIDATED", 0) => ToolChoice::Auto,
        ("ANY", 0) => ToolChoice::Required,
        ("ANY", 1) => ToolChoice::Named(names.concat()),
        ("ANY" | "AUTO" | "VALIDATED" | "" | "MODE_UNSPECIFIED", _) => ToolChoice::Among {
            names,
            is_required: mode == "ANY",
        },
        _ => {
            return Err(at
                .field("mode")
                .invalid("`AUTO`, `ANY`, `NONE` or `VALIDATED`"));
        }
    };
    Ok(Some(choice))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(tool_config: Value) -> Result<Option<ToolChoice>, BadRequest> {
        let mut chat = Chat::default();
        read_tool_config(tool_config, Place::Top.field("toolConfig"), &mut chat)?;
        Ok(chat.tool_choice)
    }

    #[track_caller]
    fn check(config: &Value, expected: Option<&ToolChoice>) {
        assert_eq!(
            read(json!({"functionCallingConfig": config})),
            Ok(expected.cloned())
        );
    }

    #[test]
    fn every_mode_is_understood() {
        let among = |is_required| {
            let names = vec!["f".to_owned(), "g".to_owned()];
            ToolChoice::Among { names, is_required }
        };

        check(&json!({}), None);
        check(&json!({"mode": "MODE_UNSPECIFIED"}), None);
        check(&json!({"mode": "AUTO"}), Some(&ToolChoice::Auto));
        check(&json!({"mode": "validated"}), Some(&ToolChoice::Auto));
        check(
            &json!({"mode": "NONE", "allowedFunctionNames": ["f"]}),
            Some(&ToolChoice::None),
        );
        check(&json!({"mode": "ANY"}), Some(&ToolChoice::Required));
        check(
            &json!({"mode": "ANY", "allowed_function_names": ["f"]}),
            Some(&ToolChoice::Named("f".to_owned())),
        );
        check(
            &json!({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}),
            Some(&among(true)),
        );
        check(
            &json!({"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]}),
            Some(&among(false)),
        );
    }

    #[test]
    fn an_unknown_mode_is_refused() {
        let refused = read(json!({"functionCallingConfig": {"mode": "SOME"}})).unwrap_err();

        assert_eq!(
            refused.param.as_deref(),
            Some("toolConfig.functionCallingConfig.mode")
        );
    }
}
