//! The client's bytes for an upstream of its own dialect, with what the router changes in them.

use bytes::Bytes;
use serde_json::Value;
use shared::config::{Dialect, Manners};

use super::changes::Changes;
use super::fields::FieldValue;
use super::{Ask, own_proofs};
use crate::canon::{Field, Wording, is_about_tools};
use crate::splice::Splice;
use crate::{Endpoint, Operation, Overrides, openai_chat};

impl Ask {
    /// The body for an upstream of the same dialect, with `manners`: the client's bytes, with another model name, the overrides in
    /// place, a stream's usage asked for, without what other providers proved to have thought, and with no more of the
    /// history than the upstream takes.
    ///
    /// Overrides are told in this dialect's words (see [`Overrides`]); one that is no field of chats in general is
    /// set as it is named.
    pub fn for_same_dialect(
        &self,
        manners: Manners,
        upstream_model: &str,
        overrides: &Overrides,
    ) -> Bytes {
        let mut changes = Changes::default();
        let dialect = self.endpoint.dialect();
        let has_own_words =
            self.endpoint.operation() == Operation::Chat && dialect != Dialect::OpenaiChat;
        let asks_usage = self.is_stream && self.grammar.has_stream_options;
        let wordings: &[Wording] = match has_own_words {
            true => overrides.wordings(dialect, upstream_model),
            false => &[],
        };
        let mut wordings = wordings.iter();
        let overrides = overrides.fields();
        let has_tools = overrides.contains_key("tools")
            || self.field("tools").is_some_and(|tools| !tools.is_empty());
        for (name, value) in overrides {
            let wording = wordings.next();
            let is_ours = match name.as_str() {
                "model" | "stream" => true,
                "stream_options" => asks_usage && !value.is_object(),
                _ => false,
            };
            let is_idle = is_about_tools(name) && !has_tools;
            if is_ours || is_idle {
                continue;
            }
            if let Some(other) = self
                .other_limit(name)
                .filter(|name| !overrides.contains_key(*name))
            {
                changes.set(other, Value::Null);
            }
            match wording {
                Some(wording) => self.word(wording, &mut changes),
                None => changes.set(name, value.clone()),
            }
        }
        if asks_usage && (overrides.contains_key("stream_options") || !self.wants_usage()) {
            changes.set("stream_options.include_usage", Value::from(true));
        }
        if self.grammar.has_model && upstream_model != self.model_in_body().unwrap_or_default() {
            changes.set("model", Value::from(upstream_model));
        }
        let mut splice = Splice::default();
        changes.apply(self.grammar, &self.object, &self.body, 0, &mut splice);
        self.set_resource_models(&mut splice, upstream_model);
        let mut body = splice.apply(&self.body);
        if self.endpoint == Endpoint::ChatCompletions {
            body = openai_chat::fit_history(body, manners);
        }
        own_proofs::keep_own(body, self.endpoint.dialect(), self.grammar)
    }

    fn word(&self, wording: &Wording, changes: &mut Changes) {
        let in_choice = wording.in_choice.as_ref();
        if let Some(within) = in_choice.filter(|within| self.field(within.choice).is_some()) {
            let kind = self.field(&format!("{}.type", within.choice));
            // Who may call nothing calls nothing at once.
            if kind.and_then(FieldValue::text).as_deref() != Some("none") {
                let path = format!("{}.{}", within.choice, within.part);
                changes.set(&path, within.value.clone());
            }
            return;
        }
        for path in &wording.unset {
            if self.field(path).is_some() {
                changes.set(path, Value::Null);
            }
        }
        for (path, value) in &wording.set {
            changes.set(path, value.clone());
        }
        if let Some(said) = &wording.said {
            changes.say("system", said);
        }
    }

    /// The output limit under its other name, if the request has it: providers refuse a request that has both.
    fn other_limit(&self, name: &str) -> Option<&'static str> {
        let other = match (self.endpoint, name) {
            (Endpoint::ChatCompletions, "max_tokens") => "max_completion_tokens",
            (Endpoint::ChatCompletions, "max_completion_tokens") => "max_tokens",
            _ => return None,
        };
        self.field(other).map(|_| other)
    }

    /// Where this dialect has the field that OpenAI calls `name`.
    pub(super) fn place_of<'a>(&self, name: &'a str) -> &'a str {
        let dialect = self.endpoint.dialect();
        if dialect == Dialect::OpenaiChat || self.endpoint.operation() != Operation::Chat {
            return name;
        }
        Field::of_openai(name)
            .and_then(|field| field.path(dialect))
            .unwrap_or(name)
    }

    /// Puts the upstream's name for the model where the request repeats the path's, which Google's servers compare.
    fn set_resource_models(&self, splice: &mut Splice, upstream_model: &str) {
        let name = match upstream_model.contains('/') {
            true => upstream_model.to_owned(),
            false => format!("models/{upstream_model}"),
        };
        let name = Value::from(name).to_string();
        for path in self.grammar.resource_models {
            for span in self.values(path) {
                splice.replace(span, name.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
