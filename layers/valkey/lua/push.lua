-- Insert a post into those of the timelines that exist.
-- ARGV: post id, ids of the users, concatenated, length after a cut, length from which a timeline is cut
local id, users, max_entries, cut_above = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

-- The post was pushed to the front but is not the newest one: move it to its position.
local function move_to_position(timeline, second)
  redis.call('LPOP', timeline)
  if second == id then
    return
  end
  local place = place_of(timeline, id)
  local next_entry = redis.call('LINDEX', timeline, place)
  if redis.call('LINDEX', timeline, place - 1) == id then
    return
  end
  if is_sentinel(next_entry) and kind_of(next_entry) == CUT and older(id, string.sub(next_entry, 17)) then
    return
  end
  redis.call('LINSERT', timeline, 'BEFORE', next_entry, id)
end

local function cut(timeline)
  local sentinel = redis.call('LINDEX', timeline, -1)
  if kind_of(sentinel) ~= BUILDING then
    redis.call('LTRIM', timeline, 0, max_entries - 1)
    redis.call('RPUSH', timeline, sentinel_of(CUT, token_of(sentinel), redis.call('LINDEX', timeline, -1)))
  end
end

for i = 1, #users, 16 do
  local timeline = 'timeline:' .. string.sub(users, i, i + 15)
  local length = redis.call('LPUSHX', timeline, id)
  if length > 0 then
    local second = redis.call('LINDEX', timeline, 1)
    if length == 2 and kind_of(second) == CUT and older(id, string.sub(second, 17)) then
      redis.call('LPOP', timeline)
    elseif not older(second, id) then
      move_to_position(timeline, second)
    elseif length > cut_above then
      cut(timeline)
    end
  end
end
return 1
