//! One attempt: a client's request towards one upstream, and that one's answer back.

use bytes::Bytes;
use shared::config::{Dialect, Manners};

use crate::canon::{AnswerFacts, EmbeddingAsk, Losses, Reply, StreamVariant};
use crate::inspect::{inspect_audio, inspect_reply};
use crate::tokens::estimate_tokens;
use crate::{
    Ask, BadRequest, Endpoint, Framing, Operation, Overrides, Passing, ReplyFault, StreamRelay,
    TokenCounter, Usage, canon, wire,
};

/// Who is asked, as far as words go.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub dialect: Dialect,
    pub manners: Manners,
    /// The upstream's name for the model.
    pub model: &'a str,
    /// Request fields that are forced, as OpenAI names them.
    pub overrides: &'a Overrides,
    pub drop_unsupported: bool,
}

/// How a request is told to an upstream, and its answer to the client.
#[derive(Clone, Debug)]
pub struct Exchange {
    client: Endpoint,
    /// Where the upstream is asked.
    upstream: Endpoint,
    manners: Manners,
    is_faithful: bool,
    is_stream: bool,
    variant: StreamVariant,
    wants_usage: bool,
    n_choices: usize,
    /// What to send.
    body: Bytes,
    /// The client's request, where its answer depends on it.
    embedding: Option<EmbeddingAsk>,
}

/// A whole answer for the client, and what it cost.
#[derive(Debug)]
pub struct Answered {
    pub body: Bytes,
    /// `None` if it was not reported, or cannot be believed.
    pub usage: Option<Usage>,
    /// Counted where it was not reported.
    pub completion_tokens: u32,
}

impl Exchange {
    /// Words `ask` for `target`.
    ///
    /// # Errors
    ///
    /// What `target` cannot be asked: the message names the field, or the endpoint.
    pub fn new(ask: &Ask, variant: StreamVariant, target: &Target<'_>) -> Result<Self, BadRequest> {
        let client = ask.endpoint();
        let Some(upstream) = client.at(target.dialect) else {
            return Err(BadRequest::new(format!(
                "`{}` cannot be asked of the model's upstream, which speaks `{}`.",
                client.name(),
                target.dialect.name()
            )));
        };
        let is_faithful = goes_through(client, target.dialect, target.manners);
        let mut embedding = None;
        let body = if is_faithful {
            ask.for_same_dialect(target.manners, target.model, target.overrides)
        } else {
            let losses = Losses::new(client.dialect(), target.dialect, target.drop_unsupported)
                .of_request(ask.body().clone());
            Bytes::from(match client.operation() {
                Operation::Embedding => {
                    let asked = wire::read_embedding_ask(client, ask.body())?;
                    let body = wire::write_embedding_ask(&asked, target, &losses)?;
                    embedding = Some(asked);
                    body
                }
                _ => {
                    let mut chat = wire::read_chat(client, ask.body())?;
                    chat.is_stream = ask.is_stream();
                    chat.forget_defaults();
                    if !wire::knows_names(target) {
                        chat.forget_lone_names();
                    }
                    let rest = canon::override_fields(&mut chat, target.overrides.fields())?;
                    let body = wire::write_chat(&chat, target, &losses)?;
                    canon::set_top_level(body, &rest)
                }
            })
        };
        Ok(Self {
            client,
            upstream,
            manners: target.manners,
            is_faithful,
            is_stream: ask.is_stream(),
            variant,
            wants_usage: ask.wants_usage(),
            n_choices: ask.n_choices(target.overrides.fields()),
            body,
            embedding,
        })
    }

    pub fn operation(&self) -> Operation {
        self.client.operation()
    }

    /// Where the upstream is asked.
    pub fn upstream(&self) -> Endpoint {
        self.upstream
    }

    pub fn upstream_dialect(&self) -> Dialect {
        self.upstream.dialect()
    }

    /// Whether the answer is a sound: it comes while it is made, asked for as a stream or not.
    pub fn is_sound(&self) -> bool {
        self.client == Endpoint::Speech
    }

    /// Whether an upstream that was asked for a stream may answer in one piece all the same: some models of images and
    /// transcripts have no streams, and have done their work by then.
    pub fn may_come_whole(&self) -> bool {
        matches!(self.client.operation(), Operation::Image | Operation::Audio)
    }

    /// Whether the client's dialect goes through as it is.
    pub fn is_faithful(&self) -> bool {
        self.is_faithful
    }

    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// The variant of the upstream's stream: the client's own, if its bytes go through.
    pub fn variant(&self) -> StreamVariant {
        match self.is_faithful {
            true => self.variant,
            false => StreamVariant::Usual,
        }
    }

    /// How the upstream cuts its stream.
    pub fn framing(&self) -> Framing {
        wire::framing(self.upstream.dialect(), self.variant())
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Reads the body of a 200 and words it for the client.
    ///
    /// # Errors
    ///
    /// What is no answer.
    pub fn answer(
        &self,
        body: Bytes,
        facts: AnswerFacts,
        counter: &TokenCounter,
    ) -> Result<Answered, ReplyFault> {
        let facts = self.known(facts);
        if self.client.operation() == Operation::Audio {
            // Sound or text as often as JSON.
            let usage = inspect_audio(&body)?;
            return Ok(Answered {
                completion_tokens: usage.map_or(0, |usage| usage.completion_tokens),
                usage,
                body,
            });
        }
        if self.is_faithful && self.client.dialect() == Dialect::OpenaiChat {
            let inspected = inspect_reply(self.client, &body);
            let (usage, completion_tokens) = match (&inspected.fault, inspected.usage) {
                (Some(fault), _) => return Err(fault.clone()),
                (None, Some(usage)) => (Some(usage), usage.completion_tokens),
                (None, None) => (None, inspected.completion_tokens_estimate(counter)),
            };
            return Ok(Answered {
                body,
                usage,
                completion_tokens,
            });
        }
        match self.client.operation() {
            Operation::Embedding => self.embedded(body, &facts),
            Operation::TokenCount => Ok(Answered {
                usage: None,
                completion_tokens: 0,
                body,
            }),
            _ => self.chatted(body, &facts),
        }
    }

    fn embedded(&self, body: Bytes, facts: &AnswerFacts) -> Result<Answered, ReplyFault> {
        let reply = wire::read_embedding_reply(self.upstream.dialect(), &body)?;
        let body = match &self.embedding {
            Some(ask) => Bytes::from(wire::write_embedding_reply(self.client, &reply, ask, facts)),
            None => body,
        };
        Ok(Answered {
            body,
            usage: reply.usage,
            completion_tokens: 0,
        })
    }

    fn chatted(&self, body: Bytes, facts: &AnswerFacts) -> Result<Answered, ReplyFault> {
        let upstream = self.upstream.dialect();
        let reply = match self.is_faithful {
            true => wire::observe_reply(upstream, self.manners, &body)?,
            false => wire::read_reply(upstream, self.manners, &body)?,
        };
        let usage = reply.usage;
        let completion_tokens = match usage {
            Some(usage) => usage.completion_tokens,
            None => estimate(&reply),
        };
        let body = match self.is_faithful {
            true => body,
            false => Bytes::from(wire::write_reply(self.client, reply, facts)),
        };
        Ok(Answered {
            body,
            usage,
            completion_tokens,
        })
    }

    /// `facts`, with what the request says of the answer.
    fn known(&self, facts: AnswerFacts) -> AnswerFacts {
        AnswerFacts {
            wants_usage: self.wants_usage,
            variant: self.variant,
            ..facts
        }
    }

    /// Begins to relay the sound of a 200.
    pub fn sound(&self, facts: AnswerFacts) -> StreamRelay {
        StreamRelay::raw(wire::writer(self.client, facts))
    }

    /// Begins to relay the stream of a 200.
    pub fn stream(&self, facts: AnswerFacts) -> StreamRelay {
        let writer = wire::writer(self.client, self.known(facts));
        let upstream = self.upstream.dialect();
        let framing = self.framing();
        if !self.is_faithful {
            let reader = wire::reader(upstream, self.manners);
            return StreamRelay::translate(framing, reader, self.n_choices, writer);
        }
        match (upstream, self.client.operation()) {
            (_, Operation::Image | Operation::Audio) => StreamRelay::pass(Passing::Media, writer),
            (Dialect::OpenaiChat, _) => {
                StreamRelay::scan(self.client, self.wants_usage, self.n_choices, writer)
            }
            _ => StreamRelay::observe(
                framing,
                wire::observer(upstream, self.manners),
                self.n_choices,
                writer,
            ),
        }
    }
}

/// Whether a client's bytes go as they are to an upstream that speaks `dialect` with `manners`.
///
/// Who speaks the client's dialect in its own way is translated like any other, where anything is.
pub fn goes_through(client: Endpoint, dialect: Dialect, manners: Manners) -> bool {
    let can_translate = matches!(client.operation(), Operation::Chat | Operation::Embedding);
    client.at(dialect) == Some(client) && (manners.are_faithful() || !can_translate)
}

/// Output tokens of an answer that does not report them.
fn estimate(reply: &Reply) -> u32 {
    let parts = reply.choices.iter().flat_map(|choice| &choice.parts);
    let n_bytes = parts.map(|part| match part {
        canon::Part::Text(text)
        | canon::Part::Refusal(text)
        | canon::Part::Thinking { text, .. } => text.len(),
        canon::Part::ToolCall(call) => call.name.len() + call.arguments.len(),
        _ => 0,
    });
    estimate_tokens(n_bytes.sum())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::PathFacts;

    #[test]
    fn a_whole_answer_has_the_form_of_the_endpoint_that_was_asked() {
        let body = Bytes::from_static(br#"{"model":"m","prompt":"Hello","stream":false}"#);
        let ask = Ask::parse(Endpoint::OllamaGenerate, PathFacts::default(), body).unwrap();
        let target = Target {
            dialect: Dialect::OpenaiChat,
            manners: Manners::Plain,
            model: "up",
            overrides: &Overrides::default(),
            drop_unsupported: false,
        };
        let exchange = Exchange::new(&ask, StreamVariant::Generate, &target).unwrap();
        let reply = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hi"}}]}"#;

        let answered = exchange
            .answer(reply.into(), AnswerFacts::default(), &TokenCounter::new())
            .unwrap();

        let answer: Value = serde_json::from_slice(&answered.body).unwrap();
        assert_eq!(answer["response"], "Hi");
        assert_eq!(answer.get("message"), None);
    }
}
