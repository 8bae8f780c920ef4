#!/usr/bin/env python3
"""Wrong input: the exact status, a message that names the field, and the command line's exit code."""
import hashlib
import socket
import unittest

import grpc

import harness
from harness import EVALUATION, MODEL, ServerTest, run

from haq.v1 import blobs_pb2, blobs_pb2_grpc, datasets_pb2, datasets_pb2_grpc, jobs_pb2, jobs_pb2_grpc, models_pb2
from haq.v1 import models_pb2_grpc


class WrongInput(ServerTest):
    @classmethod
    def prepare(cls):
        cls.push_demo()
        channel = cls.server.channel()
        cls.blobs = blobs_pb2_grpc.BlobServiceStub(channel)
        cls.models = models_pb2_grpc.ModelServiceStub(channel)
        cls.datasets = datasets_pb2_grpc.DatasetServiceStub(channel)
        cls.jobs = jobs_pb2_grpc.JobServiceStub(channel)

    def create_job(self, **changes):
        spec = {"model": "models/demo", "calibration_dataset": "datasets/calibration",
                "evaluation_dataset": "datasets/test", **changes}
        return lambda: self.jobs.CreateJob(jobs_pb2.CreateJobRequest(spec=jobs_pb2.CalibrationSpec(**spec)))

    def upload(self, content):
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs.StartUpload(blobs_pb2.StartUploadRequest(sha256=sha256, size_bytes=len(content)))
        self.blobs.WriteUpload(iter([blobs_pb2.WriteUploadRequest(sha256=sha256, offset=0, data=content)]))
        return sha256

    def create_model(self, model_id, **model):
        request = models_pb2.CreateModelRequest(model_id=model_id, model=models_pb2.Model(**model))
        return lambda: self.models.CreateModel(request)

    def calibrate(self, *arguments):
        return self.server.haq("calibrate", *arguments, "--watch", "--json")

    def test_no_such_model(self):
        error = self.assert_grpc_error(self.create_job(model="models/absent"), grpc.StatusCode.NOT_FOUND,
                                       "spec.model", "models/absent")
        self.assertEqual(self.violations(error), ["spec.model"])
        outcome = self.server.haq("calibrate", "absent", "--calibration", "calibration", "--evaluation", "test")
        self.assertEqual(outcome.code, 3, outcome)
        self.assertIn("models/absent", outcome.err)
        self.assertEqual(self.server.haq("models", "show", "absent").code, 3)
        self.assertEqual(self.server.haq("infer", "absent", next(EVALUATION.glob("*/*"))).code, 3)

    def test_no_such_dataset(self):
        for field in ("calibration_dataset", "evaluation_dataset"):
            self.assert_grpc_error(self.create_job(**{field: "datasets/absent"}), grpc.StatusCode.NOT_FOUND,
                                   f"spec.{field}", "datasets/absent")

    def test_wrong_shape(self):
        sha256 = self.upload(MODEL.read_bytes())
        for shape in ([], [3, 32], [3, 0, 32], [3, -1, 32], [4, 32, 32], [3, 1 << 40, 1 << 40]):
            with self.subTest(shape):
                error = self.assert_grpc_error(
                    self.create_model("shape", sha256=sha256, input_shape=shape), grpc.StatusCode.INVALID_ARGUMENT,
                    "model.input_shape")
                self.assertEqual(self.violations(error), ["model.input_shape"])

    def test_shape_that_the_network_does_not_take(self):
        self.must("models", "push", "gray", MODEL, "--input-shape", "1,32,32")
        outcome = self.calibrate("gray", "--calibration", "calibration", "--evaluation", "test")
        self.assertEqual(outcome.code, 1, outcome)
        job = outcome.lines()[-1]["job"]
        self.assertEqual((job["state"], job["error_code"]), ("FAILED", "INVALID_ARGUMENT"), job["error"])
        self.assertIn("input of 1x1x32x32", job["error"])

    def test_empty_dataset(self):
        request = datasets_pb2.CreateDatasetRequest(dataset_id="empty")
        error = self.assert_grpc_error(lambda: self.datasets.CreateDataset(request),
                                       grpc.StatusCode.INVALID_ARGUMENT, "dataset.shards", "empty")
        self.assertEqual(self.violations(error), ["dataset.shards"])
        folder = self.server.folder / "empty"
        folder.mkdir()
        outcome = self.server.haq("datasets", "push", "empty", folder)
        self.assertEqual(outcome.code, 4, outcome)
        self.assertIn(str(folder), outcome.err)

    def test_labels_out_of_the_models_range(self):
        folder, labels = self.server.folder / "far", self.server.folder / "far.txt"
        for path, label in harness.images(EVALUATION, 10):
            (folder / f"c{label}").mkdir(parents=True)
            (folder / f"c{label}" / path.name).write_bytes(path.read_bytes())
        labels.write_text("".join(f"unused{i}\n" for i in range(5)) + "".join(f"c{i}\n" for i in range(10)))
        self.must("datasets", "push", "far", folder, "--labels", labels)
        outcome = self.calibrate("demo", "--calibration", "calibration", "--evaluation", "far",
                                 "--limit-calibration", "20")
        self.assertEqual(outcome.code, 1, outcome)
        job = outcome.lines()[-1]["job"]
        self.assertEqual((job["state"], job["error_code"]), ("FAILED", "INVALID_ARGUMENT"), job["error"])
        self.assertIn("label", job["error"])
        # A model that names its classes is refused at once.
        classes = self.server.folder / "classes.txt"
        classes.write_text("".join(f"class {i}\n" for i in range(10)))
        self.must("models", "push", "named", MODEL, "--input-shape", harness.INPUT_SHAPE, "--classes", classes)
        self.assert_grpc_error(self.create_job(model="models/named", evaluation_dataset="datasets/far"),
                               grpc.StatusCode.INVALID_ARGUMENT, "spec.evaluation_dataset", "14")

    def test_a_file_that_is_no_model(self):
        text = self.server.folder / "notes.pt"
        text.write_text("This is no network.")
        outcome = self.server.haq("models", "push", "notes", text, "--input-shape", harness.INPUT_SHAPE)
        self.assertEqual(outcome.code, 4, outcome)
        self.assertIn("model", outcome.err)
        error = self.assert_grpc_error(
            self.create_model("notes", sha256=self.upload(b"no network"), input_shape=[3, 32, 32]),
            grpc.StatusCode.INVALID_ARGUMENT, "model")
        self.assertEqual(self.violations(error), ["model"])

    def test_a_truncated_model(self):
        content = MODEL.read_bytes()
        for size in (len(content) // 2, len(content) - 1):
            error = self.assert_grpc_error(
                self.create_model("cut", sha256=self.upload(content[:size]), input_shape=[3, 32, 32]),
                grpc.StatusCode.INVALID_ARGUMENT, "model", "truncated")
            self.assertEqual(self.violations(error), ["model"])

    def test_a_model_whose_bytes_are_damaged_fails_its_job(self):
        path = self.server.folder / "damaged.pt"
        harness.rewrite_code(MODEL, path, lambda text: text.replace("def forward", "dfe forward"))
        self.must("models", "push", "damaged", path, "--input-shape", harness.INPUT_SHAPE)
        outcome = self.calibrate("damaged", "--calibration", "calibration", "--evaluation", "test")
        self.assertEqual(outcome.code, 1, outcome)
        self.assertEqual(outcome.lines()[-1]["job"]["error_code"], "INVALID_ARGUMENT")

    def test_ten_gigabytes(self):
        request = blobs_pb2.StartUploadRequest(sha256="0" * 64, size_bytes=10 << 30)
        error = self.assert_grpc_error(lambda: self.blobs.StartUpload(request),
                                       grpc.StatusCode.RESOURCE_EXHAUSTED, "size_bytes")
        self.assertEqual(self.violations(error), ["size_bytes"])

    def test_unknown_choices(self):
        for field, value, allowed in (("method", "magic", "redistribution, minmax, moving_minmax, histogram, percentile, kl"),
                                      ("scheme", "magic", "hybrid, symmetric, asymmetric"),
                                      ("preset", "magic", "fast, best"),
                                      ("weights", "magic", "per_channel, per_tensor"),
                                      ("wide_count", -1, "0 (none) to 1000"), ("wide_count", 1 << 40, "to 1000"),
                                      ("limit_evaluation", -1, "negative")):
            with self.subTest(field):
                error = self.assert_grpc_error(self.create_job(**{field: value}),
                                               grpc.StatusCode.INVALID_ARGUMENT, f"spec.{field}", allowed)
                self.assertEqual(self.violations(error), [f"spec.{field}"])
        for option, allowed in (("method", "redistribution, minmax"), ("scheme", "hybrid, symmetric, asymmetric"),
                                ("preset", "fast, best")):
            with self.subTest(option):
                outcome = self.server.haq("calibrate", "demo", "--calibration", "calibration", "--evaluation", "test",
                                          f"--{option}", "magic", "--json")
                self.assertEqual(outcome.code, 4, outcome)
                self.assertIn(f'"field":"spec.{option}"', outcome.err)
                self.assertIn(allowed, outcome.err)
                outcome = run("haq-worker", "quantize", MODEL, "--input-shape", harness.INPUT_SHAPE, "--calibration",
                              harness.CALIBRATION, "--evaluation", EVALUATION, "--output", "/dev/null",
                              f"--{option}", "magic")
                self.assertEqual(outcome.code, 4, outcome)
                self.assertIn(f"{option}: unknown", outcome.err)
                self.assertIn(allowed, outcome.err)

    def push_plain(self, name, levels):
        """A calibration set of 32 x 32 images, each of one grey level."""
        folder = self.server.folder / name
        folder.mkdir()
        for i, level in enumerate(levels):
            (folder / f"{i}.png").write_bytes(harness.plain_png(32, level))
        self.must("datasets", "push", name, folder)

    def test_poor_calibration_sets_work_and_say_so(self):
        self.push_plain("one", [128])
        self.push_plain("identical", [200] * 12)
        self.push_plain("black", [0] * 12)
        for dataset, expected in (("one", "chosen from 1 image only"), ("identical", "12 images are all the same"),
                                  ("black", "12 images are all the same")):
            with self.subTest(dataset):
                lines = self.ok(self.calibrate("demo", "--calibration", dataset, "--evaluation", "test",
                                               "--limit-evaluation", "20")).lines()
                job = lines[-1]["job"]
                self.assertEqual((job["state"], job["report"]["images"]), ("SUCCEEDED", 20))
                self.assertIn(expected, job["report"]["warnings"][0])
                logs = [line["event"]["log"] for line in lines if "log" in line.get("event", {})]
                self.assertEqual(logs, [{"level": "warning", "message": w} for w in job["report"]["warnings"]])
                self.assertIn(f"warning      {job['report']['warnings'][0]}\n", self.must("jobs", "show", job["name"]).out)

    def test_a_wide_tensor_that_does_not_exist(self):
        outcome = self.calibrate("demo", "--calibration", "calibration", "--evaluation", "test", "--wide", "inptu")
        self.assertEqual(outcome.code, 1, outcome)
        job = outcome.lines()[-1]["job"]
        self.assertEqual(job["error_code"], "INVALID_ARGUMENT")
        self.assertIn('wide_tensors[0]: the network has no tensor "inptu"; near names are input, ', job["error"])
        outcome = run("haq-worker", "quantize", MODEL, "--input-shape", harness.INPUT_SHAPE, "--calibration",
                      harness.CALIBRATION, "--evaluation", EVALUATION, "--output", "/dev/null", "--wide", "inptu")
        self.assertEqual(outcome.code, 4, outcome)
        self.assertIn("near names are input, ", outcome.err)

    def test_duplicate_names(self):
        sha256 = self.upload(MODEL.read_bytes())
        self.assert_grpc_error(self.create_model("demo", sha256=sha256, input_shape=[3, 32, 32]),
                               grpc.StatusCode.ALREADY_EXISTS, "models/demo")
        outcome = self.server.haq("models", "push", "demo", MODEL, "--input-shape", harness.INPUT_SHAPE)
        self.assertEqual(outcome.code, 6, outcome)
        self.assertIn("models/demo", outcome.err)
        shard = self.datasets.GetDataset(datasets_pb2.GetDatasetRequest(name="datasets/test")).shards[0].sha256
        request = datasets_pb2.CreateDatasetRequest(
            dataset_id="test", dataset=datasets_pb2.Dataset(shards=[datasets_pb2.Shard(sha256=shard)]))
        self.assert_grpc_error(lambda: self.datasets.CreateDataset(request), grpc.StatusCode.ALREADY_EXISTS,
                               "datasets/test")
        outcome = self.server.haq("datasets", "push", "test", EVALUATION)
        self.assertEqual(outcome.code, 6, outcome)
        self.assertIn("datasets/test", outcome.err)

    def test_repeated_request_is_no_duplicate(self):
        sha256 = self.upload(MODEL.read_bytes())
        request = models_pb2.CreateModelRequest(
            model_id="twice", model=models_pb2.Model(sha256=sha256, input_shape=[3, 32, 32]), request_id="the same")
        self.assertEqual(self.models.CreateModel(request), self.models.CreateModel(request))

    def test_names_that_are_none(self):
        for model_id in ("", "UPPER", "a/b", "-a", "a" * 65):
            with self.subTest(model_id):
                self.assert_grpc_error(self.create_model(model_id, sha256="0" * 64, input_shape=[3, 32, 32]),
                                       grpc.StatusCode.INVALID_ARGUMENT, "model_id")

    def test_a_preprocess_file_with_an_unknown_key(self):
        path = self.server.folder / "preprocess.json"
        path.write_text('{"scale": 1, "rotate": 90}')
        outcome = self.server.haq("models", "push", "rotated", MODEL, "--input-shape", harness.INPUT_SHAPE,
                                  "--preprocess", path)
        self.assertEqual(outcome.code, 4, outcome)
        self.assertIn("rotate", outcome.err)


class QueuedJobs(ServerTest):
    """A server without workers: jobs stay queued."""

    arguments = ("--workers", "0")

    @classmethod
    def prepare(cls):
        cls.push_demo()

    def test_dataset_deleted_while_its_job_is_queued(self):
        job = self.must("calibrate", "demo", "--calibration", "calibration", "--evaluation", "test",
                        "--json").json()["name"]
        refused = self.server.haq("datasets", "delete", "test")
        self.assertEqual(refused.code, 8, refused)
        self.assertIn(job, refused.err)
        self.assertEqual(self.server.haq("datasets", "show", "test").code, 0)
        self.must("datasets", "delete", "test", "--force")
        failed = self.server.haq("jobs", "watch", job, "--json")
        self.assertEqual(failed.code, 1, failed)
        end = failed.lines()[-1]["job"]
        self.assertEqual((end["state"], end["error_code"]), ("FAILED", "FAILED_PRECONDITION"))
        self.assertIn("datasets/test", end["error"])
        self.assertEqual(self.server.haq("datasets", "show", "test").code, 3)

    def test_cancel_a_queued_job(self):
        job = self.must("calibrate", "demo", "--calibration", "calibration", "--evaluation", "calibration",
                        "--json").json()["name"]
        self.must("jobs", "cancel", job)
        self.assertEqual(self.server.haq("jobs", "watch", job).code, 7)


class Start(unittest.TestCase):
    """A server that cannot start says why, and ends."""

    def start(self, data_dir, *more):
        return run("haq-server", "--data-dir", data_dir, "--http-port", 0, "--metrics-port", 0, *more)

    def test_data_folder_that_is_not_writable(self):
        # /proc cannot be written even by root.
        outcome = self.start("/proc/haq-data", "--grpc-port", 0)
        self.assertEqual(outcome.code, 8, outcome)
        self.assertIn("/proc/haq-data", outcome.err)

    def test_port_in_use(self):
        server = harness.Server()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            try:
                outcome = self.start(server.data_dir, "--grpc-port", port)
            finally:
                server.stop()
        self.assertEqual(outcome.code, 8, outcome)
        self.assertIn(str(port), outcome.err)

    def test_data_folder_in_use(self):
        server = harness.Server("--workers", "0").start()
        try:
            outcome = self.start(server.data_dir, "--grpc-port", 0)
        finally:
            server.stop()
        self.assertEqual(outcome.code, 8, outcome)
        self.assertIn(str(server.data_dir), outcome.err)


if __name__ == "__main__":
    unittest.main()
