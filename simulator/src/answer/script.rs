//! What an answer says: mostly the same few words, and what a request can ask for so that a test can tell its answer.
//!
//! `docs/simulator.md` lists the cues; they hold in every dialect.

use crate::ask::{Ask, Format, Tool, ToolChoice, Turn, UserTurn};

use super::{Finish, Part, Said, ToolCall, Wording, example};

const THOUGHT: &str = "thinking about it";

impl Ask {
    /// The answer; generated text has `words` words, unless the request allows fewer.
    pub(crate) fn answer(&self, words: u32) -> Said {
        let mut parts = Vec::new();
        if self.reasons {
            parts.push(Part::Thinking(Wording::said(THOUGHT.to_owned())));
        }
        let calls = self.calls();
        let finish = match calls.is_empty() {
            true => {
                parts.push(Part::Text(self.text(words)));
                Finish::Stop
            }
            false => {
                parts.extend(calls.into_iter().map(Part::Call));
                Finish::ToolCalls
            }
        };
        let mut said = Said { parts, finish };
        if let Some(tokens_max) = self.tokens_max {
            said.limit(tokens_max);
        }
        said
    }

    /// The calls that a cue or the request's choice asks for; none once there are results.
    fn calls(&self) -> Vec<ToolCall> {
        let no_cue = UserTurn::default();
        let user = match &self.last {
            Turn::Results(_) => return Vec::new(),
            Turn::User(user) => user,
            Turn::Other => &no_cue,
        };
        let (offered, is_forced) = match &self.tool_choice {
            ToolChoice::None => return Vec::new(),
            ToolChoice::Auto => (self.tools.iter().collect(), false),
            ToolChoice::Required => (self.tools.iter().collect(), true),
            ToolChoice::Named(name) => (self.tools_named(name), true),
        };
        let Some(first) = offered.first().copied() else {
            return Vec::new();
        };
        if user.says("two tools") && self.is_parallel {
            let second = offered.get(1).copied().unwrap_or(first);
            return vec![call(first, 0), call(second, 1)];
        }
        match is_forced || user.says("one tool") || user.says("two tools") {
            true => vec![call(first, 0)],
            false => Vec::new(),
        }
    }

    fn tools_named(&self, name: &str) -> Vec<&Tool> {
        self.tools.iter().filter(|tool| tool.name == name).collect()
    }

    fn text(&self, words: u32) -> Wording {
        let user = match &self.last {
            Turn::Results(results) => {
                return Wording::said(format!("tools said: {}", results.join(" | ")));
            }
            Turn::User(user) => Some(user),
            Turn::Other => None,
        };
        if let Some(text) = user.and_then(|user| user.after("repeat after me: ")) {
            return Wording::said(text.to_owned());
        }
        match &self.format {
            Format::Text => {}
            Format::Json => return Wording::said(r#"{"answer":"Paris"}"#.to_owned()),
            Format::Schema(schema) => return Wording::said(example::of(schema, 0).to_string()),
        }
        Wording::said_then(user.map(seen).unwrap_or_default(), words)
    }
}

impl Said {
    /// Thoughts count too; calls are never cut, for half of one is no call.
    fn limit(&mut self, tokens_max: u32) {
        let mut left = tokens_max;
        for part in &mut self.parts {
            let (Part::Thinking(wording) | Part::Text(wording)) = part else {
                continue;
            };
            if wording.tokens() > left {
                wording.truncate(left);
                self.finish = Finish::Length;
            }
            left -= wording.tokens();
        }
    }
}

fn call(tool: &Tool, variant: usize) -> ToolCall {
    ToolCall::new(tool.name.clone(), example::of(&tool.schema, variant))
}

/// What came beside the words.
fn seen(user: &UserTurn) -> String {
    let UserTurn { images, files, .. } = user;
    match (images, files) {
        (0, 0) => String::new(),
        (_, 0) => format!("saw {images} image(s)"),
        (0, _) => format!("read {files} file(s)"),
        _ => format!("saw {images} image(s) read {files} file(s)"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::ask::Conversation;

    use super::*;

    fn ask(text: &str) -> Ask {
        let mut conversation = Conversation::default();
        conversation.user(UserTurn::saying(text));
        let tools = ["weather", "time"].map(|name| Tool {
            name: name.to_owned(),
            schema: json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}),
        });
        Ask {
            tools: tools.into(),
            ..Ask::plain("m".to_owned(), conversation)
        }
    }

    #[track_caller]
    fn calls(ask: &Ask, expected: &[(&str, &str)]) {
        let said = ask.answer(3);

        let calls: Vec<_> = said
            .parts
            .iter()
            .filter_map(Part::call)
            .map(|call| (call.name.as_str(), call.wording.whole()))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, city)| (*name, format!(r#"{{"city":"{city}"}}"#)))
            .collect();
        assert_eq!(calls, expected);
        assert_eq!(said.finish == Finish::ToolCalls, !calls.is_empty());
    }

    #[track_caller]
    fn says(ask: &Ask, text: &str, finish: Finish) {
        let said = ask.answer(3);

        let texts: Vec<_> = said
            .parts
            .iter()
            .map(|part| part.wording().whole())
            .collect();
        assert_eq!((texts.join("/").as_str(), said.finish), (text, finish));
    }

    #[test]
    fn a_cue_or_a_choice_calls_tools() {
        let both = [("weather", "Paris"), ("time", "Berlin")];
        let choice = |text, tool_choice| Ask {
            tool_choice,
            ..ask(text)
        };

        calls(&ask("use two tools"), &both);
        calls(&ask("use one tool"), &both[..1]);
        calls(&ask("hello"), &[]);
        calls(&choice("hello", ToolChoice::Required), &both[..1]);
        calls(&choice("two tools", ToolChoice::None), &[]);
        let named = ToolChoice::Named("time".to_owned());
        calls(&choice("hello", named), &[("time", "Paris")]);
        let serial = Ask {
            is_parallel: false,
            ..ask("two tools")
        };
        calls(&serial, &both[..1]);
    }

    #[test]
    fn results_are_repeated_and_call_no_more_tools() {
        let results = ["sunny", "noon"].map(str::to_owned);
        let ask = Ask {
            last: Turn::Results(results.into()),
            tool_choice: ToolChoice::Required,
            ..ask("two tools")
        };

        says(&ask, "tools said: sunny | noon", Finish::Stop);
    }

    #[test]
    fn the_text_follows_the_cue() {
        says(&ask("hello"), "the river runs", Finish::Stop);
        says(&ask("repeat after me: a\n b "), "a\n b ", Finish::Stop);
        let json = Ask {
            format: Format::Json,
            ..ask("hello")
        };
        says(&json, r#"{"answer":"Paris"}"#, Finish::Stop);
        let user = UserTurn {
            images: 2,
            files: 1,
            ..UserTurn::saying("look")
        };
        let seeing = Ask {
            last: Turn::User(user),
            ..ask("")
        };
        says(
            &seeing,
            "saw 2 image(s) read 1 file(s) the river runs",
            Finish::Stop,
        );
    }

    #[test]
    fn thoughts_come_first_and_count_against_the_limit() {
        let thinking = |tokens_max| Ask {
            reasons: true,
            tokens_max,
            ..ask("hello")
        };

        says(
            &thinking(None),
            "thinking about it/the river runs",
            Finish::Stop,
        );
        says(&thinking(Some(4)), "thinking about it/the", Finish::Length);
        says(&thinking(Some(2)), "thinking about/", Finish::Length);
    }
}
