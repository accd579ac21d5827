#!/bin/sh
# Install requirements files in order, each with its hashes. Stop at the first file that fails, and name it.
# usage: scripts/pip-install.sh FILE...
# $PYTHON is the interpreter to install for (default: python3). pip reads its own options from the environment, for
# example PIP_NO_CACHE_DIR=1.
set -u
if [ "$#" -eq 0 ]; then
  echo "usage: scripts/pip-install.sh FILE..." >&2
  exit 2
fi
while [ "$#" -gt 0 ]; do
  file=$1
  shift
  echo "pip-install: installing $file" >&2
  "${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$file"
  code=$?
  if [ "$code" -ne 0 ]; then
    echo "pip-install: $file failed (pip exited with $code)${1:+; not attempted: $*}" >&2
    exit "$code"
  fi
  echo "pip-install: installed $file" >&2
done
