"""The oracle of the contract suite: LeNet-300-100 trained by PyTorch in float64.

    python3 tests/oracle/lenet.py > tests/oracle/lenet.json      (torch 2.11.0, numpy; CPU; about a minute)

Data, initial weights (rounded to float32) and masks come from the hash of tests/all/trainer_contract/mlp.rs. The network is trained
with Adam and with SGD (momentum and weight decay), dense and with a tenth of the weights; and for a few steps with variants of these:
with dropout (and no ReLU after linear2), with smoothed labels, and with clipped gradients.

The output has, after every step, the projections of all weights and of each moment (the sum of the values with pseudo-random signs);
after some steps also the norm and a few values of each tensor.
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
IMAGES, BATCH, STEPS, DETAILED = 600, 60, 201, (1, 11, 51, 201)
SCALE, OFFSET = 1.0 / (255.0 * 0.3081), -0.1307 / 0.3081


def mix(a, b):
    """SplitMix64's first number from a ^ b * constant, for an array b."""
    with np.errstate(over="ignore"):
        z = np.uint64(a) ^ (b.astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93))
        z = z + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def unit(h):
    return (h >> np.uint64(11)).astype(np.float64) * 2.0**-53


h = mix(1, np.arange(IMAGES * 784)).reshape(IMAGES, 784)
pixels = np.where((h >> np.uint64(8)) % np.uint64(4) == 0, h & np.uint64(255), 0)
X = torch.from_numpy(pixels.astype(np.float64) * SCALE + OFFSET)
Y = torch.from_numpy((mix(2, np.arange(IMAGES)) % np.uint64(10)).astype(np.int64))

SHAPES = [("linear1", 300, 784), ("linear2", 100, 300), ("output", 10, 100)]


def network(masked):
    """Parameters by name, and the masks of the weights; one counter runs through all weights."""
    parameters, masks, at = {}, {}, 0
    for name, outputs, inputs in SHAPES:
        i = np.arange(at, at + outputs * inputs)
        at += outputs * inputs
        w = ((2 * unit(mix(3, i)) - 1) * np.sqrt(6.0 / (inputs + outputs))).astype(np.float32).astype(np.float64)
        keep = (mix(4, i) % np.uint64(10) == 0) if masked else np.ones(len(i), bool)
        mask = torch.from_numpy(keep.reshape(outputs, inputs))
        parameters[name + ".weight"] = torch.where(mask, torch.from_numpy(w.reshape(outputs, inputs)), 0.0)
        parameters[name + ".bias"] = torch.zeros(outputs, dtype=torch.float64)
        masks[name + ".weight"] = mask
    return parameters, masks


# The first number of ChaCha8 on the SHA-256 of the stream's name, as src/base/rng.rs draws it for seed 1,
# replicate 1, purpose `elementwise`; a unit test there pins it.
ELEMENTWISE = 15168379077323005823


def drop_out(x, rate, step, place):
    """Dropout by counter: the number of a value is mix(key, its position in the batch)."""
    key = mix(mix(ELEMENTWISE, np.array([step]))[0], np.array([place]))[0]
    numbers = mix(key, np.arange(x.numel())) >> np.uint64(32)
    kept = torch.from_numpy((numbers >= np.uint64(round(rate * 2**32))).reshape(x.shape))
    return torch.where(kept, x / (1 - rate), 0.0)


def logits(p, x, dropout=False, step=None):
    """With dropout: 0.2 of the inputs, 0.5 behind linear1, 0.25 behind linear2, which then has no ReLU."""
    noise = lambda x, rate, place: drop_out(x, rate, step, place) if dropout and step is not None else x
    x = noise(x, 0.2, 0)
    x = noise(F.relu(F.linear(x, p["linear1.weight"], p["linear1.bias"])), 0.5, 1)
    x = F.linear(x, p["linear2.weight"], p["linear2.bias"])
    x = noise(x, 0.25, 2) if dropout else F.relu(x)
    return F.linear(x, p["output.weight"], p["output.bias"])


def signs(n):
    """±1 by the counter of a value among all parameters."""
    return torch.from_numpy(np.where(mix(5, np.arange(n)) % np.uint64(2) == 0, 1.0, -1.0))


def flat(tensors):
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def details(tensors):
    picks = lambda t: [t.reshape(-1)[int(i)].item() for i in mix(6, np.arange(6)) % np.uint64(t.numel())]
    return [{"norm": t.detach().norm().item(), "picks": picks(t.detach())} for t in tensors]


def run(masked, optimizer, steps=STEPS, dropout=False, smoothing=0.0, clip=None):
    p, masks = network(masked)
    for t in p.values():
        t.requires_grad_()
    opt = optimizer(list(p.values()))
    names = {"exp_avg": 0, "exp_avg_sq": 1, "momentum_buffer": 0}
    S = signs(sum(t.numel() for t in p.values()))
    projections, detailed = [], {}
    for step in range(steps):
        i = (step * BATCH + np.arange(BATCH)) % IMAGES
        opt.zero_grad()
        F.cross_entropy(logits(p, X[i], dropout, step), Y[i], label_smoothing=smoothing).backward()
        with torch.no_grad():
            for name, mask in masks.items():
                p[name].grad = torch.where(mask, p[name].grad, 0.0)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(list(p.values()), clip)
        opt.step()
        with torch.no_grad():
            for name, mask in masks.items():
                p[name].copy_(torch.where(mask, p[name], 0.0))
            state = [opt.state[t] for t in p.values()]
            moments = [[s[k] for s in state] for k in names if k in state[0] and state[0][k] is not None]
            all_kinds = [list(p.values())] + moments
            projections.append([float(flat(kind) @ S) for kind in all_kinds])
            if step + 1 in DETAILED:
                z = logits(p, X, dropout)
                detailed[step + 1] = {
                    "tensors": [details(kind) for kind in all_kinds],
                    "loss": F.cross_entropy(z, Y).item(),
                    "accuracy": (z.argmax(1) == Y).double().mean().item(),
                }
    return {"projections": projections, "detailed": detailed}


adam = lambda ps: torch.optim.Adam(ps, lr=1.2e-3)
sgd = lambda ps: torch.optim.SGD(ps, lr=0.05, momentum=0.9, weight_decay=1e-3)
nesterov = lambda ps: torch.optim.SGD(ps, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)
adam_decay = lambda ps: torch.optim.Adam(ps, lr=1.2e-3, weight_decay=1e-2)
adamw = lambda ps: torch.optim.AdamW(ps, lr=1.2e-3, weight_decay=0.1)
out = {
    "torch": torch.__version__.split("+")[0],
    "adam": {"dense": run(False, adam), "tenth": run(True, adam)},
    "sgd": {"dense": run(False, sgd), "tenth": run(True, sgd)},
    "nesterov": {"tenth": run(True, nesterov, 60)},
    "adam_decay": {"tenth": run(True, adam_decay, 60)},
    "adam_dropout": {"tenth": run(True, adam, 60, dropout=True)},
    "adamw": {"dense": run(False, adamw, 60), "tenth": run(True, adamw, 60)},
    "adam_smoothed": {"tenth": run(True, adam, 60, smoothing=0.1)},
    # The norm of the gradient falls from 3.6 to 0.1 in the dense network, and is between 0.13 and 0.18 with a tenth of the weights.
    # So some steps are clipped and others are not.
    "sgd_clipped": {"dense": run(False, sgd, 60, clip=1.0), "tenth": run(True, sgd, 60, clip=0.15)},
}
json.dump(out, sys.stdout, indent=0, separators=(",", ":"))
print()
