//! Responses that were stored, by id. Each key is an account of its own: another's responses do not exist for it.
//!
//! The oracle counts what is asked of them as probes: no limit counts it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Method, StatusCode, request};
use serde_json::{Value, json};

use crate::answer::{Answer, Cursor};
use crate::api::Simulator;
use crate::api::dialect::Addressee;
use crate::api::errors::ApiError;
use crate::api::form::EVENTS;
use crate::api::query;
use crate::connection::ConnectionReset;
use crate::reply::{self, Reply};
use crate::stream::StreamWriter as _;

use super::reply::{finished, response};
use super::request::ResponsesForm;
use super::{Writer, item_id, response_id};

/// The oldest are forgotten.
const RESPONSES_MAX: usize = 10_000;

/// What may be asked about a response, and about its items.
const RESPONSE_FIELDS: [&str; 5] = [
    "include",
    "include[]",
    "include_obfuscation",
    "starting_after",
    "stream",
];
const ITEM_FIELDS: [&str; 6] = ["after", "before", "include", "include[]", "limit", "order"];

/// An address below `/responses/`.
#[derive(Clone, Debug)]
pub(in crate::api) struct StoredPage<'a> {
    id: Cow<'a, str>,
    /// What follows the id.
    action: &'a str,
}

#[derive(Debug, Default)]
pub(in crate::api) struct StoredResponses {
    responses: Mutex<VecDeque<Stored>>,
}

#[derive(Clone, Debug)]
struct Stored {
    account: String,
    id: String,
    /// When all is said.
    finished: Value,
    /// Until `ready_us`.
    begun: Value,
    ready_us: u64,
    is_background: bool,
    is_cancelled: bool,
    /// Of one that was asked for as a stream, in the background.
    events: Vec<Bytes>,
    items: Vec<Value>,
}

impl<'a> StoredPage<'a> {
    /// `rest` follows `/responses/`.
    pub(in crate::api) fn of(rest: &'a str) -> Self {
        let (id, action) = rest.split_once('/').unwrap_or((rest, ""));
        Self {
            id: query::decoded(id),
            action,
        }
    }
}

impl StoredResponses {
    /// Notes who asks, and checks that what it goes on from is there.
    pub(in crate::api) fn admit(
        &self,
        form: &mut ResponsesForm,
        account: &str,
    ) -> Result<(), ApiError> {
        form.account = account.to_owned();
        match &form.previous {
            Some(id) if !self.has(account, id) => Err(ApiError::no_previous_response(id)),
            _ => Ok(()),
        }
    }

    /// Stores `answer`, unless it was asked not to; it is finished at `ready_us`.
    pub(in crate::api) fn keep(&self, form: &ResponsesForm, answer: &Answer, ready_us: u64) {
        if !form.is_stored {
            return;
        }
        let has_events = form.is_background && form.is_stream;
        let stored = Stored {
            account: form.account.clone(),
            id: response_id(answer.id),
            finished: finished(form, answer),
            begun: response(form, answer, "in_progress", &json!([])),
            ready_us,
            is_background: form.is_background,
            is_cancelled: false,
            events: match has_events {
                true => events(form, answer),
                false => Vec::new(),
            },
            items: items(&form.input, answer.id),
        };
        let mut responses = self.lock();
        responses.push_back(stored);
        if responses.len() > RESPONSES_MAX {
            responses.pop_front();
        }
    }

    fn has(&self, account: &str, id: &str) -> bool {
        self.lock().iter().any(|stored| stored.is(account, id))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Stored>> {
        self.responses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stored {
    fn is(&self, account: &str, id: &str) -> bool {
        self.account == account && self.id == id
    }

    /// As it is at `now_us`.
    fn at(&self, now_us: u64) -> Value {
        let mut response = match now_us >= self.ready_us && !self.is_cancelled {
            true => self.finished.clone(),
            false => self.begun.clone(),
        };
        if self.is_cancelled {
            response["status"] = "cancelled".into();
        }
        response
    }
}

impl Simulator {
    /// Answers a request about a stored response.
    pub(in crate::api) fn stored(
        &self,
        addressee: Addressee,
        page: &StoredPage<'_>,
        head: &request::Parts,
    ) -> Result<Reply, ConnectionReset> {
        self.as_probe(addressee, head, |secret| {
            let told = self.tell(page, head, secret);
            told.unwrap_or_else(|error| error.into_reply(addressee))
        })
    }

    fn tell(
        &self,
        page: &StoredPage<'_>,
        head: &request::Parts,
        account: &str,
    ) -> Result<Reply, ApiError> {
        let id = &*page.id;
        let known: &[&str] = match (&head.method, page.action) {
            (&Method::GET, "") => &RESPONSE_FIELDS,
            (&Method::GET, "input_items") => &ITEM_FIELDS,
            (&Method::DELETE, "") | (&Method::POST, "cancel") => &[],
            (_, "" | "input_items" | "cancel") => return Err(ApiError::method_not_allowed(head)),
            _ => return Err(ApiError::no_such_url(head)),
        };
        check_query(head, known)?;
        if !id.starts_with("resp") {
            let message =
                format!("Invalid 'response_id': '{id}'. Expected an ID that begins with 'resp'.");
            return Err(ApiError::against("response_id", message));
        }
        let now_us = self.clock.now_us();
        let mut responses = self.responses.lock();
        let mut places = responses.iter();
        let Some(place) = places.position(|stored| stored.is(account, id)) else {
            return Err(ApiError::no_response(id));
        };
        let Some(stored) = responses.get_mut(place) else {
            return Err(ApiError::no_response(id));
        };
        let field = |name| query::field(head.uri.query(), name);
        let told = match (&head.method, page.action) {
            (&Method::DELETE, _) => {
                responses.remove(place);
                json!({"id": id, "object": "response", "deleted": true})
            }
            (&Method::POST, _) if !stored.is_background => {
                let message = "Cannot cancel a synchronous response.".to_owned();
                return Err(ApiError::invalid_request(message));
            }
            (&Method::POST, _) => {
                stored.is_cancelled |= now_us < stored.ready_us;
                stored.at(now_us)
            }
            (_, "input_items") => listed(&stored.items, &field),
            _ if field("stream").as_deref() == Some("true") => {
                let after = field("starting_after").and_then(|it| it.parse::<usize>().ok());
                return stored.replay(after.map_or(0, |after| after + 1));
            }
            _ => stored.at(now_us),
        };
        Ok(reply::json(StatusCode::OK, &told))
    }
}

impl Stored {
    /// The events from the one with this number on.
    fn replay(&self, first: usize) -> Result<Reply, ApiError> {
        if self.events.is_empty() {
            let message = "This response cannot be streamed because it was not created with stream=true and background=true.";
            return Err(ApiError::against("stream", message.to_owned()));
        }
        let events = self.events.get(first..).unwrap_or_default().concat();
        Ok(reply::with_bytes(
            StatusCode::OK,
            EVENTS,
            events.into(),
            None,
        ))
    }
}

/// Nothing but what is known, and Azure's version, may be asked: least of all a credential that was meant for another.
fn check_query(head: &request::Parts, known: &[&str]) -> Result<(), ApiError> {
    let pairs = head.uri.query().unwrap_or_default().split('&');
    let mut names = pairs
        .map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name))
        .map(query::decoded);
    let unknown = names.find(|name| {
        let name = &**name;
        !name.is_empty() && name != "api-version" && !known.contains(&name)
    });
    match unknown {
        Some(name) => Err(ApiError::against(
            &name,
            format!("Unknown query parameter: '{name}'."),
        )),
        None => Ok(()),
    }
}

fn listed<'q>(items: &[Value], field: &impl Fn(&'static str) -> Option<Cow<'q, str>>) -> Value {
    let limit = field("limit").and_then(|limit| limit.parse().ok());
    let limit = limit.unwrap_or(20_usize);
    let mut data = items.to_vec();
    if field("order").as_deref() != Some("asc") {
        data.reverse();
    }
    let has_more = data.len() > limit;
    data.truncate(limit);
    let id_of = |item: Option<&Value>| item.map(|item| item["id"].clone());
    json!({
        "object": "list",
        "first_id": id_of(data.first()),
        "last_id": id_of(data.last()),
        "has_more": has_more,
        "data": data,
    })
}

/// The items of an input, whole: with ids, types and lists of parts.
fn items(input: &Value, id: u64) -> Vec<Value> {
    let text = json!([{"role": "user", "content": input}]);
    let given = input.as_array().or(text.as_array());
    let mut items = given.cloned().unwrap_or_default();
    for (index, item) in items.iter_mut().enumerate() {
        if item.get("type").is_none() {
            item["type"] = "message".into();
        }
        if item["content"].is_string() {
            let kind = match item["role"] == "assistant" {
                true => "output_text",
                false => "input_text",
            };
            item["content"] = json!([{"type": kind, "text": item["content"]}]);
        }
        if item.get("id").is_none() {
            item["id"] = item_id("msg", id, 50 + index).into();
        }
        item["status"] = "completed".into();
    }
    items
}

/// Each event of the stream that was told.
fn events(form: &ResponsesForm, answer: &Answer) -> Vec<Bytes> {
    let mut writer = Writer::new(form);
    let mut out = Vec::new();
    writer.open(answer, &mut out);
    let mut cursor = Cursor::default();
    while let Some(piece) = answer.next_piece(&mut cursor) {
        writer.piece(answer, &piece, &mut out);
    }
    writer.end(answer, &mut out);
    let text = String::from_utf8_lossy(&out);
    let events = text.split_inclusive("\n\n");
    events.map(|event| Bytes::from(event.to_owned())).collect()
}
