//! What is written reads as what it was.

use std::fs;
use std::path::{Path, PathBuf};

use shared::config::{Dialect, Manners};

use super::{read_chat, read_reply, write_chat, write_reply};
use crate::canon::{AnswerFacts, Chat, Losses, Part};
use crate::{Endpoint, Target};

/// The files that go in, of `fixtures/<folder>/gemini_generate`.
fn fixtures(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(folder);
    let entries = fs::read_dir(folder.join("gemini_generate")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let inputs = paths.filter(|path| {
        path.file_stem()
            .is_some_and(|stem| !stem.to_string_lossy().contains('.'))
    });
    inputs
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// The Gemini API, unlike Vertex AI, does not take them.
fn forget_file_names(chat: &mut Chat) {
    let parts = chat
        .messages
        .iter_mut()
        .flat_map(|message| &mut message.parts);
    for part in parts {
        if let Part::File { name, .. } = part {
            *name = None;
        }
    }
}

/// Their proofs are not told, and without these several thoughts are read as one.
fn forget_foreign_thoughts(chat: &mut Chat) {
    for message in &mut chat.messages {
        message.parts.retain(|part| match part {
            Part::Thinking {
                signature: Some(proof),
                ..
            } => proof.by == Dialect::GeminiGenerate,
            _ => true,
        });
    }
}

#[test]
fn a_request_that_is_read_and_written_asks_the_same() {
    let target = Target {
        dialect: Dialect::GeminiGenerate,
        manners: Manners::Plain,
        model: "m",
        overrides: &crate::Overrides::default(),
        drop_unsupported: true,
    };
    let losses = Losses::new(Dialect::GeminiGenerate, Dialect::GeminiGenerate, true);
    let mut n_checked = 0;
    for (path, body) in fixtures("requests") {
        let Ok(mut chat) = read_chat(Endpoint::GenerateContent, &body) else {
            continue;
        };
        chat.others.clear();
        forget_file_names(&mut chat);
        forget_foreign_thoughts(&mut chat);

        let written = write_chat(&chat, &target, &losses).unwrap();

        let again = read_chat(Endpoint::GenerateContent, &written).unwrap();
        assert_eq!(again, chat, "{}", path.display());
        n_checked += 1;
    }
    assert!(n_checked > 15);
}

#[test]
fn an_answer_that_is_read_and_written_says_the_same() {
    let mut n_checked = 0;
    for (path, body) in fixtures("replies") {
        let Ok(reply) = read_reply(&body) else {
            continue;
        };

        let written = write_reply(reply.clone(), &AnswerFacts::default());

        let mut again = read_reply(&written).unwrap();
        again.id.clone_from(&reply.id);
        assert_eq!(again, reply, "{}", path.display());
        n_checked += 1;
    }
    assert!(n_checked > 8);
}
