#!/usr/bin/env python3
"""Clipping in production: inputs that are unlike the calibration's show in the metrics, and no others."""
import io
import pathlib
import re
import unittest
import urllib.request

import numpy
from PIL import Image

import harness
from harness import CALIBRATION, EVALUATION, ServerTest

from inference import inference_pb2 as oip
from inference import inference_pb2_grpc as oip_grpc

IMAGES = 192


def stretched(path):
    """The image as PNG with four times the contrast: cut off at black and at white."""
    pixels = numpy.asarray(Image.open(path).convert("RGB"), dtype=numpy.float64)
    encoded = io.BytesIO()
    Image.fromarray(numpy.clip(128 + 4 * (pixels - 128), 0, 255).astype(numpy.uint8)).save(encoded, "PNG")
    return encoded.getvalue()


class Clipping(ServerTest):
    arguments = ("--clipping-sample", "1", "--clipping-half-life-s", "86400", "--clipping-tensors", "3")

    @classmethod
    def prepare(cls):
        """A ResNet-20 on photographs where they are at hand, else the demonstration's network."""
        cls.images = (CALIBRATION, EVALUATION)
        model, preprocess = harness.MODEL, harness.PREPROCESS
        if (harness.SHARED / "models/resnet20_cifar10.pt").exists():
            model = harness.SHARED / "models/resnet20_cifar10.pt"
            preprocess = cls.server.folder / "preprocess.json"
            preprocess.write_text('{"scale": 0.00392156862745098, "mean": [0.485, 0.456, 0.406], '
                                  '"std": [0.229, 0.224, 0.225]}')
            cls.images = tuple(harness.SHARED / "data/cifar10" / name for name in ("calibration", "test"))
        cls.must("models", "push", "watched", model, "--input-shape", "3,32,32", "--preprocess", preprocess)
        for name, folder in zip(("calibration", "test"), cls.images):
            cls.must("datasets", "push", name, folder)
        cls.must("calibrate", "watched", "--calibration", "calibration", "--evaluation", "test",
                 "--limit-calibration", "500", "--limit-evaluation", "50", "--watch")
        cls.stub = oip_grpc.GRPCInferenceServiceStub(cls.server.channel())

    def scrape(self):
        """The samples of the clipping metrics: {(name, tensor or None): value}."""
        url = f"http://127.0.0.1:{self.server.ports['metrics']}/metrics"
        with urllib.request.urlopen(url, timeout=30) as answer:
            text = answer.read().decode()
        found = {}
        for line in text.splitlines():
            match = re.fullmatch(r'(haq_model_clipping_\w+)\{model="watched",version="(\d+)"(?:,tensor="(.*)")?\} (\S+)',
                                 line)
            if match:
                self.assertEqual(match[2], self.version())
                found[match[1], match[3]] = float(match[4])
        return found

    def version(self):
        return self.must("models", "show", "watched", "--json").json()["served_version"].split("/")[-1]

    def reload(self):
        """Counts from zero."""
        self.stub.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name="watched"), timeout=30)

    def serve(self, folder, encode=pathlib.Path.read_bytes):
        for path, _ in harness.images(folder, IMAGES):
            request = oip.ModelInferRequest(model_name="watched")
            request.inputs.add(name="input", datatype="BYTES", shape=[1]).contents.bytes_contents.append(encode(path))
            self.stub.ModelInfer(request, timeout=30)
        return self.scrape()

    def test_drift(self):
        """Like the calibration's images: about 1; of another contrast: far from it; after a reload: 1 again."""
        name = "haq_model_clipping_drift"
        self.reload()
        fresh = self.scrape()
        self.assertEqual((fresh[name, None], fresh["haq_model_clipping_images_total", None]), (1, 0))
        like = self.serve(self.images[1])
        self.assertEqual(like["haq_model_clipping_images_total", None], IMAGES)
        self.assertLess(like[name, None], 1.6)
        self.assertAlmostEqual(like[name + "_mean", None], 1, delta=0.25)
        self.reload()
        other = self.serve(self.images[1], stretched)
        self.assertGreater(other[name, None], 5)
        self.assertGreater(other[name + "_mean", None], 1.25 * like[name + "_mean", None])
        self.reload()
        self.assertEqual(self.scrape()[name, None], 1)

    def test_the_images_that_chose_the_ranges_clip_as_they_did(self):
        self.reload()
        found = self.serve(self.images[0])
        ratios = {tensor: value for (name, tensor), value in found.items() if name == "haq_model_clipping_ratio"}
        self.assertEqual(len(ratios), 3, "as many as --clipping-tensors allows")
        self.assertGreater(max(ratios.values()), 0, "something is clipped")
        for tensor, ratio in ratios.items():
            calibrated = found["haq_model_clipping_calibrated_ratio", tensor]
            self.assertAlmostEqual(ratio, calibrated, delta=0.3 * calibrated + 1e-3)
            self.assertAlmostEqual(found["haq_model_clipping_tensor_drift", tensor], 1, delta=0.35)


class Off(ServerTest):
    arguments = ("--clipping-sample", "0")

    def test_nothing_is_counted(self):
        self.push_demo()
        self.must("calibrate", "demo", "--calibration", "calibration", "--evaluation", "test", "--limit-calibration",
                  "50", "--limit-evaluation", "50", "--watch")
        image = harness.images(EVALUATION, 1)[0][0].read_bytes()
        request = oip.ModelInferRequest(model_name="demo")
        request.inputs.add(name="input", datatype="BYTES", shape=[1]).contents.bytes_contents.append(image)
        oip_grpc.GRPCInferenceServiceStub(self.server.channel()).ModelInfer(request, timeout=30)
        url = f"http://127.0.0.1:{self.server.ports['metrics']}/metrics"
        with urllib.request.urlopen(url, timeout=30) as answer:
            self.assertNotIn("haq_model_clipping", answer.read().decode())


if __name__ == "__main__":
    unittest.main()
