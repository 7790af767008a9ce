//! A view as aligned tables: scopes, models and their queues, sessions.

use shared::catalog::WindowKind;
use shared::state::view::{
    AdminState, HealthView, KeyState, ModelView, ScopeView, SessionView, View,
};

/// Renders `view` for a terminal.
pub(super) fn render(view: &View) -> String {
    let View {
        now_ms: _,
        tick,
        epoch: _,
        learning,
        catalog_version,
        anomalies,
        retries_left: _,
        scopes,
        models,
        sessions,
    } = view;
    let learning = if *learning {
        "learning what still runs, "
    } else {
        ""
    };
    let mut text =
        format!("{learning}tick {tick}, catalog {catalog_version}, anomalies {anomalies}\n");
    for rows in [
        scope_rows(scopes),
        model_rows(models),
        session_rows(sessions),
    ] {
        text.push('\n');
        text.push_str(&aligned(&rows));
    }
    text
}

fn scope_rows(scopes: &[ScopeView]) -> Vec<Vec<String>> {
    // A column for each kind of window that any scope has.
    let mut kinds: Vec<&str> = WindowKind::ALL.map(WindowKind::name).to_vec();
    kinds.retain(|kind| {
        let mut windows = scopes.iter().flat_map(|scope| &scope.windows);
        windows.any(|window| window.kind == *kind)
    });

    let mut head = vec!["SCOPE".to_owned(), "NAME".to_owned(), "HELD".to_owned()];
    head.extend(kinds.iter().map(|kind| kind.to_uppercase()));
    head.push("GRANTS".to_owned());
    let has_health = scopes.iter().any(|scope| scope.health.is_some());
    if has_health {
        head.push("HEALTH".to_owned());
    }
    let mut rows = vec![head];
    for scope in scopes {
        let held = match scope.slots_max {
            Some(slots_max) => format!("{}/{slots_max}", scope.held),
            None => scope.held.to_string(),
        };
        let mut row = vec![scope.kind.name().to_owned(), scope.name.clone(), held];
        for kind in &kinds {
            let window = scope.windows.iter().find(|window| window.kind == *kind);
            row.push(match window {
                Some(window) => format!("{}/{}", window.used, window.limit),
                None => "-".to_owned(),
            });
        }
        row.push(scope.grants.to_string());
        if has_health {
            row.push(scope.health.as_ref().map_or_else(|| "-".to_owned(), told));
        }
        rows.push(row);
    }
    rows
}

/// A key's health in words: what an operator wants, why it is out, and until when.
fn told(health: &HealthView) -> String {
    let admin = match health.admin {
        AdminState::Enabled => None,
        AdminState::Drained => Some("drained"),
        AdminState::Disabled => Some("disabled"),
    };
    let state = match health.state {
        KeyState::Ok => None,
        KeyState::Throttled => Some("throttled"),
        KeyState::Ejected => Some("ejected"),
        KeyState::Trial => Some("on trial"),
        KeyState::AuthFailed => Some("credential refused"),
        KeyState::Exhausted => Some("no money left"),
    };
    let words = admin.into_iter().chain(state).map(str::to_owned);
    let failures = (health.failures > 0).then(|| format!("{} failures in a row", health.failures));
    let opens = health
        .opens_in_ms
        .filter(|ms| *ms > 0)
        .map(|ms| format!("opens in {}.{} s", ms / 1000, ms % 1000 / 100));
    let told: Vec<String> = words.chain(failures).chain(opens).collect();
    if told.is_empty() {
        return "ok".to_owned();
    }
    told.join(", ")
}

fn model_rows(models: &[ModelView]) -> Vec<Vec<String>> {
    let head = ["MODEL", "STRATEGY", "QUEUED", "BY PRIORITY"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for model in models {
        let by_priority: Vec<String> = model
            .queued_by_priority
            .iter()
            .map(|(priority, waiters)| format!("{priority}:{waiters}"))
            .collect();
        rows.push(vec![
            model.name.clone(),
            model.strategy.clone(),
            model.queued.to_string(),
            if by_priority.is_empty() {
                "-".to_owned()
            } else {
                by_priority.join(" ")
            },
        ]);
    }
    rows
}

fn session_rows(sessions: &[SessionView]) -> Vec<Vec<String>> {
    let head = ["REPLICA", "SESSION", "HELD", "EXPIRES IN"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for session in sessions {
        rows.push(vec![
            session.replica.clone(),
            session.session.clone(),
            session.held.to_string(),
            format!("{} ms", session.expires_in_ms),
        ]);
    }
    rows
}

fn aligned(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..n_columns).map(width).collect();

    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use shared::catalog::ScopeKind;
    use shared::state::view::WindowView;

    use super::*;

    #[test]
    fn a_view_is_three_aligned_tables() {
        let window = |kind: &str, used, limit| WindowView {
            kind: kind.to_owned(),
            used,
            limit,
            limit_learned: None,
        };
        let view = View {
            tick: 12,
            catalog_version: 1,
            scopes: vec![
                ScopeView {
                    kind: ScopeKind::Key,
                    name: "simulator/large".to_owned(),
                    held: 3,
                    slots_max: Some(12),
                    grants: 40,
                    windows: vec![window("rpm", 40, 300), window("tpm", 2000, 120_000)],
                    health: None,
                },
                ScopeView {
                    kind: ScopeKind::ClientKey,
                    name: "demo".to_owned(),
                    held: 3,
                    slots_max: None,
                    grants: 40,
                    windows: vec![window("rpm", 40, 600)],
                    health: None,
                },
            ],
            models: vec![ModelView {
                name: "demo".to_owned(),
                strategy: "weighted".to_owned(),
                queued: 3,
                queued_by_priority: vec![(10, 1), (5, 2)],
            }],
            sessions: vec![SessionView {
                replica: "host/127.0.0.1:8080".to_owned(),
                session: "s1".to_owned(),
                held: 3,
                expires_in_ms: 5200,
            }],
            ..View::default()
        };

        let text = render(&view);

        let expected = "\
tick 12, catalog 1, anomalies 0

SCOPE       NAME             HELD  RPM     TPM          GRANTS
key         simulator/large  3/12  40/300  2000/120000  40
client_key  demo             3     40/600  -            40

MODEL  STRATEGY  QUEUED  BY PRIORITY
demo   weighted  3       10:1 5:2

REPLICA              SESSION  HELD  EXPIRES IN
host/127.0.0.1:8080  s1       3     5200 ms
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_keys_health_is_told_in_words() {
        let health = |state, admin| HealthView {
            state,
            admin,
            ..HealthView::default()
        };
        let ejected = HealthView {
            failures: 5,
            opens_in_ms: Some(12_340),
            ..health(KeyState::Ejected, AdminState::Drained)
        };

        assert_eq!(told(&health(KeyState::Ok, AdminState::Enabled)), "ok");
        assert_eq!(
            told(&ejected),
            "drained, ejected, 5 failures in a row, opens in 12.3 s"
        );
    }
}
