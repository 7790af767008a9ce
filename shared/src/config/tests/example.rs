use serde_json::Value;

use super::*;

const EXAMPLE: &str = include_str!("../../../../config/example.yaml");

const ENVIRONMENT: [(&str, &str); 9] = [
    ("AZURE_EU", "azure-key"),
    ("ANTHROPIC_API_KEY", "sk-ant-1"),
    ("OPENAI_API_KEY", "sk-1"),
    ("OPENAI_API_KEY_2", "sk-2"),
    ("OPENAI_ORGANIZATION", "org-1"),
    ("SEARCH_CI_KEY", "sk-client"),
    ("REDIS_CA", "-----BEGIN CERTIFICATE-----"),
    ("REDIS_CERTIFICATE", "-----BEGIN CERTIFICATE-----"),
    ("REDIS_CERTIFICATE_KEY", "-----BEGIN PRIVATE KEY-----"),
];

#[test]
fn the_example_is_a_configuration() {
    let config = load(EXAMPLE, &ENVIRONMENT).unwrap();

    assert_eq!(config.models.len(), 2);
}

#[test]
fn the_example_shows_every_setting() {
    let example: Value = config::Config::builder()
        .add_source(config::File::from_str(EXAMPLE, config::FileFormat::Yaml))
        .build()
        .and_then(config::Config::try_deserialize)
        .unwrap();
    let schema = Config::schema();

    let mut missing = Vec::new();
    let n_seen = walk(&schema, &schema, &[&example], "", &mut missing);

    assert!(missing.is_empty(), "not in the example: {missing:?}");
    assert!(n_seen > 60, "the walk saw {n_seen} settings only");
}

#[test]
fn the_example_tells_the_true_defaults() {
    let schema = Config::schema();
    // One that is set to a value other than its default may say so in its comment only.
    for (setting, default) in [
        ("listen", "127.0.0.1:8080"),
        ("admin_listen", "127.0.0.1:9090"),
        ("state", "memory"),
        ("timeout", "30s"),
        ("connect", "5s"),
        ("first_byte", "60s"),
        ("idle", "60s"),
        ("total", "15m"),
        ("drain", "10m"),
        ("body", "32MiB"),
        ("log", "json"),
        ("level", "info"),
        ("max_length", "1000"),
        ("connections", "10000"),
        ("max_attempts", "3"),
    ] {
        assert!(EXAMPLE.contains(&format!("Default {default}")), "{setting}");
        assert!(
            EXAMPLE.contains(&format!("{setting}: {default}\n")),
            "{setting}"
        );
        let quoted = format!("\"default\":\"{default}\"");
        let number = format!("\"default\":{default}");
        let schema = schema.to_string();
        assert!(
            schema.contains(&quoted) || schema.contains(&number),
            "{setting}"
        );
    }
}

/// Walks the properties of `schema` beside the examples of it; returns how many it saw.
fn walk(
    root: &Value,
    schema: &Value,
    examples: &[&Value],
    place: &str,
    missing: &mut Vec<String>,
) -> usize {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => root.pointer(&reference[1..]).expect("a definition"),
        None => schema,
    };
    if !schema["items"].is_null() {
        let items: Vec<&Value> = examples
            .iter()
            .filter_map(|list| list.as_array())
            .flatten()
            .collect();
        return walk(root, &schema["items"], &items, place, missing);
    }
    let Some(properties) = schema["properties"].as_object() else {
        return 0;
    };
    let mut n_seen = properties.len();
    for (name, property) in properties {
        let place = format!("{place}.{name}");
        let shown: Vec<&Value> = examples.iter().filter_map(|map| map.get(name)).collect();
        // Limits are the same five times over: shown in full once, in the first place.
        let is_repeated = place.contains(".limits.")
            && !place.starts_with(".limits.")
            && !place.starts_with(".providers.limits.");
        if shown.is_empty() && !is_repeated {
            missing.push(place.clone());
        }
        assert!(
            property["description"].is_string(),
            "{place} has no description"
        );
        n_seen += walk(root, property, &shown, &place, missing);
    }
    n_seen
}
