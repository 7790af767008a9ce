//! The fields of a request beside its input.

use serde_json::{Map, Value, json};

use crate::api::form::Form;
use crate::api::inference::{Call, JSON, Make, Received};
use crate::api::openai_chat::{checked_parameters, read_named};
use crate::api::schema;
use crate::ask::{Ask, Conversation, Format, Tool, ToolChoice};
use crate::fields::{self, Fields, Item, Reading};

use super::input;

const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// OpenAI makes no shorter answers here.
const TOKENS_MIN: u32 = 16;

/// How a request is answered.
#[derive(Clone, Debug)]
pub(in crate::api) struct ResponsesForm {
    /// What the answer repeats of the request.
    pub(super) echo: Map<String, Value>,
    /// Whether a summary of the thoughts is shown.
    pub(super) shows_summary: bool,
    /// Whether the thoughts come sealed.
    pub(super) seals_thoughts: bool,
    /// Whether the answer can be looked up later.
    pub(super) is_stored: bool,
    /// Whether the answer is only begun.
    pub(super) is_background: bool,
    pub(super) is_stream: bool,
    /// The stored response that this one goes on from.
    pub(super) previous: Option<String>,
    pub(super) input: Value,
    /// Whose response it will be; told by whoever knows the key.
    pub(super) account: String,
}

impl ResponsesForm {
    pub(in crate::api) fn is_background(&self) -> bool {
        self.is_background
    }
}

/// What a request says about tools.
struct Tools {
    offered: Vec<Tool>,
    choice: ToolChoice,
    is_parallel: bool,
}

pub(in crate::api) fn read(received: Received<'_>) -> Reading<Call> {
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let model = received.model_of(fields)?;
        let mut conversation = Conversation::default();
        conversation.instruct(fields.text("instructions")?.unwrap_or_default());
        let previous = check_state(fields)?;
        let input = fields.need("input")?;
        input::read(&input, &mut conversation)?;
        let stream = fields.flag("stream")?.unwrap_or_default();
        if stream {
            fields.object("stream_options", |it| it.flag("include_obfuscation"))?;
        }
        let tokens_max = fields.count("max_output_tokens", TOKENS_MIN)?;
        let Tools {
            offered,
            choice,
            is_parallel,
        } = read_tools(fields)?;
        let (reasons, shows_summary) = read_reasoning(fields)?;
        let format = fields.object("text", read_text)?;
        if is_json_mode(fields) && !schema::says_json(input.value()) {
            // The instructions do not count.
            let rule = "Response input messages must contain the word 'json' in some form to use 'text.format' of type \
                        'json_object'.";
            return Err(input.against(rule));
        }
        let include = fields.texts("include")?.unwrap_or_default();
        let is_stored = fields.flag("store")?.unwrap_or(true);
        let is_background = fields.flag("background")?.unwrap_or_default();
        if is_background && !is_stored {
            return Err(fields.against("background", "Background mode requires store=true."));
        }
        check_others(fields)?;
        let form = ResponsesForm {
            is_stored,
            is_background,
            is_stream: stream,
            previous,
            input: body["input"].clone(),
            account: String::new(),
            echo: echo(&body),
            shows_summary,
            seals_thoughts: include.contains(&"reasoning.encrypted_content"),
        };
        let ask = Ask {
            tools: offered,
            tool_choice: choice,
            is_parallel,
            format: format.unwrap_or_default(),
            reasons,
            tokens_max,
            ..Ask::plain(model, conversation)
        };
        Ok(Call::ask(ask, Form::Responses(Box::new(form)), stream))
    })
}

/// What a request goes on from: of all that a provider may keep, only responses are kept here.
fn check_state(fields: &mut Fields<'_>) -> Reading<Option<String>> {
    let previous = fields.text("previous_response_id")?.map(str::to_owned);
    if fields.value("conversation").is_some() {
        return Err(fields.against("conversation", "Conversation not found."));
    }
    if fields.value("prompt").is_some() {
        return Err(fields.against("prompt", "Prompt not found."));
    }
    Ok(previous)
}

fn read_tools(fields: &mut Fields<'_>) -> Reading<Tools> {
    let mut offered = Vec::new();
    for tool in fields.list("tools")?.unwrap_or_default() {
        offered.extend(tool.object(read_tool)?);
    }
    let choice = fields.item("tool_choice");
    let choice = choice.map(|choice| read_choice(&choice, &mut offered));
    Ok(Tools {
        choice: choice.transpose()?.unwrap_or_default(),
        offered,
        is_parallel: fields.flag("parallel_tool_calls")?.unwrap_or(true),
    })
}

/// `None` for the provider's own tools, which nobody but the provider calls.
fn read_tool(tool: &mut Fields<'_>) -> Reading<Option<Tool>> {
    let kind = tool.need_text("type")?;
    if kind != "function" && kind != "custom" {
        tool.skip_others();
        return Ok(None);
    }
    let name = schema::name(&tool.need("name")?)?.to_owned();
    tool.text("description")?;
    if kind == "custom" {
        tool.any_object("format")?;
        let schema = Value::Null;
        return Ok(Some(Tool { name, schema }));
    }
    let is_strict = tool.flag("strict")?.unwrap_or_default();
    let parameters = tool.item("parameters");
    let parameters = parameters.map(|item| checked_parameters(&item, is_strict));
    Ok(Some(Tool {
        name,
        schema: parameters.transpose()?.unwrap_or_default(),
    }))
}

fn read_choice(choice: &Item<'_>, offered: &mut Vec<Tool>) -> Reading<ToolChoice> {
    if choice.is_text() {
        return match choice.text()? {
            "none" => Ok(ToolChoice::None),
            "auto" => Ok(ToolChoice::Auto),
            "required" if offered.is_empty() => {
                Err(choice
                    .against("Tool choice 'required' must be specified with 'tools' parameter."))
            }
            "required" => Ok(ToolChoice::Required),
            _ => Err(choice.wrong("'none', 'auto', 'required' or an object")),
        };
    }
    choice.object(|fields| {
        let kinds = ["function", "custom", "allowed_tools"];
        if fields.need_one_of("type", &kinds)? != "allowed_tools" {
            return read_named(&fields.need("name")?, offered);
        }
        let mode = fields.need_one_of("mode", &["auto", "required"])?;
        let mut names = Vec::new();
        for tool in fields.need("tools")?.some()? {
            names.push(tool.object(|tool| {
                tool.need_one_of("type", &["function", "custom"])?;
                tool.need_text("name")
            })?);
        }
        offered.retain(|tool| names.contains(&tool.name.as_str()));
        Ok(match mode {
            "auto" => ToolChoice::Auto,
            _ => ToolChoice::Required,
        })
    })
}

/// Whether there are thoughts, and whether they are shown.
fn read_reasoning(fields: &mut Fields<'_>) -> Reading<(bool, bool)> {
    let read = fields.object("reasoning", |reasoning| {
        let effort = reasoning.one_of("effort", &EFFORTS)?;
        let kinds = ["auto", "concise", "detailed"];
        let summary = reasoning.one_of("summary", &kinds)?;
        let old_summary = reasoning.one_of("generate_summary", &kinds)?;
        let shows = summary.or(old_summary).is_some();
        let reasons = effort.map_or(shows, |effort| effort != "none");
        Ok((reasons, reasons && shows))
    })?;
    Ok(read.unwrap_or_default())
}

fn is_json_mode(fields: &mut Fields<'_>) -> bool {
    let text = fields.value("text");
    text.is_some_and(|text| text["format"]["type"] == "json_object")
}

fn read_text(text: &mut Fields<'_>) -> Reading<Format> {
    text.one_of("verbosity", &["low", "medium", "high"])?;
    let format = text.object("format", |format| {
        let kinds = ["text", "json_object", "json_schema"];
        Ok(match format.need_one_of("type", &kinds)? {
            "text" => Format::Text,
            "json_object" => Format::Json,
            _ => {
                schema::name(&format.need("name")?)?;
                format.text("description")?;
                let is_strict = format.flag("strict")?.unwrap_or_default();
                let item = format.need("schema")?;
                schema::check_root(&item)?;
                if is_strict && !schema::is_strict(item.value()) {
                    return Err(item.against(
                        "Invalid schema for response_format: 'additionalProperties' is required to be supplied and \
                         to be false, and 'required' to include every key in properties.",
                    ));
                }
                Format::Schema(item.value().clone())
            }
        })
    })?;
    Ok(format.unwrap_or_default())
}

/// What is checked and changes nothing.
fn check_others(fields: &mut Fields<'_>) -> Reading<()> {
    fields.number("temperature", 0.0..=2.0)?;
    fields.number("top_p", 0.0..=1.0)?;
    fields.whole("top_logprobs", 0..=20)?;
    fields.whole("max_tool_calls", 1..=i64::from(u32::MAX))?;
    fields.any_object("metadata")?;
    fields.any_object("client_metadata")?;
    fields.text("user")?;
    fields.text("safety_identifier")?;
    fields.text("prompt_cache_key")?;
    let tiers = ["auto", "default", "flex", "scale", "priority", "fast"];
    fields.one_of("service_tier", &tiers)?;
    fields.one_of("truncation", &["auto", "disabled"])?;
    fields.skip(&[
        "moderation",
        "prompt_cache_options",
        "prompt_cache_retention",
        "context_management",
    ]);
    Ok(())
}

/// A request that asks how many tokens it would have.
pub(in crate::api) fn read_count(received: Received<'_>) -> Reading<Call> {
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let model = received.model_of(fields)?;
        let mut conversation = Conversation::default();
        conversation.instruct(fields.text("instructions")?.unwrap_or_default());
        check_state(fields)?;
        if let Some(item) = fields.item("input") {
            input::read(&item, &mut conversation)?;
        }
        read_tools(fields)?;
        read_reasoning(fields)?;
        fields.object("text", read_text)?;
        fields.one_of("truncation", &["auto", "disabled"])?;
        let prompt_tokens = Ask::plain(model.clone(), conversation).prompt_tokens;
        let body = json!({"object": "response.input_tokens", "input_tokens": prompt_tokens});
        Ok(Call::Make(Make {
            model,
            prompt_tokens: 0,
            content_type: JSON,
            body: Box::new(move |_| body.to_string().into_bytes()),
        }))
    })
}

/// What is repeated of a request, with what OpenAI takes where it is silent.
fn echo(body: &Value) -> Map<String, Value> {
    let mut echo = Map::new();
    for (name, default) in [
        ("instructions", Value::Null),
        ("max_output_tokens", Value::Null),
        ("metadata", json!({})),
        ("parallel_tool_calls", true.into()),
        ("previous_response_id", Value::Null),
        ("reasoning", json!({"effort": null, "summary": null})),
        ("service_tier", "default".into()),
        ("store", true.into()),
        ("temperature", 1.0.into()),
        ("text", json!({"format": {"type": "text"}})),
        ("tool_choice", "auto".into()),
        ("tools", json!([])),
        ("top_p", 1.0.into()),
        ("truncation", "disabled".into()),
        ("user", Value::Null),
    ] {
        let told = body.get(name).filter(|value| !value.is_null());
        echo.insert(name.to_owned(), told.cloned().unwrap_or(default));
    }
    echo
}
