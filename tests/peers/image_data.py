"""Image sets and preprocessing for the peers: the same images in the same order, and the same tensors, as
core/data makes (docs/datasets.md, docs/preprocessing.md), with Pillow and NumPy."""
import hashlib
import io
import json
import os
import tarfile

import numpy as np
from PIL import Image

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png")
FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "nearest": Image.NEAREST}


class BadData(Exception):
    """Says which file or key is wrong, and how."""


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Images:
    """(where the encoded image is, label or None), in the order of a dataset; nothing is kept in memory."""

    def __init__(self, entries, digest):
        self.entries, self.digest = entries, digest

    def __len__(self):
        return len(self.entries)

    def label(self, i):
        return self.entries[i][3]

    def image(self, i):
        path, offset, size, _ = self.entries[i]
        with open(path, "rb") as file:
            file.seek(offset)
            encoded = file.read(size)
        try:
            return decode(encoded)
        except Exception as error:
            raise BadData(f"{path} at byte {offset}: {error}") from error


def decode(encoded):
    """RGB, 8 bits: alpha is dropped, of 16 bits the upper 8 are kept, the EXIF orientation is ignored."""
    image = Image.open(io.BytesIO(encoded))
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def read_images(paths, labels_file=None, limit=0):
    """Of one folder, or of tar shards in their order; the first `limit` (0: all)."""
    if len(paths) == 1 and os.path.isdir(paths[0]):
        entries = folder_entries(paths[0], labels_file)
    else:
        entries = [entry for path in paths for entry in shard_entries(path)]
    if not entries:
        raise BadData(f"no images in {', '.join(paths)}")
    entries = entries[:limit] if limit else entries
    return Images(entries, digest_of(entries))


def digest_of(entries):
    """Of the images and labels, in whatever files they lie."""
    digest = hashlib.sha256()
    for path, offset, size, label in entries:
        with open(path, "rb") as file:
            file.seek(offset)
            digest.update(hashlib.sha256(file.read(size)).digest())
        digest.update(f"{label}\n".encode())
    return digest.hexdigest()


def folder_entries(folder, labels_file):
    """In turn from each class, labelled by the class's rank or by its line in the file."""
    names = sorted(name for name in os.listdir(folder)
                   if not name.startswith(".") and os.path.isdir(os.path.join(folder, name)))
    if not names:
        return [file_entry(os.path.join(folder, name), None) for name in image_names(folder)]
    labels = {name: rank for rank, name in enumerate(names)}
    if labels_file:
        with open(labels_file, encoding="utf-8") as file:
            lines = {line.split()[0]: number for number, line in enumerate(file) if line.strip()}
        missing = [name for name in names if name not in lines]
        if missing:
            raise BadData(f"{labels_file} has no line for {missing[0]}")
        labels = {name: lines[name] for name in names}
    classes = [(name, image_names(os.path.join(folder, name))) for name in names]
    longest = max(len(images) for _, images in classes)
    return [file_entry(os.path.join(folder, name, images[i]), labels[name])
            for i in range(longest) for name, images in classes if i < len(images)]


def image_names(folder):
    return sorted(name for name in os.listdir(folder)
                  if not name.startswith(".") and name.lower().endswith(IMAGE_EXTENSIONS))


def file_entry(path, label):
    return path, 0, os.path.getsize(path), label


def shard_entries(path):
    """WebDataset convention: <key>.jpg and <key>.cls beside each other, in either order."""
    samples = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if not member.isfile():
                    continue
                folder, _, name = member.name.rpartition("/")
                stem, _, extension = name.partition(".")
                sample = samples.setdefault((folder, stem), {})
                if extension.lower() == "cls":
                    sample["label"] = int(archive.extractfile(member).read().decode().strip())
                elif "." + extension.lower() in IMAGE_EXTENSIONS:
                    sample["image"] = (path, member.offset_data, member.size)
                else:
                    raise BadData(f"{path}: {member.name} is neither an image nor a label")
    except (tarfile.TarError, ValueError) as error:
        raise BadData(f"{path}: {error}") from error
    for (folder, stem), sample in samples.items():
        if "image" not in sample:
            raise BadData(f"{path}: the label {folder}/{stem}.cls has no image")
    return [(*sample["image"], sample.get("label")) for sample in samples.values()]


class Preprocess:
    """One image -> float32 [C, H, W], as docs/preprocessing.md says."""

    def __init__(self, text):
        try:
            document = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadData(f"preprocessing: {error}") from error
        known = {"resize", "center_crop", "color", "scale", "mean", "std"}
        unknown = sorted(set(document) - known)
        if unknown:
            raise BadData(f"preprocessing: {unknown[0]} is unknown; known are {', '.join(sorted(known))}")
        self.canonical = json.dumps(document, sort_keys=True)
        self.resize, self.crop = document.get("resize"), document.get("center_crop")
        self.color = document.get("color", "rgb")
        channels = 1 if self.color == "gray" else 3
        scale = document.get("scale", 1 / 255)
        mean, std = document.get("mean", [0] * channels), document.get("std", [1] * channels)
        levels = np.arange(256, dtype=np.float64)
        self.tables = [((levels * scale - m) / s).astype(np.float32) for m, s in zip(mean, std)]

    def __call__(self, image):
        if self.resize:
            image = image.resize(self.resized(*image.size), FILTERS[self.resize.get("interpolation", "bilinear")])
        if self.crop:
            height, width = self.crop
            if height > image.height or width > image.width:
                raise BadData(f"center_crop: an image of {image.height} x {image.width} pixels is too small")
            top, left = round((image.height - height) / 2), round((image.width - width) / 2)
            image = image.crop((left, top, left + width, top + height))
        if self.color == "gray":
            pixels = np.asarray(image.convert("L"))[:, :, None]
        else:
            pixels = np.asarray(image)[:, :, ::-1 if self.color == "bgr" else 1]
        return np.stack([table[pixels[:, :, c]] for c, table in enumerate(self.tables)])

    def resized(self, width, height):
        if "size" in self.resize:
            return self.resize["size"][1], self.resize["size"][0]
        side = self.resize["shorter_side"]
        longer = side * max(width, height) // min(width, height)
        return (side, longer) if height > width else (longer, side)
