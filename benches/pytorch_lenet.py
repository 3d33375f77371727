"""The PyTorch side of `dense_step`: LeNet-300-100 in PyTorch as fast as we know how to write it, one thread.

    python3 benches/pytorch_lenet.py IMAGES LABELS ITERATIONS        (raw bytes of 28x28 images; torch 2.11.0)

The backward pass is derived by hand, every intermediate is preallocated, weights and biases lie in one buffer, which
one fused Adam passes over once, and denormals are flushed to 0. Reads a line from standard input, trains ITERATIONS
steps, answers with milliseconds per step of the network and of its eight matrix products alone, and repeats this until
the input ends. So the caller can alternate with its own measurements.
"""
import sys
import time

import numpy as np
import torch

torch.set_num_threads(1)
torch.set_flush_denormal(True)
torch.set_grad_enabled(False)
BATCH, SIZES = 60, [784, 300, 100, 10]
SHAPES = [*zip(SIZES[1:], SIZES), *((o,) for o in SIZES[1:])]
ADAM = dict(lr=1.2e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False)


def read(images, labels, train=None):
    """Images with mean 0 and deviation 1 over the first `train` of them, and labels."""
    x = torch.from_numpy(np.fromfile(images, np.uint8).reshape(-1, 784).astype(np.float32) / 255)
    return (x - x[:train].mean()) / x[:train].std(), torch.from_numpy(np.fromfile(labels, np.uint8).astype(np.int64))


def views(buffer):
    """The weights and the biases in a buffer; each starts at a multiple of 64 bytes."""
    tensors, start = [], 0
    for shape in SHAPES:
        size = int(np.prod(shape))
        tensors.append(buffer[start:start + size].view(shape))
        start += -(-size // 16) * 16
    return tensors[:3], tensors[3:]


LENGTH = sum(-(-int(np.prod(shape)) // 16) * 16 for shape in SHAPES)


class Net:
    """A network in training, with all memory that a step needs."""

    def __init__(self, x, y):
        self.x, self.y = x, y
        self.parameters, self.gradients = torch.zeros(LENGTH), torch.zeros(LENGTH)
        (self.w, self.b), (self.gw, self.gb) = views(self.parameters), views(self.gradients)
        for w in self.w:
            torch.nn.init.xavier_normal_(w)
        self.images, self.labels = torch.empty(BATCH, 784), torch.empty(BATCH, dtype=torch.int64)
        self.h = [torch.empty(BATCH, o) for o in SIZES[1:]]
        self.d = [torch.empty(BATCH, o) for o in SIZES[1:]]
        self.minus_one = torch.full((BATCH, 1), -1.0)
        self.start(self.parameters)

    def start(self, parameters, mask=None, gather_below=0.3):
        """Begins a training run from `parameters` times the mask, with new moments and a new order of images.

        The gradient of a pruned weight is multiplied by 0, so its moments stay 0 and the weight stays 0. If the mask
        keeps a smaller share than `gather_below`, it is faster to gather the gradients of the kept weights and to let
        Adam update only these: at 3.6 % of the weights that takes about 0.03 ms a step instead of 0.3 ms. Both ways
        take the same time at about 35 %.
        """
        torch.mul(parameters, 1 if mask is None else mask, out=self.parameters)
        self.mask, self.kept = mask, None
        self.adam = [self.parameters, self.gradients]
        if mask is not None and mask.mean() < gather_below:
            self.kept = mask.nonzero().squeeze(1)
            self.adam = [t[self.kept] for t in self.adam]
        self.adam += [torch.zeros_like(self.adam[0]), torch.zeros_like(self.adam[0])]
        self.steps, self.random = torch.zeros(()), torch.Generator().manual_seed(1)
        self.next_image, self.order = len(self.x), None

    def batch(self):
        if self.next_image + BATCH > len(self.x):
            self.order, self.next_image = torch.randperm(len(self.x), generator=self.random), 0
        i = self.order[self.next_image:self.next_image + BATCH]
        self.next_image += BATCH
        torch.index_select(self.x, 0, i, out=self.images)
        torch.index_select(self.y, 0, i, out=self.labels)
        return self.images, self.labels

    def step(self):
        x, y = self.batch()
        (w1, w2, w3), (b1, b2, b3), (h1, h2, z), (d1, d2, d3) = self.w, self.b, self.h, self.d
        (g1, g2, g3), (c1, c2, c3) = self.gw, self.gb
        relu_backward = torch.ops.aten.threshold_backward
        torch.addmm(b1, x, w1.t(), out=h1).clamp_(min=0)
        torch.addmm(b2, h1, w2.t(), out=h2).clamp_(min=0)
        torch.addmm(b3, h2, w3.t(), out=z)
        torch.softmax(z, 1, out=d3)
        d3.scatter_add_(1, y.unsqueeze(1), self.minus_one)
        d3.mul_(1 / BATCH)
        torch.mm(d3.t(), h2, out=g3)
        torch.sum(d3, 0, out=c3)
        torch.mm(d3, w3, out=d2)
        relu_backward(d2, h2, 0, grad_input=d2)
        torch.mm(d2.t(), h1, out=g2)
        torch.sum(d2, 0, out=c2)
        torch.mm(d2, w2, out=d1)
        relu_backward(d1, h1, 0, grad_input=d1)
        torch.mm(d1.t(), x, out=g1)
        torch.sum(d1, 0, out=c1)
        self.update()

    def update(self):
        parameters, gradients, first, second = self.adam
        if self.kept is not None:
            torch.index_select(self.gradients, 0, self.kept, out=gradients)
        elif self.mask is not None:
            gradients.mul_(self.mask)
        # What `torch.optim.Adam(fused=True)` calls, without 0.1 to 0.2 ms of Python around it.
        self.steps.add_(1)
        torch._fused_adam_([parameters], [gradients], [first], [second], [], [self.steps], **ADAM)
        if self.kept is not None:
            self.parameters.scatter_(0, self.kept, parameters)


class Products:
    """The eight matrix products of a step, of random matrices."""

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


def measure(stepper, iterations):
    """Milliseconds per step."""
    start = time.perf_counter()
    for _ in range(iterations):
        stepper.step()
    return 1e3 * (time.perf_counter() - start) / iterations


if __name__ == "__main__":
    torch.manual_seed(1)
    net, products = Net(*read(*sys.argv[1:3])), Products()
    measure(net, 300)
    for _ in sys.stdin:
        print(measure(net, int(sys.argv[3])), measure(products, int(sys.argv[3])), flush=True)
