#!/bin/sh
# Starts nginx, after ending the workers of an earlier master that was killed: they would keep listening with its
# configuration. supervisord gives each program its own process group, so the group of the old master holds only them.
set -u
pid_file=$1/nginx.pid
[ -s "$pid_file" ] && kill -9 "-$(cat "$pid_file")" 2>/dev/null
exec "$2" -p "$1" -c "$3"
