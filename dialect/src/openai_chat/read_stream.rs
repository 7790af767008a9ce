//! An upstream's stream → events.

use crate::canon::{Event, StreamReader};
use crate::relay::StreamFaultKind;

#[derive(Debug, Default)]
pub(crate) struct Reader {}

impl StreamReader for Reader {
    fn read(&mut self, _frame: &[u8], _events: &mut Vec<Event>) -> Result<(), StreamFaultKind> {
        Err(StreamFaultKind::Malformed)
    }
}
