"""Writes trajectories.json and schedules.json: what PyTorch's optimizers and schedulers do on a small problem, in float64."""
import json
import math
import os

import torch

torch.set_default_dtype(torch.float64)
here = os.path.dirname(os.path.abspath(__file__))

X = [[math.sin(1.3 * i + 0.7 * j) for j in range(3)] for i in range(5)]
Y = [[math.cos(0.9 * i - 0.4 * j) for j in range(2)] for i in range(5)]
W = [[0.3, -0.5], [0.8, 0.1], [-0.2, 0.6]]
B = [0.05, -0.15]
STEPS = 10

# Torch's keyword arguments; the test turns the names into camelCase.
CASES = [
    ('SGD', dict(lr=0.1)),
    ('SGD', dict()),
    ('SGD', dict(lr=0.1, weight_decay=0.05)),
    ('SGD', dict(lr=0.1, maximize=True)),
    ('SGD', dict(lr=0.1, maximize=True, weight_decay=0.05, momentum=0.9)),
    ('SGD', dict(lr=0.1, momentum=0.9)),
    ('SGD', dict(lr=0.1, momentum=0.9, dampening=0.3)),
    ('SGD', dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.05)),
    ('SGD', dict(lr=0.1, momentum=0.9, nesterov=True)),
    ('SGD', dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05)),
    ('Adam', dict()),
    ('Adam', dict(lr=0.05)),
    ('Adam', dict(lr=0.05, betas=(0.8, 0.95), eps=1e-3)),
    ('Adam', dict(lr=0.05, weight_decay=0.1)),
    ('Adam', dict(lr=0.05, amsgrad=True)),
    ('Adam', dict(lr=0.5, amsgrad=True, weight_decay=0.1, betas=(0.5, 0.6))),
    ('Adam', dict(lr=0.05, maximize=True)),
    ('Adam', dict(lr=0.05, maximize=True, weight_decay=0.1, amsgrad=True)),
    ('AdamW', dict()),
    ('AdamW', dict(lr=0.05, weight_decay=0.3)),
    ('AdamW', dict(lr=0.05, weight_decay=0.0)),
    ('AdamW', dict(lr=0.05, weight_decay=0.3, amsgrad=True)),
    ('AdamW', dict(lr=0.05, weight_decay=0.3, maximize=True)),
    ('RMSprop', dict()),
    ('RMSprop', dict(lr=0.05, alpha=0.9, eps=1e-4, weight_decay=0.1)),
    ('RMSprop', dict(lr=0.05, momentum=0.8)),
    ('RMSprop', dict(lr=0.05, centered=True)),
    ('RMSprop', dict(lr=0.05, centered=True, momentum=0.8, weight_decay=0.1, maximize=True)),
    ('Adagrad', dict()),
    ('Adagrad', dict(lr=0.3, lr_decay=0.1, weight_decay=0.05)),
    ('Adagrad', dict(lr=0.3, initial_accumulator_value=0.5, eps=1e-3)),
    ('Adagrad', dict(lr=0.3, maximize=True)),
    ('Adadelta', dict()),
    ('Adadelta', dict(lr=0.7, rho=0.6, eps=1e-3, weight_decay=0.1, maximize=True)),
    ('Adamax', dict()),
    ('Adamax', dict(lr=0.1, betas=(0.5, 0.6), eps=1e-3, weight_decay=0.1, maximize=True)),
    ('NAdam', dict()),
    ('NAdam', dict(lr=0.1, betas=(0.7, 0.8), eps=1e-3, weight_decay=0.1, momentum_decay=0.5, maximize=True)),
    ('NAdam', dict(lr=0.1, weight_decay=0.3, decoupled_weight_decay=True)),
    ('RAdam', dict()),
    ('RAdam', dict(lr=0.1, betas=(0.7, 0.9), eps=1e-3, weight_decay=0.1, maximize=True)),
    ('RAdam', dict(lr=0.1, betas=(0.7, 0.6))),
    ('RAdam', dict(lr=0.1, weight_decay=0.3, decoupled_weight_decay=True)),
    ('Rprop', dict()),
    ('Rprop', dict(lr=0.5, etas=(0.3, 1.7), step_sizes=(0.02, 0.6))),
    ('Rprop', dict(lr=0.1, maximize=True)),
    ('ASGD', dict()),
    ('ASGD', dict(lr=0.3, lambd=0.2, alpha=0.4, t0=3, weight_decay=0.1)),
    ('ASGD', dict(lr=0.3, t0=0, maximize=True)),
]


def loss_of(w, b):
    return ((torch.tensor(X) @ w + b).tanh() - torch.tensor(Y)).pow(2).mean() + 0.01 * w.pow(4).sum()


def trajectory(name, options):
    w, b = torch.tensor(W, requires_grad=True), torch.tensor(B, requires_grad=True)
    optimizer = getattr(torch.optim, name)([w, b], **options)
    steps = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss_of(w, b).backward()
        optimizer.step()
        steps.append({'w': w.tolist(), 'b': b.tolist()})
    state = optimizer.state_dict()['state']
    tensors = {k: v.tolist() for k, v in (state[0] if 0 in state else {}).items() if torch.is_tensor(v) and k != 'step'}
    return {'optimizer': name, 'options': options, 'steps': steps, 'state': tensors}


def groups():
    """Two groups with rates of their own; the second group is changed on the way, and one parameter skips a step."""
    w, b = torch.tensor(W, requires_grad=True), torch.tensor(B, requires_grad=True)
    optimizer = torch.optim.Adam([{'params': [w]}, {'params': [b], 'lr': 0.2, 'betas': (0.7, 0.9)}], lr=0.05)
    steps = []
    for i in range(STEPS):
        optimizer.zero_grad()
        loss_of(w, b).backward()
        if i == 4:
            b.grad = None
        if i == 6:
            optimizer.param_groups[1]['lr'] = 0.01
        optimizer.step()
        steps.append({'w': w.tolist(), 'b': b.tolist()})
    return steps


SCHEDULES = [
    ('StepLR', [3], dict(gamma=0.5)),
    ('StepLR', [1], dict()),
    ('MultiStepLR', [[2, 5, 5, 9]], dict(gamma=0.3)),
    ('ExponentialLR', [0.9], dict()),
    ('CosineAnnealingLR', [5], dict()),
    ('CosineAnnealingLR', [4], dict(eta_min=0.01)),
    ('LinearLR', [], dict()),
    ('LinearLR', [], dict(start_factor=0.2, end_factor=0.7, total_iters=7)),
]


def schedule(name, arguments, options):
    p, q = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([{'params': [p]}, {'params': [q], 'lr': 0.5}], lr=0.1)
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, *arguments, **options)
    rates = [scheduler.get_last_lr()]
    for _ in range(15):
        optimizer.step()
        scheduler.step()
        rates.append([g['lr'] for g in optimizer.param_groups])
    return {'scheduler': name, 'arguments': arguments, 'options': options, 'rates': rates}


def plateau():
    metrics = [1.0, 0.9, 0.9, 0.9, 0.9, 0.85, 0.85, 0.85, 0.85, 0.85, 0.85, 0.2, 0.3, 0.3, 0.3, 0.3]
    cases = []
    for options in [dict(patience=1), dict(patience=2, cooldown=2, factor=0.5), dict(mode='max', patience=1, threshold_mode='abs', min_lr=0.01)]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        rates = []
        for m in metrics:
            scheduler.step(m)
            rates.append(optimizer.param_groups[0]['lr'])
        cases.append({'options': options, 'rates': rates})
    return {'metrics': metrics, 'cases': cases}


with open(os.path.join(here, 'trajectories.json'), 'w') as f:
    json.dump(
        {'torch': torch.__version__, 'x': X, 'y': Y, 'w': W, 'b': B, 'cases': [trajectory(n, o) for n, o in CASES], 'groups': groups()}, f
    )
with open(os.path.join(here, 'schedules.json'), 'w') as f:
    json.dump({'torch': torch.__version__, 'schedules': [schedule(*s) for s in SCHEDULES], 'plateau': plateau()}, f)
