-- Whether a connection is registered; deadlines.lua precedes. ARGV: connection
return end_of('connection:' .. ARGV[1], seconds()) and 1 or 0
