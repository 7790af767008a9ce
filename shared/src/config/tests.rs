//! What the configuration promises: layers, secrets, refusals by name, and an example that is complete.

mod example;
mod follow;
mod layers;
mod refusals;
mod secrets;

use std::collections::HashMap;

use super::{Config, ConfigError, Overrides, Problem};

/// The smallest configuration that works.
const SMALLEST: &str = "
providers:
  - name: openai
    dialect: openai_chat
    base_url: https://api.openai.com/v1
    keys: [{ name: main, secret: sk-provider }]
models:
  - name: gpt-4o
    upstreams: [{ provider: openai }]
";

fn load(yaml: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment: HashMap<String, String> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Config::from_yaml(yaml, &Overrides::default(), environment.into_iter())
}

/// The only refusal of `yaml`.
#[track_caller]
fn refusal(yaml: &str) -> Problem {
    let error = load(yaml, &[]).expect_err("refused");
    let line = error.to_string();
    assert_eq!(line.lines().count(), 1, "{line}");
    match error.problems() {
        [problem] => problem.clone(),
        _ => panic!("one refusal was expected: {line}"),
    }
}
