//! Responses that a provider has stored: whichever account has one, it is found by its id, and by nobody else.

use serde_json::{Value, json};
use tests::client::{Answer, CLIENT_KEY, Ending, Request};
use tests::figures::alone;
use tests::fleet::{Fleet, MODEL, Setup};

/// Two replicas over two accounts, asked in turn; `other` is a client key that may use neither.
async fn two_accounts() -> Fleet {
    let setup = Setup {
        replicas: 2,
        ..Setup::default()
    };
    let client_keys = json!([
        { "name": "client", "secret": CLIENT_KEY },
        { "name": "other", "secret": "sk-other", "models": ["chat"] },
    ]);
    Fleet::start_with(setup, |simulator| {
        json!({
            "providers": [
                { "name": "east", "dialect": "openai_responses", "base_url": simulator, "keys": [{ "name": "main", "secret": "first" }] },
                { "name": "west", "dialect": "openai_responses", "base_url": simulator, "keys": [{ "name": "main", "secret": "second" }] },
                { "name": "plain", "dialect": "openai_chat", "base_url": simulator, "keys": [{ "name": "main", "secret": "third" }] },
            ],
            "models": [
                { "name": MODEL, "strategy": "first_available", "upstreams": [{ "provider": "east" }, { "provider": "west" }] },
                { "name": "west", "upstreams": [{ "provider": "west" }] },
                { "name": "chat", "upstreams": [{ "provider": "plain" }] },
            ],
            "client_keys": client_keys,
        })
    })
    .await
}

async fn make(fleet: &Fleet, model: &str, fields: Value) -> Answer {
    make_at(fleet, 0, model, fields).await
}

async fn make_at(fleet: &Fleet, replica: usize, model: &str, fields: Value) -> Answer {
    let mut body = json!({ "model": model, "input": "Say something." });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    let request = Request::post("/v1/responses", &body).key(CLIENT_KEY);
    request.send(fleet.addresses()[replica]).await.unwrap()
}

/// A stored response's id.
async fn made_by(fleet: &Fleet, model: &str, fields: Value) -> String {
    let answer = make(fleet, model, fields).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// Asks the replica that did not see the response being made.
async fn ask(fleet: &Fleet, method: &'static str, path: &str) -> Answer {
    let request = Request::without_body(method, path).key(CLIENT_KEY);
    request.send(fleet.addresses()[1]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_response_is_found_in_whichever_account_has_it() {
    let _machine = alone().await;
    let fleet = two_accounts().await;

    for (model, key) in [(MODEL, "east/main"), ("west", "west/main")] {
        let made = make(&fleet, model, json!({})).await;
        let id = made.json()["id"].as_str().unwrap().to_owned();

        for root in ["/v1", "/openai/v1", "/openai"] {
            let path = format!("{root}/responses/{id}?include[]=message.output_text.logprobs");
            let found = ask(&fleet, "GET", &path).await;

            assert_eq!(found.status, 200, "{path}: {}", found.text());
            assert_eq!(found.json(), made.json());
            assert_eq!(found.header("x-sluice-key"), Some(key));
        }
        let items = ask(
            &fleet,
            "GET",
            &format!("/v1/responses/{id}/input_items?limit=5"),
        )
        .await;
        let text = &items.json()["data"][0]["content"][0]["text"];
        assert_eq!(text, "Say something.", "{}", items.text());

        let gone = ask(&fleet, "DELETE", &format!("/v1/responses/{id}")).await;
        assert_eq!(gone.json()["deleted"], true, "{}", gone.text());
        let lost = ask(&fleet, "GET", &format!("/v1/responses/{id}")).await;
        assert_eq!(lost.status, 404);
        assert_eq!(lost.json()["error"]["code"], "response_not_found");
    }
    // Providers count none of it as a request to a model.
    assert_eq!(fleet.simulator.key("first").await.requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_in_the_background_is_polled_streamed_and_cancelled() {
    let _machine = alone().await;
    let fleet = two_accounts().await;
    let slow = json!({ "tokens": 50, "tokens_per_second": 0.5 });
    fleet.simulator.behave("second", &slow).await;

    let id = made_by(&fleet, "west", json!({ "background": true })).await;
    let path = format!("/v1/responses/{id}");
    let begun = ask(&fleet, "GET", &path).await;
    let cancelled = ask(&fleet, "POST", &format!("{path}/cancel")).await;
    let then = ask(&fleet, "GET", &path).await;
    fleet.simulator.behave("second", &json!({})).await;
    let fields = json!({ "background": true, "stream": true });
    let told = make(&fleet, "west", fields).await;
    let first: Value = serde_json::from_str(&told.events()[0]).unwrap();
    let id = first["response"]["id"].as_str().unwrap();
    let path = format!("/v1/responses/{id}?stream=true&starting_after=0");
    let again = ask(&fleet, "GET", &path).await;

    assert_eq!(begun.json()["status"], "in_progress", "{}", begun.text());
    assert_eq!(
        cancelled.json()["status"],
        "cancelled",
        "{}",
        cancelled.text()
    );
    assert_eq!(then.json()["status"], "cancelled");
    assert_eq!(again.ending, Some(Ending::Complete));
    assert_eq!(again.events(), told.events()[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_be_asked_may_have_the_response() {
    let _machine = alone().await;
    let fleet = two_accounts().await;
    let id = made_by(&fleet, "west", json!({})).await;
    let broken = json!({ "error_rate": 1.0, "error_kind": "reset" });
    let path = format!("/v1/responses/{id}");

    fleet.simulator.behave("first", &broken).await;
    let found = ask(&fleet, "GET", &path).await;
    fleet.simulator.behave("second", &broken).await;
    fleet.simulator.behave("first", &json!({})).await;
    let unsure = ask(&fleet, "GET", &path).await;

    assert_eq!(found.status, 200, "{}", found.text());
    assert_eq!(unsure.status, 503, "{}", unsure.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_nobodys_who_may_not_use_its_account() {
    let _machine = alone().await;
    let fleet = two_accounts().await;
    let id = made_by(&fleet, MODEL, json!({})).await;
    let get = Request::get(&format!("/v1/responses/{id}"));

    let foreign = get.clone().key("sk-other").send(fleet.address()).await;
    let nameless = get.send(fleet.address()).await.unwrap();
    let elsewhere = ask(&fleet, "GET", "/v1/responses/..%2Fmodels").await;

    let foreign = foreign.unwrap();
    assert_eq!(foreign.status, 404, "{}", foreign.text());
    assert!(foreign.text().contains("stores responses"));
    assert_eq!(nameless.status, 401);
    assert_eq!(elsewhere.status, 404, "{}", elsewhere.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_in_the_account_that_has_its_beginning() {
    let _machine = alone().await;
    let fleet = two_accounts().await;
    let id = made_by(&fleet, "west", json!({})).await;

    let next = make(&fleet, MODEL, json!({ "previous_response_id": id })).await;
    let n_asked_in_vain = fleet.simulator.key("first").await.requests;
    let elsewhere = make_at(&fleet, 1, MODEL, json!({ "previous_response_id": id })).await;
    let lost = make(&fleet, MODEL, json!({ "previous_response_id": "resp_0" })).await;
    let well = make(&fleet, MODEL, json!({})).await;

    for answer in [&next, &elsewhere] {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-sluice-key"), Some("west/main"));
    }
    assert_eq!(n_asked_in_vain, 0, "this replica saw who made it");
    assert_eq!(lost.status, 400);
    let code = &lost.json()["error"]["code"];
    assert_eq!(code, "previous_response_not_found", "{}", lost.text());
    assert_eq!(well.header("x-sluice-key"), Some("east/main"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responses_input_is_counted_by_its_upstream_or_here() {
    let _machine = alone().await;
    let fleet = two_accounts().await;
    let count = async |model: &str| {
        let body = json!({ "model": model, "input": "one two three four" });
        let request = Request::post("/v1/responses/input_tokens", &body).key(CLIENT_KEY);
        request.send(fleet.address()).await.unwrap()
    };

    let there = count(MODEL).await;
    let here = count("chat").await;

    for answer in [&there, &here] {
        assert_eq!(
            answer.json()["object"],
            "response.input_tokens",
            "{}",
            answer.text()
        );
        assert!(answer.json()["input_tokens"].as_u64().unwrap() > 0);
    }
    assert_eq!(there.header("x-sluice-key"), Some("east/main"));
    assert_eq!(here.header("x-sluice-key"), None);
    let background = make(&fleet, "chat", json!({ "background": true })).await;
    assert_eq!(background.status, 400);
    assert_eq!(background.json()["error"]["param"], "background");
}
