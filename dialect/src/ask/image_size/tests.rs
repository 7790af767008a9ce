use proptest::prelude::*;

use super::*;

/// As a writer of Base64 would do it, to be compared with the reader.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for nth in 0..4 {
            match nth <= chunk.len() {
                true => text.push(char::from(ALPHABET[(bits >> (18 - 6 * nth) & 63) as usize])),
                false => text.push('='),
            }
        }
    }
    text
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    file.extend(width.to_be_bytes());
    file.extend(height.to_be_bytes());
    file.extend(b"\x08\x06\0\0\0");
    file
}

/// With segments of these lengths before its frame header.
fn jpeg(segments: &[usize], marker: u8, width: u16, height: u16) -> Vec<u8> {
    let mut file = b"\xFF\xD8".to_vec();
    for len in segments {
        file.extend([0xFF, 0xE1]);
        file.extend(u16::try_from(len + 2).unwrap().to_be_bytes());
        file.extend(std::iter::repeat_n(0xC0, *len));
    }
    file.extend([0xFF, 0xFF, marker, 0, 17, 8]);
    file.extend(height.to_be_bytes());
    file.extend(width.to_be_bytes());
    file.extend([3; 8]);
    file
}

fn webp(chunk: &[u8]) -> Vec<u8> {
    [b"RIFF\x40\0\0\0WEBP", chunk].concat()
}

#[track_caller]
fn check(file: &[u8], expected: Option<(u32, u32)>) {
    let size = image_size(base64(file).as_bytes());
    assert_eq!(size.map(|size| (size.width, size.height)), expected);
}

#[test]
fn each_format_tells_its_size() {
    check(&png(1920, 1080), Some((1920, 1080)));
    check(b"GIF89a\x80\x02\xe0\x01\xf7\0\0", Some((640, 480)));
    check(b"GIF87a\x01\0\x02\0", Some((1, 2)));
    check(
        &webp(b"VP8 \x20\0\0\0\x30\x01\0\x9d\x01\x2a\x20\x43\x58\x02"),
        Some((800, 600)),
    );
    // 800 − 1 in the lower 14 bits, 600 − 1 in the next.
    check(&webp(b"VP8L\x20\0\0\0\x2f\x1f\xc3\x95\0"), Some((800, 600)));
    check(
        &webp(b"VP8X\x0a\0\0\0\0\0\0\0\x1f\x03\0\x57\x02\0"),
        Some((800, 600)),
    );
}

#[test]
fn a_jpeg_is_searched_for_its_frame_header() {
    check(&jpeg(&[], 0xC0, 640, 480), Some((640, 480)));
    // Progressive, behind a thumbnail and a colour profile.
    check(
        &jpeg(&[14, 65_000, 3_000], 0xC2, 4032, 3024),
        Some((4032, 3024)),
    );
    // A table of Huffman codes is none.
    check(&jpeg(&[], 0xC4, 640, 480), None);
    check(&jpeg(&[], 0xDA, 640, 480), None);
    check(&jpeg(&[0; JPEG_SEGMENTS_MAX], 0xC0, 640, 480), None);
}

#[test]
fn what_is_no_picture_has_no_size() {
    for raw in [
        "",
        "AAAA",
        "https://example.com/cat.png",
        "data:",
        "data:image/png;base64",
        "data:,",
    ] {
        assert_eq!(image_size(raw.as_bytes()), None, "{raw}");
    }
    check(&png(0, 1080), None);
    check(b"%PDF-1.7", None);
    check(&png(1, 1)[..20], None);
}

#[test]
fn base64_is_read_in_all_its_dresses() {
    // Both digits that the alphabets disagree on are in this size.
    let plain = base64(&png(0x0001_FBEF, 0xBEFF_FFFF));
    assert!(plain.contains('+') && plain.contains('/'), "{plain}");
    let lines = plain
        .as_bytes()
        .chunks(16)
        .map(|line| String::from_utf8_lossy(line) + "\\r\\n");

    for raw in [
        format!("data:image/png;base64,{plain}"),
        format!("data:image\\/png;base64,{}", plain.replace('/', "\\/")),
        plain.replace('+', "-").replace('/', "_"),
        lines.collect(),
        plain,
    ] {
        let size = image_size(raw.as_bytes());

        let expected = ImageSize {
            width: 0x0001_FBEF,
            height: 0xBEFF_FFFF,
        };
        assert_eq!(size, Some(expected), "{raw}");
    }
}

fn beginnings() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        png(3, 4),
        jpeg(&[3], 0xC0, 3, 4),
        b"GIF89a".to_vec(),
        webp(b"VP8 \x20\0\0\0\x30\x01\0\x9d\x01\x2a"),
        webp(b"VP8L\x20\0\0\0\x2f"),
        webp(b"VP8X"),
        Vec::new(),
    ])
}

proptest! {
    #[test]
    fn every_byte_is_decoded_as_it_was_encoded(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let text = base64(&bytes);

        let file = File(text.as_bytes());

        let decoded: Vec<u8> = (0..bytes.len()).filter_map(|at| file.byte(at)).collect();
        prop_assert_eq!(decoded, bytes);
    }

    #[test]
    fn no_file_makes_it_panic(begin in beginnings(), len in 0_usize..64, rest in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut file = begin;
        file.truncate(len);
        file.extend(rest);

        image_size(base64(&file).as_bytes());
        image_size(&file);
    }
}
