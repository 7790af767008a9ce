//! One pass over a JSON object: its grammar, where its members stand, and where the text in them is.
//!
//! Requests and replies go through as bytes, so nothing here builds a tree. What the scanner takes is what
//! `serde_json` takes (a property test compares them), nesting limit included.

use std::ops::Range;

use thiserror::Error;

/// Arrays and objects within one another; `serde_json` stops at the same depth.
const DEPTH_MAX: usize = 127;

/// Members of the outermost object. Real requests have some twenty; the bound keeps a hostile one from
/// costing many times its own size in memory.
const MEMBERS_MAX: usize = 1024;

/// Text is remembered piece by piece up to here; beyond it only its length is kept, since it is no longer
/// tokenized (see `tokens`).
const TEXT_BYTES_MAX: usize = crate::tokens::TOKENIZED_BYTES_MAX;

#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ScanError {
    #[error("expected {expected} at byte {at}")]
    Syntax { expected: &'static str, at: usize },
    #[error("it is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("it has more than {MEMBERS_MAX} fields")]
    TooManyMembers,
    #[error("it is not UTF-8")]
    NotUtf8,
}

/// The outermost object of a document.
#[derive(Debug)]
pub(crate) struct Object {
    /// The position right after its `{`.
    pub inside: usize,
    pub members: Vec<Member>,
    pub text: Text,
}

#[derive(Debug)]
pub(crate) struct Member {
    name: Name,
    pub value: Range<usize>,
}

#[derive(Debug)]
enum Name {
    Plain(Range<usize>),
    /// Written with escapes (`"\u006dodel"`), here without them.
    Escaped(String),
}

/// What a language model reads in the members that hold text.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// String values, without their quotes, as they are written.
    pub strings: Vec<Range<usize>>,
    /// Length of all of them, also of those not in `strings`.
    pub n_bytes: usize,
    /// Numbers standing for text: token ids in a prompt.
    pub n_numbers: usize,
    /// Images, sounds and files, whatever their size in bytes.
    pub n_attachments: usize,
}

impl Member {
    /// Its name in `body`, the document that was scanned.
    pub(crate) fn name<'a>(&'a self, body: &'a [u8]) -> &'a [u8] {
        match &self.name {
            Name::Plain(span) => body.get(span.clone()).unwrap_or_default(),
            Name::Escaped(name) => name.as_bytes(),
        }
    }
}

/// Scans `body`; text is collected in the members whose names `holds_text` accepts.
pub(crate) fn scan_object(body: &[u8], holds_text: fn(&[u8]) -> bool) -> Result<Object, ScanError> {
    if std::str::from_utf8(body).is_err() {
        return Err(ScanError::NotUtf8);
    }
    let mut scanner = Scanner {
        body,
        at: 0,
        depth: 0,
        text: Text::default(),
    };
    scanner.skip_whitespace();
    scanner.expect(b'{', "`{`")?;
    let inside = scanner.at;
    scanner.depth = 1;
    let members = scanner.members(holds_text)?;
    scanner.skip_whitespace();
    if scanner.at < body.len() {
        return Err(scanner.syntax("the end"));
    }
    Ok(Object {
        inside,
        members,
        text: scanner.text,
    })
}

/// The string written as `raw` (without its quotes), its escapes resolved; `None` if it has half a surrogate pair.
pub(crate) fn unescape(raw: &[u8]) -> Option<String> {
    let mut quoted = Vec::with_capacity(raw.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(raw);
    quoted.push(b'"');
    serde_json::from_slice(&quoted).ok()
}

struct Scanner<'a> {
    body: &'a [u8],
    at: usize,
    depth: usize,
    text: Text,
}

/// What the strings of a value are to its reader.
#[derive(Clone, Copy)]
enum Reading {
    Text,
    Attachment,
    /// Roles, types and ids; and everything outside the members that hold text.
    Nothing,
}

impl Reading {
    /// How the value of member `name` is read inside a value that is read as `self`.
    fn of_member(self, name: &[u8]) -> Self {
        match (self, name) {
            (Self::Nothing, _) => Self::Nothing,
            (_, b"url" | b"image_url" | b"data" | b"file_data") => Self::Attachment,
            (
                _,
                b"role" | b"type" | b"id" | b"tool_call_id" | b"file_id" | b"format" | b"detail"
                | b"filename" | b"finish_reason" | b"logprobs" | b"index",
            ) => Self::Nothing,
            (Self::Text | Self::Attachment, _) => Self::Text,
        }
    }
}

impl Scanner<'_> {
    /// The outermost object's members, from after its `{` to after its `}`.
    fn members(&mut self, holds_text: fn(&[u8]) -> bool) -> Result<Vec<Member>, ScanError> {
        let mut members = Vec::with_capacity(16);
        self.skip_whitespace();
        if self.take(b'}') {
            return Ok(members);
        }
        loop {
            if members.len() == MEMBERS_MAX {
                return Err(ScanError::TooManyMembers);
            }
            let name = self.name()?;
            let raw = self.body.get(name.clone()).unwrap_or_default();
            let name = match raw.contains(&b'\\').then(|| unescape(raw)).flatten() {
                Some(name) => Name::Escaped(name),
                None => Name::Plain(name),
            };
            let mut member = Member { name, value: 0..0 };
            let reading = match holds_text(member.name(self.body)) {
                true => Reading::Text,
                false => Reading::Nothing,
            };
            let start = self.at;
            self.value(reading)?;
            member.value = start..self.at;
            members.push(member);
            if !self.goes_on(b'}', "`,` or `}`")? {
                return Ok(members);
            }
        }
    }

    fn value(&mut self, reading: Reading) -> Result<(), ScanError> {
        match self.peek() {
            Some(b'"') => {
                let span = self.string()?;
                self.note(reading, span);
                Ok(())
            }
            Some(b'{') => self.nested(|scanner| scanner.object(reading)),
            Some(b'[') => self.nested(|scanner| scanner.array(reading)),
            Some(b'-' | b'0'..=b'9') => {
                if matches!(reading, Reading::Text) {
                    self.text.n_numbers += 1;
                }
                self.number()
            }
            Some(b't') => self.literal(b"true", "`true`"),
            Some(b'f') => self.literal(b"false", "`false`"),
            Some(b'n') => self.literal(b"null", "`null`"),
            _ => Err(self.syntax("a value")),
        }
    }

    /// Enters the array or object at `self.at`.
    fn nested(
        &mut self,
        scan: impl FnOnce(&mut Self) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        if self.depth == DEPTH_MAX {
            return Err(ScanError::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        self.skip_whitespace();
        scan(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn object(&mut self, reading: Reading) -> Result<(), ScanError> {
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let name = self.name()?;
            let name = self.body.get(name).unwrap_or_default();
            self.value(reading.of_member(name))?;
            if !self.goes_on(b'}', "`,` or `}`")? {
                return Ok(());
            }
        }
    }

    fn array(&mut self, reading: Reading) -> Result<(), ScanError> {
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.value(reading)?;
            if !self.goes_on(b']', "`,` or `]`")? {
                return Ok(());
            }
        }
    }

    /// A member's name, its colon, and the white space around.
    fn name(&mut self) -> Result<Range<usize>, ScanError> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax("a field's name"));
        }
        let name = self.string()?;
        self.skip_whitespace();
        self.expect(b':', "`:`")?;
        self.skip_whitespace();
        Ok(name)
    }

    /// After a value: whether a comma says that another follows, or `close` that none does.
    fn goes_on(&mut self, close: u8, expected: &'static str) -> Result<bool, ScanError> {
        self.skip_whitespace();
        if self.take(close) {
            return Ok(false);
        }
        self.expect(b',', expected)?;
        self.skip_whitespace();
        Ok(true)
    }

    /// The string at `self.at`, without its quotes.
    fn string(&mut self) -> Result<Range<usize>, ScanError> {
        self.at += 1;
        let start = self.at;
        loop {
            self.skip_plain();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(start..self.at - 1);
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.syntax("no control character in a string")),
                None => return Err(self.syntax("the string's closing quote")),
            }
        }
    }

    /// Moves to the next quote, backslash or control character. Blocks first: most bytes of a large body are
    /// inside strings, and a block without any of the three is found by vector instructions.
    fn skip_plain(&mut self) {
        const BLOCK: usize = 32;
        let is_special = |byte: u8| byte == b'"' || byte == b'\\' || byte < 0x20;

        let mut rest = self.body.get(self.at..).unwrap_or_default();
        while let Some((block, after)) = rest.split_first_chunk::<BLOCK>() {
            if block
                .iter()
                .fold(false, |any, &byte| any | is_special(byte))
            {
                break;
            }
            rest = after;
        }
        let plain = rest.iter().position(|&byte| is_special(byte));
        self.at = self.body.len() - rest.len() + plain.unwrap_or(rest.len());
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                let digits = self.body.get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.syntax("four hexadecimal digits"));
                }
                self.at += 5;
                Ok(())
            }
            _ => Err(self.syntax("an escape sequence")),
        }
    }

    fn number(&mut self) -> Result<(), ScanError> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false => Err(self.syntax("a digit")),
        }
    }

    fn literal(&mut self, literal: &'static [u8], expected: &'static str) -> Result<(), ScanError> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        if !rest.starts_with(literal) {
            return Err(self.syntax(expected));
        }
        self.at += literal.len();
        Ok(())
    }

    fn note(&mut self, reading: Reading, span: Range<usize>) {
        match reading {
            Reading::Text => {
                self.text.n_bytes += span.len();
                if !span.is_empty() && self.text.n_bytes <= TEXT_BYTES_MAX {
                    self.text.strings.push(span);
                }
            }
            Reading::Attachment => self.text.n_attachments += 1,
            Reading::Nothing => {}
        }
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.at += 1;
        }
        is_next
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), ScanError> {
        match self.take(byte) {
            true => Ok(()),
            false => Err(self.syntax(expected)),
        }
    }

    fn syntax(&self, expected: &'static str) -> ScanError {
        ScanError::Syntax {
            expected,
            at: self.at,
        }
    }
}

#[cfg(test)]
mod tests;
