-- Claim the creation of a conversation; deadlines.lua precedes. ARGV: conversation, token, seconds that the claim lives
local claim, now = 'opening:' .. ARGV[1], seconds()
if end_of(claim, now) then
  return 0
end
redis.call('SET', claim, ARGV[2])
end_at(claim, now + ARGV[3])
return 1
