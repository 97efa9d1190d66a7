"""Writes lbfgs.json: where PyTorch's L-BFGS goes on small problems, step by step, in float64 and float32."""
import json
import math
import os

import torch

here = os.path.dirname(os.path.abspath(__file__))

T = [i / 4 for i in range(16)]
# A decaying oscillation with a little systematic error.
Y = [1.7 * math.exp(-0.6 * t) * math.cos(2.1 * t) + 0.02 * math.sin(9 * t) for t in T]


def rosenbrock(x):
    a, b = x[0]
    return (1 - a) ** 2 + 100 * (b - a * a) ** 2


def curve(x):
    (size, decay), (pulse,) = x
    t = torch.tensor(T, dtype=size.dtype)
    return ((size * torch.exp(-decay * t) * torch.cos(pulse * t) - torch.tensor(Y, dtype=size.dtype)) ** 2).sum()


def bowl(x):
    """A matrix and a vector, quadratic and quartic."""
    w, b = x
    return (w * w * torch.arange(1, 7, dtype=w.dtype).reshape(2, 3)).sum() + ((w.sum(0) + b - 1) ** 4).sum() + (b * b).sum()


PROBLEMS = {
    'rosenbrock': (rosenbrock, [[-1.2, 1.0]]),
    'curve': (curve, [[1.0, 0.3], [1.8]]),
    'bowl': (bowl, [[[0.3, -0.5, 0.9], [0.8, 0.1, -0.7]], [0.05, -0.15, 0.4]]),
}
WOLFE = {'line_search_fn': 'strong_wolfe'}
CASES = [
    ('rosenbrock', 'float64', {**WOLFE, 'max_iter': 5}, 8),
    ('rosenbrock', 'float64', {**WOLFE}, 3),
    ('rosenbrock', 'float64', {**WOLFE, 'max_iter': 4, 'history_size': 2, 'lr': 0.3}, 8),
    ('rosenbrock', 'float64', {**WOLFE, 'max_iter': 10, 'max_eval': 4}, 6),
    ('rosenbrock', 'float64', {**WOLFE, 'max_iter': 6, 'max_eval': 1}, 3),
    ('rosenbrock', 'float64', {'lr': 1e-3, 'max_iter': 3}, 6),
    ('curve', 'float64', {**WOLFE, 'max_iter': 3}, 6),
    ('curve', 'float64', {**WOLFE, 'max_iter': 30, 'lr': 50.0}, 2),
    ('curve', 'float64', {'lr': 0.1, 'max_iter': 4, 'history_size': 3}, 6),
    ('curve', 'float64', {**WOLFE, 'tolerance_grad': 0.05}, 2),
    ('curve', 'float64', {**WOLFE, 'tolerance_change': 1e-3}, 2),
    ('bowl', 'float64', {}, 2),
    ('bowl', 'float64', {'lr': 0.3, 'max_iter': 4, 'history_size': 1}, 5),
    ('bowl', 'float64', {**WOLFE, 'max_iter': 3}, 4),
    ('rosenbrock', 'float32', {**WOLFE, 'max_iter': 4}, 3),
    ('curve', 'float32', {**WOLFE, 'max_iter': 3}, 3),
    ('bowl', 'float32', {**WOLFE, 'max_iter': 3}, 3),
    ('bowl', 'float32', {'lr': 0.3, 'max_iter': 4}, 3),
]


def record(problem, dtype, options, steps):
    function, start = PROBLEMS[problem]
    params = [torch.tensor(p, dtype=getattr(torch, dtype), requires_grad=True) for p in start]
    optimizer = torch.optim.LBFGS(params, **options)

    def closure():
        optimizer.zero_grad()
        loss = function([p if p.ndim == 2 or problem == 'bowl' else tuple(p) for p in params])
        loss.backward()
        return loss

    path = []
    for _ in range(steps):
        loss = optimizer.step(closure)
        state = optimizer.state_dict()['state'][0]
        path.append({'params': [p.tolist() for p in params], 'loss': loss.item(), 'evals': state['func_evals'], 'iterations': state['n_iter']})
    return {'problem': problem, 'dtype': dtype, 'options': options, 'steps': path}


with open(os.path.join(here, 'lbfgs.json'), 'w') as f:
    starts = {name: start for name, (_, start) in PROBLEMS.items()}
    json.dump({'torch': torch.__version__, 't': T, 'y': Y, 'starts': starts, 'cases': [record(*c) for c in CASES]}, f)
