#!/usr/bin/env python3
"""The main job through the command line: push, calibrate, infer, pull, list, delete."""
import json
import tarfile
import unittest

import harness
from harness import CALIBRATION, EVALUATION, SHARED, ServerTest, run


class DemoJob(ServerTest):
    @classmethod
    def prepare(cls):
        cls.push_demo()
        cls.watched = cls.must("calibrate", "demo", "--calibration", "calibration", "--evaluation", "test",
                               "--method", "minmax", "--limit-calibration", "300", "--limit-evaluation", "600",
                               "--watch", "--json").lines()
        cls.job = cls.watched[-1]["job"]

    def test_the_job_succeeded_and_its_report_is_complete(self):
        self.assertEqual(self.job["state"], "SUCCEEDED")
        report = self.job["report"]
        self.assertEqual(report["images"], 600)
        for network in ("fp32", "int8"):
            for figure in ("top1", "top5"):
                self.assertTrue(0 <= report[network][figure] <= 1)
        self.assertGreater(report["fp32"]["top1"], 0.85)
        self.assertGreater(report["int8"]["top1"], report["fp32"]["top1"] - 0.02)
        self.assertGreater(report["agreement"], 0.95)
        self.assertGreater(report["sqnr_db"], 15)
        self.assertGreater(report["calibration"]["images_per_second"], 0)
        self.assertGreater(report["calibration"]["peak_rss_bytes"], 1 << 20)
        for key in ("name", "op", "scheme", "scale", "zero_point", "range", "sqnr_db", "isolated_sqnr_db", "share"):
            self.assertIn(key, report["layers"][0])
        self.assertEqual(report["diagnosis"], sorted(report["diagnosis"], key=lambda f: -f["share"]))
        for finding in report["diagnosis"]:
            self.assertTrue(finding["text"] and finding["action"])

    def test_the_stream_told_the_whole_story(self):
        events = [line["event"] for line in self.watched if "event" in line]
        self.assertEqual([e["sequence"] for e in events], list(range(1, len(events) + 1)))
        states = [e["state_change"]["state"] for e in events if "state_change" in e]
        self.assertEqual(states, ["QUEUED", "RUNNING", "SUCCEEDED"])
        phases = [e["progress"]["phase"] for e in events if "progress" in e]
        for phase in ("import", "calibrate", "evaluate"):
            self.assertIn(phase, phases)
        running = [e["accuracy"] for e in events if "accuracy" in e]
        self.assertEqual(running[-1]["images"], 600)
        self.assertEqual(running[-1]["int8_top1"], self.job["report"]["int8"]["top1"])

    def test_people_can_read_the_report(self):
        shown = self.ok(self.server.haq("jobs", "show", self.job["name"])).out
        self.assertIn(f"{self.job['report']['int8']['top1'] * 100:.2f} %", shown)
        self.assertIn("agreement", shown)
        self.assertIn("the layers that lose most", shown)
        self.assertIn("what to do", shown)
        self.assertIn(self.job["report"]["diagnosis"][0]["action"], shown)

    def test_lists(self):
        self.assertIn("demo", self.ok(self.server.haq("models", "list")).out)
        self.assertIn("version 1", self.ok(self.server.haq("models", "list")).out)
        datasets = self.ok(self.server.haq("datasets", "list", "--json")).json()["datasets"]
        found = {d["name"]: d["images"] for d in datasets}
        self.assertEqual(found["datasets/calibration"], len(harness.images(CALIBRATION)))
        self.assertEqual(found["datasets/test"], len(harness.images(EVALUATION)))
        jobs = self.ok(self.server.haq("jobs", "list", "--state", "succeeded", "--json")).json()["jobs"]
        self.assertEqual([job["name"] for job in jobs], [self.job["name"]])
        status = self.ok(self.server.haq("status", "--json")).json()
        self.assertTrue(status["ready"])
        self.assertEqual(status["jobs"], {"SUCCEEDED": 1})

    def test_infer_names_the_right_classes(self):
        pairs = harness.images(EVALUATION, 40)
        answer = self.ok(self.server.haq("infer", "demo", *[p for p, _ in pairs], "--top", "3", "--json")).json()
        self.assertEqual(answer["version"], "1")
        right = 0
        for result, (path, label) in zip(answer["results"], pairs):
            self.assertEqual(result["file"], str(path))
            self.assertEqual(len(result["top"]), 3)
            right += result["top"][0]["index"] == label
        self.assertGreater(right, 32)
        self.assertIn(str(pairs[0][0]), self.ok(self.server.haq("infer", "demo", pairs[0][0])).out)

    def test_pull_and_show_offline(self):
        path = self.server.folder / "pulled.haq"
        pulled = self.ok(self.server.haq("artifacts", "pull", "demo", path, "--json")).json()
        self.assertEqual(pulled["name"], "models/demo/versions/1")
        shown = self.ok(run("haq", "artifacts", "show", path, "--json", "--server", "127.0.0.1:1")).json()
        self.assertEqual(shown["input_shape"], [3, 32, 32])
        self.assertEqual(shown["metadata"]["method"], "minmax")
        self.assertIn("conv2d", self.ok(run("haq", "artifacts", "show", path)).out)
        self.assertEqual(self.ok(self.server.haq("artifacts", "show", "demo", "--json")).json()["sha256"],
                         pulled["sha256"])

    def test_what_was_pushed_can_be_pulled(self):
        model, shards = self.server.folder / "back.pt", self.server.folder / "shards"
        self.ok(self.server.haq("models", "pull", "demo", model))
        self.assertEqual(model.read_bytes(), harness.MODEL.read_bytes())
        self.ok(self.server.haq("datasets", "pull", "test", shards))
        with tarfile.open(shards / "shard-00000.tar") as archive:
            images = [name for name in archive.getnames() if not name.endswith(".cls")]
        self.assertEqual(len(images), len(harness.images(EVALUATION)))
        self.assertEqual(self.server.haq("models", "pull", "nobody", model).code, 3)

    def test_the_worker_alone_makes_the_same_artifact(self):
        path, report = self.server.folder / "alone.haq", self.server.folder / "report.json"
        self.ok(run("haq-worker", "quantize", harness.MODEL, "--input-shape", harness.INPUT_SHAPE, "--preprocess",
                    harness.PREPROCESS, "--calibration", CALIBRATION, "--evaluation", EVALUATION,
                    "--method", "minmax", "--limit-calibration", "300", "--limit-evaluation", "600", "--output", path,
                    "--report", report))
        pulled = self.server.folder / "same.haq"
        self.ok(self.server.haq("artifacts", "pull", "demo/versions/1", pulled))
        self.assertEqual(path.read_bytes(), pulled.read_bytes())
        self.assertEqual(json.loads(report.read_text())["int8"], self.job["report"]["int8"])

    def test_the_default_is_redistribution_alone(self):
        self.must("models", "push", "plain", harness.MODEL, "--input-shape", harness.INPUT_SHAPE,
                  "--preprocess", harness.PREPROCESS)
        job = self.must("calibrate", "plain", "--calibration", "calibration", "--evaluation", "test",
                        "--limit-calibration", "50", "--limit-evaluation", "50", "--watch", "--json").lines()[-1]["job"]
        report = job["report"]
        self.assertEqual((job["spec"]["method"], report["method"]), ("redistribution", "redistribution"))
        self.assertEqual((job["spec"]["preset"], report["preset"]), ("fast", "fast"))
        self.assertEqual(report["corrections"], {"bias_correction": False, "equalize": False, "adaround": False})
        self.assertEqual(report["wide"], {"count": 0, "tensors": [], "ms_per_image": None,
                                          "ms_per_image_8bit": None})

    def test_delete(self):
        self.must("models", "push", "gone", harness.MODEL, "--input-shape", harness.INPUT_SHAPE)
        self.ok(self.server.haq("models", "delete", "gone"))
        self.assertEqual(self.server.haq("models", "show", "gone").code, 3)

    def test_bad_images_end_the_push_or_are_counted(self):
        folder = self.server.folder / "some"
        for path, label in harness.images(EVALUATION, 20):
            (folder / str(label)).mkdir(parents=True, exist_ok=True)
            (folder / str(label) / path.name).write_bytes(path.read_bytes())
        (folder / "3" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n, but no more of it")
        refused = self.server.haq("datasets", "push", "some", folder)
        self.assertEqual(refused.code, 4, refused)
        self.assertIn("3/broken.png", refused.err)
        kept = self.ok(self.server.haq("datasets", "push", "some", folder, "--skip-bad", "--json")).json()
        self.assertEqual(kept["images"], 20)
        self.assertEqual(len(kept["skipped"]), 1)

    def test_labels_file(self):
        folder, labels = self.server.folder / "named", self.server.folder / "labels.txt"
        for path, label in harness.images(EVALUATION, 2):
            (folder / f"n{label}").mkdir(parents=True)
            (folder / f"n{label}" / path.name).write_bytes(path.read_bytes())
        labels.write_text("other\nn1 the second\nn0\n")
        made = self.ok(self.server.haq("datasets", "push", "named", folder, "--labels", labels, "--json")).json()
        self.assertEqual((made["images"], made["max_label"]), (2, 2))


class ResNet20(ServerTest):
    """The same on a network that was not made for us, where the shared models are at hand."""

    def test_calibrate_torchscript(self):
        self.calibrate("resnet20_cifar10.pt", "--input-shape", "3,32,32")

    def test_calibrate_onnx(self):
        job = self.calibrate("resnet20_cifar10.onnx")
        self.assertEqual(self.must("models", "show", "resnet20_cifar10.onnx", "--json").json()["format"], "onnx")
        self.assertIn("logits", [layer["name"] for layer in job["report"]["layers"]])

    def calibrate(self, file, *arguments):
        model = SHARED / "models" / file
        if not model.exists():
            self.skipTest(f"{model} is not there")
        preprocess = self.server.folder / "cifar.json"
        preprocess.write_text(json.dumps({"scale": 1 / 255, "mean": [0.485, 0.456, 0.406],
                                          "std": [0.229, 0.224, 0.225]}))
        self.must("models", "push", file, model, *arguments, "--preprocess", preprocess)
        folder = self.server.folder / file
        for name, count in (("calibration", 100), ("test", 300)):
            for path, _ in harness.images(SHARED / "data/cifar10" / name, count):
                target = folder / name / path.parent.name
                target.mkdir(parents=True, exist_ok=True)
                (target / path.name).write_bytes(path.read_bytes())
            self.must("datasets", "push", f"{file}-{name}", folder / name)
        job = self.must("calibrate", file, "--calibration", f"{file}-calibration", "--evaluation", f"{file}-test",
                        "--watch", "--json").lines()[-1]["job"]
        self.assertGreater(job["report"]["fp32"]["top1"], 0.8)
        self.assertGreater(job["report"]["agreement"], 0.95)
        answer = self.must("infer", file, next(iter(sorted(folder.glob("test/*/*")))), "--json").json()
        self.assertEqual(len(answer["results"]), 1)
        return job


if __name__ == "__main__":
    unittest.main()
