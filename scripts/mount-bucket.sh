#!/bin/sh
# Mount a bucket at a folder with gcsfuse, where that is installed; a folder that is mounted already is left as it is.
# usage: mount-bucket.sh BUCKET FOLDER
set -eu
bucket=$1
folder=$2
mkdir -p "$folder"
if grep -q " $folder " /proc/mounts; then
  exit 0
fi
if ! command -v gcsfuse >/dev/null; then
  echo "gcsfuse is not installed: mount the bucket $bucket at $folder from outside (a volume)" >&2
  exit 1
fi
exec gcsfuse --implicit-dirs "$bucket" "$folder"
