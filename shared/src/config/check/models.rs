//! Rules for models and their upstreams.

use std::collections::HashMap;

use super::Checker;
use super::names::Alphabet;
use crate::catalog::Strategy;
use crate::config::error::Problem;
use crate::config::nearest::nearest;
use crate::config::{Capability, Model, Provider, Upstream, raw};

/// What the client decides, or the router itself.
const OVERRIDES_FORBIDDEN: [&str; 4] = ["messages", "model", "stream", "stream_options"];

impl Checker<'_> {
    pub(super) fn models(&mut self, models: Vec<raw::Model>, providers: &[Provider]) -> Vec<Model> {
        if models.is_empty() {
            self.refuse(Problem::new(
                "models",
                "must name at least one model",
                "add one with `name` and `upstreams`",
            ));
        }
        let mut names = HashMap::new();
        // Over all models, because slashes in model names could make two upstreams one row of the store.
        let mut upstream_rows = HashMap::new();
        let mut checked = Vec::with_capacity(models.len());
        for (index, model) in models.into_iter().enumerate() {
            let place = format!("models[{index}]");
            self.model_name(&mut names, &format!("{place}.name"), &model.name);
            for (index, alias) in model.aliases.iter().enumerate() {
                self.model_name(&mut names, &format!("{place}.aliases[{index}]"), alias);
            }
            checked.push(self.model(&place, model, providers, &mut upstream_rows));
        }
        checked
    }

    fn model_name(&mut self, names: &mut HashMap<String, String>, setting: &str, name: &str) {
        self.name(setting, name, Alphabet::Model);
        self.unique(names, setting, name);
    }

    fn model(
        &mut self,
        place: &str,
        model: raw::Model,
        providers: &[Provider],
        upstream_rows: &mut HashMap<String, String>,
    ) -> Model {
        let raw::Model {
            name,
            aliases,
            strategy,
            exclusive,
            limits,
            upstreams,
            overrides,
            drop_unsupported,
        } = model;
        let strategies = Strategy::ALL.map(|strategy| (strategy.name(), strategy));
        let strategy = self.choice(&format!("{place}.strategy"), &strategy, &strategies);
        if exclusive && strategy != Strategy::FirstAvailable {
            self.refuse(
                Problem::new(
                    format!("{place}.exclusive"),
                    "must be false unless the strategy is first_available",
                    "set `strategy: first_available`, or take `exclusive` out",
                )
                .with_value(exclusive),
            );
        }
        self.overrides(place, &overrides);
        if upstreams.is_empty() {
            self.refuse(Problem::new(
                format!("{place}.upstreams"),
                "must name at least one upstream",
                "add `{ provider: NAME }`",
            ));
        }
        let mut checked = Vec::with_capacity(upstreams.len());
        for (index, upstream) in upstreams.into_iter().enumerate() {
            let place = format!("{place}.upstreams[{index}]");
            let upstream = self.upstream(&place, &name, upstream, providers);
            let row = format!("{name}/{}/{}", upstream.provider, upstream.model);
            self.unique(upstream_rows, &place, &row);
            checked.push(upstream);
        }
        Model {
            name: name.into(),
            aliases: aliases.into_iter().map(Into::into).collect(),
            strategy,
            exclusive,
            limits: self.limits(place, &limits),
            upstreams: checked,
            overrides,
            drop_unsupported,
        }
    }

    fn overrides(&mut self, place: &str, overrides: &serde_json::Map<String, serde_json::Value>) {
        for field in OVERRIDES_FORBIDDEN {
            if overrides.contains_key(field) {
                self.refuse(Problem::new(
                    format!("{place}.overrides.{field}"),
                    "must not be forced",
                    "take it out; `upstreams` name the provider's model",
                ));
            }
        }
    }

    fn upstream(
        &mut self,
        place: &str,
        model_name: &str,
        upstream: raw::Upstream,
        providers: &[Provider],
    ) -> Upstream {
        let raw::Upstream {
            provider,
            model,
            weight,
            limits,
            context_length,
            capabilities,
        } = upstream;
        let known: Vec<&str> = providers.iter().map(|known| known.name.as_str()).collect();
        if !known.contains(&provider.as_str()) {
            let remedy = match nearest(&provider, &known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "add it to `providers`".to_owned(),
            };
            self.refuse(
                Problem::new(
                    format!("{place}.provider"),
                    "must be the name of a provider",
                    remedy,
                )
                .with_value(&provider),
            );
        }
        if let Some(model) = &model {
            self.name(&format!("{place}.model"), model, Alphabet::Model);
        }
        let setting = format!("{place}.context_length");
        let context_length = context_length.map(|length| self.at_least_one(&setting, length));
        Upstream {
            context_length,
            capabilities: capabilities
                .map(|names| self.capabilities(&format!("{place}.capabilities"), &names)),
            provider: provider.into(),
            model: model.unwrap_or_else(|| model_name.to_owned()),
            weight: self.weight(&format!("{place}.weight"), weight),
            limits: self.limits(place, &limits),
        }
    }

    fn capabilities(&mut self, setting: &str, names: &[String]) -> Vec<Capability> {
        let all = Capability::ALL.map(|capability| (capability.name(), capability));
        let names = (0..).zip(names);
        names
            .map(|(index, name): (usize, _)| {
                self.choice(&format!("{setting}[{index}]"), name, &all)
            })
            .collect()
    }
}
