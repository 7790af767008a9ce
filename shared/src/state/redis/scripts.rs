//! The Lua scripts, put together from one file per rule.
//!
//! The files are part of the program; joining them and putting constants in place happens once, at start.

mod constants;

use redis::Cmd;
use sha1_smol::Sha1;

use crate::state::pool::ServerClock;

use constants::inline_constants;

/// One script, ready to be called by its SHA.
#[derive(Clone, Debug)]
pub struct Script {
    source: String,
    sha: String,
}

impl Script {
    fn new(source: String) -> Self {
        let sha = Sha1::from(&source).digest().to_string();
        Self { source, sha }
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn sha(&self) -> &str {
        &self.sha
    }
}

macro_rules! lua {
    ($($file:literal),+ $(,)?) => {
        [$(($file, include_str!(concat!("../scripts/", $file, ".lua")))),+]
    };
}

/// The rule files, in the order in which they build on each other. The clock's source comes before them.
const RULES: [(&str, &str); 11] = lua![
    "prelude", "clock", "window", "store", "health", "retries", "strategy", "settle", "waiting",
    "queue", "session"
];
const MAINS: [(&str, &str); 10] = lua![
    "catalog", "fence", "join", "tick", "boot", "assert", "bye", "publish", "judge", "audit"
];
const CLOCKS: [(&str, &str); 2] = lua!["clock_server", "clock_test"];

const RIGHTS: &str = include_str!("../scripts/rights.lua");

/// Where a test's clock stands: (wall in milliseconds, run id).
pub type TestClock = std::sync::Arc<std::sync::Mutex<(i64, String)>>;

/// All scripts of one build.
#[derive(Clone, Debug)]
pub struct Scripts {
    pub tick: Script,
    pub boot: Script,
    pub assert: Script,
    pub bye: Script,
    pub judge: Script,
    pub publish: Script,
    pub audit: Script,
    /// Tells what the Redis user may not do; knows no rules.
    pub rights: Script,
    clock: Option<TestClock>,
}

impl Scripts {
    pub fn production() -> Self {
        Self::compose("clock_server", None, |_, source| source.to_owned())
    }

    /// With a clock that tests move, and each file passed through `edit` (name, source): mutants are made there.
    pub fn for_tests(clock: TestClock, edit: impl Fn(&str, &str) -> String) -> Self {
        Self::compose("clock_test", Some(clock), edit)
    }

    fn compose(
        clock_file: &str,
        clock: Option<TestClock>,
        edit: impl Fn(&str, &str) -> String,
    ) -> Self {
        let file = |files: &[(&str, &str)], name: &str| -> String {
            files
                .iter()
                .filter(|(file, _)| *file == name)
                .map(|(file, source)| edit(file, source))
                .collect()
        };
        let script = |mains: &[&str]| {
            // Without the shebang a script could run into undeclared keys, or half-run when memory is full.
            let mut source = String::from("#!lua\n");
            for (name, rule) in RULES {
                source.push_str(&edit(name, rule));
                if name == "prelude" {
                    source.push_str(&file(&CLOCKS, clock_file));
                }
            }
            for main in mains {
                source.push_str(&file(&MAINS, main));
            }
            Script::new(inline_constants(&source))
        };
        Self {
            tick: script(&["tick"]),
            boot: script(&["catalog", "fence", "join", "boot"]),
            assert: script(&["catalog", "join", "assert"]),
            bye: script(&["catalog", "join", "bye"]),
            judge: script(&["catalog", "fence", "join", "judge"]),
            publish: script(&["catalog", "fence", "join", "publish"]),
            audit: script(&["catalog", "fence", "join", "audit"]),
            rights: Script::new(format!("#!lua flags=no-writes\n{RIGHTS}")),
            clock,
        }
    }

    /// Where tests have moved the clock to.
    pub(super) fn moved_clock(&self) -> Option<ServerClock> {
        let clock = self.clock.as_ref()?;
        let (wall, run) = clock
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        Some(ServerClock { wall, run })
    }

    /// Tests' scripts take the clock as their last arguments.
    pub(super) fn append_clock(&self, command: &mut Cmd) {
        if let Some(clock) = &self.clock {
            let clock = clock
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            command.arg(clock.0).arg(clock.1.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_a_script_calls_is_asked_for_at_boot() {
        let calls = RULES
            .iter()
            .chain(&MAINS)
            .chain(&CLOCKS)
            .flat_map(|(_, source)| {
                source
                    .split("call('")
                    .skip(1)
                    .filter_map(|rest| rest.split('\'').next())
            });

        let missing: Vec<&str> = calls
            .filter(|command| !RIGHTS.contains(&format!("'{command}'")))
            .collect();

        assert!(missing.is_empty(), "not in rights.lua: {missing:?}");
    }
}
