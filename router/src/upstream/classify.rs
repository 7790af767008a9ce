//! What a provider's refusal says about its key, and about the request.
//!
//! Tables, asked in this order: beginnings of messages (of providers that have no word for it), words in the body that
//! mean one thing whatever the status, and statuses.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::FailureClass::{
    self, BadAnswer, BadRequest, Exhausted, KeyRejected, Misconfigured, Overloaded, RateLimited,
    ServerError, TimedOut, TooLargeHere, UnknownHere,
};
use super::moment::Now;
use dialect::UpstreamError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disposition {
    pub class: FailureClass,
    /// When the provider said to come back; only where waiting helps.
    pub retry_after: Option<Duration>,
}

/// Words in an error's code, reason or type. The code is asked first: a type may lag behind it.
const WORDS: [(&str, FailureClass); 70] = [
    // No money. Providers send these with 429, 402, 403 and 400.
    ("insufficient_quota", Exhausted),
    ("credit_balance_exhausted", Exhausted),
    ("billing_error", Exhausted),
    ("billing_hard_limit_reached", Exhausted),
    ("billing_not_active", Exhausted),
    ("payment_required", Exhausted),
    ("enforced_spend_limit_reached", Exhausted),
    ("contract_spend_limit_reached", Exhausted),
    ("exceeded_current_quota_error", Exhausted),
    ("insufficient_balance", Exhausted),
    ("Arrearage", Exhausted),
    ("AccountOverdueError", Exhausted),
    // Zhipu: arrears, and a plan that has run out.
    ("1113", Exhausted),
    ("1309", Exhausted),
    // The key.
    ("invalid_api_key", KeyRejected),
    ("API_KEY_INVALID", KeyRejected),
    ("account_deactivated", KeyRejected),
    ("1000", KeyRejected),
    ("1001", KeyRejected),
    ("1002", KeyRejected),
    ("1003", KeyRejected),
    ("1004", KeyRejected),
    ("1110", KeyRejected),
    ("1111", KeyRejected),
    ("1112", KeyRejected),
    // The rate. Zhipu: concurrency, rate, and what an account may have per day, week or month.
    ("rate_limit_exceeded", RateLimited),
    ("rpm_rate_limit_exceeded", RateLimited),
    ("tpm_rate_limit_exceeded", RateLimited),
    ("ramp_limit_exceeded", RateLimited),
    ("slow_down", RateLimited),
    ("capacity_exceeded", RateLimited),
    ("RESOURCE_EXHAUSTED", RateLimited),
    ("1302", RateLimited),
    ("1303", RateLimited),
    ("1304", RateLimited),
    ("1308", RateLimited),
    ("1310", RateLimited),
    // Bedrock: a quota of the account, which is a 400 there.
    ("ServiceQuotaExceededException", RateLimited),
    ("ThrottlingException", RateLimited),
    ("UnrecognizedClientException", KeyRejected),
    ("InvalidSignatureException", KeyRejected),
    ("ExpiredTokenException", KeyRejected),
    // The provider.
    ("ModelNotReadyException", Overloaded),
    ("server_is_overloaded", Overloaded),
    ("1305", Overloaded),
    ("1312", Overloaded),
    // Stored responses live in one account each, and sealed thoughts can be read in one.
    ("previous_response_not_found", UnknownHere),
    ("invalid_encrypted_content", UnknownHere),
    // The name or the right of this one model; the key's other models are well.
    ("model_not_found", Misconfigured),
    ("AccessDeniedException", Misconfigured),
    ("DeploymentNotFound", Misconfigured),
    ("invalid_model", Misconfigured),
    ("model_not_available", Misconfigured),
    ("unknown_url", Misconfigured),
    ("1211", Misconfigured),
    ("1220", Misconfigured),
    // The request.
    ("content_filter", BadRequest),
    ("content_policy_violation", BadRequest),
    ("ResponsibleAIPolicyViolation", BadRequest),
    ("data_inspection_failed", BadRequest),
    ("moderation_blocked", BadRequest),
    ("context_length_exceeded", BadRequest),
    ("string_above_max_length", BadRequest),
    ("request_too_large", BadRequest),
    ("invalid_prompt", BadRequest),
    ("ValidationException", BadRequest),
    ("invalid_value", BadRequest),
    ("missing_required_parameter", BadRequest),
    ("1261", BadRequest),
    ("1301", BadRequest),
];

/// Types that say no more than a status does: they count where none is told, as in the middle of a stream.
const KINDS: [(&str, FailureClass); 9] = [
    ("authentication_error", KeyRejected),
    ("permission_error", KeyRejected),
    ("rate_limit_error", RateLimited),
    ("overloaded_error", Overloaded),
    ("UNAVAILABLE", Overloaded),
    ("timeout_error", TimedOut),
    ("DEADLINE_EXCEEDED", TimedOut),
    ("api_error", ServerError),
    ("server_error", ServerError),
];

/// How messages begin. Only the beginning is asked: further on, an error may quote the request, and no request may
/// choose how its key is judged.
const MESSAGES: [(&str, FailureClass); 6] = [
    ("API key not valid", KeyRejected),
    ("Your credit balance is too low", Exhausted),
    (
        "You have reached your specified API usage limits",
        Exhausted,
    ),
    ("Key limit exceeded", Exhausted),
    ("Insufficient Balance", Exhausted),
    ("Request too large for", TooLargeHere),
];

/// What is left when no word decides; what is not here is [`BadRequest`] below 500 and [`ServerError`] from there.
const STATUSES: [(u16, FailureClass); 13] = [
    (401, KeyRejected),
    (402, Exhausted),
    (403, KeyRejected),
    (407, BadAnswer),
    (408, TimedOut),
    // Of providers that are proxies themselves: a connection that was not theirs, not ready, failed behind them.
    (421, ServerError),
    (424, ServerError),
    (425, ServerError),
    // Zhipu: no right to this API.
    (434, KeyRejected),
    (429, RateLimited),
    // Groq: no capacity in the flex tier.
    (498, RateLimited),
    (503, Overloaded),
    (529, Overloaded),
];

/// A quota of the day, where the provider does not say when it ends.
const DAILY_RETRY: Duration = Duration::from_secs(60 * 60);

/// Zhipu's caps per day, week or month.
const LONG_CAPS: [&str; 3] = ["1304", "1308", "1310"];

/// Classifies a refusal by its status and its body.
///
/// `body` may be cut short: then the status alone decides. `kind` and `retry_after` are what the headers said.
pub fn classify(
    status: StatusCode,
    body: &[u8],
    kind: Option<&str>,
    retry_after: Option<Duration>,
) -> Disposition {
    let mut error = UpstreamError::parse(body);
    if let Some(kind) = kind {
        let error = error.get_or_insert_default();
        error.kind.get_or_insert_with(|| kind.to_owned());
    }
    let class = error
        .as_ref()
        .and_then(|error| by_words(status, error))
        .unwrap_or_else(|| by_status(status, body, error.as_ref()));
    dispose(class, error.as_ref(), retry_after)
}

/// Classifies an error that came under status 200: the status that it names counts, if it names one.
pub fn classify_error(error: &UpstreamError) -> Disposition {
    let named = error
        .status
        .and_then(|named| StatusCode::from_u16(named).ok());
    let status = named.unwrap_or(StatusCode::OK);
    let class = by_words(status, error).unwrap_or_else(|| match named {
        Some(status) => by_status(status, &[], Some(error)),
        None => by_kind(error),
    });
    dispose(class, Some(error), None)
}

fn by_words(status: StatusCode, error: &UpstreamError) -> Option<FailureClass> {
    let began = MESSAGES
        .iter()
        .find(|(beginning, _)| error.message.starts_with(beginning));
    if let Some((_, class)) = began {
        return Some(*class);
    }
    if is_without_quota(error) {
        return Some(Misconfigured);
    }
    let words = [&error.code, &error.reason, &error.kind];
    let class = words
        .into_iter()
        .flatten()
        .find_map(|word| look_up(&WORDS, word))?;
    // Groq answers a request above the tokens per minute as one that is too large, which it is: for this key.
    let is_too_large = status == StatusCode::PAYLOAD_TOO_LARGE && class == RateLimited;
    Some(if is_too_large { TooLargeHere } else { class })
}

fn by_status(status: StatusCode, body: &[u8], error: Option<&UpstreamError>) -> FailureClass {
    let number = status.as_u16();
    match number {
        404 if error.is_none_or(names_a_model) => return Misconfigured,
        // The page of a firewall before the provider, which has not seen the key.
        403 if body.trim_ascii_start().starts_with(b"<") => return BadAnswer,
        403 if error.is_some_and(blames_the_prompt) => return BadRequest,
        _ => {}
    }
    let known = STATUSES.iter().find(|(known, _)| *known == number);
    match known {
        Some((_, class)) => *class,
        None if status.is_client_error() => BadRequest,
        None if status.is_server_error() => ServerError,
        // Redirects are not followed: the base URL is wrong, not the request.
        None => BadAnswer,
    }
}

fn by_kind(error: &UpstreamError) -> FailureClass {
    let kind = error.kind.as_deref();
    kind.and_then(|kind| look_up(&KINDS, kind))
        .unwrap_or(BadAnswer)
}

fn look_up(table: &[(&str, FailureClass)], word: &str) -> Option<FailureClass> {
    let (_, class) = table.iter().find(|(known, _)| *known == word)?;
    Some(*class)
}

fn dispose(
    class: FailureClass,
    error: Option<&UpstreamError>,
    retry_after: Option<Duration>,
) -> Disposition {
    let retry_after = match class {
        RateLimited => retry_after.or_else(|| error.and_then(retry_in_body)),
        Overloaded | ServerError | TimedOut => retry_after,
        _ => None,
    };
    Disposition { class, retry_after }
}

/// What Google's and Zhipu's bodies say of when to come back; others say it in headers.
fn retry_in_body(error: &UpstreamError) -> Option<Duration> {
    // A duration, so no date is needed.
    let now = Now::of(&HeaderMap::new());
    let delay = error
        .retry_delay
        .as_deref()
        .and_then(|delay| now.until(delay));
    let is_daily = error
        .quota
        .as_ref()
        .is_some_and(|quota| quota.contains("PerDay"));
    let is_long = error
        .code
        .as_deref()
        .is_some_and(|code| LONG_CAPS.contains(&code));
    delay.or_else(|| (is_daily || is_long).then_some(DAILY_RETRY))
}

/// Google's way to say that a project may not use this model at all.
fn is_without_quota(error: &UpstreamError) -> bool {
    let is_google = error.kind.as_deref() == Some("RESOURCE_EXHAUSTED");
    is_google && error.message.contains("limit: 0,")
}

/// Whether something not found is the model, for which only our file can be to blame.
fn names_a_model(error: &UpstreamError) -> bool {
    error.message.to_lowercase().contains("model")
}

/// `OpenRouter` answers 403 where its moderation flagged the prompt.
fn blames_the_prompt(error: &UpstreamError) -> bool {
    let message = error.message.to_lowercase();
    message.contains("moderation") || message.contains("flagged")
}

#[cfg(test)]
mod tests;
