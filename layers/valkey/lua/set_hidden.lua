-- Hide or show the copies about an account; deadlines.lua precedes. ARGV: account, 1 to hide or 0 to show, seconds to live
local mark = 'hidden:' .. ARGV[1]
if ARGV[2] == '1' then
  redis.call('SET', mark, 1)
  end_at(mark, seconds() + ARGV[3])
else
  remove(mark)
end
return 1
