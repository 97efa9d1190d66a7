"""Records what PyTorch does in inference mode and under anomaly detection; modes.test.ts runs the same cases, under the names
PyTorch's own test suite has for them.

Usage: python3 test/contract/record_modes.py  (PyTorch 2.13, CPU); writes modes.json beside this file.
"""

import warnings

import torch

from recording import case, leaf, nums, error, write

inference = torch.inference_mode


def flags(t):
    return [t.is_inference(), t.requires_grad, t.is_leaf]


def warned(fn):
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        result = error(fn)
    return [[str(v.message).split("\n")[0][:60] for v in w], result]


INPLACE = "Inplace update to inference tensor outside InferenceMode is not allowed."


# --- inference mode -----------------------------------------------------------------------------------------------------


@case
def inference_mode_context_manager():
    out = [torch.is_inference_mode_enabled(), torch.is_grad_enabled()]
    with inference():
        out += [torch.is_inference_mode_enabled(), torch.is_grad_enabled()]
        with inference(False):
            out += [torch.is_inference_mode_enabled(), torch.is_grad_enabled()]
        out += [torch.is_inference_mode_enabled(), torch.is_grad_enabled()]
    return out + [torch.is_inference_mode_enabled(), torch.is_grad_enabled()]


@case
def inference_mode_decorator():
    @inference()
    def double(x):
        return x * 2

    return flags(double(leaf(1, 2))) + [torch.is_inference_mode_enabled()]


@case
def inference_mode_tensor_creation():
    with inference():
        c = torch.ones(2)
        r = torch.ones(2, requires_grad=True)
    out = [flags(c), flags(r), error(lambda: c.requires_grad_()), error(lambda: c._version), torch.ones(2).is_inference()]
    with inference():
        c.requires_grad_()
    return out + [flags(c)]


@case
def inference_mode_existing_autograd_session():
    s = torch.ones(2, dtype=torch.float64, requires_grad=True).clone()
    b = s * s
    with inference():
        s.add_(2)
    return error(lambda: b.sum().backward())[:60]


def made(requires_grad):
    with inference():
        return torch.ones(2, 2, dtype=torch.float64, requires_grad=requires_grad)


@case
def inference_mode_inf_tensor_in_inf_mode_functional_op():
    out = []
    for rg in [True, False]:
        with inference():
            c = torch.ones(2, requires_grad=rg)
            out += [flags(c.add(2)), flags(c * c), flags(c.sum())]
    return out


@case
def inference_mode_inf_tensor_in_inf_mode_inplace_op():
    out = []
    for rg in [True, False]:
        with inference():
            c = torch.ones(2, requires_grad=rg)
            c.add_(2)
            out += [flags(c), nums(c), error(lambda: c._version)]
    return out


@case
def inference_mode_inf_tensor_in_inf_mode_view_op():
    out = []
    for rg in [True, False]:
        with inference():
            c = torch.ones(2, 2, requires_grad=rg)
            out += [flags(c.view(-1)), flags(c[0])]
    return out


@case
def inference_mode_inf_tensor_in_normal_mode_functional_op():
    out = []
    for rg in [True, False]:
        c = made(rg)
        if not rg:  # otherwise torch finds nobody to record it, which is silent
            out.append(flags(c * c))
        out.append(flags(c.add(2)))
    return out


@case
def inference_mode_inf_tensor_in_normal_mode_inplace_op():
    out = []
    for rg in [True, False]:
        c = made(rg)
        out.append(error(lambda: c.mul_(2))[: len(INPLACE) + 7])
        d = made(rg)
        with torch.no_grad():
            out.append(error(lambda: d.mul_(2))[: len(INPLACE) + 7])
    return out


@case
def inference_mode_inf_tensor_in_normal_mode_view_op():
    v = made(False).view(-1)
    return [flags(v), error(lambda: v.mul_(2))[: len(INPLACE) + 7]]


@case
def normal_tensor_inplace_output_in_inference_mode():
    out = []
    for rg in [True, False]:
        s = torch.ones(2, 2, dtype=torch.float64, requires_grad=rg)
        a = s.clone()
        with inference():
            a.add_(2)
            out.append([a.is_inference(), a.requires_grad, nums(a), a._version])
            b = a.view(-1)
            out.append([b.is_inference(), b._version])
            b.mul_(2)
            out.append([b.is_inference(), a._version, nums(b)])
    return out


@case
def normal_tensor_inplace_output_in_normal_mode():
    out = []
    for rg in [True, False]:
        s = torch.ones(2, 2, dtype=torch.float64, requires_grad=rg)
        a = s.clone()
        with inference():
            a.add_(2)
        a.mul_(2)
        out.append([a.is_inference(), a.requires_grad, nums(a)])
        b = a.view(-1)
        b.mul_(2)
        out.append([b.is_inference(), b.requires_grad, nums(b), nums(a)])
        if rg:
            a.sum().backward()
            out.append(nums(s.grad))
    return out


@case
def normal_tensor_view_output_in_inference_mode():
    out = []
    for rg in [True, False]:
        s = torch.ones(2, 2, dtype=torch.float64, requires_grad=rg)
        a = s.clone()
        with inference():
            v = a.view(-1)
            out.append([v.is_inference(), v.grad_fn is None, v._base is a])
            v.mul_(2)
            w = v.view(2, 2)
            out.append([w.is_inference(), nums(a), a._version])
    return out


@case
def normal_tensor_view_output_in_normal_mode():
    out = []
    for rg in [True, False]:
        s = torch.ones(2, 2, dtype=torch.float64, requires_grad=rg)
        a = s.clone()
        with inference():
            v = a.view(-1)
        w = v.view(-1)
        out.append([v.is_inference(), w.is_inference()])
        out.append(error(lambda: v.mul_(2))[:90])
    return out


@case
def mix_inference_and_normal_tensor_functional_op():
    out = []
    for rg in [True, False]:
        s = torch.ones(2, 2, dtype=torch.float64, requires_grad=rg)
        c = made(False)
        out.append(flags(c.add(s)))
        out.append(error(lambda: c * s)[:45] if rg else flags(c * s))
    return out


@case
def mix_inference_and_normal_tensor_inplace_op():
    out = []
    for rg in [True, False]:
        s = torch.ones(2, 2, dtype=torch.float64, requires_grad=rg)
        a = s.clone()
        c = made(False)
        out.append(error(lambda: a.mul_(c))[:45] if rg else flags(a.mul_(c)))
        out.append(flags(s.clone().add_(c)))
        out.append(error(lambda: c.mul_(s))[: len(INPLACE) + 7])
    return out


@case
def mix_inference_and_normal_tensor_view_op():
    s = torch.ones(2, 2, dtype=torch.float64)
    c = made(False)
    return [flags(c.view(-1)), flags(s.view_as(c)), flags(c.view_as(s))]


@case
def inference_mode_handle_direct_view_on_rebase():
    out = []
    for rg in [True, False]:
        s = torch.ones(2, 2, dtype=torch.float64, requires_grad=rg)
        a = s.clone()
        with inference():
            v = a.view_as(a)
        out.append(error(lambda: v.add_(2))[:90])
    return out


@case
def inference_mode_handle_indirect_view_on_rebase():
    out = []
    for rg in [True, False]:
        s = torch.ones(2, 2, dtype=torch.float64, requires_grad=rg)
        a = s.clone()
        with inference():
            v = a.view(-1)
        b = a.view(-1)
        b.mul_(2)
        out.append(error(lambda: v.grad_fn)[:100])
        if rg:
            out.append(nums(torch.autograd.grad(a.sum(), s)[0]))
    return out


@case
def gradients_of_inference_leaves():
    with inference():
        x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    y = torch.ones(2, dtype=torch.float64, requires_grad=True)
    (x + y).sum().backward()
    return [nums(x.grad), nums(y.grad), x.grad.is_inference()]


@case
def clones_of_inference_tensors_are_normal():
    c = made(False)
    d = c.clone().requires_grad_()
    (d * d).sum().backward()
    return [flags(d), nums(d.grad), c.detach().is_inference(), c.contiguous() is c]


@case
def no_grad_inside_inference_mode():
    with inference():
        with torch.enable_grad():
            x = torch.ones(2, requires_grad=True)
            y = x + 1
    return [flags(y), torch.is_grad_enabled()]


# --- anomaly detection --------------------------------------------------------------------------------------------------


class Nan(torch.autograd.Function):
    """The gradient of the second argument is NaN."""

    @staticmethod
    def forward(ctx, x, fail):
        ctx.fail = fail
        return x.sum(0, keepdim=True)

    @staticmethod
    def backward(ctx, g):
        gi = g.expand(10).clone()
        if ctx.fail:
            gi[0] = float("nan")
        return gi, None


@case
def anomaly_detect_nan():
    x = torch.ones(10, dtype=torch.float64, requires_grad=True)
    out = [error(lambda: Nan.apply(x, True).backward())]
    y = torch.ones(10, dtype=torch.float64, requires_grad=True)

    def detected():
        with torch.autograd.detect_anomaly():
            Nan.apply(y, True).backward()

    out.append(warned(detected))
    z = torch.ones(10, dtype=torch.float64, requires_grad=True)

    def late():
        value = Nan.apply(z, True)
        with torch.autograd.detect_anomaly():
            value.backward()

    return out + [warned(late)]


class Inner(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, g):
        return g * 1


@case
def nested_anomaly_detect_nan():
    class First(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sum(0, keepdim=True).clone()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return Second.apply(g, x)

    class Second(torch.autograd.Function):
        @staticmethod
        def forward(ctx, g, x):
            ctx.save_for_backward(x)
            return g.expand(x.shape).clone()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return (g.sum() * float("nan")).reshape(1), x * 0

    def detected():
        x = torch.ones(3, dtype=torch.float64, requires_grad=True)
        with torch.autograd.detect_anomaly():
            (g,) = torch.autograd.grad((First.apply(x) * First.apply(x)).sum(), x, create_graph=True)
            g.sum().backward()

    return warned(detected)


@case
def anomaly_grad_warnings():
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            raise RuntimeError("fails on purpose")

    def run():
        x = leaf(1)
        with torch.autograd.detect_anomaly():
            Fails.apply(x).backward()

    return warned(run)


@case
def anomaly_mode_no_check_nan():
    def run():
        x = torch.ones(10, dtype=torch.float64, requires_grad=True)
        with torch.autograd.detect_anomaly(check_nan=False):
            Nan.apply(x, True).backward()
        return str(nums(x.grad)[0])

    return warned(run)


@case
def anomaly_state():
    enabled = torch.is_anomaly_enabled
    nan = torch.is_anomaly_check_nan_enabled
    out = [enabled(), nan()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.detect_anomaly(check_nan=False):
            out += [enabled(), nan()]
            with torch.autograd.set_detect_anomaly(True):
                out += [enabled(), nan()]
                with torch.autograd.set_detect_anomaly(False):
                    out += [enabled()]
            out += [enabled(), nan()]
    return out + [enabled(), warned(lambda: torch.autograd.set_detect_anomaly(False))]


if __name__ == "__main__":
    write("modes")
