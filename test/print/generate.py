"""Writes recorded.json beside this file: what torch prints for the tensors of the printing test, in our spelling.

The numbers and line breaks are torch's own; only the suffixes are respelt, before torch decides where they wrap.
Run with: python3 test/print/generate.py   (torch 2.13, CPU). `--random N` writes N random cases to stdout instead.
"""
import json
import math
import pathlib
import random
import sys

import torch
from torch import _tensor_str as printer

DTYPES = {'float32': torch.float32, 'float64': torch.float64, 'int32': torch.int32, 'uint8': torch.uint8, 'bool': torch.bool}


def text(t, dtype, suffix):
    notes = []
    if t.numel() == 0 and t.dim() != 1:
        notes.append('size=' + str(tuple(t.shape)))
    if dtype in ('float64', 'uint8') or (t.numel() == 0 and dtype != 'float32'):
        notes.append('dtype=' + dtype)
    if 'gradFn' in suffix:
        notes.append(f"gradFn=<{suffix['gradFn']}>")
    elif suffix.get('requiresGrad'):
        notes.append('requiresGrad=true')
    body = 'tensor(' + printer._tensor_str(t, 7)
    if dtype == 'bool':
        body = body.replace('True', 'true').replace('False', 'false')
    return printer._add_suffixes(body, notes, 7, False)


def case(name, values, dtype='float32', shape=None, **suffix):
    t = torch.tensor(values, dtype=DTYPES[dtype])
    if shape is not None:
        t = t.reshape(shape)
    flat = t.reshape(-1)
    stored = [('nan' if math.isnan(v) else 'inf' if v > 0 else '-inf') if isinstance(v, float) and not math.isfinite(v)
              else '-0' if isinstance(v, float) and v == 0 and math.copysign(1, v) < 0 else int(v) if isinstance(v, bool) else v
              for v in flat.tolist()]
    return {'name': name, 'dtype': dtype, 'shape': list(t.shape), 'suffix': suffix, 'values': stored, 'text': text(t, dtype, suffix)}


def ramp(n, **more):
    """Long regular data is kept as a rule: value i is start + step·i."""
    start, step = more.pop('start', 0), more.pop('step', 1)
    made = case(more.pop('name'), [start + step * i for i in range(n)], **more)
    made['values'] = {'start': start, 'step': step, 'n': n}
    return made


nan, inf = math.nan, math.inf


def chosen():
    rng = random.Random(7)
    normal = lambda n, s=1.0: [rng.gauss(0, s) for _ in range(n)]
    yield case('scalar whole', 20.0, 'float64')
    yield case('scalar', 3.14159)
    yield case('scalar small', 1e-5)
    yield case('scalar large', 123456789.0)
    yield case('scalar 1e8', 1e8)
    yield case('scalar zero', 0.0)
    yield case('scalar negative zero', -0.0)
    yield case('scalar int', -7, 'int32')
    yield case('scalar bool', True, 'bool')
    yield case('scalar uint8', 200, 'uint8')
    yield case('scalar nan', nan)
    yield case('scalar inf requires grad', -inf, requiresGrad=True)
    yield case('scalar gradFn', 0.5, gradFn='MulBackward0')
    yield case('scalar float64 gradFn', 0.5, 'float64', gradFn='SumBackward0')
    yield case('whole', [1.0, 2.0])
    yield case('whole requires grad', [1.0, 2.0], requiresGrad=True)
    yield case('whole mixed width', [1.0, -20.0, 300.0])
    yield case('fractions', [0.5, -1.25, 100.125])
    yield case('ties to even', [0.03125, 0.09375, 0.15625, -0.21875])
    yield case('ties to even, large', [1.03125, 2.09375, 999.15625])
    yield case('scientific ties', [100005.0, 100015.0, 1.0], 'float64')
    yield case('scientific ties small', [2.0 ** -20, 3.0 * 2.0 ** -30, 5.0], 'float64')
    yield case('scientific by ratio', [1.0, 1001.0])
    yield case('fixed at ratio 1000', [1.0, 1000.0])
    yield case('scientific by size', [1e8 + 8, 2e8])
    yield case('fixed at 1e8', [1e8, 9e7])
    yield case('scientific by smallness', [9e-5, 1e-4])
    yield case('fixed at 1e-4', [0.0001, 0.0002], 'float64')
    yield case('scientific with zero and nan', [1e-10, 0.0, nan, -inf, inf, -0.0])
    yield case('three-digit exponent', [1e-300, 1e300, -5e-324], 'float64')
    yield case('whole scientific', [1.0, 20000.0, -3.0])
    yield case('nan and whole', [nan, 1.0, inf])
    yield case('nan and fractions', [nan, 1.5, -inf, 0.0])
    yield case('only nonfinite', [nan, inf, -inf])
    yield case('zeros and nan', [0.0, nan, -0.0])
    yield case('negative zero among fractions', [-0.0, 0.5, -0.00001])
    yield case('rounds up a digit', [9.99996, 0.5])
    yield case('float32 tenth', [0.1, 0.2, 0.7])
    yield case('float64 tenth', [0.1, 0.2, 0.7], 'float64', requiresGrad=True)
    yield case('ints', [1, -2, 30000], 'int32')
    yield case('int extremes', [2147483647, -2147483648, 0], 'int32')
    yield case('bytes', [0, 7, 255], 'uint8')
    yield case('bools', [[True, False], [False, False]], 'bool')
    yield case('all false', [False, False], 'bool')
    yield case('empty', [])
    yield case('empty float64', [], 'float64')
    yield case('empty int', [], 'int32')
    yield case('empty matrix', [], shape=[0, 3])
    yield case('empty matrix with notes', [], 'float64', shape=[2, 0, 4], requiresGrad=True)
    yield case('empty bool', [], 'bool', shape=[3, 0])
    yield case('matrix', normal(6), shape=[2, 3])
    yield case('matrix gradFn', normal(12), shape=[3, 4], gradFn='AddmmBackward0')
    yield case('matrix scientific', [v * 10 ** (i % 5) for i, v in enumerate(normal(12))], 'float64', shape=[4, 3])
    yield case('wrapped line', normal(20))
    yield case('wrapped matrix', normal(40), shape=[2, 20], requiresGrad=True)
    yield case('rank 3', normal(12), shape=[2, 3, 2])
    yield case('rank 4', [float(i) for i in range(16)], shape=[2, 2, 2, 2], gradFn='ViewBackward0')
    yield case('rank 5 of ones', [1.0] * 4, shape=[1, 2, 1, 2, 1])
    yield case('column', normal(5), shape=[5, 1])
    yield case('note wraps', normal(7), gradFn='NllLossBackward0')
    yield case('two notes wrap', normal(7), 'float64', gradFn='NativeLayerNormBackward0')
    yield case('a note that just fits', [0.5] * 6, gradFn='AddBackward0')
    yield ramp(1000, name='1000 elements are shown', dtype='int32')
    yield ramp(1001, name='1001 elements are summarised', dtype='int32')
    yield ramp(1200, name='summarised fractions', step=0.5, start=-300, shape=[30, 40])
    yield ramp(1500, name='summarised, one short dimension', step=1, shape=[3, 500], requiresGrad=True)
    yield ramp(2401, name='summarised rank 4', step=0.25, shape=[7, 7, 7, 7], dtype='float64', gradFn='ReshapeAliasBackward0')
    yield ramp(1200, name='summarised tall', step=0.125, shape=[600, 2])
    yield ramp(4000, name='summarised scientific by what is shown', step=1.0, start=1.0, shape=[10, 400])
    yield ramp(3072, name='summarised single rows', step=0.5, shape=[1, 1, 3072])


def anything(rng):
    dtype = rng.choice(['float32', 'float32', 'float64', 'float64', 'int32', 'uint8', 'bool'])
    rank = rng.choice([0, 1, 1, 2, 2, 3, 4])
    shape = [rng.choice([0, 1, 2, 3, 5, 7, 8, 20]) if rng.random() < 0.9 else rng.choice([40, 300, 1100]) for _ in range(rank)]
    if math.prod(shape) > 5000:
        shape = shape[:1]
    n = math.prod(shape)
    style = rng.randrange(7)
    scale = 10 ** rng.uniform(-7, 10)

    def value():
        if dtype == 'bool':
            return rng.random() < 0.5
        if dtype == 'uint8':
            return rng.randrange(256)
        if dtype == 'int32':
            return rng.randrange(-10 ** rng.randrange(1, 9), 10 ** rng.randrange(1, 9))
        if rng.random() < 0.03:
            return rng.choice([nan, inf, -inf, 0.0, -0.0])
        if style == 0:
            return float(rng.randrange(-50, 50))
        if style == 1:
            return rng.gauss(0, 1)
        if style == 2:
            return rng.gauss(0, scale)
        if style == 3:
            return rng.randrange(-2000, 2000) / 32
        if style == 4:
            return float(rng.randrange(-10 ** 7, 10 ** 7))
        if style == 5:
            return rng.randrange(1, 100000) * 5 * 10.0 ** rng.randrange(-2, 6)
        return rng.uniform(-1, 1) * 10 ** rng.uniform(-2, 2)

    suffix = {}
    if dtype.startswith('float'):
        suffix = rng.choice([{}, {'requiresGrad': True}, {'gradFn': rng.choice(['MulBackward0', 'NativeBatchNormBackward0'])}])
    return case('random', [value() for _ in range(n)], dtype, shape, **suffix)


if __name__ == '__main__':
    if '--random' in sys.argv:
        rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
        print(json.dumps([anything(rng) for _ in range(int(sys.argv[2]))]))
    else:
        lines = ',\n'.join(json.dumps(c) for c in chosen())
        pathlib.Path(__file__).with_name('recorded.json').write_text(f'[\n{lines}\n]\n')
