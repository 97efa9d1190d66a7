"""Writes erf.json beside this file: erf and erfc to the last bit of float64, and prints the coefficients of src/backend/erf.ts.

Values are computed with 60 digits and rounded once. Run with: python3 test/backend/erf.py   (needs mpmath)
"""
import json
import pathlib
import random

from mpmath import chebyfit, erf, erfc, exp, mp, mpf, nstr, pi, sqrt

mp.dps = 60

POLE = mpf('3.5')
FROM, TO = mpf(1), mpf(28)


def near(u):
    """erf(x)/x - 1 as a function of x squared."""
    if u == 0:
        return 2 / sqrt(pi) - 1
    x = sqrt(u)
    return erf(x) / x - 1


def far(t):
    """(1 + 2x) exp(x^2) erfc(x), which stays between 1 and 1.3, as a function of t = (x - POLE) / (x + POLE)."""
    x = POLE * (1 + t) / (1 - t)
    return (1 + 2 * x) * exp(x * x) * erfc(x)


def fitted(f, low, high, terms):
    coefficients, error = chebyfit(f, [low, high], terms, error=True)
    print(f'{f.__name__}: {terms} terms, error {nstr(error, 3)}')
    print(',\n'.join(f'  {float(c)!r}' for c in coefficients))


place = lambda x: (x - POLE) / (x + POLE)
fitted(near, mpf(0), mpf(1), 12)
fitted(far, place(FROM), place(TO), 20)

random.seed(7)
points = [0.0, 5e-324, 1e-310, 1e-300, 1e-20, 1e-9, 0.46875, 0.5, 1.0, 1.0 - 2**-53, 1.0 + 2**-52, 2.0, 5.0, 5.92, 5.93, 6.0, 10.0, 26.0, 26.5, 26.54, 27.0, 27.22, 27.3, 100.0]
points += [10 ** random.uniform(-12, 0) for _ in range(150)]
points += [random.uniform(0, 1.2) for _ in range(350)]
points += [random.uniform(0.4, 6) for _ in range(350)]
points += [random.uniform(5, 27.3) for _ in range(250)]
points += [-random.uniform(0, 6) for _ in range(150)]
rows = [[x, float(erf(mpf(x))), float(erfc(mpf(x)))] for x in points]
# One row a line.
text = '[\n' + ',\n'.join(json.dumps(row) for row in rows) + '\n]\n'
(pathlib.Path(__file__).parent / 'erf.json').write_text(text)
