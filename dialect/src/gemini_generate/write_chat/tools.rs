//! `tools` and `toolConfig`.

use serde::Serialize;
use serde_json::Value;

use crate::canon::{Chat, ToolChoice};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tools<'a> {
    function_declarations: Vec<Declaration<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// Unlike `parameters`, which takes few of JSON schema's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    function_calling_config: CallingConfig<'a>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct CallingConfig<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    allowed_function_names: &'a [String],
}

pub(super) fn tools(chat: &Chat) -> Option<[Tools<'_>; 1]> {
    if chat.tools.is_empty() {
        return None;
    }
    let declarations = chat.tools.iter().map(|tool| Declaration {
        name: &tool.name,
        description: tool.description.as_deref(),
        parameters_json_schema: tool.parameters.as_ref(),
    });
    Some([Tools {
        function_declarations: declarations.collect(),
    }])
}

/// Google promises arguments by their schema in the modes `ANY` and `VALIDATED`, and for all tools alike.
pub(super) fn tool_config(chat: &Chat) -> Option<ToolConfig<'_>> {
    let is_strict = chat.tools.iter().any(|tool| tool.strict == Some(true));
    let function_calling_config = match &chat.tool_choice {
        Some(ToolChoice::None) => CallingConfig::of("NONE", &[]),
        Some(ToolChoice::Required) => CallingConfig::of("ANY", &[]),
        Some(ToolChoice::Named(name)) => CallingConfig::of("ANY", std::slice::from_ref(name)),
        Some(ToolChoice::Among { names, is_required }) => match is_required {
            true => CallingConfig::of("ANY", names),
            // `AUTO` takes no names.
            false => CallingConfig::of("VALIDATED", names),
        },
        Some(ToolChoice::Auto) | None if is_strict => CallingConfig::of("VALIDATED", &[]),
        Some(ToolChoice::Auto) => CallingConfig::of("AUTO", &[]),
        None => return None,
    };
    Some(ToolConfig {
        function_calling_config,
    })
}

impl<'a> CallingConfig<'a> {
    fn of(mode: &'static str, allowed_function_names: &'a [String]) -> Self {
        Self {
            mode,
            allowed_function_names,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::Tool;

    #[track_caller]
    fn check(
        tool_choice: Option<ToolChoice>,
        strict: Option<bool>,
        expected: Option<(&'static str, &[&str])>,
    ) {
        let tool = Tool {
            name: "f".to_owned(),
            description: None,
            parameters: None,
            strict,
        };
        let chat = Chat {
            tools: vec![tool],
            tool_choice,
            ..Chat::default()
        };

        let config = tool_config(&chat).map(|config| config.function_calling_config);

        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let config = config.map(|config| (config.mode, config.allowed_function_names.to_vec()));
        assert_eq!(
            config,
            expected.map(|(mode, allowed)| (mode, names(allowed)))
        );
    }

    #[test]
    fn every_choice_is_told() {
        let among = |is_required| {
            let names = vec!["f".to_owned(), "g".to_owned()];
            Some(ToolChoice::Among { names, is_required })
        };

        check(None, None, None);
        check(Some(ToolChoice::None), None, Some(("NONE", &[])));
        check(Some(ToolChoice::Auto), Some(false), Some(("AUTO", &[])));
        check(Some(ToolChoice::Required), None, Some(("ANY", &[])));
        check(
            Some(ToolChoice::Named("f".to_owned())),
            None,
            Some(("ANY", &["f"])),
        );
        check(among(true), None, Some(("ANY", &["f", "g"])));
        check(among(false), None, Some(("VALIDATED", &["f", "g"])));
    }

    #[test]
    fn strict_tools_keep_their_promise() {
        check(None, Some(true), Some(("VALIDATED", &[])));
        check(Some(ToolChoice::Auto), Some(true), Some(("VALIDATED", &[])));
        check(Some(ToolChoice::None), Some(true), Some(("NONE", &[])));
    }
}
