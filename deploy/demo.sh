#!/usr/bin/env bash
# The main job on data that the project ships: installs and builds what is missing, starts a server, pushes a
# model and two datasets, calibrates while the accuracies stream by, sends INT8 requests, shows the metrics.
# Everything is stopped and removed at the end; HAQ_DEMO_KEEP=1 keeps the data folder.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

step "Install and build"
./deploy/install.sh
cmake --preset release >/dev/null
cmake --build build/release --target haq haq-server haq-worker haq-demo-data
bin=$PWD/build/release/bin
PATH=$bin:$PATH

work=$(mktemp -d "${TMPDIR:-/tmp}/haq-demo.XXXXXX")
server=
stop() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  [ "${HAQ_DEMO_KEEP:-}" = 1 ] && echo "kept $work" || rm -rf "$work"
}
trap stop EXIT

step "Draw the images: ten classes, 1,000 to calibrate on, 2,000 to test on"
run haq-demo-data "$work/images"

step "Start the server (free ports, data in a temporary folder)"
haq-server --data-dir "$work/data" --http-port 0 --grpc-port 0 --metrics-port 0 2>"$work/server.log" &
server=$!
for _ in $(seq 100); do
  [ -s "$work/data/run/ports.json" ] && break
  kill -0 "$server" 2>/dev/null || { cat "$work/server.log" >&2; exit 1; }
  sleep 0.1
done
port() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/data/run/ports.json" "$1"; }
export HAQ_SERVER=127.0.0.1:$(port grpc)
echo "gRPC on $HAQ_SERVER, metrics on 127.0.0.1:$(port metrics)"

step "Push the model and the datasets"
run haq models push demo deploy/demo/model/demo_net.pt --input-shape 3,32,32 --preprocess deploy/demo/model/preprocess.json \
    --classes deploy/demo/model/classes.txt
run haq datasets push demo-calibration "$work/images/calibration"
run haq datasets push demo-test "$work/images/test"

step "Calibrate, quantize, evaluate"
run haq calibrate demo --calibration demo-calibration --evaluation demo-test --watch

step "INT8 inference"
mapfile -t images < <(find "$work/images/test" -name '*.png' | sort | awk 'NR % 500 == 1')
run haq infer demo "${images[@]}" --top 3

step "What the server measured"
curl -s "http://127.0.0.1:$(port metrics)/metrics" |
  grep -E '^haq_(jobs|calibration_images_total|inference_requests_total|inference_images_total|inference_request_duration_seconds_(sum|count))' || true

step "Done"
