#!/usr/bin/python3
"""Times calibration for all six methods at once beside PyTorch's HistogramObserver on the same model and images, in
turn in one run, and prints the ratio of the medians (PyTorch's time divided by ours).

Both sides run the FP32 network and observe; images are decoded and preprocessed before. CPU time of the process.

  histogram_observer.py --model net.pt --input-shape 3,32,32 --preprocess pre.json --images DIR --count 512
"""
import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "peers"))

import pytorch_ptq  # noqa: E402: exits with 77 where PyTorch is missing
import torch  # noqa: E402


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, metavar="FILE", help="TorchScript file")
    parser.add_argument("--input-shape", required=True, metavar="C,H,W")
    parser.add_argument("--preprocess", required=True, metavar="FILE")
    parser.add_argument("--images", required=True, metavar="DIR", help="a folder with a folder for each class")
    parser.add_argument("--count", type=int, default=256, metavar="N", help="only the first N images (default 256)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default 3")
    parser.add_argument("--bench", default=os.path.join(ROOT, "build", "release", "bin", "haq-bench-calibration"),
                        metavar="FILE", help="default: %(default)s")
    return parser.parse_args()


class PyTorch:
    """FX graph mode's observing network, and the images in batches as its users calibrate."""

    def __init__(self, arguments):
        peer = pytorch_ptq.Peer(argparse.Namespace(
            model=arguments.model, input_shape=[int(side) for side in arguments.input_shape.split(",")],
            preprocess=arguments.preprocess, calibration=[arguments.images], evaluation=[arguments.images],
            limit_calibration=arguments.count, limit_evaluation=1, labels=None, batch=0, cache=None,
            progress=False, seed=0))
        self.count = len(peer.calibration)
        self.batches = list(peer.batches(peer.calibration, range(self.count), peer.batch, ""))
        self.model = pytorch_ptq.torchscript_to_fx.convert(arguments.model, peer.arguments.input_shape)
        self.example = self.batches[0][:1]

    def run(self):
        qconfig = pytorch_ptq.QConfig(
            activation=pytorch_ptq.OBSERVERS["histogram"].with_args(dtype=torch.quint8),
            weight=pytorch_ptq.WEIGHTS["per_channel"])
        mapping = pytorch_ptq.get_default_qconfig_mapping(pytorch_ptq.ENGINE).set_global(qconfig)
        prepared = pytorch_ptq.prepare_fx(copy.deepcopy(self.model), mapping, (self.example,))
        start = time.process_time()
        with torch.no_grad():
            for batch in self.batches:
                prepared(batch)
        return (time.process_time() - start) / self.count * 1000


def run_ours(arguments):
    done = subprocess.run(
        [arguments.bench, arguments.model, "--input-shape", arguments.input_shape, "--preprocess",
         arguments.preprocess, "--images", arguments.images, "--count", str(arguments.count), "--threads", "1",
         "--rounds", "1", "--calibration-only", "--json"], check=True, stdout=subprocess.PIPE)
    return next(row for row in json.loads(done.stdout) if row["side"].startswith("calibration"))["cpu_ms_per_image"]


def main():
    arguments = parse_arguments()
    torch.set_num_threads(1)
    torch.backends.quantized.engine = pytorch_ptq.ENGINE
    pytorch = PyTorch(arguments)
    theirs, ours = [], []
    for _ in range(arguments.rounds):
        theirs.append(pytorch.run())
        ours.append(run_ours(arguments))
    print(f"{arguments.model}, {pytorch.count} images, 1 thread, {arguments.rounds} rounds, CPU ms an image, medians: "
          f"PyTorch's HistogramObserver {statistics.median(theirs):.3f}, all six methods "
          f"{statistics.median(ours):.3f}, ratio {statistics.median(theirs) / statistics.median(ours):.2f}")


if __name__ == "__main__":
    main()
