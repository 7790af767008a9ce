//! `EmbedContentRequest`, alone or in a batch → the canonical form.

use serde_json::Value;

use super::super::place::{self, Others, Place, camel};
use crate::canon::{EmbeddingAsk, Input};
use crate::{BadRequest, Endpoint};

/// Settings of a batch have to be the same in all of it: the canonical form has one place for each.
pub(crate) fn read_ask(endpoint: Endpoint, body: &[u8]) -> Result<EmbeddingAsk, BadRequest> {
    let body = place::body(body)?;
    let mut ask = EmbeddingAsk::default();
    if endpoint == Endpoint::EmbedContent {
        read_request(body, Place::Top, true, &mut ask)?;
        return Ok(ask);
    }
    for (name, value) in place::fields(body, Place::Top)? {
        let at = Place::Top.field(&name);
        match &*camel(&name) {
            "requests" => {
                for (index, request) in (0..).zip(place::list(value, at)?) {
                    read_request(request, at.item(index), index == 0, &mut ask)?;
                }
            }
            "model" => {}
            _ => ask.others.push((name, value)),
        }
    }
    match ask.inputs.is_empty() {
        true => Err(BadRequest::missing("requests")),
        false => Ok(ask),
    }
}

fn read_request(
    value: Value,
    at: Place<'_>,
    is_first: bool,
    ask: &mut EmbeddingAsk,
) -> Result<(), BadRequest> {
    let mut settings = Settings::default();
    let mut text = None;
    for (name, value) in place::fields(value, at)? {
        let at = at.field(&name);
        match &*camel(&name) {
            "content" => text = Some(read_content(value, at, &mut ask.others)?),
            // It stands in the path.
            "model" => {}
            "embedContentConfig" => {
                for (name, value) in place::fields(value, at)? {
                    settings.read(&name, value, at.field(&name), &mut ask.others)?;
                }
            }
            _ => settings.read(&name, value, at, &mut ask.others)?,
        }
    }
    let Some(text) = text else {
        return Err(at.field("content").missing());
    };
    ask.inputs.push(Input::Text(text));
    if is_first {
        Settings {
            task: ask.task,
            title: ask.title,
            dimensions: ask.dimensions,
        } = settings;
        return Ok(());
    }
    settings.check_same(ask, at)
}

/// What a request may say beside its content.
#[derive(Default)]
struct Settings {
    task: Option<String>,
    title: Option<String>,
    dimensions: Option<u32>,
}

impl Settings {
    fn read(
        &mut self,
        name: &str,
        value: Value,
        at: Place<'_>,
        others: &mut Others,
    ) -> Result<(), BadRequest> {
        match &*camel(name) {
            "taskType" => self.task = Some(at.text(value)?),
            "title" => self.title = Some(at.text(value)?),
            "outputDimensionality" => self.dimensions = Some(place::count(&value, at)?),
            _ => others.push((at.to_string(), value)),
        }
        Ok(())
    }

    fn check_same(&self, ask: &EmbeddingAsk, at: Place<'_>) -> Result<(), BadRequest> {
        let different = if self.task != ask.task {
            "taskType"
        } else if self.title != ask.title {
            "title"
        } else if self.dimensions != ask.dimensions {
            "outputDimensionality"
        } else {
            return Ok(());
        };
        Err(at
            .field(different)
            .invalid("the same in all requests of the batch, for this model"))
    }
}

/// The texts of all parts: they make one vector.
fn read_content(value: Value, at: Place<'_>, others: &mut Others) -> Result<String, BadRequest> {
    let mut texts = Vec::new();
    for (name, value) in place::fields(value, at)? {
        let at = at.field(&name);
        match name.as_str() {
            "parts" => {
                for (index, part) in (0..).zip(place::list(value, at)?) {
                    let at = at.item(index);
                    for (name, value) in place::fields(part, at)? {
                        let at = at.field(&name);
                        match name.as_str() {
                            "text" => texts.push(at.text(value)?),
                            _ => others.push((at.to_string(), value)),
                        }
                    }
                }
            }
            "role" => {}
            _ => others.push((at.to_string(), value)),
        }
    }
    Ok(texts.join("\n"))
}
