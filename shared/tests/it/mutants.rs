//! Rules broken on purpose: the comparison must notice each of them, or it proves nothing about that rule.

use super::differential::Comparison;
use super::server::RedisServer;

/// (file, what is broken, what stands there, what is put instead)
const MUTANTS: &[(&str, &str, &str, &str)] = &[
    (
        "clock",
        "clock leaps are not bounded",
        "math.min(math.max(wall - pool[WALL], 0), STEP_MAX_MS)",
        "math.max(wall - pool[WALL], 0)",
    ),
    (
        "clock",
        "the clock runs backwards",
        "math.max(wall - pool[WALL], 0)",
        "wall - pool[WALL]",
    ),
    (
        "clock",
        "a restart is not noticed",
        "if run ~= pool[RUN] then",
        "if false then",
    ),
    (
        "clock",
        "a restart begins no learning",
        "pool[LEARNING_UNTIL] = pool[NOW] + SESSION_TTL_MS",
        "pool[LEARNING_UNTIL] = pool[NOW]",
    ),
    (
        "window",
        "a ring forgets one bucket early",
        "row[at + LAST] - bucket < RING[kind] then",
        "row[at + LAST] - bucket < RING[kind] - 1 then",
    ),
    (
        "window",
        "a charge is corrected after its bucket has left",
        "if by ~= 0 and row[at + LAST] - bucket < RING[kind] then",
        "if by ~= 0 then",
    ),
    (
        "window",
        "stale buckets stay in the total",
        "row[total] = row[total] - values[i - first + 1]",
        "",
    ),
    (
        "waiting",
        "an opening is promised one bucket early",
        "return (bucket + length) * BUCKET_MS[kind] end",
        "return (bucket + length - 1) * BUCKET_MS[kind] end",
    ),
    (
        "window",
        "a charge is written to the wrong bucket",
        "local slot = row[at + OFFSET] + row[at + LAST] % RING[kind]",
        "local slot = row[at + OFFSET] + (row[at + LAST] + 1) % RING[kind]",
    ),
    (
        "store",
        "what a session holds is written only when it grows",
        "if leases ~= 0 then",
        "if leases > 1 then",
    ),
    (
        "store",
        "the round robin is not kept",
        "if model and model.moved then",
        "if false then",
    ),
    (
        "strategy",
        "slots are one too many",
        "row[IN_USE] >= slots",
        "row[IN_USE] > slots",
    ),
    (
        "strategy",
        "the token limit is one too high",
        "or row[at + LIMIT]) - row[at + TOTAL]",
        "or row[at + LIMIT]) - row[at + TOTAL] + 1",
    ),
    (
        "strategy",
        "scopes above the key are not asked",
        "if fits and has_scopes then",
        "if false then",
    ),
    (
        "strategy",
        "exclusive is not",
        "and not (exclusive and rows[key][IN_USE] > 0)",
        "",
    ),
    (
        "strategy",
        "the round robin leaves its winner ahead",
        "current[best] = current[best] - total",
        "current[best] = current[best] - total * 0.999",
    ),
    (
        "strategy",
        "the busiest key is picked",
        "load < least",
        "load > least",
    ),
    (
        "strategy",
        "the last available key comes first",
        "return positions[1]\n",
        "return positions[#positions]\n",
    ),
    (
        "strategy",
        "the allow list is not asked",
        "local fits = not allow or allows(allow, ids[position])",
        "local fits = true",
    ),
    (
        "settle",
        "a release does not free the slot",
        "row[IN_USE] = row[IN_USE] - 1",
        "",
    ),
    (
        "settle",
        "a release of what nobody holds counts",
        "if not is_held then",
        "if false then",
    ),
    (
        "settle",
        "an unsent request is not refunded",
        "correct(row, at, granted_at, -1)",
        "",
    ),
    (
        "settle",
        "tokens are not settled",
        "(is_unsent and 0 or tokens) - reserved",
        "0",
    ),
    (
        "settle",
        "the caller's own scope is not charged",
        "take(session, callers[i], tokens, purpose)",
        "",
    ),
    (
        "queue",
        "priority is ignored",
        "claim[SCORE] = (10 - claim[PRIORITY]) * PRIORITY_BAND + pool[SEQUENCE]",
        "claim[SCORE] = pool[SEQUENCE]",
    ),
    (
        "queue",
        "last come, first served",
        "claim[SCORE] = (10 - claim[PRIORITY]) * PRIORITY_BAND + pool[SEQUENCE]",
        "claim[SCORE] = (10 - claim[PRIORITY]) * PRIORITY_BAND - pool[SEQUENCE]",
    ),
    (
        "queue",
        "the dead are served",
        "local packed = waiting().is_alive(owner) and redis.call('HGET', WAITERS, member)",
        "local packed = redis.call('HGET', WAITERS, member)",
    ),
    (
        "queue",
        "a newcomer overtakes the queue",
        "if not fresh or score < fresh[SCORE] then",
        "if not fresh then",
    ),
    (
        "waiting",
        "a blocked head saves up for nothing",
        "closed[index] = true",
        "",
    ),
    (
        "queue",
        "one's own full scope blocks everybody",
        "local is_passed_over = is_caller_blocked or waiter[ALLOW]",
        "local is_passed_over = waiter[ALLOW]",
    ),
    (
        "waiting",
        "the queue is one longer than allowed",
        "if (queued[index] or 0) >= pool[QUEUE_MAX] then",
        "if (queued[index] or 0) > pool[QUEUE_MAX] then",
    ),
    (
        "waiting",
        "a full queue never sheds",
        "tonumber(tail[2]) <= score",
        "true",
    ),
    (
        "queue",
        "what can never fit waits",
        "if reason then\n      rejected",
        "if false then\n      rejected",
    ),
    (
        "session",
        "the dead keep their slots",
        "rows[index][IN_USE] = rows[index][IN_USE] - held[index]",
        "",
    ),
    (
        "session",
        "nobody is reaped",
        "if session ~= but then reap(session) end",
        "",
    ),
    (
        "session",
        "mail is delivered twice",
        "if packed then redis.call('HDEL', MAIL, session) end",
        "",
    ),
    (
        "session",
        "a reap waits for somebody else",
        "if moment == 0 or expires < moment then moment = expires end",
        "",
    ),
    (
        "catalog",
        "a new limit wipes the window",
        "total, learned, window_since, is_kept = old[at + TOTAL], old[at + LEARNED], old[at + SINCE], true",
        "learned, window_since, is_kept = old[at + LEARNED], old[at + SINCE], true",
    ),
    (
        "catalog",
        "a key with another credential keeps its health",
        "if is_other_key then renew_health(new) end",
        "",
    ),
    (
        "catalog",
        "what a model had is forgotten",
        "if #retired > 0 then",
        "if false then",
    ),
    (
        "store",
        "the lease of a retired candidate is not found",
        "if retired[1] == id then",
        "if false then",
    ),
    (
        "window",
        "a window that came later gives back",
        "if by < 0 and charged_at <= row[at + SINCE] then return end",
        "",
    ),
    (
        "publish",
        "who waits for what is gone waits on",
        "for _, index in ipairs(lost_candidates) do reject_hopeless(index) end",
        "",
    ),
    (
        "publish",
        "new capacity is given to nobody",
        "  admit('', {})\n",
        "",
    ),
    (
        "publish",
        "any catalog is succeeded",
        "tonumber(ARGV[3]) ~= pool[VERSION]",
        "false",
    ),
    (
        "publish",
        "a restart under a publish is not noticed",
        "tonumber(ARGV[2]) ~= pool[GENERATION]",
        "false",
    ),
    (
        "publish",
        "a publish that is sent again runs again",
        "if blob ~= '' and redis.call('HGET', META, 'catalog') == blob then return answer(DONE) end",
        "",
    ),
    (
        "publish",
        "half a publish is not looked at closely",
        "do lower_least_tokens(index, changes) end",
        "do end",
    ),
    (
        "fence",
        "an older leader publishes",
        "tonumber(leader) > fence",
        "false",
    ),
    (
        "fence",
        "a boot replaces a leader's catalog",
        "return tonumber(leader[2]) > tonumber(leader[3]) + passed",
        "return false",
    ),
    (
        "fence",
        "a leader dies of a leap of the clock",
        "math.min(math.max(pool[WALL] - tonumber(leader[4]), 0), STEP_MAX_MS)",
        "math.max(pool[WALL] - tonumber(leader[4]), 0)",
    ),
    (
        "catalog",
        "a new catalog restarts the round robin",
        "if old_id == id then current[position] = old.current[before] end",
        "",
    ),
    (
        "join",
        "an empty store serves at once",
        "wall, 0, wall + LEARNING_EMPTY_MS",
        "wall, 0, wall",
    ),
    (
        "boot",
        "a name that is alive can be taken",
        "if pool[NOW] - renewed < RENEWED_LATELY_MS then",
        "if false then",
    ),
    (
        "boot",
        "an older incarnation keeps its slots",
        "for _, predecessor in ipairs(older) do reap(predecessor) end",
        "",
    ),
    (
        "assert",
        "what still runs is not counted",
        "rows[index][IN_USE] = rows[index][IN_USE] + lease[4]",
        "",
    ),
    (
        "assert",
        "window charges are not told",
        "correct(row, at, charged_at,",
        "correct(row, at, charged_at - 1e9,",
    ),
    (
        "assert",
        "waiters lose their place",
        "PRIORITY_BAND + waiter[2]",
        "PRIORITY_BAND + pool[SEQUENCE]",
    ),
    (
        "bye",
        "a session leaves with leases",
        "if next(holding(session)) then",
        "if false then",
    ),
    (
        "audit",
        "the audit counts only a ring's last bucket",
        "total = total + struct.unpack",
        "total = struct.unpack",
    ),
    (
        "tick",
        "a batch that is sent again runs again",
        "if seq == last and known[2] ~= '' then return known[2] end\nif seq <= last then",
        "if seq < last then",
    ),
    (
        "tick",
        "a lost batch is not noticed",
        "if seq > last + 1 then",
        "if false then",
    ),
    (
        "tick",
        "the catalog's version is not asked",
        "if tonumber(ARGV[3]) ~= pool[VERSION] then",
        "if false then",
    ),
    (
        "health",
        "four failures do not differ from five",
        "health[FAILURES] >= FAILURES_MAX",
        "health[FAILURES] > FAILURES_MAX",
    ),
    (
        "health",
        "a rate of failures does not eject",
        "health[FAILED] * 2 >= health[SEEN]",
        "health[FAILED] > health[SEEN]",
    ),
    (
        "health",
        "outcomes are counted for ever",
        "if pool[NOW] - health[COUNTED_SINCE] >= COUNTED_MS then recount(health) end",
        "",
    ),
    (
        "health",
        "the last usable key is ejected",
        "if is_spared then",
        "if false then",
    ),
    (
        "health",
        "ejections are never forgiven",
        "health[EJECTIONS] = math.max(health[EJECTIONS] - forgiven, 0)",
        "",
    ),
    (
        "health",
        "all ejections are equally long",
        "90 + row[GRANTS] * 7 % 21",
        "100",
    ),
    (
        "health",
        "an ejected key is tried by everybody",
        "if health and health[STATE] == EJECTED then",
        "if false then",
    ),
    (
        "health",
        "an old lease ends the trial",
        "(granted_at and granted_at < health[TRIAL_AT])",
        "false",
    ),
    (
        "health",
        "a later 429 shortens the pause",
        "math.max(health[OPEN_AT], pool[NOW] + pause)",
        "pool[NOW] + pause",
    ),
    (
        "health",
        "pauses do not grow",
        "2 ^ math.min(health[THROTTLES] - 1, 7)",
        "1",
    ),
    (
        "health",
        "a 429 without words teaches nothing",
        "local is_told = retry > 0 or release[REPORTED]",
        "local is_told = true",
    ),
    (
        "health",
        "learned slots never grow back",
        "health[SLOTS_LEARNED] + 1 / health[SLOTS_LEARNED]",
        "health[SLOTS_LEARNED]",
    ),
    (
        "health",
        "others' use is charged as if it were now",
        "pool[NOW] + math.min(resets_in, span) - span",
        "pool[NOW]",
    ),
    (
        "health",
        "a reported limit lifts the configured one",
        "limit < row[at + LIMIT] and limit or 0",
        "limit",
    ),
    (
        "health",
        "samples weigh the same whenever they come",
        "passed / (passed + AVERAGE_MS)",
        "0.5",
    ),
    (
        "session",
        "a dead session keeps its trial",
        "if health then end_trial(health, session) end",
        "",
    ),
    (
        "strategy",
        "an old latency is never forgotten",
        "(age / (age + FADING_MS))",
        "0",
    ),
    (
        "strategy",
        "a failing key keeps its weight",
        "slower * (1 - health[PENALTY])",
        "slower",
    ),
    (
        "retries",
        "a retry costs nothing",
        "pool[RETRIES] = pool[RETRIES] - 1",
        "",
    ),
    (
        "retries",
        "requests earn no retries",
        "math.min(pool[RETRIES] + pool[RETRY_SHARE], SAVED_MAX)",
        "pool[RETRIES]",
    ),
    (
        "queue",
        "a probe joins a trial",
        "if health and health[STATE] == TRIED then return nil end",
        "",
    ),
    (
        "window",
        "a light probe is charged everywhere",
        "if not is_light or kind == QPS then",
        "if true then",
    ),
    (
        "window",
        "a reported limit holds an empty window",
        "if learned > 0 and row[at + TOTAL] > 0 then",
        "if learned > 0 then",
    ),
    (
        "judge",
        "a probe of an older state is believed",
        "if seen and seen ~=",
        "if false and seen ~=",
    ),
    (
        "judge",
        "an account without money heals by a list of models",
        "if health[STATE] ~= OK and health[STATE] ~= EXHAUSTED then",
        "if health[STATE] ~= OK then",
    ),
    (
        "health",
        "an outcome from before the recovery counts",
        "local is_dated = release[GRANTED_AT] <= health[RECOVERED_AT] and not was_trial",
        "local is_dated = false",
    ),
    (
        "health",
        "a named pause is forgotten beside other trouble",
        "health[OPEN_AT] = math.max(health[OPEN_AT], pool[NOW] + release[RETRY_MS])",
        "",
    ),
    (
        "health",
        "the last ejected keys stay out",
        "health[OPEN_AT] = math.min(health[OPEN_AT], pool[NOW])",
        "",
    ),
    (
        "judge",
        "enabling forgets nothing",
        "row[HEALTH] = false\n  local clean = health_of(row)",
        "local clean = health",
    ),
    (
        "queue",
        "a probe joins an exclusive holder",
        "if model[EXCLUSIVE] and rows[list[1]][IN_USE] > 0 then return nil end",
        "",
    ),
    (
        "assert",
        "a trial that goes on is forgotten",
        "health[STATE], health[TRIAL], health[TRIAL_AT] = TRIED, session, 0",
        "",
    ),
];

/// How far a mutant may live: seeds, and ticks of each.
const SEEDS: u64 = 24;
const TICKS: u64 = 2_500;

#[tokio::test]
async fn every_broken_rule_is_noticed() {
    let server = RedisServer::start();
    let mut survivors = Vec::new();
    for (file, what, from, to) in MUTANTS {
        let is_there = std::cell::Cell::new(false);
        let edit = |name: &str, source: &str| {
            if name != *file {
                return source.to_owned();
            }
            is_there.set(source.contains(from));
            source.replacen(from, to, 1)
        };
        let mut killed_at = None;
        for seed in 100..100 + SEEDS {
            flush(&server.url).await;
            let mut comparison = Comparison::new(&server.url, seed, edit);
            assert!(
                is_there.get(),
                "{file}: `{from}` is not there any more: the mutant `{what}` breaks nothing"
            );
            if comparison.run(TICKS).await.is_err() {
                killed_at = Some((seed, comparison.tally.ticks));
                break;
            }
        }
        match killed_at {
            Some((seed, tick)) => eprintln!("killed    {file}: {what} (seed {seed}, tick {tick})"),
            None => survivors.push(format!("{file}: {what}")),
        }
    }
    eprintln!("{} mutants, {} survivors", MUTANTS.len(), survivors.len());
    assert!(survivors.is_empty(), "not noticed: {survivors:#?}");
}

async fn flush(url: &str) {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("FLUSHDB")
        .exec_async(&mut connection)
        .await
        .unwrap();
}
