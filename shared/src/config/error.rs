//! Refusals: one line that names the setting, its value (never a secret), the rule, and the remedy.

use std::fmt;
use std::path::PathBuf;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the file `{}`: {reason}; name a readable YAML file", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("the file cannot be read as YAML settings: {reason}; correct it there")]
    NotYaml { reason: String },
    #[error("{}", joined(.0))]
    Refused(Vec<Problem>),
}

impl ConfigError {
    /// What was refused, setting by setting; empty where the file could not even be read.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Refused(problems) => problems,
            Self::Unreadable { .. } | Self::NotYaml { .. } => &[],
        }
    }
}

/// One setting that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// With list positions: `providers[0].keys[1].weight`.
    pub setting: String,
    /// Absent where it is a secret, could hold one, or says nothing.
    pub value: Option<String>,
    /// A predicate: `must be at least 1`.
    pub rule: String,
    pub remedy: String,
}

impl Problem {
    pub(super) fn new(
        setting: impl Into<String>,
        rule: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            setting: setting.into(),
            value: None,
            rule: rule.into(),
            remedy: remedy.into(),
        }
    }

    pub(super) fn with_value(self, value: impl fmt::Display) -> Self {
        Self {
            value: Some(value.to_string()),
            ..self
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            value,
            rule,
            remedy,
        } = self;
        // A line break in a name must not make two lines of one refusal.
        let setting = setting.escape_debug();
        match value {
            Some(value) => write!(
                f,
                "`{setting}` is `{}`, but {rule}; {remedy}",
                value.escape_debug()
            ),
            None => write!(f, "`{setting}` {rule}; {remedy}"),
        }
    }
}

fn joined(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join(" | also: ")
}
