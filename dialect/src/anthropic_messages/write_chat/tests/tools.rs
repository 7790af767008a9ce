use super::*;

#[test]
fn a_form_without_a_field_is_asked_for_in_words() {
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let mut chat = hello();

    chat.format = Some(Format::Json);
    let json = write(&chat);
    chat.messages.insert(0, says(Role::System, "Be brief."));
    let after_others = write(&chat);
    let schema = |strict| {
        Some(Format::Schema(Schema {
            schema: map.clone(),
            strict,
            ..Schema::default()
        }))
    };
    chat.format = schema(None);
    let of_schema = write(&chat);
    chat.format = schema(Some(true));
    let dropped = check_lost(&chat, "response_format");

    let words = Format::Json.in_words();
    assert_eq!(json["system"], *words);
    assert_eq!(json["output_config"], Value::Null);
    assert_eq!(after_others["system"], format!("Be brief.\n\n{words}"));
    let system = of_schema["system"].as_str().unwrap();
    assert!(system.ends_with(&map.to_string()), "{system}");
    assert_eq!(dropped, of_schema);
}

#[test]
fn strict_tools_are_closed_and_others_left_alone() {
    let tool = |strict, schema: &Value| {
        let mut chat = with_tools();
        chat.tools[0].strict = strict;
        chat.tools[0].parameters = Some(schema.clone());
        let tool = write(&chat)["tools"][0].clone();
        (tool["strict"].clone(), tool["input_schema"].clone())
    };
    let open = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let closed = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": false});
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});

    assert_eq!(tool(Some(true), &open), (json!(true), closed));
    assert_eq!(tool(None, &open), (Value::Null, open.clone()));
    assert_eq!(tool(Some(true), &map), (Value::Null, map.clone()));
}

fn of_nullables(n: usize) -> Value {
    let nullable = |n: usize| (format!("p{n}"), json!({"type": ["string", "null"]}));
    let properties: Map<String, Value> = (0..n).map(nullable).collect();
    let required: Vec<&String> = properties.keys().collect();
    json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false})
}

#[test]
fn a_request_asks_for_no_more_strictness_than_the_api_takes() {
    let mut chat = with_tools();
    chat.tools[0].parameters = Some(of_nullables(7));
    chat.tools.push(chat.tools[0].clone());
    let format = |n, strict| {
        Some(Format::Schema(Schema {
            schema: of_nullables(n),
            strict,
            ..Schema::default()
        }))
    };

    chat.format = format(9, Some(true));
    let within = write(&chat);
    chat.format = format(17, None);
    let beyond = write(&chat);
    chat.format = format(17, Some(true));
    let dropped = check_lost(&chat, "response_format");

    assert!(within["output_config"]["format"].is_object());
    assert_eq!(within["tools"][0]["strict"], true);
    assert_eq!(within["tools"][1]["strict"], Value::Null);
    assert_eq!(within["tools"][1]["input_schema"], of_nullables(7));
    assert_eq!(beyond["output_config"], Value::Null);
    assert!(beyond["system"].is_string());
    assert_eq!(beyond["tools"][1]["strict"], true);
    assert_eq!(dropped, beyond);
}

#[track_caller]
fn check_choice(choice: Option<ToolChoice>, is_parallel: Option<bool>, expected: &Value) {
    let mut chat = with_tools();
    chat.tool_choice = choice;
    chat.parallel_tool_calls = is_parallel;
    assert_eq!(write(&chat)["tool_choice"], *expected);
}

#[test]
fn tools_are_chosen_in_the_apis_words() {
    let among = ToolChoice::Among {
        names: vec!["find".to_owned()],
        is_required: true,
    };
    let named = || json!({"type": "tool", "name": "find"});

    check_choice(None, None, &Value::Null);
    check_choice(None, Some(true), &Value::Null);
    check_choice(
        None,
        Some(false),
        &json!({"type": "auto", "disable_parallel_tool_use": true}),
    );
    check_choice(Some(ToolChoice::Auto), None, &json!({"type": "auto"}));
    check_choice(
        Some(ToolChoice::None),
        Some(false),
        &json!({"type": "none"}),
    );
    check_choice(
        Some(ToolChoice::Required),
        Some(false),
        &json!({"type": "any", "disable_parallel_tool_use": true}),
    );
    check_choice(Some(ToolChoice::Named("find".to_owned())), None, &named());
    check_choice(Some(among), None, &named());
}

#[test]
fn a_choice_among_some_tools_is_one_of_fewer() {
    let mut chat = with_tools();
    chat.tools.push(Tool {
        name: "stop".to_owned(),
        ..chat.tools[0].clone()
    });
    let among = |names: &[&str], is_required| {
        Some(ToolChoice::Among {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            is_required,
        })
    };

    chat.tool_choice = among(&["find"], false);
    let body = write(&chat);
    assert_eq!(body["tools"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["tool_choice"], json!({"type": "auto"}));

    chat.tool_choice = among(&["find", "stop"], true);
    let body = write(&chat);
    assert_eq!(body["tools"].as_array().map(Vec::len), Some(2));
    assert_eq!(body["tool_choice"], json!({"type": "any"}));

    chat.tool_choice = among(&["other"], true);
    let refused = write_with(&chat, true).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some("tool_choice"));
}

#[test]
fn a_tools_schema_is_an_objects() {
    let mut chat = with_tools();
    chat.tools[0].strict = None;
    let schemas = [
        (None, json!({"type": "object", "properties": {}})),
        (Some(json!({})), json!({"type": "object"})),
        (
            Some(json!({"type": "object", "properties": {"a": {}}})),
            json!({"type": "object", "properties": {"a": {}}}),
        ),
    ];
    for (parameters, expected) in schemas {
        chat.tools[0].parameters = parameters;

        let tool = &write(&chat)["tools"][0];

        assert_eq!(tool, &json!({"name": "find", "input_schema": expected}));
    }
}

#[test]
fn a_schemas_description_goes_into_the_schema() {
    let mut chat = hello();
    chat.format = Some(Format::Schema(Schema {
        name: Some("n".to_owned()),
        description: Some("A person.".to_owned()),
        schema: json!({"type": "object", "properties": {}}),
        strict: Some(true),
    }));

    let expected = json!({"format": {"type": "json_schema", "schema": {
        "type": "object", "properties": {}, "description": "A person.", "additionalProperties": false}}});
    assert_eq!(write(&chat)["output_config"], expected);
}

#[test]
fn what_clients_of_this_dialect_ask_can_be_asked_again() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/requests/anthropic_messages"
    );
    for case in [
        "documents",
        "image_from_a_tool",
        "images",
        "json_schema",
        "no_thinking",
        "one_call_at_a_time",
        "plain",
        "prefill",
        "sampling",
        "stream",
        "thinking_budget",
        "thinking_effort",
        "tool_choice",
        "turns_with_system",
        "two_calls_with_results",
    ] {
        let body = std::fs::read(format!("{folder}/{case}.json")).unwrap();
        let mut asked = read_chat(Endpoint::Messages, &body).unwrap();

        let body = write(&asked).to_string();

        let again = read_chat(Endpoint::Messages, body.as_bytes()).unwrap();
        asked.model = "claude".to_owned();
        // `system` is one text for an upstream.
        let joined = |chat: Chat| {
            let messages = chat.messages.into_iter();
            messages.map(|message| match message.role {
                Role::System => format!("{:?}", message.parts).replace("\"), Text(\"", "\\n\\n"),
                _ => format!("{message:?}"),
            })
        };
        assert!(
            joined(again.clone()).eq(joined(asked.clone())),
            "{case}: {again:?}"
        );
        asked.messages.clear();
        assert_eq!(
            Chat {
                messages: vec![],
                ..again
            },
            asked,
            "{case}"
        );
    }
}
