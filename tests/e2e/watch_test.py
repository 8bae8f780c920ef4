#!/usr/bin/env python3
"""Clients that die or are interrupted while they watch: every event is seen once in the end."""
import json
import re
import signal
import unittest

from harness import ServerTest, wait_for


class Watch(ServerTest):
    @classmethod
    def prepare(cls):
        cls.push_demo()

    def start_watched(self, *more):
        return self.server.haq_process("calibrate", "demo", "--calibration", "calibration", "--evaluation", "test",
                                       "--limit-calibration", "400", "--limit-evaluation", "300", "--watch", *more)

    def check_continued(self, job, seen):
        """Watches from the event after the last that was seen, to the end."""
        rest = self.server.haq("jobs", "watch", job, "--from-event", seen[-1] + 1, "--json")
        self.assertEqual(rest.code, 0, rest)
        lines = rest.lines()
        sequences = seen + [line["event"]["sequence"] for line in lines if "event" in line]
        self.assertEqual(lines[-1]["job"]["state"], "SUCCEEDED")
        self.assertEqual(sequences, list(range(1, lines[-1]["job"]["last_sequence"] + 1)))
        # And from the beginning again: events are stored.
        again = self.server.haq("jobs", "watch", job, "--json").lines()
        self.assertEqual([line["event"]["sequence"] for line in again[:-1]], sequences)

    def test_killed_client(self):
        client = self.start_watched("--json")
        job = json.loads(client.stdout.readline())["job"]["name"]
        seen = []
        while len(seen) < 4:
            seen.append(json.loads(client.stdout.readline())["event"]["sequence"])
        client.kill()
        client.communicate()
        self.assertEqual(self.server.haq("jobs", "show", job, "--json").json()["state"], "RUNNING")
        self.check_continued(job, seen)

    def test_interrupt_leaves_the_job_and_says_how_to_go_on(self):
        client = self.start_watched()
        job = client.stderr.readline().strip()
        self.assertRegex(job, r"^jobs/")
        while "calibrate" not in client.stderr.readline():
            pass
        client.send_signal(signal.SIGINT)
        _, rest = client.communicate(timeout=30)
        self.assertEqual(client.returncode, 130, rest)
        hint = re.search(r"haq jobs watch (\S+) --from-event (\d+)", rest)
        self.assertTrue(hint, rest)
        self.assertEqual("jobs/" + hint[1], job)
        self.check_continued(job, list(range(1, int(hint[2]))))

    def test_cancel(self):
        client = self.start_watched("--json")
        job = json.loads(client.stdout.readline())["job"]["name"]

        def calibrating():
            shown = self.server.haq("jobs", "show", job, "--json").json()
            return shown["progress"] and shown["progress"]["phase"] == "calibrate"

        wait_for(calibrating, "calibration")
        self.assertEqual(self.server.haq("jobs", "cancel", job).code, 0)
        out, err = client.communicate(timeout=60)
        self.assertEqual(client.returncode, 7, err)
        self.assertEqual(json.loads(out.splitlines()[-1])["job"]["state"], "CANCELLED")
        again = self.server.haq("jobs", "cancel", job)
        self.assertEqual(again.code, 8, again)

    def test_watching_nothing(self):
        self.assertEqual(self.server.haq("jobs", "watch", "999999").code, 3)


if __name__ == "__main__":
    unittest.main()
