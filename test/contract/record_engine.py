"""Records what PyTorch does in small cases around backward, grad, hooks and the engine; engine.test.ts runs the same cases.

Usage: python3 test/contract/record_engine.py  (PyTorch 2.13, CPU); writes engine.json beside this file.
"""

import warnings

import torch
from torch.autograd import graph

from recording import case, leaf, one, nums, error, write

warnings.simplefilter("ignore")
EDGE = graph.get_gradient_edge


def names(nodes):
    return [None if n is None else n.name() for n in nodes]


def noting(log, name, value=False):
    def hook(g):
        log.append([name, nums(g)] if value else name)

    return hook


# --- roots and inputs ---------------------------------------------------------------------------------------------------


@case
def multi_backward():
    x, y = leaf(1, 2), leaf(3, 4)
    a, b = x * y, x + y
    torch.autograd.backward([a, b], [torch.ones(2).double(), 2 * torch.ones(2).double()])
    return [nums(x.grad), nums(y.grad)]


@case
def multi_backward_no_grad():
    x, y = one(2), torch.tensor(3.0)
    return [error(lambda: torch.autograd.backward([x * 2, y])), error(lambda: torch.autograd.backward([y]))]


@case
def backward_with_inputs():
    x, y = one(2), one(3)
    z = x * x * y
    z.backward(inputs=[x], retain_graph=True)
    first = [nums(x.grad), nums(y.grad)]
    z.backward(inputs=y, retain_graph=True)
    return [first, nums(x.grad), nums(y.grad), error(lambda: z.backward(inputs=[])), error(lambda: z.backward(inputs=[torch.tensor(1.0)]))]


@case
def backward_with_nonleaf_inputs():
    x = one(2)
    b = x * 3
    c = b * b
    before = b.retains_grad
    c.backward(inputs=[b, x], retain_graph=True)
    first = [nums(b.grad), nums(x.grad), before, b.retains_grad]
    c.backward(inputs=[b])
    return [first, nums(b.grad), nums(x.grad)]


@case
def backward_with_scalar_input():
    x = one(2)
    out = torch.tensor([[3.0]], dtype=torch.float64) * x
    out.backward(inputs=x)
    return nums(x.grad)


@case
def dependent_backward():
    x = one(3)
    y = x * x
    z = y * y * y
    torch.autograd.backward([y, z])
    return nums(x.grad)


@case
def duplicate_backward_root():
    x, y = leaf(1, 2), leaf(3, 4)
    z = x * y
    g = torch.ones(2).double()
    torch.autograd.backward([z, z], [g, g])
    return [nums(x.grad), nums(y.grad), nums(g)]


@case
def backward_no_grad():
    x = one(2)
    y = x + 1
    with torch.no_grad():
        e = error(lambda: (x + 1).backward())
        torch.autograd.backward(y)
    return [e, nums(x.grad), x.grad.requires_grad]


@case
def backward_badcalls():
    x = torch.ones(1)
    return [error(lambda: x.backward()), error(lambda: leaf(1, 2).mul(2).backward()), error(lambda: torch.autograd.backward([one(1) * 2], [3]))]


@case
def grad_badcalls():
    x = torch.ones(1)
    y = x**2
    z = leaf(1, 2)
    return [
        error(lambda: torch.autograd.grad(x, y)),
        error(lambda: torch.autograd.grad(z.sum(), x)),
        error(lambda: torch.autograd.grad(x, z)),
        error(lambda: torch.autograd.grad(z * 2, z)),
        error(lambda: torch.autograd.grad(z * 2, z, torch.ones(3).double())),
    ]


@case
def grad_empty_inputs():
    x = one(1)
    return error(lambda: torch.autograd.grad(2 * x, []))[:7]


@case
def grad_nonleaf():
    x = leaf(2, 3)
    y = x
    for _ in range(3):
        (g,) = torch.autograd.grad((y * y).sum(), y)
        y = y - 0.25 * g
    return [nums(y), nums(x.grad), nums(y.grad)]


@case
def grad_nonleaf_many_outputs():
    x = leaf(1, 2, 3, 4)
    a, b = x.split(2)
    seen = []
    a.register_hook(noting(seen, "a", True))
    b.register_hook(noting(seen, "b", True))
    ga, gb = torch.autograd.grad((a + 2 * b).sum(), [a, b])
    return [nums(ga), nums(gb), seen, nums(x.grad)]


@case
def grad_nonleaf_register_hook():
    x = leaf(1, 2, 3)
    parts = x.unbind()
    seen = []
    parts[0].register_hook(noting(seen, "0", True))
    (parts[0] * 5).backward(retain_graph=True)
    return [seen, nums(x.grad), names([parts[0].grad_fn])]


@case
def grad_unreachable():
    x, y = leaf(1), leaf(2)
    z = x * 2
    w = y * 2
    g = torch.autograd.grad(x * 2, [x, y], allow_unused=True, grad_outputs=torch.ones(1).double())
    h = torch.autograd.grad(z, [z, w], allow_unused=True, grad_outputs=torch.ones(1).double())
    return [nums(g[0]), nums(g[1]), nums(h[0]), nums(h[1]), error(lambda: torch.autograd.grad(x * 2, [x, y], torch.ones(1).double()))]


@case
def grad_unreachable_discovery():
    x, y = one(2), one(3)
    seen = []
    a, b = x * 2, y * 3
    b.register_hook(noting(seen, "b"))
    (g,) = torch.autograd.grad(a + b, x)
    return [nums(g), seen, nums(y.grad)]


@case
def grad_materialize_grads():
    x, y = one(0.5), one(1.0)
    a = x * 2
    dydx = torch.autograd.grad(a, [x, y], create_graph=True, materialize_grads=True)
    plain = torch.autograd.grad(x * 2, [x, y], materialize_grads=True)
    return [
        [nums(g) for g in dydx],
        [g.requires_grad for g in dydx],
        [g.requires_grad for g in plain],
        error(lambda: torch.autograd.grad(x * 2, [x, y], allow_unused=False, materialize_grads=True)),
        error(lambda: torch.autograd.grad(x * 2, [EDGE(x)], materialize_grads=True)),
    ]


@case
def grad_same_input_twice():
    x = leaf(1, 2)
    y = x * x
    a, b, c = torch.autograd.grad(y.sum(), [x, y, x])
    return [nums(a), nums(b), nums(c)]


@case
def grad_batched_grad():
    x = leaf(1, 2)
    y = x * x
    (g,) = torch.autograd.grad(y, x, torch.eye(2).double(), is_grads_batched=True, retain_graph=True)
    z = x.sum()
    (h,) = torch.autograd.grad(z, x, torch.tensor([1.0, 2.0]).double(), is_grads_batched=True, retain_graph=True)
    return [
        nums(g),
        nums(h),
        error(lambda: torch.autograd.grad(y, x, torch.ones(2).double(), is_grads_batched=True)),
        error(lambda: torch.autograd.grad(z, x, torch.ones(3, 1).double(), is_grads_batched=True)),
    ]


@case
def grad_to_node():
    x = leaf(1, 2)
    w = x * 2
    v = w * w
    (g,) = torch.autograd.grad(v.sum(), EDGE(w), retain_graph=True)
    (h,) = torch.autograd.grad(v.sum(), EDGE(x), retain_graph=True)
    return [nums(g), nums(h), error(lambda: EDGE(torch.ones(1)))]


@case
def grad_to_node_inplace():
    x = leaf(1, 2)
    y = x.clone()
    old = EDGE(y)
    y.mul_(3)
    new = EDGE(y)
    (a,) = torch.autograd.grad(y.sum(), old, retain_graph=True)
    (b,) = torch.autograd.grad(y.sum(), new, retain_graph=True)
    return [nums(a), nums(b), names([old.node, new.node])]


@case
def grad_to_node_multi():
    x = leaf(1, 2, 3, 4)
    a, b = x.split(2)
    (g, h) = torch.autograd.grad((a * b).sum(), [EDGE(b), EDGE(a)])
    return [nums(g), nums(h), EDGE(b).output_nr]


@case
def backward_to_node():
    x = leaf(1, 2)
    y = x * 3
    z = y * y
    z.sum().backward(inputs=[EDGE(x)])
    return nums(x.grad)


@case
def gradient_edge_output():
    x = leaf(1, 2)
    y = x * x
    edge = EDGE(y)
    (g,) = torch.autograd.grad(edge, x, torch.ones(2).double(), retain_graph=True)
    torch.autograd.backward(edge, torch.ones(2).double(), retain_graph=True)
    s = (x * 2).sum()
    (h,) = torch.autograd.grad([EDGE(s), y], x, [None, torch.ones(2).double()], retain_graph=True)
    return [
        nums(g),
        nums(x.grad),
        nums(h),
        error(lambda: torch.autograd.grad(edge, x)),
        error(lambda: torch.autograd.grad(edge, x, torch.ones(3).double())),
        error(lambda: torch.autograd.grad(edge, x, torch.ones(2, 2).double(), is_grads_batched=True)),
    ]


@case
def gradient_edge_graph_ownership():
    x = one(2)
    edge = EDGE(x.exp().exp())
    (g,) = torch.autograd.grad(edge, x)
    return nums(g)


@case
def grad_fn_input_metadata():
    x = torch.ones(2, 3, dtype=torch.float32, requires_grad=True)
    a, b = x.split(1)
    def meta(node):
        return [[list(m.shape), str(m.dtype)[6:], str(m.device)] for m in node._input_metadata]
    return [meta((x * 2).grad_fn), meta(a.grad_fn), meta(EDGE(x).node)]


@case
def grad_fn_badcalls():
    x = leaf(1, 2)
    y = x * 2
    g = torch.ones(2).double()
    return [error(lambda: y.grad_fn(g, g)), nums(y.grad_fn(g)[0]), y.grad_fn(g)[1], error(lambda: y.grad_fn(3))[:5]]


@case
def next_functions():
    x, y = leaf(1), leaf(2)
    a = x + y
    b = a + 5
    acc = a.grad_fn.next_functions
    return [
        a.grad_fn.name(),
        names([n for n, _ in acc]),
        [i for _, i in acc],
        names([n for n, _ in b.grad_fn.next_functions]),
        b.grad_fn.next_functions[0][0] is a.grad_fn,
        (x * 2).grad_fn.next_functions[0][0] is acc[0][0],
    ]


@case
def function_second_order_graph_shape():
    x, y = leaf(2), leaf(3)
    z = x * x * y
    (g,) = torch.autograd.grad(z.sum(), x, create_graph=True)

    def shape(node, depth=0):
        if node is None:
            return None
        return [node.name(), [shape(n, depth + 1) for n, _ in node.next_functions]] if depth < 4 else node.name()

    return shape(g.grad_fn)


@case
def unused_output():
    x = torch.arange(20.0, dtype=torch.float64).view(10, 2).requires_grad_()
    outs = x.chunk(5)
    outs[2].sum().backward()
    first = nums(x.grad)
    x.grad = None
    (outs[0] + 2 * outs[4]).sum().backward()
    return [first, nums(x.grad)]


@case
def unrelated_inputs():
    x, y = leaf(1), leaf(1)
    z = x * 2
    z.backward()
    return [nums(x.grad), nums(y.grad)]


@case
def isolated_node():
    x, y = leaf(1, 2), leaf(5, 4)
    a = x + y
    b = torch.max(a, 0, True)[1].repeat(2, 1).double()
    o = (b + a).sum()
    o.backward()
    return [nums(x.grad), nums(y.grad)]


@case
def backward_copy():
    x = leaf(2, 3)
    y = leaf(1, 1)
    a = x + y
    b = a + 0
    (b * b).sum().backward()
    x.grad.mul_(10)
    return [nums(x.grad), nums(y.grad)]


@case
def input_buffer_accum():
    x = leaf(1, 2)
    g = torch.ones(2, dtype=torch.float64)
    y = x * 1
    torch.autograd.backward([y, y + 0, y + 0], [g, g, g])
    return [nums(g), nums(x.grad)]


@case
def accumulate_grad():
    x = leaf(1, 2)
    out = []
    (x * 2).sum().backward()
    g = x.grad
    (x * 2).sum().backward()
    out += [x.grad is g, nums(g), g._version]
    (x * x).sum().backward(create_graph=True)
    out += [x.grad is g, nums(g), nums(x.grad), x.grad.requires_grad]
    g = x.grad
    (x * 2).sum().backward()
    out += [x.grad is g, nums(g), x.grad.requires_grad]
    return out


@case
def accumulate_grad_with_zero_numel_grad():
    x = torch.zeros(4, 0, dtype=torch.float64, requires_grad=True)
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    return [list(x.grad.shape), x.grad.numel()]


@case
def hessian_vector():
    x, y = leaf(1, 2), leaf(3, 4)
    z = x**2 + y * x + y**2
    z.backward(torch.ones(2).double(), create_graph=True)
    gx, gy = x.grad, y.grad
    s = gx.sum() + gy.sum()
    before = [nums(gx), nums(gy)]
    a, b = torch.autograd.grad(s, [x, y], retain_graph=True)
    s.backward()
    return [before, nums(a), nums(b), nums(x.grad), nums(y.grad)]


@case
def third_order():
    x = one(2)
    y = x**4
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    (h,) = torch.autograd.grad(g, x, create_graph=True)
    (k,) = torch.autograd.grad(h, x)
    return [nums(g), nums(h), nums(k)]


@case
def backward_twice():
    x = one(2)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    z = x + 1
    z.backward()
    z.backward()
    return [nums(x.grad), error(lambda: y.backward())[:120]]


@case
def partially_freed_graph():
    x = one(2)
    a = x.exp()
    b, c = a.sin(), a.cos()
    b.backward()
    return [error(lambda: c.backward())[:70], nums(x.grad)]


@case
def freed_nodes_of_one_input_stay_for_another():
    x, y = one(2), one(3)
    a, b = x.exp(), y.exp()
    c = a * b
    torch.autograd.grad(c, x)
    return [error(lambda: torch.autograd.grad(c, y))[:70], nums(torch.autograd.grad(b, y)[0])]


@case
def create_graph_keeps_the_graph():
    x = one(3)
    y = x * x * x
    torch.autograd.grad(y, x, create_graph=True)
    (g,) = torch.autograd.grad(y, x)
    return [nums(g), error(lambda: y.backward())[:70]]


# --- hooks ----------------------------------------------------------------------------------------------------------------


@case
def prehook_ordering():
    log = []
    t = leaf(1, 2)
    b = t * t
    b.retain_grad()
    b.register_hook(lambda g: (log.append("tensor1"), g * 2)[1])
    b.grad_fn.register_prehook(lambda gs: log.append(["pre", nums(gs[0])]))
    b.register_hook(lambda g: (log.append("tensor2"), g * 3)[1])
    b.grad_fn.register_hook(lambda gi, go: log.append(["post", nums(gi[0]), nums(go[0])]))
    b.sum().backward()
    return [log, nums(b.grad), nums(t.grad)]


@case
def retains_grad_can_always_observe_tensor_prehook():
    x = one(5)
    b = x.clone()
    b.register_hook(lambda g: g + 2)
    b.retain_grad()
    b.register_hook(lambda g: g * 10)
    b.backward()
    return [nums(b.grad), nums(x.grad)]


@case
def leaf_hook_order():
    log = []
    x = one(2)
    x.register_hook(lambda g: (log.append(["tensor", nums(g)]), g * 2)[1])
    x.register_post_accumulate_grad_hook(lambda t: log.append(["acc", nums(t.grad)]))
    y = x * x
    node = EDGE(x).node
    node.register_prehook(lambda gs: log.append(["pre", nums(gs[0])]))
    node.register_hook(lambda gi, go: log.append(["post", len(gi), nums(go[0])]))
    y.backward()
    return [log, nums(x.grad)]


@case
def hook_edge_case_when_called_with_grad():
    log = []
    a = one(5)
    b = a * 2
    c = b * 2

    def add(name):
        return lambda *args: log.append(name)

    EDGE(a).node.register_prehook(add("acc pre"))
    EDGE(a).node.register_hook(add("acc post"))
    a.register_hook(add("a"))
    b.register_hook(add("b"))
    b.grad_fn.register_prehook(add("b pre"))
    b.grad_fn.register_hook(add("b post"))
    c.register_hook(add("c"))
    c.grad_fn.register_prehook(add("c pre"))
    c.grad_fn.register_hook(add("c post"))
    a.register_post_accumulate_grad_hook(add("a post acc"))
    runs = []
    for f in [
        lambda: torch.autograd.grad(c, [a], retain_graph=True),
        lambda: torch.autograd.grad(c, [b], retain_graph=True),
        lambda: torch.autograd.grad(c, [a, b], retain_graph=True),
        lambda: torch.autograd.grad(c, [c], retain_graph=True),
        lambda: c.backward(inputs=[a], retain_graph=True),
        lambda: c.backward(inputs=[b], retain_graph=True),
        lambda: c.backward(retain_graph=True),
    ]:
        log.clear()
        f()
        runs.append(list(log))
    return runs


@case
def captured_gradient_and_tensor_hooks():
    x = one(2)
    b = x * 3
    c = b * b
    b.register_hook(lambda g: g * 2)
    both = torch.autograd.grad(c, [b, x], retain_graph=True)
    only = torch.autograd.grad(c, [b], retain_graph=True)
    y = one(2)
    y.register_hook(lambda g: g * 5)
    return [[nums(g) for g in both], nums(only[0]), nums(torch.autograd.grad(y * y, y)[0])]


@case
def hooks():
    x = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    y = (torch.ones(2, 2, dtype=torch.float64) * 4).requires_grad_()
    counter = [0]

    def bw(inc):
        def hook(g):
            counter[0] += inc
        return hook

    z = x**2 + x * 2 + x * y + y
    x.register_hook(lambda g: bw(0)(g))
    test = z.register_hook(bw(1))
    z.backward(torch.ones(2, 2).double(), retain_graph=True)
    first = counter[0]
    test2 = z.register_hook(bw(2))
    z.backward(torch.ones(2, 2).double(), retain_graph=True)
    second = counter[0]
    test2.remove()
    z.backward(torch.ones(2, 2).double(), retain_graph=True)
    third = counter[0]
    test.remove()
    test.remove()
    z.register_hook(lambda g: g * 2)
    y.grad = None
    z.backward(torch.ones(2, 2).double(), retain_graph=True)
    return [first, second, third, counter[0], nums(y.grad)]


@case
def hook_removes_itself_and_another():
    log = []
    x = one(1)
    y = x * 2
    handles = []

    def first(g):
        log.append("first")
        handles[0].remove()
        handles[1].remove()

    handles.append(y.register_hook(first))
    handles.append(y.register_hook(lambda g: log.append("second")))
    handles.append(y.register_hook(lambda g: log.append("third")))
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    return log[3:] if len(log) == 5 else log[2:]


@case
def grad_fn_prehooks():
    x = leaf(1, 2)
    y = x * 3
    y.grad_fn.register_prehook(lambda gs: (gs[0] * 2,))
    y.grad_fn.register_prehook(lambda gs: None)
    y.grad_fn.register_prehook(lambda gs: (gs[0] + 1,))
    y.sum().backward()
    return nums(x.grad)


@case
def grad_fn_prehooks_multiple_outputs():
    x = torch.arange(6.0, dtype=torch.float64).requires_grad_()
    a, b = x.split(3)
    seen = []
    a.grad_fn.register_prehook(lambda gs: (seen.append([nums(g) for g in gs]), tuple(None if g is None else g * 2 for g in gs))[1])
    (a * a).sum().backward()
    return [seen, nums(x.grad)]


@case
def grad_fn_prehooks_remove_hooks():
    x = one(2)
    y = x * 2
    count = [0]
    holder = []

    def hook(gs):
        count[0] += 1
        holder[0].remove()
        holder[0].remove()

    holder.append(y.grad_fn.register_prehook(hook))
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    return count[0]


@case
def post_hook_replaces_gradients():
    x, y = leaf(1, 2), leaf(3, 4)
    z = x * y
    z.grad_fn.register_hook(lambda gi, go: (gi[0] * 10, gi[1]))
    z.sum().backward()
    return [nums(x.grad), nums(y.grad)]


@case
def post_hook_of_inputs_without_gradient():
    x = leaf(1, 2)
    y = torch.tensor([3.0, 4.0], dtype=torch.float64)
    z = x * y
    seen = []
    z.grad_fn.register_hook(lambda gi, go: seen.append([[nums(g) for g in gi], [nums(g) for g in go]]))
    z.sum().backward()
    return seen


@case
def hook_results_are_checked():
    def run(kind, hook):
        x = leaf(1, 2)
        y = x * 2
        {"tensor": y.register_hook, "pre": y.grad_fn.register_prehook, "post": y.grad_fn.register_hook}[kind](hook)
        return error(lambda: y.sum().backward())

    def hook(f):
        def hook(*args):
            return f(*args)
        return hook

    return [
        run("tensor", hook(lambda g: 3))[:40],
        run("tensor", hook(lambda g: g[:1])),
        run("tensor", hook(lambda g: g.float())),
        run("pre", hook(lambda gs: 3))[:37],
        run("pre", hook(lambda gs: (3,)))[:40],
        run("pre", hook(lambda gs: (gs[0][:1],))),
        run("pre", hook(lambda gs: (gs[0], gs[0]))),
        run("post", hook(lambda gi, go: 3))[:37],
        run("post", hook(lambda gi, go: (gi[0][:1], None))),
        run("post", hook(lambda gi, go: (gi[0], gi[0], gi[0]))),
    ]


@case
def prehook_that_gives_none():
    x = leaf(1, 2)
    y = x * 2
    y.grad_fn.register_prehook(lambda gs: (None,))
    y.sum().backward()
    return nums(x.grad)


@case
def retain_grad():
    x = leaf(1, 3)
    h = x * 3
    out = (h * h).sum()
    h.retain_grad()
    h.retain_grad()
    out.backward(retain_graph=True)
    first = nums(h.grad)
    out.backward(retain_graph=True)
    second = nums(h.grad)
    h.grad = None
    out.backward()
    x.retain_grad()
    return [first, second, nums(h.grad), x.retains_grad, h.retains_grad, error(lambda: torch.ones(1).retain_grad())]


@case
def retain_grad_inplace():
    x = one(1)
    a = x.clone()
    a.retain_grad()
    a.mul_(2)
    b = a * 5
    b.backward()
    return [nums(a.grad), a.retains_grad, nums(x.grad)]


@case
def retain_grad_inplace_over_view():
    base = leaf(1, 2, 3)
    a = base.clone()
    view = a[0:2]
    view.retain_grad()
    a.retain_grad()
    view.mul_(2)
    (a * a).sum().backward()
    return [nums(base.grad), nums(view.grad), nums(a.grad)]


@case
def retains_grad_inplace_multiple_outputs():
    x = leaf(1, 2, 3, 4)
    a, b = [t.clone() for t in x.split(2)]
    a.retain_grad()
    b.retain_grad()
    a.mul_(2)
    (a * b).sum().backward()
    return [nums(a.grad), nums(b.grad), nums(x.grad)]


@case
def tensor_hooks_inplace():
    log = []
    x = one(2)
    a = x.clone()
    a.register_hook(noting(log, "before", True))
    a.mul_(3)
    a.register_hook(noting(log, "after", True))
    (a * 5).backward()
    return [log, nums(x.grad)]


@case
def tensor_hooks_inplace_over_view():
    log = []
    x = leaf(1, 2)
    base = x.clone()
    view = base[0:1]
    fresh = base[0:1]
    other = base[0:2]
    view.register_hook(noting(log, "view before"))
    base.register_hook(noting(log, "base before"))
    other.mul_(2)
    fresh.grad_fn  # without this read, register_hook crashes the process
    fresh.register_hook(noting(log, "view after"))
    base.register_hook(noting(log, "base after"))
    (view.sum() + fresh.sum() + base.sum()).backward()
    return [log, nums(x.grad)]


@case
def post_accumulate_grad_hook_multiple_hooks():
    log = []
    x = one(2)
    x.register_post_accumulate_grad_hook(lambda t: (log.append(nums(t.grad)), t.grad.add_(1))[1] and None)
    x.register_post_accumulate_grad_hook(lambda t: log.append([nums(t.grad), t is x]))
    (x * 3).backward()
    return [log, nums(x.grad)]


@case
def post_accumulate_grad_hook_ordering():
    log = []
    x = one(2)
    y = one(3)
    x.register_post_accumulate_grad_hook(lambda t: log.append("x acc"))
    y.register_post_accumulate_grad_hook(lambda t: log.append("y acc"))
    a = x * 2
    b = y * 3
    a.register_hook(lambda g: log.append("a"))
    b.register_hook(lambda g: log.append("b"))
    (a + b).backward()
    return log


@case
def post_accumulate_grad_hook_e2e():
    w = leaf(1, 2)
    values = []

    def step(p):
        with torch.no_grad():
            p -= 0.5 * p.grad
        p.grad = None

    w.register_post_accumulate_grad_hook(step)
    for _ in range(3):
        (w * w).sum().backward()
        values.append(nums(w))
    return [values, w.grad is None]


@case
def post_accumulate_grad_hook_on_non_leaf():
    x = one(1)
    return [error(lambda: (x * 2).register_post_accumulate_grad_hook(lambda t: None)), error(lambda: torch.ones(1).register_post_accumulate_grad_hook(lambda t: None))]


@case
def post_accumulate_grad_hook_not_under_grad():
    log = []
    x = one(1)
    x.register_post_accumulate_grad_hook(lambda t: log.append("acc"))
    torch.autograd.grad(x * 2, x)
    return log


@case
def multi_grad_all_hooks():
    log = []
    a, b, c, d = one(1), one(2), one(3), one(4)
    handle = graph.register_multi_grad_hook((a, b, c, d), lambda grads: log.append([nums(g) for g in grads]))
    (a * b).backward(retain_graph=True)
    (a * b * c * d).backward()
    handle.remove()
    (a * b).backward()
    return log


@case
def multi_grad_any_hooks():
    log = []
    a, b = one(1), one(2)
    handle = graph.register_multi_grad_hook((a, b), lambda g: log.append(nums(g)), mode="any")
    (a * 2 + b * 3).backward()
    (a * 5).backward()
    handle.remove()
    (a * 7).backward()
    return [len(log), log[1]]


@case
def multi_grad_hooks_invalid_mode():
    return error(lambda: graph.register_multi_grad_hook((one(1), one(2)), lambda g: None, mode="foo"))


@case
def multi_grad_hooks_with_inputs():
    log = []
    a, b = one(1), one(2)
    h = a * 3
    graph.register_multi_grad_hook((h, b), lambda grads: log.append([nums(g) for g in grads]))
    y = h * b
    y.backward(inputs=[a], retain_graph=True)
    y.backward()
    return log


@case
def hook_registration_errors():
    x = torch.ones(1)
    return [error(lambda: x.register_hook(lambda g: g))]


@case
def hook_sees_total_gradient_of_a_leaf():
    log = []
    x = one(2)
    x.register_hook(noting(log, "x", True))
    (x * 3 + x * 4 + x * x).backward()
    return log


@case
def order_newest_first():
    log = []
    a, b = one(1), one(2)
    s = a.sin()
    c = b.cos()
    out = s * c
    for t, name in [(a, "a"), (b, "b"), (s, "s"), (c, "c"), (out, "out")]:
        t.register_hook(noting(log, name))
    out.backward()
    return log


@case
def order_of_a_diamond():
    log = []
    x = one(1)
    a = x * 2
    b = a * 3
    c = a * 4
    d = b * 5
    e = c + d
    for t, name in [(x, "x"), (a, "a"), (b, "b"), (c, "c"), (d, "d"), (e, "e")]:
        t.register_hook(noting(log, name))
    e.backward()
    return log


@case
def set_sequence_nr():
    log = []
    x = leaf(1)
    y = leaf(2)
    a = x.exp()
    b = y.sin()
    a.register_hook(noting(log, "a"))
    b.register_hook(noting(log, "b"))
    z = a + b
    n = b.grad_fn._sequence_nr()
    a.grad_fn._set_sequence_nr(n + 1)
    z.backward()
    return [log, a.grad_fn._sequence_nr() - n]


# --- inside a pass -----------------------------------------------------------------------------------------------------------


@case
def current_graph_task_id():
    seen = []
    x = one(1)
    y = x * 2
    y.register_hook(lambda g: seen.append(torch._C._current_graph_task_id()))
    before = torch._C._current_graph_task_id()
    y.backward(retain_graph=True)
    y.backward()
    return [before, seen[1] - seen[0], torch._C._current_graph_task_id()]


@case
def current_graph_task_execution_order():
    seen = []
    a = one(1)
    b = one(2)
    s = a.sin()
    c = b.cos()
    out = s * c
    out.register_hook(lambda g: seen.extend(names(torch._C._current_graph_task_execution_order())))
    with torch.autograd.set_multithreading_enabled(False):
        out.backward()
    return [seen, error(lambda: torch._C._current_graph_task_execution_order())[:6]]


@case
def current_node():
    seen = []
    x = one(1)
    y = x.exp()
    y.register_hook(lambda g: seen.append(torch._C._current_autograd_node() is y.grad_fn))
    y.grad_fn.register_prehook(lambda g: seen.append(torch._C._current_autograd_node() is y.grad_fn))
    x.register_hook(lambda g: seen.append(torch._C._current_autograd_node().name()))
    y.backward()
    return [seen, torch._C._current_autograd_node()]


@case
def will_engine_execute_node():
    seen = []
    a, b = one(1), one(2)
    h, k = a * 2, b * 3
    y = h + k
    will = torch._C._will_engine_execute_node
    y.register_hook(lambda g: seen.append([will(h.grad_fn), will(k.grad_fn), will(EDGE(b).node)]))
    y.backward(retain_graph=True)
    y.backward(inputs=[a], retain_graph=True)
    torch.autograd.grad(y, [h], retain_graph=True)
    z = h + 1
    z.register_hook(lambda g: seen.append(error(lambda: will(EDGE(a).node))))
    torch.autograd.grad(z, [a], retain_graph=True)
    return [seen, error(lambda: will(h.grad_fn))[:6]]


@case
def callback_adds_callback():
    called = [0]
    x = one(1)

    def final():
        called[0] += 1

    def first():
        called[0] += 1
        torch.autograd.Variable._execution_engine.queue_callback(final)

    y = x.exp()
    y.register_hook(lambda g: torch.autograd.Variable._execution_engine.queue_callback(first))
    y.backward()
    return [called[0], error(lambda: torch.autograd.Variable._execution_engine.queue_callback(final))]


@case
def callbacks_run_after_leaves():
    log = []
    x = one(1)
    y = x.exp()

    def hook(g):
        log.append("hook")
        torch.autograd.Variable._execution_engine.queue_callback(lambda: log.append(["callback", nums(x.grad) is not None]))

    y.register_hook(hook)
    x.register_hook(noting(log, "leaf"))
    y.backward()
    return log


@case
def simple_reentrant():
    log = []
    x = leaf(1, 2)
    y = x * 2

    @torch.enable_grad()
    def hook(g):
        inner = x.detach().clone().requires_grad_()
        (inner * inner).sum().backward()
        log.append(nums(inner.grad))
        return g * inner.grad

    y.register_hook(hook)
    y.sum().backward()
    return [log, nums(x.grad)]


@case
def reentrant_on_the_same_graph():
    x = one(3)
    a = x * x
    y = a * 2
    log = []

    def hook(g):
        (inner,) = torch.autograd.grad(a, x, retain_graph=True)
        log.append(nums(inner))

    y.register_hook(hook)
    y.backward()
    return [log, nums(x.grad)]


@case
def reentrant_priority():
    log = []
    x = one(1)
    y = one(2)
    a = x.exp()
    b = y.exp()

    @torch.enable_grad()
    def hook(g):
        log.append("outer b")
        inner = one(1)
        z = inner.sin()
        z.register_hook(noting(log, "inner"))
        z.backward()

    a.register_hook(noting(log, "outer a"))
    b.register_hook(hook)
    (a + b).backward()
    return log


@case
def reentrant_with_callbacks_both_depths():
    log = []
    queue = torch.autograd.Variable._execution_engine.queue_callback
    x = one(1)
    y = x.exp()

    @torch.enable_grad()
    def hook(g):
        queue(lambda: log.append("outer callback"))
        inner = one(2)
        z = inner.exp()
        z.register_hook(lambda g: queue(lambda: log.append("inner callback")))
        z.backward()
        log.append("inner done")

    y.register_hook(hook)
    y.backward()
    return log


@case
def reentrant_child_error():
    x = one(1)
    y = x.exp()
    z = x.sin()

    def bad(g):
        raise RuntimeError("child failed")

    @torch.enable_grad()
    def hook(g):
        inner = one(2)
        w = inner.exp()
        w.register_hook(bad)
        w.backward()

    y.register_hook(hook)
    e = error(lambda: y.backward())
    z.backward()
    return [e, nums(x.grad) is not None, torch.is_grad_enabled()]


@case
def grad_mode_restored_reentrant():
    seen = []
    x = one(1)
    y = x * x

    def hook(g):
        seen.append(torch.is_grad_enabled())
        inner = one(2)
        with torch.enable_grad():
            torch.autograd.grad(inner * inner, inner, create_graph=True)
        seen.append(torch.is_grad_enabled())

    y.register_hook(hook)
    y.backward(retain_graph=True)
    torch.autograd.grad(y, x, create_graph=True)
    return [seen, torch.is_grad_enabled()]


@case
def error_in_hook_leaves_partial_gradients():
    log = []
    a, b = one(1), one(2)
    s, c = a.sin(), b.cos()

    def bad(g):
        raise ValueError("no")

    s.register_hook(bad)
    e = error(lambda: (s * c).backward())
    return [e, a.grad is None, nums(b.grad) is not None]


@case
def keep_graph_inside():
    seen = []
    x = one(1)
    y = x.exp()
    y.register_hook(lambda g: seen.append(torch._C._autograd._get_current_graph_task_keep_graph()))
    y.backward(retain_graph=True)
    y.backward()
    return seen


# --- flags and attributes -----------------------------------------------------------------------------------------------------


@case
def requires_grad():
    x, y, z = torch.ones(2), torch.ones(2), leaf(1, 2)
    a = x + y
    b = a + z
    c = b * 2
    return [a.requires_grad, b.requires_grad, c.requires_grad, a.is_leaf, b.is_leaf, z.is_leaf, a.grad_fn is None]


@case
def requires_grad_():
    x = torch.ones(2)
    r = x.requires_grad_() is x
    y = x * 2
    i = torch.ones(2, dtype=torch.int32)
    return [
        r,
        x.requires_grad,
        y.requires_grad_() is y,
        error(lambda: y.requires_grad_(False)),
        error(lambda: i.requires_grad_()),
        error(lambda: setattr(i, "requires_grad", True)),
        error(lambda: setattr(x, "requires_grad", 1)),
        error(lambda: torch.ones(2, dtype=torch.int32, requires_grad=True)),
        i.requires_grad_(False) is i,
    ]


@case
def requires_grad_inplace():
    a = torch.ones(2)
    b = leaf(1, 2)
    a = a.double()
    a += b
    c = torch.ones(2).double()
    c.mul_(2)
    return [a.requires_grad, a.is_leaf, a.grad_fn.name(), c.requires_grad, c.is_leaf]


@case
def grad_assignment():
    x = torch.ones(2, requires_grad=True)
    r = [
        error(lambda: setattr(x, "grad", 3))[:73],
        error(lambda: setattr(x, "grad", torch.ones(3))),
        error(lambda: setattr(x, "grad", torch.ones(2).double()))[:60],
        error(lambda: setattr(x, "grad", x)),
    ]
    g = torch.ones(2)
    x.grad = g
    r.append(x.grad is g)
    (x * 2).sum().backward()
    r += [x.grad is g, nums(g)]
    x.grad = None
    r.append(x.grad is None)
    return r


@case
def grad_dtype():
    x = torch.ones(2, requires_grad=True)
    out = [str(x.grad_dtype)[6:]]
    x.grad_dtype = torch.float64
    (x * 2).sum().backward()
    out += [str(x.grad.dtype)[6:], error(lambda: setattr(x, "grad_dtype", torch.float32))[:40]]
    x.grad = None
    x.grad_dtype = None
    x.grad = torch.ones(2).double()
    (x * 2).sum().backward()
    out += [str(x.grad.dtype)[6:], nums(x.grad), x.grad_dtype is None]
    y = x * 2
    out += [error(lambda: y.grad_dtype), error(lambda: setattr(y, "grad_dtype", None))]
    return out


@case
def strided_leaf_grad_layout():
    out = []
    for make in [
        lambda: torch.ones(2, 3).t(),
        lambda: torch.ones(2, 6)[:, ::2],
        lambda: torch.ones(2, 1).expand(2, 3),
        lambda: torch.ones(2, 3, 4).permute(2, 0, 1),
    ]:
        p = make().detach().requires_grad_()
        (p * 2).sum().backward()
        out.append(list(p.grad.stride()))
    return out


@case
def detach():
    x = leaf(1, 2)
    y = x * 2
    d = y.detach()
    d.add_(1)
    return [d.requires_grad, d.is_leaf, nums(y), y._version, d._version, error(lambda: (y * y.exp()).sum().backward())]


@case
def detach_then_inplace_raises_in_autograd():
    x = leaf(1, 2)
    y = x.clone()
    d = y.detach()
    out = (y * y).sum()
    d.mul_(2)
    return error(lambda: out.backward())[:89]


@case
def detach_inplace():
    x = leaf(1, 2)
    y = x * 2
    y.detach_()
    return [y.requires_grad, y.is_leaf, error(lambda: x[0:1].detach_())[:56], error(lambda: (x * 2)[0:1].detach_())[:56]]


@case
def data_attribute():
    x = leaf(1, 2)
    y = x * x
    d = x.data
    d.add_(1)
    out = [nums(x), d.requires_grad, x._version, d._version]
    y.sum().backward()
    out.append(nums(x.grad))
    x.data = torch.tensor([5.0, 6.0]).double()
    out += [nums(x), x._version, x.requires_grad, x.is_leaf]
    out += [error(lambda: setattr(x, "data", torch.ones(2, dtype=torch.int32)))]
    return out


@case
def version_counter():
    x = torch.ones(4)
    v = x[0:2]
    d = x.detach()
    out = [x._version, v._version]
    v.add_(1)
    out += [x._version, v._version, d._version, x.data._version]
    with torch.no_grad():
        x.mul_(2)
    out += [x._version]
    x.zero_()
    x[0] = 3
    out += [x._version]
    y = x + 1
    out += [y._version]
    return out


@case
def increment_version():
    a, b = torch.ones(2), torch.ones(2, dtype=torch.int32)
    torch.autograd.graph.increment_version(a)
    torch.autograd.graph.increment_version((a, b))
    return [a._version, b._version]


@case
def unsafe_preserve_version_counter():
    x = torch.ones(2)
    with torch.autograd._unsafe_preserve_version_counter(x):
        x.add_(1)
    return x._version


@case
def integer_outputs():
    x = leaf(3, 1, 2)
    out = [x.argmax().requires_grad, (x > 1).requires_grad, x.max(0)[1].requires_grad, x.max(0)[0].requires_grad]
    return out


@case
def type_conversions():
    x = leaf(1, 2)
    y = x.float()
    (y * y).sum().backward()
    return [y.grad_fn.name(), nums(x.grad), str(x.grad.dtype)[6:], x.int().requires_grad]


@case
def numpy_requires_grad():
    x = leaf(1, 2)
    return [error(lambda: x.numpy()), nums(torch.from_numpy(x.detach().numpy()))]


@case
def output_numbers():
    x = leaf(1, 2, 3, 4)
    a, b = x.split(2)
    return [a.output_nr, b.output_nr, x.output_nr, (a * b).output_nr, a.grad_fn is b.grad_fn]


@case
def undefined_gradients_are_not_zeros():
    seen = []
    x, y = leaf(1), leaf(2)
    a = x * 2
    b = y * 3
    pair = a * b
    pair.grad_fn.register_hook(lambda gi, go: seen.append([nums(g) for g in gi]))
    torch.autograd.grad(pair.sum(), [a], retain_graph=True)
    return seen


@case
def expanded_gradients():
    x = leaf(1, 2)
    s = x.sum()
    y = (s * torch.ones(3).double()).expand(2, 3)
    y.backward(torch.ones(1, 1).double().expand(2, 3))
    return nums(x.grad)


@case
def gradient_of_shape_that_expands():
    x = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    b = torch.ones(3, dtype=torch.float64, requires_grad=True)
    c = torch.ones(2, 1, dtype=torch.float64, requires_grad=True)
    (x * b * c).sum().backward()
    return [nums(b.grad), nums(c.grad)]


@case
def mixed_dtypes():
    x = torch.ones(2, dtype=torch.float32, requires_grad=True)
    y = leaf(2, 3)
    z = (x * y).sum()
    z.backward()
    return [str(z.dtype)[6:], str(x.grad.dtype)[6:], str(y.grad.dtype)[6:], nums(x.grad), nums(y.grad)]


# --- more of what PyTorch's own suite checks ----------------------------------------------------------------------------


@case
def grad():
    x, y = leaf(1, 2), leaf(3, 4)
    z = x * x + y * x + y * y
    z.backward(torch.ones(2, dtype=torch.float64), create_graph=True)
    first = [nums(x.grad), nums(y.grad)]
    (h,) = torch.autograd.grad([(x.grad + 2 * y.grad).sum()], [x])
    return [
        first,
        nums(h),
        nums(x.grad),
        x.grad.requires_grad,
        error(lambda: torch.autograd.grad(x * 2, x, torch.ones(3, dtype=torch.float64))),
        error(lambda: torch.autograd.grad([x * 2, x], x, [torch.ones(2, dtype=torch.float64)]))[:40],
    ]


@case
def grad_to_node_materialize():
    x = leaf(1, 2)
    y = leaf(3, 4)
    out = x * x
    return [
        nums(torch.autograd.grad(out.sum(), [x, y], allow_unused=True, materialize_grads=True)[1]),
        nums(torch.autograd.grad((x * x).sum(), [EDGE(x)], materialize_grads=True)[0]),
        error(lambda: torch.autograd.grad((x * x).sum(), [x, EDGE(y)], allow_unused=True, materialize_grads=True))[:80],
    ]


@case
def unused_grad_requires_grad_with_materialize():
    x = leaf(1, 2)
    y = leaf(3)
    out = []
    for create in [False, True]:
        g = torch.autograd.grad((x * x).sum(), [x, y], allow_unused=True, materialize_grads=True, create_graph=create)
        out.append([[t.requires_grad for t in g], [nums(t) for t in g]])
    return out


@case
def sharded_grad():
    leaves = [leaf(i, i + 1, i + 2) for i in range(4)]
    middle = [l * (i + 1) for i, l in enumerate(leaves)]
    loss = sum((m * m).sum() for m in middle)
    half = torch.autograd.grad(loss, middle[:2], retain_graph=True)
    rest = torch.autograd.grad(loss, middle[2:])
    shards = list(half) + list(rest)
    grads = [torch.autograd.grad(m, l, g)[0] for m, l, g in zip(middle, leaves, shards)]
    return [nums(g) for g in grads]


def twice(saved, retain):
    x = leaf(3)
    y = x * x if saved else x + x
    y.backward(torch.ones(1, dtype=torch.float64), retain_graph=retain)
    second = error(lambda: y.backward(torch.ones(1, dtype=torch.float64)))[:70]
    return [second, nums(x.grad)]


@case
def backward_twice_with_saved_values():
    return twice(True, False)


@case
def backward_twice_retained_graph_with_saved_values():
    return twice(True, True)


@case
def backward_twice_without_saved_values():
    return twice(False, False)


@case
def backward_twice_retained_graph_without_saved_values():
    return twice(False, True)


@case
def backward():
    v = leaf(1, 2)
    x, y, z = leaf(1, 2), leaf(3, 4), leaf(5, 6)
    ((x + y) * 2 - z * z / x).backward(v.detach())
    return [nums(x.grad), nums(y.grad), nums(z.grad)]


@case
def accumulate_grad_tensor_reference():
    out = []
    for create in [False, True]:
        x = leaf(1, 2)
        x.grad = torch.ones(2, dtype=torch.float64)
        before = x.grad
        (x * 3).sum().backward(create_graph=create)
        out.append([x.grad is before, nums(before), nums(x.grad)])
    return out


@case
def post_accumulate_grad_hook_multiple_tensors():
    log = []
    x, y = one(2), one(3)
    hook = lambda t: log.append([t is x, nums(t.grad)])
    x.register_post_accumulate_grad_hook(hook)
    y.register_post_accumulate_grad_hook(hook)
    (x * y).backward()
    return sorted(log)


@case
def post_accumulate_grad_hook_returns_not_None():
    x = one(2)
    x.register_post_accumulate_grad_hook(lambda t: t.grad)
    return [error(lambda: (x * 2).backward()), nums(x.grad)]


@case
def hook_with_no_name():
    class Callable:
        def __call__(self, g):
            return g * 2

    x = one(2)
    x.register_hook(Callable())
    (x * 3).backward()
    return nums(x.grad)


@case
def accumulate_grad_posthooks_can_observe_tensor_prehook():
    log = []
    x = one(2)
    acc = x.expand_as(x).grad_fn.next_functions[0][0]
    acc.register_hook(lambda gi, go: log.append([nums(go[0]), len(gi)]))
    x.register_hook(lambda g: g * 5)
    (x * 3).backward()
    return [log, nums(x.grad)]


@case
def accumulate_grad_posthooks_should_not_execute():
    log = []
    x = one(2)
    acc = x.expand_as(x).grad_fn.next_functions[0][0]
    acc.register_hook(lambda gi, go: log.append("post"))
    acc.register_prehook(lambda go: log.append("pre"))
    x.register_hook(lambda g: log.append("tensor"))
    torch.autograd.grad(x * 3, x)
    return log


@case
def tensor_hooks_inplace_multiple_outputs():
    log = []
    x = leaf(1, 2)
    a, b = (x * 1).split(1)[0].clone(), (x * 2).split(1)[1].clone()
    a.register_hook(noting(log, "a before", True))
    a.mul_(3)
    a.register_hook(noting(log, "a after", True))
    b.register_hook(noting(log, "b", True))
    (a + b).sum().backward()
    return [sorted(log, key=str), nums(x.grad)]


@case
def reentrant_with_leaf_variable_hook():
    x = one(2)
    p = one(10)
    log = []

    def hook(g):
        with torch.enable_grad():
            y = x.detach().requires_grad_()
            (y * y).backward()
            log.append(nums(y.grad))
        return g

    p.register_hook(hook)
    (p * 3).backward()
    return [log, nums(p.grad)]


@case
def reentrant_with_non_leaf_variable_hook():
    p = one(10)
    log = []

    def hook(g):
        with torch.enable_grad():
            y = p.detach().requires_grad_()
            (y * y).backward()
            log.append(nums(y.grad))
        return g

    q = p * 2
    q.register_hook(hook)
    (q * 3).backward()
    return [log, nums(p.grad)]


def reentrant(inner, outer):
    callback = torch.autograd.Variable._execution_engine.queue_callback
    log = []
    x = leaf(1, 2)
    y = x * 2

    def hook(g):
        if outer:
            callback(lambda: log.append("outer"))
        z = x.detach().requires_grad_()
        if inner:
            z.register_hook(lambda g: callback(lambda: log.append("inner")))
        with torch.enable_grad():
            (z * 3).sum().backward()
        log.append("returned")
        return z.grad

    y.register_hook(hook)
    y.sum().backward()
    return [log, nums(x.grad)]


@case
def reentrant_with_callbacks_depth_0():
    return reentrant(False, True)


@case
def reentrant_with_callbacks_depth_1():
    return reentrant(True, False)


@case
def multiple_insert_removal_caching():
    x, y = leaf(1, 2), leaf(3, 4)
    out = []
    for _ in range(3):
        loss = (x * y).sum() + x.exp().sum()
        out.append([nums(g) for g in torch.autograd.grad(loss, [x, y])])
        del loss
    return out


@case
def copy_slices_graph_task_updates():
    def build():
        x = leaf(1, 2)
        y = leaf(3, 4)
        out = x * 2
        out[0:1].mul_(y[0:1])
        return x, y, out

    got = []
    for pick in [lambda x, y: [x], lambda x, y: [y], lambda x, y: [x, y]]:
        x, y, out = build()
        got.append([nums(g) for g in torch.autograd.grad(out.sum(), pick(x, y))])
    x, y, out = build()
    got.append(error(lambda: out.sum().backward()))
    return got + [nums(x.grad), nums(y.grad)]


@case
def hooks_run_once_for_a_leaf_used_twice():
    log = []
    x = one(2)
    x.register_hook(noting(log, "total", True))
    (x * 2 + x * 3).backward()
    return log


@case
def backward_hooks_of_a_detached_graph():
    log = []
    x = one(2)
    y = x * 2
    y.register_hook(noting(log, "y", True))
    (y.detach() * x).backward()
    return [log, nums(x.grad)]


if __name__ == "__main__":
    write("engine")
