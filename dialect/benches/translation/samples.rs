//! One chat in every dialect: what is asked and answered, as a whole of 4 KB and as a stream of 200 chunks.

use bytes::Bytes;
use dialect::Endpoint;
use serde_json::{Value, json};
use shared::config::Dialect;

const SYSTEM: &str = "You are a patient assistant. Answer in the language of the question, and say so if you are not sure. ";
const QUESTION: &str = "What does \"admission\" mean where the requests outnumber the slots – and who is asked to wait?\n";
const ANSWER: &str = "It means that each request is let in only while there is room; the others wait in line, by priority.\n";
const ARGUMENTS: &str = r#"{"query":"admission control","limit":5}"#;

const N_CHUNKS: usize = 200;
/// One token, as most providers send them.
const PIECE: &str = " admission";

/// What a client sends to `endpoint`.
pub(crate) fn request(endpoint: Endpoint) -> Vec<u8> {
    let (system, question, answer) = (SYSTEM.repeat(5), QUESTION.repeat(6), ANSWER.repeat(5));
    let schema = json!({
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What to look for."},
            "limit": {"type": "integer", "description": "How many results."},
        },
        "required": ["query"],
    });
    let arguments: Value = serde_json::from_str(ARGUMENTS).expect("JSON");
    let function =
        json!({"name": "search", "description": "Searches the manual.", "parameters": schema});
    let request = match endpoint {
        Endpoint::Responses => json!({
            "model": "public",
            "instructions": system,
            "input": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
                {"role": "user", "content": [{"type": "input_text", "text": question}]},
                {"type": "function_call", "call_id": "call_1", "name": "search", "arguments": ARGUMENTS},
                {"type": "function_call_output", "call_id": "call_1", "output": answer},
                {"role": "user", "content": question},
            ],
            "tools": [{"type": "function", "name": "search", "description": "Searches the manual.", "parameters": schema}],
            "temperature": 0.5,
            "max_output_tokens": 500,
        }),
        Endpoint::Messages => json!({
            "model": "public",
            "system": system,
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
                {"role": "user", "content": [{"type": "text", "text": question}]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "search", "input": arguments}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": answer}, {"type": "text", "text": question}]},
            ],
            "tools": [{"name": "search", "description": "Searches the manual.", "input_schema": schema}],
            "temperature": 0.5,
            "max_tokens": 500,
        }),
        Endpoint::GenerateContent => json!({
            "systemInstruction": {"parts": [{"text": system}]},
            "contents": [
                {"role": "user", "parts": [{"text": question}]},
                {"role": "model", "parts": [{"text": answer}]},
                {"role": "user", "parts": [{"text": question}]},
                {"role": "model", "parts": [{"functionCall": {"name": "search", "args": arguments}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "search", "response": {"output": answer}}}]},
                {"role": "user", "parts": [{"text": question}]},
            ],
            "tools": [{"functionDeclarations": [function]}],
            "generationConfig": {"temperature": 0.5, "maxOutputTokens": 500},
        }),
        Endpoint::OllamaGenerate => json!({
            "model": "public",
            "system": system,
            "prompt": QUESTION.repeat(34),
            "stream": false,
            "options": {"temperature": 0.5, "num_predict": 500},
        }),
        Endpoint::OllamaChat => json!({
            "model": "public",
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
                {"role": "user", "content": question},
                {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "search", "arguments": arguments}}]},
                {"role": "tool", "tool_name": "search", "content": answer},
                {"role": "user", "content": question},
            ],
            "tools": [{"type": "function", "function": function}],
            "stream": false,
            "options": {"temperature": 0.5, "num_predict": 500},
        }),
        _ => json!({
            "model": "public",
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
                {"role": "user", "content": [{"type": "text", "text": question}]},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "search", "arguments": ARGUMENTS}}]},
                {"role": "tool", "tool_call_id": "call_1", "content": answer},
                {"role": "user", "content": question},
            ],
            "tools": [{"type": "function", "function": function}],
            "temperature": 0.5,
            "max_completion_tokens": 500,
        }),
    };
    sized(&request)
}

/// What an upstream answers.
pub(crate) fn reply(dialect: Dialect) -> Vec<u8> {
    let text = ANSWER.repeat(36);
    let arguments: Value = serde_json::from_str(ARGUMENTS).expect("JSON");
    let reply = match dialect {
        Dialect::OpenaiChat => json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_790_000_000, "model": "upstream-model",
            "choices": [{
                "index": 0,
                "message": {
                    "role": "assistant", "content": text, "refusal": null,
                    "tool_calls": [{"id": "call_2", "type": "function", "function": {"name": "search", "arguments": ARGUMENTS}}],
                },
                "finish_reason": "tool_calls", "logprobs": null,
            }],
            "usage": {"prompt_tokens": 900, "completion_tokens": 800, "total_tokens": 1700, "prompt_tokens_details": {"cached_tokens": 512}},
        }),
        Dialect::OpenaiResponses => json!({
            "id": "resp_1", "object": "response", "created_at": 1_790_000_000, "status": "completed", "model": "upstream-model",
            "error": null, "incomplete_details": null,
            "output": [
                {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]},
                {"type": "function_call", "id": "fc_1", "call_id": "call_2", "name": "search", "arguments": ARGUMENTS, "status": "completed"},
            ],
            "usage": {
                "input_tokens": 900, "input_tokens_details": {"cached_tokens": 512},
                "output_tokens": 800, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1700,
            },
        }),
        Dialect::AnthropicMessages => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-model",
            "content": [{"type": "text", "text": text}, {"type": "tool_use", "id": "toolu_2", "name": "search", "input": arguments}],
            "stop_reason": "tool_use", "stop_sequence": null,
            "usage": {"input_tokens": 388, "cache_read_input_tokens": 512, "cache_creation_input_tokens": 0, "output_tokens": 800},
        }),
        Dialect::GeminiGenerate => json!({
            "candidates": [{
                "index": 0, "finishReason": "STOP",
                "content": {"role": "model", "parts": [{"text": text}, {"functionCall": {"name": "search", "args": arguments}}]},
            }],
            "usageMetadata": {"promptTokenCount": 900, "cachedContentTokenCount": 512, "candidatesTokenCount": 800, "totalTokenCount": 1700},
            "modelVersion": "upstream-model", "responseId": "r1",
        }),
        Dialect::OllamaChat => json!({
            "model": "upstream-model", "created_at": "2026-09-21T13:33:20.0Z",
            "message": {"role": "assistant", "content": text, "tool_calls": [{"function": {"name": "search", "arguments": arguments}}]},
            "done": true, "done_reason": "stop", "total_duration": 9, "prompt_eval_count": 900, "eval_count": 800,
        }),
        Dialect::BedrockConverse => json!({
            "output": {"message": {"role": "assistant", "content": [{"text": text}, {"toolUse": {"toolUseId": "t2", "name": "search", "input": arguments}}]}},
            "stopReason": "tool_use", "metrics": {"latencyMs": 9},
            "usage": {"inputTokens": 388, "outputTokens": 800, "totalTokens": 1700, "cacheReadInputTokens": 512},
        }),
    };
    sized(&reply)
}

/// What an upstream streams, chunk by chunk.
pub(crate) fn stream(dialect: Dialect) -> Vec<Bytes> {
    let pieces = 0..N_CHUNKS;
    let mut chunks = Vec::new();
    match dialect {
        Dialect::OpenaiChat => {
            let chunk = |delta: Value, finish: Value| {
                sse(&json!({
                    "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "upstream-model",
                    "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}], "usage": null,
                }))
            };
            chunks.push(chunk(
                json!({"role": "assistant", "content": ""}),
                Value::Null,
            ));
            chunks.extend(pieces.map(|_| chunk(json!({"content": PIECE}), Value::Null)));
            chunks.push(chunk(json!({}), json!("stop")));
            chunks.push(sse(&json!({
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "upstream-model", "choices": [],
                "usage": {"prompt_tokens": 900, "completion_tokens": 200, "total_tokens": 1100},
            })));
            chunks.push(Bytes::from_static(b"data: [DONE]\n\n"));
        }
        Dialect::OpenaiResponses => {
            let text = PIECE.repeat(N_CHUNKS);
            let response = |status: &str, output: Value, usage: Value| {
                json!({
                    "id": "resp_1", "object": "response", "created_at": 1_790_000_000, "status": status,
                    "model": "upstream-model", "output": output, "usage": usage,
                })
            };
            let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
            let item = |status: &str, content: Value| json!({"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": content});
            let begun = response("in_progress", json!([]), Value::Null);
            let mut events = vec![
                json!({"type": "response.created", "response": begun}),
                json!({"type": "response.output_item.added", "output_index": 0, "item": item("in_progress", json!([]))}),
                json!({"type": "response.content_part.added", "item_id": "msg_1", "output_index": 0, "content_index": 0, "part": part("")}),
            ];
            events.extend(pieces.map(|_| {
                json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": PIECE, "logprobs": []})
            }));
            let whole = item("completed", json!([part(&text)]));
            events.extend([
                json!({"type": "response.output_text.done", "item_id": "msg_1", "output_index": 0, "content_index": 0, "text": text}),
                json!({"type": "response.content_part.done", "item_id": "msg_1", "output_index": 0, "content_index": 0, "part": part(&text)}),
                json!({"type": "response.output_item.done", "output_index": 0, "item": whole}),
                json!({"type": "response.completed", "response": response("completed", json!([whole]), json!({
                    "input_tokens": 900, "input_tokens_details": {"cached_tokens": 0},
                    "output_tokens": 200, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1100,
                }))}),
            ]);
            for (number, mut event) in events.into_iter().enumerate() {
                event["sequence_number"] = json!(number);
                chunks.push(named_sse(&event));
            }
        }
        Dialect::AnthropicMessages => {
            let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": PIECE}});
            chunks.push(named_sse(&json!({"type": "message_start", "message": {
                "id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-model", "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 900, "output_tokens": 1},
            }})));
            chunks.push(named_sse(&json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})));
            chunks.extend(pieces.map(|_| named_sse(&delta)));
            chunks.push(named_sse(
                &json!({"type": "content_block_stop", "index": 0}),
            ));
            chunks.push(named_sse(&json!({
                "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 200},
            })));
            chunks.push(named_sse(&json!({"type": "message_stop"})));
        }
        Dialect::GeminiGenerate => {
            for n in pieces {
                let mut candidate =
                    json!({"index": 0, "content": {"role": "model", "parts": [{"text": PIECE}]}});
                if n + 1 == N_CHUNKS {
                    candidate["finishReason"] = json!("STOP");
                }
                chunks.push(sse(&json!({
                    "candidates": [candidate], "modelVersion": "upstream-model", "responseId": "r1",
                    "usageMetadata": {"promptTokenCount": 900, "candidatesTokenCount": n + 1, "totalTokenCount": 901 + n},
                })));
            }
        }
        Dialect::OllamaChat => {
            let line = |content: &str| {
                json!({
                    "model": "upstream-model", "created_at": "2026-09-21T13:33:20.0Z",
                    "message": {"role": "assistant", "content": content}, "done": false,
                })
            };
            chunks.extend(pieces.map(|_| Bytes::from(format!("{}\n", line(PIECE)))));
            let mut last = line("");
            last["done"] = json!(true);
            last["done_reason"] = json!("stop");
            last["prompt_eval_count"] = json!(900);
            last["eval_count"] = json!(200);
            chunks.push(Bytes::from(format!("{last}\n")));
        }
        Dialect::BedrockConverse => {
            chunks.push(aws_event("messageStart", &json!({"role": "assistant"})));
            chunks.extend(pieces.map(|_| {
                aws_event(
                    "contentBlockDelta",
                    &json!({"contentBlockIndex": 0, "delta": {"text": PIECE}}),
                )
            }));
            chunks.push(aws_event(
                "contentBlockStop",
                &json!({"contentBlockIndex": 0}),
            ));
            chunks.push(aws_event("messageStop", &json!({"stopReason": "end_turn"})));
            chunks.push(aws_event(
                "metadata",
                &json!({"usage": {"inputTokens": 900, "outputTokens": 200, "totalTokens": 1100}, "metrics": {"latencyMs": 9}}),
            ));
        }
    }
    chunks
}

fn sse(data: &Value) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

/// An event whose name is the type in it.
fn named_sse(data: &Value) -> Bytes {
    let name = data["type"].as_str().expect("a type");
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// `application/vnd.amazon.eventstream`: lengths, checksum, headers, payload, checksum.
fn aws_event(name: &str, payload: &Value) -> Bytes {
    let mut headers = Vec::new();
    for (header, value) in [
        (":event-type", name),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ] {
        headers.push(u8::try_from(header.len()).expect("a short name"));
        headers.extend_from_slice(header.as_bytes());
        // A string.
        headers.push(7);
        headers.extend(
            u16::try_from(value.len())
                .expect("a short value")
                .to_be_bytes(),
        );
        headers.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    let length = |n: usize| u32::try_from(n).expect("a short message").to_be_bytes();
    let mut message = Vec::new();
    message.extend(length(16 + headers.len() + payload.len()));
    message.extend(length(headers.len()));
    message.extend(crc32(&message).to_be_bytes());
    message.extend(headers);
    message.extend(payload.into_bytes());
    message.extend(crc32(&message).to_be_bytes());
    Bytes::from(message)
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| match crc & 1 {
        1 => crc >> 1 ^ 0xEDB8_8320,
        _ => crc >> 1,
    };
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), step)
    })
}

/// Sees to it that a change of the samples does not make light of the bounds.
fn sized(value: &Value) -> Vec<u8> {
    let bytes = value.to_string().into_bytes();
    assert!((3800..4700).contains(&bytes.len()), "{} bytes", bytes.len());
    bytes
}
