//! The fields of a conversation beside its messages and tools.

use serde_json::Value;

use crate::api::form::Form;
use crate::api::inference::{Call, Received};
use crate::api::schema;
use crate::ask::{Ask, Conversation, Format, ToolChoice};
use crate::fields::{self, Fields, Item, Reading};

use super::blocks;
use super::tools::{self, Tools};

const BUDGET_MIN: i64 = 1024;

/// What the model itself is told.
#[derive(Default)]
struct Additional {
    thinks: bool,
    budget: Option<i64>,
}

pub(in crate::api) fn read(received: Received<'_>, stream: bool) -> Reading<Call> {
    let model = received.model.unwrap_or_default();
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let mut conversation = Conversation::default();
        for block in fields.list("system")?.unwrap_or_default() {
            blocks::read_system(&block, &mut conversation)?;
        }
        let uses_tools = blocks::read(&fields.need("messages")?, &mut conversation)?;
        let tools = fields.item("toolConfig");
        let tools = tools.map(|tools| tools::read(&tools)).transpose()?;
        if uses_tools && tools.is_none() {
            let rule = "The toolConfig field must be defined when using toolUse and toolResult content blocks.";
            return Err(fields.against("toolConfig", rule));
        }
        let Tools { offered, choice } = tools.unwrap_or_default();
        let inference = read_inference(fields)?;
        let additional = fields.item("additionalModelRequestFields");
        let additional = additional.map(|item| read_additional(&item, &inference, &choice));
        let Additional { thinks, .. } = additional.transpose()?.unwrap_or_default();
        let (format, has_effort) = read_output_config(fields)?;
        check_others(fields)?;
        let ask = Ask {
            tools: offered,
            tool_choice: choice,
            format,
            reasons: thinks || has_effort,
            tokens_max: inference.tokens_max,
            ..Ask::plain(model.to_owned(), conversation)
        };
        Ok(Call::ask(ask, Form::Converse, stream))
    })
}

#[derive(Default)]
struct Inference {
    tokens_max: Option<u32>,
    temperature: Option<f64>,
}

fn read_inference(fields: &mut Fields<'_>) -> Reading<Inference> {
    let inference = fields.object("inferenceConfig", |config| {
        config.number("topP", 0.0..=1.0)?;
        config.texts("stopSequences")?;
        Ok(Inference {
            tokens_max: config.count("maxTokens", 1)?,
            temperature: config.number("temperature", 0.0..=1.0)?,
        })
    })?;
    Ok(inference.unwrap_or_default())
}

/// Each model has its own fields here; those of thinking have rules.
fn read_additional(
    item: &Item<'_>,
    inference: &Inference,
    choice: &ToolChoice,
) -> Reading<Additional> {
    item.object(|fields| {
        fields.skip_others();
        let mut additional = Additional::default();
        for name in ["thinking", "reasoning_config", "reasoningConfig"] {
            let Some(thinking) = fields.item(name) else {
                continue;
            };
            additional = thinking.object(|thinking| {
                thinking.skip_others();
                let kind = thinking.text("type")?;
                let range = BUDGET_MIN..=i64::from(u32::MAX);
                Ok(Additional {
                    thinks: kind.is_some_and(|kind| kind != "disabled"),
                    budget: thinking.whole("budget_tokens", range)?,
                })
            })?;
        }
        if let (Some(budget), Some(tokens_max)) = (additional.budget, inference.tokens_max)
            && budget >= i64::from(tokens_max)
        {
            return Err(item.against("`max_tokens` must be greater than `thinking.budget_tokens`"));
        }
        if additional.thinks && inference.temperature.is_some_and(|it| it < 1.0) {
            return Err(item.against("`temperature` may only be set to 1 when thinking is enabled"));
        }
        let is_forced = matches!(choice, ToolChoice::Required | ToolChoice::Named(_));
        if additional.thinks && is_forced {
            return Err(
                item.against("Thinking may not be enabled when tool_choice forces tool use.")
            );
        }
        Ok(additional)
    })
}

/// The format, and whether an effort is set.
fn read_output_config(fields: &mut Fields<'_>) -> Reading<(Format, bool)> {
    let config = fields.object("outputConfig", |config| {
        let has_effort = config.text("effort")?.is_some();
        let schema = config.object("textFormat", |format| {
            format.need_one_of("type", &["json_schema"])?;
            format.need("structure")?.object(|structure| {
                structure.need("jsonSchema")?.object(|definition| {
                    definition.text("name")?;
                    definition.text("description")?;
                    read_schema(&definition.need("schema")?)
                })
            })
        })?;
        Ok((schema.map_or(Format::Text, Format::Schema), has_effort))
    })?;
    Ok(config.unwrap_or_default())
}

/// A schema in a string.
fn read_schema(item: &Item<'_>) -> Reading<Value> {
    match serde_json::from_str::<Value>(item.text()?) {
        Ok(schema) if schema.is_object() => match schema::refusal(&schema) {
            None => Ok(schema),
            Some(rule) => Err(item.against(rule)),
        },
        _ => Err(item.wrong("a JSON schema in a string")),
    }
}

/// What is checked and changes nothing.
fn check_others(fields: &mut Fields<'_>) -> Reading<()> {
    fields.texts("additionalModelResponseFieldPaths")?;
    fields.any_object("guardrailConfig")?;
    fields.any_object("promptVariables")?;
    fields.any_object("requestMetadata")?;
    fields.object("performanceConfig", |config| {
        config.one_of("latency", &["standard", "optimized"])
    })?;
    fields.object("serviceTier", |tier| {
        tier.need_one_of("type", &["priority", "default", "flex", "reserved"])
    })?;
    Ok(())
}
