#!/usr/bin/env bash
# Installs what is missing, builds and runs every test. Nothing is rebuilt that is up to date.
#   ./tests/run.sh          everything: format, release, ASan + UBSan, TSan
#   ./tests/run.sh release  (or asan, tsan) that build's tests alone
set -euo pipefail
cd "$(dirname "$0")/.."

# `asan` and `tsan` leave out what needs LibTorch (its own leaks and races drown ours) and what only starts
# other programs; `tsan` runs the tests in which threads meet.
run_preset() {
  local preset=$1 start=$SECONDS
  shift
  echo "== $preset: build"
  cmake --preset "$preset" >"build/$preset.configure.log" 2>&1 || { cat "build/$preset.configure.log" >&2; exit 1; }
  cmake --build "build/$preset"
  echo "== $preset: tests (built in $((SECONDS - start)) s)"
  ctest --test-dir "build/$preset" --output-on-failure "$@"
  echo "== $preset: $((SECONDS - start)) s"
}

only=${1:-all}
case $only in all | release | asan | tsan) ;; *) sed -n '2,4p' "$0" >&2; exit 2 ;; esac
./deploy/install.sh
mkdir -p build
if [ "$only" = all ]; then ./tests/format.sh; fi
case $only in all | release) run_preset release ;; esac
case $only in all | asan) run_preset asan -LE e2e ;; esac
case $only in all | tsan) run_preset tsan -LE e2e -R '^(base|runtime|serving|jobs|api|rpc|client|http|metrics)' ;; esac
