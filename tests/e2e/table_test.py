#!/usr/bin/env python3
"""haq table: methods side by side through a server, PyTorch beside them."""
import csv
import io
import json
import unittest

import harness
from harness import ServerTest


def has_torch():
    try:
        import torch  # noqa: F401
        return True
    except ImportError:
        return False


class Table(ServerTest):
    @classmethod
    def prepare(cls):
        cls.push_demo()
        cls.common = ["--calibration", "calibration", "--evaluation", "test", "--methods", "minmax,redistribution",
                      "--limit-calibration", "100", "--limit-evaluation", "200", "--cache",
                      cls.server.folder / "cache"]
        cls.first = cls.must("table", "--models", "demo", *cls.common, "--format", "json")
        cls.document = cls.first.json()
        cls.outcomes = {o["name"]: o for o in cls.document["models"][0]["outcomes"]}

    def jobs(self):
        return self.ok(self.server.haq("jobs", "list", "--limit", "0", "--json")).json()["jobs"]

    def test_figures_are_those_of_the_jobs(self):
        model = self.document["models"][0]
        self.assertEqual((model["images"], model["labelled_images"], model["calibration_images"]), (200, 200, 100))
        self.assertEqual(self.document["reference"], "redistribution")
        for name in ("minmax", "redistribution"):
            outcome = self.outcomes[name]
            report = self.ok(self.server.haq("jobs", "show", outcome["job"], "--json")).json()["report"]
            self.assertEqual(report["method"], name)
            self.assertEqual(outcome["top1"], report["int8"]["top1"])
            self.assertEqual(outcome["agreement"], report["agreement"])
            self.assertEqual(outcome["sqnr_db"], report["sqnr_db"])
            self.assertAlmostEqual(outcome["top1_interval"][0], report["int8"]["top1_interval"][0])
            self.assertAlmostEqual(outcome["sqnr_interval"][1], report["sqnr_interval"][1], places=3)
            test, change = outcome["top1_beside_fp32"], report["top1_change"]
            self.assertEqual((test["only_first"], test["only_second"]), (change["only_fp32"], change["only_int8"]))
            self.assertAlmostEqual(test["p_value"], change["p_value"])
        self.assertEqual(self.outcomes["fp32"]["top1"], report["fp32"]["top1"])
        beside = self.outcomes["minmax"]["reference_sqnr_beside_this"]
        self.assertAlmostEqual(beside["difference"],
                               self.outcomes["redistribution"]["sqnr_db"] - self.outcomes["minmax"]["sqnr_db"])

    def test_pytorch_stands_beside_them_or_the_table_says_why_not(self):
        note = self.document["models"][0]["pytorch_note"]
        if not has_torch():
            self.assertIn("python3-torch", note)
            self.assertIsNone(self.outcomes.get("pytorch/histogram"))
            return
        self.assertIsNone(note, "its FP32 network answers as ours does")
        for observer in ("moving_minmax", "minmax", "histogram"):
            outcome = self.outcomes[f"pytorch/{observer}"]
            self.assertGreater(outcome["agreement"], 0.9)
            self.assertTrue(10 < outcome["sqnr_db"] < 60)
            self.assertIsNotNone(outcome["reference_sqnr_beside_this"])

    def test_the_same_command_finds_its_jobs(self):
        before = [job["name"] for job in self.jobs()]
        again = self.ok(self.server.haq("table", "--models", "demo", *self.common, "--json"))
        self.assertEqual(again.json(), self.document)
        self.assertEqual([job["name"] for job in self.jobs()], before)
        more = self.ok(self.server.haq("table", "--models", "demo:calibration:test", "--methods", "minmax",
                                       "--limit-calibration", "100", "--limit-evaluation", "200", "--pytorch", "off",
                                       "--fresh", "--json")).json()
        self.assertEqual(len(self.jobs()), len(before) + 1)
        again, = [o for o in more["models"][0]["outcomes"] if o["name"] == "minmax"]
        self.assertNotEqual(again["job"], self.outcomes["minmax"]["job"])
        self.assertEqual(again["sqnr_db"], self.outcomes["minmax"]["sqnr_db"])
        self.assertIn("--pytorch off", more["models"][0]["pytorch_note"])

    def test_people_get_a_table(self):
        path = self.server.folder / "table.txt"
        told = self.ok(self.server.haq("table", "--models", "demo", *self.common, "--output", path))
        self.assertEqual(told.out, "")
        self.assertIn("[1 of 2] demo, MinMax: jobs/", told.err)
        text = path.read_text()
        self.assertRegex(text, r"MODEL +FP32 +PyTorch +MinMax +Activation Redistribution")
        self.assertIn("demo: 200 images of test, calibrated on 100 of calibration", text)
        self.assertIn(f"{self.outcomes['minmax']['top1'] * 100:.2f}", text)
        self.assertLess(max(map(len, text.splitlines())), 120)
        markdown = self.ok(self.server.haq("table", "--models", "demo", *self.common, "--format", "markdown")).out
        self.assertIn("| MODEL | FP32 | PyTorch | MinMax | Activation Redistribution |", markdown)
        lines = list(csv.DictReader(io.StringIO(
            self.ok(self.server.haq("table", "--models", "demo", *self.common, "--format", "csv")).out)))
        self.assertEqual([line["name"] for line in lines], list(self.outcomes))
        self.assertEqual(float(lines[-1]["sqnr_db"]), self.outcomes["redistribution"]["sqnr_db"])

    def test_pictures(self):
        folder = self.server.folder / "figures"
        told = self.ok(self.server.haq("table", "--models", "demo", *self.common, "--plot", folder))
        for name in ("accuracy.png", "fidelity.png", "demo_tensors.png", "demo_histogram.png"):
            self.assertIn(f"wrote {folder / name}", told.err)
            self.assertTrue((folder / name).read_bytes().startswith(b"\x89PNG"))
        chosen = (folder / "demo_histogram.png").read_bytes()
        job = self.ok(self.server.haq("jobs", "show", self.outcomes["redistribution"]["job"], "--json")).json()
        worst = min((layer for layer in job["report"]["layers"] if layer["isolated_sqnr_db"] is not None),
                    key=lambda layer: layer["isolated_sqnr_db"])
        self.ok(self.server.haq("table", "--models", "demo", *self.common, "--plot", folder, "--plot-tensor",
                                worst["name"]))
        self.assertEqual((folder / "demo_histogram.png").read_bytes(), chosen)
        unknown = self.server.haq("table", "--models", "demo", *self.common, "--plot", folder, "--plot-tensor", "no")
        self.assertEqual(unknown.code, 3)
        self.assertIn(job["report"]["layers"][0]["name"], unknown.err)

    def test_a_model_whose_jobs_fail_leaves_the_others(self):
        self.must("models", "push", "odd", harness.MODEL, "--input-shape", "3,16,16", "--preprocess",
                  harness.PREPROCESS)
        outcome = self.server.haq("table", "--models", "demo,odd", *self.common, "--format", "json")
        self.assertEqual(outcome.code, 1, outcome)
        demo, odd = json.loads(outcome.out)["models"]
        self.assertEqual([o["sqnr_db"] for o in demo["outcomes"]], [o["sqnr_db"] for o in self.outcomes.values()])
        for failed in odd["outcomes"]:
            self.assertIn("INVALID_ARGUMENT", failed["error"])
            self.assertIsNone(failed["top1"])
        self.assertTrue(odd["pytorch_note"])
        before = len(self.jobs())
        self.assertEqual(self.server.haq("table", "--models", "demo,odd", *self.common).code, 1)
        self.assertEqual(len(self.jobs()), before + 2, "what failed is tried again")

    def test_wrong_options_make_no_job(self):
        before = len(self.jobs())
        for arguments, code, text in ((("--models", "demo,nobody", *self.common), 3, "nobody"),
                                      (("--models", "demo"), 4, "demo:CALIBRATION:EVALUATION"),
                                      (("--models", "demo:calibration:nothing"), 3, "nothing"),
                                      (("--models", "demo", *self.common, "--scheme", "odd"), 4, "--scheme"),
                                      (("--models", "demo", *self.common, "--preset", "odd"), 4, "fast"),
                                      (("--models", "demo", *self.common, "--weights", "odd"), 4, "per_channel"),
                                      (("--models", "demo", *self.common, "--format", "odd"), 2, "--format")):
            outcome = self.server.haq("table", *arguments)
            self.assertEqual(outcome.code, code, outcome)
            self.assertIn(text, outcome.err)
        outcome = self.server.haq("table", "--models", "demo", "--calibration", "calibration", "--evaluation", "test",
                                  "--methods", "magic")
        self.assertEqual(outcome.code, 4)
        self.assertIn("--methods", outcome.err)
        self.assertIn("redistribution", outcome.err, "the list of what exists")
        self.assertEqual(len(self.jobs()), before)


if __name__ == "__main__":
    unittest.main()
