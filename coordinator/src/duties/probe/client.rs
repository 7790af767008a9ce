//! The HTTP client of probes; the only place that knows `reqwest`.
//!
//! A probe goes the way of a request: the same address, headers and credential, no redirects (a key stays with its
//! origin), no proxy. Nothing that was sent or came back is logged.

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::redirect;
use serde::Deserialize;
use shared::config::{Config, Probe, Provider};
use shared::secret::Secret;

/// More than any answer to a probe; what is longer is not read to its end.
const BODY_MAX: usize = 256 * 1024;
const AGENT: &str = concat!("sluice/", env!("CARGO_PKG_VERSION"));

#[derive(Clone)]
pub(crate) struct ProbeClient(reqwest::Client);

#[derive(Debug, thiserror::Error)]
#[error("the client for probes cannot be made: {0}")]
pub(crate) struct ClientError(String);

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Fine {
        /// Prompt and output, where the provider told them.
        tokens: Option<u32>,
    },
    /// In words that hold no secret.
    Failed(String),
    /// The provider answers, but neither that the key works nor that it does not (429, or a request it does not like).
    Unclear(String),
}

/// Whom to ask, and with what.
pub(super) struct Ask<'a> {
    pub(super) provider: &'a Provider,
    pub(super) secret: &'a Secret<String>,
    /// The provider's name of the model, for a chat.
    pub(super) model: &'a str,
}

#[derive(Deserialize)]
struct Chat {
    choices: Vec<serde::de::IgnoredAny>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    total_tokens: Option<u32>,
}

impl ProbeClient {
    pub(crate) fn new(config: &Config) -> Result<Self, ClientError> {
        reqwest::Client::builder()
            .http1_only()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(config.timeouts.connect)
            // A connection that is kept would not notice that the provider is gone.
            .pool_max_idle_per_host(0)
            .retry(reqwest::retry::never())
            .build()
            .map(Self)
            .map_err(|error| ClientError(error.without_url().to_string()))
    }

    /// Sends one probe and judges the answer; within `deadline` in all.
    pub(super) async fn send(&self, ask: &Ask<'_>, deadline: Duration) -> Finding {
        match tokio::time::timeout(deadline, self.find(ask)).await {
            Ok(finding) => finding,
            Err(_) => Finding::Failed(format!("no answer within {deadline:?}")),
        }
    }

    async fn find(&self, ask: &Ask<'_>) -> Finding {
        let probe = &ask.provider.health.probe;
        let is_chat = *probe == Probe::Chat;
        let request = match self.request(ask) {
            Ok(request) => request,
            Err(why) => return Finding::Failed(why),
        };
        let response = match self.0.execute(request).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                return Finding::Failed("cannot connect".to_owned());
            }
            Err(_) => return Finding::Failed("the connection broke".to_owned()),
        };
        let status = response.status();
        let is_unclear = match (status.as_u16(), probe) {
            (429, _) => true,
            // Not every provider has such a list, nor takes such a chat.
            (404 | 405, Probe::Models) | (400 | 422, Probe::Chat) => true,
            _ => false,
        };
        if is_unclear {
            return Finding::Unclear(format!("answers {status}"));
        }
        if !status.is_success() {
            return Finding::Failed(format!("answers {status}"));
        }
        if !is_chat {
            return Finding::Fine { tokens: None };
        }
        // Some answer 200 with an error inside.
        match body(response)
            .await
            .map(|body| serde_json::from_slice(&body))
        {
            Some(Ok(Chat { choices, usage })) if !choices.is_empty() => Finding::Fine {
                tokens: usage.and_then(|usage| usage.total_tokens),
            },
            Some(_) => Finding::Failed("answers 200 with something else than a chat".to_owned()),
            None => Finding::Failed("the answer broke off".to_owned()),
        }
    }

    fn request(&self, ask: &Ask<'_>) -> Result<reqwest::Request, String> {
        let Ask {
            provider,
            secret,
            model,
        } = ask;
        let base_url = &provider.base_url;
        let builder = match &provider.health.probe {
            Probe::Models | Probe::None => self.0.get(format!("{base_url}/models")),
            Probe::Path(path) => {
                let url = url::Url::parse(base_url).and_then(|url| url.join(path));
                self.0.get(url.map_err(|error| error.to_string())?)
            }
            Probe::Chat => {
                self.0
                    .post(format!("{base_url}/chat/completions"))
                    .json(&serde_json::json!({
                        "model": model,
                        "messages": [{ "role": "user", "content": "ping" }],
                        "max_tokens": 1,
                    }))
            }
        };
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        // They win over all others, as in a request.
        for (name, value) in &provider.headers {
            let name = HeaderName::try_from(name.as_str());
            let value = HeaderValue::from_str(value.expose());
            let (Ok(name), Ok(mut value)) = (name, value) else {
                return Err("the provider's `headers` cannot be sent".to_owned());
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        builder
            .bearer_auth(secret.expose())
            .headers(headers)
            .build()
            .map_err(|_| "the request cannot be built".to_owned())
    }
}

async fn body(mut response: reqwest::Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_MAX {
            break;
        }
    }
    Some(body)
}
