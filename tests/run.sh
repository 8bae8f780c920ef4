#!/usr/bin/env bash
# Installs what is missing, builds and runs every test. Nothing is rebuilt that is up to date.
#   ./tests/run.sh           everything: format, all tests in release, the engine's and the client's again
#                            under ASan + UBSan
#   ./tests/run.sh release   all tests in release
#   ./tests/run.sh asan      the engine's and the client's tests under ASan + UBSan
#   ./tests/run.sh asan-all  every test that needs no LibTorch under ASan + UBSan
set -euo pipefail
cd "$(dirname "$0")/.."

# LibTorch stays out of the sanitizer builds: its own leaks drown ours.
asan_tests=(base_test quant_test eval_test ir_test fixedpoint_test artifact_test kernels_test runtime_test data_test
            calib_test import_detect_test import_onnx_test export_onnx_test client_comparison_test client_lib_test
            client_plot_test client_cli_test)

# run_preset PRESET [TEST ..]: builds and runs the preset's tests, all of them or those.
run_preset() {
  local preset=$1 start=$SECONDS
  shift
  echo "== $preset: build"
  cmake --preset "$preset" >"build/$preset.configure.log" 2>&1 || { cat "build/$preset.configure.log" >&2; exit 1; }
  cmake --build "build/$preset" ${1:+--target "$@"}
  echo "== $preset: tests (built in $((SECONDS - start)) s)"
  ctest --test-dir "build/$preset" --output-on-failure ${1:+-R "^($(IFS='|'; echo "$*"))$"}
  echo "== $preset: $((SECONDS - start)) s"
}

only=${1:-all}
case $only in all | release | asan | asan-all) ;; *) sed -n '2,7p' "$0" >&2; exit 2 ;; esac
./deploy/install.sh
mkdir -p build
if [ "$only" = all ]; then ./tests/format.sh; fi
case $only in all | asan) run_preset asan "${asan_tests[@]}" ;; asan-all) run_preset asan ;; esac
case $only in all | release) run_preset release ;; esac
