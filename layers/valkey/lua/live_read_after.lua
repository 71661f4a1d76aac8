-- Read the events after the given one; deadlines.lua precedes.
-- ARGV: user, id of the last known event or '', number of events, seconds that events live
-- Returns the id after which events begin, 1 if events may be missing; then per event: id, event
local stream, now = 'live:' .. ARGV[1], seconds()
local start, missed = ARGV[2], 0
remove_if_ended(stream, now)
if start == '' or #redis.call('XRANGE', stream, start, start) == 0 then
  missed = start == '' and 0 or 1
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  start = last and last[1] or redis.call('XADD', stream, '*', 'event', '')
  end_at(stream, now + ARGV[4])
end
local events = {start, missed}
for _, entry in ipairs(redis.call('XRANGE', stream, '(' .. start, '+', 'COUNT', ARGV[3])) do
  events[#events + 1] = entry[1]
  events[#events + 1] = entry[2][2]
end
return events
