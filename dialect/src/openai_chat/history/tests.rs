use super::*;

const BODY: &str = r#"{ "model":"m", "messages":[{"role":"user","content":"reasoning_content"}, <said>], "x":1.0 }"#;

/// `said` are the assistant's messages.
#[track_caller]
fn check(manners: Manners, said: &str, expected: &str) {
    let body = BODY.replace("<said>", said);

    let fitted = fit(Bytes::from(body), manners);

    let expected = BODY.replace("<said>", expected);
    assert_eq!(fitted, expected, "{manners:?} {said}");
    serde_json::from_slice::<Value>(&fitted).unwrap();
}

#[test]
fn strict_providers_see_no_thoughts_under_names_that_they_refuse() {
    let thought = r#"{"reasoning_content":"Hm","role":"assistant","content":"reasoning_content","thinking_blocks":[{"type":"thinking","thinking":"Hm","signature":"EqQB"}]}"#;
    let called = r#"{"role":"assistant","content":null, "reasoning_content":"", "tool_calls":[{"id":"abcDEF123","type":"function","function":{"name":"f","arguments":"{\"reasoning_content\":1}"},"extra_content":{"google":{}}}]}"#;

    for manners in [Manners::Groq, Manners::Mistral] {
        check(
            manners,
            thought,
            r#"{"role":"assistant","content":"reasoning_content"}"#,
        );
        check(
            manners,
            called,
            r#"{"role":"assistant","content":null, "tool_calls":[{"id":"abcDEF123","type":"function","function":{"name":"f","arguments":"{\"reasoning_content\":1}"}}]}"#,
        );
    }
}

#[test]
fn groqs_own_thoughts_go_back_to_it_alone() {
    let thought = r#"{"role":"assistant","content":"Hi","reasoning":"Hm"}"#;

    check(Manners::Groq, thought, thought);
    check(
        Manners::Mistral,
        thought,
        r#"{"role":"assistant","content":"Hi"}"#,
    );
}

#[test]
fn mistral_takes_the_ids_of_calls_that_others_made() {
    let said = |id: &str| {
        format!(
            r#"{{"role":"assistant","content":null,"tool_calls":[{{ "id" : "{id}","type":"function","function":{{"name":"f","arguments":"{{\"id\":\"call_0\"}}"}}}}]}},{{"role":"tool","tool_call_id":"{id}","content":"call_0"}}"#
        )
    };
    let [own, others] = ["abcDEF123", "call_0"].map(said);
    let packed = said("call_0_sluiced_gemini_generate_AQ");
    let fitted = said(&Habits::of(Manners::Mistral).call_id("call_0"));

    check(Manners::Mistral, &own, &own);
    check(Manners::Mistral, &others, &fitted);
    check(Manners::Mistral, &packed, &fitted);
    check(Manners::Plain, &others, &others);
}

#[test]
fn mistral_hears_turns_in_its_order() {
    let called = r#"{"role":"assistant","tool_calls":[{"id":"abcDEF123","type":"function","function":{"name":"f","arguments":"{}"}}]}"#;
    let result = r#"{"role":"tool","tool_call_id":"abcDEF123","content":"user"}"#;
    let user = r#"{"content":"tool", "role" : "user"}"#;
    let answered =
        format!(r#"{called},{result}, {{"role":"assistant","content":"Sunny."}},{user}"#);
    let unanswered = format!("{called},{result}, {result} ,\n {user},{user}");
    let bridged = format!(
        r#"{called},{result}, {result} ,{}{{"role":"assistant","content":"OK."}},{user},{user}"#,
        "\n "
    );

    let late = format!(
        r#"{called},{result},{{"role":"system","content":"It is \"noon\"."}},{called},{{"content":["a"],"role":"system"}}"#
    );
    let spoken = format!(
        r#"{called},{result},{{"role":"assistant","content":"OK."}},{{"role":"user","content":"<system>\nIt is \"noon\".\n</system>"}},{called},{{"content":["a"],"role":"user"}}"#
    );

    check(Manners::Mistral, &answered, &answered);
    check(Manners::Mistral, &late, &spoken);
    check(Manners::Plain, &late, &late);
    check(Manners::Mistral, &unanswered, &bridged);
    check(Manners::Plain, &unanswered, &unanswered);
}

#[test]
fn thoughts_that_another_proved_go_where_none_are_taken() {
    let foreign = r#"{"role":"assistant","content":"Hi","reasoning_content":"Hm","thinking_blocks":[{"type":"thinking","thinking":"Hm","signature":"sluiced_anthropic_messages_AQ=="}]}"#;
    let own = r#"{"role":"assistant","content":"Hi","reasoning_content":"Hm"}"#;
    let both = format!("{foreign},{own}");
    let cut = foreign.replace(r#","reasoning_content":"Hm""#, "");

    for manners in [Manners::Plain, Manners::Azure, Manners::LlamaCpp] {
        check(manners, &both, &format!("{cut},{own}"));
    }
    for manners in [Manners::Vllm, Manners::DeepSeek] {
        check(manners, &both, &both);
    }
}

#[test]
fn a_history_that_fits_keeps_every_byte() {
    let said = r#"{ "role":"assistant", "content":"sluiced_ 1.0", "reasoning_content":"Hm" ,"tool_calls":[]}"#;

    for manners in Manners::ALL {
        if Habits::of(manners).unknown_in_history.is_empty() {
            check(manners, said, said);
        }
    }
}
