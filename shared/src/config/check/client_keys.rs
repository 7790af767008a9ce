//! Rules for the credentials that clients send.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::Checker;
use super::names::Alphabet;
use crate::config::error::Problem;
use crate::config::nearest::nearest;
use crate::config::{ClientKey, Model, raw};
use crate::ids::ModelName;
use crate::units::Priority;

impl Checker<'_> {
    pub(super) fn client_keys(
        &mut self,
        client_keys: Vec<raw::ClientKey>,
        models: &[Model],
    ) -> Vec<ClientKey> {
        let mut names = HashMap::new();
        let mut digests: HashMap<[u8; 32], String> = HashMap::new();
        let mut checked = Vec::with_capacity(client_keys.len());
        for (index, client_key) in client_keys.into_iter().enumerate() {
            let place = format!("client_keys[{index}]");
            self.unique(&mut names, &format!("{place}.name"), &client_key.name);
            let n_before = self.problems.len();
            let client_key = self.client_key(&place, client_key, models);
            // The secret of a refused one may be a stand-in, which would look like another's.
            let is_sound = self.problems.len() == n_before;
            let setting = format!("{place}.secret");
            if let Some(first) = digests.get(&client_key.digest)
                && is_sound
            {
                self.refuse(Problem::new(
                    setting,
                    format!("must be unique: `{first}` is the same"),
                    "give each client key a token of its own",
                ));
            } else {
                digests.insert(client_key.digest, setting);
            }
            checked.push(client_key);
        }
        checked
    }

    fn client_key(
        &mut self,
        place: &str,
        client_key: raw::ClientKey,
        models: &[Model],
    ) -> ClientKey {
        let raw::ClientKey {
            name,
            secret,
            team,
            priority,
            models: allowed,
            limits,
        } = client_key;
        self.name(&format!("{place}.name"), &name, Alphabet::Word);
        if let Some(team) = &team {
            self.name(&format!("{place}.team"), team, Alphabet::Word);
        }
        let secret = self.secret(&format!("{place}.secret"), secret);
        let level = self.between(
            &format!("{place}.priority"),
            priority,
            0,
            Priority::MAX.level().into(),
            "10 is served first; leave it out for 5",
        );
        ClientKey {
            name: name.into(),
            digest: Sha256::digest(secret.expose()).into(),
            team: team.map(Into::into),
            priority: u8::try_from(level)
                .ok()
                .and_then(Priority::try_new)
                .unwrap_or_default(),
            models: allowed.map(|allowed| self.allowed_models(place, &allowed, models)),
            limits: self.limits(place, &limits),
        }
    }

    /// Public names; an alias stands for its model.
    fn allowed_models(
        &mut self,
        place: &str,
        allowed: &[String],
        models: &[Model],
    ) -> Vec<ModelName> {
        if allowed.is_empty() {
            self.refuse(Problem::new(
                format!("{place}.models"),
                "must name at least one model",
                "leave it out to allow all",
            ));
        }
        let mut checked = Vec::with_capacity(allowed.len());
        for (index, asked) in allowed.iter().enumerate() {
            let goes_by = |model: &&Model| {
                let mut names = model.aliases.iter().chain([&model.name]);
                names.any(|name| name.as_str() == asked)
            };
            if let Some(model) = models.iter().find(goes_by) {
                checked.push(model.name.clone());
                continue;
            }
            let known: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
            let remedy = match nearest(asked, &known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "add it to `models`".to_owned(),
            };
            self.refuse(
                Problem::new(
                    format!("{place}.models[{index}]"),
                    "must be the name or alias of a model",
                    remedy,
                )
                .with_value(asked),
            );
        }
        checked
    }
}
