use std::time::Duration;

use sha2::{Digest as _, Sha256};
use shared::catalog::{Limits, Strategy};
use shared::config::{
    Dialect, Health, Key, LogFormat, Manners, Provider, Queue, Retries, ServerLimits, StateStore,
    StateTls, Telemetry, Timeouts, Upstream,
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
        manners: Manners::Plain,
        api_version: None,
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
        context_length: None,
        capabilities: None,
    };
    Model {
        name: name.into(),
        aliases: aliases.iter().map(|alias| (*alias).into()).collect(),
        strategy: Strategy::FirstAvailable,
        exclusive: false,
        limits: Limits::default(),
        upstreams: providers.iter().map(upstream).collect(),
        overrides: serde_json::Map::new(),
        drop_unsupported: false,
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
    Fleet::build(config, Arc::new(Catalog::declare(config)), None)
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

    let Some([row]) = caller.rows.as_deref() else {
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

    let fleet = Fleet::build(&config, Arc::new(Catalog::declare(&older)), None);

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

    let fleet = Fleet::build(&after, Arc::new(Catalog::succeed(&after, &first)), None);

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
        let fleet = Fleet::build(config, Arc::clone(&catalog), None);
        let caller = fleet.caller(&Sha256::digest(TOKEN).into()).unwrap();
        caller.rows.as_ref().unwrap().len()
    };

    assert_eq!((rows(&before), rows(&after)), (1, 0));
}

/// The snapshots after the file became `after`, and after that was published.
fn file_first(before: &Config, after: &Config) -> (Fleet, Fleet) {
    let first = fleet(before);
    let read = Fleet::build(after, Arc::clone(first.catalog()), Some(&first));
    let catalog = Catalog::succeed(after, first.catalog());
    let published = Fleet::build(after, Arc::new(catalog), Some(&read));
    (read, published)
}

#[test]
fn a_client_keys_first_limits_hold_from_when_they_are_published() {
    let after = config();
    let mut before = after.clone();
    before.client_keys[0].limits = Limits::default();
    let rows = |fleet: &Fleet| {
        let caller = fleet.caller(&Sha256::digest(TOKEN).into()).unwrap();
        caller.rows.as_ref().map(Vec::len)
    };

    let (read, published) = file_first(&before, &after);

    assert_eq!((rows(&read), rows(&published)), (Some(0), Some(1)));
    // Nobody knows of an earlier time without limits.
    let catalog = Arc::clone(fleet(&before).catalog());
    let started = Fleet::build(&after, Arc::clone(&catalog), None);
    assert_eq!(rows(&started), None);
    // The store lost its data, and was given a catalog without the limits that held.
    assert_eq!(rows(&Fleet::build(&after, catalog, Some(&published))), None);
}

#[test]
fn a_model_whose_upstreams_are_replaced_keeps_them_until_the_new_ones_are_published() {
    let mut before = config();
    before.models[0].upstreams.truncate(1);
    let mut renamed = before.clone();
    renamed.models[0].upstreams[0].model = "newer".to_owned();
    let mut replaced = before.clone();
    replaced.models[0].upstreams = config().models[0].upstreams.split_off(1);
    replaced.providers.remove(0);
    replaced.models.remove(1);
    let served = |fleet: &Fleet, name: &str| -> Vec<String> {
        let candidates = &fleet.model(name).unwrap().candidates;
        let names = candidates.iter();
        names
            .map(|it| format!("{} {}", it.label, it.upstream_model))
            .collect()
    };
    let old = ["azure/eu-1 real", "azure/eu-2 real"];

    let (read, published) = file_first(&before, &renamed);
    assert_eq!(served(&read, "large"), old);
    let new = ["azure/eu-1 newer", "azure/eu-2 newer"];
    assert_eq!(served(&published, "large"), new);

    let (read, published) = file_first(&before, &replaced);
    assert_eq!(served(&read, "gpt"), old);
    assert!(read.model("secret").is_none());
    assert_eq!(served(&published, "gpt"), ["openai/main real"]);

    // The leader was first: the catalog has the model, and nothing of it that this file knows.
    let behind = Fleet::build(&before, Arc::clone(published.catalog()), Some(&read));
    assert!(served(&behind, "gpt").is_empty());
}

#[test]
fn a_model_goes_on_under_the_alias_that_its_new_name_left_it() {
    let before = config();
    let mut after = before.clone();
    after.models[0].name = "gpt-next".into();
    after.models[0].aliases = vec!["gpt".into()];
    let name = |fleet: &Fleet| fleet.model("gpt").map(|model| model.name.clone());

    let (read, published) = file_first(&before, &after);

    assert_eq!(name(&read), Some("gpt".into()));
    assert_eq!(name(&published), Some("gpt-next".into()));
    assert!(read.model("large").is_none());
}

#[test]
fn a_key_that_serves_several_upstream_models_is_told_apart() {
    let mut config = config();
    config.models[1].upstreams[0].model = "other".to_owned();

    let fleet = fleet(&config);

    let candidates = &fleet.model("gpt").unwrap().candidates;
    let is_only_model: Vec<_> = candidates.iter().map(|it| it.is_only_model).collect();
    assert_eq!(is_only_model, [false, false, true]);
}

#[test]
fn no_secret_is_printed() {
    let printed = format!("{:?}", fleet(&config()));

    assert!(!printed.contains("upstream-secret"));
}
