"""The oracle of the probe: gradients, Hessian-gradient products and SynFlow's gradients by PyTorch in float64.

    python3 tests/oracle/probe.py > tests/oracle/probe.json      (torch 2.11.0, numpy; CPU; a few seconds)

Images, labels, weights (rounded to float32), masks and running statistics come from the hash of
tests/all/trainer_contract/probe.rs. All images are 3 x 12 x 12. The networks:
- `lenet`: LeNet-300-100;
- `conv`: two convolutions, both poolings and two linear layers;
- `resnet20`: batch norm, residual blocks and convolutions on shortcuts.

The loss is the mean over all images of three batches, each with its own batch statistics. Gradients are with respect to the masked
weights, so pruned weights have gradients too. The output has the norm and a few values of each tensor, and the projection of all
tensors together (the sum of the values with pseudo-random signs).
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
IMAGES, CHANNELS, SIDE, CLASSES = 120, 3, 12, 10
SCALE, OFFSET = 1.0 / (255.0 * 0.25), -0.5 / 0.25
BATCHES = [np.arange(0, 16), np.arange(16, 32), np.arange(32, 40)]


def mix(a, b):
    """SplitMix64's first number from a ^ b * constant, for an array b."""
    with np.errstate(over="ignore"):
        z = np.uint64(a) ^ (np.asarray(b).astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93))
        z = z + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def unit(h):
    return (h >> np.uint64(11)).astype(np.float64) * 2.0**-53


BYTES = (mix(1, np.arange(IMAGES * CHANNELS * SIDE * SIDE)) & np.uint64(255)).astype(np.float64)
X = torch.from_numpy(BYTES.reshape(IMAGES, CHANNELS, SIDE, SIDE) * SCALE + OFFSET)
Y = torch.from_numpy((mix(2, np.arange(IMAGES)) % np.uint64(CLASSES)).astype(np.int64))


class Net:
    """Tensors by name in the order in which they are asked for first; `absolute` for SynFlow."""

    def __init__(self, density, absolute=False):
        self.weights, self.vectors, self.buffers = {}, {}, {}
        self.at, self.norms, self.density, self.absolute, self.training = 0, 0, density, absolute, True

    def sign(self, t):
        return t.abs() if self.absolute else t

    def weight(self, name, shape):
        if name not in self.weights:
            n, kernel = int(np.prod(shape)), int(np.prod(shape[2:]))
            i = np.arange(self.at, self.at + n)
            self.at += n
            bound = np.sqrt(6.0 / ((shape[0] + shape[1]) * kernel))
            w = ((2 * unit(mix(3, i)) - 1) * bound).astype(np.float32).astype(np.float64)
            keep = (mix(4, i) % np.uint64(3) == 0) if self.density == "third" else np.ones(n, bool)
            w = torch.from_numpy(np.where(keep, w, 0.0).reshape(shape))
            self.weights[name] = self.sign(w).requires_grad_()
        return self.weights[name]

    def vector(self, name, n, value):
        return self.vectors.setdefault(name, torch.full((n,), float(value)))

    def statistics(self, name, n):
        if name not in self.buffers:
            i = np.arange(self.norms, self.norms + n)
            self.norms += n
            mean = (unit(mix(7, i)) - 0.5).astype(np.float32).astype(np.float64)
            variance = (unit(mix(8, i)) + 0.5).astype(np.float32).astype(np.float64)
            self.buffers[name] = [self.sign(torch.from_numpy(t)) for t in (mean, variance)]
        return self.buffers[name]

    def conv(self, name, x, out, kernel=3, stride=1, bias=False):
        w = self.weight(name + ".weight", (out, x.shape[1], kernel, kernel))
        b = self.vector(name + ".bias", out, 0) if bias else None
        return F.conv2d(x, w, b, stride, kernel // 2)

    def bn(self, name, x):
        n = x.shape[1]
        scale, shift = self.vector(name + ".weight", n, 1), self.vector(name + ".bias", n, 0)
        mean, variance = self.statistics(name, n)
        if self.training:
            return F.batch_norm(x, None, None, scale, shift, True, 0.0, 1e-5)
        return F.batch_norm(x, mean, variance, scale, shift, False, 0.0, 1e-5)

    def linear(self, name, x, out):
        w = self.weight(name + ".weight", (out, x.shape[1]))
        return F.linear(x, w, self.vector(name + ".bias", out, 0))


def lenet(net, x):
    x = F.relu(net.linear("linear1", x.flatten(1), 300))
    x = F.relu(net.linear("linear2", x, 100))
    return net.linear("output", x, CLASSES)


def conv(net, x):
    x = F.max_pool2d(F.relu(net.conv("conv1", x, 8, bias=True)), 2)
    x = F.avg_pool2d(F.relu(net.conv("conv2", x, 12, bias=True)), 2)
    x = F.relu(net.linear("linear1", x.flatten(1), 20))
    return net.linear("output", x, CLASSES)


def resnet20(net, x):
    x = F.relu(net.bn("bn1", net.conv("conv1", x, 16)))
    for block in range(9):
        name, width = f"block{block + 1}.", 16 << block // 3
        stride = 2 if block in (3, 6) else 1
        y = F.relu(net.bn(name + "bn1", net.conv(name + "conv1", x, width, stride=stride)))
        y = net.bn(name + "bn2", net.conv(name + "conv2", y, width))
        if stride == 2:
            x = net.bn(name + "shortcut_bn", net.conv(name + "shortcut", x, width, kernel=1, stride=2))
        x = F.relu(y + x)
    return net.linear("output", x.mean((2, 3)), CLASSES)


def details(net, tensors):
    signs = lambda n: torch.from_numpy(np.where(mix(5, np.arange(n)) % np.uint64(2) == 0, 1.0, -1.0))
    picks = lambda t: [t.reshape(-1)[int(i)].item() for i in mix(6, np.arange(6)) % np.uint64(t.numel())]
    flat = torch.cat([t.reshape(-1) for t in tensors])
    named = [{"name": name, "norm": t.norm().item(), "picks": picks(t)} for name, t in zip(net.weights, tensors)]
    return {"norm": flat.norm().item(), "projection": float(flat @ signs(len(flat))), "tensors": named}


def made(forward, density, training, absolute=False):
    net = Net(density, absolute)
    forward(net, X[:2])
    net.training = training
    return net, list(net.weights.values())


def loss(forward, net, temperature):
    sums = [F.cross_entropy(forward(net, X[i]) / temperature, Y[i], reduction="sum") for i in BATCHES]
    return sum(sums) / sum(len(i) for i in BATCHES)


def gradients(forward, density, training):
    net, weights = made(forward, density, training)
    return details(net, torch.autograd.grad(loss(forward, net, 1.0), weights))


def product(forward, density, training):
    net, weights = made(forward, density, training)
    first = torch.autograd.grad(loss(forward, net, 200.0), weights, create_graph=True)
    return details(net, torch.autograd.grad(sum((g * g.detach()).sum() for g in first), weights))


def synaptic_flow(forward, density):
    net, weights = made(forward, density, False, absolute=True)
    return details(net, torch.autograd.grad(forward(net, torch.ones(1, CHANNELS, SIDE, SIDE)).sum(), weights))


def run(forward, density):
    return {
        "gradients": {"batch": gradients(forward, density, True), "running": gradients(forward, density, False)},
        "product": {"batch": product(forward, density, True), "running": product(forward, density, False)},
        "synaptic_flow": synaptic_flow(forward, density),
    }


NETWORKS = {"lenet": lenet, "conv": conv, "resnet20": resnet20}

if __name__ == "__main__":
    out = {name: {density: run(forward, density) for density in ("dense", "third")} for name, forward in NETWORKS.items()}
    json.dump({"torch": torch.__version__.split("+")[0], **out}, sys.stdout, indent=0, separators=(",", ":"))
    print()
