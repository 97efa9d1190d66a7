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
    ('ConstantLR', [], dict()),
    ('ConstantLR', [], dict(factor=0.5, total_iters=3)),
    ('PolynomialLR', [], dict()),
    ('PolynomialLR', [], dict(total_iters=8, power=2.0)),
    ('CosineAnnealingWarmRestarts', [4], dict()),
    ('CosineAnnealingWarmRestarts', [2], dict(T_mult=2, eta_min=0.01)),
    ('CyclicLR', [0.01, 0.4], dict(step_size_up=3)),
    ('CyclicLR', [[0.01, 0.02], [0.4, 0.3]], dict(step_size_up=3, step_size_down=2, mode='triangular2', base_momentum=0.5, max_momentum=0.95)),
    ('CyclicLR', [0.01, 0.4], dict(step_size_up=4, mode='exp_range', gamma=0.9, cycle_momentum=False)),
    ('OneCycleLR', [0.4], dict(total_steps=15)),
    ('OneCycleLR', [[0.4, 0.2]], dict(epochs=4, steps_per_epoch=5, pct_start=0.4, anneal_strategy='linear', div_factor=10.0, final_div_factor=100.0)),
    ('OneCycleLR', [0.4], dict(total_steps=16, three_phase=True, base_momentum=0.7, max_momentum=0.8)),
]

L = torch.optim.lr_scheduler
# Several made into one: the parts, then the milestones; without milestones they are chained. The test makes the same parts.
COMPOSED = [
    ([('ConstantLR', [], dict(factor=0.1, total_iters=2)), ('ExponentialLR', [0.9], dict())], None),
    ([('StepLR', [2], dict(gamma=0.5)), ('LinearLR', [], dict())], None),
    ([('LinearLR', [], dict(start_factor=0.1, total_iters=4)), ('CosineAnnealingLR', [6], dict())], [4]),
    ([('ConstantLR', [], dict(factor=0.1, total_iters=20)), ('ExponentialLR', [0.9], dict()), ('StepLR', [2], dict())], [3, 8]),
    ([('ExponentialLR', [0.5], dict()), ('CosineAnnealingWarmRestarts', [3], dict()), ('PolynomialLR', [], dict(total_iters=4))], [2, 9]),
    ([('LinearLR', [], dict()), ('CyclicLR', [0.01, 0.4], dict(step_size_up=3)), ('MultiStepLR', [[1, 3]], dict())], [3, 9]),
    ([('StepLR', [3], dict()), ('LinearLR', [], dict(total_iters=3))], [0]),
]


def two(kind='SGD'):
    p, q = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    groups = [{'params': [p]}, {'params': [q], 'lr': 0.5}]
    return torch.optim.Adam(groups, lr=0.1) if kind == 'Adam' else torch.optim.SGD(groups, lr=0.1, momentum=0.9)


def run(optimizer, scheduler):
    rates, momenta = [scheduler.get_last_lr()], []
    for i in range(15):
        momenta.append([g['betas'][0] if 'betas' in g else g['momentum'] for g in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
        rates.append([g['lr'] for g in optimizer.param_groups])
    return {'rates': rates, 'momenta': momenta}


def schedule(name, arguments, options, kind='SGD'):
    optimizer = two(kind)
    return {'scheduler': name, 'arguments': arguments, 'options': options, 'optimizer': kind, **run(optimizer, getattr(L, name)(optimizer, *arguments, **options))}


def composed(parts, milestones):
    optimizer = two()
    made = [getattr(L, name)(optimizer, *arguments, **options) for name, arguments, options in parts]
    scheduler = L.ChainedScheduler(made) if milestones is None else L.SequentialLR(optimizer, made, milestones)
    return {'parts': parts, 'milestones': milestones, **run(optimizer, scheduler)}


def fractions():
    optimizer = two()
    scheduler = L.CosineAnnealingWarmRestarts(optimizer, 2, T_mult=2)
    rates = []
    for epoch in [0.5, 1.75, 2.0, 3.5, None, None, 7.25]:
        scheduler.step(epoch)
        rates.append([epoch, *(g['lr'] for g in optimizer.param_groups)])
    return rates


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
    recorded = [schedule(*s) for s in SCHEDULES] + [schedule(*s, 'Adam') for s in SCHEDULES if s[0] in ('CyclicLR', 'OneCycleLR') and s[2].get('cycle_momentum', True)]
    json.dump({'torch': torch.__version__, 'schedules': recorded, 'composed': [composed(*c) for c in COMPOSED], 'fractions': fractions(), 'plateau': plateau()}, f)
