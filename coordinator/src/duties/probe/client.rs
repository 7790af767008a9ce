//! The HTTP client of probes; the only place that knows `reqwest`.
//!
//! A probe goes the way of a request: the same address, headers and credential, no redirects (a key stays with its
//! origin), no proxy. Nothing that was sent or came back is logged.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use dialect::canon::{AnswerFacts, StreamVariant};
use dialect::{Endpoint, Exchange, Overrides, PathFacts, Target, TokenCounter, Usage};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::redirect;
use shared::config::{Config, Dialect, Probe, Provider};
use shared::secret::Secret;
use shared::time::{Clock as _, SystemClock};

/// More than any answer to a probe; what is longer is not read to its end.
const BODY_MAX: usize = 256 * 1024;
const AGENT: &str = concat!("sluice/", env!("CARGO_PKG_VERSION"));

#[derive(Clone)]
pub(crate) struct ProbeClient {
    client: reqwest::Client,
    /// What signatures are dated by.
    clock: Arc<SystemClock>,
}

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

/// What a probe sends.
struct Letter {
    request: reqwest::Request,
    /// How to read the answer; `None` where its status says enough.
    exchange: Option<Exchange>,
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
            .map(|client| Self {
                client,
                clock: Arc::new(SystemClock::start()),
            })
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
        let letter = match self.letter(ask) {
            Ok(letter) => letter,
            Err(why) => return Finding::Failed(why),
        };
        let response = match self.client.execute(letter.request).await {
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
        let Some(exchange) = letter.exchange else {
            return Finding::Fine { tokens: None };
        };
        // Some answer 200 with an error inside.
        let Some(body) = body(response).await else {
            return Finding::Failed("the answer broke off".to_owned());
        };
        let answered = exchange.answer(
            body.into(),
            AnswerFacts::default(),
            &TokenCounter::default(),
        );
        match answered {
            Ok(answered) => Finding::Fine {
                tokens: answered.usage.map(Usage::total),
            },
            Err(_) => Finding::Failed("answers 200 with something else than a chat".to_owned()),
        }
    }

    fn letter(&self, ask: &Ask<'_>) -> Result<Letter, String> {
        let provider = ask.provider;
        let base_url = &provider.base_url;
        let api_version = provider.api_version.as_deref();
        match &provider.health.probe {
            Probe::Models | Probe::None => {
                let (dialect, manners) = (provider.dialect, provider.manners);
                match manners::models_path(dialect, manners, api_version, base_url) {
                    Some(path) => self.list(ask, format!("{base_url}{path}")),
                    None => Err("the provider has no list of models".to_owned()),
                }
            }
            Probe::Path(path) => {
                let url = url::Url::parse(base_url).and_then(|url| url.join(path));
                let url = url.map_err(|error| error.to_string())?;
                self.list(ask, url.to_string())
            }
            Probe::Chat => self.chat(ask),
        }
    }

    fn list(&self, ask: &Ask<'_>, url: String) -> Result<Letter, String> {
        let headers = self.headers(ask, &url, &[])?;
        let request = self.client.get(url).headers(headers).build();
        Ok(Letter {
            request: request.map_err(|_| "the request cannot be built".to_owned())?,
            exchange: None,
        })
    }

    /// As few tokens as the provider takes, in its own words.
    fn chat(&self, ask: &Ask<'_>) -> Result<Letter, String> {
        let provider = ask.provider;
        let max_tokens = match provider.dialect {
            Dialect::OpenaiResponses => 16,
            _ => 1,
        };
        let question = serde_json::json!({
            "model": ask.model,
            "messages": [{ "role": "user", "content": "ping" }],
            "max_tokens": max_tokens,
        });
        let target = Target {
            dialect: provider.dialect,
            manners: provider.manners,
            model: ask.model,
            overrides: &Overrides::default(),
            drop_unsupported: true,
        };
        let exchange = dialect::Ask::parse(
            Endpoint::ChatCompletions,
            PathFacts::default(),
            question.to_string().into(),
        )
        .and_then(|question| Exchange::new(&question, StreamVariant::Usual, &target))
        .map_err(|error| error.message)?;
        let path = manners::path(&manners::Place {
            base_url: &provider.base_url,
            endpoint: exchange.upstream(),
            manners: provider.manners,
            api_version: provider.api_version.as_deref(),
            model: ask.model,
            is_stream: false,
            variant: StreamVariant::Usual,
        });
        let url = format!("{}{path}", provider.base_url);
        let headers = self.headers(ask, &url, exchange.body())?;
        let request = self
            .client
            .post(url)
            .headers(headers)
            .header(CONTENT_TYPE, "application/json")
            .body(exchange.body().clone())
            .build();
        Ok(Letter {
            request: request.map_err(|_| "the request cannot be built".to_owned())?,
            exchange: Some(exchange),
        })
    }

    fn headers(&self, ask: &Ask<'_>, url: &str, body: &[u8]) -> Result<HeaderMap, String> {
        let provider = ask.provider;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let now = UNIX_EPOCH + Duration::from_millis(self.clock.now_ms().unsigned_abs());
        let outgoing = manners::Outgoing {
            dialect: provider.dialect,
            manners: provider.manners,
            secret: ask.secret,
            url,
            body,
            client_headers: &HeaderMap::new(),
            is_faithful: false,
            now,
        };
        manners::authorize(&mut headers, &outgoing).map_err(|error| error.to_string())?;
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
        Ok(headers)
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
