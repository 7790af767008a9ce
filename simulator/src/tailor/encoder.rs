//! gzip and brotli that compress nothing: any decoder reads them, and no library is needed to write them.

use crate::behaviour::Encoding;
use crate::crc32;

/// A stored block's length has 16 bits in both formats.
const BLOCK_MAX: usize = 0xFFFF;

/// RFC 1952: deflate, no flags, no time, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];

pub(super) enum Encoder {
    Gzip(Gzip),
    Brotli(Brotli),
}

#[derive(Default)]
pub(super) struct Gzip {
    is_begun: bool,
    crc: u32,
    length: u32,
}

#[derive(Default)]
pub(super) struct Brotli {
    is_begun: bool,
}

impl Encoder {
    pub(super) fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Gzip => Self::Gzip(Gzip::default()),
            Encoding::Br => Self::Brotli(Brotli::default()),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for block in bytes.chunks(BLOCK_MAX) {
            match self {
                Self::Gzip(gzip) => gzip.write(block, out),
                Self::Brotli(brotli) => brotli.write(block, out),
            }
        }
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        match &mut self {
            Self::Gzip(gzip) => gzip.finish(out),
            Self::Brotli(brotli) => brotli.finish(out),
        }
    }
}

impl Gzip {
    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.is_begun {
            self.is_begun = true;
            out.extend_from_slice(&GZIP_HEADER);
        }
    }

    fn write(&mut self, block: &[u8], out: &mut Vec<u8>) {
        self.begin(out);
        self.crc = crc32::of(self.crc, block);
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        self.length = self.length.wrapping_add(length.into());
        // RFC 1951 §3.2.4: not the last, stored, at a byte's boundary.
        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        out.extend_from_slice(&[1, 0, 0, 0xFF, 0xFF]);
        out.extend_from_slice(&self.crc.to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
    }
}

impl Brotli {
    fn write(&mut self, block: &[u8], out: &mut Vec<u8>) {
        // RFC 7932 §9.2, from the lowest bit: not the last, 4 nibbles of length - 1, uncompressed, up to the byte's end.
        let length = u32::try_from(block.len()).unwrap_or_default();
        let mut header = length.saturating_sub(1) << 3 | 1 << 19;
        if !self.is_begun {
            self.is_begun = true;
            // The stream's own header is one bit: a window of 64 KiB.
            header <<= 1;
        }
        let [low, middle, high, _] = header.to_le_bytes();
        out.extend_from_slice(&[low, middle, high]);
        out.extend_from_slice(block);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        // The last and empty; behind the stream's header if there was nothing before.
        out.push(if self.is_begun { 0b11 } else { 0b110 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(encoding: Encoding, blocks: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(encoding);
        for block in blocks {
            encoder.write(block, &mut out);
        }
        encoder.finish(&mut out);
        out
    }

    #[test]
    fn gzip_is_what_decoders_read() {
        // The check value of CRC-32 is that of these nine digits.
        let bytes = encoded(Encoding::Gzip, &[b"1234", b"56789"]);

        let mut expected = GZIP_HEADER.to_vec();
        expected.extend_from_slice(b"\x00\x04\x00\xFB\xFF1234\x00\x05\x00\xFA\xFF56789");
        expected.extend_from_slice(b"\x01\x00\x00\xFF\xFF\x26\x39\xF4\xCB\x09\x00\x00\x00");
        assert_eq!(bytes, expected);
    }

    #[test]
    fn brotli_is_what_decoders_read() {
        let bytes = encoded(Encoding::Br, &[b"1234", b"56789"]);

        assert_eq!(bytes, b"\x30\x00\x101234\x20\x00\x0856789\x03");
        assert_eq!(encoded(Encoding::Br, &[]), [0b110]);
    }
}
