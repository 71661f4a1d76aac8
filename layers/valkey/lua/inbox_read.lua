-- Read a page of an inbox, latest activity first.
-- ARGV: user, milliseconds and id of the last entry of the previous page ('' for the first page), number of entries,
--       seconds that a version lives
-- Returns 2, milliseconds and id of the last entry if there are more or '', JSON of the entries joined by commas; or
--         1, version to present when storing what was missing, number of bans, 1 if there are more; then per
--            conversation: id, milliseconds, JSON ('' if it is not shown, nil if it is missing); or
--         0, version or '' if nothing must be stored, number of bans: the order must be read.
local user, size, now = ARGV[1], tonumber(ARGV[4]), milliseconds()
local key = 'inbox:' .. user
local bans = redis.call('GET', 'bans') or '0'
local is_complete, version, is_changing = inbox_state(key, now)
if is_changing then
  return {0, '', tonumber(bans)}
end
if not is_complete then
  return {0, version or new_inbox_version(key, ARGV[5]), tonumber(bans)}
end
local start = 0
if ARGV[3] ~= '' then
  start = redis.call('ZCOUNT', key, '(' .. ARGV[2], '+inf')
  for _, conversation in ipairs(redis.call('ZRANGEBYSCORE', key, ARGV[2], ARGV[2])) do
    if not older(conversation, ARGV[3]) then
      start = start + 1
    end
  end
end
local found = redis.call('ZREVRANGEBYSCORE', key, '+inf', 0, 'WITHSCORES', 'LIMIT', start, size + 1)
local count, has_more = math.min(#found / 2, size), #found / 2 > size
if count == 0 then
  return {2, '', '', ''}
end

local fields = {'bans'}
for i = 1, count do
  fields[i + 1] = found[2 * i - 1]
end
local values = redis.call('HMGET', 'entries:' .. user, unpack(fields))
local entries, people, keys = {}, {}, {}
for i = 1, count do
  local entry = values[1] == bans and values[i + 1]
  if entry and #entry > 0 and struct.unpack('>I8', entry) <= now then
    entry = false
  end
  entries[i] = entry
  if entry and #entry > 0 then
    local _, _, _, _, head, middle, tail = struct.unpack(ENTRY, entry)
    for at = ENTRY_LENGTH + head + middle + tail + 1, #entry, 16 do
      local person = string.sub(entry, at, at + 15)
      if people[person] == nil then
        people[person] = false
        keys[#keys + 1] = 'person:' .. person
      end
    end
  end
end
if #keys > 0 then
  local persons = redis.call('MGET', unpack(keys))
  for i, name in ipairs(keys) do
    people[string.sub(name, 8)] = persons[i]
  end
end

-- The JSON of an entry; false if the name of somebody in it is missing.
local function json_of(entry)
  local _, _, unread, is_group, head, middle, tail = struct.unpack(ENTRY, entry)
  local at = ENTRY_LENGTH + 1
  local json = {string.sub(entry, at, at + head - 1)}
  local names = {}
  for i = at + head + middle + tail, #entry, 16 do
    local id = string.sub(entry, i, i + 15)
    local person = people[id]
    if not person then
      return false
    end
    local length = struct.unpack('>I2', person, 9)
    names[#names + 1] = {string.sub(person, 11, 46), string.sub(person, 47, 46 + length), string.sub(person, 47 + length)}
  end
  if is_group == 0 then
    json[2] = ',"otherUsername":' .. names[1][2] .. ',"otherProfilePicture":' .. names[1][3]
  end
  json[#json + 1] = string.sub(entry, at + head, at + head + middle - 1)
  json[#json + 1] = ',"unreadCount":' .. math.min(unread, 100) .. ',"hasMoreUnread":' .. tostring(unread > 100)
  json[#json + 1] = string.sub(entry, at + head + middle, at + head + middle + tail - 1)
  if is_group == 1 then
    for i, name in ipairs(names) do
      json[#json + 1] = (i > 1 and ',' or '') .. '{"id":"' .. name[1] .. '","username":' .. name[2]
        .. ',"profilePicture":' .. name[3] .. '}'
    end
  end
  json[#json + 1] = ']}'
  return table.concat(json)
end

local shown, all, is_whole = {}, {}, true
for i = 1, count do
  local entry = entries[i]
  all[i] = entry and (entry == '' and '' or json_of(entry))
  if not all[i] then
    is_whole = false
  elseif all[i] ~= '' then
    shown[#shown + 1] = all[i]
  end
end
if is_whole then
  local last, at = '', ''
  if has_more then
    last, at = found[2 * count - 1], found[2 * count]
  end
  return {2, at, last, table.concat(shown, ',')}
end
local reply = {1, version or new_inbox_version(key, ARGV[5]), tonumber(bans), has_more and 1 or 0}
for i = 1, count do
  reply[#reply + 1] = found[2 * i - 1]
  reply[#reply + 1] = found[2 * i]
  reply[#reply + 1] = all[i]
end
return reply
