#!/usr/bin/env python3
"""A backup that is made while clients work: restored, it serves the same bits."""
import pathlib
import random
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import harness  # noqa: E402
from harness import CALIBRATION, MODEL  # noqa: E402
from ledger import ENDED, Ledger, sha256, shard_of, variant_of  # noqa: E402


class Backup(unittest.TestCase):
    def setUp(self):
        self.server = harness.Server()
        self.addCleanup(self.server.stop)
        self.server.start()
        self.ledger = Ledger(self.server.address, 1)
        self.images = harness.images(CALIBRATION, 40)
        self.ledger.create_dataset("base", [shard_of(self.images)])
        self.ledger.create_model("served", variant_of(MODEL, "served"))
        self.ledger.create_job("served", "base", 20)
        self.ledger.wait_for_jobs(60)
        self.target = self.server.folder / "backup"

    def backup(self, *arguments):
        return harness.run("haq-server", "backup", self.target, "--data-dir", self.server.data_dir, *arguments)

    def restore(self, folder):
        return harness.run("haq-server", "restore", self.target, "--data-dir", folder)

    def ok(self, outcome):
        self.assertEqual(outcome.code, 0, outcome)
        return outcome

    def infer(self, server):
        return self.ok(server.haq("infer", "served", self.images[0][0], "--json")).json()

    def work(self, stop):
        """Models come and go, and jobs run."""
        choose, made = random.Random(5), 0
        while not stop.is_set():
            made += 1
            self.ledger.create_model(f"m{made}", variant_of(MODEL, str(made)))
            if choose.random() < 0.3:
                self.ledger.create_job(f"m{made}", "base", 20)
            if choose.random() < 0.5:
                self.ledger.delete_model(f"m{made}")

    def test_while_clients_work(self):
        stop = threading.Event()
        worker = threading.Thread(target=self.work, args=(stop,))
        worker.start()
        try:
            for _ in range(5):
                before = dict(self.ledger.models)
                self.ok(self.backup())
        finally:
            stop.set()
            worker.join()
        self.assertEqual(sorted(path.name for path in self.target.iterdir()), ["blobs", "haq.sqlite"])
        answer = self.infer(self.server)
        restored = harness.Server()
        self.addCleanup(restored.stop)
        self.ok(self.restore(restored.data_dir))
        restored.start()
        self.assertEqual(self.infer(restored), answer)
        copy = Ledger(restored.address, 2)
        models = copy.all_models()
        # What was acknowledged before the last backup began is there, unless it was deleted since.
        for name in before:
            if name in self.ledger.models:
                self.assertEqual(models[name].sha256, before[name])
        for model in models.values():
            self.assertEqual(sha256(copy.read_blob(model.sha256)), model.sha256)
        # Jobs that ran or waited go on in the copy.
        copy.jobs = {name: None for name in self.ledger.jobs
                     if int(name.split("/")[1]) <= self.last_job(copy)}
        copy.wait_for_jobs(120)
        self.assertTrue(all(copy.get_job(name).state in ENDED for name in copy.jobs))

    @staticmethod
    def last_job(copy):
        from haq.v1 import jobs_pb2
        listed = copy.stubs.jobs.ListJobs(jobs_pb2.ListJobsRequest(page_size=1), timeout=20)
        return int(listed.jobs[0].name.split("/")[1])

    def test_an_old_backup_is_brought_up_to_date(self):
        self.assertIn("3 of the blobs new", self.ok(self.backup()).out)
        self.ledger.create_model("another", variant_of(MODEL, "another"))
        self.assertIn("4 blobs", self.ok(self.backup()).out)
        self.assertIn(" 0 of the blobs new", self.ok(self.backup()).out)
        links = [path.stat().st_nlink for path in self.target.rglob("*") if path.is_file() and len(path.name) == 64]
        self.assertEqual(links, [2] * 4, "hard links of the server's blobs")

    def test_what_is_damaged_is_told(self):
        self.ok(self.backup())
        [blob] = self.target.rglob(self.ledger.models["served"])
        content = blob.read_bytes()
        blob.unlink()
        new = self.server.folder / "new"
        missing = self.restore(new)
        self.assertEqual(missing.code, 12, missing)
        self.assertIn("the backup is not whole", missing.err)
        blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        damaged = self.restore(new)
        self.assertEqual(damaged.code, 12, damaged)
        self.assertIn(f"{blob} is damaged", damaged.err)
        self.assertFalse(new.exists())
        blob.write_bytes(content)
        self.ok(self.restore(new))
        again = self.restore(new)
        self.assertIn("is not empty", again.err)
        self.assertNotEqual(again.code, 0)
        onto_server = harness.run("haq-server", "backup", self.server.data_dir, "--data-dir", new)
        self.assertIn("is the data folder of a server", onto_server.err)


if __name__ == "__main__":
    unittest.main()
