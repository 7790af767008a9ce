use std::time::Duration;

use sha2::{Digest as _, Sha256};
use shared::catalog::{Limits, Strategy};
use shared::config::{
    Dialect, Health, Key, LogFormat, Provider, Queue, Retries, ServerLimits, StateStore, StateTls,
    Telemetry, Timeouts, Upstream,
};

use super::*;

pub(crate) const TOKEN: &str = "sk-search";

fn provider(name: &str, base_url: String, keys: &[&str]) -> Provider {
    let tpm = Limits {
        tpm: Some(1_000_000),
        ..Limits::default()
    };
    let key = |name: &&str| Key {
        name: (*name).into(),
        secret: Secret::new("upstream-secret".to_owned()),
        weight: 1.0,
        limits: tpm,
    };
    Provider {
        name: name.into(),
        dialect: Dialect::OpenaiChat,
        base_url,
        headers: Vec::new(),
        limits: Limits::default(),
        keys: keys.iter().map(key).collect(),
        health: Health::UNPROBED,
    }
}

fn model(name: &str, aliases: &[&str], providers: &[Provider]) -> Model {
    let upstream = |provider: &Provider| Upstream {
        provider: provider.name.clone(),
        model: "real".to_owned(),
        weight: 1.0,
        limits: Limits::default(),
    };
    Model {
        name: name.into(),
        aliases: aliases.iter().map(|alias| (*alias).into()).collect(),
        strategy: Strategy::FirstAvailable,
        exclusive: false,
        limits: Limits::default(),
        upstreams: providers.iter().map(upstream).collect(),
        overrides: Map::new(),
    }
}

/// One key at each of `providers`, given as name and base URL, all of them behind the model `m`.
pub(crate) fn config_of(providers: &[(&str, String)], token: &str) -> Config {
    let providers: Vec<_> = providers
        .iter()
        .map(|(name, base_url)| provider(name, base_url.clone(), &["main"]))
        .collect();
    Config {
        listen: ([127, 0, 0, 1], 0).into(),
        admin_listen: ([127, 0, 0, 1], 0).into(),
        open_access: false,
        state: StateStore::Memory,
        state_tls: StateTls::default(),
        replica_name: None,
        models: vec![model("m", &["alias"], &providers)],
        providers,
        client_keys: vec![ClientKey {
            name: "search".into(),
            digest: Sha256::digest(token).into(),
            team: Some("search".into()),
            priority: Priority::DEFAULT,
            models: None,
            limits: Limits::default(),
        }],
        queue: Queue {
            max_length: 10,
            timeout: Duration::from_secs(2),
        },
        timeouts: Timeouts {
            connect: Duration::from_secs(1),
            first_byte: Duration::from_secs(1),
            idle: Duration::from_secs(1),
            total: Duration::from_secs(10),
            drain: Duration::from_secs(5),
        },
        retries: Retries {
            max_attempts: 3.try_into().unwrap(),
            budget: 0.2,
            replay_max: 1024,
        },
        limits: ServerLimits {
            body: 100_000,
            connections: 100,
        },
        telemetry: Telemetry {
            log: LogFormat::Text,
            level: "info".to_owned(),
        },
    }
}

/// Two providers, the first with two keys; `gpt` for the one client key, and `secret` that it may not use.
pub(crate) fn config() -> Config {
    let url = |host: &str| format!("https://{host}.example/v1");
    let mut config = config_of(&[], TOKEN);
    config.providers = vec![
        provider("azure", url("azure"), &["eu-1", "eu-2"]),
        provider("openai", url("openai"), &["main"]),
    ];
    config.models = vec![
        model("gpt", &["large"], &config.providers),
        model("secret", &[], &config.providers),
    ];
    let [client_key] = &mut config.client_keys[..] else {
        panic!("one client key");
    };
    client_key.models = Some(vec!["gpt".into()]);
    client_key.limits.rpm = Some(60);
    config
}

pub(crate) fn fleet(config: &Config) -> Fleet {
    Fleet::build(config, Arc::new(Catalog::declare(config)))
}

#[test]
fn a_candidate_carries_what_it_takes_to_call_it() {
    let fleet = fleet(&config());

    let model = fleet.model("large").unwrap();

    let labels: Vec<_> = model
        .candidates
        .iter()
        .map(|candidate| &*candidate.label)
        .collect();
    assert_eq!(labels, ["azure/eu-1", "azure/eu-2", "openai/main"]);
    let last = &model.candidates[2];
    assert_eq!(last.upstream_model, "real");
    assert_eq!(last.provider.base_url, "https://openai.example/v1");
    assert_eq!(last.secret.expose(), "upstream-secret");
    let name = &fleet.catalog().candidates[last.index.position()].name;
    assert_eq!(name, "gpt/openai/real/main");
}

#[test]
fn a_limited_client_key_brings_its_row() {
    let fleet = fleet(&config());

    let caller = fleet.caller(&Sha256::digest(TOKEN).into()).unwrap();

    let [row] = caller.rows[..] else {
        panic!("{:?}", caller.rows);
    };
    let row = &fleet.catalog().rows[row.position()];
    assert_eq!(
        (row.kind, row.name.as_str()),
        (ScopeKind::ClientKey, "search")
    );
}

#[test]
fn a_model_that_the_cluster_does_not_know_is_left_out() {
    let config = config();
    let mut older = config.clone();
    older.models.remove(0);

    let fleet = Fleet::build(&config, Arc::new(Catalog::declare(&older)));

    assert!(fleet.model("gpt").is_none());
    assert!(fleet.model("secret").is_some());
}

#[test]
fn another_catalog_makes_another_snapshot_and_the_same_one_none() {
    let config = config();
    let catalog = Arc::new(Catalog::declare(&config));
    let current = CurrentFleet::new(Arc::new(config.clone()), Arc::clone(&catalog));
    let first = current.at(&catalog);

    let same = current.at(&catalog);
    let other = current.at(&Arc::new(Catalog::declare(&config)));

    assert!(Arc::ptr_eq(&first, &same));
    assert!(!Arc::ptr_eq(&first, &other));
}

#[test]
fn another_file_makes_another_snapshot_of_the_same_catalog() {
    let config = config();
    let catalog = Arc::new(Catalog::declare(&config));
    let current = CurrentFleet::new(Arc::new(config.clone()), Arc::clone(&catalog));
    let mut other = config;
    other.client_keys.clear();

    current.reload(Arc::new(other));

    let fleet = current.at(&catalog);
    assert!(fleet.caller(&Sha256::digest(TOKEN).into()).is_none());
    assert!(fleet.model("gpt").is_some());
}

#[test]
fn of_several_candidates_of_one_name_the_one_in_force_is_served() {
    let before = config();
    let mut after = before.clone();
    after.providers[0].limits.concurrency = Some(3);
    let first = Catalog::declare(&before);

    let fleet = Fleet::build(&after, Arc::new(Catalog::succeed(&after, &first)));

    let model = fleet.model("gpt").unwrap();
    let served: Vec<_> = model.candidates.iter().map(|it| it.index).collect();
    assert!(!model.is_partial);
    assert_eq!(
        served,
        fleet.catalog().models[model.index.position()].candidates
    );
    assert!(
        served
            .iter()
            .any(|index| index.position() >= first.candidates.len())
    );
}

#[test]
fn limits_that_the_cluster_dropped_hold_for_whoever_still_declares_them() {
    let before = config();
    let mut after = before.clone();
    after.client_keys[0].limits = Limits::default();
    let catalog = Arc::new(Catalog::succeed(&after, &Catalog::declare(&before)));
    let rows = |config: &Config| {
        let fleet = Fleet::build(config, Arc::clone(&catalog));
        let caller = fleet.caller(&Sha256::digest(TOKEN).into()).unwrap();
        caller.rows.len()
    };

    assert_eq!((rows(&before), rows(&after)), (1, 0));
}

#[test]
fn no_secret_is_printed() {
    let printed = format!("{:?}", fleet(&config()));

    assert!(!printed.contains("upstream-secret"));
}
