-- Events after the given one. ARGV: user, id of the last event known or '', events, seconds that events are kept
-- Gives: where it begins, 1 if events may have been missed, id, event, id, event …
local stream = 'live:' .. ARGV[1]
local begins, missed = ARGV[2], 0
if begins == '' or #redis.call('XRANGE', stream, begins, begins) == 0 then
  missed = begins == '' and 0 or 1
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  begins = last and last[1] or redis.call('XADD', stream, '*', 'event', '')
  redis.call('EXPIRE', stream, ARGV[4])
end
local events = {begins, missed}
for _, entry in ipairs(redis.call('XRANGE', stream, '(' .. begins, '+', 'COUNT', ARGV[3])) do
  events[#events + 1] = entry[1]
  events[#events + 1] = entry[2][2]
end
return events
