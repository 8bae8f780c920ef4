#!/usr/bin/env bash
# Installs what is missing, builds and runs every test. Nothing is rebuilt that is up to date.
set -eu
cd "$(dirname "$0")/.."
./deploy/install.sh
cmake --preset release >/dev/null
cmake --build build/release
ctest --test-dir build/release --output-on-failure
