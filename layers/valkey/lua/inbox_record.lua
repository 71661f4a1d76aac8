-- Record an activity in a conversation in those of the inboxes that exist.
-- ARGV: conversation, milliseconds, ids of the users, concatenated
for i = 1, #ARGV[3], 16 do
  local inbox = 'inbox:' .. string.sub(ARGV[3], i, i + 15)
  if redis.call('EXISTS', inbox) == 1 then
    redis.call('ZADD', inbox, 'GT', ARGV[2], ARGV[1])
  end
end
return 1
