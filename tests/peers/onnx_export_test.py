#!/usr/bin/env python3
"""Exported networks in ONNX Runtime: every operator, the demo's network, and the shared networks where they are at hand.

usage: onnx_export_test.py BIN_FOLDER DEMO_MODEL_FOLDER
Needs Debian's python3-onnx, and npm for onnxruntime-node, which has the library inside; skips without.
"""
import collections
import json
import os
import pathlib
import shutil
import sys
import tempfile
import unittest

try:
    import numpy as np
    import onnx
    import onnx.numpy_helper

    import onnx_peer
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

HERE = pathlib.Path(__file__).resolve().parent
SHARED = pathlib.Path(os.environ.get("HAQ_SHARED", HERE.parents[2] / "shared"))
BIN = DEMO = WORK = None
CIFAR = {"scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def run(program, *arguments):
    return onnx_peer.run(WORK, program, *arguments)


def shape_of(model):
    return [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]


class Outcome:
    """The engine and ONNX Runtime on the same samples."""

    def __init__(self, artifact, images, limit, *options):
        exported, optimized = WORK / "model.onnx", WORK / "optimized.onnx"
        run(BIN / "haq", "artifacts", "export", artifact, "--format", "onnx-qdq", exported, *options)
        self.model = onnx.load(exported)
        onnx.checker.check_model(self.model, full_check=True)
        run(BIN / "engine_logits", artifact, images, limit, WORK / "samples", WORK / "engine")
        shape = ",".join(map(str, shape_of(self.model)))
        run("node", WORK / "onnxruntime_logits.js", exported, WORK / "samples", shape, WORK / "peer", optimized)
        samples = (WORK / "samples").stat().st_size // 4 // int(np.prod(shape_of(self.model)))
        self.engine = np.fromfile(WORK / "engine", np.float32).reshape(samples, -1)
        self.peer = np.fromfile(WORK / "peer", np.float32).reshape(samples, -1)
        self.kinds = collections.Counter(node.op_type for node in onnx.load(optimized).graph.node)

    def agreement(self):
        return float(np.mean(self.engine.argmax(1) == self.peer.argmax(1)))

    def sqnr_db(self):
        return onnx_peer.sqnr_db(self.engine, self.peer)

    def convolutions(self):
        return sum(node.op_type == "Conv" for node in self.model.graph.node)


def many_operators():
    """A network with what the exporter knows, as an ONNX model of its own."""
    random, nodes, constants = np.random.default_rng(1), [], []

    def node(kind, inputs, output, **attributes):
        nodes.append(onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(name, array):
        constants.append(onnx.numpy_helper.from_array(array, name))
        return name

    def conv(x, output, outputs, inputs, side, **attributes):
        weight = random.normal(0, (inputs * side * side) ** -0.5, (outputs, inputs, side, side)).astype(np.float32)
        bias = random.normal(0, 0.1, outputs).astype(np.float32)
        return node("Conv", [x, constant(output + "_w", weight), constant(output + "_b", bias)], output, **attributes)

    x = node("HardSwish", [conv("input", "stem", 16, 3, 3, pads=[1, 1, 1, 1])], "swish")
    gate = node("Sigmoid", [conv(node("GlobalAveragePool", [x], "squeeze"), "excite", 16, 16, 1)], "gate")
    x = node("Mul", [x, gate], "scaled")
    y = node("Relu", [conv(x, "deep", 16, 16, 3, pads=[1, 1, 1, 1])], "relu")
    x = node("Add", [conv(y, "bottleneck", 16, 16, 1), x], "sum")
    pools = [node("MaxPool", [x], "largest", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
             node("AveragePool", [x], "mean", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
             node("AveragePool", [x], "padded", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
                  count_include_pad=1)]
    x = node("Concat", pools, "side_by_side", axis=1)
    x = node("LeakyRelu", [x], "leaky", alpha=0.1)
    x = node("DepthToSpace", [x], "shuffled", blocksize=2)
    x = node("Resize", [x, "", constant("scales", np.array([1, 1, 2, 2], np.float32))], "larger",
             mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    x = node("Flatten", [node("MaxPool", [x], "smaller", kernel_shape=[8, 8], strides=[8, 8])], "flat")
    weight = random.normal(0, 0.1, (10, 192)).astype(np.float32)
    node("Gemm", [x, constant("fc_w", weight)], "logits", transB=1)
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(nodes, "many", [info("input", onnx.TensorProto.FLOAT, ["N", 3, 16, 16])],
                                   [info("logits", onnx.TensorProto.FLOAT, ["N", 10])], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)])
    model.ir_version = 7
    return model


class ExportTest(unittest.TestCase):
    def assert_fused(self, outcome):
        """Every convolution runs on integers: no float one is left in what ONNX Runtime made of the graph."""
        self.assertEqual(outcome.kinds["Conv"] + outcome.kinds["FusedConv"], 0, outcome.kinds)
        self.assertEqual(outcome.kinds["QLinearConv"], outcome.convolutions(), outcome.kinds)

    def test_single_layers(self):
        """Those whose stored numbers alone say what they compute; the builder makes up the scales of the others."""
        seeds = WORK / "seeds"
        seeds.mkdir()
        run(BIN / "artifact_seeds", seeds)
        for name in ("conv", "depthwise", "grouped", "residual", "linear", "table", "concat", "max_pool", "pad", "slice",
                     "transpose", "reshape", "wide_conv", "wide_linear"):
            artifact = WORK / f"{name}.haq"
            shutil.copy(seeds / f"seed_{name}", artifact)
            with self.subTest(name=name):
                self.assertGreater(Outcome(artifact, "random", 20).sqnr_db(), 24)

    def test_a_network_of_many_operators(self):
        model = WORK / "many.onnx"
        onnx.save(many_operators(), model)
        artifact = WORK / "many.haq"
        run(BIN / "haq-worker", "quantize", model, "--synthetic-calibration", 40, "--limit-evaluation", 8, "--threads", 1,
            "--output", artifact)
        outcome = Outcome(artifact, "random", 40)
        self.assertGreater(outcome.sqnr_db(), 24)
        self.assert_fused(outcome)

    def quantize(self, model, shape, preprocess, calibration, evaluation, limit):
        artifact = WORK / "network.haq"
        run(BIN / "haq-worker", "quantize", model, "--input-shape", shape, "--preprocess", preprocess, "--calibration",
            calibration, "--evaluation", evaluation, "--limit-calibration", 100, "--limit-evaluation", 8, "--threads", 1,
            "--output", artifact)
        return Outcome(artifact, evaluation, limit)

    def test_the_demos_network(self):
        data = WORK / "demo"
        run(BIN / "haq-demo-data", data, "--calibration", 100, "--test", 200)
        outcome = self.quantize(DEMO / "demo_net.pt", "3,32,32", DEMO / "preprocess.json", data / "calibration",
                                data / "test", 200)
        self.assertGreaterEqual(outcome.agreement(), 0.98)
        self.assert_fused(outcome)

    def test_an_export_comes_back(self):
        """A network exported and submitted again: its scales are taken as they are."""
        images = SHARED / "data/cifar10"
        if not images.exists():
            self.skipTest(f"no {images}")
        first = self.shared("resnet20_cifar10", 32, CIFAR, "cifar10", 300)
        exported, artifact, report = WORK / "returned.onnx", WORK / "returned.haq", WORK / "returned.json"
        run(BIN / "haq", "artifacts", "export", WORK / "network.haq", "--format", "onnx-qdq", exported, "--sum-parts", 1)
        run(BIN / "haq-worker", "quantize", exported, "--preprocess", WORK / "preprocess.json", "--calibration",
            images / "calibration", "--evaluation", images / "test", "--limit-calibration", 8, "--limit-evaluation", 8,
            "--threads", 1, "--output", artifact, "--report", report)
        layers = json.loads(report.read_text())["layers"]
        given = [layer for layer in layers if layer["reason"] == "given by the model"]
        self.assertGreaterEqual(len(given), len(layers) - 1)  # the output was left as floats
        run(BIN / "engine_logits", artifact, images / "test", 300, WORK / "samples", WORK / "again")
        again = np.fromfile(WORK / "again", np.float32).reshape(first.engine.shape)
        self.assertGreaterEqual(float(np.mean(again.argmax(1) == first.engine.argmax(1))), 0.97)

    def shared(self, name, size, preprocess, folder, limit):
        model = SHARED / "models" / f"{name}.onnx"
        if not model.exists():
            self.skipTest(f"no {model}")
        file = WORK / "preprocess.json"
        file.write_text(json.dumps(preprocess))
        images = SHARED / "data" / folder
        outcome = self.quantize(model, f"3,{size},{size}", file, images / "calibration", images / "test", limit)
        print(f"{name}: agreement {outcome.agreement():.4f}, SQNR {outcome.sqnr_db():.1f} dB, {dict(outcome.kinds)}")
        self.assert_fused(outcome)
        return outcome

    def test_resnet20(self):
        self.assertGreaterEqual(self.shared("resnet20_cifar10", 32, CIFAR, "cifar10", 1000).agreement(), 0.99)

    def test_mobilenet_v2(self):
        preprocess = {"resize": {"shorter_side": 256}, "center_crop": [224, 224], "scale": 1 / 127.5, "mean": [1, 1, 1]}
        outcome = self.shared("mobilenet_v2_imagenet", 224, preprocess, "imagenet-sample", 200)
        self.assertGreaterEqual(outcome.agreement(), 0.95)


if __name__ == "__main__":
    BIN, DEMO = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory(prefix="haq-onnx-") as folder:
        WORK = pathlib.Path(folder)
        if not onnx_peer.install(WORK):
            sys.exit(77)
        sys.exit(not unittest.main(argv=[sys.argv[0], "-v", *sys.argv[3:]], exit=False).result.wasSuccessful())
