//! What is wrong with a request, in the words of its API.

use http::StatusCode;

use crate::api::dialect::Dialect;
use crate::fields::{Invalid, Problem};

/// The message, and OpenAI's code for it.
pub(super) fn of(invalid: &Invalid, dialect: Dialect) -> (String, Option<&'static str>) {
    match dialect {
        Dialect::OpenAi | Dialect::Azure => openai(invalid),
        Dialect::Anthropic => (anthropic(invalid), None),
        Dialect::Gemini | Dialect::GeminiArray => (gemini(invalid), None),
        Dialect::Ollama => (ollama(invalid), None),
        Dialect::Bedrock => (bedrock(invalid), None),
    }
}

pub(super) fn no_key(dialect: Dialect) -> (StatusCode, &'static str) {
    match dialect {
        Dialect::OpenAi => (
            StatusCode::UNAUTHORIZED,
            "You didn't provide an API key. You need to provide your API key in an Authorization header \
             using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        ),
        Dialect::Azure => (
            StatusCode::UNAUTHORIZED,
            "Access denied due to missing subscription key. Make sure to include subscription key when making \
             requests to an API.",
        ),
        Dialect::Anthropic => (StatusCode::UNAUTHORIZED, "x-api-key header is required"),
        Dialect::Gemini | Dialect::GeminiArray => (
            StatusCode::FORBIDDEN,
            "Method doesn't allow unregistered callers (callers without established identity). Please use API \
             Key or other form of API consumer identity to call this API.",
        ),
        Dialect::Ollama => (StatusCode::UNAUTHORIZED, "unauthorized"),
        Dialect::Bedrock => (StatusCode::FORBIDDEN, "Missing Authentication Token"),
    }
}

/// The status, the message and the code.
pub(super) fn unknown_key(secret: &str, dialect: Dialect) -> (StatusCode, String, &'static str) {
    let (status, message, code) = match dialect {
        Dialect::OpenAi => {
            let shown: String = secret.chars().take(3).collect();
            let message = format!(
                "Incorrect API key provided: {shown}***. You can find your API key at https://platform.openai.com/account/api-keys."
            );
            return (StatusCode::UNAUTHORIZED, message, "invalid_api_key");
        }
        Dialect::Azure => (
            StatusCode::UNAUTHORIZED,
            "Access denied due to invalid subscription key or wrong API endpoint.",
            "401",
        ),
        Dialect::Anthropic => (
            StatusCode::UNAUTHORIZED,
            "invalid x-api-key",
            "invalid_api_key",
        ),
        Dialect::Gemini | Dialect::GeminiArray => (
            StatusCode::BAD_REQUEST,
            "API key not valid. Please pass a valid API key.",
            "API_KEY_INVALID",
        ),
        Dialect::Ollama => (StatusCode::UNAUTHORIZED, "unauthorized", "unauthorized"),
        Dialect::Bedrock => (
            StatusCode::FORBIDDEN,
            "The security token included in the request is invalid.",
            "UnrecognizedClientException",
        ),
    };
    (status, message.to_owned(), code)
}

fn openai(Invalid { path, problem }: &Invalid) -> (String, Option<&'static str>) {
    match problem {
        Problem::NotJson(reason) => (
            format!("We could not parse the JSON body of your request: {reason}."),
            None,
        ),
        Problem::Unknown => (
            format!("Unknown parameter: '{path}'."),
            Some("unknown_parameter"),
        ),
        Problem::Missing => (
            format!("Missing required parameter: '{path}'."),
            Some("missing_required_parameter"),
        ),
        Problem::Wrong(expected) => (
            format!("Invalid value for '{path}': expected {expected}."),
            Some("invalid_value"),
        ),
        Problem::Against(rule) => (format!("Invalid parameter: {rule}"), None),
    }
}

/// Places are `messages.0.content`.
fn anthropic(Invalid { path, problem }: &Invalid) -> String {
    let path = path.replace('[', ".").replace(']', "");
    match problem {
        Problem::NotJson(reason) => {
            format!("The request body is not valid JSON: {reason}")
        }
        Problem::Unknown => format!("{path}: Extra inputs are not permitted"),
        Problem::Missing => format!("{path}: Field required"),
        Problem::Wrong(expected) => format!("{path}: Input should be {expected}"),
        Problem::Against(rule) => format!("{path}: {rule}"),
    }
}

fn gemini(Invalid { path, problem }: &Invalid) -> String {
    match problem {
        Problem::NotJson(reason) => format!("Invalid JSON payload received. {reason}"),
        Problem::Unknown => {
            let (place, name) = path.rsplit_once('.').unwrap_or(("", path));
            let place = match place {
                "" => String::new(),
                _ => format!(" at '{place}'"),
            };
            format!(
                "Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."
            )
        }
        Problem::Missing => format!("* {path}: is not specified"),
        Problem::Wrong(expected) => format!("Invalid value at '{path}': expected {expected}"),
        Problem::Against(rule) => match path.is_empty() {
            true => rule.clone(),
            false => format!("* {path}: {rule}"),
        },
    }
}

fn ollama(Invalid { path, problem }: &Invalid) -> String {
    match problem {
        Problem::NotJson(reason) => reason.clone(),
        Problem::Unknown => format!("unknown field {path}"),
        Problem::Missing => format!("{path} is required"),
        Problem::Wrong(expected) => format!("invalid {path}: expected {expected}"),
        Problem::Against(rule) => match path.is_empty() {
            true => rule.clone(),
            false => format!("invalid {path}: {rule}"),
        },
    }
}

fn bedrock(Invalid { path, problem }: &Invalid) -> String {
    match problem {
        Problem::NotJson(reason) => format!("The request body is not valid JSON: {reason}"),
        Problem::Unknown => {
            format!("Malformed input request: #: extraneous key [{path}] is not permitted")
        }
        Problem::Missing => {
            format!(
                "1 validation error detected: Value at '{path}' failed to satisfy constraint: Member must not be null"
            )
        }
        Problem::Wrong(expected) => {
            format!(
                "1 validation error detected: Value at '{path}' failed to satisfy constraint: Member must be {expected}"
            )
        }
        Problem::Against(rule) => match path.is_empty() {
            true => rule.clone(),
            false => format!("The value at {path} is invalid: {rule}"),
        },
    }
}
