//! How large a picture is, by the first bytes of its file, which are given in Base64.
//!
//! PNG, JPEG, GIF and WebP: what the providers take. Bytes are decoded one by one where they are looked at, so a file of
//! any size costs the same.

use std::borrow::Cow;

/// A camera's JPEG has some ten segments before its frame header; a hostile one could have millions.
const JPEG_SEGMENTS_MAX: usize = 256;

/// Escapes are resolved up to here; the frame header of most pictures comes sooner.
const ESCAPED_BYTES_MAX: usize = 128 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImageSize {
    pub(super) width: u32,
    pub(super) height: u32,
}

/// The size of the picture in the JSON string `raw` (without its quotes): Base64, or a `data:` URL of it.
///
/// `None` for addresses, other formats, and what is broken before the size is told.
pub(super) fn image_size(raw: &[u8]) -> Option<ImageSize> {
    let raw = without_escapes(raw);
    let base64 = match raw.strip_prefix(b"data:") {
        Some(url) => url.get(memchr::memchr(b',', url)? + 1..)?,
        None => &*raw,
    };
    let file = File(base64);
    let size = png(file)
        .or_else(|| jpeg(file))
        .or_else(|| gif(file))
        .or_else(|| webp(file))?;
    (size.width > 0 && size.height > 0).then_some(size)
}

/// PHP writes each `/` as `\/`, and Base64 is full of them; MIME breaks it into lines.
fn without_escapes(raw: &[u8]) -> Cow<'_, [u8]> {
    let head = raw.get(..ESCAPED_BYTES_MAX).unwrap_or(raw);
    if memchr::memchr(b'\\', head).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut plain = Vec::with_capacity(head.len());
    let mut bytes = head.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if bytes.next() == Some(b'/') => plain.push(b'/'),
            b'\\' => {}
            byte => plain.push(byte),
        }
    }
    Cow::Owned(plain)
}

fn png(file: File<'_>) -> Option<ImageSize> {
    let is_png = file.has(0, b"\x89PNG\r\n\x1a\n") && file.has(12, b"IHDR");
    is_png.then_some(())?;
    Some(ImageSize {
        width: file.big_endian(16, 4)?,
        height: file.big_endian(20, 4)?,
    })
}

/// Goes from segment to segment until a frame header.
fn jpeg(file: File<'_>) -> Option<ImageSize> {
    file.has(0, b"\xFF\xD8").then_some(())?;
    let mut at: usize = 2;
    for _ in 0..JPEG_SEGMENTS_MAX {
        (file.byte(at)? == 0xFF).then_some(())?;
        match file.byte(at + 1)? {
            // A fill byte.
            0xFF => at += 1,
            // Markers that stand alone.
            0x01 | 0xD0..=0xD7 => at += 2,
            // Tables, whose markers lie among those of frame headers.
            0xC4 | 0xC8 | 0xCC => at = file.after_segment(at)?,
            0xC0..=0xCF => {
                return Some(ImageSize {
                    width: file.big_endian(at + 7, 2)?,
                    height: file.big_endian(at + 5, 2)?,
                });
            }
            // The picture itself, or its end, without a frame header.
            0xD9 | 0xDA => return None,
            _ => at = file.after_segment(at)?,
        }
    }
    None
}

fn gif(file: File<'_>) -> Option<ImageSize> {
    (file.has(0, b"GIF87a") || file.has(0, b"GIF89a")).then_some(())?;
    Some(ImageSize {
        width: file.little_endian(6, 2)?,
        height: file.little_endian(8, 2)?,
    })
}

fn webp(file: File<'_>) -> Option<ImageSize> {
    (file.has(0, b"RIFF") && file.has(8, b"WEBP")).then_some(())?;
    if file.has(12, b"VP8X") {
        return Some(ImageSize {
            width: file.little_endian(24, 3)? + 1,
            height: file.little_endian(27, 3)? + 1,
        });
    }
    // 14 bits each; the two above them are a scale, or belong to the neighbour.
    let low = |bits: u32| bits & 0x3FFF;
    if file.has(12, b"VP8L") && file.byte(20)? == 0x2F {
        let bits = file.little_endian(21, 4)?;
        return Some(ImageSize {
            width: low(bits) + 1,
            height: low(bits >> 14) + 1,
        });
    }
    let is_lossy = file.has(12, b"VP8 ") && file.has(23, b"\x9D\x01\x2A");
    is_lossy.then_some(())?;
    Some(ImageSize {
        width: low(file.little_endian(26, 2)?),
        height: low(file.little_endian(28, 2)?),
    })
}

/// A file in Base64, of either alphabet.
#[derive(Clone, Copy)]
struct File<'a>(&'a [u8]);

impl File<'_> {
    fn byte(self, at: usize) -> Option<u8> {
        let digit = |nth: usize| {
            let at = (at / 3).checked_mul(4)?.checked_add(nth)?;
            digit(*self.0.get(at)?)
        };
        Some(match at % 3 {
            0 => digit(0)? << 2 | digit(1)? >> 4,
            1 => digit(1)? << 4 | digit(2)? >> 2,
            _ => digit(2)? << 6 | digit(3)?,
        })
    }

    fn has(self, at: usize, bytes: &[u8]) -> bool {
        let mut bytes = bytes.iter().zip(at..);
        bytes.all(|(&byte, at)| self.byte(at) == Some(byte))
    }

    /// The number in the `len` bytes at `at`; four at most.
    fn big_endian(self, at: usize, len: usize) -> Option<u32> {
        let mut bytes = (at..at + len).map(|at| self.byte(at));
        bytes.try_fold(0, |number, byte| Some(number << 8 | u32::from(byte?)))
    }

    fn little_endian(self, at: usize, len: usize) -> Option<u32> {
        let mut bytes = (at..at + len).rev().map(|at| self.byte(at));
        bytes.try_fold(0, |number, byte| Some(number << 8 | u32::from(byte?)))
    }

    /// The position after the JPEG segment whose marker stands at `at`.
    fn after_segment(self, at: usize) -> Option<usize> {
        let len = usize::try_from(self.big_endian(at + 2, 2)?).ok()?;
        Some(at + 2 + len)
    }
}

/// What a character of Base64 stands for.
fn digit(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
