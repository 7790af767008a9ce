//! Stand-in.
#[derive(Debug, Default)]
pub struct TokenCounter;
impl TokenCounter {
    pub fn new() -> Self {
        Self
    }
    pub fn load(&self) {}
}
