"""Writes layers.json: what PyTorch's layers give, forward and backward, in float64."""
import json
import os

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
here = os.path.dirname(os.path.abspath(__file__))


def t(*shape):
    return torch.randn(*shape)


def ints(high, *shape):
    return torch.randint(high, shape, dtype=torch.int32)


def signs(*shape):
    return torch.randint(2, shape).double() * 2 - 1


def dump(x):
    if x is None:
        return None
    dtype = {torch.float64: 'float64', torch.int32: 'int32', torch.int64: 'int32', torch.bool: 'bool'}[x.dtype]
    return {'dtype': dtype, 'shape': list(x.shape), 'values': x.detach().flatten().tolist()}


# Class, arguments, keyword arguments, inputs; then: calls before the recorded one, evaluation?
CASES = [
    ('Linear', [3, 2], {}, [t(4, 3)], 0, False),
    ('Linear', [3, 2], {'bias': False}, [t(2, 4, 3)], 0, False),
    ('Embedding', [5, 3], {}, [ints(5, 2, 4)], 0, False),
    ('Embedding', [5, 3], {'padding_idx': 2}, [torch.tensor([[2, 1], [0, 2]], dtype=torch.int32)], 0, False),
    ('Conv1d', [2, 4, 3], {}, [t(2, 2, 7)], 0, False),
    ('Conv1d', [4, 4, 2], {'stride': 2, 'padding': 1, 'groups': 2, 'bias': False}, [t(2, 4, 7)], 0, False),
    ('Conv2d', [2, 3, 3], {}, [t(2, 2, 6, 5)], 0, False),
    ('Conv2d', [2, 4, [3, 2]], {'stride': [2, 1], 'padding': [1, 0], 'dilation': [1, 2], 'groups': 2}, [t(2, 2, 6, 5)], 0, False),
    ('Conv2d', [2, 3, 3], {'padding': 'same'}, [t(2, 2, 6, 5)], 0, False),
    ('LayerNorm', [4], {}, [t(3, 4)], 0, False),
    ('LayerNorm', [[2, 4]], {'eps': 1e-3}, [t(3, 2, 4)], 0, False),
    ('LayerNorm', [4], {'bias': False}, [t(3, 4)], 0, False),
    ('LayerNorm', [4], {'elementwise_affine': False}, [t(3, 4)], 0, False),
    ('BatchNorm1d', [3], {}, [t(5, 3)], 0, False),
    ('BatchNorm1d', [3], {}, [t(5, 3, 4)], 2, False),
    ('BatchNorm1d', [3], {}, [t(5, 3)], 2, True),
    ('BatchNorm1d', [3], {'momentum': None}, [t(5, 3)], 3, False),
    ('BatchNorm1d', [3], {'momentum': 0.3, 'affine': False}, [t(5, 3)], 1, False),
    ('BatchNorm1d', [3], {'track_running_stats': False}, [t(5, 3)], 1, True),
    ('BatchNorm2d', [3], {'eps': 1e-3}, [t(2, 3, 4, 2)], 1, False),
    ('BatchNorm2d', [3], {}, [t(2, 3, 4, 2)], 1, True),
    ('Dropout', [0.4], {}, [t(5, 3)], 0, True),
    ('ReLU', [], {}, [t(5, 3)], 0, False),
    ('LeakyReLU', [0.2], {}, [t(5, 3)], 0, False),
    ('ELU', [1.5], {}, [t(5, 3)], 0, False),
    ('GELU', [], {}, [t(5, 3)], 0, False),
    ('GELU', [], {'approximate': 'tanh'}, [t(5, 3)], 0, False),
    ('SiLU', [], {}, [t(5, 3)], 0, False),
    ('Sigmoid', [], {}, [t(5, 3)], 0, False),
    ('LogSigmoid', [], {}, [t(5, 3)], 0, False),
    ('Tanh', [], {}, [t(5, 3)], 0, False),
    ('Hardtanh', [-0.5, 0.7], {}, [t(5, 3)], 0, False),
    ('Softplus', [], {'beta': 2.0, 'threshold': 1.0}, [t(5, 3)], 0, False),
    ('Softmax', [1], {}, [t(5, 3)], 0, False),
    ('LogSoftmax', [0], {}, [t(5, 3)], 0, False),
    ('Flatten', [], {}, [t(2, 3, 4)], 0, False),
    ('Flatten', [0, 1], {}, [t(2, 3, 4)], 0, False),
    ('Unflatten', [1, [2, 2]], {}, [t(3, 4, 2)], 0, False),
    ('Identity', [], {}, [t(2, 3)], 0, False),
    ('MaxPool1d', [2], {}, [t(2, 3, 7)], 0, False),
    ('MaxPool2d', [3], {'stride': 2, 'padding': 1}, [t(2, 3, 7, 6)], 0, False),
    ('AvgPool1d', [3], {'padding': 1}, [t(2, 3, 7)], 0, False),
    ('AvgPool2d', [2], {}, [t(2, 3, 7, 6)], 0, False),
    ('AdaptiveAvgPool2d', [[3, 2]], {}, [t(2, 3, 7, 6)], 0, False),
    ('MSELoss', [], {}, [t(4, 3), t(4, 3)], 0, False),
    ('L1Loss', [], {'reduction': 'sum'}, [t(4, 3), t(4, 3)], 0, False),
    ('HuberLoss', [], {'delta': 0.7}, [t(4, 3), t(4, 3)], 0, False),
    ('SmoothL1Loss', [], {'beta': 0.7, 'reduction': 'none'}, [t(4, 3), t(4, 3)], 0, False),
    ('CrossEntropyLoss', [], {}, [t(4, 3), ints(3, 4)], 0, False),
    ('CrossEntropyLoss', [], {'label_smoothing': 0.1, 'ignore_index': 1}, [t(4, 3), torch.tensor([0, 1, 2, 2], dtype=torch.int32)], 0, False),
    ('CrossEntropyLoss', [], {'weight': torch.tensor([0.5, 2.0, 1.0])}, [t(4, 3), ints(3, 4)], 0, False),
    ('NLLLoss', [], {'weight': torch.tensor([0.5, 2.0, 1.0]), 'reduction': 'sum'}, [t(4, 3), ints(3, 4)], 0, False),
    ('BCEWithLogitsLoss', [], {}, [t(4, 3), torch.rand(4, 3)], 0, False),
    ('BCEWithLogitsLoss', [], {'pos_weight': torch.tensor([0.5, 2.0, 1.0])}, [t(4, 3), torch.rand(4, 3)], 0, False),
    ('BCELoss', [], {'reduction': 'sum'}, [torch.rand(4, 3), torch.rand(4, 3)], 0, False),
    ('KLDivLoss', [], {'reduction': 'batchmean', 'log_target': True}, [t(4, 3), t(4, 3)], 0, False),
    ('SoftMarginLoss', [], {}, [t(4, 3), signs(4, 3).int()], 0, False),
    ('PoissonNLLLoss', [], {'full': True}, [t(4, 3), torch.rand(4, 3) * 3], 0, False),
    ('GaussianNLLLoss', [], {'eps': 1e-3}, [t(4, 3), t(4, 3), torch.rand(4, 3) + 0.5], 0, False),
    ('HingeEmbeddingLoss', [], {'margin': 0.7}, [t(4, 3), signs(4, 3)], 0, False),
    ('MarginRankingLoss', [], {'margin': 0.3}, [t(4), t(4), signs(4)], 0, False),
    ('CosineEmbeddingLoss', [], {'margin': -0.6}, [t(4, 3), t(4, 3), signs(4)], 0, False),
    ('TripletMarginLoss', [], {'margin': 2.0, 'swap': True}, [t(4, 3), t(4, 3), t(4, 3)], 0, False),
    ('MultiLabelSoftMarginLoss', [], {'weight': torch.tensor([0.5, 2.0, 1.0])}, [t(4, 3), torch.rand(4, 3)], 0, False),
    ('MultiMarginLoss', [], {'p': 2, 'weight': torch.tensor([0.5, 2.0, 1.0])}, [t(4, 3), ints(3, 4)], 0, False),
]


def record(name, arguments, options, inputs, before, evaluate, forward={}):
    arguments = [tuple(a) if isinstance(a, list) else a for a in arguments]
    kwargs = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    layer = getattr(nn, name)(*arguments, **kwargs)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.randn(p.shape))
    start = {k: dump(v) for k, v in layer.state_dict().items()}
    targets = [x.long() if x.dtype == torch.int32 and ('Loss' in name) else x for x in inputs]
    for _ in range(before):
        layer(*targets)
    if evaluate:
        layer.eval()
    leaves = [x.clone().requires_grad_() if x.is_floating_point() else x for x in targets]
    y = layer(*leaves, **forward)
    (y * torch.linspace(-1, 2, y.numel()).reshape(y.shape)).sum().backward()
    return {
        'layer': name,
        'arguments': arguments,
        'options': {k: dump(v) if torch.is_tensor(v) else v for k, v in options.items()},
        'forward': {k: dump(v) for k, v in forward.items()},
        'before': before,
        'evaluate': evaluate,
        'start': start,
        'inputs': [dump(x) for x in inputs],
        'output': dump(y),
        'inputGrads': [dump(x.grad) if x.is_floating_point() else None for x in leaves],
        'grads': {k: dump(p.grad) for k, p in layer.named_parameters()},
        'end': {k: dump(v) for k, v in layer.state_dict().items()},
    }


def attention():
    cases = []
    for options, forward, shapes in [
        ({'batch_first': True}, {}, [(2, 3, 4)]),
        ({}, {'average_attn_weights': False}, [(3, 2, 4), (5, 2, 4), (5, 2, 4)]),
        ({'batch_first': True, 'bias': False}, {'need_weights': False}, [(2, 3, 4), (2, 5, 4), (2, 5, 4)]),
        ({}, {'attn_mask': torch.ones(3, 3, dtype=torch.bool).triu(1)}, [(3, 4)]),
        ({'batch_first': True}, {'key_padding_mask': torch.tensor([[False, False, True], [False, True, True]]), 'attn_mask': t(3, 3)}, [(2, 3, 4)]),
        ({'batch_first': True}, {'attn_mask': t(4, 3, 3)}, [(2, 3, 4)]),
    ]:
        layer = nn.MultiheadAttention(4, 2, **options)
        with torch.no_grad():
            for p in layer.parameters():
                p.copy_(torch.randn(p.shape))
        inputs = [t(*s).requires_grad_() for s in shapes]
        q, k, v = inputs * 3 if len(inputs) == 1 else inputs
        y, w = layer(q, k, v, **forward)
        (y * torch.linspace(-1, 2, y.numel()).reshape(y.shape)).sum().backward()
        cases.append(
            {
                'options': options,
                'forward': {k: dump(x) if torch.is_tensor(x) else x for k, x in forward.items()},
                'start': {k: dump(x) for k, x in layer.state_dict().items()},
                'inputs': [dump(x) for x in inputs],
                'output': dump(y),
                'weights': dump(w),
                'inputGrads': [dump(x.grad) for x in inputs],
                'grads': {k: dump(p.grad) for k, p in layer.named_parameters()},
            }
        )
    return cases


def scaled_dot_product():
    cases = []
    for options in [{}, {'is_causal': True}, {'scale': 0.3}, {'attn_mask': torch.tensor([[True, False, True], [False, False, False]])}, {'attn_mask': t(2, 3)}]:
        q, k, v = (x.requires_grad_() for x in (t(2, 2, 4), t(2, 3, 4), t(2, 3, 5)))
        y = nn.functional.scaled_dot_product_attention(q, k, v, **options)
        (y * torch.linspace(-1, 2, y.numel()).reshape(y.shape)).sum().backward()
        cases.append(
            {
                'options': {k: dump(x) if torch.is_tensor(x) else x for k, x in options.items()},
                'inputs': [dump(x) for x in (q, k, v)],
                'output': dump(y),
                'inputGrads': [dump(x.grad) for x in (q, k, v)],
            }
        )
    return cases


def encoders():
    small = {'dim_feedforward': 6, 'dropout': 0.0}
    hidden = torch.tensor([[False, False, True], [False, True, True]])
    return [
        record('TransformerEncoderLayer', [4, 2], {**small, 'batch_first': True}, [t(2, 3, 4)], 0, False),
        record('TransformerEncoderLayer', [4, 2], {**small, 'activation': 'gelu', 'norm_first': True, 'layer_norm_eps': 1e-3}, [t(3, 2, 4)], 0, False,
               {'src_mask': torch.ones(3, 3, dtype=torch.bool).triu(1)}),
        record('TransformerEncoderLayer', [4, 2], {**small, 'bias': False, 'batch_first': True}, [t(2, 3, 4)], 0, False,
               {'src_mask': t(3, 3), 'src_key_padding_mask': hidden * -3.0}),
        record('TransformerEncoderLayer', [4, 2], {**small}, [t(3, 4)], 1, True),
    ]


if __name__ == '__main__':
    with open(os.path.join(here, 'layers.json'), 'w') as f:
        json.dump({'torch': torch.__version__, 'layers': [record(*c) for c in CASES], 'attention': attention(), 'sdpa': scaled_dot_product(), 'encoders': encoders()}, f)
