#!/bin/sh
# nginx, after ending the workers of a master that was killed: they would go on listening, with what it knew.
# A supervised program leads a process group of its own, so the old master's id names just them.
set -u
pid_file=$1/nginx.pid
[ -s "$pid_file" ] && kill -9 "-$(cat "$pid_file")" 2>/dev/null
exec "$2" -p "$1" -c "$3"
