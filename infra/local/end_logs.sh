#!/bin/sh
# Removes each line of the logs in a folder at most so many seconds after it was written, also those of programs that no
# longer run. Half of that time after a file was begun it is renamed to NAME.1, and after the other half removed.
# Hosts then begin a new file by themselves; supervisord, which runs this, opens its files again when it gets SIGUSR2.
#
# end_logs.sh FOLDER SECONDS PAUSE
set -u
folder=$1 half=$(($2 / 2)) pause=$3
begun=W
[ "$(stat -c %W "$folder")" -gt 0 ] || begun=Y # this file system does not store when a file was begun
trap 'kill "$!" && exit' TERM
while :; do
    find "$folder" -maxdepth 1 -name '*.log.*' ! -newermt "$half seconds ago" -delete
    renamed=
    for log in "$folder"/*.log; do
        age=$(($(date +%s) - $(stat -c "%$begun" "$log")))
        if [ "$age" -ge "$half" ]; then
            mv "$log" "$log.1"
            touch "$log.1"
            renamed=yes
        fi
    done
    if [ -n "$renamed" ] && [ "$(cat "/proc/$PPID/comm")" = supervisord ]; then
        kill -USR2 "$PPID"
    fi
    sleep "$pause" &
    wait
done
