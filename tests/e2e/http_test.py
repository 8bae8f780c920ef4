#!/usr/bin/env python3
"""Inference over HTTP by curl, beside the same over gRPC."""
import gzip
import json
import struct
import subprocess
import unittest

import numpy

import harness
from harness import EVALUATION, ServerTest

from inference import inference_pb2 as oip
from inference import inference_pb2_grpc as oip_grpc


class Http(ServerTest):
    @classmethod
    def prepare(cls):
        cls.push_demo()
        cls.must("calibrate", "demo", "--calibration", "calibration", "--evaluation", "test",
                 "--limit-calibration", "50", "--limit-evaluation", "50", "--watch")
        cls.stub = oip_grpc.GRPCInferenceServiceStub(cls.server.channel())
        cls.images = [path.read_bytes() for path, _ in harness.images(EVALUATION, 8)]

    def curl(self, path, *arguments, body=None):
        """Status, headers (names in lower case) and body."""
        headers = self.server.folder / "headers"
        done = subprocess.run(["curl", "-s", "-S", "-D", str(headers), *arguments,
                               *(["--data-binary", "@-"] if body is not None else []),
                               *self.server.curl_arguments, self.server.url(f"v2/{path}")],
                              input=body, capture_output=True, timeout=harness.DEADLINE_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        # A "100 Continue" may come before.
        lines = headers.read_text().strip().split("\n\n")[-1].splitlines()
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        return int(lines[0].split()[1]), fields, done.stdout

    def grpc_answer(self, images):
        request = oip.ModelInferRequest(model_name="demo")
        tensor = request.inputs.add(name="input", datatype="BYTES", shape=[len(images)])
        tensor.contents.bytes_contents.extend(images)
        return numpy.array(self.stub.ModelInfer(request).outputs[0].contents.fp32_contents,
                           dtype="<f4").reshape(len(images), 10)

    def binary_body(self, images, extra=None):
        tail = b"".join(struct.pack("<I", len(image)) + image for image in images)
        head = {"inputs": [{"name": "input", "datatype": "BYTES", "shape": [len(images)],
                            "parameters": {"binary_data_size": len(tail)}}], **(extra or {})}
        text = json.dumps(head).encode()
        return text + tail, ("-H", f"Inference-Header-Content-Length: {len(text)}")

    def test_every_way_gives_the_bits_of_grpc(self):
        expected = self.grpc_answer(self.images)
        body, header = self.binary_body(self.images)
        status, _, answer = self.curl("models/demo/infer", *header, body=body)
        self.assertEqual(status, 200, answer)
        output = json.loads(answer)["outputs"][0]
        self.assertEqual(output["shape"], [8, 10])
        numpy.testing.assert_array_equal(numpy.array(output["data"], dtype="<f4").reshape(8, 10), expected)

        body, header = self.binary_body(self.images, {"parameters": {"binary_data_output": True}})
        status, fields, answer = self.curl("models/demo/infer", *header, body=body)
        length = int(fields["inference-header-content-length"])
        self.assertEqual(json.loads(answer[:length])["outputs"][0]["parameters"], {"binary_data_size": 8 * 10 * 4})
        numpy.testing.assert_array_equal(numpy.frombuffer(answer[length:], dtype="<f4").reshape(8, 10), expected)

        status, fields, answer = self.curl("models/demo/infer", "-H", "Inference-Header-Content-Length: 0",
                                           "-H", "Content-Type: image/jpeg", body=self.images[0])
        self.assertEqual(status, 200, answer)
        length = int(fields["inference-header-content-length"])
        numpy.testing.assert_array_equal(numpy.frombuffer(answer[length:], dtype="<f4"), expected[0])

    def test_gzip_both_ways(self):
        body, header = self.binary_body(self.images * 8)
        status, fields, answer = self.curl("models/demo/infer", *header, "-H", "Content-Encoding: gzip", "--compressed",
                                           body=gzip.compress(body))
        self.assertEqual(status, 200, answer)
        self.assertEqual(fields["content-encoding"], "gzip")
        self.assertEqual(json.loads(answer)["outputs"][0]["shape"], [64, 10])
        status, _, answer = self.curl("models/demo/infer", "-H", "Content-Encoding: gzip",
                                      body=gzip.compress(b" " * (65 << 20)))
        self.assertEqual(status, 413, answer)

    def test_classes_have_names(self):
        body, header = self.binary_body(self.images[:1], {"outputs": [{"name": "output", "parameters":
                                                                      {"classification": 3}}]})
        _, _, answer = self.curl("models/demo/infer", *header, body=body)
        values = self.grpc_answer(self.images[:1])[0]
        best = numpy.argsort(-values, kind="stable")[:3]
        elements = json.loads(answer)["outputs"][0]["data"]
        self.assertEqual([element.split(":")[1] for element in elements], [str(i) for i in best])

    def test_load_over_both_protocols(self):
        image = next(EVALUATION.rglob("*.jpg"), None) or next(EVALUATION.rglob("*.png"))
        common = ["--duration", 0.5, "--warmup", 0.1, "--json"]
        http = ["--protocol", "http", "--http", f"127.0.0.1:{self.server.ports['http']}"]
        for protocol in ([],) if harness.SECURE else ([], http):
            for load in (["--clients", "1,3", "--batch", 2], ["--request-rate", 50, image]):
                done = self.server.haq("bench-serve", "demo", *load, *protocol, *common)
                self.assertEqual(done.code, 0, done)
                for level in done.json()["levels"]:
                    self.assertEqual(list(level["codes"]), ["OK"], level)
                    self.assertGreater(level["requests_per_second"], 10)
                    self.assertGreater(level["server_ms"]["compute_infer"], 0)
                    self.assertGreaterEqual(level["latency_ms"]["p99"], level["latency_ms"]["p50"])
                    if "request_rate" in level:
                        self.assertEqual(level["codes"]["OK"], 25)
        if harness.SECURE:
            refused = self.server.haq("bench-serve", "demo", *http, *common)
            self.assertEqual(json.loads(refused.err)["error"]["code"], "UNSUPPORTED", refused)
        done = self.server.haq("bench-serve", "nosuch", *common)
        self.assertEqual(json.loads(done.err)["error"]["code"], "NOT_FOUND", done)

    def test_models_and_errors(self):
        status, _, answer = self.curl("models/demo")
        self.assertEqual((status, json.loads(answer)["inputs"][0]["shape"]), (200, [-1, 3, 32, 32]))
        self.assertEqual(json.loads(self.curl("models/demo/config")[2])["max_batch_size"], 64)
        self.assertGreaterEqual(json.loads(self.curl("models/demo/stats")[2])["model_stats"][0]["inference_count"], 0)
        for body, status in ((b"{", 400), (b"[" * 100000, 400), (b'{"inputs": []}', 400)):
            found, _, answer = self.curl("models/demo/infer", body=body)
            self.assertEqual(found, status, answer)
            self.assertTrue(json.loads(answer)["error"])
        self.assertEqual(self.curl("models/absent/infer", body=b"{}")[0], 400)
        self.assertEqual(self.curl("models/absent")[0], 404)


if __name__ == "__main__":
    unittest.main()
