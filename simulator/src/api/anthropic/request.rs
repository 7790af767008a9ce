//! The fields of a message request beside its messages and tools, and the rules between them.

use http::header::{HeaderMap, HeaderValue};
use serde_json::json;

use crate::api::form::Form;
use crate::api::inference::{Call, JSON, Make, Received};
use crate::api::schema;
use crate::ask::{Ask, Format, ToolChoice};
use crate::fields::{self, Fields, Invalid, Item, Problem, Reading};

use super::blocks::{self, Messages};
use super::tools::{self, Tools};

const BUDGET_MIN: i64 = 1024;

/// What the version of the API changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Of2023,
    /// Knows no sampling fields and no documents of the assistant's.
    Of2026,
}

/// What the request's headers allow in its body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) version: Version,
    /// Whether the system may speak between turns.
    pub(super) has_system_turns: bool,
    /// Whether it may set the effort there.
    pub(super) has_turn_config: bool,
    has_context_management: bool,
}

impl Terms {
    fn of(headers: &HeaderMap) -> Reading<Self> {
        let version = version(headers)?;
        let has = |beta: &str| {
            let betas = headers.get_all("anthropic-beta").iter();
            betas
                .filter_map(|value| value.to_str().ok())
                .any(|value| value.split(',').any(|each| each.trim() == beta))
        };
        Ok(Self {
            version,
            has_system_turns: version == Version::Of2026
                || has("mid-conversation-system-2026-04-07"),
            has_turn_config: has("per-turn-control-2026-07-01"),
            has_context_management: has("context-management-2025-06-27"),
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Thinking {
    Disabled,
    Adaptive,
    /// With a budget of tokens.
    Enabled,
}

pub(in crate::api) fn read(received: Received<'_>) -> Reading<Call> {
    let terms = Terms::of(&received.head.headers)?;
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let Some(tokens_max) = fields.count("max_tokens", 1)? else {
            return Err(fields.missing("max_tokens"));
        };
        let stream = fields.flag("stream")?.unwrap_or_default();
        for stop in fields.list("stop_sequences")?.unwrap_or_default() {
            if stop.text()?.trim().is_empty() {
                return Err(stop.against("each stop sequence must contain non-whitespace"));
            }
        }
        if terms.version == Version::Of2023 {
            fields.number("temperature", 0.0..=1.0)?;
            fields.number("top_p", 0.0..=1.0)?;
            fields.whole("top_k", 0..=i64::from(u32::MAX))?;
        }
        fields.object("metadata", |metadata| {
            let user = metadata.nullable("user_id");
            user.map_or(Ok(()), |user| user.text().map(drop))
        })?;
        fields.one_of("service_tier", &["auto", "standard_only"])?;
        fields.one_of("speed", &["standard", "fast"])?;
        fields.nullable("container");
        fields.nullable("inference_geo");
        let ask = read_ask(fields, terms, Some(tokens_max))?;
        Ok(Call::ask(ask, Form::Messages, stream))
    })
}

pub(in crate::api) fn read_count(received: Received<'_>) -> Reading<Call> {
    let terms = Terms::of(&received.head.headers)?;
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let ask = read_ask(fields, terms, None)?;
        let count = json!({"input_tokens": ask.prompt_tokens});
        Ok(Call::Make(Make {
            model: ask.model,
            prompt_tokens: 0,
            content_type: JSON,
            body: Box::new(move |_| count.to_string().into_bytes()),
        }))
    })
}

/// What both endpoints have; `tokens_max` is `None` where there is no such field.
fn read_ask(fields: &mut Fields<'_>, terms: Terms, tokens_max: Option<u32>) -> Reading<Ask> {
    let model = fields.need_text("model")?;
    let Messages {
        mut conversation,
        has_effort,
        unthought_calls,
    } = blocks::read(&fields.need("messages")?, terms)?;
    if let Some(system) = fields.item("system") {
        conversation.instruct(&blocks::read_system(&system)?);
    }
    let thinking = fields.item("thinking");
    let thinking = thinking.map(|item| read_thinking(&item, tokens_max));
    let thinking = thinking.transpose()?;
    let Tools {
        offered,
        choice,
        is_parallel,
    } = tools::read(fields)?;
    let (effort, format) = read_output_config(fields)?;
    let has_effort = has_effort || effort.is_some();
    blocks::check_cache_control(fields)?;
    if terms.has_context_management {
        check_context_management(fields)?;
    }
    if matches!(thinking, Some(Thinking::Adaptive | Thinking::Enabled)) {
        check_with_thinking(fields, terms.version, &choice)?;
    }
    if thinking == Some(Thinking::Enabled)
        && let Some(invalid) = unthought_calls
    {
        return Err(invalid);
    }
    Ok(Ask {
        tools: offered,
        tool_choice: choice,
        is_parallel,
        format,
        reasons: thinking.map_or(has_effort, |thinking| thinking != Thinking::Disabled),
        tokens_max,
        ..Ask::plain(model.to_owned(), conversation)
    })
}

fn version(headers: &HeaderMap) -> Reading<Version> {
    let version = headers.get("anthropic-version");
    let problem = match version.map(HeaderValue::as_bytes) {
        Some(b"2023-06-01") => return Ok(Version::Of2023),
        Some(b"2026-10-21") => return Ok(Version::Of2026),
        Some(version) => {
            let version = String::from_utf8_lossy(version);
            Problem::Against(format!("\"{version}\" is not a valid version"))
        }
        None => Problem::Against("header is required".to_owned()),
    };
    Err(Invalid {
        path: "anthropic-version".to_owned(),
        problem,
    })
}

fn read_thinking(item: &Item<'_>, tokens_max: Option<u32>) -> Reading<Thinking> {
    item.object(|fields| {
        let kinds = ["enabled", "adaptive", "disabled", "between_tools"];
        match fields.need_one_of("type", &kinds)? {
            "enabled" => {
                fields.one_of("display", &["summarized", "omitted"])?;
                let least = BUDGET_MIN..=i64::from(u32::MAX);
                let Some(budget) = fields.whole("budget_tokens", least)? else {
                    return Err(fields.missing("budget_tokens"));
                };
                match tokens_max {
                    Some(tokens_max) if budget >= i64::from(tokens_max) => Err(fields.against(
                        "budget_tokens",
                        "`max_tokens` must be greater than `thinking.budget_tokens`",
                    )),
                    _ => Ok(Thinking::Enabled),
                }
            }
            "disabled" => Ok(Thinking::Disabled),
            _ => {
                fields.one_of("display", &["summarized", "omitted"])?;
                Ok(Thinking::Adaptive)
            }
        }
    })
}

/// What thinking forbids.
fn check_with_thinking(
    fields: &mut Fields<'_>,
    version: Version,
    choice: &ToolChoice,
) -> Reading<()> {
    if version == Version::Of2023 {
        check_sampling_with_thinking(fields)?;
    }
    match choice {
        ToolChoice::Auto | ToolChoice::None => Ok(()),
        ToolChoice::Required | ToolChoice::Named(_) => Err(fields.against(
            "tool_choice",
            "Thinking may not be enabled when tool_choice forces tool use.",
        )),
    }
}

fn check_sampling_with_thinking(fields: &mut Fields<'_>) -> Reading<()> {
    let temperature = fields.number("temperature", 0.0..=1.0)?;
    if temperature.is_some_and(|temperature| temperature < 1.0) {
        let rule = "may only be set to 1 when thinking is enabled";
        return Err(fields.against("temperature", rule));
    }
    if fields.value("top_k").is_some() {
        return Err(fields.against("top_k", "must be unset when thinking is enabled"));
    }
    let top_p = fields.number("top_p", 0.0..=1.0)?;
    if top_p.is_some_and(|top_p| top_p < 0.95) {
        let rule = "must be greater than or equal to 0.95 or unset when thinking is enabled";
        return Err(fields.against("top_p", rule));
    }
    Ok(())
}

fn check_context_management(fields: &mut Fields<'_>) -> Reading<()> {
    fields.object("context_management", |management| {
        for edit in management.list("edits")?.unwrap_or_default() {
            edit.object(|edit| {
                let kinds = [
                    "clear_thinking_20251015",
                    "clear_tool_uses_20250919",
                    "compact_20260112",
                ];
                edit.need_one_of("type", &kinds)?;
                edit.skip_others();
                Ok(())
            })?;
        }
        Ok(())
    })?;
    Ok(())
}

/// The effort that is set, and the format.
fn read_output_config(fields: &mut Fields<'_>) -> Reading<(Option<&'static str>, Format)> {
    let read = fields.object("output_config", |config| {
        let effort = read_effort(config)?;
        let Some(format) = config.nullable("format") else {
            return Ok((effort, Format::Text));
        };
        let schema = format.object(|format| {
            format.need_one_of("type", &["json_schema"])?;
            let schema = format.need("schema")?;
            schema.any_object()?;
            schema::check_held(&schema, true)?;
            Ok(schema.value().clone())
        })?;
        Ok((effort, Format::Schema(schema)))
    })?;
    Ok(read.unwrap_or((None, Format::Text)))
}

pub(super) fn read_effort(config: &mut Fields<'_>) -> Reading<Option<&'static str>> {
    let efforts = ["low", "medium", "high", "xhigh", "max"];
    match config.nullable("effort") {
        Some(_) => config.one_of("effort", &efforts),
        None => Ok(None),
    }
}
