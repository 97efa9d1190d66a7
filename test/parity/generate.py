"""Runs PyTorch over the rows of samples*.py and writes what it answers to fixtures/*.json.

    python3 test/parity/generate.py            # needs torch 2.13 (CPU); the test suite itself needs no Python
    python3 test/parity/generate.py special    # these families alone: other processors round some last digits differently

One case a line. Weights of gradients are a formula (`weights`), so they are not stored.
"""
import json
import math
import random
import struct
import sys
import warnings
import zlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

sys.dont_write_bytecode = True
warnings.simplefilter('ignore')
torch.set_num_threads(1)
HERE = Path(__file__).parent
LIMIT = 3_000_000

NAMES = {torch.float32: 'float32', torch.float64: 'float64', torch.int32: 'int32', torch.int64: 'int32',
         torch.uint8: 'uint8', torch.bool: 'bool'}
DTYPES = {'float32': torch.float32, 'float64': torch.float64, 'int32': torch.int32, 'uint8': torch.uint8, 'bool': torch.bool}


# Sample descriptors: a row names what its inputs are like; they become tensors when the row is run.

class Sample:
    """A tensor to be drawn: `draw(rng, n)` gives n numbers."""

    def __init__(self, shape, dtype, draw, grad=True):
        self.shape, self.dtype, self.draw, self.grad = tuple(shape), dtype, draw, grad

    def make(self, rng):
        n = math.prod(self.shape)
        return torch.tensor(self.draw(rng, n), dtype=DTYPES[self.dtype]).reshape(self.shape)

    def constant(self):
        """The same sample as a value that is never differentiated (class weights, running statistics)."""
        return Sample(self.shape, self.dtype, self.draw, False)

    def of(self, dtype):
        return Sample(self.shape, dtype, self.draw, self.grad)


def _between(lo, hi):
    # Odd multiples of 1/128: exact in float32 and float64 alike, distinct, and never on a kink (0, ±1/2, ±1, …).
    def draw(rng, n):
        odd = range(math.ceil(lo * 128) | 1, math.floor(hi * 128), 2)
        return [k / 128 for k in (rng.sample(odd, n) if n <= len(odd) else rng.choices(odd, k=n))]
    return draw


def S(*shape, lo=-2.0, hi=2.0, dtype='float64'):
    """Distinct real numbers between lo and hi, away from kinks."""
    return Sample(shape, dtype, _between(lo, hi))


def I(*shape, lo=-5, hi=6, dtype='int32'):
    """Whole numbers, lo <= k < hi."""
    return Sample(shape, dtype, lambda rng, n: [rng.randrange(lo, hi) for _ in range(n)])


def B(*shape):
    """Truth values."""
    return Sample(shape, 'bool', lambda rng, n: [rng.random() < 0.5 for _ in range(n)])


def T(data, dtype='float64'):
    """These numbers."""
    t = torch.tensor(data, dtype=DTYPES[dtype])
    return Sample(t.shape, dtype, lambda rng, n: t.reshape(-1).tolist())


def E(*shape, along=0, lo=-2.0, hi=2.0):
    """Numbers that don't change along one dimension, so that the test can pass a stride-0 tensor."""
    def draw(rng, n):
        one = [1 if i == along else d for i, d in enumerate(shape)]
        values = torch.tensor(_between(lo, hi)(rng, math.prod(one)), dtype=torch.float64).reshape(one)
        return values.expand(shape).reshape(-1).tolist()
    return Sample(shape, 'float64', draw)


# Encoding.

def camel(name):
    head, *rest = name.split('_')
    return head + ''.join(p.capitalize() for p in rest)


def snake(name):
    out = ''.join('_' + c.lower() if c.isupper() else c for c in name)
    return out


def number(v, dtype=None):
    """Shortest text that reads back as the same value; NaN and the infinities as strings."""
    if isinstance(v, bool):
        return 'true' if v else 'false'
    if isinstance(v, int):
        return str(v)
    if math.isnan(v):
        return '"NaN"'
    if math.isinf(v):
        return '"Infinity"' if v > 0 else '"-Infinity"'
    if v == 0:
        return '-0' if math.copysign(1, v) < 0 else '0'
    if dtype == torch.float32:
        for digits in range(1, 10):
            text = f'{v:.{digits}g}'
            if struct.unpack('f', struct.pack('f', float(text)))[0] == v:
                break
        v = float(text)
    text = repr(v)
    return text[:-2] if text.endswith('.0') else text


def values(t):
    return '[' + ','.join(number(v, t.dtype) for v in t.detach().reshape(-1).tolist()) + ']'


def encode(v):
    if isinstance(v, torch.Tensor):
        flag = ',"requiresGrad":true' if v.requires_grad else ''
        return f'{{"shape":{json.dumps(list(v.shape), separators=(",", ":"))},"dtype":"{NAMES[v.dtype]}","data":{values(v)}{flag}}}'
    if isinstance(v, (list, tuple)):
        return '[' + ','.join(encode(e) for e in v) + ']'
    if isinstance(v, dict):
        return '{' + ','.join(f'"{camel(k)}":{encode(e)}' for k, e in v.items()) + '}'
    if v is None or isinstance(v, str):
        return json.dumps(v)
    return number(v)


def out(t):
    """A result: as `encode`, without the flag."""
    return 'null' if t is None else encode(t.detach())


def describe(v):
    if isinstance(v, torch.Tensor):
        return f'{NAMES[v.dtype]}{list(v.shape)}'
    if isinstance(v, (list, tuple)):
        return '[' + ', '.join(describe(e) for e in v) + ']'
    return repr(v)


def weights(t, seed):
    """The fixed weights of gradient `seed`: ((i*7919 + 31*seed*7919 + 13) % 101)/101 - 0.4, flat index i."""
    i = torch.arange(t.numel(), dtype=torch.float64)
    w = ((i + 31 * seed) * 7919 + 13) % 101 / 101 - 0.4
    return w.reshape(t.shape).to(t.dtype)


# Our signatures in terms of torch's.

def _batch_norm(x, running_mean=None, running_var=None, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)


def _index(x, indices):
    return x[tuple(slice(None) if i is None else i for i in indices)]


long = lambda t: t.long() if isinstance(t, torch.Tensor) and t.dtype == torch.int32 else t
FUNCTIONS = {
    'slice': ('aten.slice', lambda x, *a: torch.ops.aten.slice.Tensor(x, *a)),
    'index': ('Tensor.__getitem__', _index),
    'indexPut': ('torch.index_put', lambda x, i, v, accumulate=False: torch.ops.aten.index_put(x, [long(t) for t in i], v, accumulate)),
    'gather': ('torch.gather', lambda x, d, i: torch.gather(x, d, long(i))),
    'scatter': ('torch.scatter', lambda x, d, i, s: torch.scatter(x, d, long(i), s)),
    'scatterAdd': ('torch.scatter_add', lambda x, d, i, s: torch.scatter_add(x, d, long(i), s)),
    'indexSelect': ('torch.index_select', lambda x, d, i: torch.index_select(x, d, long(i))),
    'embedding': ('torch.embedding', lambda w, i: torch.embedding(w, long(i))),
    'takeAlongDim': ('torch.take_along_dim', lambda x, i, *d: torch.take_along_dim(x, long(i), *d)),
    'crossEntropy': ('F.cross_entropy', lambda x, t, **o: F.cross_entropy(x, long(t), **o)),
    'nllLoss': ('F.nll_loss', lambda x, t, **o: F.nll_loss(x, long(t), **o)),
    'multiMarginLoss': ('F.multi_margin_loss', lambda x, t, **o: F.multi_margin_loss(x, long(t), **o)),
    'batchNorm': ('F.batch_norm', _batch_norm),
    'layerNorm': ('F.layer_norm', F.layer_norm),
    'pad': ('F.pad', F.pad),
    'bincount': ('torch.bincount', lambda x, **o: torch.bincount(long(x), **o)),
    'interpolate': ('F.interpolate', F.interpolate),
    'meshgrid': ('torch.meshgrid', lambda tensors, **o: torch.meshgrid(*tensors, **o)),
    'pdist': ('F.pdist', F.pdist),
    'repeatInterleave': ('torch.repeat_interleave', lambda x, r, **o: torch.repeat_interleave(x, long(r), **o)),
    'linear': ('F.linear', F.linear),
    'logSigmoid': ('F.logsigmoid', F.logsigmoid),
    'l1Loss': ('F.l1_loss', F.l1_loss),
    'maxPool2d': ('F.max_pool2d', F.max_pool2d),
    'avgPool2d': ('F.avg_pool2d', F.avg_pool2d),
    'varMean': ('torch.var_mean', lambda x, dim=None, correction=1, keepdim=False: torch.var_mean(x, dim, correction=correction, keepdim=keepdim)),
    'stdMean': ('torch.std_mean', lambda x, dim=None, correction=1, keepdim=False: torch.std_mean(x, dim, correction=correction, keepdim=keepdim)),
    'norm': ('torch.norm', lambda x, p='fro', dim=None, keepdim=False: torch.norm(x, 2 if p == 'fro' else p, dim, keepdim)),
    'std': ('torch.std', lambda x, dim=None, correction=1, keepdim=False: torch.std(x, dim, correction=correction, keepdim=keepdim)),
    'var': ('torch.var', lambda x, dim=None, correction=1, keepdim=False: torch.var(x, dim, correction=correction, keepdim=keepdim)),
}
for name in ('expand', 'reshape', 'view', 'repeat', 'unfold'):
    FUNCTIONS[name] = (f'Tensor.{name}', getattr(torch.Tensor, name))

POSITIONED = 'indexAdd indexCopy indexFill take put scatterReduce'.split()
for name in POSITIONED:
    FUNCTIONS[name] = (f'Tensor.{snake(name)}', lambda *a, fn=getattr(torch.Tensor, snake(name)), **o: fn(*map(long, a), **o))
for name in ('xlog1py', 'entr', 'i0e', 'i1', 'i1e'):
    FUNCTIONS[name] = (f'torch.special.{name}', getattr(torch.special, name))
# torch.nn.functional, whatever of the same name torch itself has.
for name in ('gelu silu softplus leakyRelu elu hardtanh mish celu selu relu6 hardsigmoid hardswish hardshrink softshrink tanhshrink '
             'softsign threshold softmin prelu glu conv1d conv2d mseLoss huberLoss smoothL1Loss binaryCrossEntropy '
             'binaryCrossEntropyWithLogits klDiv softMarginLoss groupNorm rmsNorm normalize cosineSimilarity pairwiseDistance '
             'poissonNllLoss gaussianNllLoss hingeEmbeddingLoss marginRankingLoss cosineEmbeddingLoss tripletMarginLoss '
             'multilabelSoftMarginLoss instanceNorm scaledDotProductAttention').split():
    FUNCTIONS[name] = (f'F.{snake(name)}', getattr(F, snake(name)))


def function(op):
    if op in FUNCTIONS:
        return FUNCTIONS[op]
    if op.startswith('linalg.'):
        return f'torch.{snake(op)}', getattr(torch.linalg, snake(op.removeprefix('linalg.')))
    return f'torch.{snake(op)}', getattr(torch, snake(op))


# Running a row.

class Row:
    def __init__(self, op, args, opts, tag='', error=False, second=True, via=None, inplace=False):
        self.op, self.args, self.opts, self.tag = op, args, opts, tag
        self.error, self.second, self.via, self.inplace = error, second, via, inplace


rows = []
_family = None


def family(name):
    global _family
    _family = name


def R(op, *args, tag='', second=True, **opts):
    """One sample of `op`. Options are torch's keywords; numbers that are whole become ints, as JavaScript has it."""
    rows.append((_family, Row(op, args, opts, tag, second=second)))


def kink(op, *args, **opts):
    """A sample on a kink, a tie or a special value: values and first gradients only."""
    R(op, *args, tag='kink', second=False, **opts)


def err(op, *args, **opts):
    """A call that must raise."""
    rows.append((_family, Row(op, args, opts, error=True)))


def inplace(op, *args, via=None, error=False, **opts):
    """An in-place method on a clone of a leaf, or on a view (`via`: method and arguments) of that clone."""
    rows.append((_family, Row(op, args, opts, via=via, inplace=True, error=error)))


def build(v, rng, found, float64=True):
    if isinstance(v, Sample):
        t = v.make(rng)
        if not float64 and t.dtype == torch.float64:
            t = t.float()
        if t.is_floating_point() and v.grad:
            t.requires_grad_()
            found.append(t)
        return t
    if isinstance(v, list):
        return [build(e, rng, found, float64) for e in v]
    if isinstance(v, float) and v.is_integer():
        return int(v)
    return v


def prepare(row, seed, float64=True):
    rng, found = random.Random(seed), []
    args = [build(a, rng, found, float64) for a in row.args]
    opts = {k: build(v, rng, found, float64) for k, v in row.opts.items()}
    call = {k: DTYPES[v] if k == 'dtype' else v for k, v in opts.items()}
    return args, opts, call, found


def outputs(result):
    """[(kind, tensors, names)]"""
    if isinstance(result, torch.Tensor):
        return 'tensor', [result], None
    if hasattr(result, '_fields'):
        return 'named', list(result), list(result._fields)
    if hasattr(type(result), 'n_fields'):
        return 'named', list(result), [camel(n) for n in type(result).__match_args__]
    return 'array', list(result), None


def uses_float64(row):
    def any_of(v):
        return isinstance(v, Sample) and v.dtype == 'float64' or isinstance(v, list) and any(map(any_of, v))
    return any(map(any_of, [*row.args, *row.opts.values()]))


def mixed(row):
    def any_of(v):
        return isinstance(v, Sample) and v.dtype == 'float32' or isinstance(v, list) and any(map(any_of, v))
    return any(map(any_of, [*row.args, *row.opts.values()]))


def gradients(fields, outs, inputs, second):
    """First gradients of Σ w·out, then gradients of Σ v·gradient with respect to inputs and to w."""
    live = [(j, o) for j, o in enumerate(outs) if o.requires_grad]
    if not live:
        fields['node'] = 'null'
        return
    fields['node'] = json.dumps(live[0][1].grad_fn.name() if live[0][1].grad_fn else None)  # None: the input itself
    ws = [weights(o, j).requires_grad_() for j, o in live]
    try:
        first = torch.autograd.grad([o for _, o in live], inputs, ws, create_graph=True, allow_unused=True)
    except (RuntimeError, NotImplementedError) as e:
        fields['gradsError'] = json.dumps(str(e).split('\n')[0])
        return
    fields['grads'] = '[' + ','.join(out(g) for g in first) + ']'
    again = [(k, g) for k, g in enumerate(first) if g is not None and g.requires_grad]
    if not second or not again:
        return
    try:
        vs = [weights(g, 100 + k) for k, g in again]
        twice = torch.autograd.grad([g for _, g in again], [*inputs, *ws], vs, allow_unused=True)
    except (RuntimeError, NotImplementedError) as e:
        fields['grads2Error'] = json.dumps(str(e).split('\n')[0])
        return
    data = [('null' if g is None or not g.any() and not g.isnan().any() else values(g)) for g in twice]
    fields['grads2'] = '[' + ','.join(data[:len(inputs)]) + ']'
    fields['gradsW'] = '[' + ','.join(data[len(inputs):]) + ']'


def run(row, seed):
    args, opts, call, inputs = prepare(row, seed)
    label, fn = ('Tensor.' + snake(row.op), getattr(torch.Tensor, snake(row.op))) if row.inplace else function(row.op)
    if row.inplace and row.op.rstrip('_') in POSITIONED:
        method = fn
        fn = lambda *a, **o: method(*map(long, a), **o)
    shown = ', '.join([*map(describe, args), *(f'{k}={describe(v)}' for k, v in opts.items())])
    fields = {'op': json.dumps(row.op), 'torch': json.dumps(f'{label}({shown})')}
    if row.tag:
        fields['tag'] = json.dumps(row.tag)
    fields['args'] = encode(args)
    if opts:
        fields['opts'] = encode(opts)
    if row.via:
        fields['via'] = encode(list(row.via))
    clones = None
    if row.inplace:
        fields['inplace'] = 'true'
        base = args[0].clone()
        target = base
        if row.via:
            _, view = function(row.via[0])
            target = view(base, *row.via[1:])
        args = [target, *args[1:]]
    else:
        clones = [t.clone() for t in opts.values() if isinstance(t, torch.Tensor)]
    try:
        result = fn(*args, **call)
    except Exception as e:  # noqa: BLE001 — whatever torch raises is the fixture
        if not row.error:
            raise
        fields['error'] = json.dumps({'type': type(e).__name__, 'message': str(e).split('\n')[0]}, separators=(',', ':'))
        return fields
    if row.error:
        raise AssertionError(f'did not raise: {fields["torch"]} = {result}')
    if row.inplace:
        fields['version'] = str(base._version)
        result = base
    kind, outs, names = outputs(result)
    if kind != 'tensor':
        fields['kind'] = json.dumps(kind)
    if names:
        fields['names'] = json.dumps(names, separators=(',', ':'))
    fields['out'] = '[' + ','.join(out(o) for o in outs) + ']'
    first = args[0] if args else None
    if not row.inplace and isinstance(first, torch.Tensor) and first.numel() and all(
            o.untyped_storage().data_ptr() == first.untyped_storage().data_ptr() for o in outs):
        # Of what isn't tracked as a view the version says nothing.
        fields['view'] = '"elements"' if row.op.startswith('unsafe') else 'true'
    changed = {k: t for (k, t), old in zip([(k, t) for k, t in opts.items() if isinstance(t, torch.Tensor)], clones or [])
               if not torch.equal(t.nan_to_num(), old.nan_to_num())}
    if changed:
        fields['after'] = encode({k: t.detach() for k, t in changed.items()})
    gradients(fields, outs, inputs, row.second and not mixed(row))
    if row.op == 'scaledDotProductAttention' and 'grads2Error' in fields:
        # The fused node has no second derivatives; those of what it computes do.
        decomposed = {}
        with sdpa_kernel(SDPBackend.MATH):
            gradients(decomposed, outputs(fn(*args, **call))[1], inputs, True)
        del fields['grads2Error']
        fields |= {k: decomposed[k] for k in ('grads2', 'gradsW')}
    if uses_float64(row) and not mixed(row) and not row.inplace:
        args, opts, call, _ = prepare(row, seed, float64=False)
        with torch.no_grad():
            _, single, _ = outputs(fn(*args, **call))
        if all(o.dtype == torch.float32 for o in single if o.is_floating_point()) and any(o.is_floating_point() for o in single):
            fields['float32'] = '[' + ','.join(values(o) if o.is_floating_point() else 'null' for o in single) + ']'
    return fields


# The table of result types.

KINDS = [f'{d}{dims}' for dims in ('[]', '') for d in ('bool', 'uint8', 'int32', 'float32', 'float64')]
JS = {'true': True, '2': 2, '1.5': 1.5}
PROMOTIONS = {
    'add': torch.add, 'sub': torch.sub, 'mul': torch.mul, 'div': torch.div, 'pow': torch.pow, 'remainder': torch.remainder,
    'fmod': torch.fmod, 'atan2': torch.atan2, 'maximum': torch.maximum, 'minimum': torch.minimum, 'eq': torch.eq, 'lt': torch.lt,
    'logicalAnd': torch.logical_and, 'div:floor': lambda a, b: torch.div(a, b, rounding_mode='floor'),
    'div:trunc': lambda a, b: torch.div(a, b, rounding_mode='trunc'), 'where': lambda a, b: torch.where(torch.tensor([True]), a, b),
    'cat': lambda a, b: torch.cat([a, b]), 'stack': lambda a, b: torch.stack([a, b]),
    'add_': lambda a, b: a.add_(b), 'div_': lambda a, b: a.div_(b), 'copy_': lambda a, b: a.copy_(b),
}


def promotion():
    """For each op, [left][right] → the dtype of the result, null where torch raises, '' where it was not asked.

    `int32[]` has a dimension, `int32` none.
    """
    def operand(kind):
        if kind in JS:
            return JS[kind]
        t = torch.ones((1,) if kind.endswith('[]') else (), dtype=DTYPES[kind.removesuffix('[]')])
        return t

    columns = [*KINDS, *JS]
    lines = []
    for name, fn in PROMOTIONS.items():
        table = []
        for a in KINDS:
            line = []
            for b in columns:
                if b in JS and name in ('cat', 'stack', 'atan2', 'maximum', 'minimum', 'logicalAnd', 'copy_'):
                    line.append('')
                    continue
                try:
                    line.append(NAMES[fn(operand(a), operand(b)).dtype])
                except (RuntimeError, TypeError):
                    line.append(None)
            table.append(line)
        lines.append(json.dumps({'op': name, 'result': table}, separators=(',', ':')))
    head = json.dumps({'left': KINDS, 'right': columns}, separators=(',', ':'))
    return f'{{"kinds":{head},\n"ops":[\n' + ',\n'.join(lines) + '\n]}\n'


def main():
    sys.path.insert(0, str(HERE))
    import samples
    import samples_more
    import samples_nn
    for declare in (samples.unary, samples.binary, samples.reduction, samples_nn.linear_algebra, samples_nn.joining, samples_nn.views,
                    samples_nn.network, samples_nn.losses, samples_nn.margins, samples.mutation, samples_more.special,
                    samples_more.ordering, samples_more.statistics, samples_more.linalg, samples_more.placing,
                    samples_more.building, samples_more.affine, samples_more.distances, samples_more.resampling, samples_more.activations,
                    samples_more.counting):
        declare()
    files, counts, wrong = {}, {}, []
    for group, row in rows:
        n = counts[row.op] = counts.get(row.op, 0) + 1
        try:
            fields = run(row, zlib.crc32(f'{row.op}/{n}'.encode()))
        except Exception as e:  # noqa: BLE001 — every wrong row is listed before the run fails
            wrong.append(f'{group}: {row.op} #{n}: {type(e).__name__}: {str(e).splitlines()[0]}')
            continue
        files.setdefault(group, []).append('{' + ','.join(f'"{k}":{v}' for k, v in fields.items()) + '}')
    if wrong:
        sys.exit('\n'.join(wrong))
    directory = HERE / 'fixtures'
    directory.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or [*files, 'promotion']
    if not sys.argv[1:]:
        for old in directory.glob('*.json'):
            old.unlink()
    total = 0
    for group, cases in files.items():
        text = f'{{"torch":"{torch.__version__}","cases":[\n' + ',\n'.join(cases) + '\n]}\n'
        json.loads(text)
        if group in wanted:
            (directory / f'{group}.json').write_text(text)
        total += len(text)
        print(f'{group:12} {len(cases):5} cases {len(text) / 1024:8.1f} KiB')
    text = promotion()
    json.loads(text)
    if 'promotion' in wanted:
        (directory / 'promotion.json').write_text(text)
    total += len(text)
    print(f'{len(rows)} cases of {len(counts)} ops, {total / 1024:.0f} KiB')
    assert total < LIMIT, 'fixtures grew beyond what is worth committing'


if __name__ == '__main__':
    # `samples` imports this file by its name: it must be this very module.
    sys.modules['generate'] = sys.modules['__main__']
    main()
