#!/bin/sh
# For a cloud provider's pre-emption hook: request shutdown and wait until the service has released its leases.
# usage: shutdown-script.sh [PID_FILE] [SECONDS]
# The service holds a lock on its PID file while it runs. An unlocked file is stale: its process id may since have been
# given to another process.
set -eu
pid_file=${1:-${PID_FILE:-/run/render-trio.pid}}
seconds=${2:-60} # longer than SHUTDOWN_SECONDS, after which the service exits by itself
if [ ! -f "$pid_file" ]; then
  echo "$pid_file does not exist: the service is not running, or its PID_FILE is a different path" >&2
  exit 0
fi
exec 9<"$pid_file"
if flock --nonblock --shared 9; then
  echo "$pid_file is stale: the service is not running" >&2
  exit 0
fi
read -r pid <&9
kill -TERM "$pid"
if ! flock --timeout "$seconds" --shared 9; then
  echo "process $pid did not exit within $seconds s" >&2
  exit 1
fi
