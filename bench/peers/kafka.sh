#!/usr/bin/env bash
# A real Apache Kafka broker as the reference for Kafka behaviour and as a peer to measure against.
#
#   kafka.sh start [--port 29092] [--dir DIR] [--flush] [--set KEY=VALUE]...   prints "pid PID  127.0.0.1:PORT"
#   kafka.sh stop  [--port 29092] [--dir DIR]
#   kafka.sh run CLASS ARGS...    Kafka's own tools, e.g. org.apache.kafka.tools.TopicCommand, .ProducerPerformance,
#                                 .ConsumerPerformance, .VerifiableProducer, .consumer.ConsoleConsumer,
#                                 .consumer.group.ConsumerGroupCommand, kafka.admin.ConfigCommand
#   kafka.sh classpath [broker|tools|streams|connect]   for programs of your own against Kafka's classes
#   kafka.sh version              of the broker
#
# One KRaft node (broker and controller, ports PORT and PORT+1, loopback only) with Kafka's own defaults, replication factors
# of 1 and a 2 GiB heap. Kafka leaves fsync to the page cache; --flush syncs every append before its ack
# (log.flush.interval.messages=1), which is what to compare a broker that syncs before it acks with.
# Made of the jars on Maven Central, resolved once into ${XDG_CACHE_HOME:-~/.cache}/chronik-peers/kafka-VERSION (100 MB).
# Needs Maven and Java >= 17. KAFKA_VERSION picks another broker. DIR holds data, settings and broker.log, stays after stop, and
# is by default CACHE/run-PORT; delete it for an empty node. The settings are written anew at each start.
set -euo pipefail

VERSION=${KAFKA_VERSION:-4.4.0} # the newest broker on Maven Central on 2026-11-21
TOOLS_VERSION=4.3.1             # the newest tools there; they do not load with another version's classes
LOG4J_BRIDGE=2.25.5             # Kafka's pom leaves out the binding that makes its log visible
CLUSTER_ID=ChronikPeerKafkaAAAAAA
START_TIMEOUT_S=60
STOP_TIMEOUT_S=60

cache=${XDG_CACHE_HOME:-$HOME/.cache}/chronik-peers/kafka-$VERSION
java=${JAVA_HOME:+$JAVA_HOME/bin/}java

usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
fail() { echo "kafka.sh: $*" >&2; exit 1; }

dependency() {
  echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"
}

# Copies artifacts of one version, with all they need, into the cache folder NAME.
resolve() { # NAME VERSION ARTIFACT...
  [[ -d $cache/$1 ]] && return
  local work=$cache/resolve-$1 artifact
  mkdir -p "$work"
  {
    echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    echo '<groupId>chronik.peer</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging><dependencies>'
    for artifact in "${@:3}"; do dependency org.apache.kafka "$artifact" "$2"; done # first, so that their kafka-clients wins
    dependency org.apache.kafka kafka-tools-api "$TOOLS_VERSION"
    dependency org.apache.logging.log4j log4j-slf4j-impl "$LOG4J_BRIDGE"
    echo '</dependencies></project>'
  } >"$work/pom.xml"
  echo "kafka.sh: resolving the $1 of Apache Kafka $2" >&2
  mvn -q -B -ntp -f "$work/pom.xml" -Dmaven.repo.local="$work/maven" dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$work/jars" >"$work/log" 2>&1 || fail "Maven: $(cat "$work/log")"
  mv "$work/jars" "$cache/$1"
  rm -rf "$work"
}

# Kafka Streams, and Kafka Connect with its connectors for files: for the tests that run them, and resolved when they do.
resolve_for() { # NAME
  case $1 in
    broker | tools) resolve_all ;;
    streams) resolve streams "$TOOLS_VERSION" kafka-streams ;;
    connect) resolve connect "$TOOLS_VERSION" connect-runtime connect-file connect-json ;;
    *) usage ;;
  esac
}

resolve_all() {
  resolve broker "$VERSION" kafka_2.13
  resolve tools "$TOOLS_VERSION" kafka_2.13 kafka-tools
  cat >"$cache/log4j2.xml" <<'XML'
<Configuration status="ERROR">
  <Appenders><Console name="err" target="SYSTEM_ERR"><PatternLayout pattern="[%d] %p %m (%c{1})%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="err"/></Root></Loggers>
</Configuration>
XML
}

java_with() { # broker|tools, CLASS ARGS...
  "$java" ${KAFKA_HEAP_OPTS:--Xmx512m} -cp "$cache/$1/*" "-Dlog4j2.configurationFile=$cache/log4j2.xml" "${@:2}"
}

# True while the process in the pid file is our broker: pids are reused.
running() {
  pid=$(cat "$dir/pid" 2>/dev/null) && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$dir/server.properties "
}

# An ApiVersions v0 request gets an answer only once the broker is registered and unfenced.
answers() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf '\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff' >&3
    [[ $(timeout 1 head -c 8 <&3 | wc -c) == 8 ]]
  ) 2>/dev/null
}

write_settings() {
  {
    cat <<PROPERTIES
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:$((port + 1))
log.dirs=$dir/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
PROPERTIES
    printf '%s\n' "${settings[@]}"
  } >"$dir/server.properties"
}

start() {
  if running; then fail "already running as pid $pid in $dir"; fi
  if answers; then fail "port $port is taken"; fi
  resolve_all
  mkdir -p "$dir"
  write_settings
  if [[ ! -e $dir/data/meta.properties ]]; then
    java_with broker kafka.tools.StorageTool format -c "$dir/server.properties" -t "$CLUSTER_ID" --standalone >"$dir/broker.log" 2>&1 ||
      fail "could not format storage: $(tail -3 "$dir/broker.log")"
  fi
  # The JVM options are those of Kafka's own start script, but for the larger heap. Descriptors of the caller are closed: a
  # broker that inherited one would keep the caller's lock (flock) or pipe for as long as it runs.
  (
    for fd in "/proc/$BASHPID/fd/"*; do
      if ((${fd##*/} > 2)); then eval "exec ${fd##*/}>&-"; fi
    done
    exec setsid "$java" -Xms1g -Xmx2g -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
      -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true "-Dlog4j2.configurationFile=$cache/log4j2.xml" \
      -cp "$cache/broker/*" kafka.Kafka "$dir/server.properties"
  ) </dev/null >>"$dir/broker.log" 2>&1 &
  pid=$!
  echo "$pid" >"$dir/pid"
  local deadline=$((SECONDS + START_TIMEOUT_S))
  until answers; do
    kill -0 "$pid" 2>/dev/null || fail "the broker ended while starting: $(tail -3 "$dir/broker.log")"
    ((SECONDS < deadline)) || { kill "$pid"; fail "no answer in $START_TIMEOUT_S s, see $dir/broker.log"; }
    sleep 0.05
  done
  echo "pid $pid  127.0.0.1:$port"
}

stop() {
  running || fail "no broker is running in $dir"
  kill "$pid"
  local deadline=$((SECONDS + STOP_TIMEOUT_S))
  while running; do
    ((SECONDS < deadline)) || fail "pid $pid did not end in $STOP_TIMEOUT_S s"
    sleep 0.1
  done
  rm -f "$dir/pid"
}

port=29092 dir='' settings=()
command=${1:-}
shift || usage
case $command in
  classpath) resolve_for "${1:-broker}"; echo "$cache/${1:-broker}/*"; exit ;;
  version) echo "$VERSION"; exit ;;
  run) [[ $# -gt 0 ]] || usage; resolve_all; java_with tools "$@"; exit ;;
  start | stop) ;;
  *) usage ;;
esac
while [[ $# -gt 0 ]]; do
  case $1 in
    --port) port=${2:?} && shift 2 ;;
    --dir) dir=${2:?} && shift 2 ;;
    --flush) settings+=(log.flush.interval.messages=1) && shift ;;
    --set) settings+=("${2:?}") && shift 2 ;;
    *) usage ;;
  esac
done
dir=$(realpath -m "${dir:-$cache/run-$port}")
$command
