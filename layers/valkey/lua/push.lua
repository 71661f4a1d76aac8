-- Put a post into the timelines that exist. ARGV: post id, ids of their owners in one, entries kept, entries that may
-- gather before a cut
local id, people, keeps, gathers = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

-- It was pushed to the front, but is not the newest.
local function sort_in(timeline, second)
  redis.call('LPOP', timeline)
  if second == id then
    return
  end
  local place = place_of(timeline, id)
  local following = redis.call('LINDEX', timeline, place)
  if redis.call('LINDEX', timeline, place - 1) == id then
    return
  end
  if is_sentinel(following) and kind_of(following) == CUT and older(id, string.sub(following, 17)) then
    return
  end
  redis.call('LINSERT', timeline, 'BEFORE', following, id)
end

local function cut(timeline)
  local sentinel = redis.call('LINDEX', timeline, -1)
  if kind_of(sentinel) ~= BUILDING then
    redis.call('LTRIM', timeline, 0, keeps - 1)
    redis.call('RPUSH', timeline, sentinel_of(CUT, token_of(sentinel), redis.call('LINDEX', timeline, -1)))
  end
end

for i = 1, #people, 16 do
  local timeline = 'timeline:' .. string.sub(people, i, i + 15)
  local length = redis.call('LPUSHX', timeline, id)
  if length > 0 then
    local second = redis.call('LINDEX', timeline, 1)
    if length == 2 and kind_of(second) == CUT and older(id, string.sub(second, 17)) then
      redis.call('LPOP', timeline)
    elseif not older(second, id) then
      sort_in(timeline, second)
    elseif length > gathers then
      cut(timeline)
    end
  end
end
return 1
