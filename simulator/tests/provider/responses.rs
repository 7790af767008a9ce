//! OpenAI's responses: items, the order of their events, and refusals.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::harness::{Provider, at_once, json_of, named_events_of, send, with};

fn respond(provider: &Provider, fields: Value) -> RequestBuilder {
    let body = json!({"model": "m", "input": "hi"});
    provider.post("/v1/responses", &with(body, fields))
}

async fn response(fields: Value) -> Value {
    let provider = Provider::start(at_once()).await;
    let response = send(respond(&provider, fields)).await;
    let status = response.status();
    let answer = json_of(response).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn events(fields: Value) -> Vec<(String, Value)> {
    let provider = Provider::start(at_once()).await;
    let fields = with(fields, json!({"stream": true}));
    let events = named_events_of(send(respond(&provider, fields)).await).await;
    for (number, (name, data)) in events.iter().enumerate() {
        assert_eq!(
            (&data["type"], &data["sequence_number"]),
            (&json!(name), &json!(number))
        );
    }
    events
}

/// What a stream says at its end, with the ids that differ between two answers taken away.
fn last_of(events: &[(String, Value)]) -> Value {
    events.last().unwrap().1["response"].clone()
}

fn without_ids(mut response: Value) -> Value {
    for name in ["id", "created_at"] {
        response[name] = Value::Null;
    }
    for item in response["output"].as_array_mut().unwrap() {
        item["id"] = Value::Null;
        if item.get("call_id").is_some() {
            item["call_id"] = Value::Null;
        }
    }
    response
}

fn weather() -> Value {
    let parameters =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!([{"type": "function", "name": "weather", "parameters": parameters}])
}

#[tokio::test]
async fn a_response_has_its_items_and_its_usage() {
    let response = response(json!({"instructions": "be kind"})).await;

    assert!(response["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!(
        (
            &response["object"],
            &response["status"],
            &response["instructions"]
        ),
        (&json!("response"), &json!("completed"), &json!("be kind"))
    );
    let message = &response["output"][0];
    assert!(message["id"].as_str().unwrap().starts_with("msg_"));
    assert_eq!(message["content"][0]["text"], "the river runs");
    let usage = json!({
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 6,
    });
    assert_eq!(response["usage"], usage);
}

#[tokio::test]
async fn a_stream_has_its_events_in_their_order_and_ends_with_the_whole() {
    let fields = json!({
        "input": "two tools",
        "tools": weather(),
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    });

    let whole = response(fields.clone()).await;
    let events = events(fields).await;

    let mut names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(names, expected);
    let last = last_of(&events);
    let done: Vec<_> = events
        .iter()
        .filter(|(name, _)| name == "response.output_item.done")
        .map(|(_, data)| data["item"].clone())
        .collect();
    assert_eq!(last["output"], json!(done));
    assert_eq!(last["output"][0]["summary"][0]["text"], "thinking about it");
    assert_eq!(last["output"][1]["arguments"], r#"{"city":"Paris"}"#);
    assert_eq!(
        last["usage"]["output_tokens_details"]["reasoning_tokens"],
        3
    );
    assert_eq!(
        without_ids(last),
        without_ids(with(whole, json!({"stream": null})))
    );
}

#[tokio::test]
async fn a_text_is_added_filled_and_done() {
    let events = events(json!({})).await;

    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(names, expected);
    let ids: Vec<_> = [2, 9]
        .map(|place: usize| events[place].1["item"]["id"].clone())
        .into();
    assert_eq!(ids[0], ids[1]);
    assert_eq!(events[0].1["response"]["id"], last_of(&events)["id"]);
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_incomplete() {
    let provider = Provider::start(at_once()).await;
    provider.behave("sk-1", json!({"tokens": 50})).await;
    let fields = json!({"max_output_tokens": 16, "stream": true});

    let events = named_events_of(send(respond(&provider, fields)).await).await;

    assert_eq!(events.last().unwrap().0, "response.incomplete");
    let last = last_of(&events);
    assert_eq!(last["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(last["usage"]["output_tokens"], 16);
}

#[tokio::test]
async fn what_was_said_is_taken_back() {
    let ask = json!({"role": "user", "content": "two tools"});
    let fields = json!({
        "tools": weather(),
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    });
    let first = response(with(fields.clone(), json!({"input": [ask]}))).await;
    let mut input = vec![ask];
    let items = first["output"].as_array().unwrap();
    input.extend(items.iter().cloned());
    for (call, text) in items[1..].iter().zip(["sun", "rain"]) {
        input.push(
            json!({"type": "function_call_output", "call_id": call["call_id"], "output": text}),
        );
    }

    let told = response(with(fields, json!({"input": input}))).await;

    assert_eq!(
        told["output"][1]["content"][0]["text"],
        "tools said: sun | rain"
    );
}

#[tokio::test]
async fn the_text_follows_its_cue() {
    let user = |content: Value| json!({"input": [{"role": "user", "content": content}]});
    let schema = json!({"type": "object", "properties": {"n": {"type": "number"}}});
    let image = json!({"type": "input_image", "image_url": "data:image/png;base64,Zm9v"});
    let file = json!({"type": "input_file", "filename": "f", "file_data": "data:application/pdf;base64,Zm9v"});
    for (fields, text) in [
        (user(json!("repeat after me: x y")), "x y"),
        (
            json!({"text": {"format": {"type": "json_schema", "name": "s", "schema": schema}}}),
            r#"{"n":1}"#,
        ),
        (user(json!([image])), "saw 1 image(s) the river runs"),
        (user(json!([file])), "read 1 file(s) the river runs"),
    ] {
        let whole = response(fields.clone()).await;
        let streamed = last_of(&events(fields).await);

        assert_eq!(whole["output"][0]["content"][0]["text"], text);
        assert_eq!(streamed["output"][0]["content"][0]["text"], text);
    }
}

#[tokio::test]
async fn what_openai_refuses_is_refused_with_its_field() {
    let provider = Provider::start(at_once()).await;
    let items = |items: Value| json!({"input": items});
    let say = |part: Value| json!({"input": [{"role": "user", "content": [part]}]});
    let call = json!({"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "a", "output": "x"});
    let thoughts = json!({"type": "reasoning", "id": "rs_1", "summary": []});
    let sealed = with(thoughts.clone(), json!({"encrypted_content": "Zm9v"}));
    for (fields, param) in [
        (json!({"messages": []}), "messages"),
        (json!({"input": null}), "input"),
        (json!({"max_tokens": 16}), "max_tokens"),
        (json!({"max_output_tokens": 15}), "max_output_tokens"),
        (
            json!({"previous_response_id": "resp_1"}),
            "previous_response_id",
        ),
        (json!({"background": true, "store": false}), "background"),
        (
            say(json!({"type": "text", "text": "x"})),
            "input[0].content[0].type",
        ),
        (
            say(json!({"type": "input_text", "text": "x", "cache_control": {}})),
            "input[0].content[0].cache_control",
        ),
        (
            say(json!({"type": "input_image", "image_url": {"url": "x"}})),
            "input[0].content[0].image_url",
        ),
        (
            items(json!([{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}])),
            "input[0].content[0].type",
        ),
        (
            items(json!([{"role": "tool", "content": "x"}])),
            "input[0].role",
        ),
        (items(json!([output])), "input[0].call_id"),
        (items(json!([call])), "input"),
        (
            items(json!([
                with(call.clone(), json!({"arguments": {}})),
                output
            ])),
            "input[0].arguments",
        ),
        (
            items(json!([with(call.clone(), json!({"id": "call_1"})), output])),
            "input[0].id",
        ),
        (items(json!([thoughts])), "input"),
        (
            items(json!([sealed, call, output])),
            "input[0].encrypted_content",
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
            "tools[0].name",
        ),
        (json!({"tool_choice": "required"}), "tool_choice"),
        (
            json!({"text": {"format": {"type": "json_schema", "json_schema": {}}}}),
            "text.format.name",
        ),
        (
            json!({"text": {"format": {"type": "json_object"}}, "instructions": "Answer in JSON."}),
            "input",
        ),
        (json!({"reasoning": {"budget": 1}}), "reasoning.budget"),
        (json!({"stream_options": {}}), "stream_options"),
    ] {
        let response = send(respond(&provider, fields.clone())).await;

        assert_eq!(response.status(), 400, "{fields}");
        let error = json_of(response).await["error"].clone();
        assert_eq!(error["param"], param, "{fields}: {error}");
    }
}

#[tokio::test]
async fn streams_break_as_they_are_told() {
    let provider = Provider::start(at_once()).await;
    provider.behave("sk-1", json!({"error_after": 1})).await;
    let error = named_events_of(send(respond(&provider, json!({"stream": true}))).await).await;
    provider.behave("sk-1", json!({"end_after": 1})).await;
    let end = named_events_of(send(respond(&provider, json!({"stream": true}))).await).await;

    let (name, data) = error.last().unwrap();
    assert_eq!(
        (name.as_str(), &data["code"]),
        ("error", &json!("server_error"))
    );
    assert_eq!(end.last().unwrap().0, "response.output_text.delta");
}

#[tokio::test]
async fn a_response_is_kept_unless_it_should_not_be() {
    let provider = Provider::start(at_once()).await;
    let made = json_of(send(respond(&provider, json!({}))).await).await;
    let passing = json_of(send(respond(&provider, json!({"store": false}))).await).await;
    let path = |response: &Value| format!("/v1/responses/{}", response["id"].as_str().unwrap());

    let found = send(provider.get(&path(&made))).await;
    let not_kept = send(provider.get(&path(&passing))).await;
    let leaking = send(provider.get(&format!("{}?key=sk-1", path(&made)))).await;
    let next = respond(&provider, json!({"previous_response_id": made["id"]}));
    let lost = respond(&provider, json!({"previous_response_id": passing["id"]}));

    assert_eq!(json_of(found).await, made);
    assert_eq!(not_kept.status(), 404);
    assert_eq!(leaking.status(), 400);
    assert_eq!(send(next).await.status(), 200);
    let lost = json_of(send(lost).await).await;
    assert_eq!(lost["error"]["code"], "previous_response_not_found");
}
