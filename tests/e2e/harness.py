"""What the end-to-end tests share: a server of their own, the command line, stubs, images, models."""
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile
import zlib

ROOT = pathlib.Path(os.environ.get("HAQ_ROOT", pathlib.Path(__file__).resolve().parents[2]))
BIN = pathlib.Path(os.environ.get("HAQ_BIN", ROOT / "build/release/bin"))
STUBS = pathlib.Path(os.environ.get("HAQ_STUBS", BIN.parent / "tests/e2e/stubs"))
DATA = pathlib.Path(os.environ.get("HAQ_E2E_DATA", BIN.parent / "tests/e2e/data"))
SHARED = pathlib.Path(os.environ.get("HAQ_SHARED", ROOT.parent / "shared"))
sys.path.insert(0, str(STUBS))

import grpc  # noqa: E402
import security  # noqa: E402

from google.rpc import error_details_pb2, status_pb2  # noqa: E402

MODEL = ROOT / "deploy/demo/model/demo_net.pt"
PREPROCESS = ROOT / "deploy/demo/model/preprocess.json"
INPUT_SHAPE = "3,32,32"
CALIBRATION = DATA / "calibration"
EVALUATION = DATA / "test"
# The same tests over TLS.
SECURE = os.environ.get("HAQ_E2E_SECURE") == "1"
DEADLINE_S = 120  # of anything that a test waits for


class Outcome:
    """How a program ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        return json.loads(self.out)

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def __repr__(self):
        return f"exit code {self.code}\nstdout: {self.out[-2000:]}\nstderr: {self.err[-2000:]}"


def run(program, *arguments, env=None):
    done = subprocess.run([str(BIN / program), *map(str, arguments)], capture_output=True, text=True,
                          timeout=DEADLINE_S, env={**os.environ, **(env or {})})
    return Outcome(done.returncode, done.stdout, done.stderr)


def wait_for(condition, what):
    """Polls until `condition()` is true, and returns what it returned."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {DEADLINE_S} s")


class Server:
    """haq-server on free ports with a data folder of its own."""

    def __init__(self, *arguments, env=None, prefix=()):
        self.prefix = prefix  # what starts the server: a command that takes another as its arguments
        self.env = {**os.environ, **(env or {})}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="haq-e2e-"))
        self.data_dir = self.folder / "data"
        self.log_path = self.folder / "server.log"
        self.arguments = arguments
        self.client_env = {}
        self.authority = security.Authority(self.folder) if SECURE else None
        if SECURE:
            certificate, key = self.authority.issue("server")
            self.arguments = ("--tls-cert", certificate, "--tls-key", key, *arguments)
            self.client_env["HAQ_TLS_CA"] = str(self.authority.certificate)
        self.process = None
        self.ports = {"http": 0, "grpc": 0, "metrics": 0}

    def start(self):
        """Starts it, again on the ports of the first time."""
        ports_file = self.data_dir / "run/ports.json"
        ports_file.unlink(missing_ok=True)
        command = [*self.prefix, str(BIN / "haq-server"), "--data-dir", str(self.data_dir)]
        for name, port in self.ports.items():
            command += [f"--{name}-port", str(port)]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command + list(map(str, self.arguments)), stdout=log, stderr=log,
                                            env=self.env)

        def listening():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
            return ports_file.exists() and ports_file.read_text().strip()

        ports = json.loads(wait_for(listening, "the server's ports"))
        self.ports = {name: ports[name] for name in self.ports}
        return self

    @property
    def address(self):
        return f"127.0.0.1:{self.ports['grpc']}"

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def worker_pids(self):
        """The worker processes that this server started."""
        pids = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
            except OSError:
                continue
            name, fields = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
            if name == "haq-worker" and int(fields[1]) == self.process.pid and fields[0] != "Z":
                pids.append(int(stat.parent.name))
        return pids

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        code = self.process.returncode if self.process else None
        shutil.rmtree(self.folder, ignore_errors=True)
        return code

    def haq(self, *arguments):
        return run("haq", *arguments, env={"HAQ_SERVER": self.address, **self.client_env})

    def haq_process(self, *arguments):
        return subprocess.Popen([str(BIN / "haq"), *map(str, arguments)], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env={**os.environ, "HAQ_SERVER": self.address, **self.client_env})

    def channel(self):
        options = [("grpc.max_receive_message_length", 64 << 20)]
        if not SECURE:
            return grpc.insecure_channel(self.address, options=options)
        credentials = grpc.ssl_channel_credentials(self.authority.certificate.read_bytes())
        return grpc.secure_channel(self.address, credentials, options=options)

    def url(self, path, port="http"):
        return f"http{'s' if SECURE else ''}://127.0.0.1:{self.ports[port]}/{path}"

    @property
    def curl_arguments(self):
        return ["--cacert", str(self.authority.certificate)] if SECURE else []


class ServerTest(unittest.TestCase):
    """One server for the tests of a class."""

    arguments = ()
    env = {}

    @classmethod
    def setUpClass(cls):
        if not MODEL.exists():
            raise AssertionError(f"{MODEL} is missing")
        cls.server = Server(*cls.arguments, env=cls.env)
        try:
            cls.server.start()
            cls.prepare()
        except BaseException:
            print(cls.server.log()[-4000:], file=sys.stderr)
            cls.server.stop()
            raise

    @classmethod
    def prepare(cls):
        """What every test of the class finds on the server."""

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def ok(self, outcome):
        self.assertEqual(outcome.code, 0, outcome)
        return outcome

    @classmethod
    def must(cls, *arguments):
        outcome = cls.server.haq(*arguments)
        if outcome.code != 0:
            raise AssertionError(f"haq {' '.join(map(str, arguments))}: {outcome}")
        return outcome

    @classmethod
    def push_demo(cls, model="demo"):
        cls.must("models", "push", model, MODEL, "--input-shape", INPUT_SHAPE, "--preprocess", PREPROCESS)
        cls.must("datasets", "push", "calibration", CALIBRATION)
        cls.must("datasets", "push", "test", EVALUATION)

    def assert_grpc_error(self, call, code, field, text=""):
        """The call fails with exactly this code, its details name the field, its message has the text."""
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        error = caught.exception
        self.assertEqual(error.code(), code, error.details())
        self.assertIn(field, error.details())
        self.assertIn(text, error.details())
        return error

    def violations(self, error):
        """The fields of google.rpc.BadRequest in the error's details."""
        fields = []
        for key, value in error.trailing_metadata():
            if key != "grpc-status-details-bin":
                continue
            for detail in status_pb2.Status.FromString(value).details:
                bad_request = error_details_pb2.BadRequest()
                if detail.Unpack(bad_request):
                    fields += [violation.field for violation in bad_request.field_violations]
        return fields


def images(folder, limit=None):
    """(path, label) in the order of a dataset: round robin over the classes."""
    classes = [sorted(c.iterdir()) for c in sorted(folder.iterdir()) if c.is_dir()]
    found = []
    for i in range(max(map(len, classes))):
        found += [(files[i], label) for label, files in enumerate(classes) if i < len(files)]
    return found[:limit]


def plain_png(side, level):
    """The bytes of a square RGB PNG of one grey level."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes([level]) * (3 * side)) * side
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) +
            chunk(b"IEND", b""))


def rewrite_code(source, target, change):
    """A TorchScript file whose forward's source text went through `change`."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith(".py") and b"def forward(" in content:
                content = change(content.decode()).encode()
            new.writestr(entry.filename, content)
