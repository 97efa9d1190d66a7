"""Records what PyTorch does where its test suite looks at less common things: deprecated names, operations without derivatives, views made again, lists.
rest.test.ts runs the same cases, under the names PyTorch's own test suite has for them.

Usage: python3 test/contract/record_rest.py  (PyTorch 2.13, CPU); writes rest.json beside this file.
"""

import warnings

import torch

from recording import case, error, leaf, nums, write

torch.set_default_dtype(torch.float64)


# --- Functions and derivatives --------------------------------------------------------------------------------------------


@case
def saved_variables_deprecated():
    class Add(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a + b

        @staticmethod
        def backward(ctx, g):
            a, b = ctx.saved_variables
            return g * b, g * a

    a, b = leaf(1, 2), leaf(3, 4)
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        Add.apply(a, b).sum().backward()
    texts = [v.category.__name__ for v in w if "is deprecated; use" in str(v.message)]
    return [texts, nums(a.grad), nums(b.grad)]


@case
def not_implemented_grad():
    def seen(fn):
        x = leaf(1, 2, 2)
        y = fn(x)
        node = y.grad_fn.name()
        text = error(lambda: (y.sum() * 0 + x.sum()).backward())
        return [y.requires_grad, node, "derivative for" in text and "is not implemented" in text, nums(x.grad)]

    def before():
        """Only a pass that arrives at the operation is refused."""
        x = leaf(1, 2)
        y = x * 2
        z = torch.heaviside(y, y)
        return nums(torch.autograd.grad((z + y).sum(), z)[0])

    return [
        seen(lambda x: torch.heaviside(x, x)),
        seen(lambda x: torch.heaviside(torch.zeros(3), x)),
        seen(torch.unique),
        seen(lambda x: torch.unique(x, dim=0)),
        seen(torch.unique_consecutive),
        seen(lambda x: torch.bincount(torch.tensor([0, 1, 1]), weights=x)),
        [t.requires_grad for t in torch.unique(leaf(1, 2, 2), return_inverse=True, return_counts=True)],
        before(),
    ]


# --- views and in-place operations ----------------------------------------------------------------------------------------


def changed(x):
    y = x.clone().view(-1)
    y.add_(1)
    return type(y.grad_fn).__name__


@case
def view_replay_enabled():
    x = torch.ones(2, 2, requires_grad=True)
    track, on = torch.autograd._force_original_view_tracking, torch.autograd.is_view_replay_enabled
    out = []
    with track(False):
        out.append([changed(x), on()])
    with track(True):
        out.append([changed(x), on()])
    out.append([changed(x), on()])
    with track(False):
        track(True)
        out.append([changed(x), on()])
    out.append(on())
    track(True)
    out.append([changed(x), on()])
    track(False)
    return out + [[changed(x), on()]]


@case
def view_replay_of_chains():
    def chain(node):
        return [] if node is None else [node.name()] + (chain(node.next_functions[0][0]) if node.next_functions else [])

    x = torch.arange(6.0).reshape(2, 3).requires_grad_()
    with torch.autograd._force_original_view_tracking(True):
        a = x.clone()
        b = a.select(0, 1).narrow(0, 1, 2)
        b.mul_(2)
        c = a.t()
        d = a.expand(2, 2, 3)
        a.mul_(3)
        e = a[0]
        a.view(-1).mul_(2)
        with torch.no_grad():
            f = a.view(-1)
        g = f._view_func(torch.ones(2, 3, requires_grad=True))
        out = [chain(t.grad_fn) for t in (a, b, c, d, e, g)]
        (b.sum() + c[0].sum() * 2 + d.sum() * 3 + e.sum() * 4).backward()
    return out + [nums(x.grad)]


@case
def inplace_on_view_multi_output_unsafe():
    def seen(cut):
        x = torch.arange(1.0, 10.0).reshape(3, 3).requires_grad_()
        whole = x * 2
        parts = cut(whole)
        node = parts[0].grad_fn.name()
        parts[0].mul_(parts[1])
        parts[0].sum().backward()
        return [node, [list(p.shape) for p in parts], [p._is_view() for p in parts], whole._version, parts[0]._version, nums(x.grad)]

    return [
        seen(lambda t: t.unsafe_split(1)),
        seen(lambda t: t.unsafe_split_with_sizes((1, 1, 1))),
        seen(lambda t: t.unsafe_chunk(3)),
        seen(lambda t: t.unsafe_split(1, 1)),
        [len(torch.unsafe_split(torch.ones(5), 2)), error(lambda: torch.unsafe_split(torch.ones(3), -1))[-40:]],
    ]


@case
def inplace_foreach():
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        a = [leaf(1, 2), leaf(3)]
        b = torch._foreach_exp(a)
        torch._foreach_add_(b, 1)
        (b[0].sum() + b[1].sum()).backward()
    c, d = [leaf(1, 2), leaf(3)], [leaf(2, 3), leaf(4)]
    e = torch._foreach_addcmul(c, d, d, 0.5)
    sum(t.sum() for t in e).backward()
    p = [torch.tensor([1.0, 2.0]), torch.tensor([3.0])]
    torch._foreach_mul_(p, 2)
    torch._foreach_sub_(p, p, alpha=0.25)
    torch._foreach_clamp_max_(p, [2.0, 1.0])
    return [
        [nums(t.grad) for t in a],
        [nums(t) for t in b],
        [nums(t.grad) for t in d],
        [nums(t) for t in p],
        [t._version for t in p],
        error(lambda: torch._foreach_add(p, [torch.ones(2)])),
        error(lambda: torch._foreach_exp([])),
    ]


# --- eigenpairs, unit vectors ---------------------------------------------------------------------------------------------


@case
def lobpcg():
    """As far as signs go: squares of the vectors."""

    def seen(k, m, largest, batch=()):
        i = torch.arange(1.0, m + 1)
        a = torch.cos(i[:, None] * i * 1.7) + torch.cos(i * i[:, None] * 1.7).T + torch.diag(i)
        a = (a * torch.linspace(1, 2, max(1, len(batch) and batch[0]))[:, None, None] if batch else a).requires_grad_()
        e, u = torch.lobpcg(a, k=k, largest=largest, tol=1e-14)
        (e.sum() + (u.square() * i[:, None]).sum()).backward()
        return [list(e.shape), list(u.shape), nums(e), nums(u.square()), nums(a.grad)]

    def refused(**options):
        return error(lambda: torch.lobpcg(torch.eye(5), **options))

    return [seen(1, 6, True), seen(2, 6, False), seen(3, 9, True), seen(2, 7, True, (2,)), refused(k=2), refused(X=torch.rand(5, 2))]


@case
def construct_standard_basis_for():
    def seen(*shapes):
        tensors = [torch.ones(s, dtype=torch.float32 if i % 2 else torch.float64) for i, s in enumerate(shapes)]
        made = torch.autograd.functional._construct_standard_basis_for(tensors, [t.numel() for t in tensors])
        rows = [t.reshape(-1, *s) for t, s in zip(made, shapes)]
        return [[list(t.shape), str(t.dtype)[6:], nums(t)] for t in rows]

    return [seen((2,)), seen((2, 1), (3,)), seen((), (2,), (1, 1))]


if __name__ == "__main__":
    write("rest")
