"""Records what PyTorch does in small cases around grad modes, flags of tensors, conversions and indexing; tensors.test.ts runs
the same cases, under the names PyTorch's own test suite has for them.

Usage: python3 test/contract/record_tensors.py  (PyTorch 2.13, CPU); writes tensors.json beside this file.
"""

import warnings

import torch

from recording import case, leaf, one, nums, error, write


def ramp(*shape):
    n = 1
    for s in shape:
        n *= s
    return torch.arange(1, n + 1, dtype=torch.float64).reshape(shape).clone()


def warned(fn):
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        fn()
    return len(w)


# --- grad modes ---------------------------------------------------------------------------------------------------------


@case
def no_grad():
    x, y = leaf(1, 2), leaf(3, 4)
    with torch.no_grad():
        w = x + y
        z = x.new_ones(2) * x
    try:
        with torch.no_grad():
            raise ValueError
    except ValueError:
        pass
    return [w.requires_grad, w.grad_fn is None, z.requires_grad, error(lambda: w.sum().backward()), torch.is_grad_enabled()]


@case
def set_grad_enabled():
    x = one(1)
    with torch.set_grad_enabled(False):
        y = x * 2
        with torch.set_grad_enabled(True):
            z = x * 2
    out = [y.requires_grad, z.requires_grad]
    torch.set_grad_enabled(False)
    y = x * 2
    torch.set_grad_enabled(True)
    return out + [y.requires_grad, (x * 2).requires_grad]


@case
def set_grad_enabled_wraps():
    out = []
    for mode in [False, True]:

        @torch.set_grad_enabled(mode)
        def inner(x):
            return torch.is_grad_enabled()

        out.append([torch.is_grad_enabled(), inner(1), torch.is_grad_enabled()])
    return out


@case
def grad_mode_class_decoration():
    class Model:
        @torch.no_grad()
        def predict(self, x):
            return (x * 2).requires_grad

        def train(self, x):
            return (x * 2).requires_grad

    m = Model()
    x = one(1)
    return [m.predict(x), m.train(x)]


@case
def enable_grad_decorator_no_paren():
    x = one(1)

    @torch.enable_grad
    def on(x):
        return (x * 2).requires_grad

    @torch.no_grad
    def off(x):
        return (x * 2).requires_grad

    with torch.no_grad():
        inside = on(x)
    return [inside, off(x), torch.is_grad_enabled()]


@case
def set_grad_generator_functions():
    @torch.no_grad()
    def gen():
        for _ in range(3):
            yield torch.is_grad_enabled()

    out = []
    with torch.enable_grad():
        for inside in gen():
            out.append([inside, torch.is_grad_enabled()])
    with torch.no_grad():
        for inside in torch.enable_grad()(lambda: (torch.is_grad_enabled() for _ in range(1)))():
            out.append(torch.is_grad_enabled())
    return out


@case
def set_grad_generator_functions_recursive():
    @torch.enable_grad()
    def on(depth):
        if depth > 0:
            yield torch.is_grad_enabled()
            yield from off(depth - 1)
            yield torch.is_grad_enabled()

    @torch.no_grad()
    def off(depth):
        if depth > 0:
            yield torch.is_grad_enabled()
            yield from on(depth - 1)
            yield torch.is_grad_enabled()

    return [list(on(4)), list(off(3)), torch.is_grad_enabled()]


@case
def set_grad_coroutines():
    @torch.no_grad()
    def coro(log):
        got = yield "first"
        log.append([got, torch.is_grad_enabled()])
        got = yield "second"
        log.append([got, torch.is_grad_enabled()])
        return "done"

    log = []
    c = coro(log)
    out = [c.send(None), torch.is_grad_enabled(), c.send(1), torch.is_grad_enabled()]
    try:
        c.send(2)
    except StopIteration as e:
        out.append(e.value)
    return [out, log]


@case
def set_grad_coroutines_benign_exceptions():
    class Expected(Exception):
        pass

    @torch.no_grad()
    def coro():
        recovered = False
        for i in range(4):
            try:
                yield [i, recovered, torch.is_grad_enabled()]
            except Expected:
                recovered = True
        return "end"

    c = coro()
    out = [next(c)]
    try:
        while True:
            out += [c.throw(Expected()), torch.is_grad_enabled()]
    except StopIteration as e:
        out.append(e.value)
    return out


@case
def set_grad_coroutines_critical_exceptions():
    @torch.no_grad()
    def coro():
        try:
            yield torch.is_grad_enabled()
        except ValueError as e:
            raise RuntimeError("second") from e

    c = coro()
    first = next(c)
    return [first, error(lambda: c.throw(ValueError())), torch.is_grad_enabled()]


@case
def set_grad_coroutines_exit():
    log = []

    @torch.no_grad()
    def coro():
        try:
            yield 1
            yield 2
        finally:
            log.append(torch.is_grad_enabled())

    c = coro()
    next(c)
    c.close()
    return [log, torch.is_grad_enabled()]


@case
def no_grad_assignment():
    x, y = leaf(1, 2, 3, 4, 5), leaf(5, 6, 7, 8, 9)
    with torch.no_grad():
        x[0] = y[0]
    return [nums(x), x.requires_grad, x.grad_fn is None, x._version]


@case
def no_grad_modifies_version():
    x, y = leaf(1, 2), leaf(3, 4)
    z = (x * y).sum()
    with torch.no_grad():
        x *= 2
    return [x._version, error(lambda: z.backward())[:100]]


@case
def first_grad_fn_access_in_no_grad_mode():
    a = torch.ones(1, 1, dtype=torch.float64, requires_grad=True) * 2
    b = a[:, 0]
    a.mul_(3)
    with torch.no_grad():
        first = b.grad_fn.name()
    return [first, b.grad_fn.name(), torch.is_grad_enabled()]


# --- flags and attributes -----------------------------------------------------------------------------------------------


@case
def tensor_grad_warnings():
    x = leaf(1)
    y = x * 2
    counts = [warned(lambda: x.grad), warned(lambda: y.grad)]
    y.retain_grad()
    counts.append(warned(lambda: y.grad))
    return counts


@case
def no_requires_grad_inplace():
    a = torch.ones(2, dtype=torch.float64)
    a.add_(5)
    a.requires_grad_()
    a.sum().backward()
    b = torch.ones(2, dtype=torch.float64).add_(5)
    c = b[:2]
    c.requires_grad_()
    return [nums(a.grad), c.requires_grad, b.requires_grad]


@case
def attribute_deletion():
    x = leaf(1, 2)
    (x * 2).sum().backward()
    del x.grad
    return [x.grad is None, x.requires_grad]


@case
def detach_base():
    x = ramp(2, 2).requires_grad_()
    view = x[0]
    d = view.detach()
    return [d.requires_grad, d._base is None, d._is_view(), view._base is x]


@case
def detach_():
    x = leaf(1, 2)
    y = x * 2
    w = y + 1
    y.detach_()
    w.sum().backward()
    return [y.is_leaf, y.requires_grad, y.grad_fn is None, nums(x.grad), error(lambda: (x * 2)[0:1].detach_())[:40]]


@case
def shape():
    x = ramp(3, 4).requires_grad_()
    return [list(x.shape), x.dim(), x.numel(), list(x.size()), x.size(-1)]


@case
def leaf_assignment():
    x = leaf(1, 2, 3, 4, 5)
    y = one(7)
    z = leaf(1, 2, 3, 4, 5)
    x = x.clone()
    x[0] = y
    x[1] = 2 * y
    x[2] = y.detach()
    x[3] = 2.0
    out = [x.requires_grad, x.is_leaf]
    x.backward(z.detach())
    return out + [nums(y.grad)]


@case
def set_data_tensorimpl_type():
    x = torch.ones(2)
    x.requires_grad_()
    return [error(lambda: setattr(x, "data", torch.ones(2, dtype=torch.int32)))]


@case
def set_data_preserve_pyobj():
    a, b = torch.ones(2), torch.zeros(3)
    a.data = b
    return [nums(a), list(a.shape), nums(b), a is b]


@case
def set_data_self_requires_grad():
    a = torch.tensor(1.0, requires_grad=True)
    b = torch.tensor(2.0)
    c = torch.tensor(3, dtype=torch.int32)
    a.data = b
    out = [a.requires_grad, nums(a), error(lambda: setattr(a, "data", c))]
    b.data = c
    return out + [str(b.dtype)[6:], b.requires_grad]


@case
def autograd_print_tensor():
    a = torch.tensor([1.0], requires_grad=True)
    b = a + 1
    with torch.no_grad():
        c = a + 1
    return [repr(a), repr(b), repr(c)]


@case
def autograd_node_isinstance():
    x = leaf(1, 2)
    y = x * 2
    node = type(y.grad_fn)
    return [isinstance(y.grad_fn, torch.autograd.graph.Node), isinstance(3, torch.autograd.graph.Node), y.grad_fn.name()]


@case
def grad_fn_attr_bindings():
    x = ramp(2, 3).requires_grad_()
    y = ramp(3, 2).requires_grad_()
    a = x.mul(2.0)
    m = x.mm(y)
    s = x.sum(1, keepdim=True)
    e = x.exp()
    p = x.pow(3.0)
    out = [
        nums(m.grad_fn._saved_self),
        nums(m.grad_fn._saved_mat2),
        s.grad_fn._saved_keepdim,
        nums(e.grad_fn._saved_result),
        e.grad_fn._saved_result is e,
        p.grad_fn._saved_exponent,
        nums(p.grad_fn._saved_self),
    ]
    e.sum().backward()
    out.append(error(lambda: e.grad_fn._saved_result)[:60])
    return out


@case
def type_conversions():
    x = leaf(1, 2)
    y = x.float()
    z = y.double()
    (z * z).sum().backward()
    w = x.detach().float().requires_grad_()
    same = x.double() is x
    return [y.grad_fn.name(), nums(x.grad), str(x.grad.dtype)[6:], x.int().requires_grad, x.bool().requires_grad, same, str(w.dtype)[6:]]


@case
def numpy_requires_grad():
    x = leaf(1, 2)
    return [error(lambda: x.numpy()), nums(x), x.detach().numpy().tolist(), x.tolist()]


@case
def requires_grad_factory():
    return [
        torch.ones(2, requires_grad=True).requires_grad,
        torch.rand(2, dtype=torch.float64, requires_grad=True).is_leaf,
        torch.zeros_like(torch.ones(2), requires_grad=True).requires_grad,
        error(lambda: torch.ones(2, dtype=torch.int32, requires_grad=True)),
        torch.full((2,), 1.5, requires_grad=True).requires_grad,
        torch.linspace(0, 1, 3, requires_grad=True).requires_grad,
    ]


@case
def set_requires_grad_only_for_floats():
    out = []
    for dt in [torch.float32, torch.float64, torch.int32, torch.uint8, torch.bool]:
        a = torch.ones(1, dtype=dt)
        a.requires_grad_(False)
        out.append([error(lambda: a.requires_grad_())[:60], error(lambda: setattr(a, "requires_grad", True))[:60]])
    return out


@case
def grad_assignment():
    x = torch.ones(5, 5, requires_grad=True)
    out = [
        error(lambda: setattr(x, "grad", torch.ones(2)))[:50],
        error(lambda: setattr(x, "grad", torch.ones(5, 5, dtype=torch.float64)))[:50],
        error(lambda: setattr(x, "grad", x)),
    ]
    x.grad = torch.ones(5, 5)
    x.grad = None
    return out + [x.grad is None]


@case
def pyscalar_conversions():
    x = one(2.5)
    i = torch.tensor(3, dtype=torch.int32)
    b = torch.tensor(True)
    return [
        float(x.detach()), x.item(), i.item(), b.item(), error(lambda: leaf(1, 2).item()), bool(one(0) != 0),
    ]


@case
def dir():
    names = leaf(1, 2).__dir__()
    return [name in names for name in ["grad", "add", "backward", "shape", "data"]]


# --- conversions, copies ------------------------------------------------------------------------------------------------


@case
def copy_():
    x = torch.tensor([1.0, 2.0], dtype=torch.float32, requires_grad=True)
    y = torch.zeros(2, dtype=torch.float64)
    y.copy_(x)
    a = y.requires_grad
    (y * 3).sum().backward()
    z = torch.zeros(2, 2, dtype=torch.float64)
    w = leaf(5, 6)
    z.copy_(w)
    (z * ramp(2, 2)).sum().backward()
    u = torch.ones(2, dtype=torch.float64, requires_grad=True) * 1
    u.copy_(torch.zeros(2))
    return [a, nums(x.grad), str(x.grad.dtype)[6:], nums(w.grad), u.grad_fn.name(), u.requires_grad]


@case
def where_functional():
    x, y = leaf(1, 2, 3), leaf(4, 5, 6)
    c = torch.tensor([True, False, True])
    (torch.where(c, x, y) * ramp(3)).sum().backward()
    out = [nums(x.grad), nums(y.grad)]
    x, y = ramp(3, 1).requires_grad_(), ramp(1, 2).requires_grad_()
    torch.where(x > 1, x, y).sum().backward()
    return out + [nums(x.grad), nums(y.grad)]


@case
def where_scalar():
    x = leaf(-5, 1, 7)
    (torch.where(x > 0, x, 4.0) + torch.where(x > 0, 2.0, x) * 10).sum().backward()
    return [nums(x.grad)]


@case
def parameter_resize():
    a = torch.ones(16, 16, dtype=torch.float32).requires_grad_()
    with torch.no_grad():
        p = torch.nn.Parameter(torch.ones(2))
        p.data = torch.ones(3)
    (p * 2).sum().backward()
    return [list(p.shape), nums(p.grad)]


@case
def non_differentiable_ops():
    x = leaf(1, 2, 2)
    return [
        [t.requires_grad, t.grad_fn is None]
        for t in [x == 2, x != 2, x > 1, x.argmax(), x.argmin(), x.isnan(), x.isfinite(), torch.ones_like(x), torch.zeros_like(x)]
    ] + [x.sign().requires_grad, x.floor().requires_grad, x.round().requires_grad]


@case
def mv_grad_stride_0():
    mat = ramp(2, 2)
    vec = torch.tensor([3.0], dtype=torch.float64).requires_grad_()
    mat.mv(vec.expand(2)).sum().backward()
    return nums(vec.grad)


@case
def rnn_backward_to_input_but_not_parameters():
    layer = torch.nn.Linear(2, 1).double()
    with torch.no_grad():
        layer.weight.copy_(ramp(1, 2))
    for p in layer.parameters():
        p.requires_grad = False
    x = ramp(3, 2).requires_grad_()
    layer(x).sum().backward()
    return [nums(x.grad), layer.weight.grad is None]


# --- indexing -----------------------------------------------------------------------------------------------------------


@case
def indexing():
    out = []
    for name, pick in [
        ("int", lambda t: t[0]),
        ("slice", lambda t: t[1:3]),
        ("step", lambda t: t[:, ::2]),
        ("none", lambda t: t[:, None]),
        ("ellipsis", lambda t: t[..., 1]),
        ("list", lambda t: t[torch.tensor([0, 2])]),
        ("pair", lambda t: t[torch.tensor([0, 2]), torch.tensor([1, 3])]),
        ("matrix", lambda t: t[torch.tensor([[0], [2]]), torch.tensor([1, 3])]),
        ("mask", lambda t: t[t > 5]),
        ("mixed", lambda t: t[1:, torch.tensor([0, 0, 3])]),
    ]:
        x = ramp(3, 4).requires_grad_()
        y = pick(x)
        (y * ramp(*y.shape)).sum().backward()
        out.append([name, list(y.shape), y.grad_fn.name(), nums(x.grad)])
    return out


@case
def indexing_duplicates():
    out = []
    for index in [torch.tensor([1, 1, 3, 2, 1, 2]), torch.tensor([[0, 0], [3, 0]])]:
        x = ramp(4, 2).requires_grad_()
        y = x[index]
        (y * ramp(*y.shape)).sum().backward()
        out.append(nums(x.grad))
    return out


@case
def index_backward_does_not_save_tensor():
    a = leaf(1, 0, 0)
    i = torch.tensor([0, 0, 2])
    b = a.clone()
    c = b[i]
    b.add_(1)  # the value isn't saved, so that this is no conflict
    c.sum().backward()
    return nums(a.grad)


@case
def setitem():
    out = []
    for name, put in [
        ("row", lambda t, v: t.__setitem__(0, v)),
        ("slice", lambda t, v: t.__setitem__((slice(None), slice(1, 3)), v)),
        ("tensor", lambda t, v: t.__setitem__(torch.tensor([0, 2]), v)),
        ("pair", lambda t, v: t.__setitem__((torch.tensor([0, 2]), torch.tensor([1, 3])), v)),
        ("ellipsis", lambda t, v: t.__setitem__((..., 1), v)),
    ]:
        for value in [one(5), 7.0]:
            x = ramp(3, 4).requires_grad_()
            y = x * 1
            put(y, value)
            (y * ramp(3, 4)).sum().backward()
            out.append([name, nums(y), nums(x.grad), None if value == 7 else nums(value.grad), y._version])
    return out


@case
def setitem_mask():
    out = []
    for mask in [[True, False, True], [False, False, False]]:
        m = torch.tensor(mask)
        x = leaf(1, 2, 3)
        y = x * 1
        v = one(9)
        y[m] = v
        (y * ramp(3)).sum().backward()
        out.append([nums(y), nums(x.grad), nums(v.grad)])
    return out


@case
def select_sum():
    x = ramp(10, 2).requires_grad_()
    a = x.select(1, 0).sum()
    b = x.select(1, 1).sum()
    (a * 2 + b).backward()
    return nums(x.grad)


@case
def diagonal_expanded_v():
    v = one(3)
    x = ramp(3, 3).requires_grad_()
    (g,) = torch.autograd.grad(x.diagonal(), x, v.detach().expand(3))
    return nums(g)


@case
def select_expanded_v():
    x = ramp(3, 4).requires_grad_()
    (g,) = torch.autograd.grad(x[0], x, torch.tensor(2.0, dtype=torch.float64).expand(4))
    return nums(g)


@case
def slice_expanded_v():
    x = ramp(3, 4).requires_grad_()
    (g,) = torch.autograd.grad(x[1:3], x, torch.tensor(2.0, dtype=torch.float64).expand(2, 4))
    return nums(g)


def gather(dim, shape, index):
    x = ramp(*shape).requires_grad_()
    y = x.gather(dim, index)
    (y * ramp(*y.shape)).sum().backward()
    return [nums(y), nums(x.grad)]


@case
def sparse_gather_dim0():
    return gather(0, (4, 2), torch.tensor([[0, 1], [3, 3]]))


@case
def sparse_gather_dim1():
    return gather(1, (2, 4), torch.tensor([[0, 1, 1], [3, 3, 2]]))


@case
def sparse_gather_dim_neg():
    return gather(-1, (2, 4), torch.tensor([[0, 1, 1], [3, 3, 2]]))


@case
def sparse_gather_ind_scalar():
    return gather(0, (4,), torch.tensor(2))


@case
def sparse_gather_x_scalar():
    return gather(0, (), torch.tensor([0, 0]))


@case
def sparse_gather_both_scalar():
    return gather(0, (), torch.tensor(0))


@case
def pow_zero_tensor_gradient():
    x = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    x.pow(0).sum().backward()
    y = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    e = leaf(0, 2)
    y.pow(e).sum().backward()
    return [nums(x.grad), nums(y.grad), nums(e.grad)]


@case
def power_function():
    a = torch.tensor([0.0, 0.0, 0.0], dtype=torch.float64)
    b = leaf(-1.0, 0.0, 1.0)
    torch.pow(a, b).sum().backward()
    s = one(2)
    torch.pow(0, s).backward()
    return [[str(v) for v in nums(b.grad)], nums(s.grad)]


@case
def atan2_zero_gradient():
    x, y = one(0), one(0)
    torch.atan2(x, y).backward()
    return [nums(x.grad), nums(y.grad)]


@case
def var_mean_differentiable():
    x = leaf(1, 2, 4)
    y = leaf(1, 2, 4)
    v, m = torch.var_mean(x)
    (v * m).backward()
    (y.var() * y.mean()).backward()
    return [nums(x.grad), nums(y.grad)]


@case
def min_max_median_backprops_to_all_values():
    out = []
    for name in ["min", "max", "median", "nanmedian", "amax", "amin"]:
        x = leaf(1, 0, 1, 0, 1, 0)
        f = getattr(torch, name)
        f(x).backward()
        y = leaf(1, float("nan"), float("nan"))
        f(y).backward()
        out.append([name, nums(x.grad), nums(y.grad)])
    return out


@case
def scatter_index_reduce_amin_amax_backprops_to_all_values():
    out = []
    for name in ["amin", "amax"]:
        x = leaf(3, 3, 3)
        src = leaf(3, 3, 5)
        index = torch.tensor([0, 0, 2])
        r = x.scatter_reduce(0, index, src, name)
        (r * ramp(3)).sum().backward()
        out.append([nums(r), nums(x.grad), nums(src.grad)])
    return out


@case
def scatter_index_reduce_prod_gradgrad_error():
    x = leaf(1, 2)
    src = leaf(0, 0, 4)
    index = torch.tensor([0, 0, 1])
    r = x.scatter_reduce(0, index, src, "prod")
    (g,) = torch.autograd.grad(r.sum(), src, create_graph=True)
    return [nums(g), error(lambda: g.sum().backward())[:40]]


@case
def trace_backward_nonsquare_171704():
    out = []
    for shape in [(2, 3), (3, 2)]:
        x = ramp(*shape).requires_grad_()
        x.trace().backward()
        out.append(nums(x.grad))
    return out


if __name__ == "__main__":
    write("tensors")
