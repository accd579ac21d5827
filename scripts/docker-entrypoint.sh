#!/bin/sh
# The first process of the container: serve (default), emulator, or any other command of render-trio.
# exec: the container's signals must reach the service.
set -eu
if [ "$#" -eq 0 ]; then
  set -- serve
fi
# Kubernetes sets QUEUE_PORT to tcp://… for a Service named queue.
case "${QUEUE_PORT:-}" in
  *://*)
    echo "QUEUE_PORT is ignored: '$QUEUE_PORT' is the address of a Kubernetes Service or a linked container" >&2
    unset QUEUE_PORT
    ;;
esac
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
