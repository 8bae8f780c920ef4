#!/usr/bin/env python3
"""haq-server as a process: its startup line, signals, exit codes, and what it is linked to."""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import grpc

BINARY = sys.argv.pop()
ROOT = pathlib.Path(__file__).resolve().parents[4]


def get(port, path):
    """Status and body."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class ServerProcess(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="haq-server-")
        self.data = pathlib.Path(self.folder.name) / "data"
        self.processes = []

    def tearDown(self):
        for process in self.processes:
            process.kill()
            process.communicate()
        self.folder.cleanup()

    def start(self, arguments=(), environment=None):
        options = {"--data-dir": str(self.data), "--workers": "0", "--http-port": "0", "--grpc-port": "0",
                   "--metrics-port": "0"}
        options.update(arguments)
        command = [BINARY] + [word for option in options.items() for word in option if word]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, **(environment or {})})
        self.processes.append(process)
        return process

    def start_and_wait(self, arguments=(), **options):
        """The process, its startup line and its ports."""
        process = self.start(arguments, **options)
        line = process.stdout.readline()
        self.assertTrue(line.startswith("haq-server "), line)
        return process, line, json.loads((self.data / "run/ports.json").read_text())

    def run_to_end(self, arguments=()):
        process = self.start(arguments)
        _, errors = process.communicate(timeout=30)
        return process.returncode, errors

    def test_line_ports_and_a_graceful_stop(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process, line, ports = self.start_and_wait()
            for name in ("http", "grpc", "metrics"):
                self.assertIn(f"{name} 127.0.0.1:{ports[name]}", line)
            self.assertEqual(ports["pid"], process.pid)
            self.assertEqual(get(ports["http"], "/v2/health/live")[0], 200)
            self.assertEqual(get(ports["http"], "/v2/models/none/ready")[0], 404)
            status, text = get(ports["metrics"], "/metrics")
            self.assertEqual(status, 200)
            self.assertIn('haq_http_requests_total{code="404",route="/v2/models/{model}/ready"} 1', text)
            page = (ROOT / "docs/metrics.md").read_text()
            for metric in re.findall(r"^\| `(\w+)` \| (?:gauge|counter|histogram) ", page, re.M):
                # A metric per model, code or method begins with the first of them.
                if not metric.startswith(("haq_inference_requests_total", "haq_grpc_requests_total", "haq_served_",
                                          "haq_model_clipping_")):
                    self.assertRegex(text, rf"(?m)^{metric}(_count)?[{{ ]")
            process.send_signal(number)
            rest, errors = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 0, errors)
            self.assertEqual(rest, "")
            self.assertFalse((self.data / "run/ports.json").exists())

    def test_health_and_reflection_over_grpc(self):
        """Messages by hand: Debian has no stubs of these services."""
        process, _, ports = self.start_and_wait()
        serving, not_serving = b"\x08\x01", b"\x08\x02"

        def check_request(service):
            return b"\x0a" + bytes([len(service)]) + service.encode() if service else b""

        as_is = {"request_serializer": bytes, "response_deserializer": bytes}
        with grpc.insecure_channel(f"127.0.0.1:{ports['grpc']}") as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check", **as_is)
            deadline = time.monotonic() + 30
            while check(check_request("")) != serving and time.monotonic() < deadline:
                time.sleep(0.01)
            for service in ("", "inference.GRPCInferenceService", "haq.v1.JobService"):
                self.assertEqual(check(check_request(service)), serving, service)
            with self.assertRaises(grpc.RpcError) as unknown:
                check(check_request("no.such.Service"))
            self.assertEqual(unknown.exception.code(), grpc.StatusCode.NOT_FOUND)

            reflect = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                            **as_is)
            names = next(reflect(iter([b"\x3a\x01*"])))
            for service in (b"inference.GRPCInferenceService", b"grpc.health.v1.Health", b"haq.v1.ModelService"):
                self.assertIn(service, names)

            watch = channel.unary_stream("/grpc.health.v1.Health/Watch", **as_is)(b"")
            self.assertEqual(next(watch), serving)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(next(watch), not_serving)
        self.assertEqual(process.wait(timeout=30), 0)

    def test_open_connections_do_not_hold_up_the_stop(self):
        process, _, ports = self.start_and_wait({"--stop-timeout-ms": "300"})
        with contextlib.ExitStack() as connections:
            for name in ("http", "grpc", "metrics"):
                connections.enter_context(socket.create_connection(("127.0.0.1", ports[name])))
            process.terminate()
            _, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0, errors)

    def test_a_signal_right_after_or_during_the_start_stops_it(self):
        for delay in (0.05, 0.1, 0.15, 0.2):
            process = self.start()
            time.sleep(delay)
            process.terminate()
            _, errors = process.communicate(timeout=30)
            # Before main runs nobody can catch it.
            self.assertIn(process.returncode, (0, -signal.SIGTERM), errors)
        for _ in range(5):
            process, _, _ = self.start_and_wait()
            process.terminate()
            _, errors = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 0, errors)

    def test_a_killed_server_starts_again(self):
        process, _, _ = self.start_and_wait()
        process.kill()
        process.communicate()
        process, _, ports = self.start_and_wait()
        self.assertEqual(ports["pid"], process.pid)

    def test_ports_in_use_name_their_flag(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for flag in ("--http-port", "--grpc-port", "--metrics-port"):
                code, errors = self.run_to_end({flag: str(port)})
                self.assertEqual(code, 8, errors)
                self.assertIn(f"haq-server: {flag}: cannot listen on 127.0.0.1:{port}", errors)

    def test_a_data_folder_that_cannot_be_used(self):
        file = pathlib.Path(self.folder.name) / "file"
        file.write_text("")
        for bad in (file, file / "below", "/proc/haq"):
            code, errors = self.run_to_end({"--data-dir": str(bad)})
            self.assertEqual(code, 8, errors)
            self.assertIn("haq-server: --data-dir: ", errors)
            self.assertIn(str(bad), errors)

    def test_one_server_a_data_folder(self):
        self.start_and_wait()
        code, errors = self.run_to_end()
        self.assertEqual(code, 8, errors)
        self.assertIn("--data-dir: ", errors)

    def test_wrong_command_lines_end_with_2(self):
        code, errors = self.run_to_end({"--max-batch": "none"})
        self.assertEqual(code, 2)
        self.assertIn("--max-batch", errors)

    def test_a_warning_beyond_loopback(self):
        process, _, _ = self.start_and_wait({"--listen": "0.0.0.0", "--log-json": ""})
        process.terminate()
        _, errors = process.communicate(timeout=30)
        lines = [json.loads(line) for line in errors.splitlines()]
        warnings = [line["message"] for line in lines if line["level"] == "warning"]
        self.assertEqual(len(warnings), 1, errors)
        self.assertIn("--listen 0.0.0.0", warnings[0])

    def test_no_warning_on_loopback(self):
        process, _, _ = self.start_and_wait()
        process.terminate()
        _, errors = process.communicate(timeout=30)
        self.assertNotIn("warning", errors)

    def test_settings_from_the_environment(self):
        _, line, _ = self.start_and_wait(environment={"HAQ_LISTEN": "127.0.0.2"})
        self.assertIn("http 127.0.0.2:", line)

    def test_neither_libtorch_nor_c10_is_linked(self):
        libraries = subprocess.run(["ldd", BINARY], check=True, capture_output=True, text=True).stdout
        self.assertIn("libgrpc++", libraries)
        for name in ("libtorch", "libc10"):
            self.assertNotIn(name, libraries)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
