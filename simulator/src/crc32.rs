//! CRC-32 as gzip and Amazon's event streams have it.

/// Goes on from `crc`, which is 0 at the beginning. Bit by bit: what it checks is small.
pub(crate) fn of(crc: u32, bytes: &[u8]) -> u32 {
    let mut crc = !crc;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let is_odd = crc & 1 == 1;
            crc >>= 1;
            if is_odd {
                crc ^= 0xEDB8_8320;
            }
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_is_that_of_nine_digits() {
        assert_eq!(of(of(0, b"1234"), b"56789"), 0xCBF4_3926);
    }
}
