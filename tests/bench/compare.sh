#!/bin/bash
# Times this engine and ONNX Runtime's INT8 in turn on the same networks, pair by pair, and prints the ratios of the
# medians and of the minima (ONNX Runtime's time divided by ours).
#
# usage: compare.sh PEERS [HAQ_BIN] [NETWORK ...]
#   PEERS    what ../shared/peers/make_peer_models.py made, and where `npm install onnxruntime-node` was run (or its
#            parent folder): Debian packages python3-onnx and python3-torchvision, and Node.js with npm
#   HAQ_BIN  folder of haq-bench and haq-worker; default build/release/bin
# Both sides run on one image again and again. PAIRS (default 5), SECONDS_EACH (default 2) and THREADS (default "1 2") can be set in the environment.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -ge 1 ] || { sed -n '2,9p' "$0"; exit 2; }
peers=$(cd "$1" && pwd)
bin=${2:-$root/build/release/bin}
shift $(($# < 2 ? $# : 2))
networks=("$@")
[ ${#networks[@]} -gt 0 ] || networks=(mobilenet_v2 googlenet resnet50 vgg16)
pairs=${PAIRS:-5} seconds=${SECONDS_EACH:-2} threads=${THREADS:-1 2}
shared=${HAQ_SHARED:-$root/../shared}
for folder in "$peers" "$peers/.."; do
  [ -d "$folder/node_modules/onnxruntime-node" ] && modules=$folder/node_modules
done
[ -n "${modules:-}" ] || { echo "compare.sh: no onnxruntime-node beside $peers: npm install onnxruntime-node" >&2; exit 2; }

for network in "${networks[@]}"; do
  [ -e "$peers/$network.haq" ] && continue
  "$bin/haq-worker" quantize "$peers/$network.pt" --input-shape 3,224,224 --method minmax \
    --synthetic-calibration 4 --output "$peers/$network.haq" > /dev/null 2>&1
done

"$bin/haq-bench" peak
printf '%-14s %7s %21s %21s %15s %13s\n' network threads 'ours median/min ms' 'ORT median/min ms' 'ratio of medians' 'of minima'
for network in "${networks[@]}"; do
  for count in $threads; do
    ours=() theirs=()
    for ((pair = 0; pair < pairs; ++pair)); do
      ours+=("$("$bin/haq-bench" run "$peers/$network.haq" --threads "$count" --images 1 --seconds "$seconds" --json |
        python3 -c 'import json, sys; r = json.load(sys.stdin); print(r["median_ms"], r["min_ms"])')")
      theirs+=("$(NODE_PATH=$modules node "$shared/peers/ort_bench.js" "$peers/${network}_int8.onnx" "$count" "$seconds")")
    done
    python3 - "$network" "$count" "$pairs" "${ours[@]}" "${theirs[@]}" <<'PYTHON'
import statistics
import sys

network, threads, pairs = sys.argv[1], sys.argv[2], int(sys.argv[3])
rows = [[float(x) for x in text.split()[:2]] for text in sys.argv[4:]]
ours, theirs = rows[:pairs], rows[pairs:]
ratio = statistics.median(t[0] / o[0] for o, t in zip(ours, theirs))
median = [statistics.median(x[0] for x in side) for side in (ours, theirs)]
least = [min(x[1] for x in side) for side in (ours, theirs)]
print(f"{network:14} {threads:>7} {median[0]:>12.3f} {least[0]:>8.3f} {median[1]:>12.3f} {least[1]:>8.3f} "
      f"{ratio:>16.2f} {least[1] / least[0]:>13.2f}")
PYTHON
  done
done
