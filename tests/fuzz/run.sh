#!/bin/bash
# Usage: tests/fuzz/run.sh [SECONDS [TARGET...]]
# Builds the fuzz targets in build/fuzz and runs each for SECONDS (default 60) on a corpus that
# starts with generated files and stays in build/fuzz/corpus. Exit status 77: no libFuzzer here.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(artifact onnx http_body)

probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' >"$probe/probe.cc"
if ! clang++ -fsanitize=fuzzer "$probe/probe.cc" -o "$probe/probe" 2>"$probe/log"; then
  echo "skipped: clang++ with libFuzzer is needed ($(tail -n 1 "$probe/log"))"
  exit 77
fi

cmake --preset fuzz >"$probe/log" || { cat "$probe/log"; exit 1; }
for target in "${targets[@]}"; do
  cmake --build build/fuzz -j 2 --target "fuzz_$target" "fuzz_${target}_seeds"
  corpus=build/fuzz/corpus/$target
  mkdir -p "$corpus" build/fuzz/findings
  build/fuzz/bin/"fuzz_${target}_seeds" "$corpus"
  build/fuzz/bin/"fuzz_$target" -max_total_time="$seconds" -max_len=65536 -timeout=20 \
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=build/fuzz/findings/ "$corpus"
done
