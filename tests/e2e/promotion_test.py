#!/usr/bin/env python3
"""Versions: which one is served, and that changing it drops no request."""
import threading
import unittest

import harness
from harness import EVALUATION, ServerTest

from inference import inference_pb2 as oip
from inference import inference_pb2_grpc as oip_grpc


class Promotion(ServerTest):
    @classmethod
    def calibrate(cls, *options):
        return cls.must("calibrate", "demo", "--calibration", "calibration", "--evaluation", "test",
                        "--limit-calibration", "50", "--limit-evaluation", "50", "--watch", "--json",
                        *options).lines()[-1]["job"]

    @classmethod
    def prepare(cls):
        cls.push_demo()
        cls.calibrate()
        cls.calibrate("--method", "minmax")
        cls.stub = oip_grpc.GRPCInferenceServiceStub(cls.server.channel())
        cls.image = harness.images(EVALUATION, 1)[0][0].read_bytes()

    def infer(self):
        """The version that answers."""
        request = oip.ModelInferRequest(model_name="demo")
        request.inputs.add(name="input", datatype="BYTES", shape=[1]).contents.bytes_contents.append(self.image)
        return self.stub.ModelInfer(request, timeout=30).model_version

    def test_changing_the_version_drops_no_request(self):
        failures, versions, stop = [], set(), threading.Event()

        def ask():
            while not stop.is_set():
                try:
                    versions.add(self.infer())
                except Exception as error:  # pylint: disable=broad-except
                    failures.append(error)

        clients = [threading.Thread(target=ask) for _ in range(3)]
        for client in clients:
            client.start()
        try:
            for _ in range(10):
                for version in ("1", "2"):
                    shown = self.must("models", "promote", "demo", version, "--json").json()
                    self.assertEqual(shown["served_version"], f"models/demo/versions/{version}")
                    self.assertEqual(self.infer(), version)
                self.must("models", "rollback", "demo")
                self.assertEqual(self.infer(), "1")
        finally:
            stop.set()
            for client in clients:
                client.join()
        self.assertEqual(failures, [])
        self.assertEqual(versions, {"1", "2"})

    def test_the_gate_decides_what_is_served(self):
        before = self.must("models", "show", "demo", "--json").json()["served_version"]
        job = self.calibrate("--max-drop", "0", "--min-agreement", "100", "--method", "minmax", "--weights", "per_tensor")
        gate = job["report"]["gate"]
        self.assertEqual([check["name"] for check in gate["checks"]], ["max-drop", "min-agreement"])
        self.assertEqual(gate["passed"], all(check["passed"] for check in gate["checks"]))
        served = self.must("models", "show", "demo", "--json").json()["served_version"]
        self.assertEqual(served, job["artifact"] if gate["passed"] else before)

    def test_int8_that_is_slower_than_fp32_is_not_served(self):
        before = self.must("models", "show", "demo", "--json").json()["served_version"]
        job = self.calibrate("--not-slower")
        speed, gate = job["report"]["speed"], job["report"]["gate"]
        self.assertEqual(speed["fp32_by"], "torchscript")
        self.assertGreaterEqual(speed["rounds"], 3)
        self.assertGreater(min(speed["int8_ms"], speed["fp32_ms"]), 0)
        self.assertAlmostEqual(speed["ratio"], speed["int8_ms"] / speed["fp32_ms"])
        passed = speed["int8_ms"] <= speed["fp32_ms"]
        self.assertEqual(gate, {"passed": passed, "checks": [
            {"name": "not-slower", "limit": speed["fp32_ms"], "value": speed["int8_ms"], "passed": passed}]})
        served = self.must("models", "show", "demo", "--json").json()["served_version"]
        self.assertEqual(served, job["artifact"] if passed else before)

    def test_wrong_commands(self):
        outcome = self.server.haq("models", "promote", "demo", "99")
        self.assertEqual(outcome.code, 3, outcome)
        self.assertIn("models/demo/versions/99 does not exist", outcome.err)
        outcome = self.server.haq("calibrate", "demo", "--calibration", "calibration", "--evaluation", "test",
                                  "--max-drop", "101")
        self.assertIn("spec.max_drop", outcome.err)


if __name__ == "__main__":
    unittest.main()
