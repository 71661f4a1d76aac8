-- Store entries of an inbox whose order is complete, unless a change has begun since they were found missing.
-- ARGV: user, version, number of bans when they were found missing; then per entry: conversation, seconds that it is
--       valid, entry without its first field, or '' if it is not shown
local key, entries = 'inbox:' .. ARGV[1], 'entries:' .. ARGV[1]
if not mark_of(key, FILLED_AT) or mark_of(key, VERSION_AT) ~= ARGV[2] then
  return 0
end
local now = milliseconds()
if redis.call('HGET', entries, 'bans') ~= ARGV[3] then
  redis.call('UNLINK', entries)
  redis.call('HSET', entries, 'bans', ARGV[3])
end
for i = 4, #ARGV, 3 do
  local entry = ARGV[i + 2]
  if entry ~= '' then
    entry = struct.pack('>I8', now + ARGV[i + 1] * 1000) .. entry
  end
  redis.call('HSET', entries, ARGV[i], entry)
end
redis.call('EXPIRE', entries, redis.call('TTL', key))
return 1
