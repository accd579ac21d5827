#!/bin/sh
# Mount a bucket at a folder with gcsfuse, which must be installed. Does nothing if the folder is mounted already.
# usage: mount-bucket.sh BUCKET FOLDER
set -eu
bucket=$1
folder=$2
mkdir -p "$folder"
if grep -q " $folder " /proc/mounts; then
  exit 0
fi
if ! command -v gcsfuse >/dev/null; then
  echo "gcsfuse is not installed: install it in the image, or mount the bucket $bucket at $folder as a volume" >&2
  exit 1
fi
exec gcsfuse --implicit-dirs "$bucket" "$folder"
