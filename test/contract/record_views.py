"""Records what PyTorch does in small cases around views, in-place operations and version counters; views.test.ts runs the
same cases, under the names PyTorch's own test suite has for them where it has one.

Usage: python3 test/contract/record_views.py  (PyTorch 2.13, CPU); writes views.json beside this file.
"""

import copy
import json
import pathlib

import torch

CASES = {}


def case(fn):
    CASES[fn.__name__] = fn
    return fn


def leaf(*values):
    return torch.tensor(list(values), dtype=torch.float64, requires_grad=True)


def ramp(*shape):
    n = 1
    for s in shape:
        n *= s
    return torch.arange(1, n + 1, dtype=torch.float64).reshape(shape).clone()


def root(*shape):
    """A leaf and a non-leaf that is a copy of it."""
    x = ramp(*shape).requires_grad_()
    return x, x.clone()


def weigh(t):
    return (t * ramp(*t.shape)).sum()


def nums(t):
    return None if t is None else t.detach().to(torch.float64).tolist()


def error(fn, until=None):
    """The first line of what goes wrong, up to a word from which the texts may differ."""
    try:
        fn()
    except Exception as e:
        text = "error: " + str(e).split("\n")[0]
        return text if until is None or until not in text else text[: text.index(until)]
    return "no error"


def short(name):
    return name.replace("torch::autograd::", "")


def tree(node, depth=6):
    if node is None:
        return "-"
    inner = [tree(n, depth - 1) for n, _ in node.next_functions] if depth > 0 else ["..."]
    return short(node.name()) + (f"({', '.join(inner)})" if inner else "")


def flags(t):
    return [t.requires_grad, t.is_leaf, t._is_view(), t._version, None if t.grad_fn is None else short(t.grad_fn.name()), t.output_nr]


# --- version counters ---------------------------------------------------------------------------------------------------


@case
def version_counter():
    x = torch.randn(1, 2)
    out = [x._version]
    x.fill_(0)
    out.append(x._version)
    v = x[0]
    v.add_(1)
    out += [x._version, v._version, v.detach()._version, x.data._version, x.clone()._version]
    d = x.detach()
    d.mul_(2)
    out += [x._version, d._version]
    data = x.data
    data.mul_(2)
    return out + [x._version, data._version]


@case
def data_is_outside_version_tracking():
    x = leaf(1, 2)
    y = x * 1
    z = (y * y).sum()
    y.data.mul_(3)
    z.backward()
    return [y._version, nums(x.grad), flags(y.data)]


@case
def detach_then_inplace_raises_in_autograd():
    x = leaf(1, 2)
    y = x * 1
    z = (y * y).sum()
    y.detach().zero_()
    return [error(lambda: z.backward(), " Hint")]


@case
def saved_input_changed_by_itself():
    x = leaf(1, 2)
    y = x * 1
    z = y.exp() * y
    y.add_(1)
    return [error(lambda: z.sum().backward(), " Hint")]


@case
def saved_output_changed():
    out = []
    for name in ["exp", "tanh", "sigmoid", "sqrt", "relu", "reciprocal", "rsqrt"]:
        x = leaf(1, 2)
        y = getattr(x, name)()
        y.mul_(2)
        out.append([name, error(lambda: y.sum().backward(), " Hint").replace("MulBackward0", "Mul")])
    return out


@case
def saved_leaf_changed():
    x, w = leaf(1, 2), leaf(3, 4)
    y = x * w
    with torch.no_grad():
        w.add_(1)
    return [w._version, error(lambda: y.sum().backward(), " Hint")]


@case
def not_saved_may_change():
    out = []
    for op in [lambda t: t + 1, lambda t: t.sum(), lambda t: t * 3, lambda t: t.view(2), lambda t: t.mean(), lambda t: -t, lambda t: t - t]:
        x = leaf(1, 2)
        y = x * 1
        z = op(y)
        y.zero_()
        z.sum().backward()
        out.append(nums(x.grad))
    return out


@case
def constant_operand_not_saved():
    x = leaf(1, 2)
    c = ramp(2)
    y = x * 1
    z = y * c
    y.add_(1)
    z.sum().backward()
    return nums(x.grad)


@case
def saved_view_of_changed_base():
    x, y = root(4)
    z = y[:2].exp() * y[:2]
    y[3] = 0.0
    return [error(lambda: z.sum().backward(), ", which")]


@case
def increment_version():
    x = leaf(1, 2)
    y = (x * 1) * x
    torch.autograd.graph.increment_version(x)
    torch.autograd.graph.increment_version([x, x])
    return [x._version, error(lambda: y.sum().backward(), " Hint")]


@case
def unsafe_set_version_counter():
    x = leaf(1, 2)
    y = x * 1
    z = (y * y).sum()
    with torch.autograd._unsafe_preserve_version_counter(y):
        y.mul_(2)
    z.backward()
    return [y._version, nums(x.grad)]


# --- every in-place form ------------------------------------------------------------------------------------------------

FORMS = {
    "abs_": lambda t: t.abs_(),
    "acos_": lambda t: t.acos_(),
    "add_": lambda t: t.add_(1),
    "addcdiv_": lambda t: t.addcdiv_(ramp(2), ramp(2) + 1),
    "addcmul_": lambda t: t.addcmul_(ramp(2), ramp(2)),
    "asin_": lambda t: t.asin_(),
    "atan2_": lambda t: t.atan2_(ramp(2)),
    "atan_": lambda t: t.atan_(),
    "ceil_": lambda t: t.ceil_(),
    "clamp_": lambda t: t.clamp_(0.3, 0.5),
    "clamp_max_": lambda t: t.clamp_max_(0.4),
    "clamp_min_": lambda t: t.clamp_min_(0.4),
    "copy_": lambda t: t.copy_(ramp(2)),
    "cos_": lambda t: t.cos_(),
    "cosh_": lambda t: t.cosh_(),
    "div_": lambda t: t.div_(ramp(2)),
    "erf_": lambda t: t.erf_(),
    "exp2_": lambda t: t.exp2_(),
    "exp_": lambda t: t.exp_(),
    "expm1_": lambda t: t.expm1_(),
    "fill_": lambda t: t.fill_(3),
    "floor_": lambda t: t.floor_(),
    "fmod_": lambda t: t.fmod_(0.2),
    "frac_": lambda t: t.frac_(),
    "index_put_": lambda t: t.index_put_((torch.tensor([1]),), ramp(1)),
    "lerp_": lambda t: t.lerp_(ramp(2), 0.3),
    "log10_": lambda t: t.log10_(),
    "log1p_": lambda t: t.log1p_(),
    "log2_": lambda t: t.log2_(),
    "log_": lambda t: t.log_(),
    "masked_fill_": lambda t: t.masked_fill_(torch.tensor([True, False]), 5),
    "mul_": lambda t: t.mul_(ramp(2)),
    "neg_": lambda t: t.neg_(),
    "pow_": lambda t: t.pow_(3),
    "reciprocal_": lambda t: t.reciprocal_(),
    "relu_": lambda t: t.relu_(),
    "remainder_": lambda t: t.remainder_(0.2),
    "round_": lambda t: t.round_(),
    "rsqrt_": lambda t: t.rsqrt_(),
    "scatter_": lambda t: t.scatter_(0, torch.tensor([1]), ramp(1)),
    "scatter_add_": lambda t: t.scatter_add_(0, torch.tensor([1]), ramp(1)),
    "setitem": lambda t: t.__setitem__(0, 2.0) or t,
    "sigmoid_": lambda t: t.sigmoid_(),
    "sign_": lambda t: t.sign_(),
    "sin_": lambda t: t.sin_(),
    "sinh_": lambda t: t.sinh_(),
    "sqrt_": lambda t: t.sqrt_(),
    "square_": lambda t: t.square_(),
    "sub_": lambda t: t.sub_(1),
    "tan_": lambda t: t.tan_(),
    "tanh_": lambda t: t.tanh_(),
    "trunc_": lambda t: t.trunc_(),
    "zero_": lambda t: t.zero_(),
}
def start():
    return leaf(0.25, 0.75)


@case
def forms_versions_and_nodes():
    out = {}
    for name, form in FORMS.items():
        x = start()
        y = x.clone()
        same = form(y) is y
        out[name] = [same, y._version, None if y.grad_fn is None else short(y.grad_fn.name())]
    return out


@case
def forms_gradients():
    out = {}
    for name, form in FORMS.items():
        x = start()
        y = x.clone()
        form(y)
        weigh(y).backward()
        out[name] = [nums(y), nums(x.grad)]
    return out


@case
def forms_on_views():
    out = {}
    for name, form in FORMS.items():
        x = start()
        y = torch.cat([x, x * 0 + 1])
        form(y[0:2])
        weigh(y).backward()
        out[name] = [y._version, tree(y.grad_fn, 0), nums(x.grad)]
    return out


@case
def forms_on_leaves():
    out = {}
    for name, form in FORMS.items():
        x = start()
        before = nums(x)
        text = error(lambda: form(x))
        with torch.no_grad():
            form(x)
        out[name] = [text, x._version, x.is_leaf, x.requires_grad, before == nums(start())]
    return out


@case
def random_forms_versions():
    out = []
    for form in [lambda t: t.uniform_(), lambda t: t.normal_(), lambda t: t.bernoulli_(0.5)]:
        y = leaf(1, 2).clone()
        form(y)
        out.append([y._version, y.requires_grad])
    return out


# --- in-place on non-leaves and leaves ----------------------------------------------------------------------------------


@case
def inplace():
    x = leaf(1, 2)
    y = x * 1
    w = y + 1
    y.add_(x)
    y.mul_(x)
    out = [tree(y.grad_fn), y._version]
    (weigh(y) + w.sum()).backward()
    return out + [nums(x.grad)]


@case
def requires_grad_inplace():
    x, y = ramp(2), leaf(3, 4)
    x.add_(y)
    return [x.requires_grad, x.is_leaf, tree(x.grad_fn)]


@case
def inplace_not_requires_grad():
    class Identity(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            return g

    a = ramp(3)
    b = Identity.apply(a)
    b[0] = 1.0
    out = [b.requires_grad, b._version]
    c = leaf(1, 2, 3)
    out.append(error(lambda: Identity.apply(c).add_(1), " This behavior"))
    d = Identity.apply(ramp(3))
    return out + [error(lambda: d.add_(c), " This view"), d.requires_grad]


@case
def leaf_inplace_raises_before_mutation():
    x = leaf(1, 2)
    out = [error(lambda: x.add_(1)), error(lambda: x.__setitem__(0, 5.0)), error(lambda: x[0:1].mul_(2)), error(lambda: x.copy_(ramp(2)))]
    return out + [nums(x), x._version]


@case
def leaf_changed_without_grad():
    x = leaf(1, 2)
    y = x * 2
    with torch.no_grad():
        x.add_(1)
        x[0] = 7.0
    y.sum().backward()
    return [nums(x.grad), flags(x)]


@case
def result_type_does_not_fit():
    a, b = torch.ones(2, dtype=torch.int32), torch.ones(2)
    return [error(lambda: a.add_(b)), error(lambda: a.div_(2)), nums(b.float().add_(torch.ones(2, dtype=torch.float64)))]


@case
def shape_does_not_fit():
    x, y = root(1)
    return [error(lambda: y.add_(ramp(2))), y._version, nums(y)]


@case
def overlapping_destination():
    x, y = root(1)
    return [error(lambda: y.expand(3).add_(1)), error(lambda: y.expand(3).mul_(ramp(3))), y._version]


@case
def broadcast_source():
    x, y = root(2, 3)
    b = leaf(5)
    y.mul_(b)
    y[0] = b
    weigh(y).backward()
    return [nums(x.grad), nums(b.grad)]


@case
def integer_inplace_on_float():
    x, y = root(2)
    y.mul_(torch.tensor([2, 3], dtype=torch.int32))
    weigh(y).backward()
    return nums(x.grad)


@case
def float32_view_of_nothing():
    a = torch.zeros(2)
    b = leaf(3, 4)
    a.add_(b)
    a.sum().backward()
    return [str(a.dtype)[6:], nums(b.grad), str(b.grad.dtype)[6:], tree(a.grad_fn)]


@case
def inplace_chain_of_saved_outputs():
    x, y = root(2)
    y.exp_()
    y.neg_()
    y.exp_()
    y.mul_(2)
    return [y._version, error(lambda: weigh(y).backward(), " Hint")]


# --- views and their bases ----------------------------------------------------------------------------------------------

VIEWS = {
    "view": lambda b: b.view(4),
    "reshape": lambda b: b.reshape(4),
    "flatten": lambda b: b.flatten(),
    "t": lambda b: b.t(),
    "transpose": lambda b: b.transpose(0, 1),
    "permute": lambda b: b.permute(1, 0),
    "movedim": lambda b: b.movedim(0, 1),
    "select": lambda b: b.select(0, 1),
    "slice": lambda b: b[0:2, 1:2],
    "narrow": lambda b: b.narrow(1, 0, 1),
    "squeeze": lambda b: b.squeeze(),
    "unsqueeze": lambda b: b.unsqueeze(0),
    "expand": lambda b: b.expand(3, 2, 2),
    "diagonal": lambda b: b.diagonal(),
    "unfold": lambda b: b.unfold(0, 2, 1),
    "as_strided": lambda b: b.as_strided((2,), (2,)),
    "view_as": lambda b: b.view_as(b),
    "split": lambda b: b.split(1)[1],
    "chunk": lambda b: b.chunk(2)[1],
    "unbind": lambda b: b.unbind()[1],
    "detach": lambda b: b.detach(),
    "int index": lambda b: b[1],
    "none index": lambda b: b[None],
}


@case
def views_flags():
    out = {}
    for name, view in VIEWS.items():
        _, b = root(2, 2)
        v = view(b)
        out[name] = [flags(v), v._base is b]
    return out


@case
def views_after_change_of_base():
    out = {}
    for name, view in VIEWS.items():
        x, b = root(2, 2)
        v = view(b)
        b.mul_(3)
        out[name] = [error(lambda: v.grad_fn, "This view")]
        if out[name] != ["no error"]:
            continue
        out[name] += [None if v.grad_fn is None else tree(v.grad_fn), flags(v)]
        if v.requires_grad:
            weigh(v).backward()
            out[name].append(nums(x.grad))
    return out


@case
def views_changed_themselves():
    out = {}
    for name, view in VIEWS.items():
        if name in ("expand", "detach"):
            continue
        x, b = root(2, 2)
        v = view(b)
        text = error(lambda: v.mul_(3), "This view")
        out[name] = [text, b._version]
        if text != "no error":
            continue
        out[name] += [tree(b.grad_fn), tree(v.grad_fn), nums(b)]
        (weigh(b) + weigh(v)).backward()
        out[name].append(nums(x.grad))
    return out


@case
def views_of_leaves():
    out = {}
    for name, view in VIEWS.items():
        if name in ("expand", "detach"):
            continue
        x = ramp(2, 2).requires_grad_()
        v = view(x)
        out[name] = [error(lambda: v.mul_(3), "This view"), x._version, v._base is x]
    return out


@case
def views_of_constants():
    out = {}
    for name, view in VIEWS.items():
        if name in ("expand", "detach"):
            continue
        b, w = ramp(2, 2), leaf(2)
        v = view(b)
        text = error(lambda: v.mul_(w), "This view")
        out[name] = [text, flags(b)]
        if text == "no error":
            weigh(b).backward()
            out[name].append(nums(w.grad))
    return out


@case
def views_made_without_grad():
    out = {}
    for name, view in VIEWS.items():
        if name in ("expand", "detach"):
            continue
        x, b = root(2, 2)
        with torch.no_grad():
            v = view(b)
        out[name] = [flags(v), error(lambda: v.mul_(3), "Given"), b._version]
    return out


@case
def inplace_on_view_leaf_errors():
    x = ramp(1).requires_grad_()
    y = x.view_as(x)
    return [error(lambda: y.add_(1)), nums(x)]


@case
def inplace_on_view_backward():
    x = leaf(1, 2, 3, 4)
    y = x * 1
    v = y[1:3]
    v.pow_(3)
    (g,) = torch.autograd.grad(weigh(y), x, create_graph=True)
    out = [nums(g)]
    (h,) = torch.autograd.grad(weigh(g), x)
    return out + [nums(h)]


@case
def inplace_on_view_backprop_base():
    x, y = root(2, 2)
    v = y.narrow(0, 0, 1)
    v.mul_(2)
    weigh(y).backward()
    return nums(x.grad)


@case
def inplace_on_view_backprop_view():
    a, b = leaf(2, 5), leaf(3)
    v = a.clone()
    v.narrow(0, 0, 1).copy_(b)
    v.narrow(0, 0, 1).sum().backward()
    return [nums(a.grad), nums(b.grad)]


@case
def inplace_on_view_backprop_view_of_view():
    x, y = root(2, 2)
    v1 = y.narrow(0, 0, 1)
    v2 = y.narrow(0, 0, 1)
    v1.mul_(2)
    weigh(v2).backward()
    return nums(x.grad)


@case
def inplace_on_view_of_view():
    x, y = root(2, 2)
    v1 = y.select(0, 0)
    v2 = v1.select(0, 0)
    v2.mul_(3)
    out = [tree(y.grad_fn), tree(v1.grad_fn), tree(v2.grad_fn), v2._base is y]
    weigh(y).backward()
    return out + [nums(x.grad)]


@case
def inplace_on_view_then_no_grad():
    a = leaf(1, 2, 3).requires_grad_()
    b = a.clone()
    b[1:].mul_(2)
    with torch.no_grad():
        first = b.grad_fn is not None
    return [first, tree(b.grad_fn)]


@case
def inplace_on_view_multiple_outputs():
    x, y = root(2, 2)
    v1, v2 = y.unbind()
    return [error(lambda: v1.mul_(2)), nums(x), y._version]


@case
def inplace_on_view_of_multiple_output_view():
    x, y = root(2, 2)
    v = y.unbind()[0].view_as(y[0])
    return [error(lambda: v.mul_(2))]


@case
def inplace_multiple_output_view_of_view():
    x, y = root(2, 2)
    v = y.view_as(y).unbind()[0]
    return [error(lambda: v.mul_(2))]


@case
def multiple_outputs_of_a_constant():
    out = []
    for make in [lambda b: b.unbind()[0], lambda b: b.split(1)[0], lambda b: b.chunk(2)[0]]:
        b, w = ramp(2, 2), leaf(2)
        v = make(b)
        v.mul_(2)
        out.append([nums(b), b._version, error(lambda: v.mul_(w))])
    return out


@case
def multiple_outputs_then_base_changes():
    x, y = root(2, 2)
    v = y.unbind()[0]
    y.mul_(2)
    return [error(lambda: v.grad_fn), error(lambda: v * 2)]


@case
def multiple_outputs_then_base_changes_without_grad():
    x, y = root(2, 2)
    v = y.unbind()[0]
    with torch.no_grad():
        y.mul_(2)
    return [v._version, error(lambda: v.grad_fn)]


@case
def single_output_of_split():
    x, y = root(2, 2)
    v = y.split(2)[0]
    return [error(lambda: v.mul_(2)), v.output_nr, short(y.split(1)[1].grad_fn.name()), y.split(1)[1].output_nr]


@case
def inplace_on_view_makes_base_require_grad():
    a, b = ramp(4), leaf(7)
    v = a[0:2]
    w = a[2:4]
    out = [v.requires_grad, w.requires_grad]
    v[0] = b[0]
    return out + [a.requires_grad, v.requires_grad, w.requires_grad, tree(a.grad_fn), tree(w.grad_fn)]


@case
def inplace_on_view_modify_base():
    a = ramp(1).requires_grad_()
    b = a.clone()
    v = b.view_as(b)
    out = [short(v.grad_fn.name())]
    b.add_(1)
    out.append(short(v.grad_fn.name()))
    (v * 3).sum().backward()
    return out + [nums(a.grad)]


@case
def inplace_on_view_non_contig():
    x = ramp(2, 3, 2).requires_grad_()
    y = x.select(2, 1).t() * 1
    v = y.narrow(0, 1, 1)
    v.mul_(2)
    weigh(y).backward()
    return nums(x.grad)


@case
def inplace_on_view_of_transposed():
    x, y = root(2, 3)
    v = y.t()
    v[1:].mul_(5)
    v[0, 1] = 0.0
    (weigh(v) + weigh(y)).backward()
    return [nums(y), nums(x.grad), tree(y.grad_fn)]


@case
def inplace_on_view_undefined_grad_output():
    a = leaf(1, 2)
    c = a.clone()
    v = c[0:1]
    v.mul_(2)
    out = v * 1
    out.sum().backward()
    return nums(a.grad)


@case
def inplace_on_view_python():
    class Fn(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x, y = root(4)
    v = y[1:3]
    Fn.apply(v)
    weigh(y).backward()
    return [nums(y), nums(x.grad), tree(y.grad_fn)]


@case
def autograd_inplace_view_of_view():
    out = []
    x = torch.zeros(2)
    with torch.no_grad():
        y = x.view(2)
    y.requires_grad_(True)
    z = y.view(2)
    out.append(error(lambda: z.mul_(2), "Given"))
    with torch.inference_mode():
        y = x.view(2)
    y.requires_grad_(True)
    z = y.view(2)
    out.append(error(lambda: z.mul_(2), "Given"))
    return out


@case
def autograd_multiple_views_python():
    x, y = root(3)
    views = [y[0:2], y[1:3], y.view(3, 1)]
    views[0].mul_(2)
    views[1].add_(1)
    views[2].mul_(3)
    out = [[tree(v.grad_fn, 1), nums(v)] for v in views]
    (weigh(views[0]) + weigh(views[1]) + weigh(y)).backward()
    return out + [nums(x.grad), y._version]


@case
def autograd_simple_views_python():
    class Slice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.narrow(0, 0, 2)

        @staticmethod
        def backward(ctx, g):
            return torch.cat([g, g * 0])

    x = leaf(1, 2, 3, 4)
    v = Slice.apply(x)
    out = [flags(v), v._base is x]
    out.append(error(lambda: v.mul_(2), " This behavior"))
    y = x * 1
    v = Slice.apply(y)
    return out + [error(lambda: v.mul_(2), " This behavior")]


@case
def autograd_inplace_views_creation_meta():
    """Which in-place operations on which views, in which mode, are refused."""
    ops = {
        "mul_": lambda t: t.mul_(2),
        "copy_": lambda t: t.copy_(t.detach() * 2),
        "zero_": lambda t: t.zero_(),
        "t_": lambda t: t.t_(),
        "transpose_": lambda t: t.transpose_(0, 1),
        "squeeze_": lambda t: t.squeeze_(),
        "unsqueeze_": lambda t: t.unsqueeze_(0),
    }

    def no_grad(f):
        with torch.no_grad():
            return f()

    def inference(f):
        with torch.inference_mode():
            return f()

    makers = {
        "default": lambda b: b.view(2, 2),
        "no_grad": lambda b: no_grad(lambda: b.view(2, 2)),
        "inference": lambda b: inference(lambda: b.view(2, 2)),
        "multi output": lambda b: b.view(2, 2, 2).unbind()[0] if b.numel() == 8 else b.view(1, 2, 2).unbind()[0],
        "multi output no_grad": lambda b: no_grad(lambda: b.view(1, 2, 2).unbind()[0]),
    }
    modes = {"grad": lambda f: f(), "no_grad": no_grad, "inference": inference}
    out = {}
    for made, maker in makers.items():
        for name, op in ops.items():
            for mode, enter in modes.items():
                for needs in [True, False]:
                    b = ramp(4).requires_grad_(needs) * 1
                    v = maker(b)
                    out[f"{made} {name} {mode} {needs}"] = error(lambda: enter(lambda: op(v)), "Given")
    return out


@case
def inplace_view_operations():
    out = {}
    for name, op in {
        "t_": lambda t: t.t_(),
        "transpose_": lambda t: t.transpose_(0, 1),
        "squeeze_": lambda t: t.squeeze_(),
        "squeeze_ dim": lambda t: t.squeeze_(1),
        "unsqueeze_": lambda t: t.unsqueeze_(1),
        "as_strided_": lambda t: t.as_strided_((2,), (1,), 1),
    }.items():
        x, y = root(3, 1)
        same = op(y) is y
        out[name] = [same, list(y.shape), list(y.stride()), flags(y), tree(y.grad_fn), error(lambda: op(ramp(3, 1).requires_grad_()))]
        weigh(y).backward()
        out[name].append(nums(x.grad))
        c = ramp(3, 1)
        op(c)
        out[name] += [list(c.shape), flags(c)]
    return out


@case
def inplace_view_operation_on_view():
    x, y = root(2, 3)
    v = y[:, 1:]
    v.t_()
    out = [list(v.shape), flags(v), v._base is y, tree(y.grad_fn), tree(v.grad_fn)]
    v.mul_(2)
    out += [nums(y), tree(y.grad_fn)]
    (weigh(y) + weigh(v)).backward()
    return out + [nums(x.grad)]


@case
def view_made_before_base_needs_grad():
    b, w = ramp(4), leaf(2)
    v = b.view(2, 2)
    out = [v.requires_grad, v.is_leaf]
    b.view(2, 2).mul_(w)
    return out + [flags(v), nums(v)]


@case
def no_grad_view_of_constant_then_base_changes():
    b, w = ramp(4), leaf(2)
    with torch.no_grad():
        v = b[0:2]
    b.mul_(w)
    return [b.requires_grad, error(lambda: v.grad_fn, "Given"), error(lambda: v.mul_(2), "Given")]


@case
def no_grad_view_changed_by_constant():
    b = ramp(4)
    with torch.no_grad():
        v = b[0:2]
    v.mul_(2)
    return [nums(b), v._version, v.requires_grad]


@case
def no_grad_view_then_no_grad_change():
    x, y = root(4)
    with torch.no_grad():
        v = y[0:2]
        v.mul_(2)
    return [nums(y), y._version, tree(y.grad_fn), error(lambda: v.grad_fn, "Given"), v.requires_grad]


@case
def first_read_of_view_in_no_grad():
    x, y = root(4)
    v = y[0:2]
    y.mul_(2)
    with torch.no_grad():
        first = tree(v.grad_fn)
    again = v.grad_fn
    return [first, tree(again), v.grad_fn is again]


@case
def old_node_of_changed_tensor():
    x, y = root(2)
    old = y.grad_fn
    y.mul_(2)
    return [short(old.name()), y.grad_fn is old, y.grad_fn.next_functions[0][0] is old]


@case
def view_is_used_then_base_changes():
    x, y = root(4)
    v = y[0:2]
    w = v * 3
    y.mul_(2)
    (weigh(w) + weigh(v)).backward()
    return nums(x.grad)


@case
def view_saved_then_base_changes():
    x, y = root(4)
    v = y[0:2]
    w = v * v
    y.mul_(2)
    return [error(lambda: w.sum().backward(), ", which")]


@case
def view_of_leaf_used_after_change_without_grad():
    x = leaf(1, 2, 3)
    v = x[0:2]
    with torch.no_grad():
        x.mul_(2)
    weigh(v).backward()
    return [flags(v), nums(x.grad)]


@case
def grad_of_view_and_base():
    x, y = root(4)
    v = y[0:2]
    v.mul_(2)
    return [nums(g) for g in torch.autograd.grad(weigh(y) + weigh(v), [x, y, v])]


@case
def copy_slices_partial():
    """Only one of the inputs of the operation on a view is asked for."""
    x, w = leaf(1, 2, 3, 4), leaf(5, 6)
    y = x * 1
    y[1:3].mul_(w)
    out = [nums(torch.autograd.grad(weigh(y), w, retain_graph=True)[0]), nums(torch.autograd.grad(weigh(y), x, retain_graph=True)[0])]
    weigh(y).backward(inputs=[w])
    return out + [nums(x.grad), nums(w.grad), tree(y.grad_fn)]


@case
def copy_slices_second_order():
    x, w = leaf(1, 2, 3, 4), leaf(5, 6)
    y = x * x
    y[1:3].mul_(w)
    y[0:2].copy_(w * w)
    g = torch.autograd.grad(weigh(y * y), [x, w], create_graph=True)
    h = torch.autograd.grad(weigh(g[0]) + weigh(g[1]), [x, w])
    return [nums(t) for t in [*g, *h]]


@case
def copy_slices_retained():
    x, y = root(4)
    v = y[0:2]
    v.mul_(2)
    y.retain_grad()
    v.retain_grad()
    weigh(v).backward(retain_graph=True)
    weigh(y).backward()
    return [nums(y.grad), nums(v.grad), nums(x.grad)]


@case
def assigning_slices_in_a_loop():
    x = leaf(1, 2, 3)
    y = torch.zeros(3, dtype=torch.float64)
    for i in range(3):
        y[i] = x[i] * x[: i + 1].sum()
    weigh(y).backward()
    return [nums(x.grad), y._version, short(y.grad_fn.name())]


@case
def overlapping_windows():
    x, y = root(5)
    y.unfold(0, 3, 2)
    y[0:3].mul_(2)
    y[2:5].mul_(3)
    y[1:4].add_(y[0:3].clone())
    weigh(y).backward()
    return [nums(y), nums(x.grad)]


@case
def partly_overlapping_operands():
    x, y = root(4)
    return [error(lambda: y[1:4].mul_(y[0:3])), y._version]


# --- detach_, data, flags -----------------------------------------------------------------------------------------------


@case
def detach_rules():
    x, y = root(2)
    v = y[0:1]
    z = y * 3
    out = [error(lambda: v.detach_(), " If you")]
    y.detach_()
    out += [flags(y), flags(x.detach_()), tree(z.grad_fn)]
    c = ramp(2)
    return out + [error(lambda: c[0:1].detach_(), " If you"), flags(c.detach_())]


@case
def detach_base():
    x, y = root(2)
    v = y[0:1]
    d = v.detach()
    out = [flags(d), d._base is None]
    d.add_(1)
    return out + [v._version, y._version, nums(y), tree(v.grad_fn)]


@case
def detached_in_place_after_saving():
    x = leaf(1, 2)
    y = x * 1
    z = y * y
    y.detach_()
    return [error(lambda: z.sum().backward(), ".This")]


@case
def detach_of_base_after_view():
    x, y = root(4)
    v = y[0:2]
    y.detach_()
    out = [flags(y), flags(v)]
    weigh(v).backward()
    return out + [nums(x.grad)]


@case
def requires_grad_on_non_leaf():
    x, y = root(2)
    i = torch.ones(2, dtype=torch.int32)
    return [
        error(lambda: y.requires_grad_(False)),
        error(lambda: setattr(y, "requires_grad", False)),
        y.requires_grad_(True) is y,
        flags(x.requires_grad_(False)),
        error(lambda: i.requires_grad_()),
        error(lambda: setattr(i, "requires_grad", True)),
        i.requires_grad_(False) is i,
    ]


@case
def requires_grad_off_with_graph():
    x = leaf(1, 2)
    y = x * 2
    x.requires_grad_(False)
    y.sum().backward()
    return [nums(x.grad), (x * 2).requires_grad]


@case
def requires_grad_on_view_of_constant():
    b = ramp(4)
    v = b[0:2]
    v.requires_grad_()
    out = [flags(v), b.requires_grad, v._base is b]
    weigh(v).backward()
    return out + [nums(v.grad), error(lambda: v.mul_(2)), error(lambda: b.mul_(2)), v._version]


@case
def requires_grad_on_base_after_view():
    b = ramp(4)
    v = b[0:2]
    b.requires_grad_()
    return [flags(v), error(lambda: v.mul_(2)), error(lambda: b.mul_(2)), (v * 2).requires_grad]


@case
def data_of_non_leaf():
    x, y = root(2)
    y.data = ramp(2) * 10
    out = [flags(y), nums(y)]
    weigh(y).backward()
    return out + [nums(x.grad)]


@case
def data_and_views():
    x, y = root(2)
    v = y[0:1]
    d = v.data
    d.add_(5)
    return [flags(d), d._base is None, nums(y), y._version]


@case
def leaf_data_changed():
    x = leaf(1, 2)
    y = x * x
    x.data.mul_(10)
    y.sum().backward()
    return [nums(x.grad), x._version]


@case
def deepcopy():
    x, y = root(2)
    weigh(y).backward()
    c = copy.deepcopy(x)
    c.data.mul_(3)
    out = [c.requires_grad, c.is_leaf, nums(x), nums(c), nums(c.grad), c.grad is x.grad]
    d = copy.deepcopy(ramp(2))
    return out + [d.requires_grad, error(lambda: copy.deepcopy(y), " at the moment")]


@case
def clones_are_no_views():
    x, y = root(4)
    v = y[0:2]
    return [flags(v.clone()), flags(v.contiguous()), v.contiguous() is v, flags(y.view(2, 2).t().contiguous()), flags(y.view(2, 2).t().reshape(4))]


@case
def views_that_are_the_tensor():
    x, y = root(2, 2)
    return [y.reshape(2, 2) is y, y.reshape(2, 2)._is_view(), y.expand(2, 2) is y, y.expand(2, 2)._is_view(), y.to(torch.float64) is y, y.view(2, 2)._is_view()]


@case
def hooks_of_changed_tensor():
    x, y = root(2)
    seen = []
    y.register_hook(lambda g: seen.append(["before", nums(g)]))
    y.mul_(2)
    y.register_hook(lambda g: seen.append(["after", nums(g)]))
    weigh(y).backward()
    return [seen, nums(x.grad)]


@case
def hooks_of_view_and_base():
    x, y = root(3)
    v = y[0:2]
    v.mul_(2)
    seen = []
    y.register_hook(lambda g: seen.append(["base", nums(g)]))
    v.register_hook(lambda g: seen.append(["view", nums(g)]))
    (weigh(v) + weigh(y)).backward()
    return [seen, nums(x.grad)]


@case
def gradient_edges_of_changed_tensor():
    x, y = root(2)
    edge = torch.autograd.graph.get_gradient_edge(y)
    y.mul_(2)
    now = torch.autograd.graph.get_gradient_edge(y)
    return [[nums(g) for g in torch.autograd.grad(weigh(y), [edge, now])], short(edge.node.name()), short(now.node.name())]


@case
def set_item_forms():
    out = []
    for value in [lambda: 5.0, lambda: leaf(7)[0], lambda: ramp(2)]:
        x, y = root(2, 2)
        y[0] = value()
        y[:, 1] = value()
        weigh(y).backward()
        out.append([nums(y), nums(x.grad), y._version, tree(y.grad_fn, 1)])
    return out


@case
def index_put_gradients():
    x, y = root(4)
    w = leaf(5, 6)
    i = torch.tensor([3, 1])
    y.index_put_((i,), w)
    y.index_put_((i,), w, accumulate=True)
    y[torch.tensor([True, False, False, True])] = 0.0
    weigh(y).backward()
    return [nums(y), nums(x.grad), nums(w.grad), y._version]


@case
def copy_between_dtypes():
    x, y = root(2)
    f = torch.zeros(2)
    f.copy_(y)
    y.copy_(f * 2)
    weigh(y).backward()
    return [nums(x.grad), str(f.dtype)[6:], tree(f.grad_fn)]


@case
def fill_with_tensor():
    x, y = root(3)
    w = torch.tensor(4.0, dtype=torch.float64, requires_grad=True)
    y[1:].fill_(w)
    weigh(y).backward()
    return [nums(y), nums(x.grad), nums(w.grad), tree(y.grad_fn, 1)]


@case
def masked_fill_on_view():
    x, y = root(2, 3)
    w = torch.tensor(4.0, dtype=torch.float64, requires_grad=True)
    y.t()[1:].masked_fill_(torch.tensor([True, False]), w)
    weigh(y).backward()
    return [nums(y), nums(x.grad), nums(w.grad)]


@case
def optimizer_like_step():
    w = leaf(1, 2)
    for _ in range(2):
        (w * 3).sum().backward()
        with torch.no_grad():
            w.sub_(w.grad, alpha=0.1)
            w.grad.zero_()
    return [nums(w), w._version, w.grad._version, w.is_leaf]


@case
def gradient_buffer_versions():
    w = leaf(1, 2)
    (w * 2).sum().backward()
    g = w.grad
    out = [g._version]
    (w * 2).sum().backward()
    return out + [g._version, w.grad is g, nums(g)]


# --- inference mode -----------------------------------------------------------------------------------------------------


def states():
    return [torch.is_grad_enabled(), torch.is_inference_mode_enabled()]


@case
def inference_states():
    x = leaf(1, 2)
    out = []
    with torch.inference_mode():
        out.append(states())
        with torch.enable_grad():
            y = x * 2
            out += [states(), y.requires_grad, y.is_inference()]
        with torch.inference_mode(False):
            y = x * 2
            out += [states(), y.requires_grad, y.is_inference()]
            with torch.inference_mode():
                out.append(states())
        out.append(states())
    with torch.no_grad():
        with torch.inference_mode(False):
            out.append(states())
        with torch.inference_mode():
            out.append(states())
        out.append(states())
    return out + [states()]


@case
def inference_data_and_aliases():
    x = leaf(1, 2)
    with torch.inference_mode():
        i = ramp(2)
        out = [t.is_inference() for t in [i, i.data, i.detach(), i[0:1], i.clone(), x.data, x.detach(), x[0:1], x.clone()]]
    return out + [t.is_inference() for t in [i, i.data, i.detach(), i[0:1], i.clone(), i + 1, i.contiguous()]]


@case
def inference_versions():
    with torch.inference_mode():
        i = ramp(2)
        i.add_(1)
        out = [error(lambda: i._version)]
    torch.autograd.graph.increment_version([i])
    x, y = root(2)
    with torch.inference_mode():
        y.add_(1)
        y[0] = 5.0
    return out + [error(lambda: i._version), y._version, nums(y), nums(i)]


@case
def inference_change_breaks_saved():
    x, y = root(2)
    z = y * y
    with torch.inference_mode():
        y.add_(1)
    return [error(lambda: z.sum().backward(), " Hint")]


@case
def inference_under_transforms():
    def square(a):
        return (a * a).sum()

    i = None
    with torch.inference_mode():
        i = ramp(3)
        out = [nums(torch.func.grad(square)(i)), nums(torch.func.jvp(square, (i,), (ramp(3),))[1])]
    out += [nums(torch.func.grad(square)(i)), nums(torch.func.grad(lambda a: (a * i).sum())(ramp(3)))]
    return out


@case
def inference_leaf_flags():
    with torch.inference_mode():
        i = ramp(2)
        i.requires_grad_()
        j = ramp(2)
        v = i[0:1]
        out = [i.requires_grad, i.is_leaf, v.requires_grad, v._is_view(), (i * 2).requires_grad]
    return out + [error(lambda: j.requires_grad_()), error(lambda: setattr(j, "requires_grad", True)), (i + 1).requires_grad]


@case
def inference_backward():
    x, y = root(2)
    z = weigh(y * y)
    with torch.inference_mode():
        z.backward()
    return [nums(x.grad), x.grad.is_inference(), x.is_inference()]


@case
def inference_in_place_text():
    with torch.inference_mode():
        i = ramp(2)
        with torch.inference_mode(False):
            inner = error(lambda: i.add_(1), ".You")
    with torch.no_grad():
        without = error(lambda: i.zero_(), ".You")
    return [inner, without, error(lambda: i.__setitem__(0, 1.0), ".You")]


@case
def inference_saved_text():
    with torch.inference_mode():
        i = ramp(2)
    x = leaf(1, 2)
    y = x * 1
    return [
        error(lambda: x * i, " Please"),
        error(lambda: y.mul_(i), " Please"),
        (x + i).requires_grad,
        error(lambda: torch.where(i > 1, x, x * 0), " Please"),
        error(lambda: x.exp() * i.clone()),
    ]


def main():
    recorded = {}
    for name, fn in CASES.items():
        try:
            recorded[name] = fn()
        except Exception as e:
            raise RuntimeError(f"case {name}") from e
    text = "{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in recorded.items()) + "\n}\n"
    pathlib.Path(__file__).with_name("views.json").write_text(text)
    print(f"{len(recorded)} cases")


if __name__ == "__main__":
    main()
