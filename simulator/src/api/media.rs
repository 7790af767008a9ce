//! Images and sound: `POST /v1/images/generations`, `/v1/audio/speech` and `/v1/audio/transcriptions`.

mod images;
mod multipart;
mod speech;
mod transcriptions;

pub(super) use self::images::read as read_image;
pub(super) use self::speech::read as read_speech;
pub(super) use self::transcriptions::read as read_transcription;
