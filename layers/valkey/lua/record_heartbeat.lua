-- Store a heartbeat, and remove keys that have ended; deadlines.lua precedes. ARGV: key, time, seconds to live
local now = seconds()
remove_ended(now, 1000)
redis.call('SET', ARGV[1], ARGV[2])
end_at(ARGV[1], now + ARGV[3])
