-- Store the counts of posts. ARGV: seconds to live; then per post: id, version and counts
for i = 2, #ARGV, 2 do
  store_counts(ARGV[i], ARGV[i + 1], ARGV[1])
end
return 1
