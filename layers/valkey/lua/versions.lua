-- Functions that store the newest version, in whatever order writes arrive.
-- A fragment has a version (8 bytes), likes, comments (4 each), author (16), the digest of the body (8), and the body,
-- which is JSON. If the body is missing, author and digest are zero.
local function version_of(fragment) return (struct.unpack('>I8', fragment)) end

local function store_fragment(id, fragment, seconds)
  local key = 'post:' .. id
  local stored = redis.call('GET', key)
  if stored and version_of(stored) >= version_of(fragment) then
    if #stored > HEADER or string.sub(stored, 1, 8) == TOMBSTONE then
      return
    end
    fragment = string.sub(stored, 1, 16) .. string.sub(fragment, 17)
  end
  redis.call('SET', key, fragment, 'EX', seconds)
end

local function store_counts(id, counts, seconds)
  local key = 'post:' .. id
  local stored = redis.call('GETRANGE', key, 0, 7)
  if stored == '' then
    redis.call('SET', key, counts .. string.rep('\0', HEADER - 16), 'EX', seconds)
  elseif version_of(stored) < version_of(counts) then
    redis.call('SETRANGE', key, 0, counts)
  end
end

-- A bit is '0' or '1', followed by the version of the post at that time.
local function store_liked(key, id, bit)
  local stored = redis.call('HGET', key, id)
  if not stored or tonumber(string.sub(stored, 2)) <= tonumber(string.sub(bit, 2)) then
    redis.call('HSET', key, id, bit)
  end
end
