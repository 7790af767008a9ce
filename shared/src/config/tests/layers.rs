use std::io::Write as _;
use std::time::Duration;

use super::*;
use crate::catalog::{Limits, Strategy};
use crate::config::{LogFormat, StateStore};

#[test]
fn the_smallest_file_gets_the_defaults() {
    let config = load(SMALLEST, &[]).unwrap();

    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin_listen.to_string(), "127.0.0.1:9090");
    assert_eq!(config.state, StateStore::Memory);
    assert_eq!(config.replica_name, None);
    assert_eq!(config.models[0].strategy, Strategy::Balanced);
    assert_eq!(config.models[0].upstreams[0].model, "gpt-4o");
    assert_eq!(config.providers[0].keys[0].limits, Limits::default());
    assert_eq!(config.queue.max_length, 1000);
    assert_eq!(config.queue.timeout, Duration::from_secs(30));
    assert_eq!(config.timeouts.total, Duration::from_secs(900));
    assert_eq!(config.retries.max_attempts.get(), 3);
    assert_eq!(config.limits.body, 32 << 20);
    assert_eq!(config.telemetry.log, LogFormat::Json);
}

#[test]
fn the_environment_wins_over_the_file() {
    let yaml = format!("{SMALLEST}\nqueue: {{ max_length: 7, timeout: 1s }}\nopen_access: false");
    let environment = [
        ("SLUICE__QUEUE__MAX_LENGTH", "9"),
        ("SLUICE__OPEN_ACCESS", "true"),
        ("SLUICE__REPLICA__NAME", "17"),
        ("SLUICE_PORT", "tcp://10.0.0.1:80"),
        ("HOME", "/nowhere"),
    ];

    let config = load(&yaml, &environment).unwrap();

    assert_eq!(config.queue.max_length, 9);
    assert_eq!(config.queue.timeout, Duration::from_secs(1));
    assert!(config.open_access);
    assert_eq!(config.replica_name.as_deref(), Some("17"));
}

#[test]
fn the_command_line_wins_over_the_environment() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(SMALLEST.as_bytes()).unwrap();
    let overrides = Overrides {
        listen: Some("127.0.0.1:1".to_owned()),
        admin_listen: Some("127.0.0.1:2".to_owned()),
        state: Some("redis://127.0.0.1:3/4".to_owned()),
    };
    let environment = [("SLUICE__LISTEN".to_owned(), "127.0.0.1:9".to_owned())];

    let config = Config::load(Some(file.path()), &overrides, environment.into_iter()).unwrap();

    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.admin_listen.port(), 2);
    let StateStore::Redis(url) = config.state else {
        panic!("Redis was asked for")
    };
    assert_eq!(url.expose(), "redis://127.0.0.1:3/4");
}

#[test]
fn overrides_and_headers_keep_their_case_and_order() {
    let yaml = SMALLEST
        .replace("    keys:", "    headers: { X-Team: Search }\n    keys:")
        .replace(
            "    upstreams:",
            "    overrides: { zeta: { Beta: 1, alpha: [true, 0.5] }, alpha: null }\n    upstreams:",
        );

    let config = load(&yaml, &[]).unwrap();

    let overrides = serde_json::to_string(&config.models[0].overrides).unwrap();
    assert_eq!(
        overrides,
        r#"{"zeta":{"Beta":1,"alpha":[true,0.5]},"alpha":null}"#
    );
    let (name, value) = &config.providers[0].headers[0];
    assert_eq!(
        (name.as_str(), value.expose().as_str()),
        ("x-team", "Search")
    );
}

#[test]
fn a_client_key_that_names_an_alias_may_use_its_model() {
    let yaml = format!(
        "{}\nclient_keys: [{{ name: ci, secret: sk-client, models: [large] }}]",
        SMALLEST.replace("- name: gpt-4o", "- name: gpt-4o\n    aliases: [large]")
    );

    let config = load(&yaml, &[]).unwrap();

    let models = config.client_keys[0].models.as_deref().unwrap();
    assert_eq!(models[0].as_str(), "gpt-4o");
    assert_eq!(config.client_keys[0].priority.level(), 5);
}

#[test]
fn a_base_url_loses_its_trailing_slash() {
    let yaml = SMALLEST.replace("/v1", "/v1/");

    let config = load(&yaml, &[]).unwrap();

    assert_eq!(config.providers[0].base_url, "https://api.openai.com/v1");
}
