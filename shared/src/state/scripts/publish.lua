-- publish: one call of a change of catalog under live sessions. Twin: pool/publish.rs.
--
-- ARGV  1 fence, 2 generation and 3 catalog version that it was made for, 4 packed {buckets, changes}, 5 with the last
-- call: the catalog, else empty, 6 channel prefix
-- A change is {row index, row, whether its credential is another one}. Returns packed {status, tick, now, wall,
-- generation, base, learning until}.
local blob = ARGV[5]

if not advance() then return cmsgpack.pack({ NO_EPOCH, 0, 0, 0, 0, 0, 0 }) end
if is_fenced(tonumber(ARGV[1])) then return answer(FENCED) end
-- The same call again: it has run, and its reply was lost.
if blob ~= '' and redis.call('HGET', META, 'catalog') == blob then return answer(DONE) end
if tonumber(ARGV[2]) ~= pool[GENERATION] or tonumber(ARGV[3]) ~= pool[VERSION] then return answer(STALE) end
pool[TICK] = pool[TICK] + 1

local change = cmsgpack.unpack(ARGV[4])
local buckets, changes = change[1], change[2]
grow_windows(buckets)
load_known_rows(changes)
for _, changed in ipairs(changes) do change_row(changed[1], changed[2], changed[3], pool[NOW]) end

if blob == '' then
  -- Models go by the old catalog until the last call; what may not fit any more must be looked at closely.
  for index = 0, pool[N_MODELS] - 1 do lower_least_tokens(index, changes) end
else
  local catalog = cmsgpack.unpack(blob)
  local lost_candidates = {}
  for index = 0, pool[N_MODELS] - 1 do
    if (queued[index] or 0) > 0 and lost_any(load_model(index), catalog[7][index + 1][4]) then
      lost_candidates[#lost_candidates + 1] = index
    end
  end
  install_models(catalog, blob)
  for _, index in ipairs(lost_candidates) do reject_hopeless(index) end
  -- Capacity may have appeared.
  admit('', {})
end
write_store()
post_mail('', ARGV[6])
return answer(DONE)
