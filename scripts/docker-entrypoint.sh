#!/bin/sh
# The container's first process: `serve` (default), `emulator`, or any command of render-trio.
# exec, so that the container's signals reach the service itself.
set -eu
if [ "$#" -eq 0 ]; then
  set -- serve
fi
case "$1" in
  serve)
    if [ -n "${CLOUD_STORAGE_BUCKET_NAME:-}" ] && [ -n "${DOCUMENT_STORE:-}" ]; then
      /app/scripts/mount-bucket.sh "$CLOUD_STORAGE_BUCKET_NAME" "$DOCUMENT_STORE"
    fi
    ;;
  emulator)
    shift
    set -- emulator --host "${HOST:-0.0.0.0}" --port "${QUEUE_PORT:-5052}" --store "${STORE:-sqlite:////data/queue.sqlite3}" "$@"
    ;;
esac
exec render-trio "$@"
