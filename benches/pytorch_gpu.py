"""The PyTorch side of `lanes`: one network on one GPU, as fast as we can write it.

    python3 benches/pytorch_gpu.py IMAGES LABELS NETWORK CHANNELS SIDE BATCH STEPS [tf32]     (torch 2.11.0 with CUDA)

IMAGES and LABELS are raw bytes. All images are float32 inputs on the GPU; Adam and SGD are the fused ones; the whole
step (choice of images, forward, backward, update) is one CUDA graph. Convolutional networks are measured with channels
last in memory and with channels first, with kernels that cuDNN has chosen by timing. Reads a line from standard input,
trains STEPS steps in each way, answers with the steps per second of the fastest way, and repeats this until the input
ends.
"""
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from pytorch_conv import Pairs, resnet20

torch.backends.cudnn.benchmark = True

VGG_19 = [64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512]


def vgg19():
    """VGG-19 for 32x32 images: convolutions with batch norm, 0 for max-pooling, global average pooling, one linear
    layer."""
    layers, inputs = [], 3
    for width in VGG_19:
        if width == 0:
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def network_by_name(name):
    if name == "lenet_300_100":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(),
                             nn.Linear(100, 10))
    if name == "resnet20":
        return resnet20()
    if name == "vgg19":
        return vgg19()
    return Pairs([64, 128, 256][: int(name[4:]) // 2])


class Training:
    """A network in training on images `x` with labels `y`, a CUDA graph per step."""

    def __init__(self, name, x, y, batch, memory_format):
        torch.manual_seed(1)
        network = network_by_name(name).cuda().to(memory_format=memory_format).train()
        x = x.contiguous(memory_format=memory_format)
        if name in ("resnet20", "vgg19"):
            optimizer = torch.optim.SGD(network.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4, fused=True)
        else:
            optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True, capturable=True)
        # The graph reads all of these in place.
        self.held = [network, x, y, optimizer]
        self.count, self.batch = len(x), batch
        self.chosen = torch.zeros(batch, dtype=torch.int64, device="cuda")

        def step():
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(network(x[self.chosen]), y[self.chosen]).backward()
            optimizer.step()

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(5):
                step()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            step()
        self.next_image, self.order = self.count, None

    def train(self, steps):
        for _ in range(steps):
            if self.next_image + self.batch > self.count:
                self.order, self.next_image = torch.randperm(self.count, device="cuda"), 0
            self.chosen.copy_(self.order[self.next_image:self.next_image + self.batch])
            self.next_image += self.batch
            self.graph.replay()
        torch.cuda.synchronize()


def rate(training, steps):
    """Steps per second."""
    start = time.perf_counter()
    training.train(steps)
    return steps / (time.perf_counter() - start)


if __name__ == "__main__":
    images, labels, name, channels, side, batch, steps, *precision = sys.argv[1:]
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == ["tf32"]
    x = np.fromfile(images, np.uint8).reshape(-1, int(channels), int(side), int(side)).astype(np.float32) / 255
    x = torch.from_numpy(x).cuda()
    y = torch.from_numpy(np.fromfile(labels, np.uint8).astype(np.int64)).cuda()
    formats = [torch.contiguous_format] + ([] if name == "lenet_300_100" else [torch.channels_last])
    ways = [Training(name, x, y, int(batch), memory_format) for memory_format in formats]
    for way in ways:
        way.train(20)
    for _ in sys.stdin:
        print(max(rate(way, int(steps)) for way in ways), flush=True)
