use std::io::Write as _;

use sha2::{Digest as _, Sha256};

use super::*;

#[test]
fn a_secret_comes_from_the_environment() {
    let yaml = SMALLEST.replace("sk-provider", "env:OPENAI_API_KEY");

    let config = load(&yaml, &[("OPENAI_API_KEY", "sk-from-environment")]).unwrap();

    let secret = config.providers[0].keys[0].secret.expose();
    assert_eq!(secret, "sk-from-environment");
}

#[test]
fn a_secret_comes_from_a_file_without_its_line_break() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"sk-from-file\r\n").unwrap();
    let yaml = SMALLEST.replace("sk-provider", &format!("file:{}", file.path().display()));

    let config = load(&yaml, &[]).unwrap();

    let secret = config.providers[0].keys[0].secret.expose();
    assert_eq!(secret, "sk-from-file");
}

#[test]
fn of_a_client_key_only_the_digest_is_kept() {
    let yaml = format!("{SMALLEST}\nclient_keys: [{{ name: ci, secret: sk-client }}]");

    let config = load(&yaml, &[]).unwrap();

    let digest: [u8; 32] = Sha256::digest("sk-client").into();
    assert_eq!(config.client_keys[0].digest, digest);
    assert!(!format!("{config:?}").contains("sk-"));
}

#[test]
fn no_refusal_shows_a_secret() {
    let misplaced = [
        "keys: sk-hidden",
        "keys: [sk-hidden]",
        "keys: [{ name: main, secret: [sk-hidden] }]",
        "keys: [{ name: main, secret: \"sk-hidden\\n\" }]",
        "keys: [{ name: main, secret: sk-hidden, weight: sk-hidden }]",
        "keys: [{ name: main, secret: sk-hidden }]\n    headers: sk-hidden",
        "keys: [{ name: main, secret: sk-hidden }]\n    headers: { Authorization: sk-hidden }",
        "keys: [{ name: main, secret: sk-hidden }]\n    headers: { x: [sk-hidden] }",
        "keys: [{ name: main, secret: sk-hidden ",
    ];
    for keys in misplaced {
        let yaml = SMALLEST.replace("keys: [{ name: main, secret: sk-provider }]", keys);

        let line = load(&yaml, &[]).expect_err("refused").to_string();

        assert!(!line.contains("hidden"), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
    for url in [
        "ftp://u:hidden@host/",
        "http://u:hidden@host/",
        "http://h?k=hidden",
    ] {
        let yaml = SMALLEST.replace("https://api.openai.com/v1", url);

        let line = load(&yaml, &[]).expect_err("refused").to_string();

        assert!(!line.contains("hidden"), "{line}");
    }
    for state in [
        "redis://:hidden@h/x",
        "http://:hidden@h",
        "redis+cluster://:hidden@h",
        "hidden",
    ] {
        let yaml = format!("{SMALLEST}\nstate: {state}");

        let line = load(&yaml, &[]).expect_err("refused").to_string();

        assert!(!line.contains("hidden"), "{line}");
    }
    for yaml in ["sk-hidden", "- sk-hidden"] {
        let line = load(yaml, &[]).expect_err("refused").to_string();

        assert!(!line.contains("hidden"), "{line}");
    }
}
