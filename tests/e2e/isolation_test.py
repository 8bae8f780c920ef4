#!/usr/bin/env python3
"""Workers without network, files, privileges: jobs run all the same, and limits end those that do not keep them."""
import os
import pathlib
import re
import shutil
import time
import unittest
import urllib.request

import harness
from harness import ServerTest, wait_for

JOB = ["demo", "--calibration", "calibration", "--evaluation", "calibration", "--limit-calibration", "20",
       "--limit-evaluation", "20", "--watch", "--json"]
# Some seconds of work.
LONG_JOB = ["demo", "--calibration", "test", "--evaluation", "test", "--preset", "best", "--watch", "--json"]


def machine_can():
    """Whether --worker-isolation require starts here."""
    server = harness.Server("--worker-isolation", "require")
    try:
        server.start()
        return True
    except AssertionError as error:
        print(error)
        return False
    finally:
        server.stop()


class Limited(ServerTest):
    """What all classes below share."""

    @classmethod
    def prepare(cls):
        cls.push_demo()

    def fails(self, job=LONG_JOB):
        failed = self.server.haq("calibrate", *job)
        self.assertEqual(failed.code, 1, failed)
        job = failed.lines()[-1]["job"]
        self.assertEqual((job["state"], job["attempt"]), ("FAILED", 1))
        wait_for(self.server.worker_pids, "the next worker")
        return job


@unittest.skipUnless(machine_can(), "this machine does not have all of the isolation")
class Required(Limited):
    arguments = ("--worker-isolation", "require")

    def status(self, pid):
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def test_every_job_has_a_process_that_can_do_nothing_else(self):
        [first] = wait_for(self.server.worker_pids, "a worker")
        wait_for(lambda: "asks unix:../worker.sock for jobs" in self.server.log(), "the worker")
        status = self.status(first)
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["Seccomp"], "2")
        for kind in ("CapEff", "CapPrm", "CapBnd"):
            self.assertEqual(int(status[kind], 16), 0)
        if os.geteuid() == 0:
            self.assertNotIn("0", status["Uid"].split())
        limits = pathlib.Path(f"/proc/{first}/limits").read_text()
        self.assertRegex(limits, r"Max data size +17179869184")
        self.assertRegex(limits, r"Max core file size +0 +0")
        folder = os.readlink(f"/proc/{first}/cwd")
        self.ok(self.server.haq("calibrate", *JOB))
        wait_for(lambda: first not in self.server.worker_pids(), "the end of the process after its job")
        wait_for(lambda: not os.path.exists(folder), "the end of its folder")
        self.ok(self.server.haq("calibrate", *JOB))
        self.assertNotIn("warning worker", self.server.log(), "a worker that is done is nothing to warn of")

    def test_what_is_on_is_told(self):
        url = f"http://127.0.0.1:{self.server.ports['metrics']}/metrics"
        text = urllib.request.urlopen(url, timeout=10).read().decode()
        found = dict(re.findall(r'haq_worker_isolation{mechanism="(\w+)"} (\d)', text))
        for mechanism in ("capabilities", "landlock", "limits", "no_new_privileges", "seccomp"):
            self.assertEqual(found[mechanism], "1")
        self.assertRegex(self.server.log(), r"isolation of workers: on: .*landlock, seccomp")
        self.assertRegex(self.server.log(), r"haq-worker.*isolation: user \d+, no new privileges, system calls filtered")


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "not root, or no setpriv")
@unittest.skipUnless(machine_can(), "this machine does not have all of the isolation")
class WithoutRoot(Limited):
    """The server of an ordinary user isolates its workers as well."""

    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server("--worker-isolation", "require",
                                    prefix=("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"))
        os.chown(cls.server.folder, 12345, 12345)
        try:
            cls.server.start()
            cls.prepare()
        except BaseException:
            print(cls.server.log()[-4000:])
            cls.server.stop()
            raise

    def test_a_job(self):
        self.assertIn("on: network_namespace, user, capabilities", self.server.log())
        self.ok(self.server.haq("calibrate", *JOB))


class CpuTime(Limited):
    # libgomp's threads spin while they wait, which is time of the job as well.
    env = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
    arguments = ("--worker-max-cpu-seconds", "3")

    def test_a_job_over_it_fails_at_once_and_the_next_goes_on(self):
        job = self.fails()
        self.assertEqual(job["error_code"], "RESOURCE_EXHAUSTED")
        self.assertIn("its limit of 3 s of CPU time (--worker-max-cpu-seconds)", job["error"])
        self.ok(self.server.haq("calibrate", *JOB))


MOBILENET = harness.SHARED / "models/mobilenet_v2_imagenet.pt"


@unittest.skipUnless(MOBILENET.exists(), f"{MOBILENET} is missing")
class Memory(Limited):
    # Enough for the libraries, too little for the network.
    arguments = ("--worker-max-memory-bytes", str(500 << 20))
    env = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

    def test_a_job_over_it_fails_at_once(self):
        preprocess = self.server.folder / "preprocess.json"
        preprocess.write_text('{"resize": {"size": [224, 224]}}')
        self.must("models", "push", "large", MOBILENET, "--input-shape", "3,224,224", "--preprocess", preprocess)
        job = self.fails(["large", *LONG_JOB[1:]])
        # Not every allocation of LibTorch is looked at: a refused one may also crash the worker.
        if job["error_code"] == "INTERNAL":
            self.assertIn("the worker crashed", job["error"])
        else:
            self.assertEqual(job["error_code"], "RESOURCE_EXHAUSTED", job)
            self.assertIn(f"out of memory; its limit is {500 << 20} bytes (--worker-max-memory-bytes)", job["error"])


class Deadline(Limited):
    arguments = ("--max-job-seconds", "1")

    def test_a_job_over_it_fails_and_its_worker_is_ended(self):
        [pid] = wait_for(self.server.worker_pids, "a worker")
        job = self.fails()
        self.assertEqual(job["error_code"], "DEADLINE_EXCEEDED")
        self.assertIn("more than 1 s (--max-job-seconds)", job["error"])
        wait_for(lambda: pid not in self.server.worker_pids(), "the end of the worker")


class Off(Limited):
    arguments = ("--worker-isolation", "off")

    def test_a_job(self):
        [first] = wait_for(self.server.worker_pids, "a worker")
        self.ok(self.server.haq("calibrate", *JOB))
        self.assertIn("isolation of workers: off", self.server.log())
        time.sleep(0.5)
        self.assertEqual(self.server.worker_pids(), [first], "one process for all jobs")


if __name__ == "__main__":
    unittest.main()
