//! `POST /v1/responses`, and those that it stores.

mod input;
mod reply;
mod request;
mod stored;
mod stream;

pub(super) use self::reply::body;
pub(super) use self::request::{ResponsesForm, read, read_count};
pub(super) use self::stored::{StoredPage, StoredResponses};
pub(super) use self::stream::Writer;

/// What an answer's thoughts are sealed with: they are no part of what is shown of them.
fn encrypted_content() -> String {
    crate::signature::of("responses", "")
}

fn response_id(id: u64) -> String {
    format!("resp_{id:048x}")
}

/// The id of the item at `index`, which begins with its kind.
fn item_id(prefix: &str, id: u64, index: usize) -> String {
    format!("{prefix}_{id:046x}{index:02}")
}
