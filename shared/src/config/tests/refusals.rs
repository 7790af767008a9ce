use super::*;

/// Replaces `from` in the smallest configuration, and expects one refusal in these words.
#[track_caller]
fn check(from: &str, to: &str, expected: &str) {
    assert!(SMALLEST.contains(from), "nothing to replace");
    let problem = refusal(&SMALLEST.replace(from, to));

    assert_eq!(problem.to_string(), expected);
}

/// The same with `settings` added at the top level.
#[track_caller]
fn check_added(settings: &str, expected: &str) {
    let problem = refusal(&format!("{SMALLEST}\n{settings}"));

    assert_eq!(problem.to_string(), expected);
}

#[test]
fn an_unknown_setting_is_refused_with_the_nearest_known_name() {
    check_added(
        "listn: 127.0.0.1:1",
        "`listn` is not a setting; did you mean `listen`?",
    );
    check_added(
        "queue: { aging: 1s }",
        "`queue.aging` is not a setting; the settings here are max_length, timeout",
    );
    check(
        "secret: sk-provider",
        "secret: sk-provider, wieght: 2",
        "`providers[0].keys[0].wieght` is not a setting; did you mean `weight`?",
    );
    check(
        "provider: openai",
        "provider: openai, limits: { cpm: 1 }",
        "`models[0].upstreams[0].limits.cpm` is not a setting; did you mean `rpm`?",
    );
}

#[test]
fn an_unknown_setting_in_the_environment_is_refused() {
    let error = load(SMALLEST, &[("SLUICE__QUEUE__LENGTH", "1")]).expect_err("refused");

    assert_eq!(
        error.to_string(),
        "`queue.length` is not a setting; the settings here are max_length, timeout"
    );
}

#[test]
fn a_value_of_another_type_is_refused() {
    check(
        "name: main, ",
        "",
        "`providers[0].keys[0].name` is missing; add it",
    );
    check(
        "upstreams: [{ provider: openai }]",
        "upstreams: openai",
        "`models[0].upstreams` must be a list, not text; see config/example.yaml for how it is written",
    );
    check(
        "[{ provider: openai }]",
        "[openai]",
        "`models[0].upstreams[0]` must be a map with `provider`, not text; see config/example.yaml for how it is written",
    );
    check_added(
        "queue:",
        "`queue` must be a map with `max_length` or `timeout`, not empty; see config/example.yaml for how it is written",
    );
    check_added(
        "queue: { max_length: 1.5 }",
        "`queue.max_length` must be a whole number, 0 or more, not floating point `1.5`; see config/example.yaml for how it is written",
    );
    check_added(
        "queue: { max_length: -1 }",
        "`queue.max_length` must be a whole number, 0 or more, not integer `-1`; see config/example.yaml for how it is written",
    );
}

#[test]
fn duplicate_names_are_refused() {
    check(
        "keys: [",
        "keys: [{ name: main, secret: other }, ",
        "`providers[0].keys[1].name` is `main`, but must be unique: `providers[0].keys[0].name` has it already; choose another name",
    );
    check(
        "models:",
        "  - { name: openai, dialect: openai_chat, base_url: http://h, keys: [{ name: a, secret: s }] }\nmodels:",
        "`providers[1].name` is `openai`, but must be unique: `providers[0].name` has it already; choose another name",
    );
    check(
        "models:",
        "models:\n  - { name: gpt-4o, upstreams: [{ provider: openai, model: other }] }",
        "`models[1].name` is `gpt-4o`, but must be unique: `models[0].name` has it already; choose another name",
    );
    check(
        "models:",
        "models:\n  - { name: small, aliases: [gpt-4o], upstreams: [{ provider: openai }] }",
        "`models[1].name` is `gpt-4o`, but must be unique: `models[0].aliases[0]` has it already; choose another name",
    );
    check_added(
        "client_keys: [{ name: ci, secret: a }, { name: ci, secret: b }]",
        "`client_keys[1].name` is `ci`, but must be unique: `client_keys[0].name` has it already; choose another name",
    );
}

#[test]
fn two_client_keys_with_one_secret_are_refused() {
    check_added(
        "client_keys: [{ name: ci, secret: same }, { name: me, secret: same }]",
        "`client_keys[1].secret` must be unique: `client_keys[0].secret` is the same; give each client key a token of its own",
    );
}

#[test]
fn an_upstream_must_exist_and_stand_once() {
    check(
        "provider: openai }",
        "provider: opneai }",
        "`models[0].upstreams[0].provider` is `opneai`, but must be the name of a provider; did you mean `openai`?",
    );
    check(
        "[{ provider: openai }]",
        "[{ provider: openai }, { provider: openai, model: gpt-4o }]",
        "`models[0].upstreams[1]` is `gpt-4o/openai/gpt-4o`, but must be unique: `models[0].upstreams[0]` has it already; choose another name",
    );
    check(
        "[{ provider: openai }]",
        "[{ provider: openai, model: b/openai/c }]\n  - { name: gpt-4o/openai/b, upstreams: [{ provider: openai, model: c }] }",
        "`models[1].upstreams[0]` is `gpt-4o/openai/b/openai/c`, but must be unique: `models[0].upstreams[0]` has it already; choose another name",
    );
}

#[test]
fn what_has_to_hold_something_must_not_be_empty() {
    check(
        "keys: [{ name: main, secret: sk-provider }]",
        "keys: []",
        "`providers[0].keys` must name at least one key; add `{ name: main, secret: env:NAME }`; any secret will do where the provider asks for none",
    );
    check(
        "upstreams: [{ provider: openai }]",
        "upstreams: []",
        "`models[0].upstreams` must name at least one upstream; add `{ provider: NAME }`",
    );
    check_added(
        "client_keys: [{ name: ci, secret: a, models: [] }]",
        "`client_keys[0].models` must name at least one model; leave it out to allow all",
    );

    let error = load("", &[]).expect_err("refused");
    let settings: Vec<&str> = error
        .problems()
        .iter()
        .map(|problem| problem.setting.as_str())
        .collect();
    assert_eq!(settings, ["providers", "models"]);
}

#[test]
fn numbers_must_be_in_their_range() {
    for weight in ["0", "-1", "NaN", "inf"] {
        check(
            "secret: sk-provider",
            &format!("secret: sk-provider, weight: {weight}"),
            &format!(
                "`providers[0].keys[0].weight` is `{weight}`, but must be a positive number; leave it out for 1; take out what shall get nothing"
            ),
        );
    }
    check(
        "provider: openai }",
        "provider: openai, weight: -0.5 }",
        "`models[0].upstreams[0].weight` is `-0.5`, but must be a positive number; leave it out for 1; take out what shall get nothing",
    );
    for limit in ["concurrency", "qps", "rpm", "tpm", "rpd", "tpd"] {
        check(
            "secret: sk-provider",
            &format!("secret: sk-provider, limits: {{ {limit}: 0 }}"),
            &format!(
                "`providers[0].keys[0].limits.{limit}` is `0`, but must be at least 1; leave it out for no limit"
            ),
        );
    }
    check(
        "secret: sk-provider",
        "secret: sk-provider, limits: { rpm: 4294967296 }",
        "`providers[0].keys[0].limits.rpm` is `4294967296`, but must be at most 4294967295; leave it out for no limit",
    );
    check_added(
        "client_keys: [{ name: ci, secret: a, priority: 11 }]",
        "`client_keys[0].priority` is `11`, but must be at most 10; 10 is served first; leave it out for 5",
    );
    check_added(
        "queue: { max_length: 0 }",
        "`queue.max_length` is `0`, but must be at least 1; write a number in that range",
    );
    check_added(
        "retries: { max_attempts: 0 }",
        "`retries.max_attempts` is `0`, but must be at least 1; write a number in that range",
    );
    check_added(
        "limits: { connections: 0 }",
        "`limits.connections` is `0`, but must be at least 1; write a number in that range",
    );
    check_added(
        "limits: { body: 0 }",
        "`limits.body` is `0`, but must be at least 1 byte; write `32MiB`, or a number of bytes",
    );
    check_added(
        "limits: { body: much }",
        "`limits.body` is `much`, but must be a size; write `32MiB`, or a number of bytes",
    );
}

#[test]
fn durations_need_a_unit_and_a_length() {
    for (duration, rule) in [
        ("0s", "must be longer than nothing"),
        ("30", "must be a duration with its unit"),
        ("soon", "must be a duration with its unit"),
        ("25h", "must be at most 24h"),
    ] {
        for setting in ["connect", "first_byte", "idle", "total", "drain"] {
            check_added(
                &format!("timeouts: {{ {setting}: {duration} }}"),
                &format!(
                    "`timeouts.{setting}` is `{duration}`, but {rule}; write `250ms`, `30s` or `2m`"
                ),
            );
        }
    }
    check_added(
        "queue: { timeout: 0ms }",
        "`queue.timeout` is `0ms`, but must be longer than nothing; write `250ms`, `30s` or `2m`",
    );
}

#[test]
fn choices_must_be_known() {
    check(
        "openai_chat",
        "anthropic_mesages",
        "`providers[0].dialect` is `anthropic_mesages`, but must be one of openai_chat, openai_responses, anthropic_messages, gemini_generate, ollama_chat, bedrock_converse; did you mean `anthropic_messages`?",
    );
    check(
        "dialect: openai_chat",
        "dialect: ollama_chat\n    manners: groq",
        "`providers[0].manners` is `groq`, but must be manners of the provider's dialect; leave it out, or set `dialect` to another than `ollama_chat`",
    );
    check(
        "dialect: openai_chat",
        "dialect: openai_chat\n    api_version: \"2024-10-21\"",
        "`providers[0].api_version` is `2024-10-21`, but must only be given with `manners: azure`; take it out, or add `manners: azure`",
    );
    check(
        "{ provider: openai }",
        "{ provider: openai, capabilities: [text, visoin] }",
        "`models[0].upstreams[0].capabilities[1]` is `visoin`, but must be one of text, vision, audio, files, tools, json_schema, embedding; did you mean `vision`?",
    );
    check(
        "upstreams:",
        "strategy: wieghted\n    upstreams:",
        "`models[0].strategy` is `wieghted`, but must be one of balanced, weighted, dynamic_weighted, fastest, first_available, least_busy; did you mean `weighted`?",
    );
    check(
        "upstreams:",
        "exclusive: true\n    upstreams:",
        "`models[0].exclusive` is `true`, but must be false unless the strategy is first_available; set `strategy: first_available`, or take `exclusive` out",
    );
    check_added(
        "telemetry: { log: xml }",
        "`telemetry.log` is `xml`, but must be one of json, text; choose one of them",
    );
    check_added(
        "telemetry: { level: loud }",
        "`telemetry.level` is `loud`, but must be a level or a list of `part=level` (`loud` is no level); use error, warn, info, debug or trace",
    );
}

#[test]
fn urls_must_be_usable() {
    check(
        "https://api.openai.com/v1",
        "ftp://host/v1",
        "`providers[0].base_url` is `ftp://host/v1`, but must begin with http:// or https://; write `https://api.openai.com/v1`",
    );
    check(
        "https://api.openai.com/v1",
        "api.openai.com/v1",
        "`providers[0].base_url` is `api.openai.com/v1`, but must be a URL (relative URL without a base); write `https://api.openai.com/v1`",
    );
    check(
        "https://api.openai.com/v1",
        "https://host/v1?key=1",
        "`providers[0].base_url` must hold no `?` or `#` part; end it with the path",
    );
    check(
        "https://api.openai.com/v1",
        "https://me:pass@host/v1",
        "`providers[0].base_url` must hold no user name or password; give credentials as `keys` or `headers`",
    );
}

#[test]
fn overrides_must_leave_what_the_router_needs() {
    for field in ["messages", "model", "stream", "stream_options"] {
        check(
            "upstreams:",
            &format!("overrides: {{ {field}: true }}\n    upstreams:"),
            &format!(
                "`models[0].overrides.{field}` must not be forced; take it out; `upstreams` name the provider's model"
            ),
        );
    }
}

#[test]
fn addresses_must_be_sound_and_safe() {
    check_added(
        "listen: localhost",
        "`listen` is `localhost`, but must be an IP address and a port; write `127.0.0.1:8080`, or `0.0.0.0:8080` for all interfaces",
    );
    check_added(
        "admin_listen: 127.0.0.1:8080",
        "`admin_listen` is `127.0.0.1:8080`, but must differ from `listen`; give it another port",
    );
    check_added(
        "listen: 0.0.0.0:8080",
        "`listen` is `0.0.0.0:8080`, but must be a loopback address while there are no `client_keys`; add client keys, or set `open_access: true` to serve everybody who reaches it",
    );

    for allowed in [
        "listen: 0.0.0.0:8080\nopen_access: true",
        "listen: 0.0.0.0:8080\nclient_keys: [{ name: ci, secret: a }]",
        "listen: '[::1]:8080'",
        "listen: 127.0.0.1:0\nadmin_listen: 127.0.0.1:0",
    ] {
        assert!(
            load(&format!("{SMALLEST}\n{allowed}"), &[]).is_ok(),
            "{allowed}"
        );
    }
}

#[test]
fn secrets_must_be_there() {
    check(
        "sk-provider",
        "env:NOT_SET",
        "`providers[0].keys[0].secret` needs the environment variable `NOT_SET`, which is not set; set it, or give the secret in another way",
    );
    check(
        "sk-provider",
        "file:/not/there",
        "`providers[0].keys[0].secret` needs the file `/not/there`, which cannot be read (No such file or directory (os error 2)); mount it, or give the secret in another way",
    );
    check(
        "sk-provider",
        "''",
        "`providers[0].keys[0].secret` must not be empty; write the secret, `env:NAME` or `file:PATH`",
    );
    check(
        "sk-provider",
        "'sk provider '",
        "`providers[0].keys[0].secret` must hold visible ASCII characters only, for it is sent in a header; look for line breaks and white space around it",
    );
}

#[test]
fn a_client_key_must_name_known_models() {
    check_added(
        "client_keys: [{ name: ci, secret: a, models: [gpt-4] }]",
        "`client_keys[0].models[0]` is `gpt-4`, but must be the name or alias of a model; did you mean `gpt-4o`?",
    );
}

#[test]
fn a_state_of_another_kind_is_refused() {
    check_added(
        "state: redis+sentinel://a,b/main",
        "`state` is `redis+sentinel://…`, but must be `memory`, `redis://…` or `rediss://…`: the rest comes with a later version; name one Redis server",
    );
    check_added(
        "state: redis+cluster://a,b",
        "`state` is `redis+cluster://…`, but must be `memory`, `redis://…` or `rediss://…`: the rest comes with a later version; name one Redis server",
    );
    check_added(
        "state: http://a",
        "`state` is `http://…`, but must be `memory`, `redis://…` or `rediss://…`; write `redis://host:6379/0`, or `memory` for a single router",
    );
    check_added(
        "state: redis://host/first",
        "`state` must be a whole Redis URL: host, port and database number; write `redis://host:6379/0`",
    );
}

#[test]
fn encryption_that_would_not_take_place_is_refused() {
    check_added(
        "state: rediss://host/0#insecure",
        "`state` must not end in `#…`: the certificate of Redis is always checked; leave that out, and give a private authority as `state_tls.ca`",
    );
    check_added(
        "state: redis://host/0\nstate_tls: { ca: '-----BEGIN CERTIFICATE-----' }",
        "`state_tls` needs a `state` that begins with `rediss://`: `redis://` is not encrypted; write `state: rediss://host:port/0`, or leave `state_tls` out",
    );
    check_added(
        "state: rediss://host/0\nstate_tls: { certificate: '-----BEGIN CERTIFICATE-----' }",
        "`state_tls` needs `certificate` and `key` together; give both, or neither",
    );
    check_added(
        "state: rediss://host/0\nstate_tls: { ca: /etc/redis/ca.pem }",
        "`state_tls.ca` must hold a PEM block of a CERTIFICATE; write `file:PATH` of such a file",
    );
}

#[test]
fn names_must_fit_the_store() {
    check(
        "name: main",
        "name: a/b",
        "`providers[0].keys[0].name` is `a/b`, but must hold only letters, digits and `-_.:@`; choose another name",
    );
    check(
        "name: gpt-4o",
        "name: \"a\\nb\"",
        "`models[0].name` is `a\\nb`, but must hold no control characters and no white space at its ends; choose another name",
    );
    check_added(
        "replica: { name: 'a b' }",
        "`replica.name` is `a b`, but must hold only letters, digits and `-_.:@/`; choose another name",
    );

    let slashes = SMALLEST.replace("name: gpt-4o", "name: meta-llama/Llama 3");
    assert!(load(&slashes, &[]).is_ok());
}

#[test]
fn all_problems_are_told_in_one_line() {
    let yaml = format!("{SMALLEST}\nqueue: {{ max_length: 0, timeout: 0s }}");

    let line = load(&yaml, &[]).expect_err("refused").to_string();

    assert_eq!(
        line,
        "`queue.max_length` is `0`, but must be at least 1; write a number in that range \
         | also: `queue.timeout` is `0s`, but must be longer than nothing; write `250ms`, `30s` or `2m`"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let path = std::path::Path::new("/not/there.yaml");

    let error =
        Config::load(Some(path), &Overrides::default(), std::iter::empty()).expect_err("refused");

    assert_eq!(
        error.to_string(),
        "cannot read the file `/not/there.yaml`: No such file or directory (os error 2); name a readable YAML file"
    );
}

#[test]
fn a_signature_of_aws_is_not_overwritten() {
    let bedrock = |headers: &str, secret: &str| {
        SMALLEST
            .replace("dialect: openai_chat", "dialect: bedrock_converse")
            .replace("sk-provider", secret)
            .replace(
                "    keys:",
                &format!("    headers: {{ {headers}: x }}\n    keys:"),
            )
    };

    for name in ["X-Amz-Date", "x-amz-security-token", "x-amz-content-sha256"] {
        let name_told = name.to_ascii_lowercase();
        assert_eq!(
            refusal(&bedrock(name, "AKIA:secret")).to_string(),
            format!(
                "`providers[0].headers.{name_told}` must not be set where requests are signed with keys of AWS; take it out; a session token is the third part of the key, `ACCESS_KEY_ID:SECRET_ACCESS_KEY:SESSION_TOKEN`"
            )
        );
        load(&bedrock(name, "bedrock-api-key"), &[]).unwrap();
    }
    load(&bedrock("x-amzn-bedrock-trace", "AKIA:secret"), &[]).unwrap();
}
