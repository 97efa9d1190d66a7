"""Records what PyTorch does with saved tensors, their hooks, allow_mutation and checkpoint: test/contract/saved.json.

Run with PyTorch 2.13: python3 test/contract/record_saved.py. The suite compares the same cases in TypeScript
(test/contract/saved.test.ts); a case is a name and a function that returns plain data.
"""
import json
import os

import torch
from torch.autograd.graph import allow_mutation_on_saved_tensors, disable_saved_tensors_hooks, saved_tensors_hooks
from torch.utils.checkpoint import (
    CheckpointPolicy,
    GraphExecGroup,
    checkpoint,
    checkpoint_sequential,
    create_selective_checkpoint_contexts,
    set_checkpoint_early_stop,
)

CASES = {}


def case(f):
    CASES[f.__name__] = f
    return f


def leaf(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def plain(*values):
    return torch.tensor(values, dtype=torch.float64)


def attempt(f):
    """What f raises: the first words."""
    try:
        f()
    except Exception as e:
        return {"error": str(e)}
    return None


# What each operation saves: names, in the order of packing; how often each is unpacked.
A, B, C = (0.3, 0.5, 0.7), (0.6, 0.2, 0.9), (0.4, 0.8, 0.1)
M = ((0.3, 0.5), (0.7, 0.9))
OPS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "mul_self": lambda a: a * a,
    "mul_constant": lambda a: a * plain(1.0, 2.0, 3.0),
    "mul_number": lambda a: a * 3,
    "div": lambda a, b: a / b,
    "div_number": lambda a: a / 2,
    "pow_number": lambda a: a**3,
    "pow_square": lambda a: a**2,
    "pow_tensor": lambda a, b: a**b,
    "atan2": lambda a, b: torch.atan2(a, b),
    "lerp": lambda a, b, c: torch.lerp(a, b, c),
    "where": lambda a, b: torch.where(plain(1.0, 0.0, 1.0) > 0.5, a, b),
    "clamp": lambda a: a.clamp(0.4, 0.6),
    "exp": lambda a: a.exp(),
    "log": lambda a: a.log(),
    "sin": lambda a: a.sin(),
    "cos": lambda a: a.cos(),
    "tanh": lambda a: a.tanh(),
    "sigmoid": lambda a: a.sigmoid(),
    "sqrt": lambda a: a.sqrt(),
    "rsqrt": lambda a: a.rsqrt(),
    "reciprocal": lambda a: a.reciprocal(),
    "neg": lambda a: -a,
    "abs": lambda a: a.abs(),
    "relu": lambda a: a.relu(),
    "silu": lambda a: torch.nn.functional.silu(a),
    "gelu": lambda a: torch.nn.functional.gelu(a),
    "sum": lambda a: a.sum(),
    "sum_dim": lambda a: a.sum(0),
    "mean": lambda a: a.mean(),
    "prod": lambda a: a.prod(),
    "softmax": lambda a: a.softmax(0),
    "log_softmax": lambda a: a.log_softmax(0),
    "logsumexp": lambda a: a.logsumexp(0),
    "cumsum": lambda a: a.cumsum(0),
    "view": lambda a: a.view(3, 1),
    "select": lambda a: a[0],
    "expand": lambda a: a.expand(2, 3),
    "cat": lambda a, b: torch.cat([a, b]),
    "exp_in_place": lambda a: a.clone().exp_(),
    "sin_in_place": lambda a: a.clone().sin_(),
    "mul_in_place": lambda a, b: a.clone().mul_(b),
    "mm": lambda m, n: m @ n,
}


def op_case(name, f):
    count = f.__code__.co_argcount
    ins = [torch.tensor(M, dtype=torch.float64, requires_grad=True) for _ in range(2)] if name == "mm" else [leaf(*v) for v in (A, B, C)[:count]]
    log = []

    def pack(t):
        kind = "abc"[[t is x for x in ins].index(True)] if any(t is x for x in ins) else (t.grad_fn.name() if t.grad_fn else "other")
        log.append(f"pack {kind}")
        return (len(log), t)

    def unpack(p):
        log.append(f"unpack {p[0]}")
        return p[1]

    with saved_tensors_hooks(pack, unpack):
        y = f(*ins)
    node = y.grad_fn
    # Numbers are saved as tensors too, but never packed.
    packed, tensors = len(log), []
    for n in dir(node):
        before = len(log)
        if n.startswith("_saved_") and isinstance(getattr(node, n), torch.Tensor) and len(log) > before:
            tensors.append(n[7:])
    del log[packed:]
    y.sum().backward()
    return {"node": node.name(), "saved": tensors, "log": log, "packs": sum(s.startswith("pack") for s in log)}


for name, f in OPS.items():
    CASES[f"op_{name}"] = lambda name=name, f=f: op_case(name, f)


# Hooks.
@case
def identity_of_saved_inputs():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = a * b
    return {"self": y.grad_fn._saved_self is a, "other": y.grad_fn._saved_other is b}


@case
def saved_output_is_another_object_with_its_node():
    a = leaf(1.0, 2.0)
    y = a.exp()
    r = y.grad_fn._saved_result
    return {"same": r is y, "equal": torch.equal(r, y), "node": r.grad_fn is y.grad_fn, "requires": r.requires_grad}


@case
def identity_under_hooks():
    a = leaf(1.0, 2.0)
    with saved_tensors_hooks(lambda x: x, lambda x: x):
        y = a * a
    s = y.grad_fn._saved_self
    return {"same": s is a, "equal": torch.equal(s, a), "requires": s.requires_grad, "leaf": s.is_leaf}


@case
def unpacked_intermediate_keeps_its_history():
    a = leaf(1.0, 2.0)
    with saved_tensors_hooks(lambda x: x.detach() * 2, lambda x: x):
        b = a * 3
        y = b.sin()
    s = y.grad_fn._saved_self
    return {"value": s.tolist(), "node": s.grad_fn.name(), "same node": s.grad_fn is b.grad_fn}


@case
def default_saved_tensors_hooks_double_backward():
    out = []
    with saved_tensors_hooks(lambda x: 2 * x, lambda x: x):
        a = leaf(1.0, 2.0)
        y = a**3
        (g,) = torch.autograd.grad(y.sum(), a, create_graph=True)
        (gg,) = torch.autograd.grad(g.sum(), a)
        out += [g.tolist(), gg.tolist()]
    with saved_tensors_hooks(lambda x: 2 * x, lambda x: x):
        a = leaf(1.0, 2.0)
        y = a * a * a
        (g,) = torch.autograd.grad(y.sum(), a, create_graph=True)
        (gg,) = torch.autograd.grad(g.sum(), a)
        out += [g.tolist(), gg.tolist()]
    a = leaf(1.0, 2.0)
    with saved_tensors_hooks(lambda x: 2 * x, lambda x: x):
        y = a**3
    (g,) = torch.autograd.grad(y.sum(), a, create_graph=True)
    (gg,) = torch.autograd.grad(g.sum(), a)
    return out + [g.tolist(), gg.tolist()]


@case
def hooks_scale_once_per_save():
    a = leaf(1.0, 2.0)
    with saved_tensors_hooks(lambda x: 3 * x, lambda x: 3 * x):
        y = a * a
    y.sum().backward()
    return a.grad.tolist()


@case
def setting_default_saved_variable_hooks_twice_should_not_fail():
    with saved_tensors_hooks(lambda x: x, lambda x: x):
        with saved_tensors_hooks(lambda x: x, lambda x: x):
            pass
    return True


@case
def hooks_end_with_their_block():
    log = []
    a = leaf(1.0)
    with saved_tensors_hooks(lambda x: (log.append("p"), x)[1], lambda x: x):
        a * a
    a * a
    return log


@case
def hooks_end_with_an_exception():
    log = []
    a = leaf(1.0)
    try:
        with saved_tensors_hooks(lambda x: (log.append("p"), x)[1], lambda x: x):
            raise ValueError
    except ValueError:
        pass
    a * a
    return log


@case
def nothing_is_packed_without_recording():
    log = []
    a = leaf(1.0)
    with saved_tensors_hooks(lambda x: (log.append("p"), x)[1], lambda x: x):
        with torch.no_grad():
            a * a
        a.detach() * a.detach()
    return log


@case
def unpack_of_wrong_type():
    a = leaf(1.0)
    with saved_tensors_hooks(lambda x: x, lambda x: 1):
        y = a * a
    return attempt(lambda: y.backward())


@case
def pack_hook_with_inplace_modification_should_fail():
    a = leaf(1.0) * 1

    def pack(x):
        x *= 2
        return x

    def run():
        with saved_tensors_hooks(pack, lambda x: x):
            a * a

    return attempt(run)


@case
def version_checks_are_off_under_hooks():
    a = leaf(1.0, 2.0) * 1
    with saved_tensors_hooks(lambda x: x, lambda x: x):
        y = a * a
    with torch.no_grad():
        a.add_(1)
    (g,) = torch.autograd.grad(y.sum(), a)
    return g.tolist()


@case
def version_checks_are_on_without_hooks():
    a = leaf(1.0, 2.0) * 1
    y = a * a
    with torch.no_grad():
        a.add_(1)
    return attempt(lambda: torch.autograd.grad(y.sum(), a))


@case
def saved_tensor_hooks_custom_error_propagation():
    class Mine(Exception):
        pass

    def bad(x):
        raise Mine("mine")

    a = leaf(1.0)
    out = []
    try:
        with saved_tensors_hooks(bad, lambda x: x):
            a * a
    except Mine:
        out.append("pack")
    with saved_tensors_hooks(lambda x: x, bad):
        y = a * a
    try:
        y.backward()
    except Mine:
        out.append("unpack")
    return out


@case
def unpack_hooks_exec_count():
    count = [0, 0]

    def pack(x):
        count[0] += 1
        return x

    def unpack(x):
        count[1] += 1
        return x

    a = leaf(1.0)
    with saved_tensors_hooks(pack, unpack):
        y = a * a
    first = list(count)
    y.backward(retain_graph=True)
    second = list(count)
    y.backward()
    return [first, second, count]


@case
def unpack_runs_in_the_grad_mode_of_the_pass():
    modes = []
    a = leaf(1.0)
    with saved_tensors_hooks(lambda x: (modes.append(torch.is_grad_enabled()), x)[1], lambda x: (modes.append(torch.is_grad_enabled()), x)[1]):
        y = a.sin()
    torch.autograd.grad(y, a, create_graph=True)
    torch.autograd.grad(y, a)
    return modes


@case
def wrapped_number_saved_tensors_hooks():
    log = []
    a = leaf(5.0, 5.0)
    with saved_tensors_hooks(lambda x: (log.append(list(x.shape)), x)[1], lambda x: x):
        a * 3
    return log


@case
def custom_objects_may_be_packed():
    a = leaf(2.0, 3.0)
    with saved_tensors_hooks(lambda x: {"list": x.tolist()}, lambda p: torch.tensor(p["list"], dtype=torch.float64)):
        y = a.exp() * a
    y.sum().backward()
    return a.grad.tolist()


# Hooks on single saved tensors.
@case
def register_hooks_on_a_saved_input():
    a = leaf(1.0, 2.0)
    y = a**2
    y.grad_fn._raw_saved_self.register_hooks(lambda x: 2 * x, lambda x: x / 2)
    first = attempt(lambda: y.grad_fn._raw_saved_self.register_hooks(lambda x: x, lambda x: x))
    value = y.grad_fn._saved_self.tolist()
    y.sum().backward()
    return [first, value, a.grad.tolist()]


@case
def register_hooks_on_a_saved_output():
    a = leaf(1.0, 2.0)
    y = a.exp()
    y.grad_fn._raw_saved_result.register_hooks(lambda x: x.tolist(), lambda x: torch.tensor(x, dtype=torch.float64) * 2)
    y.sum().backward()
    return (a.grad / a.detach().exp()).round().tolist()


@case
def register_hooks_pack_sees_a_detached_tensor():
    a = leaf(1.0, 2.0)
    seen = []
    y = (a * 1).sin()
    y.grad_fn._raw_saved_self.register_hooks(lambda x: (seen.append([x.requires_grad, x.is_leaf]), x)[1], lambda x: x)
    z = a.exp()
    z.grad_fn._raw_saved_result.register_hooks(lambda x: (seen.append([x.requires_grad, x.is_leaf]), x)[1], lambda x: x)
    return seen


@case
def register_hooks_after_free():
    a = leaf(1.0)
    y = a.sin()
    raw = y.grad_fn._raw_saved_self
    y.backward()
    return attempt(lambda: raw.register_hooks(lambda x: x, lambda x: x))


@case
def register_hooks_under_default_hooks():
    a = leaf(1.0)
    with saved_tensors_hooks(lambda x: x, lambda x: x):
        y = a.sin()
    return attempt(lambda: y.grad_fn._raw_saved_self.register_hooks(lambda x: x, lambda x: x))


@case
def register_hooks_with_inplace_pack():
    a = leaf(1.0) * 1
    y = a.sin()
    return attempt(lambda: y.grad_fn._raw_saved_self.register_hooks(lambda x: x.add_(1), lambda x: x))


@case
def saved_attributes_after_free():
    a = leaf(1.0, 2.0)
    y = a**3
    s = y.sum(0)
    before = y.grad_fn._saved_exponent
    s.backward()
    return [before, y.grad_fn._saved_exponent, s.grad_fn._saved_keepdim, attempt(lambda: y.grad_fn._saved_self)]


@case
def raw_saved_data_and_hooks():
    a = leaf(1.0, 2.0)
    unpack = lambda x: x + 0
    with saved_tensors_hooks(lambda x: "packed", lambda x: a.detach()):
        y = a.sin()
    raw = y.grad_fn._raw_saved_self
    z = a.sin().grad_fn._raw_saved_self
    return [raw.data, raw.unpack_hook is None, z.data is a, z.unpack_hook is None]


# Disabling.
@case
def disabling_saved_tensor_hooks():
    def use():
        with saved_tensors_hooks(lambda x: x, lambda x: x):
            pass

    with disable_saved_tensors_hooks("error message"):
        inside = attempt(use)
    return [inside, attempt(use)]


@case
def disabling_saved_tensor_hooks_nested():
    def use():
        with saved_tensors_hooks(lambda x: x, lambda x: x):
            pass

    with disable_saved_tensors_hooks("outer"):
        with disable_saved_tensors_hooks("inner"):
            first = attempt(use)
        second = attempt(use)
    return [first, second, attempt(use)]


@case
def disabling_while_hooks_are_in_force():
    def use():
        with saved_tensors_hooks(lambda x: x, lambda x: x):
            with disable_saved_tensors_hooks("too late"):
                pass

    return attempt(use)


# allow_mutation_on_saved_tensors.
def mutation(f):
    def run():
        with allow_mutation_on_saved_tensors() as ctx:
            return f(ctx)

    CASES["mutation_" + f.__name__] = run
    return f


@mutation
def basic(ctx):
    a = leaf(1.0, 2.0)
    b = a.clone()
    out = (b**2).sum()
    b.sin_()
    n = len(ctx.cloned)
    out.backward()
    return [n, a.grad.tolist(), len(ctx.cloned)]


@mutation
def views(ctx):
    a = leaf(1.0, 2.0)
    b = a.clone()
    out = (b**2).sum()
    b[:1].sin_()
    n = len(ctx.cloned)
    out.backward()
    return [n, a.grad.tolist()]


@mutation
def save_view_modify_base(ctx):
    a = leaf(1.0, 2.0, 3.0)
    b = a.clone()
    c = b[:2]
    out = (c**2).sum()
    b.mul_(3)
    n = len(ctx.cloned)
    out.backward()
    return [n, a.grad.tolist()]


@mutation
def double_backward(ctx):
    a = leaf(1.0, 2.0)
    b = a.clone()
    out = (b**3).sum()
    (g,) = torch.autograd.grad(out, a, create_graph=True)
    b.sin_()
    (gg,) = torch.autograd.grad(g.sum(), a)
    return [len(ctx.cloned) > 0, gg.tolist()]


@mutation
def saved_but_not_anymore(ctx):
    a = leaf(1.0, 2.0).clone()
    out = (a**2).sum()
    n = len(ctx.cloned)
    out.backward()
    a.sin_()
    return [n, len(ctx.cloned)]


@mutation
def saved_same_tensor_many_times(ctx):
    a = leaf(1.0, 2.0).clone()
    b = a**2
    c = a**2
    a.sin_()
    return len(ctx.cloned)


@mutation
def saved_same_tensor_different_versions(ctx):
    a = leaf(1.0, 2.0)
    b = a.clone()
    c = b**2
    b.sin_()
    d = b**2
    b.sin_()
    n = len(ctx.cloned)
    (c.sum() + d.sum()).backward()
    return [n, [round(v, 12) for v in a.grad.tolist()]]


@mutation
def without_recording(ctx):
    a = leaf(1.0, 2.0)
    b = a.clone()
    out = (b**2).sum()
    with torch.no_grad():
        b.zero_()
    out.backward()
    return a.grad.tolist()


@case
def mutation_backward_out_of_context():
    a = leaf(1.0)
    with allow_mutation_on_saved_tensors():
        out = (a**2).sum()
    return attempt(lambda: out.backward())


@case
def mutation_backward_in_another_context():
    a = leaf(1.0)
    with allow_mutation_on_saved_tensors():
        out = (a**2).sum()

    def run():
        with allow_mutation_on_saved_tensors():
            out.backward()

    return attempt(run)


@case
def mutation_disallow_nesting():
    def run():
        with allow_mutation_on_saved_tensors():
            with allow_mutation_on_saved_tensors():
                pass

    return attempt(run)


# Checkpoint.
def ck(f, *args, **kw):
    return checkpoint(f, *args, use_reentrant=False, **kw)


def counted(f):
    n = [0]

    def run(*args, **kw):
        n[0] += 1
        return f(*args, **kw)

    return n, run


@case
def checkpoint_recomputes_once():
    n, f = counted(lambda x: x.sin().exp())
    a = leaf(1.0, 2.0)
    y = ck(f, a)
    before = n[0]
    y.sum().backward()
    return [before, n[0], a.grad.tolist()]


@case
def checkpoint_packs_nothing_of_its_own():
    log = []
    a = leaf(1.0, 2.0)
    with saved_tensors_hooks(lambda x: (log.append(x is a), x)[1], lambda x: x):
        y = ck(lambda x: x.sin().exp(), a)
    return log


@case
def checkpoint_retained_graph_recomputes_per_pass():
    n, f = counted(lambda x: x.sin().exp())
    a = leaf(1.0)
    y = ck(f, a)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    return [n[0], a.grad.tolist()]


@case
def checkpoint_under_no_grad_runs_once():
    n, f = counted(lambda x: x.sin())
    with torch.no_grad():
        y = ck(f, leaf(1.0))
    return [n[0], y.requires_grad]


@case
def checkpoint_with_grad_and_inputs():
    n, f = counted(lambda x, y: (x * y).sin() * y.exp())
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = ck(f, a, b).sum()
    (g,) = torch.autograd.grad(y, a, retain_graph=True)
    y.backward(inputs=[b])
    return [n[0], g.tolist(), b.grad.tolist(), a.grad is None]


@case
def checkpoint_captured_parameter():
    w = leaf(2.0, 3.0)
    a = leaf(1.0, 2.0)
    ck(lambda x: (x * w).sin(), a).sum().backward()
    return [a.grad.tolist(), w.grad.tolist()]


@case
def checkpoint_input_without_grad():
    w = leaf(2.0, 3.0)
    x = plain(1.0, 2.0)
    y = ck(lambda x: (x * w).sin(), x)
    y.sum().backward()
    return [y.requires_grad, w.grad.tolist()]


@case
def checkpointing_without_reentrant_detached_tensor():
    a = leaf(1.0)
    y = ck(lambda x: x.exp().detach(), a)
    with torch.no_grad():
        pass
    return [y.requires_grad, y.tolist()]


@case
def checkpoint_higher_order():
    a = leaf(1.0, 2.0)
    y = ck(lambda x: x.sin().exp(), a).sum()
    (g,) = torch.autograd.grad(y, a, create_graph=True)
    (gg,) = torch.autograd.grad(g.sum(), a)
    return [[round(v, 12) for v in g.tolist()], [round(v, 12) for v in gg.tolist()]]


@case
def checkpoint_early_stop_skips_the_rest():
    log = []

    def f(x):
        y = x.sin()
        log.append("sin")
        z = y.exp()
        log.append("exp")
        w = z + 1
        log.append("add")
        return w

    a = leaf(1.0)
    y = ck(f, a)
    log.append("|")
    y.backward()
    return log


@case
def checkpoint_without_early_stop():
    log = []

    def f(x):
        y = x.sin()
        log.append("sin")
        z = y.exp()
        log.append("exp")
        return z + 1

    a = leaf(1.0)
    with set_checkpoint_early_stop(False):
        y = ck(f, a)
    log.append("|")
    y.backward()
    return log


@case
def nested_checkpoint():
    log = []

    def inner(x):
        log.append("i")
        return x.sin().exp()

    def outer(x):
        log.append("o")
        return ck(inner, x * 2).cos()

    a = leaf(0.5)
    y = ck(outer, a)
    log.append("|")
    y.backward()
    return ["".join(log), a.grad.tolist()]


@case
def nested_checkpoint_without_early_stop():
    log = []

    def inner(x):
        log.append("i")
        return x.sin().exp()

    def outer(x):
        log.append("o")
        return ck(inner, x * 2).cos()

    a = leaf(0.5)
    with set_checkpoint_early_stop(False):
        y = ck(outer, a)
    log.append("|")
    y.backward()
    return ["".join(log), a.grad.tolist()]


@case
def nested_checkpoint_two_children():
    log = []

    def f(x):
        log.append("f")
        return x.sin().exp()

    def g(x):
        log.append("g")
        return x.cos().sin()

    def outer(x):
        log.append("o")
        return ck(g, ck(f, x))

    a = leaf(0.5)
    y = ck(outer, a)
    log.append("|")
    y.backward()
    return ["".join(log), a.grad.tolist()]


@case
def nested_checkpoint_three_deep():
    log = []

    def h(x):
        log.append("3")
        return x.sin().sin()

    def g(x):
        log.append("2")
        return ck(h, x.cos()).cos()

    def f(x):
        log.append("1")
        return ck(g, x.exp()).exp()

    a = leaf(0.5)
    y = ck(f, a)
    log.append("|")
    y.backward()
    return ["".join(log), [round(v, 12) for v in a.grad.tolist()]]


@case
def checkpoint_hooks_fire_once():
    log = []

    def f(x):
        y = x.sin()
        y.register_hook(lambda g: log.append("hook"))
        return y.exp()

    a = leaf(1.0)
    a.register_hook(lambda g: log.append("leaf"))
    ck(f, a).backward()
    return log


@case
def checkpoint_rng():
    torch.manual_seed(1)
    a = torch.ones(100, dtype=torch.float64, requires_grad=True)
    y = ck(lambda x: torch.nn.functional.dropout(x.sin().exp(), 0.5).exp(), a)
    dropped = (y == 1).tolist()
    state = torch.get_rng_state()
    y.sum().backward()
    return [((a.grad == 0).tolist() == dropped), torch.equal(state, torch.get_rng_state())]


@case
def checkpoint_different_number():
    n = [0]

    def f(x):
        n[0] += 1
        return x.sin().exp() if n[0] == 1 else x.sin()

    y = ck(f, leaf(1.0))
    return attempt(lambda: y.backward())


@case
def checkpoint_more_saved_without_early_stop():
    n = [0]

    def f(x):
        n[0] += 1
        return x.sin() if n[0] == 1 else x.sin().exp()

    with set_checkpoint_early_stop(False):
        y = ck(f, leaf(1.0))
    return attempt(lambda: y.backward())


@case
def checkpoint_different_metadata():
    n = [0]

    def f(x):
        n[0] += 1
        return (x if n[0] == 1 else torch.cat([x, x])).sin().sum()

    y = ck(f, leaf(1.0, 2.0))
    return attempt(lambda: y.backward())


@case
def checkpoint_metadata_unchecked():
    n = [0]

    def f(x):
        n[0] += 1
        return (x if n[0] == 1 else x.reshape(1, 2)).sin().sum()

    y = ck(f, leaf(1.0, 2.0), determinism_check="none")
    return attempt(lambda: y.backward())


@case
def checkpoint_valid_reset_on_error():
    n = [0]

    def f(x):
        n[0] += 1
        if n[0] == 2:
            raise ValueError("once")
        return x.sin()

    a = leaf(1.0)
    y = ck(f, a)
    first = attempt(lambda: y.backward(retain_graph=True))
    y.backward()
    return [first, a.grad.tolist(), n[0]]


@case
def checkpoint_input_changed():
    a = leaf(1.0) * 1
    y = ck(lambda x: x.sin().exp(), a)
    with torch.no_grad():
        a.add_(1)
    return attempt(lambda: y.backward())


@case
def access_saved_tensor_twice_without_recomputation_works():
    n, f = counted(lambda x: x.sin().exp())
    a = leaf(1.0)
    y = ck(f, a)
    out = [n[0]]
    y.grad_fn._saved_result
    out.append(n[0])
    y.grad_fn._saved_result
    out.append(n[0])
    y.backward()
    return out + [n[0]]


@case
def checkpoint_grad_inside():
    n = [0]

    def f(x):
        n[0] += 1
        (g,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
        return g * x

    a = leaf(2.0)
    y = ck(f, a)
    y.backward()
    return [n[0], a.grad.tolist()]


@case
def checkpoint_user_error_in_forward():
    def f(x):
        raise ValueError("mine")

    return attempt(lambda: ck(f, leaf(1.0)))


@case
def checkpoint_bad_determinism_check():
    return attempt(lambda: ck(lambda x: x, leaf(1.0), determinism_check="nonsense"))


@case
def checkpoint_sequential_counts():
    log = []

    def layer(i):
        def f(x):
            log.append(str(i))
            return x.sin().exp()

        return f

    a = leaf(0.1)
    y = checkpoint_sequential([layer(i) for i in range(5)], 2, a, use_reentrant=False)
    log.append("|")
    y.backward()
    return ["".join(log), [round(v, 12) for v in a.grad.tolist()]]


@case
def checkpoint_graph_execution_group():
    n, f = counted(lambda x, y: (x.sin().exp(), y.sin().exp()))
    a, b = leaf(1.0), leaf(2.0)
    u, v = ck(f, a, b)
    with GraphExecGroup():
        u.backward()
        one = n[0]
        v.backward()
    return [one, n[0], a.grad.tolist(), b.grad.tolist()]


@case
def checkpoint_graph_execution_group_overlap():
    a = leaf(1.0)
    y = ck(lambda x: x.sin().exp(), a)

    def run():
        with GraphExecGroup():
            y.backward(retain_graph=True)
            y.backward()

    return attempt(run)


# Selective checkpoint.
def selective(ops, f, a, **kw):
    seen = []

    def policy(ctx, op, *args, **kwargs):
        name = op.name().split("::")[1].split(".")[0]
        seen.append(("r " if ctx.is_recompute else "f ") + name)
        return CheckpointPolicy.MUST_SAVE if name in ops else CheckpointPolicy.PREFER_RECOMPUTE

    y = ck(f, a, context_fn=lambda: create_selective_checkpoint_contexts(policy, **kw))
    return seen, y


@case
def selective_policy_sees_each_operation():
    a = leaf(1.0)
    seen, y = selective(["sin"], lambda x: x.sin().exp().cos(), a)
    y.backward()
    return [seen, a.grad.tolist()]


@case
def selective_second_backward():
    a = leaf(1.0)
    _, y = selective(["sin"], lambda x: x.sin().exp().cos(), a)
    y.backward(retain_graph=True)
    return attempt(lambda: y.backward())


@case
def selective_mutated_cache():
    a = leaf(1.0)

    def f(x):
        y = x.sin()
        kept.append(y)
        return y.exp().cos()

    kept = []
    _, y = selective(["sin"], f, a)
    with torch.no_grad():
        kept[0].mul_(2)
    return attempt(lambda: y.backward())


@case
def selective_mutated_cache_allowed():
    a = leaf(1.0)
    kept = []

    def f(x):
        y = x.sin()
        kept.append(y)
        return y.exp().cos()

    _, y = selective(["sin"], f, a, allow_cache_entry_mutation=True)
    with torch.no_grad():
        kept[0].mul_(2)
    return attempt(lambda: y.backward())


@case
def selective_unknown_operation_in_recompute():
    n = [0]

    def f(x):
        n[0] += 1
        return x.sin().exp().cos() if n[0] == 1 else x.tan().exp().cos()

    _, y = selective([], f, leaf(1.0))
    return attempt(lambda: y.backward())


@case
def selective_bad_inputs():
    return attempt(lambda: create_selective_checkpoint_contexts(2))


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    out = {"torch": torch.__version__.split("+")[0], "cases": {name: f() for name, f in CASES.items()}}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "saved.json")
    with open(path, "w") as f:
        json.dump(out, f, indent=1)
        f.write("\n")
    print(len(CASES), "cases")
