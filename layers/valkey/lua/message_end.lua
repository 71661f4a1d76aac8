-- End the writing of a message: add it to the page of the newest messages and to the inboxes of the members.
-- ARGV: token, conversation, key by which the message is sorted, its JSON, length of a page after a cut, length from which
--       a page is cut, ids of the members, concatenated, sender, milliseconds of the message, the part of the JSON of an
--       inbox's entry that says what the last message is, seconds that an entry is valid, 1 if entries are forgotten
local token, conversation, id, body = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- Keys are compared as numbers, because Lua compares strings by the locale.
local function newer(one, other)
  local a1, a2, a3 = struct.unpack('>I6I5I5', one)
  local b1, b2, b3 = struct.unpack('>I6I5I5', other)
  if a1 ~= b1 then return a1 > b1 end
  if a2 ~= b2 then return a2 > b2 end
  return a3 > b3
end

local function add_to_page(key, kept, cut_above)
  local page, bodies = unpack(redis.call('HMGET', key, 'page', 'bodies'))
  if not page then
    return
  end
  local count, place, before = (#page - PAGE) / MESSAGE, 0, 0
  while place < count do
    local other, length = struct.unpack('>c16I4', page, PAGE + place * MESSAGE + 1)
    if other == id then
      return
    end
    if newer(id, other) then
      break
    end
    place, before = place + 1, before + length + 1
  end
  if place == count and string.byte(page, PAGE) == 0 then
    return
  end
  local at = PAGE + place * MESSAGE
  page = string.sub(page, 1, at) .. struct.pack('>c16I4', id, #body) .. string.sub(page, at + 1)
  if count == 0 then
    bodies = body
  elseif place == count then
    bodies = bodies .. ',' .. body
  else
    bodies = string.sub(bodies, 1, before) .. body .. ',' .. string.sub(bodies, before + 1)
  end
  count = count + 1
  if count > cut_above then
    local left_out = 0
    for i = kept + 1, count do
      left_out = left_out + 1 + struct.unpack('>I4', page, PAGE + i * MESSAGE - 3)
    end
    page = string.sub(page, 1, PAGE - 1) .. '\0' .. string.sub(page, PAGE + 1, PAGE + kept * MESSAGE)
    bodies = string.sub(bodies, 1, #bodies - left_out)
  end
  redis.call('HSET', key, 'page', page, 'bodies', bodies)
end

-- The entry after this message; nil if that must be read again: a message arrives after a newer one.
local function updated(entry, is_sender, now)
  local _, last, unread, is_group, head, middle, tail = struct.unpack(ENTRY, entry)
  if not newer(id, last) then
    return nil
  end
  if not is_sender then
    unread = math.min(unread + 1, 101)
  end
  local parts = ENTRY_LENGTH + 1
  return struct.pack(ENTRY, now + ARGV[11] * 1000, id, unread, is_group, head, #ARGV[10], tail)
    .. string.sub(entry, parts, parts + head - 1) .. ARGV[10] .. string.sub(entry, parts + head + middle)
end

local now = milliseconds()
if end_in_conversation('conversation:' .. conversation, token) then
  add_to_page('conversation:' .. conversation, tonumber(ARGV[5]), tonumber(ARGV[6]))
end
for i = 1, #ARGV[7], 16 do
  local user = string.sub(ARGV[7], i, i + 15)
  if end_in_inbox(user, token) then
    redis.call('ZADD', 'inbox:' .. user, 'GT', ARGV[9], conversation)
    local entries = 'entries:' .. user
    local entry = redis.call('HGET', entries, conversation)
    if entry then
      entry = ARGV[12] == '0' and #entry > 0 and updated(entry, user == ARGV[8], now)
      if entry then
        redis.call('HSET', entries, conversation, entry)
      else
        redis.call('HDEL', entries, conversation)
      end
    end
  end
end
return 1
