use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(body: &Value) -> Result<Reply, ReplyFault> {
    read_reply(body.to_string().as_bytes())
}

fn finish(status: &str, reason: Option<&str>, item: &Value) -> Finish {
    let reply = read(&json!({
        "status": status, "output": [item], "incomplete_details": {"reason": reason},
    }));
    reply.unwrap().choices[0].finish
}

#[test]
fn calls_and_limits_end_an_answer_each_in_its_way() {
    let message = json!({"type": "message", "content": [{"type": "output_text", "text": "hi"}]});
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});

    assert_eq!(finish("completed", None, &message), Finish::Stop);
    assert_eq!(finish("completed", None, &call), Finish::ToolCalls);
    assert_eq!(
        finish("incomplete", Some("max_output_tokens"), &call),
        Finish::Length
    );
    assert_eq!(
        finish("incomplete", Some("content_filter"), &message),
        Finish::ContentFilter
    );
}

#[test]
fn a_background_answer_that_has_not_begun_is_no_fault() {
    let reply = read(&json!({"id": "resp_1", "status": "queued", "output": [], "error": null}));

    assert!(reply.is_ok(), "{reply:?}");
}

#[test]
fn what_is_no_answer_is_a_fault() {
    let fault = |body: &str| read_reply(body.as_bytes()).unwrap_err();

    assert_eq!(fault("<html>"), ReplyFault::NotJson);
    assert_eq!(fault(r#"{"output": [{"#), ReplyFault::NotJson);
    assert_eq!(fault(r#"{"output": 7}"#), ReplyFault::NoAnswer);
    assert_eq!(fault(r#"{"choices": []}"#), ReplyFault::NoAnswer);
    assert_eq!(
        fault(r#"{"status": "completed", "output": []}"#),
        ReplyFault::NoAnswer
    );
    assert_eq!(
        fault(r#"{"output": [{"type": "function_call"}]}"#),
        ReplyFault::NoAnswer
    );
    assert!(matches!(
        fault(r#"[{"error": {"code": 429, "message": "slow down"}}]"#),
        ReplyFault::Upstream(error) if error.status == Some(429)
    ));
    assert!(matches!(
        fault(r#"{"status": "failed", "error": null, "output": []}"#),
        ReplyFault::Upstream(_)
    ));
}

#[test]
fn an_absurd_usage_is_not_believed() {
    let reply = read(&json!({
        "output": [{"type": "message", "content": []}], "usage": {"input_tokens": -1, "output_tokens": 2},
    }));

    assert_eq!(reply.unwrap().usage, None);
}

proptest! {
    #[test]
    fn no_body_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), kind in "[a-z_]{0,20}") {
        let _fault_or_reply = read_reply(&bytes);
        let _fault_or_reply = read(&json!({"output": [{"type": kind, "content": [bytes]}]}));
    }
}
