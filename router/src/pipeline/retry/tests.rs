use std::sync::Arc;

use crate::fleet::tests::{config, fleet};
use crate::upstream::SendError;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// azure has the candidates 0 and 1, openai the candidate 2; a body of 1,024 bytes may be sent again.
struct World {
    model: Arc<FleetModel>,
    config: Config,
    start: Instant,
    tried: Vec<CandidateIndex>,
    retry: Retry,
    chance: Rng,
}

impl World {
    fn new() -> Self {
        Self::with(1024, false)
    }

    fn with(body_len: usize, is_stream: bool) -> Self {
        let config = config();
        let start = Instant::now();
        Self {
            model: Arc::clone(fleet(&config).model("gpt").unwrap()),
            retry: Retry::new(&config, body_len, is_stream, start),
            config,
            start,
            tried: Vec::new(),
            chance: Rng::with_seed(7),
        }
    }

    fn fails(&mut self, position: usize, failure: Failure) {
        let candidate = &self.model.candidates[position];
        self.tried.push(candidate.index);
        let name = &candidate.provider.name;
        self.retry.note(failure, candidate.index, name, self.start);
    }

    fn rounds_at(&mut self, now: Instant) -> Vec<(Duration, Vec<usize>)> {
        let rounds = self
            .retry
            .rounds(&self.model, &self.tried, now, &mut self.chance);
        let positions = |allow: Vec<CandidateIndex>| {
            allow
                .into_iter()
                .map(|index| self.model.position(index).unwrap())
                .collect()
        };
        rounds
            .into_iter()
            .map(|round| (round.wait, positions(round.allow)))
            .collect()
    }

    fn rounds(&mut self) -> Vec<(Duration, Vec<usize>)> {
        self.rounds_at(self.start)
    }

    /// Whom to ask, whenever that is.
    fn order(&mut self) -> Vec<Vec<usize>> {
        let rounds = self.rounds().into_iter();
        rounds.map(|(_, positions)| positions).collect()
    }
}

fn failure(class: FailureClass) -> Failure {
    Failure::no_answer(class)
}

fn asks_for_quiet(class: FailureClass, retry_after: Duration) -> Failure {
    Failure {
        retry_after: Some(retry_after),
        ..failure(class)
    }
}

fn stale() -> Failure {
    Failure::unanswered(&SendError::Reset("x".to_owned()), Duration::ZERO)
}

#[test]
fn another_provider_is_asked_first_and_at_once_then_another_key() {
    let mut world = World::new();

    world.fails(0, failure(FailureClass::ServerError));

    let rounds = world.rounds();
    assert_eq!(rounds[0], (Duration::ZERO, vec![2]));
    assert_eq!(rounds[1].1, [1]);
    assert!(rounds[1].0 <= BACK_OFF);
    assert_eq!(rounds.len(), 2);
}

#[test]
fn after_an_overload_even_another_provider_is_asked_after_a_pause() {
    for class in [FailureClass::RateLimited, FailureClass::Overloaded] {
        let mut world = World::new();

        world.fails(0, failure(class));

        let (wait, elsewhere) = world.rounds().remove(0);
        assert_eq!(elsewhere, [2]);
        assert!(wait > Duration::ZERO && wait <= BACK_OFF, "{wait:?}");
    }
}

#[test]
fn no_candidate_is_asked_twice() {
    let mut world = World::new();

    world.fails(0, failure(FailureClass::BadAnswer));
    world.fails(2, failure(FailureClass::ServerError));

    assert_eq!(world.order(), [[1]]);
}

#[test]
fn a_stale_connection_earns_its_candidate_one_more_attempt_after_all_others() {
    let mut world = World::new();

    world.fails(0, stale());
    let first = world.order();
    world.fails(2, failure(FailureClass::ServerError));
    let second = world.order();

    assert_eq!(first, [[2], [1], [0]]);
    assert_eq!(second, [[1], [0]]);
}

#[test]
fn a_connection_that_is_stale_twice_is_none() {
    let mut world = World::new();
    world.config.retries.max_attempts = 9.try_into().unwrap();
    world.retry = Retry::new(&world.config, 0, false, world.start);

    world.fails(0, stale());
    world.fails(0, stale());

    assert_eq!(world.order(), [[2], [1]]);
}

#[test]
fn the_requests_own_fault_is_not_tried_again() {
    let mut world = World::new();

    world.fails(0, failure(FailureClass::BadRequest));

    assert!(world.rounds().is_empty());
}

#[test]
fn a_plain_answer_that_takes_too_long_is_not_asked_for_again() {
    let is_tried_again = |is_stream, failure| {
        let mut world = World::with(0, is_stream);
        world.fails(0, failure);
        !world.rounds().is_empty()
    };
    let late = || Failure::unanswered(&SendError::Timeout(SECOND), SECOND);
    let mut told = failure(FailureClass::TimedOut);
    told.problem = Problem::Upstream {
        status: http::StatusCode::REQUEST_TIMEOUT,
        word: None,
        retry_after: None,
        is_final: false,
    };

    assert!(!is_tried_again(false, late()));
    assert!(is_tried_again(true, late()));
    // The provider itself gave up, before it began or after: another may not.
    assert!(is_tried_again(false, told));
}

#[test]
fn attempts_end_at_the_configured_number() {
    let mut world = World::new();
    world.config.retries.max_attempts = 2.try_into().unwrap();
    world.retry = Retry::new(&world.config, 0, false, world.start);

    world.fails(0, failure(FailureClass::ServerError));
    let after_one = world.rounds().len();
    world.fails(2, failure(FailureClass::ServerError));

    assert_eq!((after_one, world.rounds().len()), (2, 0));
}

#[test]
fn nothing_is_tried_after_the_deadline() {
    let mut world = World::new();
    let total = world.config.timeouts.total;

    world.fails(0, failure(FailureClass::ServerError));

    let just_before = world.start + total - Duration::from_nanos(1);
    assert_eq!(world.rounds_at(just_before), [(Duration::ZERO, vec![2])]);
    assert!(world.rounds_at(world.start + total).is_empty());
}

#[test]
fn a_large_body_is_sent_only_once_and_one_that_was_not_sent_is_not_sent_yet() {
    let mut world = World::with(1025, false);

    world.fails(0, failure(FailureClass::Unreachable));
    let unsent = world.order();
    world.fails(2, failure(FailureClass::ServerError));

    assert_eq!(unsent, [[2], [1]]);
    assert!(world.rounds().is_empty());
}

#[test]
fn a_provider_that_is_too_busy_is_left_alone_for_as_long_as_it_asks() {
    let mut world = World::new();

    world.fails(0, asks_for_quiet(FailureClass::Overloaded, SECOND));

    let rounds = world.rounds();
    assert_eq!(rounds[0].1, [2]);
    assert!(rounds[0].0 <= BACK_OFF);
    assert_eq!(rounds[1], (SECOND, vec![1]));
    let later = world.rounds_at(world.start + SECOND * 9 / 10);
    assert_eq!(later[1].1, [1]);
    assert!(later[1].0 >= SECOND / 10, "{later:?}");
}

#[test]
fn nobody_waits_for_a_provider_that_asks_for_long() {
    let mut world = World::new();

    world.fails(
        0,
        asks_for_quiet(FailureClass::Overloaded, RETRY_AFTER_MAX + SECOND),
    );

    assert_eq!(world.order(), [[2]]);
}

#[test]
fn nobody_waits_beyond_the_deadline() {
    let mut world = World::new();
    let total = world.config.timeouts.total;

    world.fails(0, asks_for_quiet(FailureClass::Overloaded, total));

    let near_the_end = world.start + total - SECOND / 2;
    let rounds = world.rounds_at(near_the_end);
    assert_eq!(rounds.len(), 1, "{rounds:?}");
}

#[test]
fn a_rate_limit_is_its_keys_and_another_key_need_not_wait_for_it() {
    let mut world = World::new();

    world.fails(0, asks_for_quiet(FailureClass::RateLimited, 30 * SECOND));

    let rounds = world.rounds();
    assert_eq!(rounds[1].1, [1]);
    assert!(rounds[1].0 <= BACK_OFF);
}

#[test]
fn the_back_off_doubles_has_a_bound_and_is_jittered_to_the_full() {
    let mut world = World::new();
    let mut bounds = Vec::new();

    for n_failed in 1..=8 {
        world.retry.n_failed = n_failed;
        let draws: Vec<_> = (0..1000)
            .map(|_| world.retry.back_off(&mut world.chance))
            .collect();
        let most = draws.iter().max().unwrap().as_millis();
        let least = draws.iter().min().unwrap().as_millis();
        assert!(least <= most / 20, "{least} of {most}");
        bounds.push(most);
    }

    for (bound, expected) in bounds
        .iter()
        .zip([50, 100, 200, 400, 800, 1000, 1000, 1000])
    {
        assert!((expected * 9 / 10..=expected).contains(bound), "{bounds:?}");
    }
}

#[test]
fn the_client_is_told_to_stop_where_the_cluster_has_tried_enough() {
    let is_final = |world: World| match world.retry.into_problem() {
        Problem::NoAnswer { is_final, .. } => is_final,
        problem => panic!("{problem:?}"),
    };
    let failed_once = || {
        let mut world = World::new();
        world.fails(0, failure(FailureClass::TimedOut));
        world
    };
    let mut failed_twice = failed_once();
    failed_twice.fails(2, failure(FailureClass::TimedOut));
    let mut over_budget = failed_once();
    over_budget.retry.refuse();

    assert!(!is_final(failed_once()));
    assert!(is_final(failed_twice));
    assert!(is_final(over_budget));
}
