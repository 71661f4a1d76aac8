-- Read the heartbeats; deadlines.lua precedes. ARGV: keys
local now, times = seconds(), redis.call('MGET', unpack(ARGV))
for i, key in ipairs(ARGV) do
  times[i] = end_of(key, now) and times[i]
end
return times
