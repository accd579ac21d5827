#!/bin/sh
# For the cloud's pre-emption hook: tell the service to end, and wait until it has given its leases back.
# usage: shutdown-script.sh [PID_FILE] [SECONDS]
set -eu
pid_file=${1:-${PID_FILE:-/run/render-trio.pid}}
seconds=${2:-${SHUTDOWN_SECONDS:-25}}
if [ ! -f "$pid_file" ]; then
  echo "$pid_file is not there: nothing runs, or PID_FILE is set otherwise" >&2
  exit 0
fi
pid=$(cat "$pid_file")
kill -TERM "$pid" 2>/dev/null || exit 0
waited=0
while kill -0 "$pid" 2>/dev/null && [ "$waited" -lt "$seconds" ]; do
  sleep 1
  waited=$((waited + 1))
done
if kill -0 "$pid" 2>/dev/null; then
  echo "process $pid did not end within $seconds s" >&2
  exit 1
fi
