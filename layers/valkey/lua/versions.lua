-- The newest version wins, in whatever order writes arrive.
-- A fragment: version (8 bytes), likes, comments (4 each), author (16), then JSON; without JSON it only holds counts.
local function version_of(fragment) return (struct.unpack('>I8', fragment)) end

local function keep_fragment(id, fragment, lives)
  local key = 'post:' .. id
  local kept = redis.call('GET', key)
  if kept and version_of(kept) >= version_of(fragment) then
    if #kept > HEADER or string.sub(kept, 1, 8) == TOMBSTONE then
      return
    end
    fragment = string.sub(kept, 1, 16) .. string.sub(fragment, 17)
  end
  redis.call('SET', key, fragment, 'EX', lives)
end

local function keep_counts(id, counts, lives)
  local key = 'post:' .. id
  local kept = redis.call('GETRANGE', key, 0, 7)
  if kept == '' then
    redis.call('SET', key, counts .. string.rep('\0', 16), 'EX', lives)
  elseif version_of(kept) < version_of(counts) then
    redis.call('SETRANGE', key, 0, counts)
  end
end

-- A bit is '0' or '1' and the post's version when it was so.
local function keep_liked(key, id, bit)
  local kept = redis.call('HGET', key, id)
  if not kept or tonumber(string.sub(kept, 2)) <= tonumber(string.sub(bit, 2)) then
    redis.call('HSET', key, id, bit)
  end
end
