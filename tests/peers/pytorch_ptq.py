#!/usr/bin/python3
"""What PyTorch's own post-training quantization makes of a model: FX graph mode of Debian's python3-torch, with its
three observers and per-channel or per-tensor weights, on the same images and preprocessing as ours.

Prints one JSON document. Every result is kept under --cache, in a file named by the SHA-256 of all that it depends
on: the model's bytes, the images and labels, the preprocessing, the options, PyTorch's version and these scripts.

  pytorch_ptq.py --model net.pt --input-shape 3,32,32 --preprocess pre.json --calibration DIR --evaluation DIR
"""
import argparse
import copy
import hashlib
import json
import math
import os
import sys
import tempfile
import warnings

SKIPPED = 77  # PyTorch, NumPy or Pillow is not installed

try:
    import numpy as np
    import torch
    from torch.ao.quantization import QConfig, get_default_qconfig_mapping
    from torch.ao.quantization import observer as observers
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    import image_data
    import torchscript_to_fx
except ImportError as missing:
    print(f"pytorch_ptq: {missing}; Debian has python3-torch, python3-numpy and python3-pil", file=sys.stderr)
    sys.exit(SKIPPED)

warnings.filterwarnings("ignore")

OBSERVERS = {"moving_minmax": observers.MovingAverageMinMaxObserver, "minmax": observers.MinMaxObserver,
             "histogram": observers.HistogramObserver}
WEIGHTS = {"per_channel": observers.default_per_channel_weight_observer,
           "per_tensor": observers.default_weight_observer}
EVALUATION_BATCH = 20
# onednn computes with the instructions for int8; qnnpack, the other engine of Debian's build, gives the same
# accuracy several times slower. fbgemm is not in that build.
ENGINE = "onednn"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, metavar="FILE", help="TorchScript file")
    parser.add_argument("--input-shape", required=True, metavar="C,H,W", help="one sample's shape")
    parser.add_argument("--preprocess", metavar="FILE|JSON", default="{}",
                        help="docs/preprocessing.md (default: {})")
    for name in ("calibration", "evaluation"):
        parser.add_argument(f"--{name}", required=True, nargs="+", metavar="PATH",
                            help="a folder with a folder for each class, or tar shards")
        parser.add_argument(f"--limit-{name}", type=int, default=0, metavar="N", help="only the first N images")
    parser.add_argument("--labels", metavar="FILE", help="of a folder: a class's label is the line that names it")
    parser.add_argument("--observers", default=",".join(OBSERVERS), help="default: %(default)s")
    parser.add_argument("--weights", default="per_channel", help="per_channel (default), per_tensor or both")
    parser.add_argument("--batch", type=int, default=0, metavar="N",
                        help="images in a batch of the calibration; default: a twentieth of them, from 10 to 50")
    parser.add_argument("--seed", type=int, default=0, help="of the order of calibration images (default 0)")
    parser.add_argument("--threads", type=int, default=0, help="default: one for each processor")
    parser.add_argument("--cache", metavar="DIR", help="where results are kept; without it nowhere")
    parser.add_argument("--progress", action="store_true", help="lines 'progress WHAT DONE TOTAL' on stderr")
    arguments = parser.parse_args()
    for option, known in (("observers", OBSERVERS), ("weights", WEIGHTS)):
        chosen = getattr(arguments, option).split(",")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            parser.error(f"--{option}: {unknown[0]} is none of {', '.join(known)}")
        setattr(arguments, option, chosen)
    try:
        arguments.input_shape = [int(side) for side in arguments.input_shape.split(",")]
    except ValueError:
        parser.error("--input-shape: must be like 3,224,224")
    return arguments


class Cache:
    """Documents by the digest of what they were made from."""

    def __init__(self, folder, base):
        self.folder = os.path.join(folder, "pytorch") if folder else None
        self.base = base

    def get(self, key, make):
        digest = hashlib.sha256(json.dumps([self.base, key], sort_keys=True).encode()).hexdigest()
        path = self.folder and os.path.join(self.folder, digest + ".json")
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                return json.load(file)
        document = make()
        if path:
            os.makedirs(self.folder, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False, encoding="utf-8") as file:
                json.dump(document, file)
            os.replace(file.name, path)
        return document


def scripts_digest():
    digest = hashlib.sha256()
    folder = os.path.dirname(os.path.abspath(__file__))
    for name in ("pytorch_ptq.py", "torchscript_to_fx.py", "image_data.py"):
        digest.update(image_data.sha256_of(os.path.join(folder, name)).encode())
    return digest.hexdigest()


class Peer:
    def __init__(self, arguments):
        self.arguments = arguments
        text = arguments.preprocess
        if not text.lstrip().startswith("{"):
            with open(arguments.preprocess, encoding="utf-8") as file:
                text = file.read()
        self.preprocess = image_data.Preprocess(text)
        self.calibration = image_data.read_images(arguments.calibration, arguments.labels,
                                                  arguments.limit_calibration)
        self.evaluation = image_data.read_images(arguments.evaluation, arguments.labels, arguments.limit_evaluation)
        self.batch = arguments.batch or min(50, max(10, len(self.calibration) // 20))
        self.cache = Cache(arguments.cache, {
            "model": image_data.sha256_of(arguments.model), "input_shape": arguments.input_shape,
            "preprocess": self.preprocess.canonical, "evaluation": self.evaluation.digest,
            "scripts": scripts_digest(), "torch": torch.__version__, "engine": ENGINE})
        self.model = self.fp32_logits = None

    def result(self):
        runs = [self.cache.get({"weights": weights, "observer": observer, "batch": self.batch,
                                "seed": self.arguments.seed, "calibration": self.calibration.digest},
                               lambda: self.quantize_and_compare(weights, observer))
                for weights in self.arguments.weights for observer in self.arguments.observers]
        fp32 = self.cache.get("fp32", self.fp32_result)
        return {"torch": torch.__version__, "engine": ENGINE, "images": len(self.evaluation),
                "calibration_images": len(self.calibration), "batch": self.batch,
                "labels": [self.evaluation.label(i) for i in range(len(self.evaluation))], "fp32": fp32, "runs": runs}

    def tell(self, what, done, total):
        if self.arguments.progress:
            print(f"progress {what} {done} {total}", file=sys.stderr, flush=True)

    def batches(self, images, order, size, what):
        """Float tensors of `size` images; one batch is in memory at a time."""
        shape = tuple(self.arguments.input_shape)
        for start in range(0, len(order), size):
            self.tell(what, start, len(order))
            part = [self.preprocess(images.image(i)) for i in order[start:start + size]]
            if part[0].shape != shape:
                raise image_data.BadData(f"the preprocessed image is {part[0].shape}, the network takes {shape}")
            yield torch.from_numpy(np.stack(part))
        self.tell(what, len(order), len(order))

    def fp32(self):
        if self.model is None:
            self.model = torchscript_to_fx.convert(self.arguments.model, self.arguments.input_shape)
            self.fp32_logits = self.logits(self.model, "fp32")
        return self.model, self.fp32_logits

    def logits(self, model, what):
        order = range(len(self.evaluation))
        with torch.no_grad():
            return torch.cat([model(batch).flatten(1)
                              for batch in self.batches(self.evaluation, order, EVALUATION_BATCH, what)])

    def fp32_result(self):
        _, logits = self.fp32()
        return {"top1": self.top1(logits), "predictions": logits.argmax(1).tolist()}

    def top1(self, logits):
        labelled = [(int(best), self.evaluation.label(i)) for i, best in enumerate(logits.argmax(1))
                    if self.evaluation.label(i) is not None]
        return sum(best == label for best, label in labelled) / len(labelled) if labelled else None

    def quantize_and_compare(self, weights, observer):
        model, reference = self.fp32()
        name = f"{weights}/{observer}"
        quantized = self.quantize(model, WEIGHTS[weights], OBSERVERS[observer], name)
        logits = self.logits(quantized, f"{name}/evaluate")
        signal = reference.double().square().sum(1)
        noise = (reference.double() - logits.double()).square().sum(1)
        total = float(noise.sum())
        return {"weights": weights, "observer": observer, "top1": self.top1(logits),
                "agreement": float((logits.argmax(1) == reference.argmax(1)).double().mean()),
                "sqnr_db": 10 * math.log10(float(signal.sum()) / total) if total > 0 else None,
                "predictions": logits.argmax(1).tolist(),
                "signal": [float(f"{v:.6g}") for v in signal], "noise": [float(f"{v:.6g}") for v in noise]}

    def quantize(self, model, weight, observer, name):
        qconfig = QConfig(activation=observer.with_args(dtype=torch.quint8), weight=weight)
        mapping = get_default_qconfig_mapping(ENGINE).set_global(qconfig)
        # Of the defaults only what belongs to an operator stays: fixed parameters after a sigmoid, and so on.
        for operator, chosen in list(mapping.object_type_qconfigs.items()):
            if isinstance(chosen.activation(), observers.HistogramObserver):
                mapping.set_object_type(operator, qconfig)
        order = torch.randperm(len(self.calibration),
                               generator=torch.Generator().manual_seed(self.arguments.seed)).tolist()
        example = torch.zeros(1, *self.arguments.input_shape)
        prepared = prepare_fx(copy.deepcopy(model), mapping, (example,))
        with torch.no_grad():
            for batch in self.batches(self.calibration, order, self.batch, f"{name}/calibrate"):
                prepared(batch)
        return convert_fx(prepared)


def main():
    arguments = parse_arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.backends.quantized.engine = ENGINE
    try:
        result = Peer(arguments).result()
    except (image_data.BadData, torchscript_to_fx.Unsupported, OSError) as error:
        print(f"pytorch_ptq: {error}", file=sys.stderr)
        return 1
    json.dump(result, sys.stdout)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
