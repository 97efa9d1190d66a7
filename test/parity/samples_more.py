"""The rows of the parity table, part three: special functions, orders, statistics, linear algebra."""
import torch

from generate import B, E, I, R, S, Sample, T, err, family, inplace, kink
from samples import PAIRS, POSITIVE, PROBABILITY, SPECIAL, UNIT, WIDE, inf, nan

# The arguments at which special functions change their formula, or have zeros and poles.
GAMMA = [0.03, 0.49, 0.51, 0.99, 1.01, 1.49, 1.51, 2.49, 2.51, 7.3, 9.99, 10.01, 33.3, 171.5, 1e5 + 0.5, -0.3, -1.7, -5.25, -20.6]


def special():
    family('special')
    domains = {'lgamma': POSITIVE, 'digamma': POSITIVE, 'erfc': {}, 'erfinv': UNIT, 'logit': PROBABILITY, 'sinc': {},
               'entr': POSITIVE, 'deg2rad': {}, 'rad2deg': {}, 'nanToNum': {}, 'signbit': {}}
    for op, domain in domains.items():
        # torch's own derivative of digamma is good for 9 digits only.
        once, held = op != 'lgamma', (lambda s: s.constant() if op == 'digamma' else s)
        R(op, held(S(2, 3, **domain)), second=once)
        R(op, held(S(**domain)), second=once)
        R(op, held(S(0, 3, **domain)))
        R(op, held(E(3, 2, along=0, **domain)), second=once)
        kink(op, held(T(SPECIAL)))
        if op not in ('lgamma', 'digamma', 'sinc'):
            R(op, T(WIDE), tag='wide', second=False)
        R(op, I(4, lo=1))
        R(op, T([0, 1, 2, 255], 'uint8')) if op != 'rad2deg' else None
        R(op, B(3))
    kink('sinc', T([1e-8, 3e-4, 0.7, 5.25, 19.5, -88.0, 1.0, 2.0]))
    for op in ('lgamma', 'digamma'):
        R(op, T(GAMMA).constant() if op == 'digamma' else T(GAMMA), tag='wide', second=False)
    kink('lgamma', T([-1.0, -2.0, -3.0]))
    R('erfinv', T([1e-9, -1e-3, 0.3, 0.5, -0.77, 0.999, -0.9999999, 1 - 2**-50]), tag='wide', second=False)
    R('polygamma', 0, S(2, 3, **POSITIVE).constant())
    for n in (2, 3):
        R('polygamma', n, S(2, 3, **POSITIVE))
        R('polygamma', n, S(**POSITIVE))
        R('polygamma', n, T([x for x in GAMMA if x > 0]), tag='wide', second=False)
    err('polygamma', -1, S(2))
    for eps in (0.1, 0.25):
        R('logit', S(2, 3, **PROBABILITY), eps=eps)
        kink('logit', T([0.0, eps, 0.5, 1 - eps, 1.0, -1.0, 2.0, nan]), eps=eps)
    kink('nanToNum', T(SPECIAL), nan=2.5, posinf=7, neginf=-3)
    kink('nanToNum', T(SPECIAL), posinf=1.5)
    for op in ('logaddexp', 'logaddexp2', 'hypot', 'copysign', 'xlogy', 'xlog1py'):
        positive = POSITIVE if op in ('xlogy', 'xlog1py') else {}
        for a, b in PAIRS:
            R(op, S(*a), S(*b, **positive))
        R(op, E(2, 3, along=0), E(2, 3, along=1, **positive))
        kink(op, T(SPECIAL), T(SPECIAL[::-1]))
        kink(op, T([0.0, 0.0, -0.0, 1.0, inf, nan, 1.0, 0.0, -inf]), T([0.0, -0.0, 0.0, 1.0, inf, 1.0, nan, inf, -inf]))
        R(op, T(WIDE), T(WIDE[::-1]), tag='wide', second=False) if not positive else None
        err(op, S(2, 3), S(4))
        if op in ('xlogy', 'xlog1py', 'copysign'):
            R(op, S(2, 3), 1.5)
            R(op, I(4), T([1, 2, 3, 5], 'int32'))
        if positive:
            R(op, 1.5, S(2, 3, **positive))
    kink('copysign', S(3), -0.0)
    R('copysign', S(2, 3), -2)
    kink('xlogy', T([0.0, 0.0, 0.0, 0.0, 1.0]), T([0.0, nan, inf, -1.0, 0.0]))
    kink('xlog1py', T([0.0, 0.0, 0.0, 0.0, 1.0]), T([-1.0, nan, inf, -2.0, -1.0]))
    err('hypot', I(2), I(2))
    R('heaviside', T([-1.5, 0.0, 2.0, -0.0, nan]).constant(), S(5).constant())
    R('heaviside', T([-1, 0, 2], 'int32'), T([5, 6, 7], 'int32'))
    R('heaviside', S(2, 3).constant(), S(3).constant())
    err('heaviside', S(2).constant(), I(2))
    R('floorDivide', S(2, 3).constant(), S(3, lo=0.3).constant())
    R('floorDivide', T([7, -7, 7, -7, 0], 'int32'), T([2, 2, -2, -2, 3], 'int32'))
    R('floorDivide', S(2, 3).constant(), 0.75)
    err('floorDivide', I(2), T([0, 1], 'int32'))


def ordering():
    family('ordering')
    ties = T([[1.0, 3.0, 3.0, 1.0], [2.0, 2.0, 2.0, 0.0]])
    nans = T([[1.0, nan, 3.0, -inf], [nan, nan, 2.0, inf]])
    for op in ('sort', 'argsort'):
        R(op, S(7))
        R(op, S(2, 3), 0)
        R(op, S(2, 3), -1)
        R(op, S(2, 3, 2), 1)
        R(op, S(2, 3), dim=0, descending=True)
        R(op, S(), 0)
        R(op, S(0, 3), 0)
        R(op, S(2, 0), 1)
        R(op, E(3, 4, along=0))
        R(op, I(20), descending=True, stable=True)
        R(op, B(5))
        R(op, S(40), stable=True)
        R(op, T([200, 3, 7, 3], 'uint8'), stable=True)
        kink(op, ties, stable=True)
        kink(op, ties, stable=True, descending=True)
        kink(op, nans, stable=True)
        kink(op, nans, stable=True, descending=True)
        err(op, S(2), 1)
    R('msort', S(4, 2))
    for opts in ({}, dict(largest=False), dict(dim=0, largest=True), dict(dim=0, largest=False, sorted=True)):
        R('topk', S(3, 4), 2, **opts)
        R('topk', S(3, 4), 3, **opts)
    R('topk', S(), 1)
    R('topk', S(5), 0)
    R('topk', I(6, lo=-50, hi=50), 2)
    R('topk', E(3, 4, along=0), 2)
    kink('topk', T([1.0, nan, 3.0, -inf]), 3)
    err('topk', S(3), 4)
    err('topk', S(3), -1)
    err('topk', S(3), 1, dim=1)
    for k in (1, 2, 3):
        R('kthvalue', S(2, 3), k)
        R('kthvalue', S(3, 2), k, dim=0, keepdim=True)
    R('kthvalue', S(), 1)
    R('kthvalue', I(6, lo=-50, hi=50), 4)
    R('kthvalue', S(2, 3, 2), 2, 1)
    kink('kthvalue', T([1.0, nan, 3.0, -inf]), 3)
    err('kthvalue', S(3), 0)
    err('kthvalue', S(3), 4)
    err('kthvalue', S(3), 1, dim=1)
    for op in ('median', 'nanmedian'):
        R(op, S(5))
        R(op, S(2, 3))
        R(op, S())
        kink(op, S(0))
        R(op, S(2, 4), 1)
        R(op, S(3, 4), 0, keepdim=True)
        R(op, S(2, 3, 2), dim=1)
        R(op, S(), 0)
        R(op, I(7))
        R(op, E(3, 4, along=0), 1)
        kink(op, T([1.0, 3.0, 3.0, 3.0, 5.0]))
        kink(op, T([1.0, nan, 3.0, 2.0]))
        kink(op, T([nan, nan]))
        kink(op, T([[1.0, nan, 3.0, 2.0], [0.0, 5.0, -inf, inf]]), 1)
        err(op, S(2), 1)
        err(op, S(2, 0), 1)
    R('mode', S(2, 3))
    R('mode', S(3, 2), 0, keepdim=True)
    kink('mode', T([[1.0, 3.0, 3.0, 1.0], [2.0, 2.0, 5.0, 0.0], [4.0, 3.0, 2.0, 1.0]]))
    kink('mode', T([[1.0, 3.0], [3.0, 1.0], [3.0, 7.0]]), 0, keepdim=True)
    R('mode', I(9, lo=0, hi=3), dim=0)
    R('mode', S())
    err('mode', S(2, 0), 1)
    err('mode', S(2), 1)
    for op in ('cummax', 'cummin'):
        R(op, S(5), 0)
        R(op, S(2, 4), 0)
        R(op, S(2, 4), -1)
        R(op, S(2, 3, 2), 1)
        R(op, S(), 0)
        R(op, S(0, 2), 0)
        R(op, E(3, 2, along=0), 0)
        R(op, I(5), 0)
        kink(op, T([[1.0, 3.0, 3.0, 1.0], [2.0, 2.0, 1.0, 1.0]]), 1)
        kink(op, T([1.0, nan, 3.0, 2.0]), 0)
        err(op, S(2), 1)
    R('logcumsumexp', S(5), 0)
    R('logcumsumexp', S(2, 4), 0)
    R('logcumsumexp', S(2, 3, 2), 1)
    R('logcumsumexp', S(), 0)
    R('logcumsumexp', S(0, 2), 0)
    R('logcumsumexp', E(3, 2, along=0), -1)
    R('logcumsumexp', T([50.0, 50.5, -50.0, 100.0]), 0)
    R('logcumsumexp', T([1000.0, 1000.5, -1000.0, 2000.0]).constant(), 0)
    kink('logcumsumexp', T([-inf, 0.0, -inf, 2.0]), 0)
    kink('logcumsumexp', T([0.0, inf, nan]), 0)
    err('logcumsumexp', S(2), 1)
    for right in (False, True):
        R('searchsorted', T([1.0, 3.0, 3.0, 5.0]), T([[0.0, 3.0, 9.0], [1.0, 4.0, nan]]).constant(), right=right)
        R('searchsorted', T([[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]).constant(), T([[3.0, 6.0], [3.0, 6.0]]).constant(), right=right)
        R('bucketize', T([[0, 3], [1, 9]], 'int32'), T([1, 3, 5], 'int32'), right=right)
    R('searchsorted', T([1.0, 3.0, 3.0, 5.0]).constant(), 3)
    err('searchsorted', S(2, 3).constant(), S(3, 3).constant())


def statistics():
    family('statistics')
    reducible = [{}, dict(dim=0), dict(dim=-1, keepdim=True), dict(dim=[0, 2]), dict(dim=[0, -1], keepdim=True)]
    for op in ('varMean', 'stdMean', 'nansum', 'nanmean'):
        for o in reducible:
            R(op, S(2, 3, 2), **o)
        R(op, S(6))
        R(op, S()) if op in ('nansum', 'nanmean') else kink(op, S())
        R(op, E(3, 4, along=0), dim=1)
        kink(op, S(0))
        kink(op, T([1.0, nan, inf]))
        R(op, T([[1.0, nan, 3.0], [2.0, 4.0, -1.0]]), dim=0, second=False)
        err(op, S(2, 3), dim=2)
    for op in ('varMean', 'stdMean'):
        R(op, S(2, 4), dim=1, correction=0)
        R(op, S(5), correction=2)
        kink(op, T([2.0, 2.0, 2.0]))
        kink(op, T([2.0]))
        err(op, I(3))
    R('nansum', I(3))
    err('nanmean', I(3))
    for o in ({}, dict(dim=0), dict(dim=-1, keepdim=True)):
        R('aminmax', S(2, 3), **o)
    R('aminmax', S())
    R('aminmax', I(4))
    kink('aminmax', T([[1.0, 3.0, 3.0], [1.0, 1.0, 1.0]]))
    kink('aminmax', T([[1.0, 3.0, 3.0], [1.0, 1.0, 1.0]]), dim=1)
    kink('aminmax', T([1.0, nan]))
    err('aminmax', S(0))
    R('countNonzero', T([[0.0, 1.0, nan], [-0.0, 2.0, 0.0]]).constant())
    R('countNonzero', I(3, 2, lo=-1, hi=2), 0)


def linalg():
    family('linalg')

    def M(*shape, diagonal=3.0):
        """Strong diagonals: well conditioned, and with distinct singular values."""
        n = shape[-1]

        def draw(rng, count):
            values = [rng.randrange(-127, 128, 2) / 128 for _ in range(count)]
            for i in range(0, count, n):
                row = (i // n) % shape[-2]
                if row < n:
                    values[i + row] += diagonal + row
            return values
        return Sample(shape, 'float64', draw)

    def P(*shape):
        """Symmetric and positive definite."""
        def draw(rng, count):
            m = torch.tensor(M(*shape).draw(rng, count), dtype=torch.float64).reshape(shape)
            return (m + m.mT).reshape(-1).tolist()
        return Sample(shape, 'float64', draw)

    singular = T([[1.0, 2.0], [2.0, 4.0]])
    for op in ('inv', 'det', 'slogdet', 'matrixExp'):
        for shape in ((2, 2), (3, 3), (2, 3, 3), (1, 1), (2, 1, 2, 2)):
            R('linalg.' + op, M(*shape))
        R('linalg.' + op, M(0, 2, 2))
        err('linalg.' + op, S(2, 3))
        err('linalg.' + op, S(3))
        err('linalg.' + op, I(2, 2))
    R('linalg.matrixExp', S(3, 3))
    R('linalg.matrixExp', S(2, 2, lo=5, hi=9))
    err('linalg.inv', singular)
    err('linalg.inv', T([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [2.0, 4.0]]]))
    kink('linalg.det', singular)
    kink('linalg.det', T([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 10.0]]))
    kink('linalg.slogdet', T([[-1.0, 2.0], [2.0, 4.0]]))
    for a, b in (((2, 2), (2,)), ((3, 3), (3, 2)), ((2, 3, 3), (2, 3)), ((2, 3, 3), (2, 3, 1)), ((3, 3), (2, 3, 2)),
                 ((2, 1, 2, 2), (3, 2, 2)), ((2, 2), (2, 0))):
        R('linalg.solve', M(*a), S(*b))
    R('linalg.solve', M(3, 3), S(2, 3), left=False)
    R('linalg.solve', M(2, 3, 3), S(2, 2, 3), left=False)
    err('linalg.solve', singular, S(2))
    err('linalg.solve', M(2, 2), S(3))
    err('linalg.solve', M(2, 2), S(3, 2))
    err('linalg.solve', S(2, 3), S(2))
    for upper in (False, True):
        R('linalg.solveTriangular', M(3, 3), S(3, 2), upper=upper)
        R('linalg.solveTriangular', M(3, 3), S(2, 3), upper=upper, left=False)
        R('linalg.solveTriangular', M(2, 3, 3), S(3, 2), upper=upper, unitriangular=True)
        R('linalg.cholesky', P(3, 3), upper=upper)
        R('linalg.cholesky', P(2, 2, 2), upper=upper)
    R('linalg.cholesky', P(1, 1))
    err('linalg.solveTriangular', M(3, 3), S(2, 2), upper=True)
    err('linalg.cholesky', T([[1.0, 2.0], [2.0, 1.0]]))
    err('linalg.cholesky', T([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]]]))
    err('linalg.cholesky', S(2, 3))
    for shape in ((3, 3), (4, 2), (2, 3), (2, 3, 2), (1, 3), (3, 1)):
        R('linalg.qr', M(*shape))
        R('linalg.svdvals', M(*shape))
        R('linalg.pinv', M(*shape))
    R('linalg.qr', M(2, 3), mode='complete')
    R('linalg.qr', M(3, 2).constant(), mode='complete')
    R('linalg.qr', M(3, 2).constant(), mode='r')
    err('linalg.qr', M(2, 2), mode='full')
    err('linalg.qr', S(2))
    err('linalg.svdvals', S(2))
    err('linalg.pinv', S(2))
    kink('linalg.pinv', T([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]))
    R('linalg.eigvalsh', P(3, 3))
    R('linalg.eigvalsh', P(2, 2, 2))
    R('linalg.eigvalsh', P(1, 1))
    R('linalg.eigvalsh', M(3, 3).constant())
    err('linalg.eigvalsh', S(2, 3))
    for o in ({}, *({'ord': k} for k in ('fro', 'nuc', 1, -1, 2, -2, inf, -inf))):
        R('linalg.matrixNorm', M(3, 2), **o)
        R('linalg.matrixNorm', M(2, 2, 3), keepdim=True, **o)
        R('linalg.norm', M(3, 2), **o)
    R('linalg.matrixNorm', S(2, 3, 2), dim=[0, 2])
    R('linalg.matrixNorm', M(2, 3, 2), ord=1, dim=[1, 0], keepdim=True)
    err('linalg.matrixNorm', S(2, 2), ord=3)
    err('linalg.matrixNorm', S(2))
    err('linalg.matrixNorm', S(2, 2), dim=[0, 0])
    for o in ({}, dict(ord=1), dict(ord=3), dict(ord=inf), dict(ord=0), dict(dim=0), dict(ord=2, dim=1, keepdim=True)):
        R('linalg.vectorNorm', S(2, 3), **o)
        R('linalg.norm', S(4), **o) if 'keepdim' not in o else R('linalg.norm', S(2, 3, 2), **o)
    for n in (0, 1, 2, 3, 5, -1, -2):
        R('linalg.matrixPower', M(2, 2) if n else M(2, 2).constant(), n)
    R('linalg.matrixPower', M(2, 3, 3), 3)
    err('linalg.matrixPower', S(2, 3), 2)
    for tensors in ([S(2, 3), S(3, 4)], [S(2, 3), S(3, 4), S(4, 2)], [S(3), S(3, 4), S(4, 2)],
                    [S(2, 3), S(3, 4), S(4, 1), S(1, 2), S(2)]):
        R('linalg.multiDot', tensors)
    err('linalg.multiDot', [S(2, 2)])
    R('linalg.cross', S(2, 3), S(2, 3))
    R('linalg.cross', S(3), S(3))
    R('linalg.cross', S(3, 2), S(3, 2), dim=0)
    R('linalg.cross', S(1, 3), S(2, 3))
    err('linalg.cross', S(2), S(2))
    err('linalg.cross', S(3), S(2, 3))
    R('linalg.vecdot', S(2, 3), S(2, 3))
    R('linalg.vecdot', S(2, 3), S(2, 1), dim=0)
    R('linalg.matrixRank', T([[1.0, 2.0], [2.0, 4.0]]).constant())
    R('linalg.matrixRank', M(2, 3, 2).constant())


def placing():
    family('placing')
    at = T([0, 2], 'int32')
    twice = T([1, 1, 0], 'int32')
    for op in ('indexAdd', 'indexCopy'):
        R(op, S(3), 0, at, S(2))
        R(op, S(3, 2), 0, at, S(2, 2))
        R(op, S(2, 3), 1, at, S(2, 2))
        R(op, S(2, 3, 2), -2, at, S(2, 2, 2))
        R(op, S(2, 3), 1, T([], 'int32'), S(2, 0))
        R(op, E(3, 2, along=1), 0, at, S(2, 2))
        R(op, I(3), 0, at, I(2))
        inplace(op + '_', S(3, 2), 0, at, S(2, 2))
        inplace(op + '_', S(2, 3), 0, at, S(2, 2), via=('transpose', 0, 1))
        err(op, S(3), 0, T([3], 'int32'), S(1))
        err(op, S(3), 0, T([-1], 'int32'), S(1))
        err(op, S(3), 1, at, S(2))
        err(op, S(3, 2), 0, at, S(2, 3))
    R('indexAdd', S(3, 2), 0, twice, S(3, 2))
    R('indexAdd', S(3, 2), 0, twice, S(3, 2), alpha=-1.5)
    inplace('indexAdd_', S(3), 0, twice, S(3), alpha=2)
    for value in (1.5, S()):
        R('indexFill', S(3), 0, at, value)
        R('indexFill', S(2, 3), 1, at, value)
        R('indexFill', S(2, 3), -1, T([-1], 'int32'), value)
        inplace('indexFill_', S(2, 3), 1, at, value)
    R('indexFill', I(3), 0, at, 7)
    err('indexFill', S(3), 0, T([3], 'int32'), 1)
    R('take', S(2, 3), T([0, 5, -1, 0], 'int32'))
    R('take', S(2, 3), T([[1, 2], [3, 3]], 'int32'))
    R('take', S(), T([0], 'int32'))
    R('take', S(4), T([], 'int32'))
    R('take', E(2, 3, along=0), T(4, 'int32'))
    err('take', S(2, 3), T([6], 'int32'))
    for accumulate in (False, True):
        R('put', S(2, 3), T([0, 5, -2], 'int32'), S(3), accumulate=accumulate)
        R('put', S(2, 3), T([[0], [3]], 'int32'), S(2), accumulate=accumulate)
        inplace('put_', S(2, 3), T([0, 5], 'int32'), S(2), accumulate=accumulate)
    R('put', S(3), T([1, 1], 'int32'), S(2), accumulate=True)
    err('put', S(3), T([3], 'int32'), S(1))
    err('put', S(3), T([1, 1], 'int32'), S(1))
    where = T([[0, 0, 2], [1, 0, 1]], 'int32')
    for reduce in ('sum', 'prod', 'mean', 'amax', 'amin'):
        for include in (True, False):
            R('scatterReduce', S(3, 3), 0, where, S(2, 3), reduce, include_self=include)
        R('scatterReduce', S(2, 4), 1, where, S(2, 3), reduce)
        R('scatterReduce', S(4), 0, T([0, 2, 0, 0], 'int32'), S(5), reduce)
        R('scatterReduce', I(4), 0, T([0, 2, 0, 0], 'int32'), I(4), reduce)
        kink('scatterReduce', T([1.0, 2.0, 0.0]), 0, T([0, 1, 0, 1, 1], 'int32'), T([1.0, 2.0, 0.0, 1.0, 2.0]), reduce)
    err('scatterReduce', S(3), 0, T([3], 'int32'), S(1), 'sum')
    err('scatterReduce', S(3), 0, T([0], 'int32'), S(1), 'maximum')
    R('selectScatter', S(2, 3), S(3), 0, 1)
    R('selectScatter', S(2, 3), S(2), -1, -1)
    err('selectScatter', S(2, 3), S(2), 0, 1)
    R('sliceScatter', S(3, 2), S(2, 2), 0, 1)
    R('sliceScatter', S(2, 4), S(2, 2), 1, 0, 4, 2)
    err('sliceScatter', S(3, 2), S(3, 2), 0, 1)
    R('diagonalScatter', S(2, 3), S(2))
    R('diagonalScatter', S(2, 3), S(2), offset=1)
    R('diagonalScatter', S(2, 3, 3), S(2, 3), dim1=1, dim2=2)
    err('diagonalScatter', S(2, 3), S(3))
    mask = T([[True, False, True], [False, True, False]], 'bool')
    R('maskedScatter', S(2, 3), mask, S(3))
    R('maskedScatter', S(2, 3), mask, S(2, 3))
    R('maskedScatter', S(2, 3), T([True, False, True], 'bool'), S(4))
    err('maskedScatter', S(2, 3), mask, S(2))
    R('diagEmbed', S(3))
    R('diagEmbed', S(2, 3))
    R('diagEmbed', S(2, 3), offset=1)
    R('diagEmbed', S(2, 3), offset=-2, dim1=0, dim2=2)
    R('diagEmbed', S(2, 3), dim1=1, dim2=0)
    R('diagEmbed', S(2, 0))
    R('diagEmbed', I(3))
    err('diagEmbed', S(3), dim1=0, dim2=0)
    err('diagEmbed', S(3), dim1=0, dim2=2)
