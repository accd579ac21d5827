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
case "${EMULATOR_PORT:-}" in
  *://*)
    echo "EMULATOR_PORT is ignored: '$EMULATOR_PORT' is the address of a Kubernetes Service or a linked container" >&2
    unset EMULATOR_PORT
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
    # The URL of the store can contain a password: as an argument, it would be visible to all users.
    if [ -z "${EMULATOR_STORE_FILE:-}" ]; then
      export EMULATOR_STORE="${EMULATOR_STORE:-${STORE:-sqlite:////data/queue.sqlite3}}"
    fi
    set -- emulator --host "${EMULATOR_HOST:-${HOST:-0.0.0.0}}" --port "${EMULATOR_PORT:-${QUEUE_PORT:-5052}}" "$@"
    ;;
esac
exec render-trio "$@"
