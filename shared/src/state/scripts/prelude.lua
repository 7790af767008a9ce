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

-- A row: its limit of slots and how many are in use, the health record (reserved), then its windows, six fields each; `since` is
-- when one came into being beside live sessions.
local SLOTS_MAX, IN_USE, GRANTS = 1, 2, 3
local FIRST_WINDOW, WINDOW_SIZE = 14, 6
local LIMIT, TOTAL, LAST, OFFSET, SINCE = 1, 2, 3, 4, 5

-- A model: its strategy, its candidates' ids, keys, weights and scopes ({} if none has any), all of their rows, and
-- the least token limit among these.
local STRATEGY, EXCLUSIVE, IDS, KEYS_OF, WEIGHTS, SCOPES, ALL_ROWS, LEAST_TOKENS = 1, 2, 3, 4, 5, 6, 7, 8

-- A claim, as it comes and as it waits; its priority gives way to its score. CALLERS and ALLOW are false where empty.
local TICKET, MODEL, PRIORITY, TOKENS, CALLERS, ALLOW, NO_QUEUE = 1, 2, 3, 4, 5, 6, 7
local SCORE = 3

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
