//! One JSON array whose elements come one by one: Gemini's stream without `alt=sse`.

use std::borrow::Cow;

/// Follows brackets and strings; a frame is what comes up to the end of one element: `[{…}`, `,{…}`, and at last `]`.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    searched: usize,
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
}

impl Cursor {
    pub(super) fn frame_end(&mut self, buffer: &[u8]) -> Option<usize> {
        while let Some(&byte) = buffer.get(self.searched) {
            self.searched += 1;
            if self.is_in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.is_in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.is_in_string = true,
                // The array's own bracket opens and closes at depth 0.
                b'[' if self.depth == 0 => {}
                b']' if self.depth == 0 => return Some(self.searched),
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(self.searched);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// The element; `None` for the array's end.
pub(super) fn payload(frame: &[u8]) -> Option<Cow<'_, [u8]>> {
    let start = frame.iter().position(|&byte| byte == b'{')?;
    frame.get(start..).map(Cow::Borrowed)
}
