use proptest::prelude::*;
use serde_json::json;
use shared::config::Dialect;

use super::*;
use crate::canon::{Effort, Format, Proof, Reasoning, Source, ToolChoice, proof};

/// A request with the fields of `extra` beside the least that there must be.
fn read(extra: &Value) -> Result<Chat, BadRequest> {
    let mut body =
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
    let Value::Object(extra) = extra else {
        panic!("no object: {extra}")
    };
    body.as_object_mut().unwrap().extend(extra.clone());
    read_chat(Endpoint::Messages, body.to_string().as_bytes())
}

fn read_messages(messages: &Value) -> Result<Chat, BadRequest> {
    read(&json!({ "messages": messages }))
}

#[track_caller]
fn check_fault(extra: &Value, param: &str) {
    let refused = read(extra).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some(param), "{}", refused.message);
}

#[test]
fn what_is_wrong_is_named_by_its_path() {
    check_fault(&json!({"max_tokens": null}), "max_tokens");
    check_fault(&json!({"max_tokens": -1}), "max_tokens");
    check_fault(&json!({"temperature": "hot"}), "temperature");
    check_fault(&json!({"stop_sequences": ["a", 1]}), "stop_sequences");
    check_fault(&json!({"system": [{"type": "image"}]}), "system[0].type");
    check_fault(
        &json!({"tools": [{"name": "find"}]}),
        "tools[0].input_schema",
    );
    check_fault(
        &json!({"tool_choice": {"type": "some"}}),
        "tool_choice.type",
    );
    check_fault(
        &json!({"thinking": {"type": "enabled"}}),
        "thinking.budget_tokens",
    );
    check_fault(
        &json!({"output_config": {"effort": "none"}}),
        "output_config.effort",
    );
    check_fault(&json!({"metadata": {"user_id": 7}}), "metadata.user_id");
    for (message, param) in [
        (json!("Hi"), "messages[0]"),
        (json!({"content": "Hi"}), "messages[0].role"),
        (json!({"role": "tool", "content": "Hi"}), "messages[0].role"),
        (json!({"role": "user"}), "messages[0].content"),
        (json!({"role": "user", "content": 7}), "messages[0].content"),
        (
            json!({"role": "user", "content": [{"text": "Hi"}]}),
            "messages[0].content[0].type",
        ),
        (
            json!({"role": "user", "content": [{"type": "tool_use"}]}),
            "messages[0].content[0].type",
        ),
        (
            json!({"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}),
            "messages[0].content[0].source.url",
        ),
        (
            json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": "{}"}]}),
            "messages[0].content[0].input",
        ),
    ] {
        check_fault(&json!({"messages": [message]}), param);
    }
}

#[test]
fn fields_of_nobody_else_are_kept_by_their_path() {
    let chat = read(&json!({
        "container": "c_1",
        "tools": [{"type": "web_search_20250305", "name": "web_search"},
            {"name": "find", "input_schema": {}, "defer_loading": true}],
        "thinking": {"type": "between_tools"},
        "messages": [{"role": "user", "content": [
            {"type": "search_result", "title": "t"},
            {"type": "document", "title": "d", "citations": {"enabled": true}, "source": {"type": "url", "url": "u"}},
            {"type": "document", "source": {"type": "content", "content": "x"}}]}],
    }));

    let others = chat.unwrap().others;
    let paths: Vec<&str> = others.iter().map(|(path, _)| &**path).collect();
    let expected = [
        "tools[0]",
        "tools[1].defer_loading",
        "thinking",
        "messages[0].content[0]",
        "messages[0].content[1].citations",
        "messages[0].content[2]",
        "container",
    ];
    assert_eq!(paths, expected);
    assert_eq!(others[6].1, "c_1");
}

#[test]
fn hints_and_nulls_are_forgotten() {
    let cached = json!({"type": "ephemeral"});
    let chat = read(&json!({
        "cache_control": cached, "service_tier": "standard_only", "container": null, "top_k": null,
        "metadata": {"user_id": null, "trace": "x"},
        "system": [{"type": "text", "text": "Be brief.", "cache_control": cached}],
        "tools": [{"name": "find", "input_schema": {}, "cache_control": cached, "eager_input_streaming": true}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": cached, "citations": null}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Hi", "citations": []},
                {"type": "tool_use", "id": "t", "name": "find", "input": {}, "caller": {"type": "direct"}}]}],
    }));

    assert_eq!(chat.unwrap().others, []);
}

#[test]
fn the_system_prompt_comes_first_wherever_it_stands() {
    let body = br#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"},
        {"role":"system","content":"Now in French."}],"system":"Be brief."}"#;

    let chat = read_chat(Endpoint::Messages, body).unwrap();

    let roles: Vec<Role> = chat.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::System]);
}

#[test]
fn tool_results_become_a_message_before_what_else_the_user_says() {
    let chat = read_messages(&json!([
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t_1", "name": "find", "input": {"a": 1}}]},
        {"role": "user", "content": [
            {"type": "text", "text": "Here."},
            {"type": "tool_result", "tool_use_id": "t_1", "content": "4", "is_error": true}]},
    ]));

    let messages = chat.unwrap().messages;
    let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::Assistant, Role::Tool, Role::User]);
    let Part::ToolResult(result) = &messages[1].parts[0] else {
        panic!("{messages:?}")
    };
    assert_eq!(result.name.as_deref(), Some("find"));
    assert!(result.is_error);
}

#[test]
fn a_signature_is_unpacked_from_the_ids_of_call_and_result() {
    let signature = Proof::new(Dialect::GeminiGenerate, "AQ==".to_owned());
    let id = proof::pack("call_1", signature.as_ref());

    let chat = read_messages(&json!([
        {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "find", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id}]},
    ]));

    let messages = chat.unwrap().messages;
    let Part::ToolCall(call) = &messages[0].parts[0] else {
        panic!("{messages:?}")
    };
    assert_eq!((&*call.id, &call.signature), ("call_1", &signature));
    let Part::ToolResult(result) = &messages[1].parts[0] else {
        panic!("{messages:?}")
    };
    assert_eq!(result.call_id, "call_1");
}

#[test]
fn sources_of_all_kinds_are_read() {
    let block = |kind: &str, source: Value| json!({"type": kind, "source": source});
    let chat = read_messages(&json!([{"role": "user", "content": [
        block("image", json!({"type": "base64", "media_type": "image/png", "data": "AA=="})),
        block("image", json!({"type": "url", "url": "https://x/y.png"})),
        block("document", json!({"type": "text", "media_type": "text/plain", "data": "foo"})),
        block("document", json!({"type": "file", "file_id": "file_1"}))]}]));

    let data = |media_type: &str, base64: &str| Source::Data {
        media_type: media_type.to_owned(),
        base64: base64.to_owned(),
    };
    let sources = chat
        .unwrap()
        .messages
        .remove(0)
        .parts
        .into_iter()
        .map(|part| match part {
            Part::Image { source, .. } | Part::File { source, .. } => source,
            part => panic!("{part:?}"),
        });
    let expected = [
        data("image/png", "AA=="),
        Source::Url("https://x/y.png".to_owned()),
        data("text/plain", "Zm9v"),
        Source::FileId("file_1".to_owned()),
    ];
    assert_eq!(sources.collect::<Vec<_>>(), expected);
}

#[track_caller]
fn check_reasoning(extra: &Value, expected: Option<&Reasoning>) {
    assert_eq!(read(extra).unwrap().reasoning.as_ref(), expected);
}

#[test]
fn thinking_and_effort_are_one_thing() {
    check_reasoning(&json!({}), None);
    check_reasoning(
        &json!({"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        Some(&Reasoning {
            budget: Some(2048),
            is_shown: Some(true),
            effort: None,
        }),
    );
    check_reasoning(
        &json!({"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}}),
        Some(&Reasoning {
            effort: Some(Effort::Max),
            is_shown: Some(false),
            budget: None,
        }),
    );
    check_reasoning(
        &json!({"output_config": {"effort": "low"}}),
        Some(&Reasoning {
            effort: Some(Effort::Low),
            ..Reasoning::default()
        }),
    );
    check_reasoning(
        &json!({"thinking": {"type": "disabled"}}),
        Some(&Reasoning {
            effort: Some(Effort::None),
            ..Reasoning::default()
        }),
    );
}

#[test]
fn the_system_sets_the_effort_between_turns() {
    let chat = read(&json!({
        "thinking": {"type": "adaptive"}, "output_config": {"effort": "high"},
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": "It is noon.", "output_config": {"effort": "max"}},
            {"role": "system", "content": [], "output_config": {"effort": "low"}},
        ],
    }))
    .unwrap();

    assert_eq!(chat.reasoning.unwrap().effort, Some(Effort::Low));
    let roles: Vec<_> = chat.messages.iter().map(|it| it.role).collect();
    assert_eq!(roles, [Role::User, Role::System]);
    assert_eq!(chat.others, []);
    check_fault(
        &json!({"messages": [{"role": "system", "content": [], "output_config": {"effort": "none"}}]}),
        "messages[0].output_config.effort",
    );
    let unthought = read(&json!({
        "thinking": {"type": "disabled"},
        "messages": [{"role": "system", "content": "", "output_config": {"effort": "low"}}],
    }))
    .unwrap();
    assert_eq!(unthought.messages, []);
    assert_eq!(unthought.others[0].0, "messages[0].output_config.effort");
}

#[test]
fn what_clears_the_context_is_a_hint_and_what_makes_a_summary_is_not() {
    let edits = json!([
        {"type": "clear_thinking_20251015", "keep": "all"},
        {"type": "compact_20260112", "pause_after_compaction": true},
    ]);

    let chat = read(&json!({"context_management": {"edits": edits, "later": 1}})).unwrap();

    let others: Vec<_> = chat.others.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        others,
        ["context_management.edits[1]", "context_management.later"]
    );
    check_fault(
        &json!({"context_management": {"edits": 1}}),
        "context_management.edits",
    );
}

#[test]
fn effort_without_thoughts_is_nobody_elses() {
    let chat = read(&json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}}))
        .unwrap();

    let expected = [("output_config.effort".to_owned(), json!("max"))];
    assert_eq!(chat.others, expected);
}

#[test]
fn settings_are_read() {
    let chat = read(&json!({
        "stream": true, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "stop_sequences": ["END"],
        "metadata": {"user_id": "u"},
        "tool_choice": {"type": "tool", "name": "find", "disable_parallel_tool_use": true},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
    }))
    .unwrap();

    assert!(chat.is_stream);
    assert_eq!(
        (chat.temperature, chat.top_p, chat.top_k),
        (Some(0.5), Some(0.9), Some(40))
    );
    assert_eq!(chat.stop, ["END"]);
    assert_eq!(chat.user.as_deref(), Some("u"));
    assert_eq!(chat.tool_choice, Some(ToolChoice::Named("find".to_owned())));
    assert_eq!(chat.parallel_tool_calls, Some(false));
    assert!(
        matches!(chat.format, Some(Format::Schema(schema)) if schema.schema == json!({"type": "object"}))
    );
    assert_eq!(chat.others, []);
}

proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = read_chat(Endpoint::Messages, &bytes);
    }

    #[test]
    fn no_block_panics(block in block()) {
        let body = format!(r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":[{block}]}},
            {{"role":"assistant","content":[{block},{block}]}}],"system":[{block}],"tools":[{block}],"thinking":{block}}}"#);
        let _ = read_chat(Endpoint::Messages, body.as_bytes());
    }
}

fn block() -> impl Strategy<Value = String> {
    let kinds = "text|image|document|thinking|tool_use|tool_result|enabled|other";
    let names =
        "text|source|content|id|name|input|tool_use_id|data|citations|caller|title|budget_tokens";
    let values = "0|null|\"x\"|\\{\\}|\\[\\]|\\[0\\]|\\{\"type\":\"(text|url|base64)\"\\}";
    proptest::string::string_regex(&format!(
        "\\{{\"type\":\"({kinds})\"(,\"({names})\":({values})){{0,4}}\\}}"
    ))
    .unwrap()
}
