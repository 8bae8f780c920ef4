#!/usr/bin/env python3
"""kill -9 of server and workers at random moments: nothing that was acknowledged is lost, nothing half-made is seen.

HAQ_TEST_KILLS is how often (20), HAQ_TEST_SEED the seed.
"""
import os
import pathlib
import random
import signal
import sqlite3
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import harness  # noqa: E402
from harness import CALIBRATION, MODEL, wait_for  # noqa: E402
from ledger import ENDED, Ledger, sha256, shard_of, variant_of  # noqa: E402

from haq.v1 import jobs_pb2, models_pb2  # noqa: E402

KILLS = int(os.environ.get("HAQ_TEST_KILLS", "20"))
SEED = int(os.environ.get("HAQ_TEST_SEED", str(random.SystemRandom().randrange(1 << 32))))
MOMENT_S = (0.05, 1.5)   # between two kills
MAX_ACTIVE_JOBS = 3


class Kill(unittest.TestCase):
    def setUp(self):
        print(f"HAQ_TEST_SEED={SEED} HAQ_TEST_KILLS={KILLS}", flush=True)
        self.random = random.Random(SEED)
        self.images = harness.images(CALIBRATION, 40)
        self.server = harness.Server(env={"HAQ_CHECKPOINT_INTERVAL_MS": "50", "OMP_WAIT_POLICY": "passive"})
        self.addCleanup(self.server.stop)
        self.server.start()
        self.ledger = Ledger(self.server.address, SEED + 1)
        self.stop = threading.Event()
        self.failures = []

    # What clients do meanwhile.

    def upload_and_delete(self, number):
        """Makes models and datasets of their own content, and deletes some."""
        choose, made = random.Random(SEED * 7 + number), 0
        while not self.stop.is_set():
            made += 1
            name = f"c{number}-{made}"
            if choose.random() < 0.5:
                self.ledger.create_model(name, variant_of(MODEL, name))
                delete = self.ledger.delete_model
            else:
                picked = choose.sample(self.images, 12)
                note = [(picked[0][0], made * 10 + number)]  # a label that makes it unlike any other
                self.ledger.create_dataset(name, [shard_of(picked + note), shard_of(picked[:5] + note * 2)])
                delete = self.ledger.delete_dataset
            if choose.random() < 0.5:
                delete(name)

    def calibrate(self, number):
        """Keeps a few jobs going; some lose their model."""
        choose, made = random.Random(SEED * 11 + number), 0
        while not self.stop.is_set():
            active = [name for name in self.ledger.jobs if name not in self.ended
                      and self.ledger.get_job(name).state not in ENDED]
            self.ended.update(set(self.ledger.jobs) - set(active))
            if len(active) >= MAX_ACTIVE_JOBS:
                time.sleep(0.1)
                continue
            made += 1
            name = f"j{number}-{made}"
            self.ledger.create_model(name, variant_of(MODEL, name))
            self.ledger.create_job(name, "base", choose.choice((5, 20)))
            if choose.random() < 0.15:
                time.sleep(choose.uniform(0, 1))
                self.ledger.delete_model(name)

    def promote(self):
        """Sends the two versions of one model back and forth; `served` are those that may be the served one."""
        stub = self.ledger.stubs.models
        while not self.stop.is_set():
            wanted = 3 - max(self.served)
            request = models_pb2.PromoteVersionRequest(name=f"models/promoted/versions/{wanted}")
            self.served = {1, 2}
            self.ledger.repeat(lambda: stub.PromoteVersion(request, timeout=20))
            self.served = {wanted}
            shown = self.ledger.repeat(lambda: stub.GetModel(models_pb2.GetModelRequest(name="models/promoted"),
                                                             timeout=20))
            self.assertEqual(shown.served_version, f"models/promoted/versions/{wanted}")
            time.sleep(0.05)

    def guarded(self, work, *arguments):
        try:
            work(*arguments)
        except BaseException as error:  # pylint: disable=broad-except
            self.failures.append(f"{work.__name__}: {error!r}")

    # The other side.

    def kill_server(self):
        self.server.kill()
        folder = self.server.data_dir
        self.server.start()
        left = [path.name for path in (folder / "uploads").glob("artifact-*")]
        # The worker of the new server may have begun to hand in one; it cannot have done so twice.
        self.assertLessEqual(len(left), 1, left)

    def kill_worker(self):
        for pid in self.server.worker_pids():
            os.kill(pid, signal.SIGKILL)

    def disturb(self):
        servers = workers = 0
        while servers + workers < KILLS and not self.failures:
            time.sleep(self.random.uniform(*MOMENT_S))
            if self.random.random() < 0.6:
                self.kill_server()
                servers += 1
            elif self.server.worker_pids():
                self.kill_worker()
                workers += 1
        print(f"killed the server {servers} times, its worker {workers} times", flush=True)

    # What must hold afterwards.

    def check_objects(self):
        models, datasets = self.ledger.all_models(), self.ledger.all_datasets()
        self.assertEqual({name: model.sha256 for name, model in models.items()}, self.ledger.models)
        self.assertEqual({name: [shard.sha256 for shard in dataset.shards] for name, dataset in datasets.items()},
                         self.ledger.datasets)
        for digest, content in self.ledger.blobs.items():
            self.assertEqual(self.ledger.read_blob(digest), content, digest)

    def check_jobs(self):
        results = {"SUCCEEDED": 0, "FAILED": 0}
        for name, model in self.ledger.jobs.items():
            job = self.ledger.get_job(name)
            events = self.ledger.events(name)
            self.assertEqual([event.sequence for event in events], list(range(1, job.last_sequence + 1)), name)
            ends = [event.state_change.state for event in events
                    if event.HasField("state_change") and event.state_change.state in ENDED]
            self.assertEqual(ends, [job.state], f"{name} ends once")
            self.assertEqual(events[-1].state_change.state, job.state, name)
            results[jobs_pb2.JobState.Name(job.state)] += 1
            if job.state == jobs_pb2.SUCCEEDED:
                if model in self.ledger.models:
                    artifact = self.ledger.artifact(job.artifact)
                    self.assertEqual(sha256(self.ledger.download_artifact(job.artifact)), artifact.sha256)
                    self.assertEqual(artifact.job, name)
            else:
                deleted = job.error_code == "FAILED_PRECONDITION" and f"models/{model}" in self.ledger.deleted
                gave_up = job.error_code == "UNAVAILABLE" and "3 attempts" in job.error
                self.assertTrue(deleted or gave_up, f"{name}: {job.error_code}: {job.error}")
        print(f"jobs: {results}, repeated calls: {self.ledger.repeats}", flush=True)
        self.assertGreater(results["SUCCEEDED"], 0)

    def check_served(self):
        shown = self.ledger.all_models()["promoted"]
        self.assertIn(int(shown.served_version.split("/")[-1]), self.served)
        image = self.images[0][0]
        answer = self.server.haq("infer", "promoted", image, "--json")
        self.assertEqual(answer.code, 0, answer)

    def check_folder(self):
        """With the server stopped: rows and files fit together."""
        folder = self.server.data_dir
        database = sqlite3.connect(folder / "haq.sqlite")
        self.assertEqual(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        referred = set()
        for table in ("models", "shards", "artifacts"):
            for digest, size in database.execute(f"SELECT sha256, size_bytes FROM {table}"):
                path = folder / "blobs" / digest[:2] / digest
                self.assertEqual(path.stat().st_size, size, f"{table}: {digest}")
                referred.add(digest)
        database.close()
        stored = {path.name for path in (folder / "blobs").rglob("*") if path.is_file()}
        for digest in stored:
            content = (folder / "blobs" / digest[:2] / digest).read_bytes()
            self.assertEqual(sha256(content), digest, "a half-made file under a finished name")
        self.assertEqual(list((folder / "uploads").glob("artifact-*")), [])
        self.assertEqual(list((folder / "checkpoints").iterdir()), [], "no job runs")
        return stored, referred

    def test_kill(self):
        self.ledger.create_dataset("base", [shard_of(self.images)])
        self.ledger.create_model("promoted", variant_of(MODEL, "promoted"))
        for _ in range(2):
            self.ledger.create_job("promoted", "base", 5)
        self.ledger.wait_for_jobs(60)
        self.ended, self.served = set(self.ledger.jobs), {2}
        work = [(self.upload_and_delete, 1), (self.upload_and_delete, 2), (self.calibrate, 1), (self.promote,)]
        threads = [threading.Thread(target=self.guarded, args=each) for each in work]
        for thread in threads:
            thread.start()
        try:
            self.disturb()
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(self.failures, [])
        self.ledger.wait_for_jobs(120)
        self.check_objects()
        self.check_jobs()
        self.check_served()
        self.server.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.process.wait(timeout=30), 0)
        _, referred = self.check_folder()
        # A grace time of nothing: the next start removes what no row refers to.
        self.server.arguments = ("--gc-grace-s", "0", "--workers", "0")
        self.server.start()
        self.check_objects()
        blobs = self.server.data_dir / "blobs"
        wait_for(lambda: {path.name for path in blobs.rglob("*") if path.is_file()} == referred,
                 "the removal of blobs that nothing refers to")


if __name__ == "__main__":
    unittest.main()
