-- The data of one pool, and how it is packed. Twin: pool/dump.rs, which reads the same layouts.
--
-- KEYS  1 meta      hash: pool = the packed list in clock.lua; catalog, hash; m<i> model, c<i> its round robin, r<i> its
--                   retired candidates as packed {{id, key, scopes}, ...}
--       2 rows      hash: row index -> packed row
--       3 held      hash: session -> packed {row, leases, row, leases, ...}, never 0
--       4 sessions  hash: session -> packed {last batch, its reply, replica}
--       5 expiry    sorted set: session by the logical time at which it dies
--       6 windows   string: all rings, one big-endian i64 a bucket
--       7 waiters   hash: <session>:<ticket> -> packed claim
--       8 mail      hash: session -> packed {grants, rejected}
--       9 leader    hash: who leads the coordinators (fence.lua)
--       10..        one sorted set a model: <session>:<ticket> by score
--
-- A line of numbers or keys in capitals names constants: they are put in where they are used when the script is
-- composed, because every local that a function captures is paid for in each call.
local META, ROWS, HELD, SESSIONS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local EXPIRY, WINDOWS, WAITERS, MAIL, LEADER = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local QUEUES = 10

-- The pool's clock and counters, packed in this order in meta.pool.
local NOW, WALL, RUN, GENERATION, BASE, LEARNING_UNTIL, EPOCH, TICK = 1, 2, 3, 4, 5, 6, 7, 8
local VERSION, SEQUENCE, ANOMALIES, RECLAIMED, QUEUE_MAX, N_MODELS, QUEUED = 9, 10, 11, 12, 13, 14, 15
local RETRIES, RETRIES_AT, RETRY_SHARE = 16, 17, 18

-- A row: its limit of slots, how many are in use, its health (of a key that has served; else false), then its windows,
-- seven fields each; `learned` is the provider's own limit, `since` is when one came into being beside live sessions.
local SLOTS_MAX, IN_USE, GRANTS, HEALTH = 1, 2, 3, 4
local FIRST_WINDOW, WINDOW_SIZE = 5, 7
local LIMIT, TOTAL, LAST, OFFSET, LEARNED, SINCE = 1, 2, 3, 4, 5, 6

-- Health, with its states. A moving average is followed by the time of its last sample.
local OPEN_AT, STATE, ADMIN, STATE_VERSION, FAILURES, EJECTIONS, RECOVERED_AT, THROTTLES = 1, 2, 3, 4, 5, 6, 7, 8
local PENALTY, FIRST_BYTE, TOKEN_TIME, TOKEN_AT, SERVED_AT, SEEN, FAILED = 9, 10, 12, 13, 14, 15, 16
local COUNTED_SINCE, SLOTS_LEARNED, LEARNED_AT, TRIAL, TRIAL_AT = 17, 18, 19, 20, 21
local OK, EJECTED, TRIED, AUTH_FAILED, EXHAUSTED = 0, 1, 2, 3, 4

-- A model: its strategy, its candidates' ids, keys, weights and scopes ({} if none has any), all of their rows, and
-- the least token limit among these.
local STRATEGY, EXCLUSIVE, IDS, KEYS_OF, WEIGHTS, SCOPES, ALL_ROWS, LEAST_TOKENS = 1, 2, 3, 4, 5, 6, 7, 8

-- A claim, as it comes and as it waits; its priority gives way to its score. CALLERS and ALLOW are false where empty.
local TICKET, MODEL, PRIORITY, TOKENS, CALLERS, ALLOW, NO_QUEUE, PURPOSE = 1, 2, 3, 4, 5, 6, 7, 8
local SCORE = 3
local REQUEST, RETRY, PROBE, LIGHT_PROBE = 0, 1, 2, 3

-- The end of a lease, with its outcomes; REPORTED is false where empty.
local RESERVED, GRANTED_AT, USED, OUTCOME, FIRST_BYTE_US, TOKEN_US, RETRY_MS, REPORTED = 4, 5, 6, 7, 8, 9, 10, 11
local UNSENT, SERVED, CLIENT_ABORT, BAD_REQUEST, RATE_LIMITED = 0, 1, 2, 3, 4
local REFUSED_KEY, FAILURE, UNREACHABLE, NO_MONEY, PROBED = 5, 6, 7, 8, 9

local DONE, NO_EPOCH, GONE, OLD, ROLLBACK, CATALOG, DUPLICATE, BUSY, FENCED, STALE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9

local STEP_MAX_MS, SESSION_TTL_MS = 2000, 6000

-- How many values go through one `unpack`, whose own limit is near 8,000; even, because some are pairs.
local UNPACK_MAX = 4000

-- By window kind: qps, rpm, tpm, rpd, tpd.
local BUCKET_MS = { [0] = 25, 500, 500, 900000, 900000 }
local RING = { [0] = 42, 122, 122, 98, 98 }
local COUNTS_TOKENS = { [0] = false, false, true, false, true }

local function queue_key(model)
  return KEYS[QUEUES + model]
end
