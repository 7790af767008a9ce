//! Which account made which response, as far as this replica has seen it. It only orders the accounts that are asked:
//! what is forgotten, or was made by another replica, is found all the same.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memchr::memmem;

/// How many responses are remembered, at some hundred bytes each.
const RESPONSES_MAX: usize = 4096;

/// How far into an answer its id is looked for: the first field of a body, or of a stream's first event.
const HEAD_MAX: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct ResponseMemory {
    hasher: RandomState,
    /// Never held across an await.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The account's label by the id's hash: a wrong one would only be asked in vain.
    accounts: HashMap<u64, Arc<str>>,
    oldest_first: VecDeque<u64>,
}

impl ResponseMemory {
    /// Notes the id at the beginning of an answer, body or stream, that `account` gave.
    pub(crate) fn note(&self, head: &[u8], account: &Arc<str>) {
        let Some(id) = id_in(head) else {
            return;
        };
        let hash = self.hasher.hash_one(id);
        let mut known = self.lock();
        if known.accounts.insert(hash, Arc::clone(account)).is_some() {
            return;
        }
        known.oldest_first.push_back(hash);
        if known.oldest_first.len() > RESPONSES_MAX
            && let Some(oldest) = known.oldest_first.pop_front()
        {
            known.accounts.remove(&oldest);
        }
    }

    pub(crate) fn account_of(&self, id: &str) -> Option<Arc<str>> {
        let hash = self.hasher.hash_one(id.as_bytes());
        self.lock().accounts.get(&hash).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id_in(head: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"\"id\"";

    let head = head.get(..HEAD_MAX).unwrap_or(head);
    let after = head.get(memmem::find(head, NAME)? + NAME.len()..)?;
    let value = after.trim_ascii_start().strip_prefix(b":")?;
    let value = value.trim_ascii_start().strip_prefix(b"\"")?;
    value.get(..memchr::memchr(b'"', value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_in_a_body_and_in_a_first_event() {
        let check = |head: &str, expected: Option<&str>| {
            assert_eq!(
                id_in(head.as_bytes()),
                expected.map(str::as_bytes),
                "{head}"
            );
        };

        check(r#"{"id":"resp_1","object":"response"}"#, Some("resp_1"));
        check("{\n  \"id\": \"resp_1\",", Some("resp_1"));
        check(
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"",
            Some("resp_1"),
        );
        check(r#"{"id":"resp_"#, None);
        check(r#"{"id":null}"#, None);
        check("", None);
    }

    #[test]
    fn only_so_many_are_remembered_and_the_oldest_are_forgotten() {
        let memory = ResponseMemory::default();
        let account: Arc<str> = "openai/main".into();

        for number in 0..=RESPONSES_MAX {
            memory.note(format!(r#"{{"id":"resp_{number}"}}"#).as_bytes(), &account);
        }

        assert_eq!(memory.account_of("resp_0"), None);
        assert_eq!(memory.account_of("resp_1"), Some(account));
        assert_eq!(memory.lock().accounts.len(), RESPONSES_MAX);
    }
}
