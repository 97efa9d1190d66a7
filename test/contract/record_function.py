"""Records what PyTorch does in small cases around torch.autograd.Function; function.test.ts runs the same cases.

Usage: python3 test/contract/record_function.py  (PyTorch 2.13, CPU); writes function.json beside this file.
"""

import json
import pathlib
import warnings

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

CASES = {}
warnings.simplefilter("ignore")


def case(fn):
    CASES[fn.__name__] = fn
    return fn


def leaf(*values):
    return torch.tensor(list(values), dtype=torch.float64, requires_grad=True)


def plain(*values):
    return torch.tensor(list(values), dtype=torch.float64)


def nums(t):
    return None if t is None else t.detach().to(torch.float64).tolist()


def facts(t):
    return {
        "value": nums(t),
        "requiresGrad": t.requires_grad,
        "isLeaf": t.is_leaf,
        "node": None if t.grad_fn is None else t.grad_fn.name(),
        "version": t._version,
        "dtype": str(t.dtype).replace("torch.", ""),
    }


def error(fn):
    try:
        fn()
    except Exception as e:  # the text is what is recorded
        return str(e).split("\n")[0]
    return None


class Double(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2


class Square(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 2 * x


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class Same(Function):
    @staticmethod
    def forward(ctx, x):
        return x

    @staticmethod
    def backward(ctx, g):
        return g * 3


def define(forward, backward=None, **more):
    body = {"forward": staticmethod(forward)}
    if backward is not None:
        body["backward"] = staticmethod(backward)
    body.update({k: staticmethod(v) if callable(v) else v for k, v in more.items()})
    return type("Mine", (Function,), body)


@case
def simple():
    x = leaf(1, 2)
    y = Double.apply(x)
    y.sum().backward()
    return {"y": facts(y), "grad": nums(x.grad), "next": y.grad_fn.next_functions[0][0].name()}


@case
def saved_input():
    x = leaf(1, 2, 3)
    y = Square.apply(x)
    y.sum().backward()
    return {"y": facts(y), "grad": nums(x.grad)}


@case
def saved_output():
    x = leaf(0, 0.5)
    y = Exp.apply(x)
    y.sum().backward()
    return {"y": facts(y), "grad": [round(v, 9) for v in nums(x.grad)]}


@case
def second_derivative():
    x = leaf(2)
    y = Square.apply(x)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (gg,) = torch.autograd.grad((g * g).sum(), x)
    return {"g": facts(g), "gg": nums(gg)}


@case
def third_derivative_of_saved_output():
    x = leaf(0)
    g = Exp.apply(x)
    for _ in range(3):
        (g,) = torch.autograd.grad(g.sum(), x, create_graph=True)
    return {"g": nums(g), "requiresGrad": g.requires_grad}


@case
def under_no_grad():
    x = leaf(1)
    with torch.no_grad():
        y = Double.apply(x)
    return {"y": facts(y)}


@case
def no_input_requires_grad():
    y = Double.apply(plain(1))
    return {"y": facts(y)}


@case
def grad_mode_inside():
    seen = []

    def forward(ctx, x):
        seen.append(torch.is_grad_enabled())
        seen.append(x.requires_grad)
        y = x * 2
        seen.append(y.requires_grad)
        return y

    def backward(ctx, g):
        seen.append(torch.is_grad_enabled())
        return g * 2

    x = leaf(1)
    F = define(forward, backward)
    torch.autograd.grad(F.apply(x), x)
    torch.autograd.grad(F.apply(x), x, create_graph=True)
    return {"seen": seen}


@case
def needs_input_grad():
    seen = []

    def forward(ctx, a, b, c):
        seen.append(list(ctx.needs_input_grad))
        return a * b

    def backward(ctx, g):
        seen.append(list(ctx.needs_input_grad))
        return g, g, None

    x, y = leaf(1), leaf(2)
    F = define(forward, backward)
    F.apply(x, plain(1), 3).backward()
    out = F.apply(x, y, 3)
    torch.autograd.grad(out, y)
    with torch.no_grad():
        F.apply(x, y, 3)
    return {"seen": seen}


@case
def non_tensor_arguments():
    def forward(ctx, k, x, name):
        ctx.k = k
        return x * k

    x = leaf(1, 2)
    F = define(forward, lambda ctx, g: (None, g * ctx.k, None))
    y = F.apply(3, x, "name")
    y.sum().backward()
    return {"y": facts(y), "grad": nums(x.grad), "edges": len(y.grad_fn.next_functions)}


@case
def non_tensor_outputs():
    seen = []

    def forward(ctx, x):
        return x * 2, "text", 7

    def backward(ctx, *gs):
        seen.append([nums(g) for g in gs])
        return gs[0] * 2

    x = leaf(1)
    y, text, seven = define(forward, backward).apply(x)
    y.backward()
    return {"y": facts(y), "text": text, "seven": seven, "seen": seen, "grad": nums(x.grad)}


@case
def no_tensors():
    F = define(lambda ctx, a, b: a + b, lambda ctx, g: (None, None))
    return {"sum": F.apply(1, 2)}


@case
def several_outputs():
    seen = []

    def forward(ctx, x):
        return x * 2, x * 3

    def backward(ctx, a, b):
        seen.append([nums(a), nums(b)])
        return a * 2 + b * 3

    x = leaf(1)
    a, b = define(forward, backward).apply(x)
    nrs = [a.output_nr, b.output_nr]
    b.backward()
    return {"a": facts(a), "b": facts(b), "nrs": nrs, "seen": seen, "grad": nums(x.grad), "same": a.grad_fn is b.grad_fn}


@case
def undefined_gradients_without_materializing():
    seen = []

    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 2, x * 3

    def backward(ctx, a, b):
        seen.append([nums(a), nums(b)])
        return b * 3

    x = leaf(1)
    _, b = define(forward, backward).apply(x)
    b.backward()
    return {"seen": seen, "grad": nums(x.grad)}


@case
def all_gradients_undefined():
    seen = []

    def make(materialize):
        def forward(ctx, x):
            ctx.set_materialize_grads(materialize)
            return x * 2

        def backward(ctx, g):
            seen.append(nums(g))
            return g

        return define(forward, backward)

    Nothing = define(lambda ctx, x: x * 1, lambda ctx, g: None)
    for materialize in (True, False):
        x = leaf(1)
        Nothing.apply(make(materialize).apply(x)).backward()
        seen.append(nums(x.grad))
    return {"seen": seen}


@case
def undefined_result_stays_undefined():
    x = leaf(1)
    Nothing = define(lambda ctx, x: x * 1, lambda ctx, g: None)
    Nothing.apply(x).backward()
    made = torch.autograd.grad(Nothing.apply(x), x, allow_unused=True)
    return {"grad": nums(x.grad), "made": nums(made[0])}


@case
def non_differentiable_output():
    seen = []

    def forward(ctx, x):
        a, b = x * 2, x > 0
        ctx.mark_non_differentiable(b)
        return a, b

    def backward(ctx, ga, gb):
        seen.append([nums(ga), nums(gb), str(gb.dtype).replace("torch.", "")])
        return ga * 2

    x = leaf(1, -1)
    a, b = define(forward, backward).apply(x)
    a.sum().backward()
    return {"a": facts(a), "b": facts(b), "seen": seen, "grad": nums(x.grad)}


@case
def floating_output_marked_non_differentiable():
    def forward(ctx, x):
        a, b = x * 2, x * 3
        ctx.mark_non_differentiable(b)
        return a, b

    seen = []

    def backward(ctx, ga, gb):
        seen.append([nums(ga), nums(gb)])
        return ga * 2

    x = leaf(1)
    a, b = define(forward, backward).apply(x)
    a.backward()
    return {"a": facts(a), "b": facts(b), "nrs": [a.output_nr, b.output_nr], "seen": seen, "grad": nums(x.grad)}


@case
def input_marked_non_differentiable():
    def forward(ctx, x, y):
        ctx.mark_non_differentiable(x)
        return x, y * 2

    x, y = leaf(1), leaf(2)
    a, b = define(forward, lambda ctx, ga, gb: (None, gb * 2)).apply(x, y)
    return {"a": facts(a), "same": a is x, "x": facts(x), "b": facts(b)}


@case
def integer_outputs_are_never_differentiable():
    x = leaf(1, 5)
    y = define(lambda ctx, x: x.to(torch.int32), lambda ctx, g: g).apply(x)
    return {"requiresGrad": y.requires_grad, "leaf": y.is_leaf}


@case
def input_returned():
    x = leaf(1)
    y = Same.apply(x)
    y.backward()
    return {"y": facts(y), "same": y is x, "base": y._base is x, "grad": nums(x.grad), "x": facts(x)}


@case
def input_returned_non_leaf():
    x = leaf(1)
    z = x * 2
    y = Same.apply(z)
    y.backward()
    return {"y": facts(y), "same": y is z, "base": y._base is z, "z": facts(z), "grad": nums(x.grad)}


@case
def input_returned_without_grad():
    x = plain(1)
    y = Same.apply(x)
    with torch.no_grad():
        w = leaf(1)
        v = Same.apply(w)
    return {"same": y is x, "y": facts(y), "v": facts(v), "sameV": v is w, "base": v._base is w}


@case
def input_returned_changed_in_place():
    x = leaf(1)
    y = Same.apply(x * 1)
    return {"error": error(lambda: y.mul_(2)), "version": y._version}


@case
def duplicate_returned():
    seen = []

    def forward(ctx, x):
        y = x * 2
        return y, y

    def backward(ctx, a, b):
        seen.append([nums(a), nums(b)])
        return a * 2 + b * 2

    x = leaf(1)
    a, b = define(forward, backward).apply(x)
    (a + b).backward()
    return {"same": a is b, "seen": seen, "grad": nums(x.grad)}


@case
def view_returned():
    x = leaf(1, 2)
    y = define(lambda ctx, x: x.view(2, 1), lambda ctx, g: g.view(2)).apply(x)
    broken = error(lambda: y.mul_(2))
    y.sum().backward()
    return {"y": facts(y), "base": y._base is x, "error": broken, "grad": nums(x.grad)}


@case
def view_of_intermediate_returned():
    x = leaf(1, 2)
    y = define(lambda ctx, x: x.clone().view(2, 1), lambda ctx, g: g.view(2)).apply(x)
    return {"y": facts(y), "error": error(lambda: y.mul_(2)), "requiresGrad": y.requires_grad}


@case
def several_views_returned():
    x = leaf(1, 2)
    a, b = define(lambda ctx, x: (x[:1], x[1:]), lambda ctx, a, b: torch.cat([a, b])).apply(x)
    return {"a": facts(a), "error": error(lambda: a.mul_(2))}


@case
def view_returned_without_grad():
    x = leaf(1, 2)
    with torch.no_grad():
        y = define(lambda ctx, x: x.view(2, 1), lambda ctx, g: g.view(2)).apply(x * 1)
    return {"y": facts(y), "error": error(lambda: y.mul_(2))}


@case
def base_changed_under_a_returned_view():
    z = leaf(1, 2) * 1
    y = Same.apply(z)
    z.mul_(2)
    return {"error": error(lambda: y.grad_fn), "z": facts(z)}


def add_into(ctx, a, b):
    ctx.mark_dirty(a)
    a.add_(b)
    return a


AddInto = define(add_into, lambda ctx, g: (g, g * 10))


@case
def dirty_non_leaf():
    x, y = leaf(1), leaf(2)
    z = x * 1
    out = AddInto.apply(z, y)
    out.backward()
    return {"same": out is z, "out": facts(out), "x": nums(x.grad), "y": nums(y.grad)}


@case
def dirty_plain_tensor():
    a, y = plain(1), leaf(2)
    out = AddInto.apply(a, y)
    out.backward()
    return {"same": out is a, "out": facts(out), "y": nums(y.grad)}


@case
def dirty_without_grad():
    a = plain(1)
    out = AddInto.apply(a, plain(2))
    return {"same": out is a, "out": facts(out)}


@case
def dirty_leaf():
    x = leaf(1)
    return {"error": error(lambda: AddInto.apply(x, plain(1)))}


@case
def dirty_view():
    x, y = leaf(1, 2), leaf(5)
    base = x * 1
    v = base[:1]
    out = AddInto.apply(v, y)
    (base * plain(3, 7)).sum().backward()
    return {"same": out is v, "value": nums(base), "base": base.grad_fn.name(), "v": v.grad_fn.name(), "x": nums(x.grad), "y": nums(y.grad)}


@case
def dirty_view_of_leaf():
    x = leaf(1, 2)
    return {"error": error(lambda: AddInto.apply(x[:1], plain(1)))}


@case
def dirty_view_made_without_grad():
    base = leaf(1, 2) * 1
    with torch.no_grad():
        v = base[:1]
    return {"error": error(lambda: AddInto.apply(v, plain(1)))}


@case
def dirty_view_among_several():
    a, b = (leaf(1, 2) * 1).unbind()
    return {"error": error(lambda: AddInto.apply(a, plain(1)[0]))}


@case
def dirty_view_and_two_outputs():
    def forward(ctx, a, b):
        ctx.mark_dirty(a)
        a.add_(b)
        return a, a + b

    base = leaf(1, 2) * 1
    F = define(forward, lambda ctx, g, h: (g + h, g + 2 * h))
    return {"error": error(lambda: F.apply(base[:1], plain(1)))}


@case
def dirty_and_another_output():
    def forward(ctx, a, b):
        ctx.mark_dirty(a)
        a.add_(b)
        return a, a + b

    x, y = leaf(1), leaf(2)
    z = x * 1
    p, q = define(forward, lambda ctx, g, h: (g + h, g + 2 * h)).apply(z, y)
    (p + 2 * q).backward()
    return {"same": p is z, "p": facts(p), "q": facts(q), "x": nums(x.grad), "y": nums(y.grad)}


@case
def dirty_not_returned():
    def forward(ctx, a):
        ctx.mark_dirty(a)
        a.add_(1)
        return a * 2

    F = define(forward, lambda ctx, g: g)
    return {"error": error(lambda: F.apply(leaf(1) * 1)), "plain": error(lambda: F.apply(plain(1)))}


@case
def dirty_saved():
    def forward(ctx, a):
        ctx.mark_dirty(a)
        a.exp_()
        ctx.save_for_backward(a)
        return a

    x = leaf(0)
    y = define(forward, lambda ctx, g: g * ctx.saved_tensors[0]).apply(x * 1)
    y.backward()
    return {"y": facts(y), "grad": nums(x.grad)}


@case
def dirty_invalidates_earlier_saves():
    x = leaf(2)
    z = x * 1
    w = z * z
    AddInto.apply(z, plain(1))
    return {"error": error(lambda: w.backward())}


@case
def dirty_second_argument():
    def forward(ctx, a, b):
        ctx.mark_dirty(b)
        b.add_(a)
        return b

    x, y = leaf(1), leaf(2)
    z = y * 1
    out = define(forward, lambda ctx, g: (g * 10, g)).apply(x, z)
    out.backward()
    return {"same": out is z, "x": nums(x.grad), "y": nums(y.grad)}


@case
def saved_input_changed():
    x = leaf(1)
    z = x * 1
    y = Square.apply(z)
    z.add_(1)
    return {"error": error(lambda: y.backward())}


@case
def saved_output_changed():
    x = leaf(1)
    y = Exp.apply(x)
    z = y * 1
    y.mul_(2)
    return {"error": error(lambda: z.backward()), "y": facts(y)}


@case
def saved_leaf_changed():
    x = leaf(1)
    y = Square.apply(x)
    with torch.no_grad():
        x.add_(1)
    return {"error": error(lambda: y.backward())}


@case
def backward_twice():
    x = leaf(1)
    y = Square.apply(x)
    y.backward()
    z = Double.apply(x)
    z.backward()
    z.backward()
    return {"error": error(lambda: y.backward()), "grad": nums(x.grad)}


@case
def saved_tensors_on_the_node():
    x = leaf(3)
    y = Square.apply(x)
    node = y.grad_fn
    (s,) = node.saved_tensors
    same = s is x
    y.backward()
    return {"same": same, "error": error(lambda: node.saved_tensors)}


@case
def saved_output_on_the_node():
    y = Exp.apply(leaf(0))
    (s,) = y.grad_fn.saved_tensors
    return {"same": s is y, "node": s.grad_fn is y.grad_fn, "s": facts(s)}


@case
def save_none():
    def forward(ctx, x):
        ctx.save_for_backward(None, x, None)
        return x * 2

    seen = []

    def backward(ctx, g):
        seen.append([nums(s) for s in ctx.saved_tensors])
        return g

    x = leaf(1)
    define(forward, backward).apply(x).backward()
    return {"seen": seen}


@case
def save_something_else():
    def forward(ctx, x):
        ctx.save_for_backward(3)
        return x * 2

    return {"error": error(lambda: define(forward, lambda ctx, g: g).apply(leaf(1)))}


@case
def save_twice():
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.save_for_backward(x * 2, x * 3)
        return x * 2

    y = define(forward, lambda ctx, g: g).apply(leaf(1))
    return {"saved": [nums(s) for s in y.grad_fn.saved_tensors]}


@case
def saved_intermediate_breaks_the_second_derivative():
    def forward(ctx, x):
        t = x * 2
        ctx.save_for_backward(t)
        return x * x

    x = leaf(3)
    y = define(forward, lambda ctx, g: g * ctx.saved_tensors[0]).apply(x)
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    return {"g": nums(g), "requiresGrad": g.requires_grad}


@case
def saved_tensors_cleared_on_access():
    seen = []

    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        seen.append(error(lambda: ctx.saved_tensors))
        return g * 2 * x

    x = leaf(3)
    define(forward, backward, clear_saved_tensors_on_access=True).apply(x).backward()
    return {"seen": seen, "grad": nums(x.grad)}


@case
def too_few_gradients():
    F = define(lambda ctx, a, b: a * b, lambda ctx, g: g)
    return {"error": error(lambda: F.apply(leaf(1), leaf(2)).backward())}


@case
def too_many_gradients():
    x = leaf(1)
    define(lambda ctx, a: a * 2, lambda ctx, g: (g, None, None)).apply(x).backward()
    F = define(lambda ctx, a: a * 2, lambda ctx, g: (g, g))
    return {"grad": nums(x.grad), "error": error(lambda: F.apply(leaf(1)).backward())}


@case
def gradient_for_a_number():
    F = define(lambda ctx, a, k: a * k, lambda ctx, g: (g, g))
    return {"error": error(lambda: F.apply(leaf(1), 2).backward())}


@case
def gradient_of_another_type():
    F = define(lambda ctx, a: a * 2, lambda ctx, g: 3)
    return {"error": error(lambda: F.apply(leaf(1)).backward())}


@case
def gradient_of_a_wrong_shape():
    F = define(lambda ctx, a: a.sum(), lambda ctx, g: g.expand(10))
    x = torch.ones(5, 5, dtype=torch.float64, requires_grad=True)
    return {"error": error(lambda: F.apply(x).backward())}


@case
def gradient_of_a_larger_shape_is_summed():
    x = leaf(1, 2)
    define(lambda ctx, a: a * 2, lambda ctx, g: torch.ones(3, 2, dtype=torch.float64)).apply(x).sum().backward()
    return {"grad": nums(x.grad)}


@case
def gradient_of_another_dtype_is_cast():
    x = leaf(1, 2)
    define(lambda ctx, a: a * 2, lambda ctx, g: g.to(torch.float32)).apply(x).sum().backward()
    return {"grad": nums(x.grad), "dtype": str(x.grad.dtype).replace("torch.", "")}


@case
def gradient_for_an_input_without_grad():
    x = leaf(1)
    define(lambda ctx, a, b: a * b, lambda ctx, g: (g, g)).apply(x, plain(2)).backward()
    return {"grad": nums(x.grad)}


@case
def forward_missing():
    return {"error": error(lambda: type("Mine", (Function,), {}).apply(leaf(1)))}


@case
def backward_missing():
    F = define(lambda ctx, a: a * 2)
    y = F.apply(leaf(1))
    return {"y": facts(y), "error": error(lambda: y.backward())}


@case
def vjp_alone():
    x = leaf(1)
    define(lambda ctx, a: a * 2, vjp=lambda ctx, g: g * 2).apply(x).backward()
    return {"grad": nums(x.grad)}


@case
def backward_and_vjp():
    F = define(lambda ctx, a: a * 2, lambda ctx, g: g, vjp=lambda ctx, g: g)
    return {"error": error(lambda: F.apply(leaf(1)).backward())}


@case
def exceptions_keep_their_type():
    class Custom(Exception):
        pass

    def fail(*_):
        raise Custom("mine")

    F = define(lambda ctx, a: a * 2, fail)
    G = define(fail, lambda ctx, g: g)
    out = []
    for run in (lambda: F.apply(leaf(1)).backward(), lambda: G.apply(leaf(1))):
        try:
            run()
        except Custom as e:
            out.append(str(e))
    x = leaf(1)
    Double.apply(x).backward()
    return {"out": out, "enabled": torch.is_grad_enabled(), "grad": nums(x.grad)}


@case
def once_differentiable_backward():
    seen = []

    @once_differentiable
    def backward(ctx, g):
        seen.append(torch.is_grad_enabled())
        return g * 2 * ctx.saved_tensors[0]

    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    F = define(forward, backward)
    x = leaf(3)
    F.apply(x).backward()
    (g,) = torch.autograd.grad(F.apply(x).sum(), x, grad_outputs=None, create_graph=True)
    v = leaf(1)
    (h,) = torch.autograd.grad(F.apply(x), x, grad_outputs=v, create_graph=True)
    return {
        "seen": seen,
        "grad": nums(x.grad),
        "g": g.requires_grad,
        "h": h.requires_grad,
        "node": h.grad_fn.name(),
        "error": error(lambda: h.sum().backward()),
    }


@case
def setup_context():
    seen = []

    def forward(x, k):
        return x * k, x + k

    def setup(ctx, inputs, output):
        x, k = inputs
        seen.append([nums(x), k, [nums(o) for o in output], torch.is_grad_enabled()])
        ctx.k = k
        ctx.save_for_backward(x, output[0])

    def backward(ctx, a, b):
        seen.append([nums(s) for s in ctx.saved_tensors])
        return a * ctx.k + b, None

    x = leaf(2)
    y, z = define(forward, backward, setup_context=setup).apply(x, 3)
    (y + z).backward()
    return {"y": facts(y), "z": facts(z), "seen": seen, "grad": nums(x.grad)}


@case
def hooks_around_the_node():
    order = []

    def backward(ctx, g):
        order.append("backward")
        return g * 2

    x = leaf(1)
    y = define(lambda ctx, x: x * 2, backward).apply(x)
    y.grad_fn.register_hook(lambda gi, go: order.append(["post", nums(gi[0]), nums(go[0])]))
    y.grad_fn.register_prehook(lambda go: order.append(["pre", nums(go[0])]))
    y.register_hook(lambda g: order.append(["tensor", nums(g)]))
    x.register_hook(lambda g: order.append(["leaf", nums(g)]))
    y.retain_grad()
    y.backward()
    return {"order": order, "kept": nums(y.grad)}


@case
def hooks_of_a_returned_input():
    order = []
    x = leaf(1)
    z = x * 1
    y = Same.apply(z)
    y.register_hook(lambda g: order.append(["y", nums(g)]))
    z.register_hook(lambda g: order.append(["z", nums(g)]))
    (y * 2 + z * 5).backward()
    return {"order": order, "grad": nums(x.grad)}


@case
def same_tensor_twice():
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b

    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return g * b, g * a

    x = leaf(3)
    y = define(forward, backward).apply(x, x)
    y.backward()
    return {"grad": nums(x.grad), "edges": len(y.grad_fn.next_functions)}


@case
def gradients_inside_backward():
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            z = x.detach().requires_grad_()
            (d,) = torch.autograd.grad(z**3, z)
        return g * d

    x = leaf(2)
    define(forward, backward).apply(x).backward()
    return {"grad": nums(x.grad)}


@case
def grad_enabled_inside_forward():
    def forward(ctx, x):
        with torch.enable_grad():
            ctx.z = x.detach().requires_grad_()
            ctx.y = ctx.z**2
        return ctx.y.detach()

    def backward(ctx, g):
        ctx.y.backward(g)
        return ctx.z.grad

    x = leaf(3)
    define(forward, backward).apply(x).backward()
    return {"grad": nums(x.grad)}


@case
def tracked_result_returned():
    def forward(ctx, x):
        with torch.enable_grad():
            return x * 2

    x = leaf(1)
    y = define(forward, lambda ctx, g: g * 5).apply(x)
    y.backward()
    return {"y": facts(y), "grad": nums(x.grad)}


@case
def chain():
    x = leaf(0.5)
    y = Square.apply(Exp.apply(Double.apply(x)))
    names = []
    node = y.grad_fn
    while node is not None:
        names.append(node.name())
        node = node.next_functions[0][0] if node.next_functions else None
    y.backward()
    return {"names": names, "grad": [round(v, 9) for v in nums(x.grad)]}


@case
def context_is_the_node():
    kept = []

    def forward(ctx, x):
        kept.append(ctx)
        return x * 2

    def backward(ctx, g):
        kept.append(ctx)
        return g

    x = leaf(1)
    define(forward, backward).apply(x).backward()
    return {"same": kept[0] is kept[1]}


@case
def context_kept_after_backward():
    kept = []

    def forward(ctx, x):
        kept.append(ctx)
        ctx.save_for_backward(x)
        return x * x

    def backward(ctx, g):
        return g * ctx.saved_tensors[0]

    define(forward, backward).apply(leaf(1)).backward()
    return {"error": error(lambda: kept[0].saved_tensors)}


@case
def gradient_that_is_a_saved_tensor():
    """Gradients that are the user's own tensors must not be written into."""

    def forward(ctx, x, w):
        ctx.save_for_backward(w)
        return (x * w).sum()

    def backward(ctx, g):
        (w,) = ctx.saved_tensors
        return w, None

    x, w = leaf(1, 1), plain(4, 5)
    F = define(forward, backward)
    F.apply(x, w).backward()
    F.apply(x, w).backward()
    return {"grad": nums(x.grad), "w": nums(w), "same": x.grad is w}


@case
def inputs_restrict_the_pass():
    seen = []

    def backward(ctx, g):
        seen.append(list(ctx.needs_input_grad))
        return g, g

    x, y = leaf(1), leaf(2)
    define(lambda ctx, a, b: a + b, backward).apply(x, y).backward(inputs=[x])
    return {"seen": seen, "x": nums(x.grad), "y": nums(y.grad)}


@case
def func_grad():
    class F(Function):
        @staticmethod
        def forward(x):
            return x**3

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0])

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x**2

        @staticmethod
        def jvp(ctx, t):
            return t * 3 * ctx.x**2

    f = lambda x: F.apply(x).sum()
    x = plain(2, 3)
    df = torch.func.grad(f)
    return {"first": nums(df(x)), "second": nums(torch.func.grad(lambda x: df(x).sum())(x))}


@case
def func_without_setup_context():
    return {"error": error(lambda: torch.func.grad(lambda x: Square.apply(x).sum())(plain(1)))}


class Cube(Function):
    @staticmethod
    def forward(x, k):
        return x**3 * k

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, k = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        ctx.k = k

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x**2 * ctx.k, None

    @staticmethod
    def jvp(ctx, t, _):
        (x,) = ctx.saved_tensors
        return t * 3 * x**2 * ctx.k


class BatchedCube(Cube):
    generate_vmap_rule = True


@case
def func_jvp():
    y, t = torch.func.jvp(lambda x: Cube.apply(x, 2), (plain(1, 2),), (plain(1, 10),))
    return {"y": nums(y), "t": nums(t)}


@case
def func_jvp_missing():
    F = define(
        lambda x: x * 2, lambda ctx, g: g * 2, setup_context=lambda ctx, inputs, output: None
    )
    return {"error": error(lambda: torch.func.jvp(F.apply, (plain(1),), (plain(1),)))}


@case
def func_jvp_of_grad():
    f = torch.func.grad(lambda x: Cube.apply(x, 2).sum())
    y, t = torch.func.jvp(f, (plain(1, 2),), (plain(1, 10),))
    return {"y": nums(y), "t": nums(t)}


@case
def func_jvp_wrong_shape():
    F = define(
        lambda x: x * 2,
        lambda ctx, g: g * 2,
        setup_context=lambda ctx, inputs, output: None,
        jvp=lambda ctx, t: t.sum(),
    )
    return {"error": error(lambda: torch.func.jvp(F.apply, (plain(1, 2),), (plain(1, 2),)))}


@case
def func_jvp_counts():
    F = define(
        lambda x: (x * 2, x * 3),
        lambda ctx, g, h: g * 2,
        setup_context=lambda ctx, inputs, output: None,
        jvp=lambda ctx, t: t * 2,
    )
    return {"error": error(lambda: torch.func.jvp(F.apply, (plain(1, 2),), (plain(1, 2),)))}


@case
def func_jvp_undefined_tangents():
    seen = []

    def jvp(ctx, a, b, c):
        seen.append([nums(a), nums(b), c])
        return a

    F = define(
        lambda a, b, c: a * 2,
        lambda ctx, g: (g, None, None),
        setup_context=lambda ctx, inputs, output: None,
        jvp=jvp,
    )
    torch.func.jvp(lambda a: F.apply(a, plain(7), 3), (plain(1),), (plain(1),))
    return {"seen": seen}


@case
def func_jvp_non_differentiable_output():
    def make(second):
        def setup(ctx, inputs, output):
            ctx.mark_non_differentiable(output[1])

        return define(lambda x: (x * 2, x * 3), lambda ctx, g, h: g, setup_context=setup, jvp=lambda ctx, t: (t * 2, second(t)))

    run = lambda F: torch.func.jvp(lambda x: F.apply(x)[0], (plain(1),), (plain(1),))[1]
    return {"t": nums(run(make(lambda t: None))), "error": error(lambda: run(make(lambda t: t)))}


@case
def func_vmap_missing():
    return {"error": error(lambda: torch.func.vmap(lambda x: Cube.apply(x, 2))(plain(1, 2)))}


@case
def func_vmap_both():
    F = type("Both", (Cube,), {"generate_vmap_rule": True, "vmap": staticmethod(lambda info, dims, x, k: (x, 0))})
    return {"error": error(lambda: torch.func.vmap(lambda x: F.apply(x, 2))(plain(1, 2)))}


@case
def func_vmap_generated():
    f = lambda x: BatchedCube.apply(x, 2)
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    g = torch.func.vmap(torch.func.grad(lambda x: f(x).sum()))(x)
    w = x.clone().requires_grad_()
    y = torch.func.vmap(f, in_dims=1, out_dims=1)(w)
    y.sum().backward()
    return {"y": nums(y), "g": nums(g), "grad": nums(w.grad)}


@case
def func_vmap_rule():
    seen = []

    def vmap(info, in_dims, x, k):
        seen.append([info.batch_size, info.randomness, list(in_dims)])
        return F.apply(x, k), in_dims[0]

    F = type("Ruled", (Cube,), {"vmap": staticmethod(vmap)})
    y = torch.func.vmap(lambda x: F.apply(x, 2), in_dims=1, out_dims=1)(torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64))
    return {"y": nums(y), "seen": seen}


@case
def func_vmap_rule_returns():
    def make(result):
        return type("Ruled", (Cube,), {"vmap": staticmethod(lambda info, dims, x, k: result(x))})

    run = lambda F: error(lambda: torch.func.vmap(lambda x: F.apply(x, 2))(plain(1, 2)))
    return {"one": run(make(lambda x: x)), "three": run(make(lambda x: (x, 0, 0))), "dims": run(make(lambda x: (x, (0, 0))))}


@case
def func_vmap_unbatched_input():
    class Product(Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(a, b):
            return a * b

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            return g * b, g * a

    a = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64, requires_grad=True)
    b = leaf(5, 7)
    y = torch.func.vmap(Product.apply, in_dims=(0, None))(a, b)
    y.sum().backward()
    return {"y": nums(y), "a": nums(a.grad), "b": nums(b.grad)}


@case
def func_vmap_of_a_list_of_gradients():
    x = leaf(1, 2)
    y = BatchedCube.apply(x, 1)
    vs = torch.eye(2, dtype=torch.float64)
    (rows,) = torch.autograd.grad(y, x, grad_outputs=vs, is_grads_batched=True)
    return {"rows": nums(rows)}


if __name__ == "__main__":
    out = pathlib.Path(__file__).with_name("function.json")
    recorded = {name: fn() for name, fn in CASES.items()}
    lines = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in recorded.items()]
    out.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(len(recorded), "cases")
