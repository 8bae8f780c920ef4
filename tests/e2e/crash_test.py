#!/usr/bin/env python3
"""Processes that die in the middle of a job: it finishes all the same, with the same bits."""
import os
import signal
import unittest

import harness
from harness import MODEL, ServerTest, wait_for


def nest(depth):
    """Puts the network's last expression in so many parentheses, which LibTorch's parser follows down."""
    def change(text):
        begin = text.rindex("return ") + len("return ")
        end = text.index("\n", begin)
        return text[:begin] + "(" * depth + text[begin:end] + ")" * depth + text[end:]
    return change


class Crash(ServerTest):
    env = {"HAQ_CHECKPOINT_INTERVAL_MS": "100"}

    @classmethod
    def prepare(cls):
        cls.push_demo()
        cls.spec = ["demo", "--calibration", "test", "--evaluation", "calibration", "--limit-calibration", "800",
                    "--limit-evaluation", "100"]
        cls.undisturbed = cls.must("calibrate", *cls.spec, "--watch", "--json").lines()[-1]["job"]

    def job(self, name):
        return self.ok(self.server.haq("jobs", "show", name, "--json")).json()

    def sha256(self, artifact):
        return self.ok(self.server.haq("artifacts", "show", artifact, "--json")).json()["sha256"]

    def start_and_wait_for_checkpoint(self):
        name = self.must("calibrate", *self.spec, "--json").json()["name"]

        def checkpointed():
            job = self.job(name)
            self.assertIn(job["state"], ("QUEUED", "RUNNING"), "the job ended before it could be disturbed")
            folder = self.server.data_dir / "checkpoints"
            progress = job["progress"]
            return progress and progress["phase"] == "calibrate" and any(folder.iterdir())

        wait_for(checkpointed, "a checkpoint")
        return name

    def check_same_result(self, name, attempts):
        watched = self.ok(self.server.haq("jobs", "watch", name, "--json"))
        job = watched.lines()[-1]["job"]
        self.assertEqual(job["state"], "SUCCEEDED")
        self.assertEqual(job["attempt"], attempts)
        self.assertEqual(self.sha256(job["artifact"]), self.sha256(self.undisturbed["artifact"]))
        for figure in ("fp32", "int8", "agreement", "sqnr_db"):
            self.assertEqual(job["report"][figure], self.undisturbed["report"][figure])
        sequences = [line["event"]["sequence"] for line in watched.lines()[:-1]]
        self.assertEqual(sequences, list(range(1, job["last_sequence"] + 1)))
        self.assertIn(f"{name}: attempt {attempts}, from a checkpoint", self.server.log())

    def test_killed_worker(self):
        name = self.start_and_wait_for_checkpoint()
        [pid] = self.server.worker_pids()
        os.kill(pid, signal.SIGKILL)
        self.check_same_result(name, 2)

    def test_killed_server(self):
        name = self.start_and_wait_for_checkpoint()
        [pid] = self.server.worker_pids()
        watcher = self.server.haq_process("jobs", "watch", name, "--json")
        first = watcher.stdout.readline()
        self.server.kill()
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the worker, which dies with its server")
        self.server.start()
        self.check_same_result(name, 2)
        # A client that watched all the time did not notice.
        rest = watcher.stdout.read()
        self.assertEqual(watcher.wait(timeout=60), 0, watcher.stderr.read())
        watcher.stdout.close()
        watcher.stderr.close()
        self.assertEqual(first + rest, self.server.haq("jobs", "watch", name, "--json").out)

    def test_model_that_crashes_the_worker(self):
        path = self.server.folder / "deep.pt"
        harness.rewrite_code(MODEL, path, nest(100_000))
        self.must("models", "push", "deep", path, "--input-shape", harness.INPUT_SHAPE)
        deep = ["deep", "--calibration", "calibration", "--evaluation", "calibration"]
        failed = self.server.haq("calibrate", *deep, "--watch", "--json")
        self.assertEqual(failed.code, 1, failed)
        job = failed.lines()[-1]["job"]
        self.assertEqual((job["state"], job["error_code"], job["attempt"]), ("FAILED", "INTERNAL", 1))
        self.assertIn("signal 11", job["error"])
        self.assertIn("import", job["error"])
        # Nothing else failed: the server answers, and the next worker takes the next job.
        image = harness.images(harness.EVALUATION, 1)[0][0]
        self.ok(self.server.haq("infer", "demo", image))
        self.ok(self.server.haq("calibrate", "demo", "--calibration", "calibration", "--evaluation", "calibration",
                                "--limit-calibration", "20", "--limit-evaluation", "20", "--watch", "--json"))

    def test_no_scratch_is_left(self):
        wait_for(lambda: self.job(self.undisturbed["name"])["state"] == "SUCCEEDED", "the first job")
        left = [path for path in self.server.data_dir.rglob("haq-worker-*") if path.is_dir()]
        for path in left:
            owner = int(path.name.split("-")[2])
            self.assertIn(owner, self.server.worker_pids(), f"{path} was left behind")


class Stall(ServerTest):
    """A worker that is allowed less time between two steps than any step takes."""

    env = {"HAQ_STALL_TIMEOUT_MS": "2"}

    @classmethod
    def prepare(cls):
        cls.push_demo()

    def test_a_job_that_does_not_move_fails_with_the_reason(self):
        failed = self.server.haq("calibrate", "demo", "--calibration", "calibration", "--evaluation", "calibration",
                                 "--watch", "--json")
        self.assertEqual(failed.code, 1, failed)
        job = failed.lines()[-1]["job"]
        self.assertEqual((job["state"], job["error_code"], job["attempt"]), ("FAILED", "DEADLINE_EXCEEDED", 1))
        self.assertIn("no progress", job["error"])
        wait_for(lambda: "exited with code 70" in self.server.log(), "the end of the worker")
        wait_for(self.server.worker_pids, "the next worker")


if __name__ == "__main__":
    unittest.main()
