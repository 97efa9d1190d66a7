"""Records float64 functions at points of their domains, with 60 digits: x, the nearest float64, and how far off it is in ulp."""
import json
import math
import pathlib
import random

import mpmath as mp

mp.mp.dps = 60
random.seed(1)

# The function, where samples are dense, and where they are spread over the exponents.
FUNCTIONS = {
    "exp": (mp.exp, (-750, 712), (2**-60, 700)),
    "exp2": (lambda x: mp.mpf(2) ** x, (-1080, 1026), (2**-60, 1000)),
    "expm1": (mp.expm1, (-3, 3), (2**-60, 709)),
    "log": (mp.log, (0.4, 3), (2**-1070, 2**1020)),
    "log1p": (mp.log1p, (-0.9999, 2), (2**-60, 2**1000)),
    "sin": (mp.sin, (-10, 10), (2**-40, 2**30)),
    "cos": (mp.cos, (-10, 10), (2**-40, 2**30)),
    "tanh": (mp.tanh, (-2, 2), (2**-60, 30)),
    "erf": (mp.erf, (-2, 2), (2**-60, 7)),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), (-40, 40), (2**-60, 740)),
    "log2": (lambda x: mp.log(x) / mp.log(2), (0.4, 3), (2**-1070, 2**1020)),
    "log10": (mp.log10, (0.4, 3), (2**-1070, 2**1020)),
}
EXACT = {
    "sin": [math.pi * k / 2 for k in (1, 2, 3, 4, 5, 100, 710, 100000, 1000001)],
    "cos": [math.pi * k / 2 for k in (1, 2, 3, 4, 5, 100, 710, 100000, 1000001)],
    "exp": [-745.13, -745.14, -708.4, 709.78, -1000.0, 1000.0],
    "exp2": [-1074.0, -1075.5, -1022.5, 1023.999, 0.5, 10.0],
    "expm1": [709.78, -37.0, -50.0, 0.34657, 0.34658, -0.34658],
    "log": [5e-324, 1e-310, 0.7071067811865475, 1.4142135623730951, 1 + 2**-52, 1 - 2**-53],
    "tanh": [0.625, 0.6249999999999999, 22.0],
    "erf": [1.0, 0.9999999999999999, 5.9, 6.0],
    "log2": [5e-324, 1e-310, 0.7071067811865475, 1.4142135623730951, 1 + 2**-52, 1 - 2**-53],
    "log10": [5e-324, 1e-310, 0.7071067811865475, 1.4142135623730951, 1 + 2**-52, 1 - 2**-53],
}


def row(f, x):
    y = f(mp.mpf(x))
    near = float(y)
    if math.isinf(near) or near == 0:
        return [x, "Infinity" if near > 0 else near, 0]
    return [x, near, round(float((y - near) / math.ulp(near)), 3)]


def points(low, high, least, most, n):
    dense = [random.uniform(low, high) for _ in range(n)]
    spread = [math.exp(random.uniform(math.log(least), math.log(most))) * (random.choice((-1, 1)) if low < 0 else 1) for _ in range(n // 2)]
    return dense + spread


def powers(n):
    """Powers xᵇ whose results lie in all of the range: x, b, and as above. Negative x have whole b."""
    rows = []
    for k in range(n):
        near = 1 + random.uniform(-1, 1) * 2.0 ** -random.randrange(50)
        x = [random.uniform(0, 4), near, math.exp(random.uniform(-740, 709)), -random.uniform(0, 20)][k % 4]
        b = random.uniform(-1080, 1030) / mp.log(abs(x), 2)
        b = float(mp.nint(b)) if x < 0 else float(b) if k % 3 else random.uniform(-10, 10)
        value, near, off = row(lambda v: mp.mpf(abs(v)) ** mp.mpf(b), x)
        sign = -1 if x < 0 and b % 2 else 1
        rows.append([value, b, "Infinity" if near == "Infinity" else sign * near, sign * off])
    return rows


def main():
    table = {}
    for name, (f, dense, spread) in FUNCTIONS.items():
        xs = points(*dense, *spread, 100) + EXACT.get(name, [])
        table[name] = [row(f, x) for x in xs if not (name == "log1p" and x <= -1)]
    table["pow"] = [r for r in powers(400) if r[2] != "Infinity"]
    lines = [json.dumps(name) + ": [\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]" for name, rows in table.items()]
    pathlib.Path(__file__).with_name("double.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
