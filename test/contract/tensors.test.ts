/** Grad modes, flags of tensors, conversions and indexing do what PyTorch was seen to do (recorded by record_tensors.py). */
import * as torch from '../../src/index.ts'
import { compare, error, leaf, nums, one, plain } from './harness.ts'

const { autograd, noGrad, enableGrad, isGradEnabled, range, where } = torch
type T = torch.Tensor

/** 1, 2, 3 … in a shape. */
function ramp(...shape: number[]): T {
  const n = shape.reduce((a, b) => a * b, 1)
  return torch
    .arange(1, n + 1, { dtype: 'float64' })
    .reshape(shape)
    .clone()
}
const ints = (values: torch.Nested): T => torch.tensor(values, { dtype: 'int32' })
/** Sets a property that the types refuse. */
const set = (t: T, name: string, value: unknown) => (): unknown => Reflect.set(t, name, value)
function warned(fn: () => unknown): number {
  let n = 0
  const before = torch.setWarningHandler(() => void n++)
  try {
    fn()
  } finally {
    torch.setWarningHandler(before)
  }
  return n
}
function gather(dim: number, shape: number[], index: T): unknown {
  const x = ramp(...shape).requiresGrad_()
  const y = x.gather(dim, index)
  y.mul(ramp(...y.shape))
    .sum()
    .backward()
  return [nums(y), nums(x.grad)]
}

compare('tensors', './tensors.json', {
  no_grad() {
    const x = leaf(1, 2)
    const y = leaf(3, 4)
    const [w, z] = noGrad(() => [x.add(y), x.onesLike().mul(x)] as const)
    try {
      noGrad(() => {
        throw new Error('inside')
      })
    } catch {}
    return [w.requiresGrad, w.gradFn === null, z.requiresGrad, error(() => w.sum().backward()), isGradEnabled()]
  },
  set_grad_enabled() {
    const x = one(1)
    const outer = torch.setGradEnabled(false)
    const y = x.mul(2)
    const inner = torch.setGradEnabled(true)
    const z = x.mul(2)
    inner.restore()
    outer.restore()
    const out = [y.requiresGrad, z.requiresGrad]
    torch.setGradEnabled(false)
    const off = x.mul(2)
    torch.setGradEnabled(true)
    return [...out, off.requiresGrad, x.mul(2).requiresGrad]
  },
  set_grad_enabled_wraps() {
    return [noGrad, enableGrad].map((mode) => {
      const inner = mode.wrap((_x: number) => isGradEnabled())
      return [isGradEnabled(), inner(1), isGradEnabled()]
    })
  },
  grad_mode_class_decoration() {
    class Model {
      predict(x: T): boolean {
        return x.mul(2).requiresGrad
      }
      train(x: T): boolean {
        return x.mul(2).requiresGrad
      }
    }
    // What a method decorator does.
    Model.prototype.predict = noGrad.wrap(Model.prototype.predict)
    const m = new Model()
    return [m.predict(one(1)), m.train(one(1))]
  },
  enable_grad_decorator_no_paren() {
    const x = one(1)
    const on = enableGrad.wrap((t: T) => t.mul(2).requiresGrad)
    const off = noGrad.wrap((t: T) => t.mul(2).requiresGrad)
    return [noGrad(() => on(x)), off(x), isGradEnabled()]
  },
  set_grad_generator_functions() {
    const gen = noGrad.wrap(function* () {
      for (let i = 0; i < 3; i++) yield isGradEnabled()
    })
    const out: unknown[] = []
    for (const inside of gen()) out.push([inside, isGradEnabled()])
    noGrad(() => {
      const resumed = enableGrad.wrap(function* () {
        yield isGradEnabled()
      })
      for (const _ of resumed()) out.push(isGradEnabled())
    })
    return out
  },
  set_grad_generator_functions_recursive() {
    const on = enableGrad.wrap(function* (depth: number): Generator<boolean> {
      if (depth === 0) return
      yield isGradEnabled()
      yield* off(depth - 1)
      yield isGradEnabled()
    })
    const off = noGrad.wrap(function* (depth: number): Generator<boolean> {
      if (depth === 0) return
      yield isGradEnabled()
      yield* on(depth - 1)
      yield isGradEnabled()
    })
    return [[...on(4)], [...off(3)], isGradEnabled()]
  },
  set_grad_coroutines() {
    const log: unknown[] = []
    const coro = noGrad.wrap(function* (): Generator<string, string, number> {
      log.push([yield 'first', isGradEnabled()])
      log.push([yield 'second', isGradEnabled()])
      return 'done'
    })
    const c = coro()
    const out = [c.next(0).value, isGradEnabled(), c.next(1).value, isGradEnabled(), c.next(2).value]
    return [out, log]
  },
  set_grad_coroutines_benign_exceptions() {
    const coro = noGrad.wrap(function* (): Generator<unknown, string> {
      let recovered = false
      for (let i = 0; i < 4; i++) {
        try {
          yield [i, recovered, isGradEnabled()]
        } catch {
          recovered = true
        }
      }
      return 'end'
    })
    const c = coro()
    const out = [c.next().value]
    for (;;) {
      const step = c.throw(new Error('expected'))
      out.push(step.value)
      if (step.done) return out
      out.push(isGradEnabled())
    }
  },
  set_grad_coroutines_critical_exceptions() {
    const coro = noGrad.wrap(function* (): Generator<boolean> {
      try {
        yield isGradEnabled()
      } catch (cause) {
        throw new Error('second', { cause })
      }
    })
    const c = coro()
    const first = c.next().value
    return [first, error(() => c.throw(new Error('first'))), isGradEnabled()]
  },
  set_grad_coroutines_exit() {
    const log: unknown[] = []
    const coro = noGrad.wrap(function* () {
      try {
        yield 1
        yield 2
      } finally {
        log.push(isGradEnabled())
      }
    })
    const c = coro()
    c.next()
    c.return(undefined)
    return [log, isGradEnabled()]
  },
  no_grad_assignment() {
    const x = leaf(1, 2, 3, 4, 5)
    const y = leaf(5, 6, 7, 8, 9)
    noGrad(() => x.set(0, y.get(0)))
    return [nums(x), x.requiresGrad, x.gradFn === null, x._version]
  },
  no_grad_modifies_version() {
    const x = leaf(1, 2)
    const z = x.mul(leaf(3, 4)).sum()
    noGrad(() => x.mul_(2))
    return [x._version, error(() => z.backward())]
  },
  first_grad_fn_access_in_no_grad_mode() {
    const a = torch.ones([1, 1], { dtype: 'float64', requiresGrad: true }).mul(2)
    const b = a.get(range(), 0)
    a.mul_(3)
    const first = noGrad(() => b.gradFn!.name())
    return [first, b.gradFn!.name(), isGradEnabled()]
  },
  tensor_grad_warnings() {
    const x = leaf(1)
    const y = x.mul(2)
    const counts = [warned(() => x.grad), warned(() => y.grad)]
    y.retainGrad()
    return [...counts, warned(() => y.grad)]
  },
  no_requires_grad_inplace() {
    const a = torch.ones([2], { dtype: 'float64' })
    a.add_(5)
    a.requiresGrad_()
    a.sum().backward()
    const b = torch.ones([2], { dtype: 'float64' }).add_(5)
    const c = b.narrow(0, 0, 2)
    c.requiresGrad_()
    return [nums(a.grad), c.requiresGrad, b.requiresGrad]
  },
  attribute_deletion() {
    const x = leaf(1, 2)
    x.mul(2).sum().backward()
    x.grad = null
    return [x.grad === null, x.requiresGrad]
  },
  detach_base() {
    const x = ramp(2, 2).requiresGrad_()
    const view = x.get(0)
    const d = view.detach()
    return [d.requiresGrad, d._base === null, d._base !== null, view._base === x]
  },
  detach_() {
    const x = leaf(1, 2)
    const y = x.mul(2)
    const w = y.add(1)
    y.detach_()
    w.sum().backward()
    return [y.isLeaf, y.requiresGrad, y.gradFn === null, nums(x.grad), error(() => x.mul(2).narrow(0, 0, 1).detach_())]
  },
  shape() {
    const x = ramp(3, 4).requiresGrad_()
    return [x.shape, x.ndim, x.numel(), x.shape, x.size(-1)]
  },
  leaf_assignment() {
    const y = one(7)
    const z = leaf(1, 2, 3, 4, 5)
    const x = leaf(1, 2, 3, 4, 5).clone()
    x.set(0, y)
    x.set(1, y.mul(2))
    x.set(2, y.detach())
    x.set(3, 2)
    const out = [x.requiresGrad, x.isLeaf]
    x.backward(z.detach())
    return [...out, nums(y.grad)]
  },
  set_data_tensorimpl_type() {
    const x = torch.ones([2])
    x.requiresGrad_()
    return [error(set(x, 'data', ints([1, 1])))]
  },
  set_data_preserve_pyobj() {
    const a = torch.ones([2])
    const b = torch.zeros([3])
    a.data = b
    return [nums(a), a.shape, nums(b), a === b]
  },
  set_data_self_requires_grad() {
    const a = torch.tensor(1, { requiresGrad: true })
    const b = torch.tensor(2)
    const c = ints(3)
    a.data = b
    const out = [a.requiresGrad, nums(a), error(set(a, 'data', c))]
    b.data = c
    return [...out, b.dtype, b.requiresGrad]
  },
  autograd_print_tensor() {
    const a = torch.tensor([1], { requiresGrad: true })
    const b = a.add(1)
    return [a, b, noGrad(() => a.add(1))].map((t) =>
      t.toString().replace('requiresGrad=true', 'requires_grad=True').replace('gradFn', 'grad_fn'),
    )
  },
  autograd_node_isinstance() {
    const y = leaf(1, 2).mul(2)
    return [y.gradFn instanceof autograd.Node, (3 as unknown) instanceof autograd.Node, y.gradFn!.name()]
  },
  grad_fn_attr_bindings() {
    const x = ramp(2, 3).requiresGrad_()
    const y = ramp(3, 2).requiresGrad_()
    const m = x.mm(y).gradFn!.saved
    const s = x.sum(1, { keepdim: true }).gradFn!.saved
    const e = x.exp()
    const p = x.pow(3).gradFn!.saved
    const result = e.gradFn!.saved['result'] as T
    const out = [nums(m['self'] as T), nums(m['mat2'] as T), s['keepdim'], nums(result), result === e, p['exponent'], nums(p['self'] as T)]
    e.sum().backward()
    return [...out, error(() => e.gradFn!.saved['result'])]
  },
  type_conversions() {
    const x = leaf(1, 2)
    const y = x.to('float32')
    const z = y.to('float64')
    z.mul(z).sum().backward()
    const w = x.detach().to('float32').requiresGrad_()
    const same = x.to('float64') === x
    return [y.gradFn!.name(), nums(x.grad), x.grad!.dtype, x.to('int32').requiresGrad, x.to('bool').requiresGrad, same, w.dtype]
  },
  numpy_requires_grad() {
    const x = leaf(1, 2)
    const array = x.detach().numpy()
    return [error(() => x.numpy()), nums(x), [array.get(0), array.get(1)], x.tolist()]
  },
  requires_grad_factory() {
    const options = { requiresGrad: true } as const
    return [
      torch.ones([2], options).requiresGrad,
      torch.rand([2], { ...options, dtype: 'float64' }).isLeaf,
      torch.fullLike(torch.ones([2]), 0, options).requiresGrad,
      error(() => torch.ones([2], { ...options, dtype: 'int32' })),
      torch.full([2], 1.5, options).requiresGrad,
      torch.linspace(0, 1, 3, options).requiresGrad,
    ]
  },
  set_requires_grad_only_for_floats() {
    return (['float32', 'float64', 'int32', 'uint8', 'bool'] as const).map((dtype) => {
      const a = torch.ones([1], { dtype })
      a.requiresGrad_(false)
      return [error(() => a.requiresGrad_()), error(set(a, 'requiresGrad', true))]
    })
  },
  grad_assignment() {
    const x = torch.ones([5, 5], { requiresGrad: true })
    const out = [
      error(set(x, 'grad', torch.ones([2]))),
      error(set(x, 'grad', torch.ones([5, 5], { dtype: 'float64' }))),
      error(set(x, 'grad', x)),
    ]
    x.grad = torch.ones([5, 5])
    x.grad = null
    return [...out, x.grad === null]
  },
  pyscalar_conversions() {
    const x = one(2.5)
    return [
      Number(x.detach().item()),
      x.item(),
      ints(3).item(),
      Boolean(torch.tensor(true).item()),
      error(() => leaf(1, 2).item()),
      Boolean(one(0).ne(0).item()),
    ]
  },
  dir() {
    return ['grad', 'add', 'backward', 'shape', 'data'].map((name) => name in leaf(1, 2))
  },
  copy_() {
    const x = torch.tensor([1, 2], { requiresGrad: true })
    const y = torch.zeros([2], { dtype: 'float64' })
    y.copy_(x)
    const a = y.requiresGrad
    y.mul(3).sum().backward()
    const z = torch.zeros([2, 2], { dtype: 'float64' })
    const w = leaf(5, 6)
    z.copy_(w)
    z.mul(ramp(2, 2)).sum().backward()
    const u = torch.ones([2], { dtype: 'float64', requiresGrad: true }).mul(1)
    u.copy_(torch.zeros([2]))
    return [a, nums(x.grad), x.grad!.dtype, nums(w.grad), u.gradFn!.name(), u.requiresGrad]
  },
  where_functional() {
    let x = leaf(1, 2, 3)
    let y = leaf(4, 5, 6)
    where(torch.tensor([true, false, true]), x, y)
      .mul(ramp(3))
      .sum()
      .backward()
    const out = [nums(x.grad), nums(y.grad)]
    x = ramp(3, 1).requiresGrad_()
    y = ramp(1, 2).requiresGrad_()
    where(x.gt(1), x, y).sum().backward()
    return [...out, nums(x.grad), nums(y.grad)]
  },
  where_scalar() {
    const x = leaf(-5, 1, 7)
    where(x.gt(0), x, 4)
      .add(where(x.gt(0), 2, x).mul(10))
      .sum()
      .backward()
    return [nums(x.grad)]
  },
  parameter_resize() {
    const p = new torch.nn.Parameter(torch.ones([2]))
    p.data = torch.ones([3])
    p.mul(2).sum().backward()
    return [p.shape, nums(p.grad)]
  },
  non_differentiable_ops() {
    const x = leaf(1, 2, 2)
    const made = [x.eq(2), x.ne(2), x.gt(1), x.argmax(), x.argmin(), x.isnan(), x.isfinite(), x.onesLike(), x.zerosLike()]
    return [...made.map((t) => [t.requiresGrad, t.gradFn === null]), x.sign().requiresGrad, x.floor().requiresGrad, x.round().requiresGrad]
  },
  mv_grad_stride_0() {
    const vec = leaf(3)
    ramp(2, 2)
      .matmul(vec.expand([2]))
      .sum()
      .backward()
    return nums(vec.grad)
  },
  rnn_backward_to_input_but_not_parameters() {
    const layer = new torch.nn.Linear(2, 1, { dtype: 'float64' })
    noGrad(() => layer.weight.copy_(ramp(1, 2)))
    for (const p of layer.parameters()) p.requiresGrad = false
    const x = ramp(3, 2).requiresGrad_()
    layer.forward(x).sum().backward()
    return [nums(x.grad), layer.weight.grad === null]
  },
  indexing() {
    const picks: [string, (t: T) => T][] = [
      ['int', (t) => t.get(0)],
      ['slice', (t) => t.get(range(1, 3))],
      ['step', (t) => t.get(range(), range(null, null, 2))],
      ['none', (t) => t.get(range(), null)],
      ['ellipsis', (t) => t.get('...', 1)],
      ['list', (t) => t.get(ints([0, 2]))],
      ['pair', (t) => t.get(ints([0, 2]), ints([1, 3]))],
      ['matrix', (t) => t.get(ints([[0], [2]]), ints([1, 3]))],
      ['mask', (t) => t.get(t.gt(5))],
      ['mixed', (t) => t.get(range(1), ints([0, 0, 3]))],
    ]
    return picks.map(([name, pick]) => {
      const x = ramp(3, 4).requiresGrad_()
      const y = pick(x)
      y.mul(ramp(...y.shape))
        .sum()
        .backward()
      return [name, y.shape, y.gradFn!.name(), nums(x.grad)]
    })
  },
  indexing_duplicates() {
    return [
      ints([1, 1, 3, 2, 1, 2]),
      ints([
        [0, 0],
        [3, 0],
      ]),
    ].map((index) => {
      const x = ramp(4, 2).requiresGrad_()
      const y = x.get(index)
      y.mul(ramp(...y.shape))
        .sum()
        .backward()
      return nums(x.grad)
    })
  },
  index_backward_does_not_save_tensor() {
    const a = leaf(1, 0, 0)
    const b = a.clone()
    const c = b.get(ints([0, 0, 2]))
    b.add_(1)
    c.sum().backward()
    return nums(a.grad)
  },
  setitem() {
    const puts: [string, (t: T, v: T | number) => unknown][] = [
      ['row', (t, v) => t.set(0, v)],
      ['slice', (t, v) => t.set([range(), range(1, 3)], v)],
      ['tensor', (t, v) => t.set(ints([0, 2]), v)],
      ['pair', (t, v) => t.set([ints([0, 2]), ints([1, 3])], v)],
      ['ellipsis', (t, v) => t.set(['...', 1], v)],
    ]
    return puts.flatMap(([name, put]) =>
      [one(5), 7].map((value) => {
        const x = ramp(3, 4).requiresGrad_()
        const y = x.mul(1)
        put(y, value)
        y.mul(ramp(3, 4)).sum().backward()
        return [name, nums(y), nums(x.grad), value === 7 ? null : nums((value as T).grad), y._version]
      }),
    )
  },
  setitem_mask() {
    return [
      [true, false, true],
      [false, false, false],
    ].map((mask) => {
      const x = leaf(1, 2, 3)
      const y = x.mul(1)
      const v = one(9)
      y.set(torch.tensor(mask), v)
      y.mul(ramp(3)).sum().backward()
      return [nums(y), nums(x.grad), nums(v.grad)]
    })
  },
  select_sum() {
    const x = ramp(10, 2).requiresGrad_()
    x.select(1, 0).sum().mul(2).add(x.select(1, 1).sum()).backward()
    return nums(x.grad)
  },
  diagonal_expanded_v() {
    const x = ramp(3, 3).requiresGrad_()
    return nums(autograd.grad(x.diagonal(), x, { gradOutputs: plain(3).expand([3]) })[0])
  },
  select_expanded_v() {
    const x = ramp(3, 4).requiresGrad_()
    return nums(autograd.grad(x.get(0), x, { gradOutputs: plain(2).expand([4]) })[0])
  },
  slice_expanded_v() {
    const x = ramp(3, 4).requiresGrad_()
    return nums(autograd.grad(x.get(range(1, 3)), x, { gradOutputs: plain(2).expand([2, 4]) })[0])
  },
  sparse_gather_dim0: () =>
    gather(
      0,
      [4, 2],
      ints([
        [0, 1],
        [3, 3],
      ]),
    ),
  sparse_gather_dim1: () =>
    gather(
      1,
      [2, 4],
      ints([
        [0, 1, 1],
        [3, 3, 2],
      ]),
    ),
  sparse_gather_dim_neg: () =>
    gather(
      -1,
      [2, 4],
      ints([
        [0, 1, 1],
        [3, 3, 2],
      ]),
    ),
  sparse_gather_ind_scalar: () => gather(0, [4], ints(2)),
  sparse_gather_x_scalar: () => gather(0, [], ints([0, 0])),
  sparse_gather_both_scalar: () => gather(0, [], ints(0)),
  pow_zero_tensor_gradient() {
    const x = torch.zeros([2], { dtype: 'float64', requiresGrad: true })
    x.pow(0).sum().backward()
    const y = torch.zeros([2], { dtype: 'float64', requiresGrad: true })
    const e = leaf(0, 2)
    y.pow(e).sum().backward()
    return [nums(x.grad), nums(y.grad), nums(e.grad)]
  },
  power_function() {
    const b = leaf(-1, 0, 1)
    plain(0, 0, 0).pow(b).sum().backward()
    const s = one(2)
    torch.tensor(0, { dtype: 'float64' }).pow(s).backward()
    const texts = (b.grad!.tolist() as number[]).map((v) => (Number.isFinite(v) ? v.toFixed(1) : v < 0 ? '-inf' : 'inf'))
    return [texts, nums(s.grad)]
  },
  atan2_zero_gradient() {
    const x = one(0)
    const y = one(0)
    x.atan2(y).backward()
    return [nums(x.grad), nums(y.grad)]
  },
  var_mean_differentiable() {
    const x = leaf(1, 2, 4)
    const y = leaf(1, 2, 4)
    const [v, m] = torch.varMean(x)
    v!.mul(m!).backward()
    y.var().mul(y.mean()).backward()
    return [nums(x.grad), nums(y.grad)]
  },
  min_max_median_backprops_to_all_values() {
    return (['min', 'max', 'median', 'nanmedian', 'amax', 'amin'] as const).map((name) => {
      const x = leaf(1, 0, 1, 0, 1, 0)
      const y = leaf(1, Number.NaN, Number.NaN)
      const f = (t: T): T => (name === 'median' ? torch.median(t) : name === 'nanmedian' ? torch.nanmedian(t) : t[name]())
      f(x).backward()
      f(y).backward()
      return [name, nums(x.grad), nums(y.grad)]
    })
  },
  scatter_index_reduce_amin_amax_backprops_to_all_values() {
    return (['amin', 'amax'] as const).map((name) => {
      const x = leaf(3, 3, 3)
      const src = leaf(3, 3, 5)
      const r = torch.scatterReduce(x, 0, ints([0, 0, 2]), src, name)
      r.mul(ramp(3)).sum().backward()
      return [nums(r), nums(x.grad), nums(src.grad)]
    })
  },
  scatter_index_reduce_prod_gradgrad_error() {
    const x = leaf(1, 2)
    const src = leaf(0, 0, 4)
    const r = torch.scatterReduce(x, 0, ints([0, 0, 1]), src, 'prod')
    const [g] = autograd.grad(r.sum(), src, { createGraph: true })
    return [nums(g), error(() => g!.sum().backward())]
  },
  trace_backward_nonsquare_171704() {
    return [
      [2, 3],
      [3, 2],
    ].map((shape) => {
      const x = ramp(...shape).requiresGrad_()
      torch.trace(x).backward()
      return nums(x.grad)
    })
  },
})
