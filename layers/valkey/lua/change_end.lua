-- End a change that was written, or that was given up before it was written.
-- ARGV: token, conversation that it changes or '', what is forgotten of it: 'page' or '',
--       ids of the users whose inboxes it changes, concatenated, conversation whose entry is forgotten or '',
--       milliseconds of an activity in it or '', user from whose inbox it is removed or '', 1 if the inboxes are forgotten
local token = ARGV[1]
if ARGV[2] ~= '' then
  local key = 'conversation:' .. ARGV[2]
  end_in_conversation(key, token)
  if ARGV[3] == 'page' then
    redis.call('HDEL', key, 'page', 'bodies')
  end
end
for i = 1, #ARGV[4], 16 do
  local user = string.sub(ARGV[4], i, i + 15)
  local is_complete = end_in_inbox(user, token)
  if is_complete and ARGV[8] == '1' then
    redis.call('ZREMRANGEBYSCORE', 'inbox:' .. user, FILLED_AT, '+inf')
    redis.call('UNLINK', 'entries:' .. user)
  elseif is_complete and ARGV[5] ~= '' then
    redis.call('HDEL', 'entries:' .. user, ARGV[5])
    if ARGV[6] ~= '' then
      redis.call('ZADD', 'inbox:' .. user, 'GT', ARGV[6], ARGV[5])
    end
    if user == ARGV[7] then
      redis.call('ZREM', 'inbox:' .. user, ARGV[5])
    end
  end
end
return 1
