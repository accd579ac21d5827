#!/bin/sh
# For the cloud's pre-emption hook: tell the service to end, and wait until it has given its leases back.
# usage: shutdown-script.sh [PID_FILE] [SECONDS]
# The service locks its PID file for as long as it lives: a file that is not locked was left over, and the id in it
# may be a stranger's by now.
set -eu
pid_file=${1:-${PID_FILE:-/run/render-trio.pid}}
seconds=${2:-60} # the service ends itself after SHUTDOWN_SECONDS; this is for one that doesn't
if [ ! -f "$pid_file" ]; then
  echo "$pid_file is not there: nothing runs, or PID_FILE is set otherwise" >&2
  exit 0
fi
exec 9<"$pid_file"
if flock --nonblock --shared 9; then
  echo "$pid_file was left over: nothing runs" >&2
  exit 0
fi
read -r pid <&9
kill -TERM "$pid"
if ! flock --timeout "$seconds" --shared 9; then
  echo "process $pid did not end within $seconds s" >&2
  exit 1
fi
