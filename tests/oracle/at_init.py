"""The oracle of the scores by which methods prune, by PyTorch in float64.

    python3 tests/oracle/at_init.py > tests/oracle/at_init.json      (torch 2.11.0, numpy; CPU; a few seconds)

Networks, weights, images and batches are those of probe.py beside this file. Scores are made from their definitions in the papers, not
from products of weights and gradients:
- SNIP (Lee et al. 2019, equation 5): the gradient with respect to a factor c = 1 of each weight, absolute;
- GraSP (Wang et al. 2020, equation 8): the gradient with respect to the factors of <g, stop(g)>, at temperature 200, whose highest
  values are kept;
- SynFlow (Tanaka et al. 2020, algorithm 1): the gradient with respect to the factors of the sum of outputs for an image of ones, with
  absolute weights; and the numbers of weights of each layer after 100 rounds of pruning to a share of all weights. (At smaller
  shares many scores are equal, those of weights in series on one path, and the numbers depend on how ties are broken.)
- LAMP (Lee et al. 2021, equation 4): by sorting the kept weights of a layer, where equal magnitudes count for each other;
- Wanda (Sun et al. 2024, equation 1): of linear layers, whose inputs are recorded as the network computes its logits.
Batch norm has the statistics of each batch or the running ones, in SynFlow and Wanda the latter.
"""
import json
import sys

import torch
import torch.nn.functional as F

from probe import BATCHES, CHANNELS, NETWORKS, SIDE, X, Y, Net, details

SHARES = {"conv": ("0.2", "0.05"), "resnet20": ("0.5",)}


class FactorNet(Net):
    """A network whose weights are multiplied by factors, which are the variables of the derivatives."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.factors = {}

    def weight(self, name, shape):
        weight = super().weight(name, shape).detach()
        factor = self.factors.setdefault(name, torch.ones_like(weight, requires_grad=True))
        return weight * factor


class RecordingNet(Net):
    """A network that records the inputs of its linear layers."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.inputs = {}

    def linear(self, name, x, out):
        self.inputs.setdefault(name + ".weight", []).append(x.detach())
        return super().linear(name, x, out)


def made(forward, density, training, absolute=False):
    net = FactorNet(density, absolute)
    forward(net, X[:2])
    net.training = training
    return net


def loss(forward, net, temperature):
    sums = [F.cross_entropy(forward(net, X[i]) / temperature, Y[i], reduction="sum") for i in BATCHES]
    return sum(sums) / sum(len(i) for i in BATCHES)


def snip(forward, density, training):
    net = made(forward, density, training)
    gradients = torch.autograd.grad(loss(forward, net, 1.0), list(net.factors.values()))
    return details(net, [gradient.abs() for gradient in gradients])


def grasp(forward, density, training):
    net = made(forward, density, training)
    factors = list(net.factors.values())
    gradients = torch.autograd.grad(loss(forward, net, 200.0), factors, create_graph=True)
    # The gradient with respect to a weight w is that with respect to its factor divided by w. Pruned weights are 0, and have no score.
    weights = [net.weights[name].detach() for name in net.factors]
    safe = [torch.where(w == 0, torch.full_like(w, torch.inf), w) for w in weights]
    product = sum(((g / w) * (g / w).detach()).sum() for g, w in zip(gradients, safe))
    return details(net, list(torch.autograd.grad(product, factors)))


def flow(forward, net):
    value = forward(net, torch.ones(1, CHANNELS, SIDE, SIDE)).sum()
    return torch.autograd.grad(value, list(net.factors.values()))


def synflow_counts(forward, density):
    net = made(forward, "dense", False, absolute=True)
    with torch.no_grad():
        for step in range(1, 101):
            with torch.enable_grad():
                scores = torch.cat([s.reshape(-1) for s in flow(forward, net)])
            kept = torch.cat([f.detach().reshape(-1) for f in net.factors.values()])
            scores = torch.where(kept > 0, scores, -torch.ones_like(scores))
            count = round(len(scores) * density ** (step / 100))
            keep = torch.zeros_like(scores)
            keep[scores.argsort(descending=True, stable=True)[:count]] = 1.0
            at = 0
            for factor in net.factors.values():
                factor.copy_(keep[at:at + factor.numel()].reshape(factor.shape))
                at += factor.numel()
    return [int(f.sum()) for f in net.factors.values()]


def lamp(forward, density):
    net = made(forward, density, False)
    scores = []
    for weight in net.weights.values():
        flat = weight.detach().reshape(-1)
        magnitudes = flat.abs().sort().values
        sums = (magnitudes**2).flip(0).cumsum(0).flip(0)[torch.searchsorted(magnitudes, flat.abs())]
        scores.append(torch.where(flat == 0, torch.zeros_like(flat), flat**2 / sums))
    return details(net, scores)


def wanda(forward, density):
    net = RecordingNet(density)
    forward(net, X[:2])
    net.training, net.inputs = False, {}
    for batch in BATCHES:
        forward(net, X[batch])
    linear = {name: torch.cat(inputs).norm(dim=0) for name, inputs in net.inputs.items()}
    scores = [net.weights[name].detach().abs() * norms for name, norms in linear.items()]
    net.weights = {name: net.weights[name] for name in linear}
    return details(net, scores)


def run(forward, density):
    net = made(forward, density, False, absolute=True)
    scores = {"snip_batch": snip(forward, density, True), "snip_running": snip(forward, density, False)}
    scores |= {"synflow_running": details(net, flow(forward, net))}
    scores |= {"lamp": lamp(forward, density), "wanda": wanda(forward, density)}
    return scores | ({"grasp_batch": grasp(forward, density, True), "grasp_running": grasp(forward, density, False)} if density == "dense" else {})


if __name__ == "__main__":
    out = {name: {density: run(forward, density) for density in ("dense", "third")} for name, forward in NETWORKS.items()}
    counts = {name: {share: synflow_counts(NETWORKS[name], float(share)) for share in shares} for name, shares in SHARES.items()}
    json.dump({"torch": torch.__version__.split("+")[0], **out, "synflow_counts": counts}, sys.stdout, indent=0, separators=(",", ":"))
    print()
