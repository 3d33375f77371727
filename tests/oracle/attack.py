"""The oracle of attacks: logits, gradients with respect to pixels, FGSM and PGD by PyTorch in float64.

    python3 tests/oracle/attack.py > tests/oracle/attack.json      (torch, numpy; CPU; a few seconds)

Networks, weights, masks (a third of the weights), running statistics and the first 16 images are those of probe.py. Pixels are
bytes / 255, and the normalization is part of the network: affine, for each channel, or division by the Euclidean norm of the image.
Attacks take the steps of Goodfellow et al. 2015 and Madry et al. 2018, written here with PyTorch's operations on whole batches.
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

from probe import BYTES, CHANNELS, NETWORKS, OFFSET, SCALE, SIDE, Y, made, mix, unit

N = 16
PIXELS = torch.from_numpy(BYTES.reshape(-1, CHANNELS, SIDE, SIDE)[:N] / 255)
LABELS = Y[:N]
SCALES = torch.tensor([1 / (255 * 0.25), 1 / (255 * 0.2), 1 / (255 * 0.3)]).view(1, 3, 1, 1)
OFFSETS = torch.tensor([-2.0, -1.5, -1.0]).view(1, 3, 1, 1)
NORMALIZATIONS = {
    "affine": lambda x: 255 * x * SCALE + OFFSET,
    "per_channel": lambda x: 255 * x * SCALES + OFFSETS,
    "per_image": lambda x: x / x.flatten(1).norm(dim=1).view(-1, 1, 1, 1),
}
UNIFORM = torch.from_numpy(2 * unit(mix(9, np.arange(PIXELS.numel()))) - 1).view_as(PIXELS)


def norms(t):
    return t.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def project(x, epsilon, norm):
    change = x - PIXELS
    change = change.clamp(-epsilon, epsilon) if norm == "linf" else change * (epsilon / norms(change)).clamp(max=1)
    return (PIXELS + change).clamp(0, 1)


def gradient(model, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(model(x), LABELS, reduction="sum"), x)[0]


def attack(model, norm, epsilon, steps, length, start):
    x = project(PIXELS + start, epsilon, norm)
    for _ in range(steps):
        g = gradient(model, x)
        x = project(x + length * (g.sign() if norm == "linf" else g / norms(g)), epsilon, norm)
    return x


def details(t):
    sign = torch.from_numpy(np.where(mix(5, np.arange(t.numel())) % np.uint64(2) == 0, 1.0, -1.0))
    picks = [t.reshape(-1)[int(i)].item() for i in mix(6, np.arange(6)) % np.uint64(t.numel())]
    return {"norm": t.norm().item(), "projection": float(t.reshape(-1) @ sign), "picks": picks}


def run(forward, normalize):
    net, _ = made(forward, "third", False)
    model = lambda x: forward(net, normalize(x))
    zero = torch.zeros_like(PIXELS)
    linf, l2 = 0.1 * UNIFORM, 0.5 * UNIFORM / norms(UNIFORM)
    attacks = {
        "fgsm linf": attack(model, "linf", 0.1, 1, 0.1, zero),
        "fgsm l2": attack(model, "l2", 1.0, 1, 1.0, zero),
        "pgd linf": attack(model, "linf", 0.1, 5, 2.5 * 0.1 / 5, linf),
        "pgd l2": attack(model, "l2", 1.0, 5, 2.5 * 1.0 / 5, l2),
    }
    with torch.no_grad():
        losses = {name: F.cross_entropy(model(x), LABELS).item() for name, x in attacks.items()}
        logits = details(model(PIXELS))
    changes = {name: details(x - PIXELS) for name, x in attacks.items()}
    return {"logits": logits, "gradient": details(gradient(model, PIXELS)), "losses": losses, "changes": changes}


out = {
    name: {key: run(forward, normalize) for key, normalize in NORMALIZATIONS.items()} for name, forward in NETWORKS.items()
}
json.dump({"torch": torch.__version__.split("+")[0], **out}, sys.stdout, indent=0, separators=(",", ":"))
print()
