-- Claim the creation of a conversation. ARGV: conversation, token, seconds that the claim lives
return redis.call('SET', 'opening:' .. ARGV[1], ARGV[2], 'NX', 'EX', ARGV[3]) and 1 or 0
