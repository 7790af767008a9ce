use std::time::Instant;

use shared::tasks::spawn_named;
use tokio_util::task::TaskTracker;

use super::*;
use crate::scripted::Scripted;

struct Candidate {
    standing: Standing,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl Candidate {
    fn run(state: &Arc<Scripted>, name: &str) -> Self {
        let candidate = Self {
            standing: Standing::new(),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let campaign = Campaign {
            state: Arc::clone(state) as Arc<dyn SharedState>,
            standing: candidate.standing.clone(),
            owner: name.to_owned(),
            address: format!("{name}:9090"),
        };
        let running = campaign.run(candidate.shutdown.clone());
        spawn_named(&candidate.tasks, "campaign", running);
        candidate
    }

    async fn wait_leads(&self, patience: Duration) -> Fence {
        let term = timeout(patience, self.standing.next_term()).await;
        term.unwrap().fence().unwrap()
    }

    async fn stop(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[tokio::test]
async fn one_of_two_leads_and_the_other_follows_when_it_resigns() {
    let state = Scripted::new();
    let first = Candidate::run(&state, "first");
    let fence = first.wait_leads(Duration::from_secs(1)).await;
    let second = Candidate::run(&state, "second");
    sleep(Duration::from_millis(200)).await;
    assert!(second.standing.term().is_none());

    first.stop().await;
    let next_fence = second.wait_leads(Duration::from_secs(3)).await;

    assert!(first.standing.term().is_none());
    assert!(next_fence > fence);
    second.stop().await;
}

#[tokio::test]
async fn a_leader_that_cannot_renew_stops_acting_before_anybody_else_may() {
    let state = Scripted::new();
    let leader = Candidate::run(&state, "leader");
    leader.wait_leads(Duration::from_secs(1)).await;
    let term = leader.standing.term().unwrap();

    let began = Instant::now();
    state.go_away();
    while term.fence().is_some() {
        sleep(Duration::from_millis(20)).await;
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    // The last renewal may have been sent just before.
    assert!(
        began.elapsed() < Duration::from_millis(ACT_MS + 500),
        "{:?}",
        began.elapsed()
    );
    assert!(leader.standing.term().is_none());
}

#[tokio::test]
async fn a_leader_whose_write_was_refused_takes_another_fence() {
    let state = Scripted::new();
    let leader = Candidate::run(&state, "leader");
    let fence = leader.wait_leads(Duration::from_secs(1)).await;
    let term = leader.standing.term().unwrap();

    term.end();
    let is_over = term.fence().is_none() && leader.standing.term().is_none();
    let next_fence = leader.wait_leads(Duration::from_secs(5)).await;

    assert!(is_over);
    assert!(next_fence > fence);
    assert!(term.fence().is_none(), "the old term does not come back");
    leader.stop().await;
}
