#!/bin/sh
# Starts Cassandra, after removing empty segments of the commit log: a full disk leaves them, they hold no message, and
# Cassandra refuses to start with one ("Could not read commit log descriptor").
set -u
find "$1/commitlog" -name 'CommitLog-*.log' -size 0 -delete 2>/dev/null
shift
exec "$@"
