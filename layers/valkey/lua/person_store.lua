-- Store names and pictures of people, each unless a newer version is stored.
-- ARGV: seconds to live; then per person: id, version in microseconds (8 bytes) and what follows it
for i = 2, #ARGV, 2 do
  local key = 'person:' .. ARGV[i]
  local stored = redis.call('GETRANGE', key, 0, 7)
  if stored == '' or struct.unpack('>I8', stored) <= struct.unpack('>I8', ARGV[i + 1]) then
    redis.call('SET', key, ARGV[i + 1], 'EX', ARGV[1])
  end
end
return 1
