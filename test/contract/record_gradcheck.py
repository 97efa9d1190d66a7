"""Records the outcomes of PyTorch's gradcheck and gradgradcheck in small cases; gradcheck.test.ts runs the same cases.

Usage: python3 test/contract/record_gradcheck.py  (PyTorch 2.13, CPU); writes gradcheck.json beside this file.
"""

import json
import pathlib
import warnings

import torch
from torch.autograd import Function, gradcheck, gradgradcheck

CASES = {}


def case(fn):
    CASES[fn.__name__] = fn
    return fn


def leaf(*values):
    return torch.tensor(list(values), dtype=torch.float64, requires_grad=True)


def outcome(fn):
    """True, False, or the first words of the error, and how many warnings came."""
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        try:
            made = fn()
        except Exception as e:
            made = "error: " + str(e).split("\n")[0].split(" on index")[0].split(" Please look at")[0].split(" by 1e-06")[0]
    return [made, sum(str(x.message).startswith(("Input #", "Backwards compatibility")) for x in w)]


def define(forward, backward, **more):
    body = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    body.update({k: staticmethod(v) for k, v in more.items()})
    return type("Mine", (Function,), body).apply


def save(ctx, x):
    ctx.save_for_backward(x)
    return x * x


right = define(save, lambda ctx, g: 2 * ctx.saved_tensors[0] * g)
wrong = define(save, lambda ctx, g: 3 * ctx.saved_tensors[0] * g)
not_linear = define(lambda ctx, x: x * 2, lambda ctx, g: 2 * g + 1e-7)
silent = define(lambda ctx, x: x * 2, lambda ctx, g: None)
numbers = iter(range(1000))
unsteady = define(lambda ctx, x: x * 2, lambda ctx, g: g * 2 + 1e-6 * next(numbers) * g)


def undefined_forward(ctx, x):
    ctx.set_materialize_grads(False)
    return x * 2


def refuses_none(ctx, g):
    if g is None:
        raise RuntimeError("None is not expected")
    return g * 2


def invents(ctx, g):
    return torch.ones(2, dtype=torch.float64) if g is None else g * 2


fragile = define(undefined_forward, refuses_none)
inventive = define(undefined_forward, invents)
careful = define(undefined_forward, lambda ctx, g: None if g is None else g * 2)
X = (1.5, -0.5)


@case
def right_and_wrong():
    return [outcome(lambda: gradcheck(f, (leaf(*X),))) for f in (right, wrong, lambda x: x.exp(), torch.sin)]


@case
def without_raising():
    return [outcome(lambda: gradcheck(f, leaf(*X), raise_exception=False)) for f in (right, wrong, not_linear)]


@case
def other_errors_are_raised_all_the_same():
    def fails(x):
        raise ValueError("mine")

    return [
        outcome(lambda: gradcheck(fails, leaf(*X), raise_exception=False)),
        outcome(lambda: gradcheck(torch.sin, leaf(*X).detach(), raise_exception=False)),
    ]


@case
def no_input_requires_grad():
    return [outcome(lambda: gradcheck(torch.sin, torch.ones(2, dtype=torch.float64)))]


@case
def single_precision_warns():
    return [outcome(lambda: gradcheck(torch.sin, torch.tensor([0.5], requires_grad=True), raise_exception=False))]


@case
def stride_zero():
    return [outcome(lambda: gradcheck(torch.sin, leaf(0.5).expand(3)))]


@case
def strided_inputs():
    t = torch.arange(6, dtype=torch.float64).reshape(2, 3).t().detach().requires_grad_()
    return [outcome(lambda: gradcheck(torch.sin, t)), outcome(lambda: gradgradcheck(torch.sin, t))]


@case
def several_inputs_and_outputs():
    f = lambda x, y: (x * y, x.exp(), y.sum())  # noqa: E731
    return [outcome(lambda: gradcheck(f, (leaf(*X), leaf(2, 3)))), outcome(lambda: gradgradcheck(f, (leaf(*X), leaf(2, 3))))]


@case
def wrong_input_is_named():
    f = lambda x, y: (x * 2, wrong(y))  # noqa: E731
    return [outcome(lambda: gradcheck(f, (leaf(*X), leaf(2, 3))))]


@case
def constants_among_the_inputs():
    return [outcome(lambda: gradcheck(torch.mul, (leaf(*X), leaf(2, 3).detach())))]


@case
def tolerances():
    slightly = define(save, lambda ctx, g: 2.001 * ctx.saved_tensors[0] * g)
    return [
        outcome(lambda: gradcheck(slightly, leaf(*X), rtol=1e-2)),
        outcome(lambda: gradcheck(slightly, leaf(*X), rtol=1e-5, atol=1e-6)),
        outcome(lambda: gradcheck(slightly, leaf(*X), rtol=0, atol=1e-2)),
        outcome(lambda: gradcheck(torch.sin, leaf(*X), eps=0.5)),
    ]


@case
def not_multiplied_by_grad_output():
    return [outcome(lambda: gradcheck(not_linear, leaf(*X)))]


@case
def no_differentiable_output():
    return [
        outcome(lambda: gradcheck(lambda x: x.detach() * 2, leaf(*X))),
        outcome(lambda: gradcheck(lambda x: torch.ones(2, dtype=torch.float64), leaf(*X))),
        outcome(lambda: gradcheck(lambda x: x.detach() * 2, leaf(*X), fast_mode=True)),
    ]


@case
def unused_input():
    return [outcome(lambda: gradcheck(lambda x, y: x.sin(), (leaf(*X), leaf(2, 3))))]


@case
def silent_backward():
    return [outcome(lambda: gradcheck(silent, leaf(*X))), outcome(lambda: gradcheck(lambda x: x * 0, leaf(*X)))]


@case
def reentrant():
    return [
        outcome(lambda: gradcheck(unsteady, leaf(*X))),
        outcome(lambda: gradcheck(unsteady, leaf(*X), nondet_tol=1e-5)),
        outcome(lambda: gradcheck(unsteady, leaf(*X), fast_mode=True)),
    ]


@case
def undefined_grads():
    return [
        outcome(lambda: gradcheck(f, leaf(*X), check_undefined_grad=on)) for f in (fragile, inventive, careful) for on in (True, False)
    ]


@case
def undefined_grads_of_one_output():
    f = lambda x: (fragile(x), x * 3)  # noqa: E731
    return [outcome(lambda: gradcheck(f, leaf(*X))), outcome(lambda: gradcheck(lambda x: (careful(x), x * 3), leaf(*X)))]


@case
def shapes_that_change():
    return [
        outcome(lambda: gradcheck(lambda x: x[x > 0.5], leaf(0.5, 1))),
        outcome(lambda: gradcheck(lambda x: x * 2 if x.sum() > 1.5 else (x * 2).float(), leaf(0.5, 1))),
    ]


@case
def options_that_exclude_each_other():
    x = leaf(*X)
    return [
        outcome(lambda: gradcheck(torch.sin, x, check_backward_ad=False)),
        outcome(lambda: gradcheck(torch.sin, x, check_backward_ad=False, check_forward_ad=True, check_batched_grad=True)),
        outcome(lambda: gradcheck(torch.sin, x, check_batched_forward_grad=True)),
        outcome(lambda: gradgradcheck(torch.sin, x, check_rev_over_rev=False)),
        outcome(lambda: gradgradcheck(torch.sin, x, check_rev_over_rev=False, check_fwd_over_rev=True)),
        outcome(
            lambda: gradgradcheck(
                torch.sin, x, check_rev_over_rev=False, check_fwd_over_rev=True, check_undefined_grad=False, check_batched_grad=True
            )
        ),
    ]




def setup(ctx, inputs, output):
    ctx.save_for_backward(inputs[0])
    ctx.save_for_forward(inputs[0])


def with_jvp(factor):
    return define(
        lambda x: x.pow(3),
        lambda ctx, g: 3 * ctx.saved_tensors[0].pow(2) * g,
        setup_context=setup,
        jvp=lambda ctx, t: factor * ctx.saved_tensors[0].pow(2) * t,
    )


@case
def forward_mode():
    return [
        outcome(lambda: gradcheck(torch.sin, leaf(*X), check_forward_ad=True)),
        outcome(lambda: gradcheck(with_jvp(3), leaf(*X), check_forward_ad=True)),
        outcome(lambda: gradcheck(with_jvp(4), leaf(*X), check_forward_ad=True)),
        outcome(lambda: gradcheck(with_jvp(4), leaf(*X), check_forward_ad=True, check_backward_ad=False)),
        outcome(lambda: gradcheck(with_jvp(4), leaf(*X))),
        outcome(lambda: gradcheck(lambda x, y: (x * y, y.sin()), (leaf(*X), leaf(2, 3)), check_forward_ad=True)),
    ]


@case
def fast_mode():
    f = lambda x, y: (x * y, x.exp(), y.sum())  # noqa: E731
    return [
        outcome(lambda: gradcheck(f, (leaf(*X), leaf(2, 3)), fast_mode=True)),
        outcome(lambda: gradcheck(wrong, leaf(*X), fast_mode=True)),
        outcome(lambda: gradcheck(f, (leaf(*X), leaf(2, 3)), fast_mode=True, check_forward_ad=True)),
        outcome(lambda: gradcheck(with_jvp(4), leaf(*X), fast_mode=True, check_forward_ad=True)),
        outcome(lambda: gradgradcheck(f, (leaf(*X), leaf(2, 3)), fast_mode=True)),
    ]


@case
def batched():
    return [
        outcome(lambda: gradcheck(torch.sin, leaf(*X), check_batched_grad=True)),
        outcome(lambda: gradcheck(lambda x, y: (x * y, y.sum()), (leaf(*X), leaf(2, 3)), check_batched_grad=True)),
        outcome(lambda: gradcheck(torch.sin, leaf(*X), check_forward_ad=True, check_batched_forward_grad=True)),
        outcome(lambda: gradgradcheck(torch.sin, leaf(*X), check_batched_grad=True)),
    ]


@case
def batched_rule_reads_values():
    reads = define(lambda ctx, x: x * 2, lambda ctx, g: g * 2 if g.sum().item() > -1e9 else g)
    return [outcome(lambda: gradcheck(reads, leaf(*X), check_batched_grad=True))[0][:45]]


@case
def second_derivatives():
    f = lambda x: x.pow(3) * 2  # noqa: E731
    return [
        outcome(lambda: gradgradcheck(f, leaf(*X))),
        outcome(lambda: gradgradcheck(right, leaf(*X))),
        outcome(lambda: gradgradcheck(f, leaf(*X), leaf(1, 2))),
        outcome(lambda: gradgradcheck(f, leaf(*X), torch.ones(2, dtype=torch.float64))),
        outcome(lambda: gradgradcheck(f, leaf(*X), gen_non_contig_grad_outputs=True)),
        outcome(lambda: gradgradcheck(f, leaf(*X), check_fwd_over_rev=True)),
        outcome(lambda: gradgradcheck(f, leaf(*X), check_fwd_over_rev=True, check_rev_over_rev=False, check_undefined_grad=False)),
    ]


class Forgets(Function):
    """Right once, wrong twice: the input is read behind the graph's back."""

    @staticmethod
    def forward(ctx, x):
        ctx.x = x.detach()
        return x * x

    @staticmethod
    def backward(ctx, g):
        return 2 * ctx.x * g


@case
def wrong_second_derivatives():
    return [
        outcome(lambda: gradcheck(Forgets.apply, leaf(*X))),
        outcome(lambda: gradgradcheck(Forgets.apply, leaf(*X))),
        outcome(lambda: gradgradcheck(Forgets.apply, leaf(*X), raise_exception=False)),
    ]


@case
def dtypes_of_gradients():
    return [
        outcome(lambda: gradcheck(lambda x: x.float() * 2, leaf(*X), check_grad_dtypes=True, eps=1e-2, atol=1e-3)),
        outcome(lambda: gradcheck(torch.sin, leaf(*X), check_grad_dtypes=True)),
    ]


@case
def inputs_are_restored():
    x = leaf(*X)
    version = x._version
    gradcheck(torch.sin, x)
    return [x.tolist(), x.grad is None, x.requires_grad, x._version == version]


@case
def empty_inputs():
    return [outcome(lambda: gradcheck(torch.sin, leaf())), outcome(lambda: gradcheck(lambda x, y: x * y.sum(), (leaf(*X), leaf())))]


def main():
    recorded = {name: fn() for name, fn in CASES.items()}
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in recorded.items())
    (pathlib.Path(__file__).parent / "gradcheck.json").write_text("{\n" + lines + "\n}\n")
    print(f"{len(recorded)} cases")


main()
