//! No bytes make a parser panic, and whatever it takes, it words so that others can read it.
//!
//! Every fixture is mutated again and again, from a fixed seed: for some seconds, or five minutes for each of the three
//! groups with `SLUICE_LONG=1`. An input that makes a test fail is printed as a Rust literal.

#![expect(
    clippy::print_stderr,
    reason = "whoever runs it wants to know how far it came"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dialect::canon::StreamVariant;
use dialect::{
    Ask, Endpoint, Exchange, Overrides, PathFacts, StreamRelay, Target, TokenCounter,
    UpstreamError, inspect_reply, wire,
};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use shared::config::{Capability, Dialect, Manners};

use crate::fixtures::{CLIENTS, facts};
use crate::streams::{observation, relay, translation};

const BRIEF: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(300);

/// Larger ones say nothing new, and take their time.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// What parsers are known to stumble over.
const ODDITIES: [&str; 34] = [
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e999",
    "-1e-999",
    "18446744073709551616",
    "9223372036854775807",
    "4294967296",
    "\"\"",
    "\"x\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\"\\u2028\"",
    "\"data:\"",
    "\"data:image/png;base64,iVBORw0KGgo\"",
    "\"{\\\"a\\\":1}\"",
    "\"assistant\"",
    "\"tool\"",
    "[]",
    "[[]]",
    "[null]",
    "[{}]",
    "{}",
    "{\"\":{}}",
    "{\"type\":\"text\"}",
    "{\"type\":7}",
    "\u{2028}",
    "\n\n",
    "\r\n",
    "data: ",
    "event: error\n",
    "data: [DONE]\n\n",
];

/// Numbers that only look random.
struct Chance(u64);

impl Chance {
    /// Marsaglia's xorshift, which needs no more than not to be zero.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `bound`, or zero.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).expect("a count");
        usize::try_from(self.next() % bound).expect("less than a count")
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A part of `len` bytes, mostly a short one.
    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        let longest = match self.below(4) {
            0 => len - start,
            _ => (len - start).min(16),
        };
        start..start + self.below(longest + 1)
    }
}

/// The fixtures, those of one group apart: they are taken more often.
struct Seeds {
    own: Vec<Vec<u8>>,
    all: Vec<Vec<u8>>,
}

impl Seeds {
    fn of(group: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let mut all = Vec::new();
        collect(&folder, &mut all);
        let mut own = Vec::new();
        collect(&folder.join(group), &mut own);
        assert!(!all.is_empty(), "no fixtures in {}", folder.display());
        if own.is_empty() {
            own.clone_from(&all);
        }
        Self { own, all }
    }

    fn mutated(&self, chance: &mut Chance) -> Vec<u8> {
        let mut input = chance.pick(&self.own).clone();
        for _ in 0..=chance.below(6) {
            let other = chance.pick(&self.all);
            mutate(&mut input, other, chance);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }
}

fn collect(folder: &Path, files: &mut Vec<Vec<u8>>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    for path in paths {
        match path.is_dir() {
            true => collect(&path, files),
            false => files.push(fs::read(&path).expect("a readable file")),
        }
    }
}

fn mutate(input: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let range = chance.range(input.len());
    match chance.below(9) {
        // Flip a bit.
        0 => {
            let at = chance.below(input.len());
            let bit = chance.below(8);
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        // Delete, duplicate, insert.
        1 => drop(input.drain(range)),
        2 => {
            let copy = input[range.clone()].to_vec();
            input.splice(range.end..range.end, copy);
        }
        3 => {
            let byte = u8::try_from(chance.below(256)).expect("a byte");
            input.insert(range.start, byte);
        }
        4 => {
            let oddity = chance.pick(&ODDITIES).bytes();
            input.splice(range.start..range.start, oddity);
        }
        5 => input.truncate(range.start),
        // The beginning of one and the end of another.
        6 => {
            let rest = &other[chance.range(other.len()).start..];
            input.truncate(range.start);
            input.extend_from_slice(rest);
        }
        // Another value where JSON has one, which leaves it JSON.
        _ => replace_value(input, chance),
    }
}

fn replace_value(input: &mut Vec<u8>, chance: &mut Chance) {
    let is_before_value = |byte: u8| matches!(byte, b':' | b'[' | b',');
    let from = chance.below(input.len());
    let found = input[from..].iter().position(|&byte| is_before_value(byte));
    let Some(at) = found else {
        return;
    };
    let start = from + at + 1;
    let rest = &input[start..];
    let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
    if let Some(Ok(IgnoredAny)) = values.next() {
        let end = start + values.byte_offset();
        input.splice(start..end, chance.pick(&ODDITIES).bytes());
    }
}

/// Feeds mutated fixtures to `feed` for as long as the run is to take, and says how many.
fn run(group: &str, feed: impl Fn(&[u8], &mut Chance)) {
    let time = match std::env::var_os("SLUICE_LONG") {
        Some(_) => LONG,
        None => BRIEF,
    };
    let seeds = Seeds::of(group);
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    let mut n_inputs = 0_u64;
    let began = Instant::now();
    while began.elapsed() < time {
        let input = seeds.mutated(&mut chance);
        n_inputs += 1;
        let outcome = catch_unwind(AssertUnwindSafe(|| feed(&input, &mut chance)));
        if let Err(panic) = outcome {
            eprintln!("{group}, input {n_inputs}: b\"{}\"", input.escape_ascii());
            resume_unwind(panic);
        }
    }
    eprintln!("{group}: fed {n_inputs} inputs");
}

#[track_caller]
fn assert_json(output: &[u8], what: &str) {
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(output) {
        panic!("{what} wrote no JSON: {error}: {}", output.escape_ascii());
    }
}

fn overrides(chance: &mut Chance) -> Map<String, Value> {
    let forced = match chance.below(3) {
        0 => json!({"temperature": 0.5, "max_tokens": 9, "stop": ["x"], "reasoning_effort": "low"}),
        1 => json!({"generationConfig": {"topK": 1}, "options": 7, "n": 2, "stream_options": null}),
        _ => json!({}),
    };
    match forced {
        Value::Object(forced) => forced,
        _ => Map::new(),
    }
}

#[test]
fn no_request_makes_a_parser_panic() {
    let counter = TokenCounter::new();
    run("requests", |input, chance| {
        let overrides = Overrides::from(overrides(chance));
        let drop_unsupported = chance.below(2) == 0;
        for endpoint in Endpoint::ALL {
            let path = PathFacts {
                model: (chance.below(2) == 0).then(|| "public".to_owned()),
                is_stream: chance.below(2) == 0,
            };
            let Ok(ask) = Ask::parse(endpoint, path, Bytes::copy_from_slice(input)) else {
                continue;
            };
            let _refused = ask.check();
            ask.needs().missing_in(&[Capability::Text]);
            ask.estimate(&counter, overrides.fields());
            let same = ask.for_same_dialect(Manners::Plain, "upstream", &overrides);
            assert_json(&same, endpoint.name());
            for dialect in Dialect::ALL {
                let target = Target {
                    dialect,
                    manners: Manners::Plain,
                    model: "upstream",
                    overrides: &overrides,
                    drop_unsupported,
                };
                if let Ok(exchange) = Exchange::new(&ask, StreamVariant::Usual, &target) {
                    assert_json(exchange.body(), dialect.name());
                }
            }
        }
    });
}

#[test]
fn no_reply_makes_a_parser_panic() {
    run("replies", |input, _| {
        for dialect in Dialect::ALL {
            let _vectors = wire::read_embedding_reply(dialect, input);
            let Ok(reply) = wire::read_reply(dialect, Manners::Plain, input) else {
                continue;
            };
            for (name, endpoint) in CLIENTS {
                let output = wire::write_reply(endpoint, reply.clone(), &facts(endpoint));
                assert_json(&output, name);
            }
        }
        for endpoint in Endpoint::ALL {
            let inspected = inspect_reply(endpoint, input);
            inspected.completion_tokens_estimate(&TokenCounter::new());
        }
        let _error = UpstreamError::parse(input);
    });
}

#[test]
fn no_stream_makes_a_parser_panic_or_depends_on_its_splits() {
    run("streams", |input, chance| {
        let (head, tail) = input.split_at(chance.below(input.len() + 1));
        let check = |begin: &dyn Fn() -> StreamRelay, what: &str| {
            let whole = relay(begin(), [input]);
            let split = relay(begin(), [head, tail]);
            assert_eq!(split, whole, "{what}, split at {}", head.len());
        };
        for dialect in Dialect::ALL {
            check(&|| observation(dialect), dialect.name());
            // One of them at a time leaves more time for other inputs.
            let (name, endpoint) = *chance.pick(&CLIENTS);
            let what = format!("{} for {name}", dialect.name());
            check(&|| translation(dialect, endpoint), &what);
        }
        for endpoint in [Endpoint::ChatCompletions, Endpoint::Completions] {
            let keep_usage_chunk = chance.below(2) == 0;
            let scan = || {
                let last_word = wire::writer(endpoint, facts(endpoint));
                StreamRelay::scan(endpoint, keep_usage_chunk, 1, last_word)
            };
            check(&scan, endpoint.name());
        }
    });
}
