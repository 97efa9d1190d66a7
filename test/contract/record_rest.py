"""Records what PyTorch does where its test suite looks at less common things: deprecated names, operations without derivatives.
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


if __name__ == "__main__":
    write("rest")
