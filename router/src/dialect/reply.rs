//! Stand-in.
use super::{Endpoint, usage::Usage};
#[derive(Debug)]
pub struct ReplyFault;
impl std::fmt::Display for ReplyFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("fault")
    }
}
#[derive(Debug)]
pub struct Reply {
    pub usage: Option<Usage>,
    pub fault: Option<ReplyFault>,
}
pub fn inspect_reply(_endpoint: Endpoint, _bytes: &[u8]) -> Reply {
    Reply {
        usage: None,
        fault: None,
    }
}
