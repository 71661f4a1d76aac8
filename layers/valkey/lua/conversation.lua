-- Functions for what is kept of a conversation: the hash `conversation:{id}`. Times are in milliseconds. Its fields:
--   access   until when it is valid (8 bytes), number of bans (8), 1 for a group (1), starts of the two newest buckets
--            (8 each); then per member: id (16), 1 if hidden (1)
--   page     until when it is valid (8), 1 if it has all messages (1); then per message, newest first: key by which
--            messages are sorted (16), length of the JSON (4)
--   bodies   the JSON of the messages of the page, joined by commas
--   version  what a reader must present to store what was missing; every change removes it
--   changes  per change that has begun and not ended: token (16), until when it may take (8)
local ACCESS, MEMBER, PAGE, MESSAGE, CHANGE = 33, 17, 9, 20, 24

local function milliseconds()
  local clock = redis.call('TIME')
  return clock[1] * 1000 + math.floor(clock[2] / 1000)
end

local function live_at_least(key, seconds)
  if redis.call('TTL', key) < tonumber(seconds) then
    redis.call('EXPIRE', key, seconds)
  end
end

-- A version that no reader has been given before.
local function new_version(key, seconds)
  local clock = redis.call('TIME')
  local version = clock[1] .. '.' .. clock[2]
  redis.call('HSET', key, 'version', version)
  live_at_least(key, seconds)
  return version
end

-- The changes that may still be under way, and whether others have not ended in time. Those may have been written or
-- not, so everything is forgotten.
local function unfinished(key, changes, now)
  local left = {}
  for i = 1, #changes, CHANGE do
    if struct.unpack('>I8', changes, i + 16) > now then
      left[#left + 1] = string.sub(changes, i, i + CHANGE - 1)
    end
  end
  local kept = table.concat(left)
  if kept == changes then
    return kept, false
  end
  redis.call('HDEL', key, 'version', 'access', 'page', 'bodies', 'changes')
  if kept ~= '' then
    redis.call('HSET', key, 'changes', kept)
  end
  return kept, true
end

local function is_current(access, now)
  local valid_until, bans = struct.unpack('>I8I8', access)
  return valid_until > now and bans == tonumber(redis.call('GET', 'bans') or 0)
end

-- Whether the viewer is a member, and whether another member is hidden.
local function look_up(access, viewer)
  local is_member, hides = false, false
  for i = ACCESS + 1, #access, MEMBER do
    if string.sub(access, i, i + 15) == viewer then
      is_member = true
    elseif string.byte(access, i + 16) == 1 then
      hides = true
    end
  end
  return is_member, hides
end

local function begin_in_conversation(key, token, milliseconds_left, now)
  local change = token .. struct.pack('>I8', now + milliseconds_left)
  redis.call('HSET', key, 'changes', (redis.call('HGET', key, 'changes') or '') .. change)
  redis.call('HDEL', key, 'version')
  live_at_least(key, math.ceil(milliseconds_left / 1000) + 1)
end

-- Whether the change was known. If not, what is kept may have been stored during the change, so it is forgotten.
local function end_in_conversation(key, token)
  local changes = redis.call('HGET', key, 'changes') or ''
  for i = 1, #changes, CHANGE do
    if string.sub(changes, i, i + 15) == token then
      local left = string.sub(changes, 1, i - 1) .. string.sub(changes, i + CHANGE)
      if left == '' then
        redis.call('HDEL', key, 'changes')
      else
        redis.call('HSET', key, 'changes', left)
      end
      return true
    end
  end
  redis.call('HDEL', key, 'version', 'access', 'page', 'bodies')
  return false
end
