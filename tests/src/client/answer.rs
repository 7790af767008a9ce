//! What a server answered, and how the answer ended.

use std::io;

use serde_json::Value;

use super::find;

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By its length, or by the terminating chunk.
    Complete,
    /// The connection closed or was reset before that.
    Aborted,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(usize),
    Chunks,
    UntilClose,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// `None` while there may be more.
    pub ending: Option<Ending>,
    framing: Framing,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(present, _)| present == name)?;
        Some(value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The data of each server-sent event so far, `[DONE]` included.
    pub fn events(&self) -> Vec<String> {
        let text = self.text();
        let data = text
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|data| data.trim_start().to_owned());
        data.collect()
    }

    pub fn is_complete(&self) -> bool {
        self.ending == Some(Ending::Complete)
    }

    pub(super) fn parse_head(head: &[u8]) -> io::Result<Self> {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| broken("the status line"))?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();

        let mut answer = Self {
            status,
            headers,
            body: Vec::new(),
            ending: None,
            framing: Framing::UntilClose,
        };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.framing = Framing::Chunks;
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().map_err(|_| broken("content-length"))?;
            answer.framing = Framing::Length(length);
        }
        Ok(answer)
    }

    /// Moves what is whole in `buffer` into the body; `false` means that more bytes are needed.
    pub(super) fn take_from(&mut self, buffer: &mut Vec<u8>) -> io::Result<bool> {
        match self.framing {
            Framing::Length(length) => {
                let missing = length - self.body.len();
                let taken = missing.min(buffer.len());
                self.body.extend(buffer.drain(..taken));
                if taken == missing {
                    self.ending = Some(Ending::Complete);
                }
                Ok(taken > 0 || missing == 0)
            }
            Framing::UntilClose => {
                let has_bytes = !buffer.is_empty();
                self.body.append(buffer);
                Ok(has_bytes)
            }
            Framing::Chunks => self.take_chunk(buffer),
        }
    }

    /// The connection ended: right only for a body that lasts until then.
    pub(super) fn hung_up(&mut self) {
        self.ending = Some(match self.framing {
            Framing::UntilClose => Ending::Complete,
            Framing::Length(_) | Framing::Chunks => Ending::Aborted,
        });
    }

    fn take_chunk(&mut self, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let Some(line_end) = find(buffer, b"\r\n") else {
            return Ok(false);
        };
        let size = std::str::from_utf8(&buffer[..line_end])
            .ok()
            .and_then(|size| usize::from_str_radix(size.trim(), 16).ok())
            .ok_or_else(|| broken("a chunk size"))?;
        let chunk_end = line_end + 2 + size + 2;
        if buffer.len() < chunk_end {
            return Ok(false);
        }
        self.body
            .extend_from_slice(&buffer[line_end + 2..line_end + 2 + size]);
        buffer.drain(..chunk_end);
        if size == 0 {
            self.ending = Some(Ending::Complete);
        }
        Ok(true)
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} is malformed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `body` byte by byte, then the end of the connection.
    fn received(headers: &str, body: &str) -> Answer {
        let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n");
        let mut answer = Answer::parse_head(head.as_bytes()).unwrap();
        let mut buffer = Vec::new();
        for byte in body.bytes() {
            buffer.push(byte);
            while answer.ending.is_none() && answer.take_from(&mut buffer).unwrap() {}
        }
        if answer.ending.is_none() {
            answer.hung_up();
        }
        answer
    }

    #[track_caller]
    fn check(headers: &str, body: &str, text: &str, ending: Ending) {
        let answer = received(headers, body);

        assert_eq!(
            (answer.text().as_str(), answer.ending),
            (text, Some(ending))
        );
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        check("content-length: 4", "four", "four", Ending::Complete);
        check("content-length: 4", "fou", "fou", Ending::Aborted);
        check("x: y", "all of it", "all of it", Ending::Complete);
        let chunked = "transfer-encoding: chunked";
        check(
            chunked,
            "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            "abc",
            Ending::Complete,
        );
        check(chunked, "2\r\nab\r\n1\r\nc\r\n", "abc", Ending::Aborted);
        check(chunked, "0\r\n\r\n", "", Ending::Complete);
    }
}
