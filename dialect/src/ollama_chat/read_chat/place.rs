//! What counts and lists of texts are here.

use serde_json::Value;

use crate::BadRequest;
pub(crate) use crate::place::Place;

/// Ollama itself takes `100.0` for 100.
pub(crate) fn count(value: &Value, place: Place<'_>) -> Result<u32, BadRequest> {
    let count = u32::try_from(place.rounded(value)?);
    count.map_err(|_| place.invalid("an integer of at least 0"))
}

pub(crate) fn texts(value: Value, place: Place<'_>) -> Result<Vec<String>, BadRequest> {
    let items = (0..).zip(place.items(value)?);
    items
        .map(|(index, item)| place.item(index).text(item))
        .collect()
}
