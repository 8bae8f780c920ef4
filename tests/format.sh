#!/usr/bin/env bash
# Checks the format of every C++ file; --fix mends it.
set -eu
cd "$(dirname "$0")/.."
mode=(--dry-run --Werror)
[ "${1:-}" = --fix ] && mode=(-i)
git ls-files -co --exclude-standard '*.h' '*.cc' | xargs -r clang-format "${mode[@]}"
