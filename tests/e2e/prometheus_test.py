#!/usr/bin/env python3
"""Debian's Prometheus with this project's rules against a running server, and a copy of its data that serves alone."""
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import yaml

import harness
from harness import EVALUATION, ServerTest, wait_for

from inference import inference_pb2 as oip
from inference import inference_pb2_grpc as oip_grpc

DEPLOY = harness.ROOT / "deploy"
# Of scraping; the whole suite has no minute to spare.
SECONDS = float(os.environ.get("HAQ_PROMETHEUS_SECONDS", "15"))


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Prometheus(ServerTest):
    @classmethod
    def prepare(cls):
        cls.push_demo()
        cls.must("calibrate", "demo", "--calibration", "calibration", "--evaluation", "test", "--limit-calibration",
                 "50", "--limit-evaluation", "400", "--watch")
        cls.image = harness.images(EVALUATION, 1)[0][0].read_bytes()

    def infer(self, channel):
        request = oip.ModelInferRequest(model_name="demo")
        request.inputs.add(name="input", datatype="BYTES", shape=[1]).contents.bytes_contents.append(self.image)
        return oip_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=30)

    @unittest.skipIf(shutil.which("prometheus") is None, "prometheus is not installed")
    def test_prometheus_scrapes_and_judges(self):
        folder = self.server.folder / "prometheus"
        shutil.copytree(DEPLOY / "prometheus", folder)
        config = folder / "prometheus.yml"
        config.write_text(config.read_text().replace("_interval: 15s", "_interval: 1s"))
        (folder / "targets/haq.yml").write_text(yaml.safe_dump([{"targets": [
            f"127.0.0.1:{self.server.ports['metrics']}"]}]))
        port = free_port()
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                                        f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            self.watch(f"http://127.0.0.1:{port}/api/v1/")
            self.assertNotRegex((folder / "log").read_text(), "level=(warn|error)")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)

    def watch(self, api):
        def ask(path, **query):
            answer = json.loads(get(api + path + "?" + urllib.parse.urlencode(query)))
            self.assertEqual(answer["status"], "success")
            return answer["data"]

        def value(query):
            result = ask("query", query=query)["result"]
            return float(result[0]["value"][1]) if result else None

        def answers():
            try:
                return value('up{job="haq"}') == 1
            except (urllib.error.URLError, ConnectionError):
                return False

        wait_for(answers, "the first scrape")
        end = time.monotonic() + SECONDS
        with self.server.channel() as channel:
            while time.monotonic() < end:
                self.infer(channel)
                time.sleep(0.02)
        target = ask("targets")["activeTargets"][0]
        self.assertEqual((target["health"], target["lastError"]), ("up", ""))
        self.assertGreaterEqual(value('count_over_time(up{job="haq"}[1h])'), SECONDS / 2)
        self.assertEqual(value('min_over_time(up{job="haq"}[1h])'), 1)
        self.assertGreater(value('haq_inference_images_total{model="demo"}'), 50)
        rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
        self.assertGreater(len(rules), 20)
        for rule in rules:
            self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""), rule["name"])
            if rule["type"] == "alerting":
                self.assertEqual(rule["state"], "inactive", rule["alerts"])
        self.assertGreater(value('haq:request_duration_seconds:p99_5m{model="demo"}'), 0)
        self.assertEqual(value('haq:inference_errors:ratio5m{model="demo"}'), 0)
        self.assertEqual(value('haq:inference_queue:fill{model="demo"}'), 0)
        self.assertIsNotNone(value('haq:served_top1:drop{model="demo"}'))
        self.every_query_of_the_dashboard_is_valid(ask)

    def every_query_of_the_dashboard_is_valid(self, ask):
        dashboard = json.loads((DEPLOY / "grafana/dashboards/haq.json").read_text())
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
        shown = 0
        for expression in expressions:
            query = (expression.replace("$__rate_interval", "1m").replace("$job", "haq")
                     .replace("$instance", ".*").replace("$model", ".*"))
            shown += bool(ask("query", query=query)["result"])
        self.assertGreater(shown, 0.9 * len(expressions), "panels have something to show")

    @unittest.skipIf(shutil.which("promtool") is None, "promtool is not installed")
    def test_promtool_finds_no_fault_with_the_metrics(self):
        with self.server.channel() as channel:
            self.infer(channel)
        text = get(f"http://127.0.0.1:{self.server.ports['metrics']}/metrics")
        self.assertIn("haq_model_clipping_drift{", text)
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


class Copy(ServerTest):
    """The way of KServe's runtime and of the serving pods."""

    def test_a_copy_of_the_data_folder_serves_alone(self):
        self.push_demo()
        self.must("calibrate", "demo", "--calibration", "calibration", "--evaluation", "test", "--limit-calibration",
                  "50", "--limit-evaluation", "50", "--watch")
        self.server.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.process.wait(timeout=60), 0)
        runtime = yaml.safe_load((DEPLOY / "kserve/serving-runtime.yaml").read_text())["spec"]["containers"][0]
        command = runtime["args"][0]
        folder = self.server.folder
        for original, here in (("/mnt/models", self.server.data_dir), ("/tmp/data", folder / "copy"),
                               ("0.0.0.0", "127.0.0.1")):
            self.assertIn(original, command)
            command = command.replace(original, shlex.quote(str(here)))
        for port in ("8080", "9000", "8002"):
            command = command.replace(port, "0")
        command = command.replace("exec haq-server", f"exec {shlex.quote(str(harness.BIN / 'haq-server'))}")
        with open(folder / "copy.log", "wb") as log:
            process = subprocess.Popen([*runtime["command"], command], stdout=log, stderr=log)
        try:
            ports_file = folder / "copy/run/ports.json"
            ports = json.loads(wait_for(lambda: ports_file.exists() and ports_file.read_text().strip(), "the copy"))
            url = f"http://127.0.0.1:{ports['http']}"
            wait_for(lambda: self.ready(url + runtime["readinessProbe"]["httpGet"]["path"]), "readiness")
            self.assertEqual(json.loads(get(url + "/v2/models/demo/ready")), {"name": "demo", "ready": True})
        finally:
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=60), 0, pathlib.Path(folder / "copy.log").read_text())

    @staticmethod
    def ready(url):
        try:
            return json.loads(get(url))["ready"]
        except urllib.error.HTTPError:
            return False


if __name__ == "__main__":
    unittest.main()
