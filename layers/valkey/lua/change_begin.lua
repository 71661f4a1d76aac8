-- Record that a change is about to be written.
-- ARGV: token, milliseconds that it may take, conversation that it changes or '', 1 if it may change who takes part,
--       ids of the users whose inboxes it changes, concatenated
local token, left, now = ARGV[1], tonumber(ARGV[2]), milliseconds()
if ARGV[3] ~= '' then
  local key = 'conversation:' .. ARGV[3]
  begin_in_conversation(key, token, left, now)
  if ARGV[4] == '1' then
    redis.call('HDEL', key, 'access')
  end
end
for i = 1, #ARGV[5], 16 do
  begin_in_inbox(string.sub(ARGV[5], i, i + 15), token, left, now)
end
return 1
