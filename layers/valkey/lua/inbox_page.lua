-- Read a page of an inbox, latest activity first. If the order is unknown, mark the inbox so that activities are
-- recorded while the caller reads the order from Cassandra.
-- ARGV: user, milliseconds and id of the last entry ('' for the first page), entries, seconds until the mark expires
-- Returns false if the order is unknown; else per conversation: id, milliseconds
local inbox = 'inbox:' .. ARGV[1]
if not redis.call('ZSCORE', inbox, 'complete') then
  redis.call('ZADD', inbox, 'NX', -2, 'filling')
  redis.call('EXPIRE', inbox, ARGV[5])
  return false
end
local start = 0
if ARGV[3] ~= '' then
  start = redis.call('ZCOUNT', inbox, '(' .. ARGV[2], '+inf')
  for _, conversation in ipairs(redis.call('ZREVRANGEBYSCORE', inbox, ARGV[2], ARGV[2])) do
    if not older(conversation, ARGV[3]) then
      start = start + 1
    end
  end
end
local found = redis.call('ZREVRANGE', inbox, start, start + ARGV[4] - 1, 'WITHSCORES')
local page = {}
for i = 1, #found, 2 do
  if #found[i] == 16 then
    page[#page + 1] = found[i]
    page[#page + 1] = found[i + 1]
  end
end
return page
