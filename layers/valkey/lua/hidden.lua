-- An account of which no copy is shown. ARGV: its id, 1 hidden or 0 not any more, seconds to live
local mark = 'hidden:' .. ARGV[1]
if ARGV[2] == '1' then
  redis.call('SET', mark, 1, 'EX', ARGV[3])
else
  redis.call('UNLINK', mark)
end
return 1
