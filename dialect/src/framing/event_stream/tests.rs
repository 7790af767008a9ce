use proptest::prelude::*;

use super::*;

const EVENT: AwsMessage<'_> = AwsMessage {
    kind: "messageStart",
    is_exception: false,
    payload: br#"{"role":"assistant"}"#,
};

/// A message with these headers, its checksums in order.
fn frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(length(16 + headers.len() + payload.len()));
    frame.extend(length(headers.len()));
    put_checksum(&mut frame);
    frame.extend(headers);
    frame.extend(payload);
    put_checksum(&mut frame);
    frame
}

fn texts(texts: &[(&str, &str)]) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in texts {
        headers::put(&mut headers, name, value);
    }
    headers
}

#[test]
fn a_message_of_amazons_own_samples_is_understood() {
    // `{'foo':'bar'}` with one header, from the test vectors of the AWS SDKs.
    let sample: [u8; 61] = [
        0x00, 0x00, 0x00, 0x3D, 0x00, 0x00, 0x00, 0x20, 0x07, 0xFD, 0x83, 0x96, 0x0C, b'c', b'o',
        b'n', b't', b'e', b'n', b't', b'-', b't', b'y', b'p', b'e', 0x07, 0x00, 0x10, b'a', b'p',
        b'p', b'l', b'i', b'c', b'a', b't', b'i', b'o', b'n', b'/', b'j', b's', b'o', b'n', b'{',
        b'\'', b'f', b'o', b'o', b'\'', b':', b'\'', b'b', b'a', b'r', b'\'', b'}', 0x8D, 0x9C,
        0x08, 0xB1,
    ];

    assert_eq!(frame_end(&sample), Ok(Some(61)));
    let (message, checksum) = sample.split_last_chunk::<4>().unwrap();
    assert_eq!(crc32fast::hash(message), u32::from_be_bytes(*checksum));
    // It does not say that it is an event.
    assert_eq!(AwsMessage::parse(&sample), None);
}

#[test]
fn what_is_encoded_is_found_again() {
    let exception = AwsMessage {
        kind: "throttlingException",
        is_exception: true,
        payload: br#"{"message":"slow down"}"#,
    };

    for message in [EVENT, exception] {
        let frame = message.encode();

        assert_eq!(frame_end(&frame), Ok(Some(frame.len())));
        assert_eq!(AwsMessage::parse(&frame), Some(message));
    }
}

#[test]
fn a_message_is_waited_for_until_its_last_byte() {
    let frame = EVENT.encode();

    for len in 0..frame.len() {
        assert_eq!(frame_end(&frame[..len]), Ok(None), "{len}");
    }
}

#[test]
fn headers_of_all_types_are_passed_over() {
    let others: [&[u8]; 10] = [
        &[0],
        &[1],
        &[2, 1],
        &[3, 1, 2],
        &[4, 1, 2, 3, 4],
        &[5, 1, 2, 3, 4, 5, 6, 7, 8],
        &[6, 0, 2, 0xFF, 0xFE],
        &[7, 0, 1, b'x'],
        &[8, 1, 2, 3, 4, 5, 6, 7, 8],
        &[9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
    ];
    let mut headers = Vec::new();
    for other in others {
        headers.extend([1, b'n']);
        headers.extend(other);
    }
    headers.extend(texts(&[(":message-type", "event"), (":event-type", "x")]));

    let frame = frame(&headers, b"{}");

    let message = AwsMessage::parse(&frame).unwrap();
    assert_eq!((message.kind, message.payload), ("x", &b"{}"[..]));
}

#[test]
fn an_error_without_a_payload_tells_its_message() {
    let headers = texts(&[
        (":message-type", "error"),
        (":error-code", "InternalError"),
        (":error-message", "An internal error occurred"),
    ]);

    let frame = frame(&headers, b"");

    let expected = AwsMessage {
        kind: "InternalError",
        is_exception: true,
        payload: b"An internal error occurred",
    };
    assert_eq!(AwsMessage::parse(&frame), Some(expected));
}

#[track_caller]
fn check_malformed(headers: &[u8]) {
    assert_eq!(AwsMessage::parse(&frame(headers, b"{}")), None);
}

#[test]
fn a_message_that_does_not_say_what_it_is_is_malformed() {
    check_malformed(&[]);
    check_malformed(&texts(&[(":message-type", "event")]));
    check_malformed(&texts(&[(":message-type", "news"), (":event-type", "x")]));
    check_malformed(&texts(&[(":event-type", "x")]));
    // A name beyond the end, no type, an unknown type, a value beyond the end, text that is none.
    check_malformed(&[9, b'n']);
    check_malformed(&[1, b'n']);
    check_malformed(&[1, b'n', 10, 0, 0]);
    check_malformed(&[1, b'n', 5, 1, 2, 3]);
    check_malformed(&[1, b'n', 7, 0, 9, b'x']);
    check_malformed(b"\x0b:event-type\x07\x00\x01\xFF");
}

#[test]
fn one_wrong_bit_anywhere_is_noticed() {
    let frame = EVENT.encode();

    for at in 0..frame.len() * 8 {
        let mut broken = frame.clone();
        broken[at / 8] ^= 1 << (at % 8);

        assert_eq!(AwsMessage::parse(&broken), None, "bit {at}");
        if at / 8 < PRELUDE_BYTES {
            assert_eq!(frame_end(&broken), Err(FrameError::Malformed));
        }
    }
}

#[test]
fn lengths_that_contradict_each_other_are_malformed() {
    let check = |len: usize, headers_len: usize, expected| {
        let mut prelude = Vec::new();
        prelude.extend(length(len));
        prelude.extend(length(headers_len));
        put_checksum(&mut prelude);
        assert_eq!(frame_end(&prelude), expected, "{len} and {headers_len}");
    };

    check(15, 0, Err(FrameError::Malformed));
    check(16, 1, Err(FrameError::Malformed));
    check(16, 0, Ok(None));
    check(usize::MAX, 0, Err(FrameError::TooLong));
}

#[test]
fn text_in_the_place_of_a_stream_is_malformed() {
    for text in ["<!DOCTYPE html>", r#"{"message":"no such model"}"#] {
        let end = frame_end(text.as_bytes());

        assert_eq!(end, Err(FrameError::Malformed), "{text}");
    }
}

proptest! {
    #[test]
    fn no_headers_and_no_payload_panic(
        headers in prop::collection::vec(any::<u8>(), 0..64),
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let frame = frame(&headers, &payload);

        prop_assert_eq!(frame_end(&frame), Ok(Some(frame.len())));
        let _ = AwsMessage::parse(&frame);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = frame_end(&bytes);
        prop_assert_eq!(AwsMessage::parse(&bytes), None);
    }
}
