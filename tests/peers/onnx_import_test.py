#!/usr/bin/env python3
"""Small networks of the usual families, as ONNX, all the way: import and FP32 execution against ONNX Runtime, INT8 against
FP32, the export in ONNX Runtime against the integer engine, and the export imported again.

usage: onnx_import_test.py BIN_FOLDER
Needs Debian's python3-onnx, and npm for onnxruntime-node, which has the library inside; skips without.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import onnx

    import onnx_peer
    from onnx_peer import Network, sqnr_db
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

BIN = WORK = None
SHAPE = "3,16,16"


def squeeze_net(n):
    x = n.node("Relu", n.conv("input", 8, 3, 3, strides=[2, 2]))
    small = n.node("Relu", n.conv(x, 4, 8, 1))
    x = n.node("Concat", n.node("Relu", n.conv(small, 8, 4, 1)), n.node("Relu", n.conv(small, 8, 4, 3, pads=[1] * 4)), axis=1)
    x = n.node("Relu", n.conv(n.node("Dropout", x, outputs=["dropped", "mask"]), 10, 16, 1))
    n.node("Softmax", n.node("Flatten", n.node("GlobalAveragePool", x)), axis=1)


def shuffle_net(n):
    x = n.node("Relu", n.conv("input", 8, 3, 3, pads=[1] * 4))
    n.node("Split", x, n.integers(4, 4), outputs=["left", "right"], axis=1)
    right = n.conv(n.node("Relu", n.conv("right", 4, 4, 1)), 4, 4, 3, pads=[1] * 4, group=4)
    x = n.node("Concat", "left", right, axis=1)
    x = n.node("Transpose", n.node("Reshape", x, n.integers(0, 2, 4, 16, 16)), perm=[0, 2, 1, 3, 4])
    n.classifier(n.node("Reshape", x, n.integers(-1, 8, 16, 16)), 8)


def dense_net(n):
    x = n.conv("input", 8, 3, 3, pads=[1] * 4)
    for channels in (8, 12, 16):
        y = n.conv(n.node("Relu", n.norm(x, channels)), 4, channels, 3, pads=[1] * 4)
        x = n.node("Concat", x, y, axis=1)
    x = n.conv(n.node("Relu", n.norm(x, 20)), 10, 20, 1)
    n.classifier(n.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), 10)


def efficient_net(n):
    x = n.conv("input", 8, 3, 3, strides=[2, 2], pads=[0, 0, 1, 1])
    x = n.node("Mul", x, n.node("Sigmoid", x))
    gate = n.conv(n.node("GlobalAveragePool", x), 4, 8, 1)
    gate = n.node("Sigmoid", n.conv(n.node("Mul", gate, n.node("Sigmoid", gate)), 8, 4, 1))
    x = n.conv(n.node("Mul", gate, x), 8, 8, 1)
    n.classifier(x, 8)


def mobile_net(n):
    """Hard swish as opset 11 writes it, and as it stands."""
    x = n.conv("input", 8, 3, 3)
    gate = n.node("Clip", n.node("Add", x, n.constant(3.0)), n.constant(0.0), n.constant(6.0))
    x = n.node("Mul", x, n.node("Div", gate, n.constant(6.0)))
    x = n.node("HardSwish", n.conv(x, 8, 8, 3, group=8, pads=[1] * 4))
    x = n.node("Mul", x, n.node("HardSigmoid", n.conv(n.node("GlobalAveragePool", x), 8, 8, 1), alpha=1 / 6, beta=0.5))
    n.classifier(n.conv(x, 8, 8, 1), 8)


def residual_net(n):
    """Groups, residuals, and channels without weights but with a bias."""
    x = n.node("Relu", n.conv("input", 8, 3, 3))
    for _ in range(2):
        y = n.node("Relu", n.conv(x, 8, 8, 3, pads=[1] * 4, group=2))
        weight = n.random.normal(0, 0.2, (8, 8, 1, 1))
        weight[2], weight[5] = 0, weight[5] * 1e-9
        y = n.node("Conv", y, n.constant(weight), n.constant(n.random.normal(0, 0.3, 8)))
        x = n.node("Relu", n.node("Add", y, x))
    n.classifier(x, 8)


def inception(n):
    x = n.node("Relu", n.conv("input", 8, 3, (1, 7), pads=[0, 3, 0, 3]))
    x = n.node("Relu", n.conv(x, 8, 8, (7, 1), pads=[3, 0, 3, 0]))
    pools = [n.node("AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1),
             n.node("AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4),
             n.node("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4)]
    n.classifier(n.node("Relu", n.conv(n.node("Concat", *pools, axis=1), 8, 24, 1)), 8)


def yolo(n):
    parts = []
    for begin in ((0, 0), (1, 0), (0, 1), (1, 1)):
        parts.append(n.node("Slice", "input", n.integers(*begin), n.integers(2 ** 62, 2 ** 62), n.integers(2, 3),
                            n.integers(2, 2)))
    x = n.conv(n.node("Concat", *parts, axis=1), 8, 12, 3, pads=[1] * 4)
    x = n.node("Mul", x, n.node("Sigmoid", x))
    pools = [n.node("MaxPool", x, kernel_shape=[k, k], pads=[k // 2] * 4) for k in (3, 5, 7)]
    n.node("LeakyRelu", n.conv(n.node("Concat", x, *pools, axis=1), 8, 32, 1), alpha=0.1)


def u_net(n):
    fine = n.node("Relu", n.conv("input", 4, 3, 3, pads=[1] * 4))
    coarse = n.node("Relu", n.conv(n.node("MaxPool", fine, kernel_shape=[2, 2], strides=[2, 2]), 8, 4, 3, pads=[1] * 4))
    channels = n.node("Slice", n.node("Shape", coarse), n.integers(0), n.integers(2))
    sides = n.node("Slice", n.node("Shape", fine), n.integers(2), n.integers(4))
    size = n.node("Concat", channels, sides, axis=0)
    larger = n.node("Resize", coarse, "", "", size, mode="nearest", coordinate_transformation_mode="asymmetric",
                    nearest_mode="floor")
    n.conv(n.node("Concat", fine, larger, axis=1), 2, 12, 3, pads=[1] * 4)


def slopes(n):
    x = n.node("PRelu", n.conv("input", 8, 3, 3), n.constant(n.random.uniform(-0.1, 0.4, (8, 1, 1))))
    x = n.node("PRelu", n.conv(x, 8, 8, 3), n.constant([0.25]))
    x = n.node("Tanh", n.conv(x, 8, 8, 1))
    n.classifier(n.node("Max", x, n.constant(-0.5)), 8)


def tensor_flow(n):
    """Padding nodes and auto_pad, layouts there and back, means that drop dimensions."""
    x = n.conv(n.node("Pad", "input", n.integers(0, 0, 0, 0, 0, 0, 1, 1)), 8, 3, 3, strides=[2, 2])
    x = n.node("Add", n.node("Transpose", x, perm=[0, 2, 3, 1]), n.constant(n.random.normal(0, 0.3, 8)))
    x = n.node("Transpose", n.node("Clip", x, "", n.constant(6.0)), perm=[0, 3, 1, 2])
    x = n.node("Relu", n.conv(x, 8, 8, 3, strides=[2, 2], auto_pad="SAME_LOWER"))
    x = n.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    x = n.node("MatMul", n.node("ReduceMean", x, axes=[2, 3], keepdims=0), n.constant(n.random.normal(0, 0.4, (8, 10))))
    n.node("Add", x, n.constant(n.random.normal(0, 0.1, 10)))


def ends_with_relu(n):
    """The network's output has 16 bits, and its ReLU is no more than where they begin."""
    weight = n.node("Constant", outputs=["weight"],
                    value=onnx.numpy_helper.from_array(n.random.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float16)))
    x = n.node("Conv", "input", n.node("Cast", weight, to=onnx.TensorProto.FLOAT))
    n.node("Relu", n.node("Identity", x))


def old(n):
    x = n.node("Relu", n.norm(n.conv("input", 8, 3, 3), 8))
    x = n.node("Upsample", n.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), scales=[1.0, 1.0, 2.0, 3.0])
    x = n.node("Pad", n.node("Clip", x, min=-1.0, max=0.9), pads=[0, 0, 1, 0, 0, 0, 0, 1])
    n.classifier(n.node("Dropout", n.node("Slice", x, axes=[2], starts=[1], ends=[-1]), outputs=["d", "mask"]), 8)


FAMILIES = {squeeze_net: 11, shuffle_net: 13, dense_net: 10, efficient_net: 14, mobile_net: 14, residual_net: 15, inception: 13,
            yolo: 12, u_net: 13, slopes: 16, tensor_flow: 13, ends_with_relu: 17, old: 7}


class ImportTest(unittest.TestCase):
    def outputs(self, name, program, *arguments):
        file = WORK / name
        onnx_peer.run(WORK, program, *arguments, file)
        return np.fromfile(file, np.float32)

    def runtime(self, model, samples, name):
        return self.outputs(name, "node", "onnxruntime_logits.js", model, samples, SHAPE)

    def check(self, model):
        """Every output on samples that fill the range of the artifact's input."""
        artifact, exported, report = WORK / "network.haq", WORK / "exported.onnx", WORK / "report.json"
        onnx_peer.run(WORK, BIN / "haq-worker", "quantize", model, "--input-shape", SHAPE, "--synthetic-calibration", 24,
                      "--limit-evaluation", 8, "--threads", 1, "--output", artifact, "--report", report)
        onnx_peer.run(WORK, BIN / "haq", "artifacts", "export", artifact, "--format", "onnx-qdq", exported)
        onnx.checker.check_model(onnx.load(exported), full_check=True)
        samples = WORK / "samples"
        engine = self.outputs("engine", BIN / "engine_logits", artifact, "random", 10, samples)
        network = self.outputs("network", BIN / "float_outputs", model, SHAPE, samples)
        expected = self.runtime(model, samples, "expected")
        self.assertLess(np.abs(network - expected).max(), 1e-4 * np.abs(expected).max())
        self.assertGreater(json.loads(report.read_text())["sqnr_db"], 20)
        self.assertGreater(sqnr_db(engine, self.runtime(exported, samples, "peer")), 30)
        again = self.outputs("again", BIN / "float_outputs", exported, SHAPE, samples)
        self.assertGreater(sqnr_db(engine, again), 20)

    def test_families(self):
        for seed, (family, opset) in enumerate(FAMILIES.items()):
            with self.subTest(family=family.__name__):
                network = Network(seed, opset)
                family(network)
                file = WORK / f"{family.__name__}.onnx"
                onnx.save(network.model(initializers_are_inputs=opset < 9), file)
                self.check(file)

    def refusal(self, build):
        network = Network(1)
        build(network)
        file = WORK / "refused.onnx"
        onnx.save(network.model(), file)
        outcome = subprocess.run([str(BIN / "haq-worker"), "quantize", str(file), "--input-shape", SHAPE,
                                  "--synthetic-calibration", "4", "--output", str(WORK / "refused.haq")],
                                 capture_output=True, text=True, env=onnx_peer.CALM)
        self.assertEqual(outcome.returncode, 10, outcome.stderr)
        return outcome.stderr

    def test_refusals_name_operators_and_nodes(self):
        def transposed(n):
            n.node("ConvTranspose", n.conv("input", 4, 3, 3), n.constant(np.ones((4, 2, 2, 2))), strides=[2, 2])

        def gelu(n):
            x = n.conv("input", 4, 3, 3)
            n.node("Mul", x, n.node("Erf", x))

        def reflected(n):
            n.node("Pad", "input", n.integers(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect")

        def on_levels(n):
            levels = n.node("QuantizeLinear", "input", n.constant(0.1), n.constant(3, np.uint8))
            n.node("Add", levels, levels)

        self.assertIn("ConvTranspose", self.refusal(transposed))
        self.assertIn("Erf at node1", self.refusal(gelu))
        self.assertIn("reflect", self.refusal(reflected))
        self.assertIn("levels", self.refusal(on_levels))


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="haq-onnx-") as folder:
        WORK = pathlib.Path(folder)
        if not onnx_peer.install(WORK):
            sys.exit(77)
        sys.exit(not unittest.main(argv=[sys.argv[0], "-v", *sys.argv[2:]], exit=False).result.wasSuccessful())
