"""Writes gamma.json beside this file: ln|gamma|, its derivatives and the inverse error function to the last bit of float64.

Values are computed with 60 digits and rounded once. Run with: python3 test/ops/gamma.py   (needs mpmath)
"""
import json
import pathlib
import random

from mpmath import erfinv, fabs, gamma, log, loggamma, mp, mpf, polygamma

mp.dps = 60
random.seed(11)

positive = [1e-300, 1e-9, 0.03, 0.4999, 0.5, 1.0, 1.5, 2.0, 2.5, 9.9999, 10.0, 171.5, 1e6, 1e300]
positive += [random.uniform(0, 3) for _ in range(60)] + [random.uniform(3, 30) for _ in range(40)]
negative = [-random.uniform(0, 12) for _ in range(40)]
rows = []
for x in positive + negative:
    value = log(fabs(gamma(mpf(x)))) if x < 100 else loggamma(mpf(x))
    derivatives = [polygamma(n, mpf(x)) for n in range(4)] if abs(x) > 1e-50 else [None] * 4
    # Beyond the second derivative negative numbers are not asked for.
    rows.append([x, float(value), *(None if d is None or (x < 0 and n > 1) else float(d) for n, d in enumerate(derivatives))])

inside = [1e-300, 1e-12, 1e-8, 0.5, 0.9999, 1 - 2**-53, 1 - 1e-9] + [random.uniform(0, 1) for _ in range(60)]
inverse = [[x, float(erfinv(mpf(x)))] for x in inside]

lines = lambda table: '[\n' + ',\n'.join(json.dumps(row) for row in table) + '\n]'
pathlib.Path(__file__).with_name('gamma.json').write_text(f'{{"gamma": {lines(rows)},\n"erfinv": {lines(inverse)}}}\n')
