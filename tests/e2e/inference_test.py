#!/usr/bin/env python3
"""The Open Inference Protocol by grpcio and stubs that protoc made."""
import json
import struct
import unittest

import grpc
import numpy
from PIL import Image

import harness
from harness import EVALUATION, ServerTest, run

from inference import inference_pb2 as oip
from inference import inference_pb2_grpc as oip_grpc

LIMIT = 400


def preprocess(path):
    settings = json.loads(harness.PREPROCESS.read_text())
    pixels = numpy.asarray(Image.open(path).convert("RGB"), dtype=numpy.float64).transpose(2, 0, 1)
    mean = numpy.array(settings.get("mean", [0, 0, 0])).reshape(3, 1, 1)
    std = numpy.array(settings.get("std", [1, 1, 1])).reshape(3, 1, 1)
    return ((pixels * settings.get("scale", 1 / 255) - mean) / std).astype("<f4")


def bytes_request(paths, raw):
    request = oip.ModelInferRequest(model_name="demo", id="images")
    tensor = request.inputs.add(name="input", datatype="BYTES", shape=[len(paths)])
    encoded = [path.read_bytes() for path in paths]
    if raw:
        request.raw_input_contents.append(b"".join(struct.pack("<I", len(e)) + e for e in encoded))
    else:
        tensor.contents.bytes_contents.extend(encoded)
    return request


def tensor_request(batch, raw):
    request = oip.ModelInferRequest(model_name="demo", model_version="1", id="tensors")
    tensor = request.inputs.add(name="input", datatype="FP32", shape=batch.shape)
    if raw:
        request.raw_input_contents.append(batch.tobytes())
    else:
        tensor.contents.fp32_contents.extend(batch.reshape(-1).tolist())
    return request


def logits(response):
    output = response.outputs[0]
    values = (numpy.frombuffer(response.raw_output_contents[0], dtype="<f4") if response.raw_output_contents
              else numpy.array(output.contents.fp32_contents, dtype="<f4"))
    return values.reshape(output.shape)


class Inference(ServerTest):
    @classmethod
    def prepare(cls):
        cls.push_demo()
        cls.job = cls.must("calibrate", "demo", "--calibration", "calibration", "--evaluation", "test",
                           "--limit-calibration", "200", "--limit-evaluation", LIMIT, "--watch",
                           "--json").lines()[-1]["job"]
        cls.stub = oip_grpc.GRPCInferenceServiceStub(cls.server.channel())

    def test_live_and_ready(self):
        self.assertTrue(self.stub.ServerLive(oip.ServerLiveRequest()).live)
        self.assertTrue(self.stub.ServerReady(oip.ServerReadyRequest()).ready)
        self.assertTrue(self.stub.ModelReady(oip.ModelReadyRequest(name="demo")).ready)
        self.assertTrue(self.stub.ModelReady(oip.ModelReadyRequest(name="demo", version="1")).ready)

    def test_metadata(self):
        server = self.stub.ServerMetadata(oip.ServerMetadataRequest())
        self.assertTrue(server.name and server.version)
        model = self.stub.ModelMetadata(oip.ModelMetadataRequest(name="demo"))
        self.assertEqual((model.name, list(model.versions)), ("demo", ["1"]))
        self.assertEqual([(t.name, t.datatype, list(t.shape)) for t in model.inputs],
                         [("input", "FP32", [-1, 3, 32, 32])])
        self.assertEqual((model.outputs[0].datatype, list(model.outputs[0].shape)), ("FP32", [-1, 10]))

    def test_raw_and_typed_tensors_and_images_agree(self):
        paths = [path for path, _ in harness.images(EVALUATION, 16)]
        batch = numpy.stack([preprocess(path) for path in paths])
        answers = [self.stub.ModelInfer(request) for request in
                   (tensor_request(batch, True), tensor_request(batch, False),
                    bytes_request(paths, True), bytes_request(paths, False))]
        for answer in answers:
            self.assertEqual((answer.model_name, answer.model_version), ("demo", "1"))
            self.assertEqual(list(answer.outputs[0].shape), [16, 10])
        self.assertEqual([a.id for a in answers], ["tensors", "tensors", "images", "images"])
        numpy.testing.assert_array_equal(logits(answers[0]), logits(answers[1]))
        numpy.testing.assert_array_equal(logits(answers[2]), logits(answers[3]))
        numpy.testing.assert_array_equal(logits(answers[0]), logits(answers[2]))
        # A batch gives what its samples give alone.
        alone = [logits(self.stub.ModelInfer(tensor_request(batch[i:i + 1], True))) for i in range(len(paths))]
        numpy.testing.assert_array_equal(numpy.concatenate(alone), logits(answers[0]))

    def test_the_accuracy_is_one_number(self):
        pairs = harness.images(EVALUATION, LIMIT)
        top1 = top5 = 0
        for begin in range(0, LIMIT, 50):
            part = pairs[begin:begin + 50]
            rows = logits(self.stub.ModelInfer(bytes_request([path for path, _ in part], True)))
            for row, (_, label) in zip(rows, part):
                # Of equal scores the lower index is the better class.
                best = numpy.argsort(-row, kind="stable")[:5].tolist()
                top1 += best[0] == label
                top5 += label in best
        pulled = self.server.folder / "pulled.haq"
        self.must("artifacts", "pull", "demo", pulled)
        evaluated = self.ok(run("haq-worker", "evaluate", pulled, "--evaluation", EVALUATION, "--limit", LIMIT,
                                "--json")).json()
        expected = {"top1": top1 / LIMIT, "top5": top5 / LIMIT}
        for int8 in (self.job["report"]["int8"], evaluated["int8"]):
            self.assertEqual({name: int8[name] for name in expected}, expected)
        self.assertEqual(evaluated["images"], LIMIT)

    def test_wrong_requests(self):
        good = numpy.zeros((1, 3, 32, 32), dtype="<f4")
        invalid = grpc.StatusCode.INVALID_ARGUMENT

        def changed(change):
            request = tensor_request(good, True)
            change(request)
            return lambda: self.stub.ModelInfer(request)

        def set_shape(request):
            request.inputs[0].shape[:] = [1, 3, 16, 64]

        def set_type(request):
            request.inputs[0].datatype = "FP16"

        def set_name(request):
            request.inputs[0].name = "images"

        def cut(request):
            request.raw_input_contents[0] = request.raw_input_contents[0][:-4]

        def both(request):
            request.inputs[0].contents.fp32_contents.append(1)

        for change, field in ((set_shape, "inputs[0].shape"), (set_type, "inputs[0].datatype"),
                              (set_name, "inputs[0].name"), (cut, "raw_input_contents"), (both, "contents")):
            with self.subTest(change.__name__):
                error = self.assert_grpc_error(changed(change), invalid, field)
                self.assertTrue(any(field in violated for violated in self.violations(error)), error.details())

    def test_models_that_are_not_there(self):
        request = tensor_request(numpy.zeros((1, 3, 32, 32), dtype="<f4"), True)
        request.model_name = "absent"
        self.assert_grpc_error(lambda: self.stub.ModelInfer(request), grpc.StatusCode.NOT_FOUND, "absent")
        self.assert_grpc_error(lambda: self.stub.ModelMetadata(oip.ModelMetadataRequest(name="absent")),
                               grpc.StatusCode.NOT_FOUND, "absent")

    def test_an_image_that_is_none(self):
        request = oip.ModelInferRequest(model_name="demo")
        request.inputs.add(name="input", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"no image")
        self.assert_grpc_error(lambda: self.stub.ModelInfer(request), grpc.StatusCode.INVALID_ARGUMENT, "inputs[0]")
        text = self.server.folder / "text.jpg"
        text.write_text("no image")
        outcome = self.server.haq("infer", "demo", text)
        self.assertEqual(outcome.code, 4, outcome)
        self.assertIn("text.jpg", outcome.err)


if __name__ == "__main__":
    unittest.main()
