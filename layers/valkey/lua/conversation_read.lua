-- Read who takes part in a conversation, and the newest messages.
-- ARGV: conversation, viewer, number of messages (0: none), seconds that a version lives
-- Returns 1, key of the last message if there are older ones or '', JSON of the messages joined by commas; or
--         0, version to present when storing what was missing or '', number of bans, access or ''.
-- Messages are returned only to a member for whom no other member is hidden, and while no change is under way.
local key, viewer, limit = 'conversation:' .. ARGV[1], ARGV[2], tonumber(ARGV[3])
local now = milliseconds()
local version, changes, access, page = unpack(redis.call('HMGET', key, 'version', 'changes', 'access', 'page'))
local is_changing = false
if changes then
  local left, were_abandoned = unfinished(key, changes, now)
  is_changing = left ~= ''
  if were_abandoned then
    version, access, page = false, false, false
  end
end
if access and not is_current(access, now) then
  access = false
end
if access and page and limit > 0 and not is_changing and struct.unpack('>I8', page) > now then
  local is_member, hides = look_up(access, viewer)
  local count = (#page - PAGE) / MESSAGE
  if is_member and not hides and (count > limit or string.byte(page, PAGE) == 1) then
    local bodies, left_out = redis.call('HGET', key, 'bodies'), 0
    for i = limit + 1, count do
      left_out = left_out + 1 + struct.unpack('>I4', page, PAGE + i * MESSAGE - 3)
    end
    local last = ''
    if count > limit then
      bodies = string.sub(bodies, 1, #bodies - left_out)
      last = string.sub(page, PAGE + (limit - 1) * MESSAGE + 1, PAGE + (limit - 1) * MESSAGE + 16)
    end
    return {1, last, bodies}
  end
end
if is_changing then
  version = ''
elseif not version and (not access or limit > 0) then
  version = new_version(key, ARGV[4])
end
return {0, version or '', tonumber(redis.call('GET', 'bans') or 0), access or ''}
