//! What a translation costs: CPU microseconds for a chat's request and answer of 4 KB each, and for each chunk of a
//! stream, between every client's dialect and every upstream's; and what it costs to pass bytes through.
//!
//! Each figure is the least of several runs, so that a busy machine counts as little as possible. Ends with 1 if one is
//! over its bound, or if a pair cannot be measured because the one cannot be told to the other.

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports to whoever runs it"
)]
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

#[path = "translation/samples.rs"]
mod samples;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use bytes::Bytes;
use dialect::canon::{AnswerFacts, Losses, StreamVariant};
use dialect::{Ask, Endpoint, Overrides, PathFacts, StreamRelay, Target, wire};
use shared::config::{Dialect, Manners};

const CHAT_BOUND_US: f64 = 60.0;
const CHUNK_BOUND_US: f64 = 3.0;

/// Short ones: the scheduler leaves some of them alone even on a busy machine.
const RUNS: usize = 150;
const CHATS_PER_RUN: usize = 8;
const STREAMS_PER_RUN: usize = 1;

const CLIENTS: [Endpoint; 6] = [
    Endpoint::ChatCompletions,
    Endpoint::Responses,
    Endpoint::Messages,
    Endpoint::GenerateContent,
    Endpoint::OllamaChat,
    Endpoint::OllamaGenerate,
];

fn main() -> ExitCode {
    let mut table = Table::default();
    table.begin("request + answer", CHAT_BOUND_US);
    for client in CLIENTS {
        for upstream in Dialect::ALL {
            table.row(client.name(), upstream.name(), chat(client, upstream));
        }
    }
    table.begin("chunk of a stream", CHUNK_BOUND_US);
    for client in CLIENTS {
        for upstream in Dialect::ALL {
            table.row(client.name(), upstream.name(), chunk(client, upstream));
        }
    }
    table.begin("request passed through", CHAT_BOUND_US);
    for client in CLIENTS {
        table.row(client.name(), "itself", passed_request(client));
    }
    table.begin("chunk passed through", CHUNK_BOUND_US);
    table.row("chat_completions", "itself", passed_chunk());
    match table.n_missed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Microseconds, or why there are none.
type Figure = Result<f64, String>;

#[derive(Default)]
struct Table {
    bound_us: f64,
    n_missed: usize,
}

impl Table {
    fn begin(&mut self, title: &str, bound_us: f64) {
        self.bound_us = bound_us;
        println!("\n{title}, us (bound {bound_us})");
        println!("{:<18} {:<18} {:>8}", "client", "upstream", "us");
    }

    fn row(&mut self, client: &str, upstream: &str, figure: Figure) {
        let (figure, verdict) = match figure {
            Ok(us) if us <= self.bound_us => (format!("{us:.2}"), "ok".to_owned()),
            Ok(us) => (format!("{us:.2}"), "over".to_owned()),
            Err(reason) => ("-".to_owned(), format!("not measured: {reason}")),
        };
        if verdict != "ok" {
            self.n_missed += 1;
        }
        println!("{client:<18} {upstream:<18} {figure:>8} {verdict}");
    }
}

/// The least time that one of `n` rounds took on average, over all runs.
fn least_us(n: usize, mut round: impl FnMut()) -> f64 {
    let mut least = f64::MAX;
    for _ in 0..RUNS {
        let began = Instant::now();
        for _ in 0..n {
            round();
        }
        let n = u32::try_from(n).expect("a small count");
        least = least.min(began.elapsed().as_secs_f64() * 1e6 / f64::from(n));
    }
    least
}

fn target(dialect: Dialect, overrides: &Overrides) -> Target<'_> {
    Target {
        dialect,
        manners: Manners::Plain,
        model: "upstream-model",
        overrides,
        drop_unsupported: true,
    }
}

fn facts() -> AnswerFacts {
    AnswerFacts {
        request_id: "0f8fad5bd9cb469fa16570867728950e".to_owned(),
        created: 1_790_000_000,
        model: "public".to_owned(),
        prompt_tokens: 900,
        wants_usage: true,
        variant: StreamVariant::Usual,
    }
}

fn facts_for(client: Endpoint) -> AnswerFacts {
    AnswerFacts {
        variant: match client {
            Endpoint::OllamaGenerate => StreamVariant::Generate,
            _ => StreamVariant::Usual,
        },
        ..facts()
    }
}

fn chat(client: Endpoint, upstream: Dialect) -> Figure {
    let request = samples::request(client);
    let reply = samples::reply(upstream);
    let (overrides, facts) = (Overrides::default(), facts_for(client));
    let target = target(upstream, &overrides);
    let losses = Losses::new(client.dialect(), upstream, true);
    let translate = || -> Result<_, String> {
        let chat = wire::read_chat(client, &request).map_err(|refusal| refusal.message)?;
        let asked = wire::write_chat(&chat, &target, &losses).map_err(|refusal| refusal.message)?;
        let reply = wire::read_reply(upstream, Manners::Plain, &reply)
            .map_err(|fault| format!("{fault:?}"))?;
        Ok((asked, wire::write_reply(client, reply, &facts)))
    };

    translate()?;
    Ok(least_us(CHATS_PER_RUN, || {
        black_box(translate().is_ok());
    }))
}

fn chunk(client: Endpoint, upstream: Dialect) -> Figure {
    let facts = facts_for(client);
    relayed(&samples::stream(upstream), || {
        StreamRelay::translate(
            wire::framing(upstream, StreamVariant::Usual),
            wire::reader(upstream, Manners::Plain),
            1,
            wire::writer(client, facts.clone()),
        )
    })
}

fn passed_request(client: Endpoint) -> Figure {
    let request = Bytes::from(samples::request(client));
    let overrides = Overrides::default();
    let pass = || -> Result<_, String> {
        let path = PathFacts {
            model: (client == Endpoint::GenerateContent).then(|| "public".to_owned()),
            is_stream: false,
        };
        let ask = Ask::parse(client, path, request.clone()).map_err(|refusal| refusal.message)?;
        ask.check().map_err(|refusal| refusal.message)?;
        black_box(ask.needs());
        Ok(ask.for_same_dialect(Manners::Plain, "upstream-model", &overrides))
    };

    pass()?;
    Ok(least_us(CHATS_PER_RUN, || {
        black_box(pass().is_ok());
    }))
}

fn passed_chunk() -> Figure {
    let client = Endpoint::ChatCompletions;
    relayed(&samples::stream(Dialect::OpenaiChat), || {
        StreamRelay::scan(client, true, 1, wire::writer(client, facts()))
    })
}

/// Feeds the chunks one by one, as they would arrive.
fn relayed(chunks: &[Bytes], begin: impl Fn() -> StreamRelay) -> Figure {
    let relay = || -> Result<_, String> {
        let mut relay = begin();
        for chunk in chunks {
            let sent = relay.feed(chunk.clone());
            black_box(sent.map_err(|fault| format!("{:?}", fault.kind))?);
        }
        black_box(
            relay
                .finish()
                .map_err(|fault| format!("{:?}", fault.kind))?,
        );
        match relay.is_finished() {
            true => Ok(()),
            false => Err("the stream was not understood to its end".to_owned()),
        }
    };

    relay()?;
    let stream_us = least_us(STREAMS_PER_RUN, || {
        black_box(relay().is_ok());
    });
    let n_chunks = u32::try_from(chunks.len()).expect("a small count");
    Ok(stream_us / f64::from(n_chunks))
}
