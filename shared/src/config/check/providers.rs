//! Rules for providers and their keys.

use std::collections::{BTreeMap, HashMap};

use super::Checker;
use super::names::Alphabet;
use crate::config::error::Problem;
use crate::config::{Dialect, Health, Key, Manners, Probe, Provider, raw};
use crate::secret::Secret;

/// What the signatures of AWS are made of, beside the reserved ones.
const HEADERS_SIGNED: [&str; 3] = ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];

/// What the router sets itself on each upstream request.
const HEADERS_RESERVED: [&str; 8] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

impl Checker<'_> {
    pub(super) fn providers(&mut self, providers: Vec<raw::Provider>) -> Vec<Provider> {
        if providers.is_empty() {
            self.refuse(Problem::new(
                "providers",
                "must name at least one provider",
                "add one with `name`, `dialect`, `base_url` and `keys`",
            ));
        }
        let mut names = HashMap::new();
        let mut checked = Vec::with_capacity(providers.len());
        for (index, provider) in providers.into_iter().enumerate() {
            let place = format!("providers[{index}]");
            self.unique(&mut names, &format!("{place}.name"), &provider.name);
            checked.push(self.provider(&place, provider));
        }
        checked
    }

    fn provider(&mut self, place: &str, provider: raw::Provider) -> Provider {
        let raw::Provider {
            name,
            dialect,
            manners,
            api_version,
            base_url,
            headers,
            limits,
            keys,
            health,
        } = provider;
        self.name(&format!("{place}.name"), &name, Alphabet::Word);
        let dialects = Dialect::ALL.map(|dialect| (dialect.name(), dialect));
        let dialect = self.choice(&format!("{place}.dialect"), &dialect, &dialects);
        let manners = self.manners(&format!("{place}.manners"), &manners, dialect);
        self.api_version(place, api_version.as_deref(), manners);
        let headers = self.headers(place, headers);
        let keys = self.keys(place, keys);
        if dialect == Dialect::BedrockConverse && keys.iter().any(is_of_aws) {
            self.signed_headers(place, &headers);
        }
        Provider {
            name: name.into(),
            dialect,
            manners,
            api_version,
            base_url: self.base_url(&format!("{place}.base_url"), &base_url),
            headers,
            limits: self.limits(place, &limits),
            keys,
            health: self.health(&format!("{place}.health"), &health, dialect),
        }
    }

    fn manners(&mut self, setting: &str, manners: &str, dialect: Dialect) -> Manners {
        let all = Manners::ALL.map(|manners| (manners.name(), manners));
        let manners = self.choice(setting, manners, &all);
        if !manners.go_with(dialect) {
            self.refuse(
                Problem::new(
                    setting,
                    "must be manners of the provider's dialect",
                    format!(
                        "leave it out, or set `dialect` to another than `{}`",
                        dialect.name()
                    ),
                )
                .with_value(manners.name()),
            );
        }
        manners
    }

    fn api_version(&mut self, place: &str, api_version: Option<&str>, manners: Manners) {
        let Some(api_version) = api_version else {
            return;
        };
        let setting = format!("{place}.api_version");
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let refusal = match manners {
            Manners::Azure if !api_version.is_empty() && api_version.bytes().all(is_word) => return,
            Manners::Azure => Problem::new(
                setting,
                "must be a version",
                "write `2024-10-21`, or `2024-10-01-preview`",
            ),
            _ => Problem::new(
                setting,
                "must only be given with `manners: azure`",
                "take it out, or add `manners: azure`",
            ),
        };
        self.refuse(refusal.with_value(api_version));
    }

    fn health(&mut self, place: &str, health: &raw::Health, dialect: Dialect) -> Health {
        let raw::Health {
            probe,
            interval,
            rise,
            fall,
        } = health;
        let probe = match probe.strip_prefix("path:") {
            // `//host` and `/\host` would be another host.
            Some(path) if path.starts_with('/') && !path[1..].starts_with(['/', '\\']) => {
                Probe::Path(path.to_owned())
            }
            _ => self.choice(
                &format!("{place}.probe"),
                probe,
                &[
                    ("models", Probe::Models),
                    ("chat", Probe::Chat),
                    ("none", Probe::None),
                    ("path:/…", Probe::None),
                ],
            ),
        };
        // Its list of models is elsewhere, and is signed for otherwise: only a chat tells whether a key works.
        let probe = match probe {
            Probe::Models if dialect == Dialect::BedrockConverse => Probe::None,
            Probe::Path(_) if dialect == Dialect::BedrockConverse => {
                self.refuse(Problem::new(
                    format!("{place}.probe"),
                    "must be chat or none at bedrock_converse",
                    "write `chat`, which is billed, or `none`",
                ));
                Probe::None
            }
            probe => probe,
        };
        Health {
            probe,
            interval: self.duration(&format!("{place}.interval"), interval),
            rise: self.at_least_one(&format!("{place}.rise"), *rise),
            fall: self.at_least_one(&format!("{place}.fall"), *fall),
        }
    }

    /// Without a trailing slash.
    ///
    /// A URL that holds an `@` may hold a password, and is not shown.
    fn base_url(&mut self, setting: &str, text: &str) -> String {
        let remedy = "write `https://api.openai.com/v1`";
        let problem = match url::Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                Problem::new(setting, "must begin with http:// or https://", remedy)
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => Problem::new(
                setting,
                "must hold no user name or password",
                "give credentials as `keys` or `headers`",
            ),
            Ok(url) if url.query().is_some() || url.fragment().is_some() => Problem::new(
                setting,
                "must hold no `?` or `#` part",
                "end it with the path",
            ),
            Ok(url) => return url.as_str().trim_end_matches('/').to_owned(),
            Err(reason) => Problem::new(setting, format!("must be a URL ({reason})"), remedy),
        };
        let may_hold_credentials = text.contains(['@', '?', '#']);
        self.refuse(if may_hold_credentials {
            problem
        } else {
            problem.with_value(text)
        });
        String::new()
    }

    fn headers(
        &mut self,
        place: &str,
        headers: BTreeMap<String, String>,
    ) -> Vec<(String, Secret<String>)> {
        let mut names = HashMap::new();
        let mut checked = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            let setting = format!("{place}.headers.{name}");
            let name = name.to_ascii_lowercase();
            if !is_header_name(&name) {
                self.refuse(Problem::new(
                    setting.as_str(),
                    "is not a header name",
                    "use letters, digits and dashes",
                ));
            }
            if HEADERS_RESERVED.contains(&name.as_str()) {
                self.refuse(Problem::new(
                    setting.as_str(),
                    "must not be set, for the router sets it itself",
                    "take it out; credentials belong into `keys`",
                ));
            }
            self.unique(&mut names, &setting, &name);
            let value = self.secret(&setting, value);
            checked.push((name, value));
        }
        checked
    }

    /// Headers of the configuration come after the signature, and would replace what it vouches for.
    fn signed_headers(&mut self, place: &str, headers: &[(String, Secret<String>)]) {
        for (name, _) in headers {
            if HEADERS_SIGNED.contains(&name.as_str()) {
                self.refuse(Problem::new(
                    format!("{place}.headers.{name}"),
                    "must not be set where requests are signed with keys of AWS",
                    "take it out; a session token is the third part of the key, `ACCESS_KEY_ID:SECRET_ACCESS_KEY:SESSION_TOKEN`",
                ));
            }
        }
    }

    fn keys(&mut self, place: &str, keys: Vec<raw::Key>) -> Vec<Key> {
        if keys.is_empty() {
            self.refuse(Problem::new(
                format!("{place}.keys"),
                "must name at least one key",
                "add `{ name: main, secret: env:NAME }`; any secret will do where the provider asks for none",
            ));
        }
        let mut names = HashMap::new();
        let mut checked = Vec::with_capacity(keys.len());
        for (index, key) in keys.into_iter().enumerate() {
            let raw::Key {
                name,
                secret,
                weight,
                limits,
            } = key;
            let place = format!("{place}.keys[{index}]");
            let setting = format!("{place}.name");
            self.name(&setting, &name, Alphabet::Word);
            self.unique(&mut names, &setting, &name);
            checked.push(Key {
                name: name.into(),
                secret: self.secret(&format!("{place}.secret"), secret),
                weight: self.weight(&format!("{place}.weight"), weight),
                limits: self.limits(&place, &limits),
            });
        }
        checked
    }
}

/// Whether requests are signed with it: Bedrock's own keys have no colon.
fn is_of_aws(key: &Key) -> bool {
    key.secret.expose().contains(':')
}

/// A token of RFC 9110 §5.6.2.
fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}
