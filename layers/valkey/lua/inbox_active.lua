-- Something happened in a conversation: it comes first in the lists whose order is known.
-- ARGV: conversation, milliseconds, its people in one
for i = 1, #ARGV[3], 16 do
  local inbox = 'inbox:' .. string.sub(ARGV[3], i, i + 15)
  if redis.call('EXISTS', inbox) == 1 then
    redis.call('ZADD', inbox, 'GT', ARGV[2], ARGV[1])
  end
end
return 1
