use http::header::AUTHORIZATION;

use super::*;

const AZURE: &str = "https://name.openai.azure.com";

fn place(base_url: &str, endpoint: Endpoint) -> Place<'_> {
    Place {
        base_url,
        endpoint,
        manners: Manners::Plain,
        api_version: None,
        model: "m",
        is_stream: false,
        variant: StreamVariant::Usual,
    }
}

#[track_caller]
fn check(place: &Place<'_>, expected: &str) {
    assert_eq!(path(place), expected, "{place:?}");
}

#[test]
fn openai_and_its_like_are_asked_below_the_version_in_the_base_url() {
    let at = |endpoint| place("https://api.openai.com/v1", endpoint);

    check(&at(Endpoint::ChatCompletions), "/chat/completions");
    check(&at(Endpoint::Responses), "/responses");
    check(&at(Endpoint::Translations), "/audio/translations");
    let groq = Place {
        manners: Manners::Groq,
        ..at(Endpoint::Embeddings)
    };
    check(&groq, "/embeddings");
}

#[test]
fn every_endpoint_has_a_path() {
    for endpoint in Endpoint::ALL {
        for manners in Manners::ALL {
            let place = Place {
                manners,
                ..place("https://example.com", endpoint)
            };

            assert!(path(&place).len() > 4, "{place:?}");
        }
    }
}

#[track_caller]
fn check_azure(base_url: &str, endpoint: Endpoint, api_version: Option<&str>, expected: &str) {
    let place = Place {
        manners: Manners::Azure,
        api_version,
        model: "my deployment",
        ..place(base_url, endpoint)
    };
    check(&place, expected);
}

#[test]
fn azure_is_asked_the_older_way_with_a_dated_version() {
    let dated = Some("2024-10-21");

    check_azure(
        AZURE,
        Endpoint::ChatCompletions,
        dated,
        "/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21",
    );
    check_azure(
        &format!("{AZURE}/openai"),
        Endpoint::Embeddings,
        dated,
        "/deployments/my%20deployment/embeddings?api-version=2024-10-21",
    );
    check_azure(
        &format!("{AZURE}/openai/deployments/other"),
        Endpoint::Speech,
        dated,
        "/audio/speech?api-version=2024-10-21",
    );
    check_azure(
        AZURE,
        Endpoint::Responses,
        dated,
        "/openai/responses?api-version=2024-10-21",
    );
}

#[test]
fn azure_is_asked_the_newer_way_without_a_date() {
    let check = |base_url: &str, api_version, expected| {
        check_azure(base_url, Endpoint::ChatCompletions, api_version, expected);
    };

    check(AZURE, None, "/openai/v1/chat/completions");
    check(&format!("{AZURE}/openai"), None, "/v1/chat/completions");
    check(&format!("{AZURE}/openai/v1"), None, "/chat/completions");
    check(
        AZURE,
        Some("preview"),
        "/openai/v1/chat/completions?api-version=preview",
    );
}

#[test]
fn anthropic_and_ollama_are_asked_at_their_host() {
    check(
        &place("https://api.anthropic.com", Endpoint::Messages),
        "/v1/messages",
    );
    check(
        &place("https://api.anthropic.com/v1", Endpoint::Messages),
        "/messages",
    );
    check(
        &place("https://api.anthropic.com", Endpoint::CountMessageTokens),
        "/v1/messages/count_tokens",
    );
    check(
        &place("http://ollama:11434", Endpoint::OllamaChat),
        "/api/chat",
    );
    check(
        &place("http://ollama:11434/api", Endpoint::OllamaGenerate),
        "/generate",
    );
}

#[track_caller]
fn check_gemini(base_url: &str, model: &str, expected: &str) {
    let place = Place {
        model,
        ..place(base_url, Endpoint::GenerateContent)
    };
    check(&place, expected);
}

#[test]
fn gemini_has_version_and_model_in_its_path_once() {
    let host = "https://generativelanguage.googleapis.com";

    check_gemini(host, "gemini-3", "/v1beta/models/gemini-3:generateContent");
    check_gemini(
        host,
        "models/gemini-3",
        "/v1beta/models/gemini-3:generateContent",
    );
    check_gemini(
        host,
        "tunedModels/a b",
        "/v1beta/tunedModels/a%20b:generateContent",
    );
    for version in ["v1", "v1beta", "v1alpha"] {
        let base_url = format!("{host}/{version}");
        check_gemini(&base_url, "gemini-3", "/models/gemini-3:generateContent");
    }
    check_gemini(
        "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google",
        "gemini-3",
        "/models/gemini-3:generateContent",
    );
    // A host that begins like a version has none.
    check_gemini(
        "https://v1.example.com",
        "m",
        "/v1beta/models/m:generateContent",
    );
}

#[test]
fn gemini_streams_events_unless_the_client_wants_an_array() {
    let stream = |variant| Place {
        is_stream: true,
        variant,
        ..place("http://localhost/v1", Endpoint::GenerateContent)
    };

    check(
        &stream(StreamVariant::Usual),
        "/models/m:streamGenerateContent?alt=sse",
    );
    check(
        &stream(StreamVariant::Array),
        "/models/m:streamGenerateContent",
    );
    let counting = Place {
        endpoint: Endpoint::CountContentTokens,
        ..stream(StreamVariant::Usual)
    };
    check(&counting, "/models/m:countTokens");
}

#[test]
fn a_model_of_bedrocks_is_one_part_of_the_path() {
    let place = Place {
        model: "arn:aws:bedrock:us-east-1:1:inference-profile/anthropic.claude-v1:0",
        is_stream: true,
        ..place(
            "https://bedrock-runtime.us-east-1.amazonaws.com",
            Endpoint::Converse,
        )
    };

    check(
        &place,
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fanthropic.claude-v1%3A0/converse-stream",
    );
    let whole = Place {
        model: "m",
        is_stream: false,
        ..place
    };
    check(&whole, "/model/m/converse");
}

/// The headers that a key is shown with, by name.
fn authorized(
    dialect: Dialect,
    manners: Manners,
    is_faithful: bool,
    client_headers: &HeaderMap,
) -> Vec<(String, String)> {
    let mut headers = HeaderMap::new();
    let outgoing = Outgoing {
        dialect,
        manners,
        secret: &Secret::new("sk-1".to_owned()),
        url: "http://localhost/",
        body: b"{}",
        client_headers,
        is_faithful,
        now: SystemTime::UNIX_EPOCH,
    };
    authorize(&mut headers, &outgoing).unwrap();
    let mut shown: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    shown.sort();
    shown
}

#[track_caller]
fn check_key(dialect: Dialect, manners: Manners, expected: (&str, &str)) {
    let shown = authorized(dialect, manners, false, &HeaderMap::new());
    let (name, value) = expected;
    assert_eq!(shown, [(name.to_owned(), value.to_owned())]);
}

#[test]
fn every_provider_is_shown_its_key_where_it_looks_for_it() {
    let bearer = (AUTHORIZATION.as_str(), "Bearer sk-1");

    check_key(Dialect::OpenaiChat, Manners::Plain, bearer);
    check_key(Dialect::OpenaiResponses, Manners::Plain, bearer);
    check_key(Dialect::OpenaiChat, Manners::GeminiOpenai, bearer);
    check_key(Dialect::OpenaiChat, Manners::Azure, ("api-key", "sk-1"));
    check_key(
        Dialect::GeminiGenerate,
        Manners::Plain,
        ("x-goog-api-key", "sk-1"),
    );
    check_key(Dialect::OllamaChat, Manners::Plain, bearer);
    check_key(Dialect::BedrockConverse, Manners::Plain, bearer);
}

#[test]
fn anthropic_hears_of_the_clients_version_only_with_the_clients_bytes() {
    let mut client = HeaderMap::new();
    client.insert("anthropic-version", HeaderValue::from_static("2026-10-21"));
    client.append("anthropic-beta", HeaderValue::from_static("a"));
    client.append("anthropic-beta", HeaderValue::from_static("b,c"));
    client.insert("x-api-key", HeaderValue::from_static("sk-client"));
    let shown = |is_faithful, client: &HeaderMap| {
        let shown = authorized(
            Dialect::AnthropicMessages,
            Manners::Plain,
            is_faithful,
            client,
        );
        let lines: Vec<String> = shown
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        lines.join("\n")
    };

    assert_eq!(
        shown(true, &client),
        "anthropic-beta: a\nanthropic-beta: b,c\nanthropic-version: 2026-10-21\nx-api-key: sk-1"
    );
    let ours = "anthropic-version: 2023-06-01\nx-api-key: sk-1";
    assert_eq!(shown(false, &client), ours);
    assert_eq!(shown(true, &HeaderMap::new()), ours);
}

#[test]
fn a_key_that_is_no_header_is_refused_and_no_log_shows_one() {
    let none = HeaderMap::new();
    let mut headers = HeaderMap::new();
    let mut authorize = |secret: &str| {
        let outgoing = Outgoing {
            dialect: Dialect::OpenaiChat,
            manners: Manners::Plain,
            secret: &Secret::new(secret.to_owned()),
            url: "http://localhost/",
            body: b"{}",
            client_headers: &none,
            is_faithful: false,
            now: SystemTime::UNIX_EPOCH,
        };
        authorize(&mut headers, &outgoing)
    };

    let refused = authorize("sk\n1");
    let shown = authorize("sk-1");

    assert_eq!(refused, Err(CredentialError::NotForHeaders));
    assert_eq!(shown, Ok(()));
    assert!(!format!("{headers:?}").contains("sk-1"));
}

#[track_caller]
fn check_stored(base_url: &str, manners: Manners, action: StoredAction, expected: &str) {
    let stored = StoredResponse {
        base_url,
        manners,
        api_version: (manners == Manners::Azure).then_some("2025-03-01-preview"),
        id: "resp_1/x",
        action,
        query: Some("stream=true&starting_after=3"),
    };
    assert_eq!(stored_path(&stored), expected);
}

#[test]
fn a_stored_response_is_asked_for_where_it_was_made() {
    check_stored(
        "https://api.openai.com/v1",
        Manners::Plain,
        StoredAction::Retrieve,
        "/responses/resp_1%2Fx?stream=true&starting_after=3",
    );
    check_stored(
        "https://api.openai.com/v1",
        Manners::Plain,
        StoredAction::InputItems,
        "/responses/resp_1%2Fx/input_items?stream=true&starting_after=3",
    );
    check_stored(
        AZURE,
        Manners::Azure,
        StoredAction::Cancel,
        "/openai/responses/resp_1%2Fx/cancel?api-version=2025-03-01-preview&stream=true&starting_after=3",
    );
}

/// Where a chat is asked for, and where the list of models.
#[track_caller]
fn check_both(
    dialect: Dialect,
    manners: Manners,
    api_version: Option<&str>,
    base_url: &str,
    (chat, models): (&str, &str),
) {
    let endpoint = Endpoint::ChatCompletions.at(dialect).unwrap();
    let asked = path(&Place {
        manners,
        api_version,
        ..place(base_url, endpoint)
    });
    let listed = models_path(dialect, manners, api_version, base_url).unwrap();
    // As a client resolves them.
    let whole = |path: &str| url::Url::parse(&format!("{base_url}{path}")).unwrap();
    let rest = |url: url::Url| url.as_str().replace("https://host", "");
    assert_eq!(
        (rest(whole(&asked)).as_str(), rest(whole(&listed)).as_str()),
        (chat, models),
        "{base_url} {api_version:?}"
    );
}

#[test]
fn models_are_listed_below_the_same_root_as_requests_go_to() {
    let dated = Some("2024-10-21");
    let azure = |base_url, api_version, expected| {
        check_both(
            Dialect::OpenaiChat,
            Manners::Azure,
            api_version,
            base_url,
            expected,
        );
    };
    let older = (
        "/openai/deployments/m/chat/completions?api-version=2024-10-21",
        "/openai/models?api-version=2024-10-21",
    );
    azure("https://host", dated, older);
    azure("https://host/openai", dated, older);
    azure("https://host/openai/deployments/m", dated, older);
    let newer = ("/openai/v1/chat/completions", "/openai/v1/models");
    azure("https://host", None, newer);
    azure("https://host/openai", None, newer);
    azure("https://host/openai/v1", None, newer);
    let preview = (
        "/openai/v1/chat/completions?api-version=preview",
        "/openai/v1/models?api-version=preview",
    );
    azure("https://host", Some("preview"), preview);
    azure("https://host/openai", Some("preview"), preview);
    azure("https://host/openai/v1", Some("preview"), preview);

    let plain = |dialect, base_url, expected| {
        check_both(dialect, Manners::Plain, None, base_url, expected);
    };
    let ollama = ("/api/chat", "/api/tags");
    plain(Dialect::OllamaChat, "https://host", ollama);
    plain(Dialect::OllamaChat, "https://host/api", ollama);
    plain(
        Dialect::OpenaiChat,
        "https://host",
        ("/chat/completions", "/models"),
    );
    plain(
        Dialect::OpenaiChat,
        "https://host/v1",
        ("/v1/chat/completions", "/v1/models"),
    );
    let anthropic = ("/v1/messages", "/v1/models");
    plain(Dialect::AnthropicMessages, "https://host", anthropic);
    plain(Dialect::AnthropicMessages, "https://host/v1", anthropic);
    plain(
        Dialect::AnthropicMessages,
        "https://host/v2/anthropic",
        ("/v2/anthropic/v1/messages", "/v2/anthropic/v1/models"),
    );
    plain(
        Dialect::GeminiGenerate,
        "https://host/v1/projects/p",
        (
            "/v1/projects/p/models/m:generateContent",
            "/v1/projects/p/models",
        ),
    );
}
