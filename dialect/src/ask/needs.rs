//! What a request needs of a model.

use shared::config::Capability;

use super::Ask;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub capabilities: Vec<Capability>,
}

impl Ask {
    pub fn needs(&self) -> Needs {
        Needs::default()
    }
}

impl Needs {
    /// The first capability that is not among `known`.
    pub fn missing_in(&self, known: &[Capability]) -> Option<Capability> {
        let mut needed = self.capabilities.iter();
        needed.find(|needed| !known.contains(needed)).copied()
    }
}
