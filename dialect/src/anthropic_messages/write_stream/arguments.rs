//! Where a call's arguments end, which no provider's stream of pieces says.

/// Follows an object that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct ObjectEnd {
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
}

impl ObjectEnd {
    /// Takes the next piece; whether the object is whole with it.
    pub(super) fn is_reached_with(&mut self, json: &str) -> bool {
        for byte in json.bytes() {
            if self.is_escaped {
                self.is_escaped = false;
                continue;
            }
            match byte {
                b'\\' if self.is_in_string => self.is_escaped = true,
                b'"' => self.is_in_string = !self.is_in_string,
                b'{' | b'[' if !self.is_in_string => self.depth += 1,
                b'}' | b']' if !self.is_in_string => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return true;
                    }
                }
                _ => {}
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_ends_with_its_last_brace_however_it_is_cut() {
        let json = r#" {"a":{"b":["}\"]{",1]},"c":"\\"}"#;

        for at in 0..json.len() {
            let (head, tail) = json.split_at(at);
            let mut end = ObjectEnd::default();
            assert!(!end.is_reached_with(head), "{head}");
            assert!(end.is_reached_with(tail), "{tail}");
        }
    }
}
