use super::*;

#[test]
fn neighbours_of_the_same_role_are_one_turn() {
    let body = write(&chat(vec![
        says(Role::User, "a"),
        says(Role::User, "b"),
        says(Role::Assistant, "c"),
        says(Role::Assistant, "d"),
        says(Role::User, "e"),
    ]));

    let expected = json!([
        {"role": "user", "content": texts(&["a", "b"])},
        {"role": "assistant", "content": texts(&["c", "d"])},
        {"role": "user", "content": texts(&["e"])},
    ]);
    assert_eq!(body["messages"], expected);
}

#[test]
fn tool_results_go_first_and_together_in_their_user_message() {
    let body = write(&chat(vec![
        says(Role::User, "a"),
        Message::new(Role::Assistant, vec![call("t1", ""), call("t2", "{}")]),
        result("t1", vec![text("1")]),
        says(Role::User, "b"),
        result("t2", vec![]),
    ]));

    let expected = json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "t1", "content": texts(&["1"])},
        {"type": "tool_result", "tool_use_id": "t2"},
        {"type": "text", "text": "b"},
    ]});
    assert_eq!(body["messages"][2], expected);
    assert_eq!(body["messages"][1]["content"][0]["input"], json!({}));
}

#[test]
fn system_messages_at_the_beginning_are_joined() {
    let body = write(&chat(vec![
        says(Role::System, "a"),
        Message::new(Role::System, vec![text("b"), text("c")]),
        says(Role::User, "d"),
    ]));

    assert_eq!(body["system"], "a\n\nb\n\nc");
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": texts(&["d"])}])
    );
}

#[test]
fn later_system_messages_go_into_the_next_user_turn_as_text() {
    let body = write(&chat(vec![
        says(Role::User, "a"),
        Message::new(Role::Assistant, vec![call("t1", "{}")]),
        says(Role::System, "b"),
        result("t1", vec![text("1")]),
        says(Role::User, "c"),
    ]));

    let content = &body["messages"][2]["content"];
    assert_eq!(content[0]["type"], "tool_result");
    assert_eq!(content[1]["text"], "<system>\nb\n</system>");
    assert_eq!(content[2]["text"], "c");
}

#[test]
fn a_chat_of_nothing_but_system_messages_is_the_users_turn() {
    let body = write(&chat(vec![
        says(Role::System, "a"),
        says(Role::System, "b"),
    ]));

    assert_eq!(body["system"], Value::Null);
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": texts(&["a\n\nb"])}])
    );
}

#[test]
fn an_assistant_cannot_begin() {
    let body = check_lost(
        &chat(vec![says(Role::Assistant, "a"), says(Role::User, "b")]),
        "messages",
    );

    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": texts(&["b"])}])
    );
}

#[test]
fn empty_text_is_left_out_and_so_is_a_message_of_nothing_else() {
    let body = write(&chat(vec![
        Message::new(Role::User, vec![text(""), text("a"), text(" \n")]),
        says(Role::Assistant, ""),
        says(Role::User, "b"),
    ]));

    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": texts(&["a", "b"])}])
    );
}

#[test]
fn an_assistants_last_words_do_not_end_in_white_space() {
    let body = write(&chat(vec![
        says(Role::User, "a \n"),
        says(Role::Assistant, "b \n"),
    ]));

    assert_eq!(body["messages"][0]["content"], texts(&["a \n"]));
    assert_eq!(body["messages"][1]["content"], texts(&["b"]));
}

#[test]
fn thoughts_go_back_with_their_signature_or_not_at_all() {
    let thought = |signature: Option<&str>| Part::Thinking {
        text: "Hm".to_owned(),
        signature: signature
            .and_then(|data| Proof::new(Dialect::AnthropicMessages, data.to_owned())),
    };

    let body = write(&chat(vec![
        says(Role::User, "a"),
        Message::new(
            Role::Assistant,
            vec![
                thought(None),
                thought(Some("")),
                thought(Some("s")),
                Part::RedactedThinking(Proof {
                    by: Dialect::AnthropicMessages,
                    data: "r".to_owned(),
                }),
                text("b"),
            ],
        ),
    ]));

    let expected = json!([
        {"type": "thinking", "thinking": "Hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "r"},
        {"type": "text", "text": "b"},
    ]);
    assert_eq!(body["messages"][1]["content"], expected);
}

#[test]
fn arguments_that_are_no_object_are_refused() {
    for arguments in ["[1]", "7", "{\"a\":", "null"] {
        let calls = Message::new(Role::Assistant, vec![call("t1", arguments)]);
        let chat = chat(vec![says(Role::User, "a"), calls]);

        let refused = write_with(&chat, true).unwrap_err();

        assert_eq!(refused.param.as_deref(), Some("messages"));
    }
}

#[test]
fn ids_have_letters_that_the_api_takes_and_still_match() {
    let body = write(&chat(vec![
        says(Role::User, "a"),
        Message::new(Role::Assistant, vec![call("functions.find:0", "{}")]),
        result("functions.find:0", vec![]),
    ]));

    let id = &body["messages"][1]["content"][0]["id"];
    assert_eq!(id, "functions_2efind_3a0");
    assert_eq!(id, &body["messages"][2]["content"][0]["tool_use_id"]);
}

#[test]
fn images_and_documents_are_told_by_their_source() {
    let data = |media_type: &str, base64: &str| Source::Data {
        media_type: media_type.to_owned(),
        base64: base64.to_owned(),
    };
    let image = |source: Source| Part::Image {
        source,
        detail: Some("high".to_owned()),
        origin: Origin::default(),
    };
    let file = |source: Source| Part::File {
        source,
        name: Some("n".to_owned()),
        origin: Origin::default(),
    };

    let body = write(&chat(vec![Message::new(
        Role::User,
        vec![
            image(data("image/png", "AA==")),
            image(Source::Url("https://x".to_owned())),
            file(data("application/pdf", "AA==")),
            file(data("text/plain", "Zm9v")),
        ],
    )]));

    let expected = json!([
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        {"type": "image", "source": {"type": "url", "url": "https://x"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}, "title": "n"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "foo"}, "title": "n"},
    ]);
    assert_eq!(body["messages"][0]["content"], expected);
}

#[test]
fn parts_without_a_block_are_lost_by_name() {
    let at = "messages[0].content[1]";
    let file = |source: Source| Part::File {
        source,
        name: None,
        origin: Origin::at(at),
    };
    let csv = Source::Data {
        media_type: "text/csv".to_owned(),
        base64: String::new(),
    };
    for part in [
        file(Source::FileId("file-1".to_owned())),
        file(csv),
        Part::Audio {
            data: String::new(),
            media_type: "audio/wav".to_owned(),
            origin: Origin::at(at),
        },
    ] {
        let message = Message::new(Role::User, vec![text("a"), part]);

        let body = check_lost(&chat(vec![message]), at);

        assert_eq!(body["messages"][0]["content"], texts(&["a"]));
    }
}
