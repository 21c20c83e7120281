#!/bin/bash
# Collect Apache Kafka's jars through Maven and prepare a broker that starts in under a second: a formatted data folder
# to copy, and an archive of loaded classes. Everything lands in target/; nothing happens when it is up to date.
set -euo pipefail
cd "$(dirname "$0")"
out=$PWD/target

for tool in java mvn; do
    command -v "$tool" > /dev/null || {
        echo "Apache Kafka needs a JDK (17 or newer) and Maven; '$tool' is not on the PATH." >&2
        echo "On Debian or Ubuntu: apt-get install default-jdk-headless maven" >&2
        exit 1
    }
done

mkdir -p "$out"
exec 9> "$out/lock"
flock 9

# The archive fits one JVM only, so the JVM's version is part of the stamp; so is the place, which the class path names.
stamp=$({ cat pom.xml server.properties build.sh; java -version 2>&1; echo "$out"; } | sha256sum | cut -d' ' -f1)
if [ "$(cat "$out/stamp" 2> /dev/null)" = "$stamp" ]; then exit 0; fi
rm -rf "$out/stamp" "$out/libs" "$out/template" "$out/warm" "$out/kafka.jsa"

mvn --batch-mode --quiet --no-transfer-progress dependency:copy-dependencies
# Written out and sorted: the archive is used only with the class path it was made with.
class_path=$(printf '%s:' "$out"/libs/*.jar)
class_path=${class_path%:}
printf '%s' "$class_path" > "$out/classpath"

fill() { # data folder, port, controller port
    sed "s#@DATA@#$1#g; s#@PORT@#$2#g; s#@CONTROLLER_PORT@#$3#g" server.properties
}

fill "$out/template" 9092 9093 > "$out/template.properties"
cluster=$(java -cp "$class_path" kafka.tools.StorageTool random-uuid 2> /dev/null | tail -1)
java -cp "$class_path" kafka.tools.StorageTool format -t "$cluster" -c "$out/template.properties" > "$out/format.log" 2>&1 ||
    { cat "$out/format.log" >&2; exit 1; }

# Start one broker and end it: the JVM writes the archive when it exits.
cp -r "$out/template" "$out/warm"
read -r port controller_port < <(python3 -c '
import socket
ends = [socket.socket() for _ in range(2)]
for end in ends:
    end.bind(("127.0.0.1", 0))
print(*(end.getsockname()[1] for end in ends))')
fill "$out/warm" "$port" "$controller_port" > "$out/warm.properties"
java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ArchiveClassesAtExit="$out/kafka.jsa" \
    -cp "$class_path" kafka.Kafka "$out/warm.properties" > "$out/warm.log" 2>&1 9>&- &
broker=$!
trap 'kill -KILL $broker 2> /dev/null || true' EXIT
for ((tries = 0; tries < 600; tries++)); do
    if (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then break; fi
    kill -0 $broker 2> /dev/null || { cat "$out/warm.log" >&2; exit 1; }
    sleep 0.05
done
kill -TERM $broker
code=0
wait $broker || code=$?
trap - EXIT
[ $code = 143 ] || { echo "the broker ended with $code; see $out/warm.log" >&2; exit 1; } # 143: ended by TERM, as asked
rm -rf "$out/warm" "$out/warm.properties"
printf '%s' "$stamp" > "$out/stamp"
