-- A post's counts changed. ARGV: id, version and counts, seconds to live
keep_counts(ARGV[1], ARGV[2], ARGV[3])
return 1
