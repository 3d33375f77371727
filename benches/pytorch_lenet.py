"""The opponent of `dense_step`: LeNet-300-100 in PyTorch as fast as we know how to write it, one thread.

    python3 benches/pytorch_lenet.py IMAGES LABELS ITERATIONS        (raw bytes of 28x28 images; torch 2.11.0)

The backward pass is derived by hand, every intermediate is preallocated, Adam is the fused one. Reads a line from
standard input, trains ITERATIONS steps, answers with milliseconds per step of the network and of its eight matrix
products alone; again until the input ends. So the caller can alternate with its own measurements.
"""
import sys
import time

import numpy as np
import torch

torch.set_num_threads(1)
torch.manual_seed(1)
torch.set_grad_enabled(False)
BATCH, SIZES = 60, [784, 300, 100, 10]
X = torch.from_numpy(np.fromfile(sys.argv[1], np.uint8).reshape(-1, 784).astype(np.float32) / 255)
X = (X - X.mean()) / X.std()
Y = torch.from_numpy(np.fromfile(sys.argv[2], np.uint8).astype(np.int64))
ITERATIONS = int(sys.argv[3])


class Net:
    def __init__(self):
        self.w = [torch.nn.init.xavier_normal_(torch.empty(o, i)) for i, o in zip(SIZES, SIZES[1:])]
        self.b = [torch.zeros(o) for o in SIZES[1:]]
        self.gw, self.gb = [torch.zeros_like(w) for w in self.w], [torch.zeros_like(b) for b in self.b]
        parameters = [t for pair in zip(self.w, self.b) for t in pair]
        gradients = [t for pair in zip(self.gw, self.gb) for t in pair]
        for p, g in zip(parameters, gradients):
            p.requires_grad_()
            p.grad = g
        self.adam = torch.optim.Adam(parameters, lr=1.2e-3, fused=True)
        self.h = [torch.empty(BATCH, o) for o in SIZES[1:]]
        self.d = [torch.empty(BATCH, o) for o in SIZES[1:-1]]
        self.minus_one = torch.full((BATCH, 1), -1.0)
        self.at, self.order = len(X), None

    def batch(self):
        if self.at + BATCH > len(X):
            self.order, self.at = torch.randperm(len(X)), 0
        i = self.order[self.at:self.at + BATCH]
        self.at += BATCH
        return X.index_select(0, i), Y.index_select(0, i)

    def step(self):
        x, y = self.batch()
        (w1, w2, w3), (b1, b2, b3), (h1, h2, z), (d1, d2) = self.w, self.b, self.h, self.d
        (g1, g2, g3), (c1, c2, c3) = self.gw, self.gb
        torch.addmm(b1, x, w1.t(), out=h1).clamp_(min=0)
        torch.addmm(b2, h1, w2.t(), out=h2).clamp_(min=0)
        torch.addmm(b3, h2, w3.t(), out=z)
        d3 = torch.softmax(z, 1)
        d3.scatter_add_(1, y.unsqueeze(1), self.minus_one)
        d3.mul_(1 / BATCH)
        torch.mm(d3.t(), h2, out=g3)
        torch.sum(d3, 0, out=c3)
        torch.mm(d3, w3, out=d2)
        d2.mul_(h2 > 0)
        torch.mm(d2.t(), h1, out=g2)
        torch.sum(d2, 0, out=c2)
        torch.mm(d2, w2, out=d1)
        d1.mul_(h1 > 0)
        torch.mm(d1.t(), x, out=g1)
        torch.sum(d1, 0, out=c1)
        self.adam.step()


class Products:
    def __init__(self):
        self.x, self.w = torch.randn(BATCH, 784), [torch.randn(o, i) for i, o in zip(SIZES, SIZES[1:])]
        self.h, self.d = [torch.randn(BATCH, o) for o in SIZES[1:]], [torch.randn(BATCH, o) for o in SIZES[1:]]
        self.g = [torch.empty_like(w) for w in self.w]

    def step(self):
        (w1, w2, w3), (h1, h2, z), (d1, d2, d3), (g1, g2, g3) = self.w, self.h, self.d, self.g
        torch.mm(self.x, w1.t(), out=h1)
        torch.mm(h1, w2.t(), out=h2)
        torch.mm(h2, w3.t(), out=z)
        torch.mm(d3.t(), h2, out=g3)
        torch.mm(d3, w3, out=d2)
        torch.mm(d2.t(), h1, out=g2)
        torch.mm(d2, w2, out=d1)
        torch.mm(d1.t(), self.x, out=g1)


def measure(what):
    start = time.perf_counter()
    for _ in range(ITERATIONS):
        what.step()
    return 1e3 * (time.perf_counter() - start) / ITERATIONS


net, products = Net(), Products()
for _ in range(300):
    net.step()
for _ in sys.stdin:
    print(measure(net), measure(products), flush=True)
