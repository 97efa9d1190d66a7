"""The rows in PyTorch, one thread, eager."""
import json
import math
import sys
import time

import torch

torch.set_num_threads(1)


def wave(shape, scale=0.3):
    n = math.prod(shape)
    return torch.sin(torch.arange(n, dtype=torch.float64) * 12.9898).mul(scale).float().reshape(shape).clone()


def make(row):
    kind, sizes = row["kind"], row["sizes"]
    n = sizes[0]
    if kind in ("chain", "chainBackward"):
        x = torch.tensor([1.0001], requires_grad=True)
        y, z = torch.tensor([0.5]), torch.tensor([0.1])

        def run(times):
            for _ in range(times):
                h = x
                for _ in range(50):
                    h = h * y + z
                if kind == "chainBackward":
                    x.grad = None
                    h.backward()

        return run
    if kind == "mlp":
        batch, inputs, hidden, outputs = sizes
        p = [wave([inputs, hidden], 0.05), wave([hidden]), wave([hidden, outputs], 0.05), wave([outputs])]
        for t in p:
            t.requires_grad_()
        x, y = wave([batch, inputs]), wave([batch, outputs])
        optimizer = torch.optim.SGD(p, lr=0.01)

        def run(times):
            for _ in range(times):
                d = (x @ p[0] + p[1]).tanh() @ p[2] + p[3] - y
                loss = (d * d).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

        return run
    if kind == "matmul":
        a, b = wave([n, n]), wave([n, n])

        def run(times):
            for _ in range(times):
                a @ b

        return run
    a, b = wave([n]), wave([n])
    if kind == "add":

        def run(times):
            for _ in range(times):
                a + b

    else:

        def run(times):
            for _ in range(times):
                a.exp()

    return run


def measure(run, ms):
    def timed(k):
        start = time.perf_counter()
        run(k)
        return time.perf_counter() - start

    n, once = 1, timed(1)
    while once * 1000 < ms / 20 and n < 1e6:
        n *= 2
        once = timed(n)
    best = once / n
    end = time.perf_counter() + ms / 1000
    while time.perf_counter() < end:
        best = min(best, timed(n) / n)
    return best


print(json.dumps({"ready": True, "version": torch.__version__}), flush=True)
made = {}
for line in sys.stdin:
    request = json.loads(line)
    row = request["row"]
    if row["name"] not in made:
        made = {row["name"]: make(row)}
    print(json.dumps({"seconds": measure(made[row["name"]], request["ms"])}), flush=True)
