"""The rows in PyTorch, one thread, eager."""
import json
import math
import resource
import sys
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(1)


def wave(shape, scale=0.3, dtype=torch.float32):
    n = math.prod(shape)
    return torch.sin(torch.arange(n, dtype=torch.float64) * 12.9898).mul(scale).to(dtype).reshape(shape).clone()


def trained(*args, **options):
    return wave(*args, **options).requires_grad_()


def repeat(once):
    def run(times):
        for _ in range(times):
            once()

    return run


def chain(kind, n):
    x = torch.full([n], 1.0001, requires_grad=kind != "chainNoGrad")
    y, z = torch.full([n], 0.5), torch.full([n], 0.1)

    def forward():
        h = x
        for _ in range(50):
            h = h * y + z
        return h

    if kind != "chainBackward":
        return repeat(forward)
    seed = torch.ones(n)

    def both():
        x.grad = None
        forward().backward(seed)

    return repeat(both)


def training(parameters, loss, adam):
    optimizer = torch.optim.Adam(parameters, lr=0.001) if adam else torch.optim.SGD(parameters, lr=0.01)

    def once():
        value = loss()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return repeat(once)


def mlp(sizes, adam):
    batch, inputs, hidden, outputs = sizes
    p = [trained([inputs, hidden], 0.05), trained([hidden]), trained([hidden, outputs], 0.05), trained([outputs])]
    x, y = wave([batch, inputs]), wave([batch, outputs])

    def loss():
        d = (x @ p[0] + p[1]).tanh() @ p[2] + p[3] - y
        return (d * d).mean()

    return training(p, loss, adam)


def cnn(batch):
    w = [trained([6, 1, 5, 5]), trained([6]), trained([16, 6, 5, 5], 0.1), trained([16])]
    l = [trained([120, 400], 0.05), trained([120]), trained([84, 120], 0.05), trained([84]), trained([10, 84], 0.05), trained([10])]
    x, y = wave([batch, 1, 28, 28]), torch.arange(batch) % 10

    def loss():
        h = F.max_pool2d(F.conv2d(x, w[0], w[1], padding=2).relu(), 2)
        h = F.max_pool2d(F.conv2d(h, w[2], w[3]).relu(), 2).flatten(1)
        h = F.linear(h, l[0], l[1]).relu()
        h = F.linear(h, l[2], l[3]).relu()
        return F.cross_entropy(F.linear(h, l[4], l[5]), y)

    return training(w + l, loss, False)


def transformer(batch, tokens, width, heads, count):
    shapes = [([width], 1), ([width], 0.3), ([3 * width, width], 0.1), ([width, width], 0.1), ([width], 1), ([width], 0.3),
              ([4 * width, width], 0.1), ([4 * width], 0.3), ([width, 4 * width], 0.1), ([width], 0.3)]
    layers = [[trained(shape, scale) for shape, scale in shapes] for _ in range(count)]
    x, y = wave([batch, tokens, width]), wave([batch, tokens, width])

    def loss():
        h = x
        for n1, b1, qkv, out, n2, b2, up, up_bias, down, down_bias in layers:
            parts = F.linear(F.layer_norm(h, [width], n1, b1), qkv).reshape(batch, tokens, 3, heads, width // heads)
            q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
            attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
            h = h + F.linear(attended, out)
            n = F.layer_norm(h, [width], n2, b2)
            h = h + F.linear(F.gelu(F.linear(n, up, up_bias)), down, down_bias)
        return F.mse_loss(h, y)

    return training([p for layer in layers for p in layer], loss, True)


def curve_fit(n, points):
    p = trained([4, n // 4], 0.5, dtype=torch.float64)
    t = torch.linspace(0, 1, points, dtype=torch.float64).reshape(points, 1)
    y = wave([points], 0.5, dtype=torch.float64)

    def loss():
        a, d, w, f = p.unbind(0)
        e = (a * (-(t * d)).exp() * (t * w + f).sin()).sum(1) - y
        return (e * e).mean()

    return training([p], loss, True)


def hessian(n):
    x = wave([n], dtype=torch.float64)
    a = wave([n, n], dtype=torch.float64)
    h = torch.func.hessian(lambda v: ((a @ v).tanh() * v).sum() + (v**4).sum())
    return repeat(lambda: h(x))


def backward_of(f, *inputs):
    g = f().detach()

    def once():
        for t in inputs:
            t.grad = None
        f().backward(g)

    return repeat(once)


def make(row):
    kind, sizes = row["kind"], row["sizes"]
    n = sizes[0]
    m = sizes[1] if len(sizes) > 1 else None
    if kind in ("chain", "chainBackward", "chainNoGrad"):
        return chain(kind, n)
    if kind in ("mlp", "mlpAdam"):
        return mlp(sizes, kind == "mlpAdam")
    if kind == "cnn":
        return cnn(n)
    if kind == "transformer":
        return transformer(*sizes)
    if kind == "curveFit":
        return curve_fit(n, m)
    if kind == "hessian":
        return hessian(n)
    if kind == "add":
        a, b = wave([n]), wave([n])
        return repeat(lambda: a + b)
    if kind in ("exp", "tanh", "gelu", "sum"):
        a = wave([n])
        f = F.gelu if kind == "gelu" else getattr(torch, kind)
        return repeat(lambda: f(a))
    if kind == "sumRows":
        a = wave([n, m])
        return repeat(lambda: a.sum(1))
    if kind == "softmax":
        a = wave([n, m])
        return repeat(lambda: a.softmax(1))
    if kind == "softmaxBackward":
        a = trained([n, m])
        return backward_of(lambda: a.softmax(1), a)
    if kind == "layerNorm":
        a, w, b = wave([n, m]), wave([m]), wave([m])
        return repeat(lambda: F.layer_norm(a, [m], w, b))
    if kind == "layerNormBackward":
        a, w, b = trained([n, m]), trained([m]), trained([m])
        return backward_of(lambda: F.layer_norm(a, [m], w, b), a, w, b)
    if kind == "crossEntropyBackward":
        a, y = trained([n, m]), torch.arange(n) % m
        return backward_of(lambda: F.cross_entropy(a, y), a)
    if kind in ("matmul", "matmul64"):
        dtype = torch.float64 if kind == "matmul64" else torch.float32
        a, b = wave([n, m], dtype=dtype), wave([m, sizes[2]], dtype=dtype)
        return repeat(lambda: a @ b)
    images, channels, size, maps, kernel, stride, padding = sizes
    x, w = wave([images, channels, size, size]), wave([maps, channels, kernel, kernel])
    if kind == "conv2d":
        return repeat(lambda: F.conv2d(x, w, stride=stride, padding=padding))
    x.requires_grad_()
    w.requires_grad_()
    return backward_of(lambda: F.conv2d(x, w, stride=stride, padding=padding), x, w)


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
    seconds = measure(made[row["name"]], request["ms"])
    print(json.dumps({"seconds": seconds, "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}), flush=True)
