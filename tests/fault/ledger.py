"""A client that remembers what the server acknowledged, and repeats what it did not."""
import hashlib
import io
import random
import tarfile
import threading
import time
import uuid
import zipfile

import harness  # noqa: F401  (finds the stubs)

import grpc

from haq.v1 import (artifacts_pb2, artifacts_pb2_grpc, blobs_pb2, blobs_pb2_grpc, datasets_pb2, datasets_pb2_grpc,
                    jobs_pb2, jobs_pb2_grpc, models_pb2, models_pb2_grpc)

CHUNK = 64 << 10
ENDED = (jobs_pb2.SUCCEEDED, jobs_pb2.FAILED, jobs_pb2.CANCELLED)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def variant_of(model, text):
    """The bytes of a TorchScript file with one more entry, which makes them different and changes nothing."""
    out = io.BytesIO()
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
        new.writestr(old.infolist()[0].filename.split("/")[0] + "/extra/note", text)
    return out.getvalue()


def shard_of(images):
    """A tar of (path, label)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for i, (path, label) in enumerate(images):
            for suffix, content in ((path.suffix, path.read_bytes()), (".cls", str(label).encode())):
                info = tarfile.TarInfo(f"{i:05}{suffix}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


class Stubs:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address, options=[("grpc.max_reconnect_backoff_ms", 100),
                                                               ("grpc.initial_reconnect_backoff_ms", 50)])
        self.blobs = blobs_pb2_grpc.BlobServiceStub(self.channel)
        self.models = models_pb2_grpc.ModelServiceStub(self.channel)
        self.datasets = datasets_pb2_grpc.DatasetServiceStub(self.channel)
        self.jobs = jobs_pb2_grpc.JobServiceStub(self.channel)
        self.artifacts = artifacts_pb2_grpc.ArtifactServiceStub(self.channel)


class Ledger:
    """What was acknowledged: objects that must be there, and those that must be gone."""

    def __init__(self, address, seed):
        self.stubs = Stubs(address)
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.blobs = {}     # sha256 -> bytes, that a live model or dataset refers to
        self.models = {}    # id -> sha256
        self.datasets = {}  # id -> [sha256]
        self.deleted = set()
        self.jobs = {}      # name -> model id
        self.repeats = 0
        self.unexpected = []

    def repeat(self, call, patience_s=60):
        """The answer of `call()`, which is made again while the server is away."""
        end = time.monotonic() + patience_s
        while True:
            try:
                return call()
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
                                        grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN) or time.monotonic() > end:
                    raise
                self.repeats += 1
                time.sleep(0.02)

    def upload(self, content):
        digest = sha256(content)

        def once():
            state = self.stubs.blobs.StartUpload(
                blobs_pb2.StartUploadRequest(sha256=digest, size_bytes=len(content)), timeout=20)
            if state.complete:
                return
            offsets = range(state.committed_bytes, len(content), CHUNK)
            pieces = (blobs_pb2.WriteUploadRequest(sha256=digest, offset=at, data=content[at:at + CHUNK])
                      for at in offsets)
            assert self.stubs.blobs.WriteUpload(pieces, timeout=20).complete

        self.repeat(once)
        return digest

    def create_model(self, name, content):
        digest = self.upload(content)
        request = models_pb2.CreateModelRequest(model_id=name, request_id=str(uuid.uuid4()))
        request.model.sha256 = digest
        request.model.format = "torchscript"
        request.model.input_shape.extend([3, 32, 32])
        request.model.preprocess_json = harness.PREPROCESS.read_text()
        self.repeat(lambda: self.stubs.models.CreateModel(request, timeout=20))
        with self.lock:
            self.blobs[digest] = content
            self.models[name] = digest

    def create_dataset(self, name, shards):
        request = datasets_pb2.CreateDatasetRequest(dataset_id=name, request_id=str(uuid.uuid4()))
        digests = [self.upload(shard) for shard in shards]
        for digest in digests:
            request.dataset.shards.add(sha256=digest)
        self.repeat(lambda: self.stubs.datasets.CreateDataset(request, timeout=30))
        with self.lock:
            self.blobs.update(zip(digests, shards))
            self.datasets[name] = digests

    def delete_model(self, name):
        """With force: jobs that use it fail."""
        request = models_pb2.DeleteModelRequest(name=f"models/{name}", force=True)
        with self.lock:
            digest = self.models.pop(name)
        self._delete(lambda: self.stubs.models.DeleteModel(request, timeout=20))
        with self.lock:
            self.blobs.pop(digest)
            self.deleted.add(f"models/{name}")

    def delete_dataset(self, name):
        request = datasets_pb2.DeleteDatasetRequest(name=f"datasets/{name}", force=True)
        with self.lock:
            digests = self.datasets.pop(name)
        self._delete(lambda: self.stubs.datasets.DeleteDataset(request, timeout=20))
        with self.lock:
            for digest in digests:
                self.blobs.pop(digest)
            self.deleted.add(f"datasets/{name}")

    def _delete(self, call):
        try:
            self.repeat(call)
        except grpc.RpcError as error:
            # The answer to an earlier try was lost.
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise

    def create_job(self, model, dataset, images):
        request = jobs_pb2.CreateJobRequest(request_id=str(uuid.uuid4()))
        request.spec.model = f"models/{model}"
        request.spec.calibration_dataset = request.spec.evaluation_dataset = f"datasets/{dataset}"
        request.spec.limit_calibration = request.spec.limit_evaluation = images
        job = self.repeat(lambda: self.stubs.jobs.CreateJob(request, timeout=20))
        with self.lock:
            self.jobs[job.name] = model
        return job.name

    def get_job(self, name):
        return self.repeat(lambda: self.stubs.jobs.GetJob(jobs_pb2.GetJobRequest(name=name), timeout=20))

    def events(self, name):
        """All events of a job that ended."""
        return self.repeat(lambda: list(self.stubs.jobs.WatchJob(jobs_pb2.WatchJobRequest(name=name), timeout=60)))

    def wait_for_jobs(self, patience_s):
        end = time.monotonic() + patience_s
        while True:
            waiting = [name for name in self.jobs if self.get_job(name).state not in ENDED]
            if not waiting:
                return
            if time.monotonic() > end:
                raise AssertionError(f"{waiting} did not end")
            time.sleep(0.2)

    def read_blob(self, digest):
        request = blobs_pb2.ReadBlobRequest(sha256=digest)
        return self.repeat(lambda: b"".join(part.data for part in self.stubs.blobs.ReadBlob(request, timeout=60)))

    def all_models(self):
        listed = self.repeat(lambda: self.stubs.models.ListModels(models_pb2.ListModelsRequest(page_size=1000),
                                                                  timeout=20))
        return {model.name[len("models/"):]: model for model in listed.models}

    def all_datasets(self):
        listed = self.repeat(lambda: self.stubs.datasets.ListDatasets(
            datasets_pb2.ListDatasetsRequest(page_size=1000), timeout=20))
        return {dataset.name[len("datasets/"):]: dataset for dataset in listed.datasets}

    def download_artifact(self, name):
        request = artifacts_pb2.DownloadArtifactRequest(name=name)
        return self.repeat(lambda: b"".join(
            part.data for part in self.stubs.artifacts.DownloadArtifact(request, timeout=60)))

    def artifact(self, name):
        return self.repeat(lambda: self.stubs.artifacts.GetArtifact(artifacts_pb2.GetArtifactRequest(name=name),
                                                                    timeout=20))
