"""The oracle of the learning-rate schedules: those of PyTorch, over 120 iterations with a learning rate of 0.1.

    python3 tests/oracle/schedules.py > tests/oracle/schedules.json      (torch 2.11.0)

Each entry has the settings of the schedule in an experiment, and the rate of every iteration. tests/all/paper/schedules.rs reads them.
"""
import json
import sys

import torch
from torch.optim import lr_scheduler

ITERATIONS, LR = 120, 0.1


def rates(schedule):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler = schedule(optimizer)
    found = []
    for _ in range(ITERATIONS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


entries = [
    (["schedule=step", "step_every=13it"], lambda o: lr_scheduler.StepLR(o, 13)),
    (["schedule=step", "step_every=1it", "gamma=0.97"], lambda o: lr_scheduler.StepLR(o, 1, gamma=0.97)),
    (
        ["schedule=multi_step", 'milestones=["2ep10it","7ep"]', "gamma=0.2"],
        lambda o: lr_scheduler.MultiStepLR(o, [30, 70], gamma=0.2),
    ),
    (["schedule=cosine"], lambda o: lr_scheduler.CosineAnnealingLR(o, ITERATIONS)),
    (["schedule=cosine", "lr_min=0.003"], lambda o: lr_scheduler.CosineAnnealingLR(o, ITERATIONS, eta_min=0.003)),
]
out = [{"train": train, "lr": rates(schedule)} for train, schedule in entries]
json.dump(out, sys.stdout, indent=0, separators=(",", ":"))
print()
