#!/usr/bin/env python3
"""The PyTorch peer: converted scripts compute the same, images are read as the datasets' page says, and the demo's
network comes out of PyTorch's quantization as it should.

usage: pytorch_ptq_test.py HAQ_DEMO_DATA DEMO_MODEL_FOLDER
"""
import io
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
try:
    import numpy as np
    import torch
    from PIL import Image
    from torch import nn
    from torch.nn import functional as F

    import image_data
    import torchscript_to_fx
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

SCRIPT = pathlib.Path(__file__).resolve().parent / "pytorch_ptq.py"
DEMO_DATA = DEMO_MODEL = ""


class Residual(nn.Module):
    """Strided slices, channel pads, batch norm after an activation, views by the batch's size."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.deep = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1, groups=4), nn.BatchNorm2d(16), nn.LeakyReLU(0.1))
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.norm(F.relu(self.stem(x)))
        y = self.deep(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4))
        y = torch.sigmoid(y) * y
        return self.head(F.avg_pool2d(y, 4).view(y.size(0), -1))


class Branches(nn.Module):
    """Lists of pieces, a loop over modules, concatenation, upper and lower clamps, softmax."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, padding=1)])
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        for layer in self.layers:
            x = torch.clamp(layer(x), -0.5, 1.5)
        a, b = torch.chunk(x, 2, dim=1)
        x = torch.cat([F.max_pool2d(a, 2), F.avg_pool2d(b, 2), a[:, :, 1::2, 1::2]], 1)
        x = self.drop(F.hardtanh(x, 0., 6.)).mean([2, 3])
        return torch.softmax(x.permute(1, 0).permute(1, 0), 1)


def saved(module, folder, trace=False):
    torch.manual_seed(5)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.normal_(norm.bias)
    module.eval()
    script = torch.jit.trace(module, torch.randn(1, 3, 8, 8)) if trace else torch.jit.script(module)
    path = str(pathlib.Path(folder) / "net.pt")
    script.save(path)
    return path


class Conversion(unittest.TestCase):
    def check(self, module, trace):
        with tempfile.TemporaryDirectory() as folder:
            converted = torchscript_to_fx.convert(saved(module, folder, trace), (3, 8, 8))
        x = torch.randn(4, 3, 8, 8)
        with torch.no_grad():
            torch.testing.assert_close(converted(x), module(x), rtol=1e-4, atol=1e-5)
        return converted

    def test_scripts_and_traces_compute_the_same(self):
        for module in (Residual(), Branches()):
            for trace in (False, True):
                with self.subTest(type(module).__name__, trace=trace):
                    self.check(module, trace)

    def test_layers_are_modules_that_fx_fuses(self):
        modules = [type(m).__name__ for m in self.check(Residual(), False).children()]
        for name in ("Conv2d", "ReLU", "BatchNorm2d", "LeakyReLU", "Linear", "Sigmoid"):
            self.assertIn(name, modules)

    def test_what_has_no_counterpart_is_named(self):
        class Sorted(nn.Module):
            def forward(self, x):
                return torch.sort(x.flatten(1))[0]

        class Conditional(nn.Module):
            def forward(self, x):
                if bool(x.sum() > 0):
                    x = -x
                return x

        for module, text in ((Sorted(), "aten::sort"), (Conditional(), "x.sum() > 0")):
            with tempfile.TemporaryDirectory() as folder, self.assertRaises(torchscript_to_fx.Unsupported) as caught:
                torchscript_to_fx.convert(saved(module, folder), (3, 8, 8))
            self.assertIn(text, str(caught.exception))


def png(color, size=(6, 4)):
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


class Data(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, content):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def test_a_folder_and_its_shards_are_the_same_images(self):
        for name in ("b/2.png", "b/1.png", "a/1.PNG", "a/.hidden.png", "a/note.txt"):
            self.write("set/" + name, png((len(name), 0, 0)))
        folder = image_data.read_images([str(self.root / "set")])
        self.assertEqual([pathlib.Path(e[0]).parts[-2:] for e in folder.entries],
                         [("a", "1.PNG"), ("b", "1.png"), ("b", "2.png")])
        self.assertEqual([folder.label(i) for i in range(3)], [0, 1, 1])
        with tarfile.open(self.root / "shard.tar", "w") as archive:
            for name, label in (("a/1.PNG", 0), ("b/1.png", 1), ("b/2.png", 1)):
                key = name[:-4].replace("/", "_")
                for entry, content in ((key + ".png", (self.root / "set" / name).read_bytes()),
                                       (key + ".cls", str(label).encode())):
                    info = tarfile.TarInfo(entry)
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
        shard = image_data.read_images([str(self.root / "shard.tar")])
        self.assertEqual(shard.digest, folder.digest)
        self.assertEqual(np.asarray(shard.image(2)).tolist(), np.asarray(folder.image(2)).tolist())
        self.assertNotEqual(image_data.read_images([str(self.root / "shard.tar")], limit=2).digest, shard.digest)

    def test_labels_are_lines_of_a_file(self):
        for name in ("n1/a.png", "n2/a.png"):
            self.write("set/" + name, png((1, 2, 3)))
        self.write("labels.txt", b"n2 second\nn0\nn1 first\n")
        images = image_data.read_images([str(self.root / "set")], str(self.root / "labels.txt"))
        self.assertEqual([images.label(i) for i in range(2)], [2, 0])

    def test_preprocessing_steps(self):
        image = Image.new("RGB", (10, 6), (255, 0, 51))
        made = image_data.Preprocess('{"resize": {"shorter_side": 3}, "center_crop": [2, 4], "color": "bgr",'
                                     ' "mean": [0.2, 0, 1], "std": [1, 1, 0.5]}')(image)
        self.assertEqual(made.shape, (3, 2, 4))
        np.testing.assert_allclose(made[:, 0, 0], [0, 0, 0], atol=1e-7)
        gray = image_data.Preprocess('{"color": "gray", "scale": 1}')(Image.new("RGB", (1, 1), (0, 255, 0)))
        self.assertEqual(gray.tolist(), [[[150.0]]])
        with self.assertRaises(image_data.BadData) as caught:
            image_data.Preprocess('{"crop": 3}')
        self.assertIn("crop is unknown", str(caught.exception))


class Script(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        subprocess.run([DEMO_DATA, self.root / "images", "--calibration", "60", "--test", "150"], check=True,
                       capture_output=True)

    def tearDown(self):
        self.folder.cleanup()

    def run_script(self, *arguments, model=None):
        return subprocess.run(
            [sys.executable, SCRIPT, "--model", model or f"{DEMO_MODEL}/demo_net.pt", "--input-shape", "3,32,32",
             "--preprocess", f"{DEMO_MODEL}/preprocess.json", "--calibration", self.root / "images/calibration",
             "--evaluation", self.root / "images/test", "--cache", self.root / "cache", *arguments],
            text=True, capture_output=True, check=False)

    def test_the_demo(self):
        first = self.run_script("--weights", "per_channel,per_tensor", "--progress")
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertIn("progress per_channel/histogram/calibrate 60 60", first.stderr)
        result = json.loads(first.stdout)
        self.assertEqual((result["images"], result["calibration_images"], result["batch"]), (150, 60, 10))
        self.assertGreater(result["fp32"]["top1"], 0.85)
        self.assertEqual([(r["weights"], r["observer"]) for r in result["runs"]],
                         [(w, o) for w in ("per_channel", "per_tensor")
                          for o in ("moving_minmax", "minmax", "histogram")])
        for run in result["runs"]:
            same = [a == b for a, b in zip(run["predictions"], result["fp32"]["predictions"])]
            self.assertAlmostEqual(run["agreement"], sum(same) / 150)
            right = [a == b for a, b in zip(run["predictions"], result["labels"])]
            self.assertAlmostEqual(run["top1"], sum(right) / 150)
            self.assertGreater(run["agreement"], 0.9)
            self.assertAlmostEqual(run["sqnr_db"], 10 * np.log10(sum(run["signal"]) / sum(run["noise"])), places=3)
            self.assertGreater(run["sqnr_db"], 10)
            self.assertLess(run["sqnr_db"], 60, "INT8 costs something")
        again = self.run_script("--weights", "per_channel,per_tensor", "--progress")
        self.assertEqual(json.loads(again.stdout), result)
        self.assertNotIn("progress", again.stderr, "everything was kept")
        other = self.run_script("--observers", "minmax", "--limit-evaluation", "100", "--progress")
        self.assertIn("progress fp32", other.stderr, "other images are another result")
        self.assertEqual(json.loads(other.stdout)["images"], 100)

    def test_errors_say_what_is_wrong(self):
        broken = self.root / "broken.pt"
        broken.write_bytes(b"no archive")
        for arguments, model, code, text in ((("--observers", "magic"), None, 2, "magic is none of moving_minmax"),
                                             (("--input-shape", "x"), None, 2, "--input-shape"),
                                             (("--limit-evaluation", "3"), str(broken), 1, "broken.pt"),
                                             (("--input-shape", "3,16,16"), None, 1, "the network takes")):
            outcome = self.run_script(*arguments, model=model)
            self.assertEqual(outcome.returncode, code, outcome.stderr)
            self.assertIn(text, outcome.stderr)
            self.assertNotIn("Traceback", outcome.stderr)


if __name__ == "__main__":
    DEMO_DATA, DEMO_MODEL = sys.argv.pop(1), sys.argv.pop(1)
    unittest.main()
