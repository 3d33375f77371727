"""The PyTorch side of `conv_step`: the paper's convolutional networks, as fast as we can write them, one thread.

    python3 benches/pytorch_conv.py IMAGES LABELS NETWORK BATCH ITERATIONS   (raw bytes of 3x32x32 images; torch 2.11.0)

All images are float32 inputs in memory; Adam and SGD are the fused ones; denormals are flushed to 0. Two copies of the
network are trained, one with channels first in memory and one with channels last. Reads a line from standard input,
trains each for ITERATIONS steps, answers with the milliseconds per step of both, and repeats this until the input ends.
"""
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_flush_denormal(True)


class Pairs(nn.Module):
    """Pairs of convolutions with pooling after each pair, then linear layers of 256, 256 and 10 outputs."""

    def __init__(self, widths):
        super().__init__()
        channels = [3] + [width for width in widths for _ in range(2)]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in zip(channels, channels[1:]))
        side = 32 >> len(widths)
        sizes = [widths[-1] * side * side, 256, 256, 10]
        self.linears = nn.ModuleList(nn.Linear(i, o) for i, o in zip(sizes, sizes[1:]))

    def forward(self, x):
        for index, conv in enumerate(self.convs):
            x = F.relu(conv(x))
            x = F.max_pool2d(x, 2) if index % 2 else x
        x = x.flatten(1)
        for linear in self.linears[:-1]:
            x = F.relu(linear(x))
        return self.linears[-1](x)


class Block(nn.Module):
    """A residual block of ResNet-20."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        conv = lambda i, o, size, step: nn.Conv2d(i, o, size, step, size // 2, bias=False)
        self.body = nn.Sequential(conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
                                  conv(outputs, outputs, 3, 1), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


def resnet20():
    layers, inputs = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)], 16
    for outputs in (16, 32, 64):
        for block in range(3):
            layers.append(Block(inputs, outputs, 2 if outputs > 16 and block == 0 else 1))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Training:
    """A network in training on `x` and `y`, with its weights in `memory_format`."""

    def __init__(self, name, x, y, batch, memory_format):
        torch.manual_seed(1)
        network = resnet20() if name == "resnet20" else Pairs([64, 128, 256][: int(name[4:]) // 2])
        self.network = network.to(memory_format=memory_format).train()
        self.x, self.y, self.batch = x.contiguous(memory_format=memory_format), y, batch
        parameters = self.network.parameters()
        if name == "resnet20":
            self.optimizer = torch.optim.SGD(parameters, lr=0.03, momentum=0.9, weight_decay=1e-4, fused=True)
        else:
            self.optimizer = torch.optim.Adam(parameters, lr=2e-4 if name == "conv2" else 3e-4, fused=True)
        self.next_image, self.order = len(x), None

    def step(self):
        if self.next_image + self.batch > len(self.x):
            self.order, self.next_image = torch.randperm(len(self.x)), 0
        i = self.order[self.next_image:self.next_image + self.batch]
        self.next_image += self.batch
        self.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(self.network(self.x[i]), self.y[i]).backward()
        self.optimizer.step()


def measure(training, iterations):
    """Milliseconds per step."""
    start = time.perf_counter()
    for _ in range(iterations):
        training.step()
    return 1e3 * (time.perf_counter() - start) / iterations


if __name__ == "__main__":
    images, labels, name, batch, iterations = sys.argv[1:]
    x = torch.from_numpy(np.fromfile(images, np.uint8).reshape(-1, 3, 32, 32)[:10_000].astype(np.float32) / 255)
    x = (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)
    y = torch.from_numpy(np.fromfile(labels, np.uint8)[:10_000].astype(np.int64))
    both = [Training(name, x, y, int(batch), format) for format in (torch.contiguous_format, torch.channels_last)]
    for training in both:
        measure(training, 3)
    for _ in sys.stdin:
        print(*(measure(training, int(iterations)) for training in both), flush=True)
