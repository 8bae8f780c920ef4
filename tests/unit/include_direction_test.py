#!/usr/bin/env python3
"""Fails when a source includes what docs/architecture.md does not allow.

ALLOWED mirrors the table on that page; WRAPPED says which folders exist to wrap a third-party library.
"""
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

ALLOWED = {
    "core/base": [],
    "core/fixedpoint": ["core/base"],
    "core/ir": ["core/base"],
    "core/import": ["core/import/detect", "core/import/problems", "core/ir", "core/base"],
    "core/import/detect": ["core/base"],
    "core/import/problems": ["core/base"],
    "core/data": ["core/base"],
    "core/float_exec": ["core/ir", "core/base"],
    "core/adaround": ["core/base"],
    "core/quant": ["core/fixedpoint", "core/base"],
    "core/calib": ["core/quant", "core/float_exec", "core/ir", "core/base"],
    "core/artifact": ["core/fixedpoint", "core/base"],
    "core/export": ["core/artifact", "core/fixedpoint", "core/base"],
    "core/lower": ["core/quant", "core/ir", "core/artifact", "core/fixedpoint", "core/base"],
    "core/correct": ["core/lower", "core/artifact", "core/quant", "core/float_exec", "core/ir", "core/base"],
    "core/kernels": ["core/fixedpoint", "core/base"],
    "core/runtime": ["core/kernels", "core/artifact", "core/fixedpoint", "core/base"],
    "core/eval": ["core/base"],
    "core/pipeline": ["core"],
    "server/log": [],
    "server/store": ["core/base"],
    "server/sandbox": ["server/store", "core/base"],
    "server/jobs": ["server/sandbox", "server/store", "core/base", "core/artifact", "proto"],
    "server/serving": ["server/log", "server/api", "server/metrics", "core/runtime", "core/artifact", "core/data", "core/base"],
    "server/metrics": ["core/base"],
    "server/api": ["server/log", "server/jobs", "server/sandbox", "server/store", "core/import/detect", "core/artifact", "core/data", "core/quant",
                   "core/base", "proto"],
    "server/auth": ["server/log", "server/metrics", "core/base"],
    "server/oip": ["server/serving", "core/base", "proto"],
    "server/http": ["server/auth", "server/log", "server/oip", "server/serving", "server/metrics", "core/base", "proto"],
    "server/rpc": ["server/auth", "server/log", "server/api", "server/jobs", "server/oip", "server/serving", "server/metrics", "server/store", "core/base",
                   "proto"],
    "server/app": ["server/auth", "server/log", "server/api", "server/jobs", "server/sandbox", "server/serving", "server/metrics", "server/store", "server/http",
                   "server/rpc", "core/runtime", "core/artifact", "core/data", "core/base", "proto"],
    "server/worker": ["core", "server/sandbox", "proto"],
    "client/lib": ["core/base", "core/data", "proto"],
    "client/comparison": ["core/eval", "core/base"],
    "client/plot": ["core/base"],
    "client/load": ["client/lib", "core/base", "proto"],
    "client/cli": ["client/lib", "client/comparison", "client/load", "client/plot", "core/base", "core/data", "core/artifact", "core/export", "core/quant",
                   "proto"],
}

WRAPPED = {
    r"(torch|ATen|c10|caffe2)/": ["core/import/torchscript", "core/float_exec", "core/adaround"],
    r"onnx/": ["core/import/onnx", "core/export/onnx"],
    r"opencv2/": ["core/data"],
    r"archive(_entry)?\.h": ["core/data"],
    r"openssl/": ["core/base", "server/auth", "client/lib"],
    r"(grpcpp|grpc|grpc\+\+)/": ["server/rpc", "server/worker", "client/lib"],
    r"boost/(asio|beast)": ["server/http", "client/load"],
    r"zlib\.h": ["server/http"],
    r"prometheus/": ["server/metrics"],
    r"(SQLiteCpp/|sqlite3\.h)": ["server/store"],
    r"cairo": ["client/plot"],
    r"(seccomp\.h|linux/(filter|seccomp|landlock)\.h)": ["server/sandbox"],
    r"toml\+\+/": ["server/app", "server/auth"],
    r"CLI/": ["server/app", "server/worker", "client/cli"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
PROTO = re.compile(r".*\.pb\.h$")


def folder_of(path):
    """The entry of ALLOWED that a source path belongs to, or None."""
    parts = path.split("/")
    for length in range(len(parts) - 1, 0, -1):
        name = "/".join(parts[:length])
        if name in ALLOWED:
            return name
    return None


def violations(path, text):
    """What the source `path` with that text includes although it may not."""
    folder = folder_of(path)
    if folder is None:
        return [f"{path}: its folder is not in the table"]
    found = []
    for _, name in INCLUDE.findall(text):
        if PROTO.match(name):
            if "proto" not in ALLOWED[folder]:
                found.append(f"{path} includes {name}: {folder} may not include proto")
        elif name.startswith(("core/", "server/", "client/", "tests/")):
            target = folder_of(name) or name
            if target != folder and not any(target == a or target.startswith(a + "/") for a in ALLOWED[folder]):
                found.append(f"{path} includes {name}: {folder} may include {ALLOWED[folder]}")
        for pattern, homes in WRAPPED.items():
            if re.match(pattern, name) and not any(path.startswith(home + "/") for home in homes):
                found.append(f"{path} includes <{name}>: only {homes} may")
    return found


def sources():
    for top in ("core", "server", "client"):
        for source in sorted((ROOT / top).rglob("*")):
            if source.suffix in (".h", ".cc"):
                yield source.relative_to(ROOT).as_posix(), source.read_text()


class IncludeDirection(unittest.TestCase):
    def test_no_folder_includes_what_the_table_forbids(self):
        files = list(sources())
        self.assertGreater(len(files), 50)
        self.assertEqual([v for path, text in files for v in violations(path, text)], [])

    def test_the_check_sees_violations(self):
        for path, line in [("core/runtime/a.cc", '#include "core/ir/graph.h"'),
                           ("core/runtime/a.cc", "#include <torch/script.h>"),
                           ("server/app/a.cc", '#include "core/pipeline/pipeline.h"'),
                           ("core/base/a.h", '#include "haq/v1/jobs.pb.h"'),
                           ("core/unknown/a.h", "")]:
            self.assertEqual(len(violations(path, line)), 1, (path, line))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
