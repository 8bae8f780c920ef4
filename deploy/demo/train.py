#!/usr/bin/env python3
"""Trains the demo's network on images that haq-demo-data drew, and saves it as TorchScript.

    haq-demo-data DATA --train 8000
    /usr/bin/python3 deploy/demo/train.py DATA --output deploy/demo/model

Needs Debian 12's python3-torch and python3-pil, and about three minutes of one core.
"""
import argparse
import json
import pathlib
import sys
import time

import numpy
import torch
from PIL import Image
from torch import nn

MEAN = [0.485, 0.456, 0.406]
STD = [0.229, 0.224, 0.225]
PREPROCESS = {"color": "rgb", "scale": 1 / 255, "mean": MEAN, "std": STD}


def convolution(inputs, outputs, kernel=1, stride=1, groups=1, activation=None):
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([activation] if activation else []))


class Bottleneck(nn.Module):
    """Widen, depthwise, narrow without activation; a residual where the shapes agree."""

    def __init__(self, inputs, outputs, widen, stride=1):
        super().__init__()
        middle = inputs * widen
        self.residual = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            convolution(inputs, middle, activation=nn.ReLU6()),
            convolution(middle, middle, 3, stride, groups=middle, activation=nn.ReLU6()),
            convolution(middle, outputs),
        )

    def forward(self, x):
        y = self.layers(x)
        if self.residual:
            y = y + x
        return y


class Branches(nn.Module):
    """Three views of the same features side by side."""

    def __init__(self, inputs, outputs):
        super().__init__()
        third = outputs // 4
        self.narrow = convolution(inputs, third, activation=nn.SiLU())
        self.wide = convolution(inputs, outputs - 2 * third, 3, activation=nn.SiLU())
        self.pool = nn.MaxPool2d(3, 1, 1)
        self.pooled = convolution(inputs, third, activation=nn.SiLU())

    def forward(self, x):
        return torch.cat([self.narrow(x), self.wide(x), self.pooled(self.pool(x))], 1)


class DemoNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(
            convolution(3, 24, 3, stride=2, activation=nn.SiLU()),
            Bottleneck(24, 24, 2),
            Branches(24, 64),
            Bottleneck(64, 64, 2, stride=2),
            Bottleneck(64, 64, 2),
            Bottleneck(64, 64, 2),
            convolution(64, 128, activation=nn.SiLU()),
            nn.AdaptiveAvgPool2d(1),
        )
        self.classifier = nn.Linear(128, classes)

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


def load(folder):
    """Images [N, 3, H, W] as the network takes them, and labels: the ranks of the class folders."""
    if not folder.is_dir():
        sys.exit(f"{folder} is missing: draw it with haq-demo-data DATA --train 8000")
    pixels, labels = [], []
    for label, name in enumerate(sorted(p.name for p in folder.iterdir())):
        for path in sorted((folder / name).glob("*.png")):
            pixels.append(numpy.asarray(Image.open(path).convert("RGB")))
            labels.append(label)
    images = torch.from_numpy(numpy.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (images - mean) / std, torch.tensor(labels)


def turned(images):
    """Each class is closed under turning and mirroring."""
    if torch.rand(()) < 0.5:
        images = images.flip(3)
    return torch.rot90(images, int(torch.randint(4, ())), (2, 3))


def accuracy(net, images, labels):
    net.eval()
    with torch.no_grad():
        answers = torch.cat([net(batch).argmax(1) for batch in images.split(250)])
    return (answers == labels).float().mean().item()


def train(net, images, labels, epochs, batch=64):
    steps = epochs * (len(images) // batch)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.004, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.004, total_steps=steps)
    start = time.monotonic()
    for epoch in range(epochs):
        net.train()
        total = 0.0
        batches = torch.randperm(len(images)).split(batch)[: len(images) // batch]
        for chosen in batches:
            loss = nn.functional.cross_entropy(net(turned(images[chosen])), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs}: loss {total / len(batches):.3f}, "
              f"{time.monotonic() - start:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=pathlib.Path, help="folder with train/ and test/")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="folder to save in")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    images, labels = load(options.data / "train")
    net = DemoNet(int(labels.max()) + 1)
    train(net, images, labels, options.epochs)
    print(f"top-1 on the test images: {100 * accuracy(net, *load(options.data / 'test')):.2f} %")

    options.output.mkdir(parents=True, exist_ok=True)
    torch.jit.script(net.eval()).save(str(options.output / "demo_net.pt"))
    (options.output / "preprocess.json").write_text(json.dumps(PREPROCESS, indent=2) + "\n")


if __name__ == "__main__":
    main()
