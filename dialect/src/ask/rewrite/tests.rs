use bytes::Bytes;
use serde_json::{Map, Value, json};
use shared::config::Manners;

use crate::{Ask, Endpoint, Overrides, PathFacts};

#[track_caller]
fn check(endpoint: Endpoint, body: &str, forced: Value, expected: &str) {
    let path = PathFacts {
        model: (!body.contains("\"model\":\"m\"")).then(|| "m".to_owned()),
        is_stream: false,
    };
    let ask = Ask::parse(endpoint, path, Bytes::copy_from_slice(body.as_bytes())).unwrap();
    let Value::Object(forced) = forced else {
        panic!("an object")
    };

    let sent = ask.for_same_dialect(Manners::Plain, "up", &Overrides::from(forced.clone()));

    assert_eq!(sent, expected, "{} {forced:?}", endpoint.name());
    serde_json::from_slice::<Value>(&sent).unwrap();
}

#[test]
fn an_override_is_set_where_its_dialect_has_it() {
    let forced = || json!({"temperature": 0.5, "max_tokens": 9});
    check(
        Endpoint::ChatCompletions,
        r#"{"model":"m"}"#,
        forced(),
        r#"{"temperature":0.5,"max_tokens":9,"model":"up"}"#,
    );
    check(
        Endpoint::Responses,
        r#"{"model":"m","max_output_tokens":1}"#,
        forced(),
        r#"{"temperature":0.5,"model":"up","max_output_tokens":9}"#,
    );
    check(
        Endpoint::Messages,
        r#"{"model":"m","max_tokens":1}"#,
        forced(),
        r#"{"temperature":0.5,"model":"up","max_tokens":9}"#,
    );
    check(
        Endpoint::GenerateContent,
        r#"{"generationConfig":{"temperature":1, "topP":1}}"#,
        forced(),
        r#"{"generationConfig":{"maxOutputTokens":9,"temperature":0.5, "topP":1}}"#,
    );
    check(
        Endpoint::OllamaChat,
        r#"{"model":"m","options":{"num_predict":1,"temperature":1}}"#,
        forced(),
        r#"{"model":"up","options":{"num_predict":9,"temperature":0.5}}"#,
    );
}

#[test]
fn the_object_around_an_override_is_made_where_it_lacks() {
    let gemini = |body: &str, expected: &str| {
        check(
            Endpoint::GenerateContent,
            body,
            json!({"temperature": 0.5}),
            expected,
        );
    };

    gemini(r#"{}"#, r#"{"generationConfig":{"temperature":0.5}}"#);
    gemini(
        r#"{"contents":[]}"#,
        r#"{"generationConfig":{"temperature":0.5},"contents":[]}"#,
    );
    gemini(
        r#"{"generationConfig": { } }"#,
        r#"{"generationConfig": {"temperature":0.5 } }"#,
    );
    for wrong in ["null", "7", "\"x\"", "[1]"] {
        let body = format!("{{\"generationConfig\":{wrong}}}");
        gemini(&body, r#"{"generationConfig":{"temperature":0.5}}"#);
    }
    check(
        Endpoint::OllamaGenerate,
        r#"{"model":"m","options":null}"#,
        json!({"max_tokens": 9}),
        r#"{"model":"up","options":{"num_predict":9}}"#,
    );
}

#[test]
fn two_overrides_share_the_object_that_is_made_for_them() {
    check(
        Endpoint::GenerateContent,
        r#"{"contents":[]}"#,
        json!({"temperature": 0.5, "max_tokens": 9}),
        r#"{"generationConfig":{"temperature":0.5,"maxOutputTokens":9},"contents":[]}"#,
    );
    check(
        Endpoint::OllamaChat,
        r#"{"model":"m","options":7}"#,
        json!({"temperature": 0.5, "max_tokens": 9}),
        r#"{"model":"up","options":{"temperature":0.5,"num_predict":9}}"#,
    );
}

#[test]
fn two_overrides_are_two_fields_of_an_object_that_was_empty() {
    check(
        Endpoint::GenerateContent,
        r#"{}"#,
        json!({"labels": 1, "temperature": 0.5}),
        r#"{"labels":1,"generationConfig":{"temperature":0.5}}"#,
    );
    check(
        Endpoint::OllamaChat,
        r#"{"model":"m","options":{}}"#,
        json!({"temperature": 0.5, "max_tokens": 9}),
        r#"{"model":"up","options":{"temperature":0.5,"num_predict":9}}"#,
    );
}

#[test]
fn an_override_of_a_whole_object_and_of_a_field_in_it_both_count() {
    check(
        Endpoint::GenerateContent,
        r#"{"generationConfig":{"topP":1}}"#,
        json!({"generationConfig": {"topK": 2}, "temperature": 0.5}),
        r#"{"generationConfig":{"topK":2,"temperature":0.5}}"#,
    );
    check(
        Endpoint::OllamaChat,
        r#"{"model":"m"}"#,
        json!({"max_tokens": 9, "max_completion_tokens": 7}),
        r#"{"options":{"num_predict":7},"model":"up"}"#,
    );
}

#[test]
fn an_override_goes_into_the_spelling_that_the_client_chose() {
    check(
        Endpoint::GenerateContent,
        r#"{"generation_config":{"max_output_tokens":1}}"#,
        json!({"max_tokens": 9, "temperature": 0.5}),
        r#"{"generation_config":{"temperature":0.5,"max_output_tokens":9}}"#,
    );
}

#[test]
fn what_no_dialect_shares_is_set_as_it_is_named() {
    check(
        Endpoint::Messages,
        r#"{"model":"m"}"#,
        json!({"service_tier": "standard_only"}),
        r#"{"service_tier":"standard_only","model":"up"}"#,
    );
    check(
        Endpoint::Embeddings,
        r#"{"model":"m","input":""}"#,
        json!({"dimensions": 8}),
        r#"{"dimensions":8,"model":"up","input":""}"#,
    );
}

#[test]
fn google_reads_the_upstreams_model_wherever_the_request_repeats_it() {
    check(
        Endpoint::BatchEmbedContents,
        r#"{"requests":[{"model":"models/m1","content":{"parts":[{"text":"model"}]}},{"content":{}},{"model":"m1"}]}"#,
        json!({}),
        r#"{"requests":[{"model":"models/up","content":{"parts":[{"text":"model"}]}},{"content":{}},{"model":"models/up"}]}"#,
    );
    check(
        Endpoint::EmbedContent,
        r#"{"model":"models/m1","content":{}}"#,
        json!({}),
        r#"{"model":"models/up","content":{}}"#,
    );
    check(
        Endpoint::CountContentTokens,
        r#"{"generateContentRequest":{"model":"models/m1","contents":[{"model":1}]}}"#,
        json!({}),
        r#"{"generateContentRequest":{"model":"models/up","contents":[{"model":1}]}}"#,
    );
    check(
        Endpoint::GenerateContent,
        r#"{"contents":[]}"#,
        json!({}),
        r#"{"contents":[]}"#,
    );
}

#[test]
fn an_override_is_told_in_the_dialects_own_words() {
    let schema =
        json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}});
    check(
        Endpoint::Messages,
        r#"{"model":"m","max_tokens":9}"#,
        json!({"stop": "END", "parallel_tool_calls": false, "max_tokens": 4096}),
        r#"{"stop_sequences":["END"],"model":"up","max_tokens":4096}"#,
    );
    check(
        Endpoint::Messages,
        r#"{"model":"m","max_tokens":20}"#,
        json!({"reasoning_effort": "high"}),
        r#"{"output_config":{"effort":"high"},"model":"up","max_tokens":20}"#,
    );
    check(
        Endpoint::Messages,
        r#"{"model":"m","tools":[{"name":"f"}],"tool_choice":{"type":"any"}}"#,
        json!({"parallel_tool_calls": false}),
        r#"{"model":"up","tools":[{"name":"f"}],"tool_choice":{"disable_parallel_tool_use":true,"type":"any"}}"#,
    );
    check(
        Endpoint::GenerateContent,
        r#"{"generationConfig":{"topP":1}}"#,
        json!({"stop": "END", "response_format": schema}),
        r#"{"generationConfig":{"stopSequences":["END"],"responseMimeType":"application/json","responseJsonSchema":{"type":"object"},"topP":1}}"#,
    );
    check(
        Endpoint::OllamaChat,
        r#"{"model":"m"}"#,
        json!({"response_format": {"type": "json_object"}, "stop": ["A"], "reasoning_effort": "low"}),
        r#"{"format":"json","options":{"stop":["A"]},"think":"low","model":"up"}"#,
    );
    check(
        Endpoint::Responses,
        r#"{"model":"m","text":{"verbosity":"low"}}"#,
        json!({"response_format": {"type": "json_object"}, "reasoning_effort": "high"}),
        r#"{"reasoning":{"effort":"high"},"model":"up","text":{"format":{"type":"json_object"},"verbosity":"low"}}"#,
    );
}

#[test]
fn a_forced_effort_is_a_budget_for_models_without_levels() {
    let body = r#"{"contents":[]}"#;
    let forced = Overrides::from(Map::from_iter([(
        "reasoning_effort".to_owned(),
        json!("low"),
    )]));
    let path = PathFacts {
        model: Some("m".to_owned()),
        is_stream: false,
    };
    let ask = Ask::parse(Endpoint::GenerateContent, path, body.into()).unwrap();
    let sent = |model: &str| ask.for_same_dialect(Manners::Plain, model, &forced);

    let config = |thinking: &str| {
        format!(r#"{{"generationConfig":{{"thinkingConfig":{thinking}}},"contents":[]}}"#)
    };
    assert_eq!(sent("gemini-3-pro"), config(r#"{"thinkingLevel":"LOW"}"#));
    assert_eq!(sent("gemini-2.5-pro"), config(r#"{"thinkingBudget":1024}"#));
}

#[test]
fn a_forced_output_limit_leaves_no_other_one() {
    check(
        Endpoint::ChatCompletions,
        r#"{"model":"m","max_completion_tokens":900}"#,
        json!({"max_tokens": 9}),
        r#"{"max_tokens":9,"model":"up","max_completion_tokens":null}"#,
    );
    check(
        Endpoint::ChatCompletions,
        r#"{"model":"m","max_tokens":900}"#,
        json!({"max_completion_tokens": 9}),
        r#"{"max_completion_tokens":9,"model":"up","max_tokens":null}"#,
    );
}

#[test]
fn an_override_that_the_dialect_has_no_words_for_is_left_to_the_provider() {
    check(
        Endpoint::Messages,
        r#"{"model":"m"}"#,
        json!({"frequency_penalty": 1, "inference_geo": "eu"}),
        r#"{"frequency_penalty":1,"inference_geo":"eu","model":"up"}"#,
    );
}

#[test]
fn bytes_that_go_through_have_the_history_that_the_provider_takes() {
    let body = r#"{"model":"up","messages":[{"role":"assistant","content":"Hi","reasoning_content":"Hm"}]}"#;
    let ask = Ask::parse(Endpoint::ChatCompletions, PathFacts::default(), body.into()).unwrap();
    let sent = |manners| ask.for_same_dialect(manners, "up", &Map::new().into());

    assert_eq!(sent(Manners::Plain), body);
    assert_eq!(
        sent(Manners::Groq),
        r#"{"model":"up","messages":[{"role":"assistant","content":"Hi"}]}"#
    );
}

#[test]
fn json_that_is_forced_in_words_leaves_what_the_system_says() {
    let words = "Answer with a JSON object only: no text around it, and no Markdown fences.";
    let anthropic = |body: &str, expected: &str| {
        let forced = json!({"response_format": {"type": "json_object"}});
        check(
            Endpoint::Messages,
            body,
            forced,
            &expected.replace("WORDS", words),
        );
    };

    anthropic(
        r#"{"model":"m","system":"Be \"brief\"."}"#,
        r#"{"model":"up","system":"Be \"brief\".\n\nWORDS"}"#,
    );
    anthropic(
        r#"{"model":"m","system":[{"type":"text","text":"a"}]}"#,
        r#"{"model":"up","system":[{"type":"text","text":"a"},{"type":"text","text":"WORDS"}]}"#,
    );
    anthropic(
        r#"{"model":"m","system":[ ]}"#,
        r#"{"model":"up","system":[ {"type":"text","text":"WORDS"}]}"#,
    );
    anthropic(
        r#"{"model":"m","system":""}"#,
        r#"{"model":"up","system":"WORDS"}"#,
    );
    anthropic(
        r#"{"model":"m","system":null}"#,
        r#"{"model":"up","system":"WORDS"}"#,
    );
    anthropic(r#"{"model":"m"}"#, r#"{"system":"WORDS","model":"up"}"#);
}

#[test]
fn a_form_that_the_dialect_has_no_value_for_takes_the_clients_away() {
    check(
        Endpoint::Messages,
        r#"{"model":"m"}"#,
        json!({"response_format": {"type": "text"}}),
        r#"{"model":"up"}"#,
    );
    check(
        Endpoint::Messages,
        r#"{"model":"m","output_config":{"format":{"type":"json_schema"}}}"#,
        json!({"response_format": {"type": "text"}}),
        r#"{"model":"up","output_config":{"format":null}}"#,
    );
}

#[test]
fn calls_are_one_at_a_time_only_where_there_are_tools() {
    let forced = || json!({"parallel_tool_calls": false});
    let same = |endpoint, fields: &str| {
        let body = format!(r#"{{"model":"m"{fields}}}"#);
        let expected = format!(r#"{{"model":"up"{fields}}}"#);
        check(endpoint, &body, forced(), &expected);
    };

    for endpoint in [
        Endpoint::Messages,
        Endpoint::ChatCompletions,
        Endpoint::Responses,
    ] {
        same(endpoint, "");
        same(endpoint, r#","tools":[]"#);
    }
    same(
        Endpoint::Messages,
        r#","tools":[{}],"tool_choice":{"type":"none"}"#,
    );
    check(
        Endpoint::Messages,
        r#"{"model":"m","tools":[{}]}"#,
        forced(),
        r#"{"tool_choice":{"type":"auto","disable_parallel_tool_use":true},"model":"up","tools":[{}]}"#,
    );
    check(
        Endpoint::ChatCompletions,
        r#"{"model":"m","tools":[{}]}"#,
        forced(),
        r#"{"parallel_tool_calls":false,"model":"up","tools":[{}]}"#,
    );
    check(
        Endpoint::Messages,
        r#"{"model":"m","tools":[{}],"tool_choice":{"type":"any","disable_parallel_tool_use":true}}"#,
        json!({"parallel_tool_calls": true}),
        r#"{"model":"up","tools":[{}],"tool_choice":{"type":"any","disable_parallel_tool_use":false}}"#,
    );
}
