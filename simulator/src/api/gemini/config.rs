//! `generationConfig`.

use crate::ask::Format;
use crate::fields::{Fields, Item, Reading};

use super::schema;

pub(super) struct Config {
    pub(super) tokens_max: Option<u32>,
    pub(super) choices: u32,
    pub(super) format: Format,
    pub(super) shows_thoughts: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tokens_max: None,
            choices: 1,
            format: Format::Text,
            shows_thoughts: false,
        }
    }
}

pub(super) fn read(item: &Item<'_>) -> Reading<Config> {
    item.object(|fields| {
        let choices = fields.whole("candidateCount", 1..=8)?.unwrap_or(1);
        check_sampling(fields)?;
        fields.texts("responseModalities")?;
        fields.text("mediaResolution")?;
        fields.any_object("speechConfig")?;
        fields.any_object("imageConfig")?;
        fields.flag("enableEnhancedCivicAnswers")?;
        Ok(Config {
            tokens_max: fields.count("maxOutputTokens", 1)?,
            choices: u32::try_from(choices).unwrap_or(1),
            format: read_format(fields)?,
            shows_thoughts: read_thinking(fields)?,
        })
    })
}

fn check_sampling(fields: &mut Fields<'_>) -> Reading<()> {
    fields.number("temperature", 0.0..=2.0)?;
    fields.number("topP", 0.0..=1.0)?;
    fields.number("topK", 1.0..=f64::INFINITY)?;
    fields.number("presencePenalty", -2.0..=2.0)?;
    fields.number("frequencyPenalty", -2.0..=2.0)?;
    fields.whole("seed", i32::MIN.into()..=i32::MAX.into())?;
    let logprobs = fields.flag("responseLogprobs")?.unwrap_or_default();
    if fields.whole("logprobs", 0..=20)?.is_some() && !logprobs {
        let rule = "logprobs is only allowed with responseLogprobs";
        return Err(fields.against("logprobs", rule));
    }
    if let Some(stops) = fields.texts("stopSequences")?
        && stops.len() > 5
    {
        return Err(fields.wrong("stopSequences", "at most 5 strings"));
    }
    Ok(())
}

fn read_format(fields: &mut Fields<'_>) -> Reading<Format> {
    let kinds = ["text/plain", "application/json", "text/x.enum"];
    let kind = fields.one_of("responseMimeType", &kinds)?;
    let limited = fields.item("responseSchema");
    let full = fields.item("responseJsonSchema");
    let schema = match (limited, full) {
        (Some(both), Some(_)) => {
            return Err(both.against("cannot be set together with responseJsonSchema"));
        }
        (Some(limited), None) => {
            schema::check(&limited)?;
            Some(limited.value().clone())
        }
        (None, Some(full)) => {
            full.any_object()?;
            Some(full.value().clone())
        }
        (None, None) => None,
    };
    match (kind, schema) {
        (None | Some("text/plain"), None) => Ok(Format::Text),
        (None | Some("text/plain"), Some(_)) => Err(fields.against(
            "responseMimeType",
            "response schema is only supported with response mime type 'application/json'",
        )),
        (Some(_), None) => Ok(Format::Json),
        (Some(_), Some(schema)) => Ok(Format::Schema(schema)),
    }
}

/// Whether thoughts are to be shown.
fn read_thinking(fields: &mut Fields<'_>) -> Reading<bool> {
    let shows = fields.object("thinkingConfig", |thinking| {
        let budget = thinking.whole("thinkingBudget", -1..=32768)?;
        let levels = ["MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"];
        let levels_in_lower_case = ["minimal", "low", "medium", "high", "xhigh"];
        let all = [levels, levels_in_lower_case].concat();
        let level = thinking.one_of("thinkingLevel", &all)?;
        if budget.is_some() && level.is_some() {
            let rule = "cannot be set together with thinkingLevel";
            return Err(thinking.against("thinkingBudget", rule));
        }
        let shows = thinking.flag("includeThoughts")?.unwrap_or_default();
        if shows && budget == Some(0) {
            let rule = "include_thoughts is only enabled when thinking is enabled";
            return Err(thinking.against("includeThoughts", rule));
        }
        Ok(shows)
    })?;
    Ok(shows.unwrap_or_default())
}
