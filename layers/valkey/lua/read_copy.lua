-- Read a copy, unless its account is hidden. ARGV: key
local copy = redis.call('GET', ARGV[1])
if not copy or redis.call('EXISTS', 'hidden:' .. string.sub(copy, 1, 16)) == 1 then
  return false
end
return string.sub(copy, 17)
