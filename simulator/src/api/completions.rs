//! `POST /v1/completions`: its request and its objects.

use serde::Serialize;

use crate::answer::{Answer, Finish, Piece};
use crate::ask::{Ask, Conversation};
use crate::fields::{self, Item, Reading};
use crate::reply::write_json;
use crate::stream::StreamWriter;
use crate::text::Texts;

use super::form::Form;
use super::inference::{Call, Received};
use super::openai_chat::{self, CHOICES_MAX, FINGERPRINT};
use super::usage::OpenAiUsage;

/// Of an answer and of each chunk.
const OBJECT: &str = "text_completion";

const PROMPTS_MAX: u32 = 2048;

#[derive(Clone, Copy, Debug)]
pub(super) struct CompletionForm {
    /// Whether a stream ends with a usage chunk.
    include_usage: bool,
}

#[derive(Serialize)]
struct Envelope<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    system_fingerprint: &'static str,
    choices: &'a [Choice<'a>],
    /// Absent, `null` or told.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<OpenAiUsage>>,
}

/// A choice, whole or of a chunk.
#[derive(Serialize)]
struct Choice<'a> {
    text: &'a str,
    index: u32,
    logprobs: Option<()>,
    finish_reason: Option<&'a str>,
}

pub(super) fn read(received: Received<'_>) -> Reading<Call> {
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let model = received.model_of(fields)?;
        // OpenAI takes an absent prompt for the beginning of a document.
        let prompt = match fields.item("prompt") {
            Some(prompt) => Texts::read(&prompt)?,
            None => Texts::default(),
        };
        if prompt.items() > PROMPTS_MAX {
            return Err(fields.wrong("prompt", "at most 2048 texts"));
        }
        let choices = fields.whole("n", 1..=CHOICES_MAX)?.unwrap_or(1);
        let tokens_max = fields.count("max_tokens", 0)?;
        let stream = fields.flag("stream")?.unwrap_or_default();
        let include_usage = openai_chat::read_stream_options(fields, stream)?;
        fields.number("temperature", 0.0..=2.0)?;
        fields.number("top_p", 0.0..=1.0)?;
        fields.number("presence_penalty", -2.0..=2.0)?;
        fields.number("frequency_penalty", -2.0..=2.0)?;
        fields.whole("logprobs", 0..=5)?;
        fields.whole("seed", i64::MIN..=i64::MAX)?;
        fields.any_object("logit_bias")?;
        fields.flag("echo")?;
        openai_chat::read_stop(fields)?;
        fields.skip(&["suffix", "best_of", "user"]);
        let ask = Ask {
            prompt_tokens: prompt.tokens(),
            tokens_max,
            choices: prompt
                .items()
                .saturating_mul(u32::try_from(choices).unwrap_or(1)),
            ..Ask::plain(model, Conversation::default())
        };
        let form = Form::Completion(CompletionForm { include_usage });
        Ok(Call::ask(ask, form, stream))
    })
}

pub(super) fn body(answer: &Answer) -> Vec<u8> {
    let text = answer.text().unwrap_or_default();
    let finish_reason = Some(finish_reason(answer));
    let choices: Vec<_> = (0..answer.choices)
        .map(|index| choice(index, &text, finish_reason))
        .collect();
    let mut out = Vec::new();
    let usage = answer.usage.map(|usage| Some(usage.into()));
    write_envelope(answer, &choices, usage, &mut out);
    out
}

pub(super) struct Writer {
    form: CompletionForm,
}

impl Writer {
    pub(super) fn new(form: CompletionForm) -> Self {
        Self { form }
    }

    /// With `include_usage`, every chunk but the last says `usage: null`.
    fn write(&self, answer: &Answer, choice: Choice<'_>, out: &mut Vec<u8>) {
        let says_usage = self.form.include_usage && answer.usage.is_some();
        write_event(answer, &[choice], says_usage.then_some(None), out);
    }
}

impl StreamWriter for Writer {
    fn open(&mut self, _: &Answer, _: &mut Vec<u8>) {}

    fn piece(&mut self, answer: &Answer, piece: &Piece<'_>, out: &mut Vec<u8>) {
        for index in 0..answer.choices {
            self.write(answer, choice(index, piece.text, None), out);
        }
    }

    fn end(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        for index in 0..answer.choices {
            let end = choice(index, "", Some(finish_reason(answer)));
            self.write(answer, end, out);
        }
        if self.form.include_usage
            && let Some(usage) = answer.usage
        {
            write_event(answer, &[], Some(Some(usage.into())), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn error(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        openai_chat::write_error(answer, out);
    }
}

fn write_event(
    answer: &Answer,
    choices: &[Choice<'_>],
    usage: Option<Option<OpenAiUsage>>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"data: ");
    write_envelope(answer, choices, usage, out);
    out.extend_from_slice(b"\n\n");
}

fn write_envelope(
    answer: &Answer,
    choices: &[Choice<'_>],
    usage: Option<Option<OpenAiUsage>>,
    out: &mut Vec<u8>,
) {
    let envelope = Envelope {
        id: format!("cmpl-{:029x}", answer.id),
        object: OBJECT,
        created: answer.created,
        model: &answer.model,
        system_fingerprint: FINGERPRINT,
        choices,
        usage,
    };
    write_json(out, &envelope);
}

fn choice<'a>(index: u32, text: &'a str, finish_reason: Option<&'a str>) -> Choice<'a> {
    Choice {
        text,
        index,
        logprobs: None,
        finish_reason,
    }
}

fn finish_reason(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::Stop | Finish::ToolCalls => "stop",
        Finish::Length => "length",
    }
}
