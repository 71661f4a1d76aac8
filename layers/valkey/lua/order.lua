-- Functions for lists of 16-byte post ids, newest first, which end with a sentinel.
--
-- Ids are compared as numbers, because Lua compares strings by the locale.
local unpack_id = struct.unpack

local function older(one, other)
  local a1, a2, a3 = unpack_id('>I6I5I5', one)
  local b1, b2, b3 = unpack_id('>I6I5I5', other)
  if a1 ~= b1 then return a1 < b1 end
  if a2 ~= b2 then return a2 < b2 end
  return a3 < b3
end

-- The sentinel sorts as older than any id: two zero bytes, its kind, the token of the build (13 bytes) and, if the list
-- was cut, the last id of the list.
local BUILDING, COMPLETE, CUT = 'B', 'C', 'T'

local function is_sentinel(entry) return string.sub(entry, 1, 2) == '\0\0' end
local function kind_of(sentinel) return string.sub(sentinel, 3, 3) end
local function token_of(sentinel) return string.sub(sentinel, 4, 16) end
local function sentinel_of(kind, token, cut_at) return '\0\0' .. kind .. token .. (cut_at or '') end

-- The number of entries of the list that are not older than the id.
local function place_of(key, id)
  local low, high = 0, redis.call('LLEN', key)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if older(redis.call('LINDEX', key, middle), id) then high = middle else low = middle + 1 end
  end
  return low
end

local TOMBSTONE = '\255\255\255\255\255\255\255\255'
local HEADER = 40
