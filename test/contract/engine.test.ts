/** Backward, grad, hooks and the engine do what PyTorch was seen to do (recorded by record_engine.py). */
import * as torch from '../../src/index.ts'
import { compare, error, leaf, names, number, nums, one, plain } from './harness.ts'

const { autograd } = torch
const { graph } = autograd
const edge = graph.getGradientEdge
type T = torch.Tensor
type Log = unknown[]

const noting =
  (log: Log, name: string, value = false) =>
  (g: T): void =>
    void log.push(value ? [name, nums(g)] : name)
const ones = (...shape: number[]): T => torch.ones(shape, { dtype: 'float64' })
const call = (g: T | null): unknown => nums(g)
/** Sets a property that the types refuse. */
const set = (t: T, name: string, value: unknown) => (): unknown => Reflect.set(t, name, value)

function twice(saved: boolean, retainGraph: boolean): unknown {
  const x = leaf(3)
  const y = saved ? x.mul(x) : x.add(x)
  y.backward(ones(1), { retainGraph })
  return [error(() => y.backward(ones(1))), nums(x.grad)]
}

/** A pass inside a hook of another, with callbacks queued in either. */
function reentrant(inner: boolean, outer: boolean): unknown {
  const log: unknown[] = []
  const x = leaf(1, 2)
  const y = x.mul(2)
  y.registerHook(() => {
    if (outer) graph.queueCallback(() => void log.push('outer'))
    const z = x.detach().requiresGrad_()
    if (inner) z.registerHook(() => graph.queueCallback(() => void log.push('inner')))
    torch.enableGrad(() => z.mul(3).sum()).backward()
    log.push('returned')
    return z.grad!
  })
  y.sum().backward()
  return [log, nums(x.grad)]
}

compare('engine', './engine.json', {
  multi_backward() {
    const x = leaf(1, 2)
    const y = leaf(3, 4)
    autograd.backward([x.mul(y), x.add(y)], [ones(2), ones(2).mul(2)])
    return [nums(x.grad), nums(y.grad)]
  },
  multi_backward_no_grad() {
    const x = one(2)
    const y = torch.tensor(3)
    return [error(() => autograd.backward([x.mul(2), y])), error(() => autograd.backward([y]))]
  },
  backward_with_inputs() {
    const x = one(2)
    const y = one(3)
    const z = x.mul(x).mul(y)
    z.backward({ inputs: [x], retainGraph: true })
    const first = [nums(x.grad), nums(y.grad)]
    z.backward({ inputs: y, retainGraph: true })
    return [
      first,
      nums(x.grad),
      nums(y.grad),
      error(() => z.backward({ inputs: [] })),
      error(() => z.backward({ inputs: [torch.tensor(1)] })),
    ]
  },
  backward_with_nonleaf_inputs() {
    const x = one(2)
    const b = x.mul(3)
    const c = b.mul(b)
    const before = b.retainsGrad
    c.backward({ inputs: [b, x], retainGraph: true })
    const first = [nums(b.grad), nums(x.grad), before, b.retainsGrad]
    c.backward({ inputs: [b] })
    return [first, nums(b.grad), nums(x.grad)]
  },
  backward_with_scalar_input() {
    const x = one(2)
    torch
      .tensor([[3]], { dtype: 'float64' })
      .mul(x)
      .backward({ inputs: x })
    return nums(x.grad)
  },
  dependent_backward() {
    const x = one(3)
    const y = x.mul(x)
    autograd.backward([y, y.mul(y).mul(y)])
    return nums(x.grad)
  },
  duplicate_backward_root() {
    const x = leaf(1, 2)
    const y = leaf(3, 4)
    const z = x.mul(y)
    const g = ones(2)
    autograd.backward([z, z], [g, g])
    return [nums(x.grad), nums(y.grad), nums(g)]
  },
  backward_no_grad() {
    const x = one(2)
    const y = x.add(1)
    const e = torch.noGrad(() => {
      const text = error(() => x.add(1).backward())
      autograd.backward(y)
      return text
    })
    return [e, nums(x.grad), x.grad!.requiresGrad]
  },
  backward_badcalls() {
    return [
      error(() => torch.ones([1]).backward()),
      error(() => leaf(1, 2).mul(2).backward()),
      error(() => autograd.backward([one(1).mul(2)], [3 as unknown as T])),
    ]
  },
  grad_badcalls() {
    const x = torch.ones([1])
    const y = x.pow(2)
    const z = leaf(1, 2)
    return [
      error(() => autograd.grad(x, y)),
      error(() => autograd.grad(z.sum(), x)),
      error(() => autograd.grad(x, z)),
      error(() => autograd.grad(z.mul(2), z)),
      error(() => autograd.grad(z.mul(2), z, { gradOutputs: ones(3) })),
    ]
  },
  grad_empty_inputs: () => error(() => autograd.grad(one(1).mul(2), [])).slice(0, 7),
  grad_nonleaf() {
    const x = leaf(2, 3)
    let y: T = x
    for (let i = 0; i < 3; i++) y = y.sub(autograd.grad(y.mul(y).sum(), y)[0]!.mul(0.25))
    return [nums(y), nums(x.grad), nums(y.grad)]
  },
  grad_nonleaf_many_outputs() {
    const x = leaf(1, 2, 3, 4)
    const [a, b] = x.split(2) as [T, T]
    const seen: Log = []
    a.registerHook(noting(seen, 'a', true))
    b.registerHook(noting(seen, 'b', true))
    const [ga, gb] = autograd.grad(a.add(b.mul(2)).sum(), [a, b])
    return [nums(ga), nums(gb), seen, nums(x.grad)]
  },
  grad_nonleaf_register_hook() {
    const x = leaf(1, 2, 3)
    const parts = x.unbind()
    const seen: Log = []
    parts[0]!.registerHook(noting(seen, '0', true))
    parts[0]!.mul(5).backward({ retainGraph: true })
    return [seen, nums(x.grad), names([parts[0]!.gradFn])]
  },
  grad_unreachable() {
    const x = leaf(1)
    const y = leaf(2)
    const z = x.mul(2)
    const w = y.mul(2)
    const g = autograd.grad(x.mul(2), [x, y], { allowUnused: true, gradOutputs: ones(1) })
    const h = autograd.grad(z, [z, w], { allowUnused: true, gradOutputs: ones(1) })
    return [...g.map(call), ...h.map(call), error(() => autograd.grad(x.mul(2), [x, y], { gradOutputs: ones(1) }))]
  },
  grad_unreachable_discovery() {
    const x = one(2)
    const y = one(3)
    const seen: Log = []
    const a = x.mul(2)
    const b = y.mul(3)
    b.registerHook(noting(seen, 'b'))
    const [g] = autograd.grad(a.add(b), x)
    return [nums(g), seen, nums(y.grad)]
  },
  grad_materialize_grads() {
    const x = one(0.5)
    const y = one(1)
    const dydx = autograd.grad(x.mul(2), [x, y], { createGraph: true, materializeGrads: true })
    const without = autograd.grad(x.mul(2), [x, y], { materializeGrads: true })
    return [
      dydx.map(call),
      dydx.map((g) => g.requiresGrad),
      without.map((g) => g.requiresGrad),
      error(() => autograd.grad(x.mul(2), [x, y], { allowUnused: false, materializeGrads: true })),
      error(() => autograd.grad(x.mul(2), [edge(x)], { materializeGrads: true })),
    ]
  },
  grad_same_input_twice() {
    const x = leaf(1, 2)
    const y = x.mul(x)
    return autograd.grad(y.sum(), [x, y, x]).map(call)
  },
  grad_batched_grad() {
    const x = leaf(1, 2)
    const y = x.mul(x)
    const [g] = autograd.grad(y, x, { gradOutputs: torch.eye(2, { dtype: 'float64' }), isGradsBatched: true, retainGraph: true })
    const z = x.sum()
    const [h] = autograd.grad(z, x, { gradOutputs: plain(1, 2), isGradsBatched: true, retainGraph: true })
    return [
      nums(g),
      nums(h),
      error(() => autograd.grad(y, x, { gradOutputs: number(1).expand([2]), isGradsBatched: true })).replace(
        'grad_output[0] has a shape of [2]',
        'grad_output[0] has a shape of []',
      ),
      error(() => autograd.grad(z, x, { gradOutputs: ones(3, 1), isGradsBatched: true })).replace(
        'grad_output[0] has a shape of [3, 1]',
        'grad_output[0] has a shape of []',
      ),
    ]
  },
  grad_to_node() {
    const x = leaf(1, 2)
    const w = x.mul(2)
    const v = w.mul(w)
    const [g] = autograd.grad(v.sum(), edge(w), { retainGraph: true })
    const [h] = autograd.grad(v.sum(), edge(x), { retainGraph: true })
    return [nums(g), nums(h), error(() => edge(ones(1)))]
  },
  grad_to_node_inplace() {
    const x = leaf(1, 2)
    const y = x.clone()
    const old = edge(y)
    y.mul_(3)
    const now = edge(y)
    const [a] = autograd.grad(y.sum(), old, { retainGraph: true })
    const [b] = autograd.grad(y.sum(), now, { retainGraph: true })
    return [nums(a), nums(b), names([old.node, now.node])]
  },
  grad_to_node_multi() {
    const [a, b] = leaf(1, 2, 3, 4).split(2) as [T, T]
    const made = autograd.grad(a.mul(b).sum(), [edge(b), edge(a)])
    return [...made.map(call), edge(b).outputNr]
  },
  backward_to_node() {
    const x = leaf(1, 2)
    const y = x.mul(3)
    y.mul(y)
      .sum()
      .backward({ inputs: [edge(x)] })
    return nums(x.grad)
  },
  gradient_edge_output() {
    const x = leaf(1, 2)
    const y = x.mul(x)
    const e = edge(y)
    const [g] = autograd.grad(e, x, { gradOutputs: ones(2), retainGraph: true })
    autograd.backward(e, ones(2), { retainGraph: true })
    const s = x.mul(2).sum()
    const [h] = autograd.grad([edge(s), y], x, { gradOutputs: [null, ones(2)], retainGraph: true })
    return [
      nums(g),
      nums(x.grad),
      nums(h),
      error(() => autograd.grad(e, x)),
      error(() => autograd.grad(e, x, { gradOutputs: ones(3) })),
      error(() => autograd.grad(e, x, { gradOutputs: ones(2, 2), isGradsBatched: true })),
    ]
  },
  gradient_edge_graph_ownership() {
    const x = one(2)
    return nums(autograd.grad(edge(x.exp().exp()), x)[0])
  },
  grad_fn_input_metadata() {
    const x = torch.ones([2, 3], { requiresGrad: true })
    const [a] = x.split(1) as [T]
    const meta = (node: torch.autograd.Node | null): unknown => node!.inputMetadata.map((m) => [m.shape, m.dtype, m.device])
    return [meta(x.mul(2).gradFn), meta(a.gradFn), meta(edge(x).node)]
  },
  grad_fn_badcalls() {
    const y = leaf(1, 2).mul(2)
    const g = ones(2)
    return [
      error(() => y.gradFn!.apply(g, g)),
      nums(y.gradFn!.apply(g)[0]),
      y.gradFn!.apply(g)[1],
      error(() => y.gradFn!.apply(3 as unknown as T)).slice(0, 5),
    ]
  },
  next_functions() {
    const x = leaf(1)
    const a = x.add(leaf(2))
    const b = a.add(5)
    const acc = a.gradFn!.nextFunctions
    return [
      a.gradFn!.name(),
      names(acc.map(([n]) => n)),
      acc.map(([, i]) => i),
      names(b.gradFn!.nextFunctions.map(([n]) => n)),
      b.gradFn!.nextFunctions[0]![0] === a.gradFn,
      x.mul(2).gradFn!.nextFunctions[0]![0] === acc[0]![0],
    ]
  },
  function_second_order_graph_shape() {
    const x = leaf(2)
    const y = leaf(3)
    const [g] = autograd.grad(x.mul(x).mul(y).sum(), x, { createGraph: true })
    const shape = (node: torch.autograd.Node | null, depth = 0): unknown =>
      node === null ? null : depth < 4 ? [node.name(), node.nextFunctions.map(([n]) => shape(n, depth + 1))] : node.name()
    return shape(g!.gradFn)
  },
  unused_output() {
    const x = torch.arange(20, { dtype: 'float64' }).view(10, 2).requiresGrad_()
    const outs = x.chunk(5)
    outs[2]!.sum().backward()
    const first = nums(x.grad)
    x.grad = null
    outs[0]!.add(outs[4]!.mul(2)).sum().backward()
    return [first, nums(x.grad)]
  },
  unrelated_inputs() {
    const x = leaf(1)
    const y = leaf(1)
    x.mul(2).backward()
    return [nums(x.grad), nums(y.grad)]
  },
  isolated_node() {
    const x = leaf(1, 2)
    const y = leaf(5, 4)
    const a = x.add(y)
    const b = a.max(0, { keepdim: true }).indices.repeat([2, 1]).to('float64')
    b.add(a).sum().backward()
    return [nums(x.grad), nums(y.grad)]
  },
  backward_copy() {
    const x = leaf(2, 3)
    const y = leaf(1, 1)
    const b = x.add(y).add(0)
    b.mul(b).sum().backward()
    x.grad!.mul_(10)
    return [nums(x.grad), nums(y.grad)]
  },
  input_buffer_accum() {
    const x = leaf(1, 2)
    const g = ones(2)
    const y = x.mul(1)
    autograd.backward([y, y.add(0), y.add(0)], [g, g, g])
    return [nums(g), nums(x.grad)]
  },
  accumulate_grad() {
    const x = leaf(1, 2)
    const out: Log = []
    x.mul(2).sum().backward()
    let g = x.grad!
    x.mul(2).sum().backward()
    out.push(x.grad === g, nums(g), g._version)
    x.mul(x).sum().backward({ createGraph: true })
    out.push(x.grad === g, nums(g), nums(x.grad), x.grad!.requiresGrad)
    g = x.grad!
    x.mul(2).sum().backward()
    out.push(x.grad === g, nums(g), x.grad!.requiresGrad)
    return out
  },
  accumulate_grad_with_zero_numel_grad() {
    const x = torch.zeros([4, 0], { dtype: 'float64', requiresGrad: true })
    x.mul(2).sum().backward()
    x.mul(2).sum().backward()
    return [x.grad!.shape, x.grad!.numel()]
  },
  hessian_vector() {
    const x = leaf(1, 2)
    const y = leaf(3, 4)
    const z = x.pow(2).add(y.mul(x)).add(y.pow(2))
    z.backward(ones(2), { createGraph: true })
    const gx = x.grad!
    const gy = y.grad!
    const s = gx.sum().add(gy.sum())
    const before = [nums(gx), nums(gy)]
    const [a, b] = autograd.grad(s, [x, y], { retainGraph: true })
    s.backward()
    return [before, nums(a), nums(b), nums(x.grad), nums(y.grad)]
  },
  third_order() {
    const x = one(2)
    const [g] = autograd.grad(x.pow(4), x, { createGraph: true })
    const [h] = autograd.grad(g!, x, { createGraph: true })
    const [k] = autograd.grad(h!, x)
    return [nums(g), nums(h), nums(k)]
  },
  backward_twice() {
    const x = one(2)
    const y = x.mul(x)
    y.backward({ retainGraph: true })
    y.backward()
    const z = x.add(1)
    z.backward()
    z.backward()
    return [nums(x.grad), error(() => y.backward()).slice(0, 120)]
  },
  partially_freed_graph() {
    const x = one(2)
    const a = x.exp()
    const b = a.sin()
    const c = a.cos()
    b.backward()
    return [error(() => c.backward()).slice(0, 70), nums(x.grad)]
  },
  freed_nodes_of_one_input_stay_for_another() {
    const x = one(2)
    const y = one(3)
    const a = x.exp()
    const b = y.exp()
    const c = a.mul(b)
    autograd.grad(c, x)
    return [error(() => autograd.grad(c, y)).slice(0, 70), nums(autograd.grad(b, y)[0])]
  },
  create_graph_keeps_the_graph() {
    const x = one(3)
    const y = x.mul(x).mul(x)
    autograd.grad(y, x, { createGraph: true })
    const [g] = autograd.grad(y, x)
    return [nums(g), error(() => y.backward()).slice(0, 70)]
  },

  // --- hooks

  prehook_ordering() {
    const log: Log = []
    const t = leaf(1, 2)
    const b = t.mul(t)
    b.retainGrad()
    b.registerHook((g) => {
      log.push('tensor1')
      return g.mul(2)
    })
    b.gradFn!.registerPrehook((gs) => void log.push(['pre', nums(gs[0])]))
    b.registerHook((g) => {
      log.push('tensor2')
      return g.mul(3)
    })
    b.gradFn!.registerHook((gi, go) => void log.push(['post', nums(gi[0]), nums(go[0])]))
    b.sum().backward()
    return [log, nums(b.grad), nums(t.grad)]
  },
  retains_grad_can_always_observe_tensor_prehook() {
    const x = one(5)
    const b = x.clone()
    b.registerHook((g) => g.add(2))
    b.retainGrad()
    b.registerHook((g) => g.mul(10))
    b.backward()
    return [nums(b.grad), nums(x.grad)]
  },
  leaf_hook_order() {
    const log: Log = []
    const x = one(2)
    x.registerHook((g) => {
      log.push(['tensor', nums(g)])
      return g.mul(2)
    })
    x.registerPostAccumulateGradHook((t) => void log.push(['acc', nums(t.grad)]))
    const y = x.mul(x)
    const { node } = edge(x)
    node.registerPrehook((gs) => void log.push(['pre', nums(gs[0])]))
    node.registerHook((gi, go) => void log.push(['post', gi.length, nums(go[0])]))
    y.backward()
    return [log, nums(x.grad)]
  },
  hook_edge_case_when_called_with_grad() {
    const log: string[] = []
    const add = (name: string) => (): void => void log.push(name)
    const a = one(5)
    const b = a.mul(2)
    const c = b.mul(2)
    edge(a).node.registerPrehook(add('acc pre'))
    edge(a).node.registerHook(add('acc post'))
    for (const [t, name] of [
      [a, 'a'],
      [b, 'b'],
      [c, 'c'],
    ] as const) {
      t.registerHook(add(name))
      t.gradFn?.registerPrehook(add(`${name} pre`))
      t.gradFn?.registerHook(add(`${name} post`))
    }
    a.registerPostAccumulateGradHook(add('a post acc'))
    const keep = { retainGraph: true }
    return [
      () => autograd.grad(c, [a], keep),
      () => autograd.grad(c, [b], keep),
      () => autograd.grad(c, [a, b], keep),
      () => autograd.grad(c, [c], keep),
      () => c.backward({ inputs: [a], ...keep }),
      () => c.backward({ inputs: [b], ...keep }),
      () => c.backward(keep),
    ].map((f) => {
      log.length = 0
      f()
      return [...log]
    })
  },
  captured_gradient_and_tensor_hooks() {
    const x = one(2)
    const b = x.mul(3)
    const c = b.mul(b)
    b.registerHook((g) => g.mul(2))
    const both = autograd.grad(c, [b, x], { retainGraph: true })
    const only = autograd.grad(c, [b], { retainGraph: true })
    const y = one(2)
    y.registerHook((g) => g.mul(5))
    return [both.map(call), nums(only[0]), nums(autograd.grad(y.mul(y), y)[0])]
  },
  hooks() {
    const x = ones(2, 2).requiresGrad_()
    const y = ones(2, 2).mul(4).requiresGrad_()
    let counter = 0
    const z = x.pow(2).add(x.mul(2)).add(x.mul(y)).add(y)
    const back = (): number => {
      z.backward(ones(2, 2), { retainGraph: true })
      return counter
    }
    x.registerHook(() => undefined)
    const test = z.registerHook(() => void (counter += 1))
    const first = back()
    const test2 = z.registerHook(() => void (counter += 2))
    const second = back()
    test2.remove()
    const third = back()
    test.remove()
    test.remove()
    z.registerHook((g) => g.mul(2))
    y.grad = null
    const last = back()
    return [first, second, third, last, nums(y.grad)]
  },
  hook_removes_itself_and_another() {
    const log: string[] = []
    const y = one(1).mul(2)
    const handles: torch.autograd.HookHandle[] = []
    handles.push(
      y.registerHook(() => {
        log.push('first')
        handles[0]!.remove()
        handles[1]!.remove()
      }),
    )
    handles.push(y.registerHook(() => void log.push('second')))
    handles.push(y.registerHook(() => void log.push('third')))
    y.backward({ retainGraph: true })
    y.backward({ retainGraph: true })
    return log.length === 5 ? log.slice(3) : log.slice(2)
  },
  grad_fn_prehooks() {
    const x = leaf(1, 2)
    const y = x.mul(3)
    y.gradFn!.registerPrehook((gs) => [gs[0]!.mul(2)])
    y.gradFn!.registerPrehook(() => null)
    y.gradFn!.registerPrehook((gs) => [gs[0]!.add(1)])
    y.sum().backward()
    return nums(x.grad)
  },
  grad_fn_prehooks_multiple_outputs() {
    const x = torch.arange(6, { dtype: 'float64' }).requiresGrad_()
    const [a] = x.split(3) as [T, T]
    const seen: Log = []
    a.gradFn!.registerPrehook((gs) => {
      seen.push(gs.map(call))
      return gs.map((g) => g?.mul(2) ?? null)
    })
    a.mul(a).sum().backward()
    return [seen, nums(x.grad)]
  },
  grad_fn_prehooks_remove_hooks() {
    const y = one(2).mul(2)
    let count = 0
    const handle = y.gradFn!.registerPrehook(() => {
      count++
      handle.remove()
      handle.remove()
    })
    y.backward({ retainGraph: true })
    y.backward({ retainGraph: true })
    return count
  },
  post_hook_replaces_gradients() {
    const x = leaf(1, 2)
    const y = leaf(3, 4)
    const z = x.mul(y)
    z.gradFn!.registerHook((gi) => [gi[0]!.mul(10), gi[1]!])
    z.sum().backward()
    return [nums(x.grad), nums(y.grad)]
  },
  post_hook_of_inputs_without_gradient() {
    const z = leaf(1, 2).mul(plain(3, 4))
    const seen: Log = []
    z.gradFn!.registerHook((gi, go) => void seen.push([gi.map(call), go.map(call)]))
    z.sum().backward()
    return seen
  },
  hook_results_are_checked() {
    const run = (kind: 'tensor' | 'pre' | 'post', f: (...args: never[]) => unknown): string => {
      const hook = (...args: never[]): never => f(...args) as never
      const y = leaf(1, 2).mul(2)
      if (kind === 'tensor') y.registerHook(hook as never)
      else if (kind === 'pre') y.gradFn!.registerPrehook(hook as never)
      else y.gradFn!.registerHook(hook as never)
      return error(() => y.sum().backward())
    }
    return [
      run('tensor', () => 3).slice(0, 40),
      run('tensor', (g: T) => g.narrow(0, 0, 1)),
      run('tensor', (g: T) => g.to('float32')),
      run('pre', () => 3).slice(0, 37),
      run('pre', () => [3]).slice(0, 40),
      run('pre', (gs: T[]) => [gs[0]!.narrow(0, 0, 1)]),
      run('pre', (gs: T[]) => [gs[0], gs[0]]),
      run('post', () => 3).slice(0, 37),
      run('post', (gi: T[]) => [gi[0]!.narrow(0, 0, 1), null]),
      run('post', (gi: T[]) => [gi[0], gi[0], gi[0]]),
    ]
  },
  prehook_that_gives_none() {
    const x = leaf(1, 2)
    const y = x.mul(2)
    y.gradFn!.registerPrehook(() => [null])
    y.sum().backward()
    return nums(x.grad)
  },
  retain_grad() {
    const x = leaf(1, 3)
    const h = x.mul(3)
    const out = h.mul(h).sum()
    h.retainGrad()
    h.retainGrad()
    out.backward({ retainGraph: true })
    const first = nums(h.grad)
    out.backward({ retainGraph: true })
    const second = nums(h.grad)
    h.grad = null
    out.backward()
    x.retainGrad()
    return [first, second, nums(h.grad), x.retainsGrad, h.retainsGrad, error(() => ones(1).retainGrad())]
  },
  retain_grad_inplace() {
    const x = one(1)
    const a = x.clone()
    a.retainGrad()
    a.mul_(2)
    a.mul(5).backward()
    return [nums(a.grad), a.retainsGrad, nums(x.grad)]
  },
  retain_grad_inplace_over_view() {
    const base = leaf(1, 2, 3)
    const a = base.clone()
    const view = a.narrow(0, 0, 2)
    view.retainGrad()
    a.retainGrad()
    view.mul_(2)
    a.mul(a).sum().backward()
    return [nums(base.grad), nums(view.grad), nums(a.grad)]
  },
  retains_grad_inplace_multiple_outputs() {
    const x = leaf(1, 2, 3, 4)
    const [a, b] = x.split(2).map((t) => t.clone()) as [T, T]
    a.retainGrad()
    b.retainGrad()
    a.mul_(2)
    a.mul(b).sum().backward()
    return [nums(a.grad), nums(b.grad), nums(x.grad)]
  },
  tensor_hooks_inplace() {
    const log: Log = []
    const x = one(2)
    const a = x.clone()
    a.registerHook(noting(log, 'before', true))
    a.mul_(3)
    a.registerHook(noting(log, 'after', true))
    a.mul(5).backward()
    return [log, nums(x.grad)]
  },
  tensor_hooks_inplace_over_view() {
    const log: Log = []
    const x = leaf(1, 2)
    const base = x.clone()
    const view = base.narrow(0, 0, 1)
    const fresh = base.narrow(0, 0, 1)
    const other = base.narrow(0, 0, 2)
    view.registerHook(noting(log, 'view before'))
    base.registerHook(noting(log, 'base before'))
    other.mul_(2)
    fresh.registerHook(noting(log, 'view after'))
    base.registerHook(noting(log, 'base after'))
    view.sum().add(fresh.sum()).add(base.sum()).backward()
    return [log, nums(x.grad)]
  },
  post_accumulate_grad_hook_multiple_hooks() {
    const log: Log = []
    const x = one(2)
    x.registerPostAccumulateGradHook((t) => {
      log.push(nums(t.grad))
      t.grad!.add_(1)
    })
    x.registerPostAccumulateGradHook((t) => void log.push([nums(t.grad), t === x]))
    x.mul(3).backward()
    return [log, nums(x.grad)]
  },
  post_accumulate_grad_hook_ordering() {
    const log: Log = []
    const x = one(2)
    const y = one(3)
    x.registerPostAccumulateGradHook(() => void log.push('x acc'))
    y.registerPostAccumulateGradHook(() => void log.push('y acc'))
    const a = x.mul(2)
    const b = y.mul(3)
    a.registerHook(noting(log, 'a'))
    b.registerHook(noting(log, 'b'))
    a.add(b).backward()
    return log
  },
  post_accumulate_grad_hook_e2e() {
    const w = leaf(1, 2)
    const values: Log = []
    w.registerPostAccumulateGradHook((p) => {
      torch.noGrad(() => p.sub_(p.grad!.mul(0.5)))
      p.grad = null
    })
    for (let i = 0; i < 3; i++) {
      w.mul(w).sum().backward()
      values.push(nums(w))
    }
    return [values, w.grad === null]
  },
  post_accumulate_grad_hook_on_non_leaf() {
    return [
      error(() =>
        one(1)
          .mul(2)
          .registerPostAccumulateGradHook(() => {}),
      ),
      error(() => ones(1).registerPostAccumulateGradHook(() => {})),
    ]
  },
  post_accumulate_grad_hook_not_under_grad() {
    const log: Log = []
    const x = one(1)
    x.registerPostAccumulateGradHook(() => void log.push('acc'))
    autograd.grad(x.mul(2), x)
    return log
  },
  multi_grad_all_hooks() {
    const log: Log = []
    const [a, b, c, d] = [one(1), one(2), one(3), one(4)] as const
    const handle = graph.registerMultiGradHook([a, b, c, d], (grads) => void log.push(grads.map(call)))
    a.mul(b).backward({ retainGraph: true })
    a.mul(b).mul(c).mul(d).backward()
    handle.remove()
    a.mul(b).backward()
    return log
  },
  multi_grad_any_hooks() {
    const log: Log = []
    const a = one(1)
    const b = one(2)
    const handle = graph.registerMultiGradHook([a, b], (g) => void log.push(nums(g)), { mode: 'any' })
    a.mul(2).add(b.mul(3)).backward()
    a.mul(5).backward()
    handle.remove()
    a.mul(7).backward()
    return [log.length, log[1]]
  },
  multi_grad_hooks_invalid_mode: () =>
    error(() => graph.registerMultiGradHook([one(1), one(2)], () => {}, { mode: 'foo' as unknown as 'all' })),
  multi_grad_hooks_with_inputs() {
    const log: Log = []
    const a = one(1)
    const b = one(2)
    const h = a.mul(3)
    graph.registerMultiGradHook([h, b], (grads) => void log.push(grads.map(call)))
    const y = h.mul(b)
    y.backward({ inputs: [a], retainGraph: true })
    y.backward()
    return log
  },
  hook_registration_errors: () => [error(() => ones(1).registerHook((g) => g))],
  hook_sees_total_gradient_of_a_leaf() {
    const log: Log = []
    const x = one(2)
    x.registerHook(noting(log, 'x', true))
    x.mul(3).add(x.mul(4)).add(x.mul(x)).backward()
    return log
  },
  order_newest_first() {
    const log: Log = []
    const a = one(1)
    const b = one(2)
    const s = a.sin()
    const c = b.cos()
    const out = s.mul(c)
    for (const [name, t] of Object.entries({ a, b, s, c, out })) t.registerHook(noting(log, name))
    out.backward()
    return log
  },
  order_of_a_diamond() {
    const log: Log = []
    const x = one(1)
    const a = x.mul(2)
    const b = a.mul(3)
    const c = a.mul(4)
    const d = b.mul(5)
    const e = c.add(d)
    for (const [name, t] of Object.entries({ x, a, b, c, d, e })) t.registerHook(noting(log, name))
    e.backward()
    return log
  },
  set_sequence_nr() {
    const log: Log = []
    const a = leaf(1).exp()
    const b = leaf(2).sin()
    a.registerHook(noting(log, 'a'))
    b.registerHook(noting(log, 'b'))
    const z = a.add(b)
    const n = b.gradFn!.sequenceNr()
    a.gradFn!.setSequenceNr(n + 1)
    z.backward()
    return [log, a.gradFn!.sequenceNr() - n]
  },

  // --- inside a pass

  current_graph_task_id() {
    const seen: number[] = []
    const y = one(1).mul(2)
    y.registerHook(() => void seen.push(graph.currentGraphTaskId()))
    const before = graph.currentGraphTaskId()
    y.backward({ retainGraph: true })
    y.backward()
    return [before, seen[1]! - seen[0]!, graph.currentGraphTaskId()]
  },
  current_graph_task_execution_order() {
    const seen: unknown[] = []
    const out = one(1).sin().mul(one(2).cos())
    out.registerHook(() => void seen.push(...(names(graph.currentGraphTaskExecutionOrder()) as string[])))
    out.backward()
    return [seen, error(() => graph.currentGraphTaskExecutionOrder()).slice(0, 6)]
  },
  current_node() {
    const seen: Log = []
    const x = one(1)
    const y = x.exp()
    y.registerHook(() => void seen.push(graph.currentNode() === y.gradFn))
    y.gradFn!.registerPrehook(() => void seen.push(graph.currentNode() === y.gradFn))
    x.registerHook(() => void seen.push(graph.currentNode()!.name()))
    y.backward()
    return [seen, graph.currentNode()]
  },
  will_engine_execute_node() {
    const seen: Log = []
    const a = one(1)
    const b = one(2)
    const h = a.mul(2)
    const k = b.mul(3)
    const y = h.add(k)
    const will = graph.willEngineExecuteNode
    y.registerHook(() => void seen.push([will(h.gradFn!), will(k.gradFn!), will(edge(b).node)]))
    y.backward({ retainGraph: true })
    y.backward({ inputs: [a], retainGraph: true })
    autograd.grad(y, [h], { retainGraph: true })
    const z = h.add(1)
    z.registerHook(() => void seen.push(error(() => will(edge(a).node))))
    autograd.grad(z, [a], { retainGraph: true })
    return [seen, error(() => will(h.gradFn!)).slice(0, 6)]
  },
  callback_adds_callback() {
    let called = 0
    const final = (): void => void called++
    const first = (): void => {
      called++
      graph.queueCallback(final)
    }
    const y = one(1).exp()
    y.registerHook(() => graph.queueCallback(first))
    y.backward()
    return [called, error(() => graph.queueCallback(final))]
  },
  callbacks_run_after_leaves() {
    const log: Log = []
    const x = one(1)
    const y = x.exp()
    y.registerHook(() => {
      log.push('hook')
      graph.queueCallback(() => void log.push(['callback', x.grad !== null]))
    })
    x.registerHook(noting(log, 'leaf'))
    y.backward()
    return log
  },
  simple_reentrant() {
    const log: Log = []
    const x = leaf(1, 2)
    const y = x.mul(2)
    y.registerHook((g) =>
      torch.enableGrad(() => {
        const inner = x.detach().clone().requiresGrad_()
        inner.mul(inner).sum().backward()
        log.push(nums(inner.grad))
        return g.mul(inner.grad!)
      }),
    )
    y.sum().backward()
    return [log, nums(x.grad)]
  },
  reentrant_on_the_same_graph() {
    const x = one(3)
    const a = x.mul(x)
    const y = a.mul(2)
    const log: Log = []
    y.registerHook(() => void log.push(nums(autograd.grad(a, x, { retainGraph: true })[0])))
    y.backward()
    return [log, nums(x.grad)]
  },
  reentrant_priority() {
    const log: Log = []
    const a = one(1).exp()
    const b = one(2).exp()
    a.registerHook(noting(log, 'outer a'))
    b.registerHook(() => {
      log.push('outer b')
      torch.enableGrad(() => {
        const z = one(1).sin()
        z.registerHook(noting(log, 'inner'))
        z.backward()
      })
    })
    a.add(b).backward()
    return log
  },
  reentrant_with_callbacks_both_depths() {
    const log: Log = []
    const y = one(1).exp()
    y.registerHook(() => {
      graph.queueCallback(() => void log.push('outer callback'))
      torch.enableGrad(() => {
        const z = one(2).exp()
        z.registerHook(() => graph.queueCallback(() => void log.push('inner callback')))
        z.backward()
      })
      log.push('inner done')
    })
    y.backward()
    return log
  },
  reentrant_child_error() {
    const x = one(1)
    const y = x.exp()
    const z = x.sin()
    y.registerHook(() =>
      torch.enableGrad(() => {
        const w = one(2).exp()
        w.registerHook(() => {
          throw new Error('child failed')
        })
        w.backward()
      }),
    )
    const e = error(() => y.backward())
    z.backward()
    return [e, x.grad !== null, torch.isGradEnabled()]
  },
  grad_mode_restored_reentrant() {
    const seen: boolean[] = []
    const x = one(1)
    const y = x.mul(x)
    y.registerHook(() => {
      seen.push(torch.isGradEnabled())
      const inner = one(2)
      torch.enableGrad(() => void autograd.grad(inner.mul(inner), inner, { createGraph: true }))
      seen.push(torch.isGradEnabled())
    })
    y.backward({ retainGraph: true })
    autograd.grad(y, x, { createGraph: true })
    return [seen, torch.isGradEnabled()]
  },
  error_in_hook_leaves_partial_gradients() {
    const a = one(1)
    const b = one(2)
    const s = a.sin()
    const c = b.cos()
    s.registerHook(() => {
      throw new Error('no')
    })
    const e = error(() => s.mul(c).backward())
    return [e, a.grad === null, b.grad !== null]
  },
  keep_graph_inside() {
    const seen: boolean[] = []
    const y = one(1).exp()
    y.registerHook(() => void seen.push(graph.currentGraphTaskKeepGraph()))
    y.backward({ retainGraph: true })
    y.backward()
    return seen
  },

  // --- flags and attributes

  requires_grad() {
    const z = leaf(1, 2)
    const a = ones(2).add(ones(2))
    const b = a.add(z)
    return [a.requiresGrad, b.requiresGrad, b.mul(2).requiresGrad, a.isLeaf, b.isLeaf, z.isLeaf, a.gradFn === null]
  },
  requires_grad_() {
    const x = torch.ones([2])
    const r = x.requiresGrad_() === x
    const y = x.mul(2)
    const i = torch.ones([2], { dtype: 'int32' })
    return [
      r,
      x.requiresGrad,
      y.requiresGrad_() === y,
      error(() => y.requiresGrad_(false)),
      error(() => i.requiresGrad_()),
      error(set(i, 'requiresGrad', true)),
      error(set(x, 'requiresGrad', 1)),
      error(() => torch.ones([2], { dtype: 'int32', requiresGrad: true })),
      i.requiresGrad_(false) === i,
    ]
  },
  requires_grad_inplace() {
    const a = ones(2)
    a.add_(leaf(1, 2))
    const c = ones(2)
    c.mul_(2)
    return [a.requiresGrad, a.isLeaf, a.gradFn!.name(), c.requiresGrad, c.isLeaf]
  },
  grad_assignment() {
    const x = torch.ones([2], { requiresGrad: true })
    const r: unknown[] = [
      error(set(x, 'grad', 3)).slice(0, 75),
      error(set(x, 'grad', torch.ones([3]))),
      error(set(x, 'grad', ones(2))).slice(0, 61),
      error(set(x, 'grad', x)),
    ]
    const g = torch.ones([2])
    x.grad = g
    r.push(x.grad === g)
    x.mul(2).sum().backward()
    r.push(x.grad === g, nums(g))
    x.grad = null
    r.push(x.grad === null)
    return r
  },
  grad_dtype() {
    const x = torch.ones([2], { requiresGrad: true })
    const out: Log = [x.gradDtype]
    x.gradDtype = 'float64'
    x.mul(2).sum().backward()
    out.push(x.grad!.dtype, error(set(x, 'gradDtype', 'float32')))
    x.grad = null
    x.gradDtype = null
    x.grad = ones(2)
    x.mul(2).sum().backward()
    out.push(x.grad!.dtype, nums(x.grad), x.gradDtype === null)
    const y = x.mul(2)
    out.push(
      error(() => y.gradDtype),
      error(set(y, 'gradDtype', null)),
    )
    return out
  },
  strided_leaf_grad_layout() {
    return [
      torch.ones([2, 3]).t(),
      torch.asStrided(torch.ones([12]), [2, 3], [6, 2]),
      torch.ones([2, 1]).expand([2, 3]),
      torch.ones([2, 3, 4]).permute(2, 0, 1),
    ].map((made) => {
      const p = made.detach().requiresGrad_()
      p.mul(2).sum().backward()
      return p.grad!.stride()
    })
  },
  detach() {
    const y = leaf(1, 2).mul(2)
    const d = y.detach()
    d.add_(1)
    return [d.requiresGrad, d.isLeaf, nums(y), y._version, d._version, error(() => y.mul(y.exp()).sum().backward())]
  },
  detach_then_inplace_raises_in_autograd() {
    const y = leaf(1, 2).clone()
    const d = y.detach()
    const out = y.mul(y).sum()
    d.mul_(2)
    return error(() => out.backward()).slice(0, 89)
  },
  detach_inplace() {
    const x = leaf(1, 2)
    const y = x.mul(2)
    y.detach_()
    return [y.requiresGrad, y.isLeaf, error(() => x.narrow(0, 0, 1).detach_()), error(() => x.mul(2).narrow(0, 0, 1).detach_())]
  },
  data_attribute() {
    const x = leaf(1, 2)
    const y = x.mul(x)
    const d = x.data
    d.add_(1)
    const out: Log = [nums(x), d.requiresGrad, x._version, d._version]
    y.sum().backward()
    out.push(nums(x.grad))
    x.data = plain(5, 6)
    out.push(nums(x), x._version, x.requiresGrad, x.isLeaf, error(set(x, 'data', torch.ones([2], { dtype: 'int32' }))))
    return out
  },
  version_counter() {
    const x = torch.ones([4])
    const v = x.narrow(0, 0, 2)
    const d = x.detach()
    const out: Log = [x._version, v._version]
    v.add_(1)
    out.push(x._version, v._version, d._version, x.data._version)
    torch.noGrad(() => x.mul_(2))
    out.push(x._version)
    x.zero_()
    x.set(0, 3)
    out.push(x._version, x.add(1)._version)
    return out
  },
  increment_version() {
    const a = torch.ones([2])
    const b = torch.ones([2], { dtype: 'int32' })
    graph.incrementVersion(a)
    graph.incrementVersion([a, b])
    return [a._version, b._version]
  },
  unsafe_preserve_version_counter() {
    const x = torch.ones([2])
    graph.unsafePreserveVersionCounter(x, () => x.add_(1))
    return x._version
  },
  integer_outputs() {
    const x = leaf(3, 1, 2)
    return [x.argmax().requiresGrad, x.gt(1).requiresGrad, x.max(0).indices.requiresGrad, x.max(0).values.requiresGrad]
  },
  type_conversions() {
    const x = leaf(1, 2)
    const y = x.to('float32')
    y.mul(y).sum().backward()
    return [y.gradFn!.name(), nums(x.grad), x.grad!.dtype, x.to('int32').requiresGrad]
  },
  numpy_requires_grad() {
    const x = leaf(1, 2)
    return [error(() => x.numpy()), nums(torch.fromNumpy(x.detach().numpy()))]
  },
  output_numbers() {
    const x = leaf(1, 2, 3, 4)
    const [a, b] = x.split(2) as [T, T]
    return [a.outputNr, b.outputNr, x.outputNr, a.mul(b).outputNr, a.gradFn === b.gradFn]
  },
  undefined_gradients_are_not_zeros() {
    const seen: Log = []
    const a = leaf(1).mul(2)
    const pair = a.mul(leaf(2).mul(3))
    pair.gradFn!.registerHook((gi) => void seen.push(gi.map(call)))
    autograd.grad(pair.sum(), [a], { retainGraph: true })
    return seen
  },
  expanded_gradients() {
    const x = leaf(1, 2)
    x.sum()
      .mul(ones(3))
      .expand([2, 3])
      .backward(ones(1, 1).expand([2, 3]))
    return nums(x.grad)
  },
  gradient_of_shape_that_expands() {
    const b = ones(3).requiresGrad_()
    const c = ones(2, 1).requiresGrad_()
    ones(2, 3).requiresGrad_().mul(b).mul(c).sum().backward()
    return [nums(b.grad), nums(c.grad)]
  },
  mixed_dtypes() {
    const x = torch.ones([2], { requiresGrad: true })
    const y = leaf(2, 3)
    const z = x.mul(y).sum()
    z.backward()
    return [z.dtype, x.grad!.dtype, y.grad!.dtype, nums(x.grad), nums(y.grad)]
  },
  grad() {
    const x = leaf(1, 2)
    const y = leaf(3, 4)
    const z = x.mul(x).add(y.mul(x)).add(y.mul(y))
    z.backward(ones(2), { createGraph: true })
    const first = [nums(x.grad), nums(y.grad)]
    const [h] = autograd.grad([x.grad!.add(y.grad!.mul(2)).sum()], [x])
    return [
      first,
      nums(h),
      nums(x.grad),
      x.grad!.requiresGrad,
      error(() => autograd.grad(x.mul(2), x, { gradOutputs: ones(3) })),
      error(() => autograd.grad([x.mul(2), x], x, { gradOutputs: [ones(2)] })),
    ]
  },
  grad_to_node_materialize() {
    const x = leaf(1, 2)
    const y = leaf(3, 4)
    const options = { allowUnused: true, materializeGrads: true } as const
    return [
      nums(autograd.grad(x.mul(x).sum(), [x, y], options)[1]),
      nums(autograd.grad(x.mul(x).sum(), [edge(x)], { materializeGrads: true })[0]),
      error(() => autograd.grad(x.mul(x).sum(), [x, edge(y)], options)),
    ]
  },
  unused_grad_requires_grad_with_materialize() {
    const x = leaf(1, 2)
    const y = leaf(3)
    return [false, true].map((createGraph) => {
      const g = autograd.grad(x.mul(x).sum(), [x, y], { allowUnused: true, materializeGrads: true, createGraph })
      return [g.map((t) => t.requiresGrad), g.map(nums)]
    })
  },
  sharded_grad() {
    const leaves = [0, 1, 2, 3].map((i) => leaf(i, i + 1, i + 2))
    const middle = leaves.map((l, i) => l.mul(i + 1))
    const loss = middle.map((m) => m.mul(m).sum()).reduce((a, b) => a.add(b))
    const half = autograd.grad(loss, middle.slice(0, 2), { retainGraph: true })
    const shards = [...half, ...autograd.grad(loss, middle.slice(2))]
    return middle.map((m, i) => nums(autograd.grad(m, leaves[i]!, { gradOutputs: shards[i]! })[0]))
  },
  backward_twice_with_saved_values: () => twice(true, false),
  backward_twice_retained_graph_with_saved_values: () => twice(true, true),
  backward_twice_without_saved_values: () => twice(false, false),
  backward_twice_retained_graph_without_saved_values: () => twice(false, true),
  backward() {
    const [x, y, z] = [leaf(1, 2), leaf(3, 4), leaf(5, 6)] as const
    x.add(y).mul(2).sub(z.mul(z).div(x)).backward(plain(1, 2))
    return [nums(x.grad), nums(y.grad), nums(z.grad)]
  },
  accumulate_grad_tensor_reference() {
    return [false, true].map((createGraph) => {
      const x = leaf(1, 2)
      x.grad = ones(2)
      const before = x.grad
      x.mul(3).sum().backward({ createGraph })
      return [x.grad === before, nums(before), nums(x.grad)]
    })
  },
  post_accumulate_grad_hook_multiple_tensors() {
    const log: unknown[] = []
    const x = one(2)
    const y = one(3)
    const hook = (t: T): void => void log.push([t === x, nums(t.grad)])
    x.registerPostAccumulateGradHook(hook)
    y.registerPostAccumulateGradHook(hook)
    x.mul(y).backward()
    return log.sort()
  },
  post_accumulate_grad_hook_returns_not_None() {
    const x = one(2)
    x.registerPostAccumulateGradHook((t) => t.grad as unknown as undefined)
    return [error(() => x.mul(2).backward()), nums(x.grad)]
  },
  hook_with_no_name() {
    const x = one(2)
    x.registerHook((g) => g.mul(2))
    x.mul(3).backward()
    return nums(x.grad)
  },
  accumulate_grad_posthooks_can_observe_tensor_prehook() {
    const log: unknown[] = []
    const x = one(2)
    edge(x).node.registerHook((inputs, outputs) => void log.push([nums(outputs[0]), inputs.length]))
    x.registerHook((g) => g.mul(5))
    x.mul(3).backward()
    return [log, nums(x.grad)]
  },
  accumulate_grad_posthooks_should_not_execute() {
    const log: unknown[] = []
    const x = one(2)
    edge(x).node.registerHook(() => void log.push('post'))
    edge(x).node.registerPrehook(() => void log.push('pre'))
    x.registerHook(() => void log.push('tensor'))
    autograd.grad(x.mul(3), x)
    return log
  },
  tensor_hooks_inplace_multiple_outputs() {
    const log: [string, unknown][] = []
    const x = leaf(1, 2)
    const a = x.mul(1).split(1)[0]!.clone()
    const b = x.mul(2).split(1)[1]!.clone()
    a.registerHook(noting(log, 'a before', true))
    a.mul_(3)
    a.registerHook(noting(log, 'a after', true))
    b.registerHook(noting(log, 'b', true))
    a.add(b).sum().backward()
    return [log.sort(([m], [n]) => (m < n ? -1 : 1)), nums(x.grad)]
  },
  reentrant_with_leaf_variable_hook() {
    const log: unknown[] = []
    const x = one(2)
    const p = one(10)
    p.registerHook((g) => {
      const y = x.detach().requiresGrad_()
      torch.enableGrad(() => y.mul(y)).backward()
      log.push(nums(y.grad))
      return g
    })
    p.mul(3).backward()
    return [log, nums(p.grad)]
  },
  reentrant_with_non_leaf_variable_hook() {
    const log: unknown[] = []
    const p = one(10)
    const q = p.mul(2)
    q.registerHook((g) => {
      const y = p.detach().requiresGrad_()
      torch.enableGrad(() => y.mul(y)).backward()
      log.push(nums(y.grad))
      return g
    })
    q.mul(3).backward()
    return [log, nums(p.grad)]
  },
  reentrant_with_callbacks_depth_0: () => reentrant(false, true),
  reentrant_with_callbacks_depth_1: () => reentrant(true, false),
  multiple_insert_removal_caching() {
    const x = leaf(1, 2)
    const y = leaf(3, 4)
    return [0, 1, 2].map(() => autograd.grad(x.mul(y).sum().add(x.exp().sum()), [x, y]).map(nums))
  },
  copy_slices_graph_task_updates() {
    const build = (): { x: T; y: T; out: T } => {
      const x = leaf(1, 2)
      const y = leaf(3, 4)
      const out = x.mul(2)
      out.narrow(0, 0, 1).mul_(y.narrow(0, 0, 1))
      return { x, y, out }
    }
    const partial = (['x', 'y', 'xy'] as const).map((names) => {
      const g = build()
      return autograd
        .grad(
          g.out.sum(),
          [...names].map((name) => g[name as 'x' | 'y']),
        )
        .map(nums)
    })
    const { x, y, out } = build()
    return [...partial, error(() => out.sum().backward()), nums(x.grad), nums(y.grad)]
  },
  hooks_run_once_for_a_leaf_used_twice() {
    const log: unknown[] = []
    const x = one(2)
    x.registerHook(noting(log, 'total', true))
    x.mul(2).add(x.mul(3)).backward()
    return log
  },
  backward_hooks_of_a_detached_graph() {
    const log: unknown[] = []
    const x = one(2)
    const y = x.mul(2)
    y.registerHook(noting(log, 'y', true))
    y.detach().mul(x).backward()
    return [log, nums(x.grad)]
  },
})
