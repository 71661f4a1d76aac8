#!/bin/bash
# services.sh start|stop|clean: the reference server and what it needs, on loopback. README.md says how to build it.
# start prints "name pid" of each process; clean stops and deletes the data.
# REFERENCE_DIR   holds instagram/backend, built; gets data, logs and pid files in run/; user postgres must reach it
# CASSANDRA_JARS  Cassandra's jars               CASSANDRA_SYNC  periodic (10 s may be lost, as it ships) or group
# MINIO_BIN       MinIO's server                 RATE_LIMIT_MULT factor on the rate limits
# BENCH_PYTHON    Python with boto3 and cassandra-driver
set -u
: "${REFERENCE_DIR:?}" "${CASSANDRA_JARS:?}" "${MINIO_BIN:?}" "${BENCH_PYTHON:?}"
PG_BIN=${PG_BIN:-$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)}
RABBIT_BIN=${RABBIT_BIN:-/usr/lib/rabbitmq/bin/rabbitmq-server}
API=4301 PG=5433 REDIS=6390 AMQP=5683 DIST=25683 EPMD=25369 MINIO=9000 CQL=9042 CQL_NODES=27700
export NODE_ENV=production PORT=$API SESSION_SECRET=bench
export POSTGRES_HOST=127.0.0.1 POSTGRES_PORT=$PG POSTGRES_DB=instagram POSTGRES_USER=instagram
export POSTGRES_PASSWORD=instagram123 REDIS_HOST=127.0.0.1 REDIS_PORT=$REDIS
export RABBITMQ_URL=amqp://instagram:instagram123@127.0.0.1:$AMQP CASSANDRA_HOSTS=127.0.0.1
export MINIO_ENDPOINT=127.0.0.1 MINIO_PORT=$MINIO MINIO_ACCESS_KEY=minioadmin MINIO_SECRET_KEY=minioadmin123
export RATE_LIMIT_MULT=${RATE_LIMIT_MULT:-1}
HERE=$(cd "$(dirname "$0")" && pwd)
cd "$REFERENCE_DIR" && mkdir -p run log pg redis rabbit minio cassandra || exit 1

is_alive() { [ -f "run/$1.pid" ] && kill -0 "$(cat "run/$1.pid")" 2>/dev/null; }
is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
wait_for() { for _ in $(seq 1 120); do is_open "$1" && return 0; sleep 0.5; done; echo "port $1 is closed" >&2; exit 1; }
as_postgres() { su postgres -c "$PG_BIN/$*"; }
sql() { psql -q -h 127.0.0.1 -p $PG "$@"; }
spawn() {
  local name=$1
  shift
  is_alive "$name" && return
  setsid "$@" >"log/$name.log" 2>&1 </dev/null &
  echo $! >"run/$name.pid"
}

start_postgres() {
  if [ ! -f pg/PG_VERSION ]; then
    chown postgres pg && chmod 700 pg
    as_postgres initdb -D "$PWD/pg" -A trust -E UTF8 --locale=C.UTF-8 >log/initdb.log 2>&1
  fi
  touch log/pg.log && chown postgres log/pg.log
  as_postgres pg_ctl -D "$PWD/pg" status >/dev/null 2>&1 || as_postgres pg_ctl -D "$PWD/pg" -w -l "$PWD/log/pg.log" \
    -o "'-p $PG -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp'" start >/dev/null
  wait_for $PG
  sql -U instagram -d instagram -tAc 'select 1 from users limit 1' >/dev/null 2>&1 && return
  sql -U postgres -c "create role instagram superuser login password 'instagram123'" \
    -c 'create database instagram owner instagram'
  sql -U instagram -d instagram -f instagram/backend/src/db/init.sql >log/schema.log 2>&1
}

start_rabbitmq() {
  cat >rabbit/rabbitmq.conf <<CONF
listeners.tcp.1 = 127.0.0.1:$AMQP
default_user = instagram
default_pass = instagram123
loopback_users = none
CONF
  echo '[].' >rabbit/enabled_plugins
  spawn epmd epmd -address 127.0.0.1 -port $EPMD
  wait_for $EPMD
  spawn rabbitmq env HOME="$PWD/rabbit" RUNNING_UNDER_SYSTEMD=true ERL_EPMD_PORT=$EPMD ERL_EPMD_ADDRESS=127.0.0.1 \
    RABBITMQ_NODENAME=reference@localhost RABBITMQ_DIST_PORT=$DIST RABBITMQ_LOGS=- RABBITMQ_LOG_BASE="$PWD/log" \
    RABBITMQ_MNESIA_BASE="$PWD/rabbit/mnesia" RABBITMQ_CONFIG_FILE="$PWD/rabbit/rabbitmq.conf" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$PWD/rabbit/enabled_plugins" RABBITMQ_CONF_ENV_FILE="$PWD/rabbit/none" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' "$RABBIT_BIN"
}

start_cassandra() {
  local sync='commitlog_sync: periodic
commitlog_sync_period: 10s'
  [ "${CASSANDRA_SYNC:-periodic}" = group ] && sync='commitlog_sync: group
commitlog_sync_group_window: 5ms'
  cat >cassandra/cassandra.yaml <<YAML
cluster_name: reference
num_tokens: 1
auto_bootstrap: false
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider:
  - {class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: "127.0.0.1:$CQL_NODES"}]}
listen_address: 127.0.0.1
storage_port: $CQL_NODES
rpc_address: 127.0.0.1
start_native_transport: true
native_transport_port: $CQL
data_file_directories: [$PWD/cassandra/data]
commitlog_directory: $PWD/cassandra/commitlog
saved_caches_directory: $PWD/cassandra/saved_caches
hints_directory: $PWD/cassandra/hints
cdc_raw_directory: $PWD/cassandra/cdc_raw
$sync
hinted_handoff_enabled: false
auto_snapshot: false
YAML
  local options=() name
  for name in java.io java.lang java.lang.module java.lang.reflect java.math java.net java.nio java.util \
    java.util.concurrent java.util.concurrent.atomic jdk.internal.loader jdk.internal.math jdk.internal.module \
    jdk.internal.ref jdk.internal.reflect sun.nio.ch; do
    options+=("--add-opens=java.base/$name=ALL-UNNAMED")
  done
  for name in java.base/java.lang.ref java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/sun.nio.ch \
    java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server \
    java.sql/java.sql jdk.unsupported/sun.misc; do
    options+=("--add-exports=$name=ALL-UNNAMED")
  done
  spawn cassandra java -Xms128m -Xmx512m "${options[@]}" -Djdk.attach.allowAttachSelf=true \
    -Dio.netty.tryReflectionSetAccessible=true -Dcassandra-foreground=yes -Dcassandra.ring_delay_ms=0 \
    -Dcassandra.skip_wait_for_gossip_to_settle=0 "-javaagent:$(ls "$CASSANDRA_JARS"/jamm-*.jar)" \
    "-Dcassandra.config=file://$PWD/cassandra/cassandra.yaml" "-Dcassandra.storagedir=$PWD/cassandra" \
    -cp "$CASSANDRA_JARS/*" org.apache.cassandra.service.CassandraDaemon
}

start() {
  start_postgres
  spawn redis redis-server --port $REDIS --bind 127.0.0.1 --dir "$PWD/redis" --appendonly yes
  MINIO_ROOT_USER=minioadmin MINIO_ROOT_PASSWORD=minioadmin123 spawn minio "$MINIO_BIN" server "$PWD/minio" \
    --address 127.0.0.1:$MINIO --console-address 127.0.0.1:$((MINIO + 1))
  start_rabbitmq
  start_cassandra
  for port in $REDIS $MINIO $AMQP $CQL; do wait_for "$port"; done
  (cd "$HERE/../../.." && "$BENCH_PYTHON" -m tests.bench.original.prepare cassandra \
    "$REFERENCE_DIR/instagram/backend/db/cassandra-init.cql") || exit 1
  spawn api env -C instagram/backend node dist/src/index.js
  wait_for $API
  spawn worker env -C instagram/backend node dist/src/workers/image-worker.js
  (cd "$HERE/../../.." && "$BENCH_PYTHON" -m tests.bench.original.prepare bucket "http://127.0.0.1:$MINIO") || exit 1
  head -n 1 pg/postmaster.pid >run/postgres.pid
  for file in run/*.pid; do echo "$(basename "$file" .pid) $(cat "$file")"; done
}

stop() {
  local name pid
  for name in worker api cassandra rabbitmq epmd minio redis; do
    if is_alive "$name"; then
      pid=$(cat "run/$name.pid")
      kill -TERM "$pid"
      for _ in $(seq 1 80); do kill -0 "$pid" 2>/dev/null || break; sleep 0.25; done
      kill -KILL "$pid" 2>/dev/null
    fi
    rm -f "run/$name.pid"
  done
  as_postgres pg_ctl -D "$PWD/pg" -m fast stop >/dev/null 2>&1
  rm -f run/postgres.pid
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  clean) stop; rm -rf run pg redis rabbit minio cassandra log ;;
  *) echo "services.sh start|stop|clean" >&2; exit 2 ;;
esac
