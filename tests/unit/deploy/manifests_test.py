#!/usr/bin/env python3
"""The files of deploy/ against the programs and pages that they speak of: flags, ports, metrics, images, alerts."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(os.environ["HAQ_ROOT"])
BIN = pathlib.Path(os.environ["HAQ_BIN"])
DEPLOY = ROOT / "deploy"
PORTS = {"http": 8000, "grpc": 8001, "metrics": 8002}
IMAGES = {"haq-server": "server", "haq-worker": "worker"}  # and their stages in the Dockerfile


def documents(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def manifests(folder="kubernetes"):
    """[(file, document)] of a folder, those of subfolders too."""
    return [(path, document) for path in sorted((DEPLOY / folder).rglob("*.yaml")) for document in documents(path)]


def of_kind(kind, folder="kubernetes"):
    return [document for _, document in manifests(folder) if document.get("kind") == kind]


def known_metrics():
    """Every metric of docs/metrics.md under the names that its samples have."""
    names = set()
    for name, kind in re.findall(r"^\| `(\w+)` \| (gauge|counter|histogram) ", (ROOT / "docs/metrics.md").read_text(),
                                 re.M):
        names |= {name} if kind != "histogram" else {f"{name}_{part}" for part in ("bucket", "sum", "count")}
    return names


def recorded():
    groups = yaml.safe_load((DEPLOY / "prometheus/rules/recording.yml").read_text())["groups"]
    return {rule["record"] for group in groups for rule in group["rules"]}


def alerts():
    groups = yaml.safe_load((DEPLOY / "prometheus/rules/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def metrics_in(expression):
    return set(re.findall(r"\b(?:haq|process)[_:][a-zA-Z0-9_:]+\b", re.sub(r'"[^"]*"', '""', expression)))


def flags_of(program, *command):
    text = subprocess.run([str(BIN / program), *command, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"--[a-z][a-z0-9-]*", text))


def dockerfile_stage(name):
    """The lines of a stage and of those that it begins with."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    stages = {match[2]: (match[1], match[3]) for match in
              re.finditer(r"^FROM (\S+) AS (\S+)\n(.*?)(?=^FROM|\Z)", text, re.M | re.S)}
    body = ""
    while name in stages:
        name, lines = stages[name]
        body = lines + body
    return body


def pod_specs():
    for kind, folder in (("Deployment", "kubernetes"), ("ServingRuntime", "kserve")):
        for document in of_kind(kind, folder):
            yield document["metadata"]["name"], (document["spec"]["template"]["spec"] if kind == "Deployment"
                                                 else document["spec"])


def containers():
    """(pod's name, pod, container) of every manifest."""
    for name, pod in pod_specs():
        for container in pod["containers"] + pod.get("initContainers", []):
            yield name, pod, container


class Metrics(unittest.TestCase):
    def test_rules_use_metrics_that_exist(self):
        known = known_metrics() | recorded()
        self.assertGreater(len(known), 40)
        used = set()
        for path in (DEPLOY / "prometheus/rules").glob("*.yml"):
            for group in yaml.safe_load(path.read_text())["groups"]:
                for rule in group["rules"]:
                    self.assertLessEqual(metrics_in(rule["expr"]), known, rule["expr"])
                    used |= metrics_in(rule["expr"])
        self.assertGreater(len(used), 12)

    def test_the_dashboard_uses_metrics_that_exist(self):
        dashboard = json.loads((DEPLOY / "grafana/dashboards/haq.json").read_text())
        known = known_metrics() | recorded() | {"process_cpu_seconds_total"}
        used, ids, places = set(), set(), set()
        for panel in dashboard["panels"]:
            self.assertNotIn(panel["id"], ids)
            ids.add(panel["id"])
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & places, f"{panel['title']} lies on another panel")
            places |= cells
            for target in panel.get("targets", []):
                self.assertEqual(target["datasource"]["uid"], "${datasource}")
                found = metrics_in(target["expr"])
                self.assertLessEqual(found, known, panel["title"])
                used |= found
        for variable in dashboard["templating"]["list"]:
            self.assertLessEqual(metrics_in(variable["query"]["query"] if isinstance(variable["query"], dict) else ""),
                                 known)
        # What an operator is to see: nothing of the server is left out but what another metric says.
        families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known_metrics()}
        shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
        said_otherwise = {"haq_store_blobs", "haq_store_removed_blobs_total", "process_start_time_seconds"}
        self.assertEqual(families - shown - said_otherwise, set())

    def test_every_alert_is_tested_and_has_its_page(self):
        page = (ROOT / "docs/operations.md").read_text()
        headings = {re.sub(r"[^a-z0-9 -]", "", line.lstrip("#").strip().lower()).replace(" ", "-")
                    for line in page.splitlines() if line.startswith("#")}
        cases = yaml.safe_load((DEPLOY / "prometheus/tests/alerts_test.yml").read_text())["tests"]
        fires = {test["alertname"] for case in cases for test in case.get("alert_rule_test", [])
                 if test["exp_alerts"]}
        for alert in alerts():
            self.assertIn(alert["alert"], fires)
            self.assertIn(alert["labels"]["severity"], ("warning", "critical"))
            file, anchor = alert["annotations"]["runbook"].split("#")
            self.assertEqual(file, "docs/operations.md")
            self.assertIn(anchor, headings)

    def test_the_autoscalers_metric_is_what_the_adapter_makes(self):
        adapter = documents(DEPLOY / "kubernetes/monitoring/prometheus-adapter.yaml")[0]["rules"]["custom"]
        made = {rule["name"]["as"]: rule["seriesQuery"] for rule in adapter}
        for scaler in of_kind("HorizontalPodAutoscaler"):
            for metric in scaler["spec"]["metrics"]:
                series = made[metric["pods"]["metric"]["name"]]
                self.assertLessEqual(metrics_in(series), recorded())
                self.assertTrue(metrics_in(series))


@unittest.skipIf(shutil.which("promtool") is None, "promtool (Debian's prometheus) is not installed")
class Promtool(unittest.TestCase):
    def check(self, *arguments):
        done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True,
                              cwd=DEPLOY / "prometheus")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("FAILED", done.stdout + done.stderr)

    def test_the_configuration_is_valid(self):
        self.check("check", "config", "prometheus.yml")

    def test_the_rules_are_valid(self):
        self.check("check", "rules", "--lint=all", "--lint-fatal", "rules/recording.yml", "rules/alerts.yml")

    def test_the_alerts_fire_when_they_should(self):
        self.check("test", "rules", "tests/alerts_test.yml")


class Programs(unittest.TestCase):
    def test_flags_exist(self):
        server, worker = flags_of("haq-server"), None
        commands = [(container["image"], container.get("command", []) + container.get("args", []))
                    for _, _, container in containers()]
        compose = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())["services"]
        commands += [(service["image"], service.get("command", [])) for service in compose.values()]
        checked = 0
        for image, words in commands:
            used = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", " ".join(words)))
            if image == "haq-server":
                self.assertLessEqual(used, server, words)
                checked += len(used)
            elif image == "haq-worker" and (BIN / "haq-worker").exists():
                worker = worker or flags_of("haq-worker", "serve")
                self.assertLessEqual(used, worker, words)
        self.assertGreater(checked, 10)
        for line in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.M):
            used = {word for word in json.loads(line) if word.startswith("--")}
            self.assertLessEqual(used, server | {"--server"})

    def test_the_unit_of_systemd(self):
        text = (DEPLOY / "systemd/haq-server.service").read_text()
        for variable in re.findall(r"^Environment=(\w+)=", text, re.M):
            flag = "--" + variable.removeprefix("HAQ_").lower().replace("_", "-")
            self.assertIn(flag, flags_of("haq-server"))
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd-analyze is not installed")
        with tempfile.TemporaryDirectory() as folder:
            unit = pathlib.Path(folder) / "haq-server.service"
            # It looks for the program, which is installed nowhere here.
            unit.write_text(text.replace("/usr/local/bin/haq-server", str(BIN / "haq-server")))
            done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
            complaints = [line for line in done.stderr.splitlines() if "haq-server.service" in line]
            self.assertEqual((done.returncode, complaints), (0, []), done.stderr)


class Images(unittest.TestCase):
    def test_names_are_those_of_the_dockerfile(self):
        head = (ROOT / "Dockerfile").read_text()
        for image, stage in IMAGES.items():
            self.assertIn(f"docker build --target {stage} -t {image} .", head)
        for name, _, container in containers():
            self.assertIn(container["image"], IMAGES, name)
        compose = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())["services"]
        for service in compose.values():
            if "build" in service:
                self.assertEqual(service["build"]["target"], IMAGES[service["image"]])
                self.assertEqual((DEPLOY / service["build"]["context"]).resolve(), ROOT.resolve())
            else:
                self.assertRegex(service["image"], r":v?\d+\.\d+\.\d+$", "a version that somebody chose")

    def test_an_image_has_the_libraries_of_its_programs(self):
        """Those that its programs name; what these need comes with their packages."""
        given = {"libc6", "libstdc++6", "libgcc-s1", "zlib1g", "libm"}
        implied = {"libgrpc29": "libgrpc++1.51", "libabsl20220623": "libgrpc++1.51", "libgomp1": "libtorch1.13",
                   "libopencv-core406": "libopencv-imgproc406"}
        cache = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
        paths = dict(re.findall(r"^\s+(\S+) \(.*\) => (\S+)$", cache, re.M)[::-1])
        for stage in IMAGES.values():
            body = dockerfile_stage(stage)
            for program in re.findall(r"/release/bin/([\w-]+)", body):
                if not (BIN / program).exists():
                    continue
                dynamic = subprocess.run(["readelf", "-d", str(BIN / program)], capture_output=True, text=True,
                                         check=True).stdout
                for library in re.findall(r"NEEDED.*\[(\S+)\]", dynamic):
                    path = os.path.realpath(paths[library])
                    owner = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True).stdout
                    owner = owner or subprocess.run(["dpkg", "-S", path.removeprefix("/usr")], capture_output=True,
                                                    text=True).stdout
                    package = owner.split(":")[0]
                    package = implied.get(package, package)
                    if package and package not in given:
                        self.assertIn(f" {package} ", body + " ", f"{program} of image {stage} links {library}")


class Containers(unittest.TestCase):
    def test_they_may_do_little(self):
        checked = 0
        for name, pod, container in containers():
            context = container["securityContext"]
            self.assertIs(context["readOnlyRootFilesystem"], True, name)
            self.assertIs(context["allowPrivilegeEscalation"], False, name)
            self.assertEqual(context["capabilities"], {"drop": ["ALL"]}, name)
            both = {**pod.get("securityContext", {}), **context}
            self.assertIs(both["runAsNonRoot"], True, name)
            self.assertIn(f"--uid {both['runAsUser']} ", dockerfile_stage("server"))
            self.assertEqual(both["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertIn("memory", container["resources"]["limits"])
            checked += 1
        self.assertEqual(checked, 5)
        compose = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())["services"]
        for name in ("server", "worker"):
            self.assertTrue(compose[name]["read_only"])
            self.assertEqual(compose[name]["cap_drop"], ["ALL"])
        self.assertEqual(compose["worker"]["network_mode"], "none")
        self.assertEqual(compose["worker"]["volumes"], ["run:/var/lib/haq/run"], "nothing that the server keeps")
        for _, _, container in containers():
            if container["image"] == "haq-worker":
                self.assertEqual({mount["mountPath"] for mount in container["volumeMounts"]},
                                 {"/var/lib/haq/run", "/tmp"})

    def test_what_is_mounted_is_there(self):
        claims = {document["metadata"]["name"] for document in of_kind("PersistentVolumeClaim")}
        for name, pod, container in containers():
            volumes = {volume["name"]: volume for volume in pod["volumes"]}
            for mount in container["volumeMounts"]:
                self.assertIn(mount["name"], volumes, name)
            for volume in volumes.values():
                if "persistentVolumeClaim" in volume:
                    self.assertIn(volume["persistentVolumeClaim"]["claimName"], claims)
        compose = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())
        for service in compose["services"].values():
            for volume in service["volumes"]:
                source = volume.split(":")[0]
                if source.startswith("."):
                    self.assertTrue((DEPLOY / source).exists(), source)
                else:
                    self.assertIn(source, compose["volumes"])
        for document in of_kind("InferenceService", "kserve"):
            self.assertIn(document["spec"]["predictor"]["model"]["storageUri"].split("/")[2], claims)

    def test_ports_and_probes_fit(self):
        for name, _, container in containers():
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            words = " ".join(container.get("args", []))
            wanted = {key: int(match[1]) if (match := re.search(rf"--{key}-port (\d+)", words)) else port
                      for key, port in PORTS.items()}
            probes = [container[key]["httpGet"] for key in ("startupProbe", "livenessProbe", "readinessProbe")
                      if key in container]
            if ports:
                self.assertGreaterEqual(len(probes), 2, name)
            for port_name, port in ports.items():
                self.assertEqual(port, wanted[port_name.rstrip("1")], name)
            for probe in probes:
                self.assertEqual(ports.get(probe["port"], probe["port"]), wanted["http"], name)
                self.assertIn(probe["path"], ("/v2/health/live", "/v2/health/ready"))
            if "readinessProbe" in container:
                self.assertEqual(container["readinessProbe"]["httpGet"]["path"], "/v2/health/ready")
                self.assertEqual(container["livenessProbe"]["httpGet"]["path"], "/v2/health/live")

    def test_what_selects_pods_finds_some(self):
        labels = {document["metadata"]["name"]: document["spec"]["template"]["metadata"]["labels"]
                  for document in of_kind("Deployment")}

        def finds(selector):
            return any(selector.items() <= of_pod.items() for of_pod in labels.values())

        for document in of_kind("Deployment"):
            name = document["metadata"]["name"]
            self.assertLessEqual(document["spec"]["selector"]["matchLabels"].items(), labels[name].items())
        for document in of_kind("Service"):
            self.assertTrue(finds(document["spec"]["selector"]))
            for port in document["spec"]["ports"]:
                self.assertEqual(port["port"], PORTS[port["targetPort"]])
        for kind, key in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector"),
                          ("PodMonitor", "selector")):
            self.assertTrue(of_kind(kind), kind)
            for document in of_kind(kind):
                self.assertTrue(finds(document["spec"][key]["matchLabels"]), kind)
        for document in of_kind("HorizontalPodAutoscaler"):
            self.assertIn(document["spec"]["scaleTargetRef"]["name"], labels)
        # The rules speak of job="haq".
        monitor = of_kind("PodMonitor")[0]["spec"]
        self.assertEqual({of_pod[monitor["jobLabel"]] for of_pod in labels.values()}, {"haq"})

    def test_kustomization_lists_the_files(self):
        listed = set(documents(DEPLOY / "kubernetes/kustomization.yaml")[0]["resources"])
        files = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")} - {"kustomization.yaml"}
        self.assertEqual(listed, files)

    def test_pods_end_before_they_are_killed(self):
        for name, pod in pod_specs():
            for container in pod["containers"]:
                words = " ".join(container.get("args", []))
                waits = [int(ms) for ms in re.findall(r"--(?:drain-delay|stop-timeout)-ms (\d+)", words)]
                self.assertLess(sum(waits), 1000 * pod.get("terminationGracePeriodSeconds", 30), name)


if __name__ == "__main__":
    unittest.main()
