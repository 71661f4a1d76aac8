-- Read the heartbeats. ARGV: keys
return redis.call('MGET', unpack(ARGV))
