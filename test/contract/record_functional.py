"""Records what PyTorch's torch.autograd.functional does in small cases; functional.test.ts runs the same cases.

Usage: python3 test/contract/record_functional.py  (PyTorch 2.13, CPU); writes functional.json beside this file.
"""

import json
import pathlib
import warnings

import torch
from torch.autograd import functional as F

CASES = {}
warnings.simplefilter("ignore")


def case(fn):
    CASES[fn.__name__] = fn
    return fn


def plain(*values):
    return torch.tensor(list(values), dtype=torch.float64)


def leaf(*values):
    return plain(*values).requires_grad_()


def ramp(*shape):
    n = 1
    for s in shape:
        n *= s
    return (torch.arange(1, n + 1, dtype=torch.float64) / 4).reshape(shape)


def facts(x):
    """Values, shapes and whether results are differentiable, in the nesting of the result."""
    if isinstance(x, (tuple, list)):
        return [facts(y) for y in x]
    return {"value": x.detach().tolist(), "shape": list(x.shape), "requiresGrad": x.requires_grad, "dtype": str(x.dtype)[6:]}


def error(fn):
    try:
        fn()
    except Exception as e:
        return "error: " + str(e).split("\n")[0].split(" has type")[0].replace("isonly", "is only")
    return "no error"


def rows(x):
    return x.exp().sum(1)


def cubes(x):
    return x.pow(3).sum()


def both(x, y):
    return 2 * x + 3 * y.pow(2)


def pair(x, y):
    return (x * y).sum(), x.pow(2)


def mixed(x, y):
    return (x.pow(2) * y.sin()).sum()


def unused(x, y):
    return x.pow(2).sum()


def linear(x):
    return (3 * x).sum()


def constant(x):
    return torch.ones(2, dtype=torch.float64)


ALL = ["vjp", "jvp", "vhp", "hvp"]
X, Y = ramp(2, 2), plain(0.5, -1)


# --- products -----------------------------------------------------------------------------------------------------------


@case
def vjp_output():
    return facts(F.vjp(rows, X, plain(1, 2)))


@case
def vjp_several_inputs():
    return facts(F.vjp(both, (plain(1, 2), Y), plain(1, -1)))


@case
def vjp_several_outputs():
    return facts(F.vjp(pair, (plain(1, 2), Y), (torch.tensor(2.0, dtype=torch.float64), plain(1, -1))))


@case
def vjp_scalar():
    return facts([F.vjp(cubes, X), F.vjp(lambda x: x.sum().view(1), X), F.vjp(cubes, X, torch.tensor(3.0, dtype=torch.float64))])


@case
def vjp_one_in_a_tuple():
    return facts(F.vjp(lambda x: (x * 2,), (Y,), (plain(1, 3),)))


@case
def vjp_create_graph():
    x, v = leaf(1, 2), leaf(3, 4)
    out, g = F.vjp(lambda t: t.pow(3), x, v, create_graph=True)
    return [facts([out, g]), facts(torch.autograd.grad(g.sum(), [x, v]))]


@case
def vjp_create_graph_without_requires_grad():
    return facts(F.vjp(lambda t: t.pow(3), plain(1, 2), plain(3, 4), create_graph=True))


@case
def vjp_no_grad():
    with torch.no_grad():
        return [facts(F.vjp(cubes, X)), facts(F.vjp(cubes, X, create_graph=True))]


@case
def vjp_unused():
    return facts(F.vjp(unused, (Y, X)))


@case
def vjp_constant():
    return facts(F.vjp(constant, Y, plain(1, 1)))


@case
def vjp_captured_input_is_a_constant():
    x = leaf(2, 3)
    return facts(F.vjp(lambda t: (t * x).sum(), x))


@case
def vjp_no_side_effects():
    x = leaf(2, 3)
    F.vjp(cubes, x, create_graph=True)
    F.hessian(cubes, x)
    return [x.grad is None, x.requires_grad, x._version]


@case
def vjp_err_check():
    return [
        error(lambda: F.vjp(rows, 3, plain(1, 2))),
        error(lambda: F.vjp(rows, (X, 3), plain(1, 2))),
        error(lambda: F.vjp(lambda x: 3, X)),
        error(lambda: F.vjp(lambda x: (x, 3), X)),
        error(lambda: F.vjp(rows, X)),
        error(lambda: F.vjp(rows, X, plain(1, 2, 3))),
        error(lambda: F.vjp(rows, X, (plain(1, 2), plain(1, 2)))),
        error(lambda: F.vjp(pair, (Y, Y), plain(1, 2))),
        error(lambda: F.vjp(pair, (Y, Y), (plain(1, 2), plain(1, 2)))),
        error(lambda: F.vjp(rows, X, 3)),
    ]


@case
def vjp_err_check_strict():
    return [
        error(lambda: F.vjp(constant, Y, plain(1, 1), strict=True)),
        error(lambda: F.vjp(unused, (Y, X), strict=True)),
        error(lambda: F.vjp(linear, Y, strict=True, create_graph=True)),
        error(lambda: F.vjp(cubes, Y, strict=True, create_graph=True)),
    ]


@case
def jvp_output():
    return facts(F.jvp(rows, X, ramp(2, 2)))


@case
def jvp_several_inputs():
    return facts(F.jvp(both, (plain(1, 2), Y), (plain(1, 2), plain(1, -1))))


@case
def jvp_several_outputs():
    return facts(F.jvp(pair, (plain(1, 2), Y), (plain(1, 2), plain(1, -1))))


@case
def jvp_scalar():
    x = torch.tensor(3.0, dtype=torch.float64)
    return facts([F.jvp(lambda t: t.pow(2), x), F.jvp(lambda t: t * plain(1, 2), plain(2))])


@case
def jvp_create_graph():
    x, v = leaf(1, 2), leaf(3, 4)
    out, t = F.jvp(lambda z: z.pow(3), x, v, create_graph=True)
    return [facts([out, t]), facts(torch.autograd.grad(t.sum(), [x, v]))]


@case
def jvp_no_grad():
    with torch.no_grad():
        return [facts(F.jvp(cubes, X, X)), facts(F.jvp(cubes, X, X, create_graph=True))]


@case
def jvp_unused():
    return facts([F.jvp(unused, (Y, X), (Y, X)), F.jvp(constant, Y, Y)])


@case
def jvp_err_check():
    return [
        error(lambda: F.jvp(rows, 3, X)),
        error(lambda: F.jvp(lambda x: 3, X, X)),
        error(lambda: F.jvp(rows, X)),
        error(lambda: F.jvp(rows, X, plain(1, 2))),
        error(lambda: F.jvp(both, (Y, Y), Y)),
        error(lambda: F.jvp(both, (Y, Y), (Y, X))),
        error(lambda: F.jvp(rows, X, 3)),
    ]


@case
def jvp_err_check_strict():
    return [
        error(lambda: F.jvp(constant, Y, Y, strict=True)),
        error(lambda: F.jvp(unused, (Y, X), (Y, X), strict=True)),
        error(lambda: F.jvp(linear, Y, Y, strict=True)),
        error(lambda: F.jvp(linear, Y, Y, strict=True, create_graph=True)),
        error(lambda: F.jvp(cubes, Y, Y, strict=True)),
    ]


@case
def vhp_output():
    return facts(F.vhp(cubes, X, ramp(2, 2)))


@case
def vhp_several_inputs():
    return facts(F.vhp(mixed, (plain(1, 2), Y), (plain(1, 2), plain(1, -1))))


@case
def vhp_scalar():
    return facts([F.vhp(lambda x: x.pow(3), torch.tensor(2.0, dtype=torch.float64)), F.vhp(lambda x: x.pow(3), plain(2))])


@case
def vhp_create_graph():
    x, v = leaf(1, 2), leaf(3, 4)
    out, h = F.vhp(cubes, x, v, create_graph=True)
    return [facts([out, h]), facts(torch.autograd.grad(h.sum(), [x, v]))]


@case
def vhp_no_grad():
    with torch.no_grad():
        return [facts(F.vhp(cubes, X, X)), facts(F.vhp(cubes, X, X, create_graph=True))]


@case
def vhp_linear_and_unused():
    return facts([F.vhp(linear, Y, Y), F.vhp(unused, (Y, X), (Y, X))])


@case
def hvp_output():
    return facts(F.hvp(cubes, X, ramp(2, 2)))


@case
def hvp_several_inputs():
    return facts(F.hvp(mixed, (plain(1, 2), Y), (plain(1, 2), plain(1, -1))))


@case
def hvp_scalar():
    return facts([F.hvp(lambda x: x.pow(3), torch.tensor(2.0, dtype=torch.float64)), F.hvp(lambda x: x.pow(3), plain(2))])


@case
def hvp_create_graph():
    x, v = leaf(1, 2), leaf(3, 4)
    out, h = F.hvp(cubes, x, v, create_graph=True)
    return [facts([out, h]), facts(torch.autograd.grad(h.sum(), [x, v]))]


@case
def hvp_no_grad():
    with torch.no_grad():
        return [facts(F.hvp(cubes, X, X)), facts(F.hvp(cubes, X, X, create_graph=True))]


@case
def hvp_linear_and_unused():
    return facts([F.hvp(linear, Y, Y), F.hvp(unused, (Y, X), (Y, X))])


def hessian_products(name):
    f = getattr(F, name)
    return [
        error(lambda: f(cubes, 3, X)),
        error(lambda: f(lambda x: 3, X, X)),
        error(lambda: f(cubes, X)),
        error(lambda: f(cubes, X, plain(1, 2))),
        error(lambda: f(mixed, (Y, Y), Y)),
        error(lambda: f(rows, X, X)),
        error(lambda: f(lambda x: (x.sum(), x.sum()), X, X)),
        error(lambda: f(lambda x: (x.sum(),), X, X)),
        error(lambda: f(constant, Y, Y, strict=True)),
        error(lambda: f(unused, (Y, X), (Y, X), strict=True)),
        error(lambda: f(linear, Y, Y, strict=True)),
        error(lambda: f(lambda x: (x * x).sum(), Y, Y, strict=True, create_graph=True)),
        error(lambda: f(cubes, Y, Y, strict=True, create_graph=True)),
    ]


@case
def vhp_err_check():
    return hessian_products("vhp")


@case
def hvp_err_check():
    return hessian_products("hvp")


@case
def jacobian_match_vjp_jvp():
    f = lambda x: x.exp().sum(0) * x[0]  # noqa: E731
    j = F.jacobian(f, X)
    v, t = plain(1, -2), ramp(2, 2)
    return facts([F.vjp(f, X, v)[1], torch.einsum("i,ijk->jk", v, j), F.jvp(f, X, t)[1], torch.einsum("ijk,jk->i", j, t)])


@case
def hessian_match_vhp_hvp():
    h = F.hessian(cubes, Y)
    return facts([F.vhp(cubes, Y, Y)[1], Y @ h, F.hvp(cubes, Y, Y)[1], h @ Y])


# --- Jacobians ----------------------------------------------------------------------------------------------------------

WAYS = [{}, {"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"}]


def every_way(f, inputs):
    return [facts(F.jacobian(f, inputs, **way)) for way in WAYS]


@case
def jacobian_output():
    return every_way(rows, X)


@case
def jacobian_several_inputs():
    return every_way(both, (plain(1, 2), Y))


@case
def jacobian_several_outputs():
    return every_way(pair, (plain(1, 2), Y))


@case
def jacobian_one_in_a_tuple():
    return every_way(lambda x: (x * 2,), (Y,))


@case
def jacobian_scalar():
    return [every_way(cubes, X), every_way(lambda x: x * plain(1, 2), torch.tensor(2.0, dtype=torch.float64))]


@case
def jacobian_unrelated_outputs():
    return [every_way(lambda x, y: (x * 2, y * 3), (Y, plain(1, 2, 3))), every_way(lambda x: (x * 2, plain(1, 1)), Y)]


@case
def jacobian_different_shapes():
    return every_way(lambda x, y: (x @ y, y.sum()), (X, Y))


@case
def jacobian_different_dtype():
    return every_way(lambda x, y: (x.to(torch.float32) * 2, (x * y).sum()), (Y, torch.tensor([1.0, 2.0])))


@case
def jacobian_create_graph():
    results = []
    for way in WAYS[:2]:
        x = leaf(1, 2)
        j = F.jacobian(lambda t: t.pow(3), x, create_graph=True, **way)
        results.append([facts(j), facts(torch.autograd.grad(j.sum(), x))])
    return results


@case
def jacobian_no_grad():
    with torch.no_grad():
        return [facts(F.jacobian(rows, X)), facts(F.jacobian(rows, X, create_graph=True))]


@case
def jacobian_err_check():
    return [
        error(lambda: F.jacobian(rows, 3)),
        error(lambda: F.jacobian(rows, (X, 3))),
        error(lambda: F.jacobian(lambda x: 3, X)),
        error(lambda: F.jacobian(lambda x: (x, 3), X)),
        error(lambda: F.jacobian(rows, X, strategy="sideways")),
        error(lambda: F.jacobian(rows, X, strategy="forward-mode")),
        error(lambda: F.jacobian(rows, X, strategy="forward-mode", create_graph=True)),
        error(lambda: F.jacobian(rows, X, strategy="forward-mode", strict=True, vectorize=True)),
    ]


@case
def jacobian_err_check_strict():
    return [
        error(lambda: F.jacobian(constant, Y, strict=True)),
        error(lambda: F.jacobian(unused, (Y, X), strict=True)),
        error(lambda: F.jacobian(lambda x: 3 * x, Y, strict=True, create_graph=True)),
        error(lambda: F.jacobian(lambda x: 3 * x, Y, strict=True)),
    ]


@case
def jacobian_err_check_strict_vectorize():
    return [error(lambda: F.jacobian(rows, X, strict=True, vectorize=True))]


# --- Hessians -----------------------------------------------------------------------------------------------------------

HWAYS = [{}, {"vectorize": True}, {"vectorize": True, "outer_jacobian_strategy": "forward-mode"}]


def values(x):
    return [values(y) for y in x] if isinstance(x, (tuple, list)) else x.tolist()


def every_hessian(f, inputs):
    """Forward mode leaves a graph behind in PyTorch, so of its results only the values are recorded."""
    return [facts(F.hessian(f, inputs, **way)) for way in HWAYS[:2]] + [values(F.hessian(f, inputs, **HWAYS[2]))]


@case
def hessian_output():
    return every_hessian(cubes, X)


@case
def hessian_several_inputs():
    return every_hessian(mixed, (plain(1, 2), Y))


@case
def hessian_one_in_a_tuple():
    return every_hessian(cubes, (Y,))


@case
def hessian_scalar():
    return [every_hessian(lambda x: x.pow(3), torch.tensor(2.0, dtype=torch.float64)), every_hessian(lambda x: x.pow(3), plain(2))]


@case
def hessian_unrelated_outputs():
    return [every_hessian(unused, (Y, plain(1, 2, 3))), every_hessian(linear, Y)]


@case
def hessian_create_graph():
    results = []
    for way in HWAYS[:2]:
        x = leaf(1, 2)
        h = F.hessian(lambda t: t.pow(4).sum(), x, create_graph=True, **way)
        results.append([facts(h), facts(torch.autograd.grad(h.sum(), x))])
    return results


@case
def hessian_no_grad():
    with torch.no_grad():
        return [facts(F.hessian(cubes, X)), facts(F.hessian(cubes, X, create_graph=True))]


@case
def hessian_err_check():
    return [
        error(lambda: F.hessian(cubes, 3)),
        error(lambda: F.hessian(lambda x: 3, X)),
        error(lambda: F.hessian(rows, X)),
        error(lambda: F.hessian(lambda x: (x.sum(), x.sum()), X)),
        error(lambda: F.hessian(lambda x: (x.sum(),), X)),
        error(lambda: F.hessian(cubes, X, outer_jacobian_strategy="sideways")),
        error(lambda: F.hessian(cubes, X, outer_jacobian_strategy="forward-mode")),
    ]


@case
def hessian_err_check_strict():
    return [
        error(lambda: F.hessian(constant, Y, strict=True)),
        error(lambda: F.hessian(unused, (Y, X), strict=True)),
        error(lambda: F.hessian(linear, Y, strict=True)),
        error(lambda: F.hessian(lambda x: (x * x).sum(), Y, strict=True, create_graph=True)),
        error(lambda: F.hessian(cubes, Y, strict=True)),
    ]


@case
def hessian_err_check_strict_vectorize():
    return [error(lambda: F.hessian(cubes, X, strict=True, vectorize=True))]


def main():
    recorded = {name: fn() for name, fn in CASES.items()}
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in recorded.items())
    (pathlib.Path(__file__).parent / "functional.json").write_text("{\n" + lines + "\n}\n")
    print(f"{len(recorded)} cases")


main()
