-- Read a copy, unless its account is hidden; deadlines.lua precedes. ARGV: key
local copy = redis.call('GET', ARGV[1])
if not copy or end_of('hidden:' .. string.sub(copy, 1, 16), seconds()) then
  return false
end
return string.sub(copy, 17)
