-- Read whole fragments. ARGV: ids of posts. Returns per post: the fragment or nil
local keys = {}
for i, id in ipairs(ARGV) do
  keys[i] = 'post:' .. id
end
return redis.call('MGET', unpack(keys))
