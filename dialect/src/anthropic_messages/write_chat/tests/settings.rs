use super::*;

#[test]
fn a_chat_without_a_limit_gets_one() {
    assert_eq!(write(&hello())["max_tokens"], 4096);
    let mut limited = hello();
    limited.max_tokens = Some(7);
    assert_eq!(write(&limited)["max_tokens"], 7);
}

#[test]
fn settings_without_a_field_are_lost_by_name() {
    type Set = fn(&mut Chat);
    let settings: [(&str, Set); 10] = [
        ("min_p", |chat| chat.min_p = Some(0.1)),
        ("frequency_penalty", |chat| {
            chat.frequency_penalty = Some(0.1);
        }),
        ("presence_penalty", |chat| {
            chat.presence_penalty = Some(-0.1);
        }),
        ("seed", |chat| chat.seed = Some(1)),
        ("n", |chat| chat.n = Some(2)),
        ("logprobs", |chat| {
            chat.logprobs = Some(LogprobsAsked { top: None });
        }),
        ("logit_bias", |chat| chat.logit_bias = Some(Map::new())),
        ("verbosity", |chat| chat.verbosity = Some("low".to_owned())),
        ("temperature", |chat| chat.temperature = Some(1.5)),
        ("stop", |chat| chat.stop = vec!["\n".to_owned()]),
    ];
    for (name, set) in settings {
        let mut chat = hello();
        set(&mut chat);

        let body = check_lost(&chat, name);

        assert_eq!(body, write(&hello()), "{name}");
    }
}

#[test]
fn settings_at_their_default_are_no_loss() {
    let mut chat = hello();
    chat.n = Some(1);
    chat.frequency_penalty = Some(0.0);
    chat.presence_penalty = Some(0.0);
    chat.tool_choice = Some(ToolChoice::Auto);

    assert_eq!(write(&chat), write(&hello()));
}

#[test]
fn blank_stop_sequences_are_dropped_beside_the_others() {
    let mut chat = hello();
    chat.stop = vec!["\n".to_owned(), "END".to_owned()];

    let body = check_lost(&chat, "stop");

    assert_eq!(body["stop_sequences"], json!(["END"]));
}

#[track_caller]
fn check_thinking(reasoning: Reasoning, max_tokens: Option<u32>, expected: &Value) -> Value {
    let mut chat = hello();
    chat.reasoning = Some(reasoning);
    chat.max_tokens = max_tokens;
    let body = write(&chat);
    assert_eq!(body["thinking"], *expected);
    body
}

#[test]
fn thoughts_have_a_budget_or_none() {
    let none = Reasoning {
        effort: Some(Effort::None),
        ..Reasoning::default()
    };
    check_thinking(none, None, &json!({"type": "disabled"}));
    let budget = |budget: u32, is_shown: Option<bool>| Reasoning {
        budget: Some(budget),
        is_shown,
        effort: None,
    };
    check_thinking(budget(0, None), None, &json!({"type": "disabled"}));
    let enabled = json!({"type": "enabled", "budget_tokens": 8000});
    check_thinking(budget(8000, Some(true)), Some(9000), &enabled.clone());
    let body = check_thinking(budget(8000, None), None, &enabled);
    assert_eq!(body["max_tokens"], 12096);
    check_thinking(
        budget(1024, Some(false)),
        None,
        &json!({"type": "enabled", "budget_tokens": 1024, "display": "omitted"}),
    );
}

#[test]
fn effort_is_told_by_its_name_and_thoughts_only_if_they_are_to_be_seen() {
    let effort = |is_shown: Option<bool>| Reasoning {
        effort: Some(Effort::ExtraHigh),
        is_shown,
        budget: None,
    };
    for is_shown in [None, Some(false)] {
        let body = check_thinking(effort(is_shown), None, &Value::Null);
        assert_eq!(body["output_config"], json!({"effort": "xhigh"}));
    }
    let adaptive = json!({"type": "adaptive", "display": "summarized"});
    check_thinking(effort(Some(true)), None, &adaptive);
}

#[test]
fn a_budget_that_the_api_would_not_take_is_the_nearest_one_or_none() {
    let budget = |budget: u32| Reasoning {
        budget: Some(budget),
        ..Reasoning::default()
    };
    let enabled = |budget: u32| json!({"type": "enabled", "budget_tokens": budget});

    check_thinking(budget(1), None, &enabled(1024));
    check_thinking(budget(2000), Some(2000), &enabled(1999));
    check_thinking(budget(2000), Some(1025), &enabled(1024));
    check_thinking(budget(2000), Some(1024), &Value::Null);
}

#[test]
fn thoughts_are_left_out_where_the_api_refuses_them() {
    let budget = Some(Reasoning {
        budget: Some(2000),
        ..Reasoning::default()
    });
    let forced = Chat {
        tool_choice: Some(ToolChoice::Required),
        reasoning: budget.clone(),
        ..with_tools()
    };
    let unthought = Chat {
        messages: vec![
            says(Role::User, "Find it"),
            Message::new(Role::Assistant, vec![call("a", "{}")]),
            result("a", vec![text("here")]),
        ],
        reasoning: budget,
        ..with_tools()
    };

    assert_eq!(write(&forced)["thinking"], Value::Null);
    assert_eq!(write(&unthought)["thinking"], Value::Null);
}

#[test]
fn thoughts_that_the_model_measures_stay_beside_a_forced_call() {
    let forced = Chat {
        tool_choice: Some(ToolChoice::Required),
        reasoning: Some(Reasoning {
            effort: Some(Effort::High),
            is_shown: Some(true),
            ..Reasoning::default()
        }),
        ..with_tools()
    };

    let adaptive = json!({"type": "adaptive", "display": "summarized"});
    assert_eq!(write(&forced)["thinking"], adaptive);
}

#[test]
fn less_than_a_low_effort_is_told_as_that() {
    let minimal = Reasoning {
        effort: Some(Effort::Minimal),
        ..Reasoning::default()
    };

    let body = check_thinking(minimal, None, &Value::Null);

    assert_eq!(body["output_config"], json!({"effort": "low"}));
}

#[test]
fn sampling_beside_thoughts_is_lost_unless_it_is_the_default() {
    type Set = fn(&mut Chat);
    let settings: [(&str, Set); 3] = [
        ("temperature", |chat| chat.temperature = Some(0.5)),
        ("top_p", |chat| chat.top_p = Some(0.9)),
        ("top_k", |chat| chat.top_k = Some(40)),
    ];
    let mut thinking = hello();
    thinking.reasoning = Some(Reasoning {
        budget: Some(2000),
        ..Reasoning::default()
    });
    for (name, set) in settings {
        let mut chat = thinking.clone();
        set(&mut chat);

        let body = check_lost(&chat, name);

        assert_eq!(body, write(&thinking), "{name}");
    }
    thinking.temperature = Some(1.0);
    thinking.top_p = Some(0.95);
    let body = write(&thinking);
    assert_eq!(
        (&body["temperature"], &body["top_p"]),
        (&json!(1.0), &json!(0.95))
    );
}
