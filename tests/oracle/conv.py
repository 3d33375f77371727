"""The oracle of the contract suite for convolutional networks: trained by PyTorch in float64.

    python3 tests/oracle/conv.py > tests/oracle/conv.json      (torch 2.11.0, numpy; CPU; about a minute)

Images, labels, initial weights (rounded to float32) and masks come from the hash of tests/all/trainer_contract/conv.rs. All images
are 3 x 12 x 12. The networks:
- `conv2`: that of the paper, with Adam;
- `resnet20`: batch norm, residual blocks and convolutions on shortcuts, with SGD, momentum and weight decay;
- `vgg`: a small network with batch norm, both poolings and dropout, on images that are shifted and mirrored, with Nesterov momentum.

The output has, after every step, the projections of all weights, of each moment and of the running statistics (the sum of the values
with pseudo-random signs); after some steps also the norm and a few values of each tensor, and loss and accuracy in evaluation mode.
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
IMAGES, BATCH, STEPS, DETAILED = 120, 16, 20, (1, 6, 20)
CHANNELS, SIDE, CLASSES = 3, 12, 10
SCALE, OFFSET = 1.0 / (255.0 * 0.25), -0.5 / 0.25


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


BYTES = (mix(1, np.arange(IMAGES * CHANNELS * SIDE * SIDE)) & np.uint64(255)).astype(np.int64)
BYTES = BYTES.reshape(IMAGES, CHANNELS, SIDE, SIDE)
Y = torch.from_numpy((mix(2, np.arange(IMAGES)) % np.uint64(CLASSES)).astype(np.int64))

# The first number of ChaCha8 on the SHA-256 of the stream's name, as src/base/rng.rs draws it for seed 1,
# replicate 1, purpose `elementwise`; a unit test there pins it.
ELEMENTWISE = 15168379077323005823


def key(step, place):
    return mix(mix(ELEMENTWISE, np.array([step]))[0], np.array([place], dtype=np.uint64))[0]


def shown(images, step, augment):
    """Inputs of some images; in training each moved within a black border, then mirrored or not."""
    pixels = BYTES[images]
    if augment and step is not None:
        numbers = mix(key(step, 1 << 32), np.arange(len(images)))
        changed = np.zeros_like(pixels)
        for i, number in enumerate(int(n) for n in numbers):
            down, right = [((number >> shift & 0x7FFFFFFF) * (2 * augment + 1)) >> 31 for shift in (0, 31)]
            padded = np.pad(pixels[i], ((0, 0), (augment, augment), (augment, augment)))
            crop = padded[:, down : down + SIDE, right : right + SIDE]
            changed[i] = crop[:, :, ::-1] if number >> 63 else crop
        pixels = changed
    return torch.from_numpy(pixels.astype(np.float64) * SCALE + OFFSET)


def drop_out(x, rate, step, place):
    """Dropout by counter: the number of a value is mix(key, its position in the batch)."""
    if step is None:
        return x
    numbers = mix(key(step, place), np.arange(x.numel())) >> np.uint64(32)
    kept = torch.from_numpy((numbers >= np.uint64(round(rate * 2**32))).reshape(x.shape))
    return torch.where(kept, x / (1 - rate), 0.0)


class Net:
    """Parameters by name in the order they are asked for first, and running statistics."""

    def __init__(self, density):
        self.p, self.masks, self.buffers, self.at, self.density = {}, {}, {}, 0, density

    def weight(self, name, shape):
        if name not in self.p:
            n, kernel = int(np.prod(shape)), int(np.prod(shape[2:]))
            i = np.arange(self.at, self.at + n)
            self.at += n
            bound = np.sqrt(6.0 / ((shape[0] + shape[1]) * kernel))
            w = ((2 * unit(mix(3, i)) - 1) * bound).astype(np.float32).astype(np.float64)
            keep = (mix(4, i) % np.uint64(3) == 0) if self.density == "third" else np.ones(n, bool)
            self.masks[name] = torch.from_numpy(keep.reshape(shape))
            self.p[name] = torch.where(self.masks[name], torch.from_numpy(w.reshape(shape)), 0.0).requires_grad_()
        return self.p[name]

    def vector(self, name, n, value):
        if name not in self.p:
            self.p[name] = torch.full((n,), float(value)).requires_grad_()
        return self.p[name]

    def conv(self, name, x, out, kernel=3, stride=1, bias=False):
        w = self.weight(name + ".weight", (out, x.shape[1], kernel, kernel))
        b = self.vector(name + ".bias", out, 0) if bias else None
        return F.conv2d(x, w, b, stride, kernel // 2)

    def bn(self, name, x, step):
        n = x.shape[1]
        scale, shift = self.vector(name + ".weight", n, 1), self.vector(name + ".bias", n, 0)
        mean = self.buffers.setdefault(name + ".running_mean", torch.zeros(n))
        var = self.buffers.setdefault(name + ".running_var", torch.ones(n))
        return F.batch_norm(x, mean, var, scale, shift, step is not None, 0.1, 1e-5)

    def linear(self, name, x, out):
        w = self.weight(name + ".weight", (out, x.shape[1]))
        return F.linear(x, w, self.vector(name + ".bias", out, 0))


def conv2(net, x, step):
    x = F.relu(net.conv("conv1", x, 64, bias=True))
    x = F.max_pool2d(F.relu(net.conv("conv2", x, 64, bias=True)), 2)
    x = F.relu(net.linear("linear1", x.flatten(1), 256))
    x = F.relu(net.linear("linear2", x, 256))
    return net.linear("output", x, CLASSES)


def resnet20(net, x, step):
    x = F.relu(net.bn("bn1", net.conv("conv1", x, 16), step))
    for block in range(9):
        name, width = f"block{block + 1}.", 16 << block // 3
        stride = 2 if block in (3, 6) else 1
        y = F.relu(net.bn(name + "bn1", net.conv(name + "conv1", x, width, stride=stride), step))
        y = net.bn(name + "bn2", net.conv(name + "conv2", y, width), step)
        if stride == 2:
            x = net.bn(name + "shortcut_bn", net.conv(name + "shortcut", x, width, kernel=1, stride=2), step)
        x = F.relu(y + x)
    return net.linear("output", x.mean((2, 3)), CLASSES)


def vgg(net, x, step):
    x = F.max_pool2d(F.relu(net.bn("bn1", net.conv("conv1", x, 8), step)), 2)
    x = drop_out(x, 0.25, step, 0)
    x = F.avg_pool2d(F.relu(net.conv("conv2", x, 12, bias=True)), 2)
    x = F.relu(net.bn("bn2", net.linear("linear1", x.flatten(1), 20), step))
    x = drop_out(x, 0.5, step, 1)
    return net.linear("output", x, CLASSES)


def signs(n):
    """+-1 by the counter of a value among all of a kind."""
    return torch.from_numpy(np.where(mix(5, np.arange(n)) % np.uint64(2) == 0, 1.0, -1.0))


def details(tensors):
    picks = lambda t: [t.reshape(-1)[int(i)].item() for i in mix(6, np.arange(6)) % np.uint64(t.numel())]
    return [{"norm": t.detach().norm().item(), "picks": picks(t.detach())} for t in tensors]


def run(forward, density, optimizer, augment=0):
    net = Net(density)
    # Creates all parameters. In evaluation mode the running statistics do not change.
    forward(net, shown(np.arange(2), None, 0), None)
    opt = optimizer(list(net.p.values()))
    names = {"exp_avg": 0, "exp_avg_sq": 1, "momentum_buffer": 0}
    projections, detailed = [], {}
    for step in range(STEPS):
        i = (step * BATCH + np.arange(BATCH)) % IMAGES
        opt.zero_grad()
        F.cross_entropy(forward(net, shown(i, step, augment), step), Y[i]).backward()
        with torch.no_grad():
            for name, mask in net.masks.items():
                net.p[name].grad = torch.where(mask, net.p[name].grad, 0.0)
        opt.step()
        with torch.no_grad():
            for name, mask in net.masks.items():
                net.p[name].copy_(torch.where(mask, net.p[name], 0.0))
            state = [opt.state[t] for t in net.p.values()]
            moments = [[s[k] for s in state] for k in names if k in state[0] and state[0][k] is not None]
            kinds = [list(net.p.values())] + moments + ([list(net.buffers.values())] if net.buffers else [])
            flat = [torch.cat([t.detach().reshape(-1) for t in kind]) for kind in kinds]
            projections.append([float(kind @ signs(len(kind))) for kind in flat])
            if step + 1 in DETAILED:
                z = forward(net, shown(np.arange(IMAGES), None, 0), None)
                detailed[step + 1] = {
                    "tensors": [details(kind) for kind in kinds],
                    "loss": F.cross_entropy(z, Y).item(),
                    "accuracy": (z.argmax(1) == Y).double().mean().item(),
                }
    return {"parameters": list(net.p), "projections": projections, "detailed": detailed}


adam = lambda ps: torch.optim.Adam(ps, lr=1e-3)
sgd = lambda ps: torch.optim.SGD(ps, lr=0.05, momentum=0.9, weight_decay=1e-3)
nesterov = lambda ps: torch.optim.SGD(ps, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)
out = {
    "torch": torch.__version__.split("+")[0],
    "conv2": {"dense": run(conv2, "dense", adam), "third": run(conv2, "third", adam)},
    "resnet20": {"dense": run(resnet20, "dense", sgd), "third": run(resnet20, "third", sgd)},
    "vgg": {"third": run(vgg, "third", nesterov, augment=2)},
}
json.dump(out, sys.stdout, indent=0, separators=(",", ":"))
print()
