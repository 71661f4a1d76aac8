-- Record that a message is about to be written, if it is known that the viewer may write and that no member is hidden.
-- ARGV: token, milliseconds that it may take, conversation, viewer
-- Returns access; false if nothing was recorded.
local token, left, key, now = ARGV[1], tonumber(ARGV[2]), 'conversation:' .. ARGV[3], milliseconds()
local changes, access = unpack(redis.call('HMGET', key, 'changes', 'access'))
if changes then
  local _, were_abandoned = unfinished(key, changes, now)
  access = not were_abandoned and access
end
if not access or not is_current(access, now) then
  return false
end
local is_member, hides = look_up(access, ARGV[4])
if not is_member or hides then
  return false
end
begin_in_conversation(key, token, left, now)
for i = ACCESS + 1, #access, MEMBER do
  begin_in_inbox(string.sub(access, i, i + 15), token, left, now)
end
return access
