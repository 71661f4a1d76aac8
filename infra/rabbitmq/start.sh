#!/bin/sh
# Starts RabbitMQ as soon as its disk has room: with less, it would end at once, or cut the logs of its queues off.
#
# start.sh FOLDER COMMAND ...
set -u
while [ "$(df --output=avail -B1M "$1" | tail -n 1)" -lt 100 ]; do
    sleep 1
done
shift
exec "$@"
