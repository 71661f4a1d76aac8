-- Hide or show the copies about an account. ARGV: account, 1 to hide or 0 to show, seconds to live
local mark = 'hidden:' .. ARGV[1]
if ARGV[2] == '1' then
  redis.call('SET', mark, 1, 'EX', ARGV[3])
else
  redis.call('UNLINK', mark)
end
return 1
