//! Speech: bytes that are no text, as many for each letter.

use crate::api::inference::{Call, Make, Received};
use crate::ask;
use crate::fields::{self, Item, Reading};

/// Begins an MP3 frame, and is no UTF-8.
const FRAME: [u8; 4] = [0xFF, 0xFB, 0x90, 0x00];

pub(in crate::api) fn read(received: Received<'_>) -> Reading<Call> {
    let body = fields::json(received.body)?;
    Item::root(&body, received.dialect.manners()).object(|fields| {
        let model = received.model_of(fields)?;
        let input = fields.need("input")?;
        let text = input.text()?;
        if text.is_empty() || text.len() > 4096 {
            return Err(input.wrong("a string of 1 to 4096 letters"));
        }
        // A name, or an object with the id of one's own.
        let voice = fields.need("voice")?;
        if !voice.is_text() {
            voice.any_object()?;
        }
        let formats = ["mp3", "opus", "aac", "flac", "wav", "pcm"];
        let format = fields.one_of("response_format", &formats)?;
        fields.number("speed", 0.25..=4.0)?;
        fields.text("instructions")?;
        if fields.one_of("stream_format", &["audio", "sse"])? == Some("sse") {
            return Err(fields.against("stream_format", "Events of speech are not available."));
        }
        let n_frames = text.chars().count();
        Ok(Call::Make(Make {
            model,
            prompt_tokens: ask::tokens_in(text.len() as u64),
            content_type: match format {
                Some("opus") => "audio/ogg",
                Some("aac") => "audio/aac",
                Some("flac") => "audio/flac",
                Some("wav") => "audio/wav",
                Some("pcm") => "audio/pcm",
                _ => "audio/mpeg",
            },
            body: Box::new(move |_| FRAME.repeat(n_frames)),
        }))
    })
}
