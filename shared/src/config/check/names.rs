//! Rules for names. They become names of rows in the store, labels of metrics and values of response headers.

use std::collections::HashMap;

use super::Checker;
use crate::config::error::Problem;

const NAME_LEN_MAX: usize = 200;

/// What a name may be made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// Letters, digits and `-_.:@`.
    ///
    /// No slash: `provider/key` must name one key only.
    Word,
    /// The same, and `/`.
    Path,
    /// Everything but control characters and white space at the ends, as providers name their models.
    Model,
}

impl Checker<'_> {
    pub(super) fn name(&mut self, setting: &str, name: &str, alphabet: Alphabet) {
        let is_word =
            |character: char| character.is_ascii_alphanumeric() || "-_.:@".contains(character);
        let (is_allowed, rule) = match alphabet {
            Alphabet::Word => (
                name.chars().all(is_word),
                "must hold only letters, digits and `-_.:@`",
            ),
            Alphabet::Path => (
                name.chars()
                    .all(|character| is_word(character) || character == '/'),
                "must hold only letters, digits and `-_.:@/`",
            ),
            Alphabet::Model => (
                !name.contains(char::is_control) && name.trim() == name,
                "must hold no control characters and no white space at its ends",
            ),
        };
        let problem = if name.is_empty() {
            Problem::new(setting, "must not be empty", "give it a name")
        } else if name.len() > NAME_LEN_MAX {
            let rule = format!("must be at most {NAME_LEN_MAX} bytes long");
            Problem::new(setting, rule, "choose a shorter name")
        } else if is_allowed {
            return;
        } else {
            Problem::new(setting, rule, "choose another name").with_value(name)
        };
        self.refuse(problem);
    }

    /// Refuses `name` where `taken` has it already; else remembers where it was used.
    pub(super) fn unique(
        &mut self,
        taken: &mut HashMap<String, String>,
        setting: &str,
        name: &str,
    ) {
        if let Some(first) = taken.get(name) {
            let rule = format!("must be unique: `{first}` has it already");
            self.refuse(Problem::new(setting, rule, "choose another name").with_value(name));
        } else {
            taken.insert(name.to_owned(), setting.to_owned());
        }
    }
}
