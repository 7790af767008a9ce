//! `options` and how long the model stays loaded.

use serde_json::Value;

use crate::fields::{Fields, Reading};

/// Numbers that change nothing here.
const NUMBERS: [&str; 13] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "repeat_penalty",
    "repeat_last_n",
    "presence_penalty",
    "frequency_penalty",
    "num_ctx",
    "num_keep",
    "num_batch",
    "num_gpu",
];

/// The limit on the answer's tokens, if it has one.
pub(super) fn read(fields: &mut Fields<'_>) -> Reading<Option<u32>> {
    if let Some(keep_alive) = fields.item("keep_alive")
        && !matches!(keep_alive.value(), Value::String(_) | Value::Number(_))
    {
        return Err(keep_alive.wrong("a duration or a number of seconds"));
    }
    let tokens_max = fields.object("options", |options| {
        for name in NUMBERS {
            options.number(name, f64::NEG_INFINITY..=f64::INFINITY)?;
        }
        options.whole("seed", i64::MIN..=i64::MAX)?;
        options.texts("stop")?;
        options.skip(&["main_gpu", "use_mmap", "num_thread", "draft_num_predict"]);
        // -1 and -2 are for no limit.
        options.whole("num_predict", -2..=i64::from(u32::MAX))
    })?;
    Ok(tokens_max.flatten().and_then(|it| u32::try_from(it).ok()))
}
