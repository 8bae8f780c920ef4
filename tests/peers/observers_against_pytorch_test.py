#!/usr/bin/env python3
"""Compares the ranges of minmax, moving_minmax and histogram with those of PyTorch's own observers
(torch.ao.quantization.observer of Debian's python3-torch), on the same tensors.

usage: observers_against_pytorch_test.py OBSERVER_RANGES
"""
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import torch
    from torch.ao.quantization import observer as pytorch
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

OBSERVER_RANGES = ""
# Fixed: where the search of a heavy-tailed draw ends may depend on a single value.
SEED = int(os.environ.get("HAQ_TEST_SEED", 20))
MICRO_BATCH = 10  # images; core/calib/moving_minmax.h

def tensors(images, per_image):
    """Name -> values, one row an image."""
    generator = torch.Generator().manual_seed(SEED)

    def normal():
        return torch.randn(images, per_image, generator=generator)

    return {
        "normal": normal(),
        "shifted": normal() * 2 + 0.7,
        "relu": normal().clamp(min=0),
        "relu6": (normal() * 4).clamp(0, 6),
        "negative": -normal().abs(),
        "silu": torch.nn.functional.silu(normal() * 3),
        "laplace": torch.empty(images, per_image).exponential_(generator=generator) * normal().sign(),
        "exponential": torch.empty(images, per_image).exponential_(generator=generator),
        "uniform": torch.rand(images, per_image, generator=generator) * 2 - 1,
        "bimodal": normal() * 0.2 + 5 * normal().sign(),
        "lognormal": (1.5 * normal()).exp(),
        "growing": normal() * torch.linspace(0.5, 2, images)[:, None],
    }


def with_whole_ends(values, batch):
    """PyTorch 1.13 passes int(min) and int(max) to torch.histc, so that a tensor between -0.9 and 0.9 loses
    nearly all of its values. With ends that are whole numbers it does what it means to do."""
    values = values * 1024
    for at in range(0, values.shape[0], batch):
        part = values[at:at + batch]
        part[part == part.min()] = part.min().floor()
        part[part == part.max()] = part.max().ceil()
    return values


def ours(values):
    with tempfile.NamedTemporaryFile() as file:
        file.write(values.contiguous().numpy().astype("<f4").tobytes())
        file.flush()
        lines = subprocess.run([OBSERVER_RANGES, file.name, str(values.shape[0])], check=True, text=True,
                               capture_output=True).stdout.splitlines()
    return {name: (float(low), float(high)) for name, low, high in map(str.split, lines)}


def observed(observer, values, batch):
    for at in range(0, values.shape[0], batch):
        observer(values[at:at + batch])
    return observer


def squared_error(values, low, high):
    """Of rounding to the 256 levels that PyTorch makes of a range."""
    observer = pytorch.MinMaxObserver()
    observer(torch.tensor([low, high], dtype=torch.float32))
    scale, zero_point = observer.calculate_qparams()
    rounded = torch.fake_quantize_per_tensor_affine(values, float(scale), int(zero_point), 0, 255)
    return float((values.double() - rounded.double()).square().mean())


class ObserversAgainstPyTorch(unittest.TestCase):
    def test_minmax(self):
        for name, values in tensors(30, 2000).items():
            with self.subTest(name, seed=SEED):
                theirs = observed(pytorch.MinMaxObserver(), values, 7)
                self.assertEqual(ours(values)["minmax"], (float(theirs.min_val), float(theirs.max_val)))

    def test_moving_minmax(self):
        for name, values in tensors(65, 500).items():
            with self.subTest(name, seed=SEED):
                theirs = observed(pytorch.MovingAverageMinMaxObserver(averaging_constant=0.01), values, MICRO_BATCH)
                low, high = ours(values)["moving_minmax"]
                width = float(theirs.max_val - theirs.min_val)
                self.assertAlmostEqual(low, float(theirs.min_val), delta=1e-6 * width)
                self.assertAlmostEqual(high, float(theirs.max_val), delta=1e-6 * width)

    def test_histogram(self):
        """Mostly the very range. The search stops at the first step that does not help, each step is 1e-5 of the
        values, and a few single values of the tail on the other side of a bin's edge may make it stop earlier or
        later: then the squared error is nearly the same."""
        same = 0
        named = tensors(20, 5000)
        for name, values in named.items():
            values = with_whole_ends(values, 20)
            with self.subTest(name, seed=SEED):
                theirs = observed(pytorch.HistogramObserver(), values, 20)._non_linear_param_search()
                theirs = tuple(float(end) for end in theirs)
                own = ours(values)["histogram"]
                two_bins = float(values.max() - values.min()) / 1024
                same += all(abs(a - b) < two_bins for a, b in zip(own, theirs))
                ratio = squared_error(values, *own) / squared_error(values, *theirs)
                self.assertTrue(1 / 1.2 < ratio < 1.2, f"{own} and {theirs}: {ratio}")
        self.assertGreaterEqual(same, len(named) / 3, f"seed {SEED}")

    def test_histogram_of_many_batches(self):
        """PyTorch interpolates its histogram when a batch widens it, ours stays exact: the search may end
        elsewhere, but not at a worse range."""
        for name, values in tensors(60, 2000).items():
            values = with_whole_ends(values, 5)
            with self.subTest(name, seed=SEED):
                theirs = observed(pytorch.HistogramObserver(), values, 5)._non_linear_param_search()
                theirs = tuple(float(end) for end in theirs)
                own = ours(values)["histogram"]
                ratio = squared_error(values, *own) / squared_error(values, *theirs)
                self.assertLess(ratio, 1.2, f"{own} and {theirs}")

    def test_redistribution_beats_them_all(self):
        for name, values in tensors(20, 5000).items():
            values = with_whole_ends(values, 20)
            with self.subTest(name, seed=SEED):
                ranges = ours(values)
                own = squared_error(values, *ranges.pop("redistribution"))
                theirs = observed(pytorch.HistogramObserver(), values, 20)._non_linear_param_search()
                ranges["PyTorch's histogram"] = tuple(float(end) for end in theirs)
                # The expectation is over cells an eighth of a step wide, the error over the values.
                for method, (low, high) in ranges.items():
                    self.assertLessEqual(own, 1.12 * squared_error(values, low, high), method)


if __name__ == "__main__":
    OBSERVER_RANGES = sys.argv.pop(1)
    print(f"HAQ_TEST_SEED={SEED}")
    unittest.main()
