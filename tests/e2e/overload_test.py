#!/usr/bin/env python3
"""A thousand connections that ask for five times what the server can do: who is served is served, the rest is told so at
once, and nothing grows."""
import resource
import sys
import unittest

import harness
from harness import EVALUATION, ServerTest

CONNECTIONS = 1000
MAX_QUEUE = 64


class Overload(ServerTest):
    arguments = ("--workers", "1", "--threads", "1", "--max-queue", str(MAX_QUEUE))

    @classmethod
    def prepare(cls):
        cls.push_demo()
        cls.must("calibrate", "demo", "--calibration", "calibration", "--evaluation", "test",
                 "--limit-calibration", "50", "--limit-evaluation", "50", "--watch")
        cls.image = harness.images(EVALUATION, 1)[0][0]

    def bench(self, *arguments):
        done = self.ok(harness.run("haq", "bench-serve", "demo", "--server", self.server.address, "--warmup", 0.3,
                                   "--json", *arguments))
        return done.json()["levels"][0]

    def resident_bytes(self):
        for line in open(f"/proc/{self.server.process.pid}/status"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def overload(self, rate):
        return self.bench("--request-rate", rate, "--spacing", "poisson", "--connections", CONNECTIONS, "--duration", 3,
                          "--datatype", "UINT8", "--batch", 16)

    def test_the_rest_is_refused_at_once(self):
        alone = self.bench("--clients", 16, "--duration", 1, "--datatype", "UINT8", "--batch", 16)
        self.assertEqual(list(alone["codes"]), ["OK"])
        rate = 5 * alone["requests_per_second"]
        first = self.overload(rate)
        before = self.resident_bytes()
        again = self.overload(rate)
        after = self.resident_bytes()
        for level in (first, again):
            self.assertEqual(set(level["codes"]), {"OK", "RESOURCE_EXHAUSTED"}, level)
            self.assertEqual(level["not_sent"], 0)
            # Who is refused does not wait for who is served.
            self.assertLess(level["failed_latency_ms"]["p50"], level["latency_ms"]["p50"] / 4, level)
        # A second time takes no more memory than the first: buffers of a thousand connections are there already.
        self.assertLess(after, before + (32 << 20))
        # And the server is as good as before.
        answered = self.ok(self.server.haq("infer", "demo", self.image, "--json")).json()
        self.assertEqual(len(answered["results"]), 1)
        self.assertIsNone(self.server.process.poll())


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CONNECTIONS + 200:
        print(f"skipped: {CONNECTIONS} connections need more open files than {hard}")
        sys.exit(77)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CONNECTIONS + 200), hard))
    unittest.main()
