"""SparseProp on the layers of LeNet-300-100: batch 60, float32, one thread, random weights.

    python3 benches/sparseprop_layers.py SPARSITY...        (torch 2.11.0, sparseprop 0.1.14 built with -march=native)

Reads a line from standard input, measures, answers with one line of JSON, and repeats this until the input ends. So the
caller can alternate with its own measurements: {"0.8": {"784x300": [a, b, c, d], ...}, ...}, medians in microseconds:
  a  forward of the layer as its users call it (`SparseLinear`, bias included, images by row)
  b  forward and backward of this layer, by autograd
  c  forward of the kernel under it, called directly: features by row, aligned, the 60 images padded to 64
  d  forward and backward of this kernel, without the bias
a and b are SparseProp as its users get it; c and d are its limit, without transposing, allocating and Python. The first
layer needs no input gradient; SparseProp's kernel computes it all the same.
"""
import json
import os
import statistics
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"  # Before the library that reads it.
import numpy as np
import torch
from sparseprop import backend
from sparseprop.modules import SparseLinear

torch.set_num_threads(1)
torch.manual_seed(1)
BATCH, PADDED = 60, 64
SHAPES = [(784, 300), (300, 100), (100, 10)]
CALLS, REPEATS = 50, 5


def aligned(rows):
    """Activations, features by row, at a multiple of 64 bytes."""
    raw = np.empty(rows * PADDED * 4 + 64, np.uint8)
    start = -raw.ctypes.data % 64
    out = raw[start:start + rows * PADDED * 4].view(np.float32).reshape(rows, PADDED)
    out[:] = np.random.default_rng(1).standard_normal(out.shape, np.float32)
    return out


def module_calls(layer, inputs, outputs, first):
    x, gradient = torch.randn(BATCH, inputs, requires_grad=not first), torch.randn(BATCH, outputs)

    def forward():
        with torch.no_grad():
            layer(x)

    def both():
        for t in (x, *layer.parameters()):
            t.grad = None
        layer(x).backward(gradient)

    return forward, both


def kernel_calls(layer, inputs, outputs):
    values, (rows, columns) = layer.W_val.detach().numpy(), (index.numpy() for index in layer.W_idx)
    x, dx, y, dy, dw = aligned(inputs), aligned(inputs), aligned(outputs), aligned(outputs), np.empty_like(values)

    def forward():
        y.fill(0)
        backend.sparse_linear_vectorized_forward(x, rows, columns, values, y)

    def both():
        forward()
        dx.fill(0)
        backend.sparse_linear_vectorized_backward(x, rows, columns, values, dy, dx, dw)

    return forward, both


def all_calls(sparsity, inputs, outputs):
    dense = torch.nn.Linear(inputs, outputs)
    with torch.no_grad():
        dense.weight.view(-1)[torch.randperm(inputs * outputs)[:round(sparsity * inputs * outputs)]] = 0
    layer = SparseLinear.from_dense(dense)
    return *module_calls(layer, inputs, outputs, (inputs, outputs) == SHAPES[0]), *kernel_calls(layer, inputs, outputs)


def microseconds(call):
    times = []
    for _ in range(10):
        call()
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        times.append(1e6 * (time.perf_counter() - start) / CALLS)
    return round(statistics.median(times), 2)


layers = {s: {f"{i}x{o}": all_calls(float(s), i, o) for i, o in SHAPES} for s in sys.argv[1:]}
for _ in sys.stdin:
    print(json.dumps({sparsity: {name: [microseconds(call) for call in calls] for name, calls in by_name.items()}
                      for sparsity, by_name in layers.items()}), flush=True)
