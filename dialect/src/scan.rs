//! One pass over a JSON object: its grammar, where its members stand, and where the text in them is.
//!
//! Requests and replies go through as bytes, so nothing here builds a tree. What the scanner takes is what
//! `serde_json` takes (a property test compares them), nesting limit included.

mod reading;
mod text;

use std::ops::Range;

use thiserror::Error;

use self::reading::{Clues, Reading};
pub(crate) use self::text::{Attachment, AttachmentKind, Text};

/// Arrays and objects within one another; `serde_json` stops at the same depth.
const DEPTH_MAX: usize = 127;

/// Members of the outermost object. Real requests have some twenty; the bound keeps a hostile one from
/// costing many times its own size in memory.
const MEMBERS_MAX: usize = 1024;

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
    /// Of the quote before its name.
    pub start: usize,
    pub value: Range<usize>,
}

#[derive(Debug)]
enum Name {
    Plain(Range<usize>),
    /// Written with escapes (`"\u006dodel"`), here without them.
    Escaped(String),
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
    scanner.text.settle_the_rest();
    Ok(Object {
        inside,
        members,
        text: scanner.text,
    })
}

/// Where the elements of `raw` stand in it; none if it is no array.
pub(crate) fn elements(raw: &[u8]) -> Vec<Range<usize>> {
    let mut scanner = Scanner {
        body: raw,
        at: 0,
        depth: 0,
        text: Text::default(),
    };
    let mut elements = Vec::new();
    if scanner.take(b'[') {
        scanner.skip_whitespace();
        // What is no JSON ends the list; callers have scanned it before.
        while !scanner.take(b']') {
            let start = scanner.at;
            if scanner.value(Reading::Nothing).is_err() {
                break;
            }
            elements.push(start..scanner.at);
            if scanner.goes_on(b']', "`,` or `]`") != Ok(true) {
                break;
            }
        }
    }
    elements
}

/// Where in a document `inner` is, which is a span of what stands at `outer`.
pub(crate) fn within(outer: &Range<usize>, inner: &Range<usize>) -> Range<usize> {
    outer.start + inner.start..outer.start + inner.end
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
            let member_start = self.at;
            let name = self.name()?;
            let raw = self.body.get(name.clone()).unwrap_or_default();
            let name = match raw.contains(&b'\\').then(|| unescape(raw)).flatten() {
                Some(name) => Name::Escaped(name),
                None => Name::Plain(name),
            };
            let mut member = Member {
                name,
                start: member_start,
                value: 0..0,
            };
            let name = member.name(self.body);
            let reading = match holds_text(name) {
                true => Reading::of_outermost(name),
                false => Reading::Nothing,
            };
            let mark = self.text.mark();
            let start = self.at;
            self.value(reading)?;
            if reading != Reading::Nothing {
                let verdict = || reading::verdict_of_member(member.name(self.body));
                self.text.settle(mark, verdict);
            }
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
                match reading {
                    Reading::Text | Reading::Verbatim => self.text.note(span),
                    Reading::Attachment => self.text.note_attachment(self.body, span),
                    Reading::Clue(_) | Reading::Nothing => {}
                }
                Ok(())
            }
            Some(b'{' | b'[') if reading == Reading::Verbatim => {
                let start = self.at;
                self.value(Reading::Nothing)?;
                self.text.note(start..self.at);
                Ok(())
            }
            Some(b'{') => self.nested(|scanner| scanner.object(reading)),
            Some(b'[') => self.nested(|scanner| scanner.array(reading)),
            Some(b'-' | b'0'..=b'9') => {
                if reading == Reading::Text {
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
        if reading == Reading::Nothing {
            return self.unread_object();
        }
        let outside = self.text.mark();
        let mut clues = Clues::default();
        loop {
            let name = self.name()?;
            let name = self.body.get(name).unwrap_or_default();
            let mark = self.text.mark();
            let reading = reading.of_member(name);
            let start = self.at;
            self.value(reading)?;
            match reading {
                Reading::Clue(clue) => {
                    clues.note(clue, self.body.get(start..self.at).unwrap_or_default());
                }
                _ => self.text.settle(mark, || reading::verdict_of_member(name)),
            }
            if !self.goes_on(b'}', "`,` or `}`")? {
                break;
            }
        }
        self.text.settle(outside, || clues.verdict());
        if clues.is_low_detail {
            self.text.lower_detail(outside);
        }
        Ok(())
    }

    fn unread_object(&mut self) -> Result<(), ScanError> {
        loop {
            self.name()?;
            self.value(Reading::Nothing)?;
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
