"""The rows of the parity table, part three: special functions."""
from generate import B, E, I, R, S, T, err, family, kink
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
