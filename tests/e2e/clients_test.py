#!/usr/bin/env python3
"""Clients that none of us wrote: Node's grpc-js. (grpcio is what inference_test.py uses, curl what http_test.py uses.)"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy

import harness
from harness import EVALUATION, ServerTest

from inference import inference_pb2 as oip
from inference import inference_pb2_grpc as oip_grpc

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = ("@grpc/grpc-js", "@grpc/proto-loader")


def install(folder):
    """Why Node's client cannot be had; None when it is in the folder."""
    if not shutil.which("npm") or not shutil.which("node"):
        return "npm and node are needed for Node's gRPC client"
    done = subprocess.run(["npm", "install", *PACKAGES, "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                          capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        return f"npm install: {done.stderr.strip().splitlines()[-1:]}"
    for name in ("node_client.js", "health.proto"):
        shutil.copy(HERE / name, folder)
    return None


class Node(ServerTest):
    @classmethod
    def prepare(cls):
        cls.push_demo()
        cls.must("calibrate", "demo", "--calibration", "calibration", "--evaluation", "test",
                 "--limit-calibration", "50", "--limit-evaluation", "50", "--watch")
        cls.paths = [path for path, _ in harness.images(EVALUATION, 12)]
        done = subprocess.run(["node", "node_client.js", cls.server.address, str(harness.ROOT / "proto"),
                               *map(str, cls.paths)], cwd=FOLDER, capture_output=True, text=True,
                              timeout=harness.DEADLINE_S)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        cls.seen = json.loads(done.stdout)

    def expected(self):
        """What grpcio gets for the same images."""
        request = oip.ModelInferRequest(model_name="demo")
        tensor = request.inputs.add(name="input", datatype="BYTES", shape=[len(self.paths)])
        tensor.contents.bytes_contents.extend(path.read_bytes() for path in self.paths)
        answer = oip_grpc.GRPCInferenceServiceStub(self.server.channel()).ModelInfer(request)
        return numpy.array(answer.outputs[0].contents.fp32_contents, dtype="<f4").reshape(len(self.paths), 10)

    def test_inference(self):
        logits = numpy.array(self.seen["logits"], dtype="<f4").reshape(len(self.paths), 10)
        numpy.testing.assert_array_equal(logits, self.expected())

    def test_stream(self):
        self.assertEqual([answer["id"] for answer in self.seen["stream"]],
                         [f"n{i}" for i in range(len(self.paths))])
        self.assertEqual({answer["error"] for answer in self.seen["stream"]}, {""})
        logits = numpy.array([answer["logits"] for answer in self.seen["stream"]], dtype="<f4")
        numpy.testing.assert_array_equal(logits, self.expected())

    def test_metadata_and_health(self):
        self.assertIs(self.seen["ready"], True)
        self.assertEqual(self.seen["metadata"]["inputs"][0]["shape"], [-1, 3, 32, 32])
        self.assertEqual((self.seen["health"], self.seen["health_of_service"], self.seen["watch"]), ("SERVING",) * 3)
        self.assertEqual(self.seen["health_of_nothing"], "NOT_FOUND")

    def test_errors(self):
        self.assertEqual(self.seen["unknown_model"], "NOT_FOUND")
        self.assertEqual(self.seen["wrong_shape"], "INVALID_ARGUMENT")
        self.assertEqual(self.seen["late"], "DEADLINE_EXCEEDED")
        self.assertLessEqual(set(self.seen["given_up"]), {"CANCELLED", "OK"})
        self.assertIn("CANCELLED", self.seen["given_up"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="haq-node-") as folder:
        FOLDER = folder
        why_not = install(folder)
        if why_not:
            print(f"skipped: {why_not}")
            sys.exit(77)
        unittest.main()
