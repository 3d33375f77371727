"""The oracle of the trainer of scores: masks trained by PyTorch in float64, with weights that stay as they are.

    python3 tests/oracle/supermask.py > tests/oracle/supermask.json      (torch 2.11.0, numpy; CPU; a second)

A small network (a convolution, batch norm, a linear layer) on images of 3 x 12 x 12; images, labels, weights and scores come from the
hash of tests/all/trainer_contract/conv.rs. Choosing the mask is an autograd function whose gradient is that of the identity:
- `edge_popup` keeps the weights with the largest |score| of each layer, as many as the mask of conv.rs keeps;
- `bernoulli` keeps each weight with the probability sigmoid(score), drawn for every batch; evaluations are means of ten draws.

The output has, after every step, the norm and the projection (the sum of the values with pseudo-random signs) of the scores of each
layer, the projection of each mask, the norms of the running statistics, and loss and accuracy in evaluation mode.
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
IMAGES, BATCH, STEPS = 120, 16, 8
CHANNELS, SIDE, CLASSES = 3, 12, 10
SCALE, OFFSET = 1.0 / (255.0 * 0.25), -0.5 / 0.25
# The first number of the elementwise stream for seed 1 and replicate 1, and the first random site of scores.
ELEMENTWISE, SITE = 15168379077323005823, 1 << 33
SHAPES = {"conv1.weight": (6, 3, 3, 3), "output.weight": (10, 6 * 36)}


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


def key(seed, iteration, site):
    return mix(mix(seed, np.array([iteration], dtype=np.uint64))[0], np.array([site], dtype=np.uint64))[0]


BYTES = (mix(1, np.arange(IMAGES * CHANNELS * SIDE * SIDE)) & np.uint64(255)).astype(np.int64)
X = torch.from_numpy(BYTES.reshape(IMAGES, CHANNELS, SIDE, SIDE) * SCALE + OFFSET)
Y = torch.from_numpy((mix(2, np.arange(IMAGES)) % np.uint64(CLASSES)).astype(np.int64))


class Largest(torch.autograd.Function):
    """1 for the `count` largest values; the gradient of the identity."""

    @staticmethod
    def forward(ctx, values, count):
        mask = torch.zeros(values.numel())
        mask[values.reshape(-1).topk(count).indices] = 1.0
        return mask.reshape(values.shape)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class Draw(torch.autograd.Function):
    """1 where the number is below the probability; the gradient of the identity."""

    @staticmethod
    def forward(ctx, probabilities, numbers):
        return (numbers < probabilities).to(probabilities.dtype)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class Supermask:
    def __init__(self, kind):
        self.kind, self.weights, self.scores, self.counts, at = kind, {}, {}, {}, 0
        for name, shape in SHAPES.items():
            n, kernel = int(np.prod(shape)), int(np.prod(shape[2:]))
            i = np.arange(at, at + n)
            at += n
            bound = np.sqrt(6.0 / ((shape[0] + shape[1]) * kernel))
            single = lambda values: torch.from_numpy(values.astype(np.float32).astype(np.float64).reshape(shape))
            self.weights[name] = single((2 * unit(mix(3, i)) - 1) * bound)
            score = 0.1 if kind == "edge_popup" else 2.0
            self.scores[name] = single((2 * unit(mix(7, i)) - 1) * score).requires_grad_()
            self.counts[name] = int((mix(4, i) % np.uint64(3) == 0).sum())
        self.mean, self.variance = torch.zeros(6), torch.ones(6)

    def masks(self, seed, iteration):
        for site, (name, score) in enumerate(self.scores.items()):
            if self.kind == "edge_popup":
                yield Largest.apply(score.abs(), self.counts[name])
            else:
                numbers = unit(mix(key(seed, iteration, SITE + site), np.arange(score.numel())))
                yield Draw.apply(torch.sigmoid(score), torch.from_numpy(numbers.reshape(score.shape)))

    def logits(self, x, masks, training):
        conv, output = (mask * weight for mask, weight in zip(masks, self.weights.values()))
        x = F.conv2d(x, conv, padding=1)
        x = F.batch_norm(x, self.mean, self.variance, torch.ones(6), torch.zeros(6), training, 0.1, 1e-5)
        return F.linear(F.max_pool2d(F.relu(x), 2).flatten(1), output)


def signs(n):
    return torch.from_numpy(np.where(mix(5, np.arange(n)) % np.uint64(2) == 0, 1.0, -1.0))


def run(kind, optimizer):
    net, records = Supermask(kind), []
    opt = optimizer(list(net.scores.values()))
    for step in range(STEPS):
        i = (step * BATCH + np.arange(BATCH)) % IMAGES
        opt.zero_grad()
        F.cross_entropy(net.logits(X[i], net.masks(ELEMENTWISE, step), True), Y[i]).backward()
        opt.step()
        with torch.no_grad():
            draws = 10 if kind == "bernoulli" else 1
            logits = [net.logits(X, net.masks(0, draw), False) for draw in range(draws)]
            flat = [score.reshape(-1) for score in net.scores.values()]
            chosen = net.masks(0, 0) if kind == "edge_popup" else [(score >= 0).double() for score in net.scores.values()]
            records.append(
                {
                    "scores": [[s.norm().item(), (s @ signs(len(s))).item()] for s in flat],
                    "masks": [(m.reshape(-1) @ signs(m.numel())).item() for m in chosen],
                    "statistics": [net.mean.norm().item(), net.variance.norm().item()],
                    "loss": float(np.mean([F.cross_entropy(z, Y).item() for z in logits])),
                    "accuracy": float(np.mean([(z.argmax(1) == Y).double().mean().item() for z in logits])),
                }
            )
    return records


sgd = lambda lr: lambda scores: torch.optim.SGD(scores, lr=lr, momentum=0.9, weight_decay=1e-4)
adam = lambda scores: torch.optim.Adam(scores, lr=0.01)
out = {
    "torch": torch.__version__.split("+")[0],
    "edge_popup": {"sgd": run("edge_popup", sgd(0.1)), "adam": run("edge_popup", adam)},
    "bernoulli": {"sgd": run("bernoulli", sgd(20.0)), "adam": run("bernoulli", adam)},
}
json.dump(out, sys.stdout, indent=1)
print()
