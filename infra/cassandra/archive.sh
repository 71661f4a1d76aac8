#!/bin/sh
# Copies a full segment of the commit log ($1) into a folder ($2) under a name ($3), whole or not at all. If it fails,
# Cassandra keeps the segment.
set -eu
mkdir -p "$2"
cp "$1" "$2/$3.part"
sync "$2/$3.part"
mv "$2/$3.part" "$2/$3"
