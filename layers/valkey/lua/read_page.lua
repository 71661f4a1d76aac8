-- Read one page of a home feed; order.lua and deadlines.lua precede.
-- ARGV: viewer, id before which the page starts or '', number of posts, token for a build, seconds that its mark lives
-- Returns 'page', token, and for each post its id, its header (40 bytes, zero if unknown) and '1', '0' or '-' (unknown)
--         for liked and for saved, all concatenated. The first post of the next page is returned too.
--         'absent': there is no timeline, and this call has marked it as being built with the given token.
--         'busy': another reader is building the timeline.
--         'beyond': the page reaches beyond the end of the timeline.
local viewer, before, size = ARGV[1], ARGV[2], ARGV[3] + 1
local timeline, following, now = 'timeline:' .. viewer, 'following:' .. viewer, seconds()

local sentinel = redis.call('LINDEX', timeline, -1)
if sentinel and kind_of(sentinel) == BUILDING then
  return {'busy'}
end
if not sentinel or redis.call('EXISTS', following) == 0 then
  redis.call('UNLINK', timeline)
  redis.call('RPUSH', timeline, sentinel_of(BUILDING, ARGV[4]))
  redis.call('EXPIRE', timeline, ARGV[5])
  return {'absent'}
end

-- Recent posts of followed authors with many followers, which are not pushed to timelines. Those behind the end of a cut
-- timeline are left to the page that is read from PostgreSQL, as there are posts of others between them.
local popular = {}
local cut_at = kind_of(sentinel) == CUT and string.sub(sentinel, 17)
if end_of('stars', now) then
  local seen = {}
  for _, author in ipairs(redis.call('SINTER', following, 'stars')) do
    local posts = 'author:' .. author
    for _, id in ipairs(end_of(posts, now) and redis.call('LRANGE', posts, 0, -1) or {}) do
      if not seen[id] and (before == '' or older(id, before)) and not (cut_at and older(id, cut_at)) then
        seen[id] = true
        popular[#popular + 1] = id
      end
    end
  end
  table.sort(popular, function(one, other) return older(other, one) end)
end

local place = before == '' and 0 or place_of(timeline, before)
local chunk, at, popular_at = {}, 1, 1
local function next_entry()
  if at > #chunk then
    chunk, at = redis.call('LRANGE', timeline, place, place + size - 1), 1
    place = place + #chunk
  end
  local entry, popular_entry = chunk[at], popular[popular_at]
  if popular_entry and (entry == popular_entry or older(entry, popular_entry)) then
    popular_at = popular_at + 1
    if entry == popular_entry then at = at + 1 end
    return popular_entry
  end
  if not is_sentinel(entry) then at = at + 1 end
  return entry
end

local NO_HEADER, NO_BODY = string.rep('\0', HEADER), string.rep('\0', 8)
local banned = end_of('banned', now)
local ids, headers, dropped, ended = {}, {}, {}, false
while #ids < size and not ended do
  local candidates, found, authors = {}, {}, {}
  while #ids + #candidates < size do
    local entry = next_entry()
    if is_sentinel(entry) then
      ended = true
      break
    end
    local n, header = #candidates + 1, redis.call('GETRANGE', 'post:' .. entry, 0, HEADER - 1)
    candidates[n], found[n] = entry, header
    authors[n] = header ~= '' and string.sub(header, 17, 32) or viewer
  end
  if #candidates > 0 then
    local shown = redis.call('SMISMEMBER', following, unpack(authors))
    local hidden = banned and redis.call('SMISMEMBER', 'banned', unpack(authors))
    for i, header in ipairs(found) do
      local is_whole = header ~= '' and string.sub(header, 33) ~= NO_BODY
      if string.sub(header, 1, 8) == TOMBSTONE then
        dropped[#dropped + 1] = candidates[i]
      elseif is_whole and (shown[i] == 0 or (hidden and hidden[i] == 1)) then
        dropped[#dropped + 1] = candidates[i]
      else
        ids[#ids + 1] = candidates[i]
        headers[#ids] = is_whole and header or NO_HEADER
      end
    end
  end
end
for _, id in ipairs(dropped) do
  redis.call('LREM', timeline, 1, id)
end
if ended and kind_of(sentinel) == CUT then
  return {'beyond'}
end

local function mark(bit) return bit and string.sub(bit, 1, 1) or '-' end

local records = {}
if #ids > 0 then
  local liked = redis.call('HMGET', 'liked:' .. viewer, unpack(ids))
  local saved = redis.call('HMGET', 'saved:' .. viewer, unpack(ids))
  for i, id in ipairs(ids) do
    records[i] = id .. headers[i] .. mark(liked[i]) .. mark(saved[i])
  end
end
return {'page', token_of(sentinel), table.concat(records)}
