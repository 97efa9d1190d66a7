"""Records what PyTorch's hooks of modules do in small cases; modules.test.ts runs the same cases.

Usage: python3 test/contract/record_modules.py  (PyTorch 2.13, CPU); writes modules.json beside this file.
"""

import json
import pathlib
import warnings

import torch
from torch import nn
from torch.nn.modules import module as M

CASES = {}


def case(fn):
    CASES[fn.__name__] = fn
    return fn


def plain(*values):
    return torch.tensor(list(values), dtype=torch.float64)


def leaf(*values):
    return plain(*values).requires_grad_()


def nums(t):
    if isinstance(t, (tuple, list)):
        return [nums(x) for x in t]
    return t.detach().tolist() if isinstance(t, torch.Tensor) else t


def error(fn):
    try:
        fn()
    except Exception as e:
        return "error: " + str(e).split("\n")[0]
    return "no error"


class Scale(nn.Module):
    def __init__(self, k=2.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(k, dtype=torch.float64))

    def forward(self, x):
        return x * self.weight


class Add(nn.Module):
    def forward(self, x, y):
        return x + 3 * y


class Pair(nn.Module):
    def forward(self, x):
        return x * 2, x * 3


class Fails(nn.Module):
    def forward(self, x):
        raise ValueError("mine")


@case
def forward_hooks_in_order():
    log = []
    m = Scale()
    m.register_forward_hook(lambda m, i, o: log.append("hook 1"))
    m.register_forward_pre_hook(lambda m, i: log.append("pre 1"))
    m.register_forward_hook(lambda m, i, o: log.append("hook 2"))
    m.register_forward_pre_hook(lambda m, i: log.append("pre 2"))
    m.register_forward_hook(lambda m, i, o: log.append("hook 0"), prepend=True)
    m.register_forward_pre_hook(lambda m, i: log.append("pre 0"), prepend=True)
    m(plain(1))
    return log


@case
def forward_hooks_replace():
    m = Scale()
    m.register_forward_pre_hook(lambda m, i: (i[0] + 1,))
    m.register_forward_pre_hook(lambda m, i: i[0] * 10)
    m.register_forward_hook(lambda m, i, o: o + 0.5)
    seen = []
    m.register_forward_hook(lambda m, i, o: seen.append([nums(i), nums(o)]))
    return [nums(m(plain(1))), seen]


@case
def forward_hooks_removed_while_they_run():
    log = []
    m = Scale()
    handles = []

    def first(m, i, o):
        log.append("first")
        handles[1].remove()

    handles.append(m.register_forward_hook(first))
    handles.append(m.register_forward_hook(lambda m, i, o: log.append("second")))
    m(plain(1))
    m(plain(1))
    handles[0].remove()
    handles[0].remove()
    m(plain(1))
    return log


@case
def always_called():
    log = []
    m = Fails()
    m.register_forward_hook(lambda m, i, o: log.append("plain"))
    m.register_forward_hook(lambda m, i, o: log.append(["always", o is None]), always_call=True)
    return [error(lambda: m(plain(1))), log]


@case
def always_called_once():
    log = []
    m = Scale()

    def fails(m, i, o):
        log.append("fails")
        raise ValueError("mine")

    m.register_forward_hook(lambda m, i, o: log.append("before"), always_call=True)
    m.register_forward_hook(fails)
    m.register_forward_hook(lambda m, i, o: log.append("after"), always_call=True)
    return [error(lambda: m(plain(1))), log]


@case
def backward_hook_sees():
    m, x, seen = Scale(), leaf(1, 2), []
    m.register_full_backward_hook(lambda m, gi, go: seen.append([nums(gi), nums(go)]))
    m(x).mul(plain(5, 7)).sum().backward()
    return [seen, nums(x.grad), nums(m.weight.grad)]


@case
def backward_hook_replaces():
    m, x = Scale(), leaf(1, 2)
    m.register_full_backward_hook(lambda m, gi, go: (gi[0] * 10,))
    seen = []
    m.register_full_backward_hook(lambda m, gi, go: seen.append(nums(gi)))
    m.register_full_backward_hook(lambda m, gi, go: (gi[0] + 1,))
    m(x).sum().backward()
    return [seen, nums(x.grad), nums(m.weight.grad)]


@case
def backward_pre_hook_replaces():
    m, x, seen = Scale(), leaf(1, 2), []
    m.register_full_backward_pre_hook(lambda m, go: (go[0] * 3,))
    m.register_full_backward_pre_hook(lambda m, go: (go[0] + 1,))
    m.register_full_backward_hook(lambda m, gi, go: seen.append([nums(gi), nums(go)]))
    m(x).sum().backward()
    return [seen, nums(x.grad), nums(m.weight.grad)]


@case
def backward_hooks_in_order():
    log = []
    m = Scale()
    m.register_full_backward_hook(lambda m, gi, go: log.append("hook 1"))
    m.register_full_backward_pre_hook(lambda m, go: log.append("pre 1"))
    m.register_full_backward_hook(lambda m, gi, go: log.append("hook 0"), prepend=True)
    m.register_full_backward_pre_hook(lambda m, go: log.append("pre 0"), prepend=True)
    m.register_forward_hook(lambda m, i, o: log.append("forward"))
    m(leaf(1)).sum().backward()
    return log


@case
def backward_hooks_nested():
    log = []
    inner, last = Scale(), Scale(3.0)
    outer = nn.Sequential(inner, last)
    for name, m in [("outer", outer), ("inner", inner), ("last", last)]:
        m.register_full_backward_pre_hook(lambda m, go, name=name: log.append([name + " pre", nums(go)]))
        m.register_full_backward_hook(lambda m, gi, go, name=name: log.append([name, nums(gi), nums(go)]))
    outer(leaf(1, 2)).sum().backward()
    return log


@case
def several_inputs():
    m, x, y, seen = Add(), leaf(1), leaf(2), []
    m.register_full_backward_hook(lambda m, gi, go: seen.append([nums(gi), nums(go)]))
    m(x, y).sum().backward()
    m(x, plain(2)).sum().backward()
    m(plain(2), y).sum().backward()
    return [seen, nums(x.grad), nums(y.grad)]


@case
def values_that_are_no_tensors():
    class Times(nn.Module):
        def forward(self, k, x, name):
            return x * k

    m, x, seen = Times(), leaf(1), []
    m.register_full_backward_hook(lambda m, gi, go: seen.append([nums(gi), nums(go)]))
    m(3, x, "name").sum().backward()
    return [seen, nums(x.grad)]


@case
def several_outputs():
    m, x, seen = Pair(), leaf(1, 2), []
    m.register_full_backward_hook(lambda m, gi, go: seen.append([nums(gi), nums(go)]))
    a, b = m(x)
    (a + b).sum().backward()
    a, b = m(x)
    a.sum().backward()
    return [seen, nums(x.grad)]


@case
def inputs_without_gradients():
    m, seen = Scale(), []
    m.register_full_backward_hook(lambda m, gi, go: seen.append([nums(gi), nums(go)]))
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        m(plain(1, 2)).sum().backward()
    return [seen, nums(m.weight.grad), len(w)]


@case
def returned_without_gradients():
    warnings.simplefilter("ignore")
    m = Scale()
    h = m.register_full_backward_hook(lambda m, gi, go: (plain(1, 2),))
    first = error(lambda: m(plain(1, 2)).sum().backward())
    h.remove()
    m.register_full_backward_hook(lambda m, gi, go: (None,))
    return [first, error(lambda: m(plain(1, 2)).sum().backward())]


@case
def no_parameters_and_no_gradients():
    m, seen = Add(), []
    m.register_full_backward_hook(lambda m, gi, go: seen.append(1))
    y = m(plain(1), plain(2))
    return [y.requires_grad, seen]


@case
def under_no_grad():
    m, x, seen = Scale(), leaf(1), []
    m.register_full_backward_hook(lambda m, gi, go: seen.append(1))
    with torch.no_grad():
        y = m(x)
    return [y.requires_grad, y.grad_fn is None]


@case
def wrong_counts():
    texts = []
    for register in ("register_full_backward_hook", "register_full_backward_pre_hook"):
        m = Scale()
        hook = (lambda m, gi, go: (gi[0], gi[0])) if "pre" not in register else (lambda m, go: (go[0], go[0]))
        getattr(m, register)(hook)
        texts.append(error(lambda: m(leaf(1)).sum().backward()))
    return texts


@case
def boundary_nodes():
    m, x = Scale(), leaf(1)
    m.register_full_backward_hook(lambda m, gi, go: None)
    y = m(x)
    inside = y.grad_fn.next_functions[0][0]
    return [
        y.grad_fn.name(),
        inside.name(),
        inside.next_functions[0][0].name(),
        y._is_view(),
        error(lambda: y.add_(1))[:70],
    ]


@case
def removed_backward_hook():
    m, x, seen = Scale(), leaf(1), []
    h = m.register_full_backward_hook(lambda m, gi, go: seen.append("full"))
    p = m.register_full_backward_pre_hook(lambda m, go: seen.append("pre"))
    y = m(x)
    h.remove()
    p.remove()
    y.sum().backward()
    n = m(x).grad_fn.name()
    return [seen, n]


@case
def twice_through_one_graph():
    m, x, seen = Scale(), leaf(1, 2), []
    m.register_full_backward_hook(lambda m, gi, go: seen.append([nums(gi), nums(go)]))
    y = m(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return [seen, nums(x.grad)]


@case
def second_derivatives_through_hooks():
    class Cube(nn.Module):
        def forward(self, x):
            return x**3

    m, x = Cube(), leaf(2)
    m.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,))
    (g,) = torch.autograd.grad(m(x).sum(), x, create_graph=True)
    (gg,) = torch.autograd.grad(g.sum(), x)
    return [nums(g), nums(gg)]


@case
def grad_of_inner_parameters_only():
    m, x, seen = Scale(), leaf(1, 2), []
    m.register_full_backward_hook(lambda m, gi, go: seen.append([nums(gi), nums(go)]))
    m.register_full_backward_pre_hook(lambda m, go: seen.append("pre"))
    (g,) = torch.autograd.grad(m(x).sum(), m.weight)
    return [seen, nums(g)]


@case
def global_hooks():
    log, m = [], Scale()
    m.register_forward_pre_hook(lambda m, i: log.append("pre"))
    m.register_forward_hook(lambda m, i, o: log.append("hook"))
    m.register_full_backward_pre_hook(lambda m, go: log.append("backward pre"))
    m.register_full_backward_hook(lambda m, gi, go: log.append("backward"))
    handles = [
        M.register_module_forward_pre_hook(lambda m, i: log.append("global pre")),
        M.register_module_forward_hook(lambda m, i, o: log.append("global hook")),
        M.register_module_full_backward_pre_hook(lambda m, go: log.append("global backward pre")),
        M.register_module_full_backward_hook(lambda m, gi, go: log.append("global backward")),
    ]
    x = leaf(1)
    m(x).sum().backward()
    for h in handles:
        h.remove()
    m(x).sum().backward()
    return log


@case
def global_hooks_see_every_module():
    seen = []
    h = M.register_module_forward_hook(lambda m, i, o: seen.append(type(m).__name__))
    nn.Sequential(Scale(), nn.ReLU())(plain(1))
    h.remove()
    return seen


def main():
    recorded = {name: fn() for name, fn in CASES.items()}
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in recorded.items())
    (pathlib.Path(__file__).parent / "modules.json").write_text("{\n" + lines + "\n}\n")
    print(f"{len(recorded)} cases")


main()
