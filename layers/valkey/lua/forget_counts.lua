-- Un-count all requests. ARGV: keys of limits
for _, key in ipairs(ARGV) do
  remove(key)
end
