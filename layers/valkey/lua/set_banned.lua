-- Add or remove an author whose posts no feed shows; deadlines.lua precedes.
-- ARGV: author, 1 to add or 0 to remove, seconds to live
local now = seconds()
remove_if_ended('banned', now)
redis.call(ARGV[2] == '1' and 'SADD' or 'SREM', 'banned', ARGV[1])
end_at('banned', now + ARGV[3])
-- What is kept of conversations is valid for one number of bans, because it says who is hidden. The number has no
-- end: it must never be the same again.
redis.call('INCR', 'bans')
return 1
