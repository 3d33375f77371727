"""The PyTorch side of a whole `lth run`: iterative magnitude pruning of LeNet-300-100 in PyTorch, one thread.

    python3 benches/pytorch_experiment.py IMAGES LABELS ROUNDS ITERATIONS EVALUATE_EVERY [GATHER_BELOW]   (torch 2.11.0)

IMAGES and LABELS are raw bytes: 55,000 images to train on, 5,000 for validation, 10,000 to test, in this order. One
replicate, the ticket arm: the round of the dense network and ROUNDS after it. Each prunes 20 % of a layer's weights
(10 % of the output layer's) by magnitude and rewinds to the initial weights. The step is that of `pytorch_lenet.py`;
GATHER_BELOW is the density below which Adam updates the kept weights only (0: masks at every density).
Loss and accuracy on validation and test images are taken at the start, every EVALUATE_EVERY iterations and at the end,
as `lth` does. Prints a line per round as it ends, then one line of JSON with all of them and the totals in seconds.
"""
import json
import sys
import time

import torch
from pytorch_lenet import SIZES, Net, read, views

RATES = [0.2, 0.2, 0.1]
BLOCK = 1000  # Activations of a block fit into the second-level cache; from 600 to 15,000 the time hardly differs.


class Evaluation:
    """The forward pass over fixed images into preallocated tensors; scores lie class by class, to reduce them fast."""

    def __init__(self, net, x, y):
        self.net, self.y, self.scores = net, y.unsqueeze(0), torch.empty(SIZES[-1], len(x))
        h1, h2 = torch.empty(BLOCK, SIZES[1]), torch.empty(BLOCK, SIZES[2])
        blocks = zip(x.split(BLOCK), self.scores.t().split(BLOCK))
        self.blocks = [(x, h1[:len(x)], h2[:len(x)], z) for x, z in blocks]

    def __call__(self):
        """Mean loss and accuracy."""
        (w1, w2, w3), (b1, b2, b3) = self.net.w, self.net.b
        for x, h1, h2, z in self.blocks:
            torch.addmm(b1, x, w1.t(), out=h1).clamp_(min=0)
            torch.addmm(b2, h1, w2.t(), out=h2).clamp_(min=0)
            torch.addmm(b3, h2, w3.t(), out=z)
        logs = torch.log_softmax(self.scores, 0)
        label_logs = logs.gather(0, self.y)
        return -label_logs.mean().item(), (label_logs == logs.amax(0)).float().mean().item()


def prune(mask, parameters):
    """Prunes the weights of smallest magnitude in each layer."""
    for layer, weights, rate in zip(views(mask)[0], views(parameters)[0], RATES):
        kept = layer.view(-1).nonzero().squeeze(1)
        smallest = weights.reshape(-1)[kept].abs().argsort()[:int(rate * len(kept) + 0.5)]
        layer.view(-1)[kept[smallest]] = 0


def train(net, iterations, every, evaluations):
    """Seconds of training and of evaluation, and the curve."""
    curve, evaluating, start = [], 0.0, time.perf_counter()
    for iteration in range(iterations + 1):
        if iteration % every == 0 or iteration == iterations:
            evaluation_start = time.perf_counter()
            curve.append([iteration, *(value for evaluate in evaluations for value in evaluate())])
            evaluating += time.perf_counter() - evaluation_start
        if iteration < iterations:
            net.step()
    return time.perf_counter() - start - evaluating, evaluating, curve


def main(images, labels, rounds, iterations, every, gather_below=0.3):
    torch.manual_seed(1)
    x, y = read(images, labels, 55_000)
    assert len(x) == len(y) == 70_000, f"{len(x)} images and {len(y)} labels, not 70,000 each"
    net = Net(x[:55_000], y[:55_000])
    evaluations = [Evaluation(net, x[a:b], y[a:b]) for a, b in ((55_000, 60_000), (60_000, 70_000))]
    initial, mask, results = net.parameters.clone(), torch.ones_like(net.parameters), []
    weights = views(mask)[0]
    train(net, 100, 100, evaluations)  # The first calls are slow, and no part of the experiment.
    start = time.perf_counter()
    for number in range(rounds + 1):
        if number > 0:
            prune(mask, net.parameters)
        net.start(initial, mask if number > 0 else None, gather_below)
        training, evaluating, curve = train(net, iterations, every, evaluations)
        density = sum(int(w.count_nonzero()) for w in weights) / sum(w.numel() for w in weights)
        result = dict(round=number, density=density, training=training, evaluation=evaluating, accuracy=curve[-1][4])
        results.append(result)
        print(*(f"{name} {value:.4g}" for name, value in result.items()), flush=True)
    total = {name: sum(result[name] for result in results) for name in ("training", "evaluation")}
    print(json.dumps(dict(rounds=results, **total, total=time.perf_counter() - start)))


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:6]), *map(float, sys.argv[6:]))
