"""Writes recurrent.json: what PyTorch's recurrent layers and cells give, forward and backward, in float64."""
import json
import os

import torch
from torch import nn

from generate import dump, t

here = os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(1)

# Class, sizes, keyword arguments, shape of the input, shape of a given state.
CASES = [
    ('RNNCell', [3, 2], {}, (4, 3), (4, 2)),
    ('RNNCell', [3, 2], {'nonlinearity': 'relu', 'bias': False}, (3,), (2,)),
    ('LSTMCell', [3, 2], {}, (4, 3), (4, 2)),
    ('LSTMCell', [3, 2], {'bias': False}, (3,), None),
    ('GRUCell', [3, 2], {}, (4, 3), (4, 2)),
    ('GRUCell', [3, 2], {'bias': False}, (4, 3), None),
    ('RNN', [3, 2], {}, (4, 2, 3), None),
    ('RNN', [3, 2], {'nonlinearity': 'relu', 'num_layers': 2}, (4, 2, 3), (2, 2, 2)),
    ('RNN', [3, 2], {'bidirectional': True, 'batch_first': True}, (2, 4, 3), (2, 2, 2)),
    ('RNN', [3, 2], {'batch_first': True, 'bias': False}, (4, 3), (1, 2)),
    ('LSTM', [3, 2], {}, (4, 2, 3), None),
    ('LSTM', [3, 2], {'num_layers': 2, 'bidirectional': True, 'batch_first': True}, (2, 3, 3), (4, 2, 2)),
    ('LSTM', [3, 2], {'num_layers': 3, 'bias': False}, (3, 3), (3, 2)),
    ('GRU', [3, 2], {}, (4, 2, 3), (1, 2, 2)),
    ('GRU', [3, 2], {'num_layers': 2, 'bidirectional': True}, (3, 2, 3), (4, 2, 2)),
    ('GRU', [3, 2], {'bidirectional': True, 'bias': False, 'batch_first': True}, (1, 3), None),
]


def flat(result):
    """The tensors of a result, in order."""
    return [x for r in result for x in flat(r)] if isinstance(result, tuple) else [result]


def record(name, sizes, options, shape, state):
    layer = getattr(nn, name)(*sizes, **options)
    x = t(*shape).requires_grad_()
    given = [] if state is None else [t(*state).requires_grad_() for _ in range(2 if 'LSTM' in name else 1)]
    results = flat(layer(x, *([] if not given else [tuple(given)] if 'LSTM' in name else given)))
    loss = sum((r * torch.linspace(-1, 2 + i, r.numel()).reshape(r.shape)).sum() for i, r in enumerate(results))
    loss.backward()
    return {
        'layer': name,
        'sizes': sizes,
        'options': options,
        'start': {k: dump(v) for k, v in layer.state_dict().items()},
        'input': dump(x),
        'state': [dump(s) for s in given],
        'results': [dump(r) for r in results],
        'inputGrad': dump(x.grad),
        'stateGrads': [dump(s.grad) for s in given],
        'grads': {k: dump(p.grad) for k, p in layer.named_parameters()},
    }


with open(os.path.join(here, 'recurrent.json'), 'w') as f:
    json.dump({'torch': torch.__version__, 'cases': [record(*c) for c in CASES]}, f)
