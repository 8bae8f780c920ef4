"""ONNX models written node by node, and ONNX Runtime to run them: what the tests of ONNX share."""
import os
import pathlib
import shutil
import subprocess

import numpy as np
import onnx
import onnx.numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
CALM = {**os.environ, "OMP_WAIT_POLICY": "passive"}


def install(folder):
    """onnxruntime-node in that folder; False where npm or the network is missing."""
    if not shutil.which("npm") or not shutil.which("node"):
        print("skipped: npm and node are needed for ONNX Runtime")
        return False
    outcome = subprocess.run(["npm", "install", "onnxruntime-node", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                             capture_output=True, text=True, timeout=300)
    if outcome.returncode != 0:
        print(f"skipped: npm install onnxruntime-node: {outcome.stderr.strip().splitlines()[-1:]}")
        return False
    shutil.copy(HERE / "onnxruntime_logits.js", folder)
    return True


def run(folder, program, *arguments):
    outcome = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, cwd=folder, env=CALM)
    if outcome.returncode != 0:
        raise AssertionError(f"{program} {' '.join(map(str, arguments))}: {outcome.stdout}{outcome.stderr}")
    return outcome.stdout


def sqnr_db(signal, other):
    noise = float(np.sum((signal - other) ** 2))
    return 10 * np.log10(float(np.sum(signal ** 2)) / noise) if noise > 0 else np.inf


class Network:
    """An ONNX model with one input "input" of [N, 3, 16, 16]; what the last node makes is its output."""

    def __init__(self, seed, opset=13):
        self.random, self.opset, self.nodes, self.constants, self.last = np.random.default_rng(seed), opset, [], [], "input"

    def constant(self, array, kind=np.float32):
        name = f"constant{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.asarray(array).astype(kind), name))
        return name

    def integers(self, *values):
        return self.constant(values, np.int64)

    def node(self, kind, *inputs, outputs=None, **attributes):
        outputs = outputs or [f"{kind.lower()}{len(self.nodes)}"]
        self.nodes.append(onnx.helper.make_node(kind, list(inputs), outputs, name=f"node{len(self.nodes)}", **attributes))
        self.last = outputs[0]
        return self.last

    def conv(self, x, outputs, inputs, kernel, **attributes):
        rows, columns = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        shape = (outputs, inputs // attributes.get("group", 1), rows, columns)
        weight = self.random.normal(0, 1.4 * np.prod(shape[1:]) ** -0.5, shape)
        return self.node("Conv", x, self.constant(weight), self.constant(self.random.normal(0, 0.1, outputs)), **attributes)

    def norm(self, x, channels):
        parameters = [self.constant(self.random.uniform(0.5, 1.5, channels)) for _ in range(4)]
        return self.node("BatchNormalization", x, *parameters)

    def classifier(self, x, features):
        x = self.node("Flatten", self.node("GlobalAveragePool", x))
        weight = self.constant(self.random.normal(0, features ** -0.5, (10, features)))
        return self.node("Gemm", x, weight, self.constant(self.random.normal(0, 0.1, 10)), transB=1)

    def model(self, initializers_are_inputs=False):
        info, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
        inputs = [info("input", kind, ["N", 3, 16, 16])]
        if initializers_are_inputs:
            inputs += [info(c.name, c.data_type, list(c.dims)) for c in self.constants]
        graph = onnx.helper.make_graph(self.nodes, "network", inputs, [info(self.last, kind, None)], self.constants)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", self.opset)])
        model.ir_version = 3 if initializers_are_inputs else 7
        return model
