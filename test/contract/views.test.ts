/** Views, in-place operations and version counters do what PyTorch was seen to do (recorded by record_views.py). */
import * as torch from '../../src/index.ts'
import { compare, leaf, error as message, nums } from './harness.ts'

const { autograd, enableGrad, noGrad, inferenceMode, range } = torch
const { getGradientEdge, incrementVersion, unsafePreserveVersionCounter } = autograd.graph
type T = torch.Tensor
type Unary = (t: T) => T
type Ctx = torch.autograd.FunctionCtx

/** 1, 2, 3 … in a shape. */
function ramp(...shape: number[]): T {
  const n = shape.reduce((a, b) => a * b, 1)
  return torch
    .arange(1, n + 1, { dtype: 'float64' })
    .reshape(shape)
    .clone()
}
/** A leaf and a non-leaf that is a copy of it. */
function root(...shape: number[]): [T, T] {
  const x = ramp(...shape).requiresGrad_()
  return [x, x.clone()]
}
const weigh = (t: T): T => t.mul(ramp(...t.shape)).sum()
const ints = (values: torch.Nested): T => torch.tensor(values, { dtype: 'int32' })
const scalar = (value: number): T => torch.tensor(value, { dtype: 'float64', requiresGrad: true })

/** What goes wrong, up to a word from which the texts may differ. */
function error(fn: () => unknown, until?: string): string {
  const text = message(fn)
  const end = until === undefined ? -1 : text.indexOf(until)
  return end < 0 ? text : text.slice(0, end)
}

const states = (): boolean[] => [torch.isGradEnabled(), torch.isInferenceModeEnabled()]
const short = (name: string): string => name.replace('torch::autograd::', '')
type Node = { name(): string; readonly nextFunctions: readonly (readonly [Node | null, number])[] }
function tree(node: Node | null, depth = 6): string {
  if (node === null) return '-'
  const inner = depth > 0 ? node.nextFunctions.map(([n]) => tree(n, depth - 1)) : ['...']
  return short(node.name()) + (inner.length > 0 ? `(${inner.join(', ')})` : '')
}

const flags = (t: T): unknown[] => [
  t.requiresGrad,
  t.isLeaf,
  t._isView(),
  t._version,
  t.gradFn === null ? null : short(t.gradFn.name()),
  t.outputNr,
]

const FORMS: Readonly<Record<string, Unary>> = {
  abs_: (t) => t.abs_(),
  acos_: (t) => t.acos_(),
  add_: (t) => t.add_(1),
  addcdiv_: (t) => t.addcdiv_(ramp(2), ramp(2).add(1)),
  addcmul_: (t) => t.addcmul_(ramp(2), ramp(2)),
  asin_: (t) => t.asin_(),
  atan2_: (t) => t.atan2_(ramp(2)),
  atan_: (t) => t.atan_(),
  ceil_: (t) => t.ceil_(),
  clamp_: (t) => t.clamp_(0.3, 0.5),
  clamp_max_: (t) => t.clampMax_(0.4),
  clamp_min_: (t) => t.clampMin_(0.4),
  copy_: (t) => t.copy_(ramp(2)),
  cos_: (t) => t.cos_(),
  cosh_: (t) => t.cosh_(),
  div_: (t) => t.div_(ramp(2)),
  erf_: (t) => t.erf_(),
  exp2_: (t) => t.exp2_(),
  exp_: (t) => t.exp_(),
  expm1_: (t) => t.expm1_(),
  fill_: (t) => t.fill_(3),
  floor_: (t) => t.floor_(),
  fmod_: (t) => t.fmod_(0.2),
  frac_: (t) => t.frac_(),
  index_put_: (t) => t.indexPut_([ints([1])], ramp(1)),
  lerp_: (t) => t.lerp_(ramp(2), 0.3),
  log10_: (t) => t.log10_(),
  log1p_: (t) => t.log1p_(),
  log2_: (t) => t.log2_(),
  log_: (t) => t.log_(),
  masked_fill_: (t) => t.maskedFill_(torch.tensor([true, false]), 5),
  mul_: (t) => t.mul_(ramp(2)),
  neg_: (t) => t.neg_(),
  pow_: (t) => t.pow_(3),
  reciprocal_: (t) => t.reciprocal_(),
  relu_: (t) => t.relu_(),
  remainder_: (t) => t.remainder_(0.2),
  round_: (t) => t.round_(),
  rsqrt_: (t) => t.rsqrt_(),
  scatter_: (t) => t.scatter_(0, ints([1]), ramp(1)),
  scatter_add_: (t) => t.scatterAdd_(0, ints([1]), ramp(1)),
  setitem: (t) => t.set(0, 2),
  sigmoid_: (t) => t.sigmoid_(),
  sign_: (t) => t.sign_(),
  sin_: (t) => t.sin_(),
  sinh_: (t) => t.sinh_(),
  sqrt_: (t) => t.sqrt_(),
  square_: (t) => t.square_(),
  sub_: (t) => t.sub_(1),
  tan_: (t) => t.tan_(),
  tanh_: (t) => t.tanh_(),
  trunc_: (t) => t.trunc_(),
  zero_: (t) => t.zero_(),
}
const start = (): T => leaf(0.25, 0.75)
const eachForm = (run: (form: Unary) => unknown): unknown =>
  Object.fromEntries(Object.entries(FORMS).map(([name, form]) => [name, run(form)]))

const VIEWS: Readonly<Record<string, Unary>> = {
  view: (b) => b.view(4),
  reshape: (b) => b.reshape(4),
  flatten: (b) => b.flatten(),
  t: (b) => b.t(),
  transpose: (b) => b.transpose(0, 1),
  permute: (b) => b.permute(1, 0),
  movedim: (b) => b.movedim(0, 1),
  select: (b) => b.select(0, 1),
  slice: (b) => b.get(range(0, 2), range(1, 2)),
  narrow: (b) => b.narrow(1, 0, 1),
  squeeze: (b) => b.squeeze(),
  unsqueeze: (b) => b.unsqueeze(0),
  expand: (b) => b.expand(3, 2, 2),
  diagonal: (b) => b.diagonal(),
  unfold: (b) => b.unfold(0, 2, 1),
  as_strided: (b) => b.asStrided([2], [2]),
  view_as: (b) => b.viewAs(b),
  split: (b) => b.split(1)[1]!,
  chunk: (b) => b.chunk(2)[1]!,
  unbind: (b) => b.unbind()[1]!,
  detach: (b) => b.detach(),
  'int index': (b) => b.get(1),
  'none index': (b) => b.get(null),
}
const eachView = (run: (view: Unary) => unknown, writable = true): unknown =>
  Object.fromEntries(
    Object.entries(VIEWS).flatMap(([name, view]) => (writable && (name === 'expand' || name === 'detach') ? [] : [[name, run(view)]])),
  )

class Identity extends autograd.Function {
  static forward(_ctx: Ctx, x: T): T {
    return x.viewAs(x)
  }
  static backward(_ctx: Ctx, g: T): T {
    return g
  }
}
class Doubles extends autograd.Function {
  static forward(ctx: Ctx, x: T): T {
    ctx.markDirty(x)
    return x.mul_(2)
  }
  static backward(_ctx: Ctx, g: T): T {
    return g.mul(2)
  }
}
class Slice extends autograd.Function {
  static forward(_ctx: Ctx, x: T): T {
    return x.narrow(0, 0, 2)
  }
  static backward(_ctx: Ctx, g: T): T {
    return torch.cat([g, g.mul(0)])
  }
}

compare('views and in-place operations', './views.json', {
  version_counter() {
    const x = torch.randn([1, 2])
    const out = [x._version]
    x.fill_(0)
    out.push(x._version)
    const v = x.get(0)
    v.add_(1)
    out.push(x._version, v._version, v.detach()._version, x.data._version, x.clone()._version)
    const d = x.detach()
    d.mul_(2)
    out.push(x._version, d._version)
    const { data } = x
    data.mul_(2)
    return [...out, x._version, data._version]
  },
  data_is_outside_version_tracking() {
    const x = leaf(1, 2)
    const y = x.mul(1)
    const z = y.mul(y).sum()
    y.data.mul_(3)
    z.backward()
    return [y._version, nums(x.grad), flags(y.data)]
  },
  detach_then_inplace_raises_in_autograd() {
    const y = leaf(1, 2).mul(1)
    const z = y.mul(y).sum()
    y.detach().zero_()
    return [error(() => z.backward())]
  },
  saved_input_changed_by_itself() {
    const y = leaf(1, 2).mul(1)
    const z = y.exp().mul(y)
    y.add_(1)
    return [error(() => z.sum().backward())]
  },
  saved_output_changed: () =>
    (['exp', 'tanh', 'sigmoid', 'sqrt', 'relu', 'reciprocal', 'rsqrt'] as const).map((name) => {
      const y = leaf(1, 2)[name]()
      y.mul_(2)
      return [name, error(() => y.sum().backward())]
    }),
  saved_leaf_changed() {
    const w = leaf(3, 4)
    const y = leaf(1, 2).mul(w)
    noGrad(() => w.add_(1))
    return [w._version, error(() => y.sum().backward())]
  },
  not_saved_may_change: () =>
    [
      (t: T) => t.add(1),
      (t: T) => t.sum(),
      (t: T) => t.mul(3),
      (t: T) => t.view(2),
      (t: T) => t.mean(),
      (t: T) => t.neg(),
      (t: T) => t.sub(t),
    ].map((op) => {
      const x = leaf(1, 2)
      const y = x.mul(1)
      const z = op(y)
      y.zero_()
      z.sum().backward()
      return nums(x.grad)
    }),
  constant_operand_not_saved() {
    const x = leaf(1, 2)
    const y = x.mul(1)
    const z = y.mul(ramp(2))
    y.add_(1)
    z.sum().backward()
    return nums(x.grad)
  },
  saved_view_of_changed_base() {
    const [, y] = root(4)
    const z = y
      .get(range(null, 2))
      .exp()
      .mul(y.get(range(null, 2)))
    y.set(3, 0)
    return [error(() => z.sum().backward())]
  },
  increment_version() {
    const x = leaf(1, 2)
    const y = x.mul(1).mul(x)
    incrementVersion(x)
    incrementVersion([x, x])
    return [x._version, error(() => y.sum().backward())]
  },
  unsafe_set_version_counter() {
    const x = leaf(1, 2)
    const y = x.mul(1)
    const z = y.mul(y).sum()
    unsafePreserveVersionCounter(y, () => y.mul_(2))
    z.backward()
    return [y._version, nums(x.grad)]
  },
  forms_versions_and_nodes: () =>
    eachForm((form) => {
      const y = start().clone()
      const same = form(y) === y
      return [same, y._version, y.gradFn === null ? null : short(y.gradFn.name())]
    }),
  forms_gradients: () =>
    eachForm((form) => {
      const x = start()
      const y = x.clone()
      form(y)
      weigh(y).backward()
      return [nums(y), nums(x.grad)]
    }),
  forms_on_views: () =>
    eachForm((form) => {
      const x = start()
      const y = torch.cat([x, x.mul(0).add(1)])
      form(y.get(range(0, 2)))
      weigh(y).backward()
      return [y._version, tree(y.gradFn, 0), nums(x.grad)]
    }),
  forms_on_leaves: () =>
    eachForm((form) => {
      const x = start()
      const before = x.tolist()
      const text = error(() => form(x))
      const unchanged = JSON.stringify(x.tolist()) === JSON.stringify(before)
      noGrad(() => form(x))
      return [text, x._version, x.isLeaf, x.requiresGrad, unchanged]
    }),
  random_forms_versions: () =>
    [(t: T) => t.uniform_(), (t: T) => t.normal_(), (t: T) => t.bernoulli_(0.5)].map((form) => {
      const y = leaf(1, 2).clone()
      form(y)
      return [y._version, y.requiresGrad]
    }),
  inplace() {
    const x = leaf(1, 2)
    const y = x.mul(1)
    const w = y.add(1)
    y.add_(x)
    y.mul_(x)
    const out = [tree(y.gradFn), y._version]
    weigh(y).add(w.sum()).backward()
    return [...out, nums(x.grad)]
  },
  requires_grad_inplace() {
    const x = ramp(2)
    x.add_(leaf(3, 4))
    return [x.requiresGrad, x.isLeaf, tree(x.gradFn)]
  },
  inplace_not_requires_grad() {
    const b = Identity.apply(ramp(3))
    b.set(0, 1)
    const out: unknown[] = [b.requiresGrad, b._version]
    const c = leaf(1, 2, 3)
    out.push(error(() => Identity.apply(c).add_(1)))
    const d = Identity.apply(ramp(3))
    return [...out, error(() => d.add_(c)), d.requiresGrad]
  },
  leaf_inplace_raises_before_mutation() {
    const x = leaf(1, 2)
    const out = [error(() => x.add_(1)), error(() => x.set(0, 5)), error(() => x.get(range(0, 1)).mul_(2)), error(() => x.copy_(ramp(2)))]
    return [...out, nums(x), x._version]
  },
  leaf_changed_without_grad() {
    const x = leaf(1, 2)
    const y = x.mul(2)
    noGrad(() => {
      x.add_(1)
      x.set(0, 7)
    })
    y.sum().backward()
    return [nums(x.grad), flags(x)]
  },
  result_type_does_not_fit() {
    const a = ints([1, 1])
    const b = torch.ones([2])
    return [error(() => a.add_(b)), error(() => a.div_(2)), nums(b.add_(torch.ones([2], { dtype: 'float64' })))]
  },
  shape_does_not_fit() {
    const [, y] = root(1)
    return [error(() => y.add_(ramp(2))), y._version, nums(y)]
  },
  overlapping_destination() {
    const [, y] = root(1)
    return [error(() => y.expand(3).add_(1)), error(() => y.expand(3).mul_(ramp(3))), y._version]
  },
  broadcast_source() {
    const [x, y] = root(2, 3)
    const b = leaf(5)
    y.mul_(b)
    y.set(0, b)
    weigh(y).backward()
    return [nums(x.grad), nums(b.grad)]
  },
  integer_inplace_on_float() {
    const [x, y] = root(2)
    y.mul_(ints([2, 3]))
    weigh(y).backward()
    return nums(x.grad)
  },
  float32_view_of_nothing() {
    const a = torch.zeros([2])
    const b = leaf(3, 4)
    a.add_(b)
    a.sum().backward()
    return [a.dtype, nums(b.grad), b.grad!.dtype, tree(a.gradFn)]
  },
  inplace_chain_of_saved_outputs() {
    const [, y] = root(2)
    y.exp_()
    y.neg_()
    y.exp_()
    y.mul_(2)
    return [y._version, error(() => weigh(y).backward())]
  },
  views_flags: () =>
    eachView((view) => {
      const [, b] = root(2, 2)
      const v = view(b)
      return [flags(v), v._base === b]
    }, false),
  views_after_change_of_base: () =>
    eachView((view) => {
      const [x, b] = root(2, 2)
      const v = view(b)
      b.mul_(3)
      const text = error(() => v.gradFn, 'This view')
      if (text !== 'no error') return [text]
      const out = [text, v.gradFn === null ? null : tree(v.gradFn), flags(v)]
      if (!v.requiresGrad) return out
      weigh(v).backward()
      return [...out, nums(x.grad)]
    }, false),
  views_changed_themselves: () =>
    eachView((view) => {
      const [x, b] = root(2, 2)
      const v = view(b)
      const text = error(() => v.mul_(3), 'This view')
      const out = [text, b._version]
      if (text !== 'no error') return out
      out.push(tree(b.gradFn), tree(v.gradFn), nums(b) as never)
      weigh(b).add(weigh(v)).backward()
      return [...out, nums(x.grad)]
    }),
  views_of_leaves: () =>
    eachView((view) => {
      const x = ramp(2, 2).requiresGrad_()
      const v = view(x)
      return [error(() => v.mul_(3), 'This view'), x._version, v._base === x]
    }),
  views_of_constants: () =>
    eachView((view) => {
      const b = ramp(2, 2)
      const w = leaf(2)
      const v = view(b)
      const text = error(() => v.mul_(w), 'This view')
      const out = [text, flags(b)]
      if (text !== 'no error') return out
      weigh(b).backward()
      return [...out, nums(w.grad)]
    }),
  views_made_without_grad: () =>
    eachView((view) => {
      const [, b] = root(2, 2)
      const v = noGrad(() => view(b))
      return [flags(v), error(() => v.mul_(3), 'Given'), b._version]
    }),
  inplace_on_view_leaf_errors() {
    const x = ramp(1).requiresGrad_()
    const y = x.viewAs(x)
    return [error(() => y.add_(1)), nums(x)]
  },
  inplace_on_view_backward() {
    const x = leaf(1, 2, 3, 4)
    const y = x.mul(1)
    y.get(range(1, 3)).pow_(3)
    const [g] = autograd.grad(weigh(y), x, { createGraph: true })
    const [h] = autograd.grad(weigh(g!), x)
    return [nums(g), nums(h)]
  },
  inplace_on_view_backprop_base() {
    const [x, y] = root(2, 2)
    y.narrow(0, 0, 1).mul_(2)
    weigh(y).backward()
    return nums(x.grad)
  },
  inplace_on_view_backprop_view() {
    const a = leaf(2, 5)
    const b = leaf(3)
    const v = a.clone()
    v.narrow(0, 0, 1).copy_(b)
    v.narrow(0, 0, 1).sum().backward()
    return [nums(a.grad), nums(b.grad)]
  },
  inplace_on_view_backprop_view_of_view() {
    const [x, y] = root(2, 2)
    const v1 = y.narrow(0, 0, 1)
    const v2 = y.narrow(0, 0, 1)
    v1.mul_(2)
    weigh(v2).backward()
    return nums(x.grad)
  },
  inplace_on_view_of_view() {
    const [x, y] = root(2, 2)
    const v1 = y.select(0, 0)
    const v2 = v1.select(0, 0)
    v2.mul_(3)
    const out = [tree(y.gradFn), tree(v1.gradFn), tree(v2.gradFn), v2._base === y]
    weigh(y).backward()
    return [...out, nums(x.grad)]
  },
  inplace_on_view_then_no_grad() {
    const b = leaf(1, 2, 3).clone()
    b.get(range(1)).mul_(2)
    const first = noGrad(() => b.gradFn !== null)
    return [first, tree(b.gradFn)]
  },
  inplace_on_view_multiple_outputs() {
    const [x, y] = root(2, 2)
    const [v1] = y.unbind()
    return [error(() => v1!.mul_(2)), nums(x), y._version]
  },
  inplace_on_view_of_multiple_output_view() {
    const [, y] = root(2, 2)
    const v = y.unbind()[0]!.viewAs(y.get(0))
    return [error(() => v.mul_(2))]
  },
  inplace_multiple_output_view_of_view() {
    const [, y] = root(2, 2)
    const v = y.viewAs(y).unbind()[0]!
    return [error(() => v.mul_(2))]
  },
  multiple_outputs_of_a_constant: () =>
    [(b: T) => b.unbind()[0]!, (b: T) => b.split(1)[0]!, (b: T) => b.chunk(2)[0]!].map((make) => {
      const b = ramp(2, 2)
      const v = make(b)
      v.mul_(2)
      return [nums(b), b._version, error(() => v.mul_(leaf(2)))]
    }),
  multiple_outputs_then_base_changes() {
    const [, y] = root(2, 2)
    const v = y.unbind()[0]!
    y.mul_(2)
    return [error(() => v.gradFn), error(() => v.mul(2))]
  },
  multiple_outputs_then_base_changes_without_grad() {
    const [, y] = root(2, 2)
    const v = y.unbind()[0]!
    noGrad(() => y.mul_(2))
    return [v._version, error(() => v.gradFn)]
  },
  single_output_of_split() {
    const [, y] = root(2, 2)
    const v = y.split(2)[0]!
    return [error(() => v.mul_(2)), v.outputNr, short(y.split(1)[1]!.gradFn!.name()), y.split(1)[1]!.outputNr]
  },
  inplace_on_view_makes_base_require_grad() {
    const a = ramp(4)
    const v = a.get(range(0, 2))
    const w = a.get(range(2, 4))
    const out: unknown[] = [v.requiresGrad, w.requiresGrad]
    v.set(0, leaf(7).get(0))
    return [...out, a.requiresGrad, v.requiresGrad, w.requiresGrad, tree(a.gradFn), tree(w.gradFn)]
  },
  inplace_on_view_modify_base() {
    const a = ramp(1).requiresGrad_()
    const b = a.clone()
    const v = b.viewAs(b)
    const out: unknown[] = [short(v.gradFn!.name())]
    b.add_(1)
    out.push(short(v.gradFn!.name()))
    v.mul(3).sum().backward()
    return [...out, nums(a.grad)]
  },
  inplace_on_view_non_contig() {
    const x = ramp(2, 3, 2).requiresGrad_()
    const y = x.select(2, 1).t().mul(1)
    y.narrow(0, 1, 1).mul_(2)
    weigh(y).backward()
    return nums(x.grad)
  },
  inplace_on_view_of_transposed() {
    const [x, y] = root(2, 3)
    const v = y.t()
    v.get(range(1)).mul_(5)
    v.set([0, 1], 0)
    weigh(v).add(weigh(y)).backward()
    return [nums(y), nums(x.grad), tree(y.gradFn)]
  },
  inplace_on_view_undefined_grad_output() {
    const a = leaf(1, 2)
    const v = a.clone().get(range(0, 1))
    v.mul_(2)
    v.mul(1).sum().backward()
    return nums(a.grad)
  },
  inplace_on_view_python() {
    const [x, y] = root(4)
    Doubles.apply(y.get(range(1, 3)))
    weigh(y).backward()
    return [nums(y), nums(x.grad), tree(y.gradFn)]
  },
  autograd_inplace_view_of_view: () =>
    [noGrad, inferenceMode].map((mode) => {
      const x = torch.zeros([2])
      const y = mode(() => x.view(2))
      y.requiresGrad_(true)
      const z = y.view(2)
      return error(() => z.mul_(2), 'Given')
    }),
  autograd_multiple_views_python() {
    const [x, y] = root(3)
    const views = [y.get(range(0, 2)), y.get(range(1, 3)), y.view(3, 1)] as const
    views[0].mul_(2)
    views[1].add_(1)
    views[2].mul_(3)
    const out: unknown[] = views.map((v) => [tree(v.gradFn, 1), nums(v)])
    weigh(views[0]).add(weigh(views[1])).add(weigh(y)).backward()
    return [...out, nums(x.grad), y._version]
  },
  autograd_simple_views_python() {
    const x = leaf(1, 2, 3, 4)
    const v = Slice.apply(x)
    const out: unknown[] = [flags(v), v._base === x]
    out.push(error(() => v.mul_(2)))
    const w = Slice.apply(x.mul(1))
    return [...out, error(() => w.mul_(2))]
  },
  autograd_inplace_views_creation_meta() {
    const ops: Record<string, Unary> = {
      mul_: (t) => t.mul_(2),
      copy_: (t) => t.copy_(t.detach().mul(2)),
      zero_: (t) => t.zero_(),
      t_: (t) => t.t_(),
      transpose_: (t) => t.transpose_(0, 1),
      squeeze_: (t) => t.squeeze_(),
      unsqueeze_: (t) => t.unsqueeze_(0),
    }
    const makers: Record<string, Unary> = {
      default: (b) => b.view(2, 2),
      no_grad: (b) => noGrad(() => b.view(2, 2)),
      inference: (b) => inferenceMode(() => b.view(2, 2)),
      'multi output': (b) => b.view(1, 2, 2).unbind()[0]!,
      'multi output no_grad': (b) => noGrad(() => b.view(1, 2, 2).unbind()[0]!),
    }
    const enters: Record<string, (f: () => unknown) => unknown> = { grad: (f) => f(), no_grad: noGrad, inference: inferenceMode }
    const out: Record<string, string> = {}
    for (const [made, maker] of Object.entries(makers))
      for (const [name, op] of Object.entries(ops))
        for (const [mode, enter] of Object.entries(enters))
          for (const needs of [true, false]) {
            const v = maker(ramp(4).requiresGrad_(needs).mul(1))
            out[`${made} ${name} ${mode} ${needs ? 'True' : 'False'}`] = error(() => enter(() => op(v)), 'Given')
          }
    return out
  },
  inplace_view_operations() {
    const ops: Record<string, Unary> = {
      t_: (t) => t.t_(),
      transpose_: (t) => t.transpose_(0, 1),
      squeeze_: (t) => t.squeeze_(),
      'squeeze_ dim': (t) => t.squeeze_(1),
      unsqueeze_: (t) => t.unsqueeze_(1),
      as_strided_: (t) => t.asStrided_([2], [1], 1),
    }
    return Object.fromEntries(
      Object.entries(ops).map(([name, op]) => {
        const [x, y] = root(3, 1)
        const same = op(y) === y
        const refused = error(() => op(ramp(3, 1).requiresGrad_()))
        const out: unknown[] = [same, y.shape, y.stride(), flags(y), tree(y.gradFn), refused]
        weigh(y).backward()
        out.push(nums(x.grad))
        const c = ramp(3, 1)
        op(c)
        return [name, [...out, c.shape, flags(c)]]
      }),
    )
  },
  inplace_view_operation_on_view() {
    const [x, y] = root(2, 3)
    const v = y.get(range(), range(1))
    v.t_()
    const out: unknown[] = [v.shape, flags(v), v._base === y, tree(y.gradFn), tree(v.gradFn)]
    v.mul_(2)
    out.push(nums(y), tree(y.gradFn))
    weigh(y).add(weigh(v)).backward()
    return [...out, nums(x.grad)]
  },
  view_made_before_base_needs_grad() {
    const b = ramp(4)
    const v = b.view(2, 2)
    const out: unknown[] = [v.requiresGrad, v.isLeaf]
    b.view(2, 2).mul_(leaf(2))
    return [...out, flags(v), nums(v)]
  },
  no_grad_view_of_constant_then_base_changes() {
    const b = ramp(4)
    const v = noGrad(() => b.get(range(0, 2)))
    b.mul_(leaf(2))
    return [b.requiresGrad, error(() => v.gradFn, 'Given'), error(() => v.mul_(2), 'Given')]
  },
  no_grad_view_changed_by_constant() {
    const b = ramp(4)
    const v = noGrad(() => b.get(range(0, 2)))
    v.mul_(2)
    return [nums(b), v._version, v.requiresGrad]
  },
  no_grad_view_then_no_grad_change() {
    const [, y] = root(4)
    const v = noGrad(() => {
      const part = y.get(range(0, 2))
      part.mul_(2)
      return part
    })
    return [nums(y), y._version, tree(y.gradFn), error(() => v.gradFn, 'Given'), v.requiresGrad]
  },
  first_read_of_view_in_no_grad() {
    const [, y] = root(4)
    const v = y.get(range(0, 2))
    y.mul_(2)
    const first = noGrad(() => tree(v.gradFn))
    const again = v.gradFn
    return [first, tree(again), v.gradFn === again]
  },
  old_node_of_changed_tensor() {
    const [, y] = root(2)
    const old = y.gradFn!
    y.mul_(2)
    return [short(old.name()), y.gradFn === old, y.gradFn!.nextFunctions[0]![0] === old]
  },
  view_is_used_then_base_changes() {
    const [x, y] = root(4)
    const v = y.get(range(0, 2))
    const w = v.mul(3)
    y.mul_(2)
    weigh(w).add(weigh(v)).backward()
    return nums(x.grad)
  },
  view_saved_then_base_changes() {
    const [, y] = root(4)
    const v = y.get(range(0, 2))
    const w = v.mul(v)
    y.mul_(2)
    return [error(() => w.sum().backward())]
  },
  view_of_leaf_used_after_change_without_grad() {
    const x = leaf(1, 2, 3)
    const v = x.get(range(0, 2))
    noGrad(() => x.mul_(2))
    weigh(v).backward()
    return [flags(v), nums(x.grad)]
  },
  grad_of_view_and_base() {
    const [x, y] = root(4)
    const v = y.get(range(0, 2))
    v.mul_(2)
    return autograd.grad(weigh(y).add(weigh(v)), [x, y, v]).map(nums)
  },
  copy_slices_partial() {
    const x = leaf(1, 2, 3, 4)
    const w = leaf(5, 6)
    const y = x.mul(1)
    y.get(range(1, 3)).mul_(w)
    const out = [w, x].map((t) => nums(autograd.grad(weigh(y), t, { retainGraph: true })[0]))
    weigh(y).backward({ inputs: [w] })
    return [...out, nums(x.grad), nums(w.grad), tree(y.gradFn)]
  },
  copy_slices_second_order() {
    const x = leaf(1, 2, 3, 4)
    const w = leaf(5, 6)
    const y = x.mul(x)
    y.get(range(1, 3)).mul_(w)
    y.get(range(0, 2)).copy_(w.mul(w))
    const g = autograd.grad(weigh(y.mul(y)), [x, w], { createGraph: true })
    const h = autograd.grad(weigh(g[0]!).add(weigh(g[1]!)), [x, w])
    return [...g, ...h].map(nums)
  },
  copy_slices_retained() {
    const [x, y] = root(4)
    const v = y.get(range(0, 2))
    v.mul_(2)
    y.retainGrad()
    v.retainGrad()
    weigh(v).backward({ retainGraph: true })
    weigh(y).backward()
    return [nums(y.grad), nums(v.grad), nums(x.grad)]
  },
  assigning_slices_in_a_loop() {
    const x = leaf(1, 2, 3)
    const y = torch.zeros([3], { dtype: 'float64' })
    for (let i = 0; i < 3; i++) y.set(i, x.get(i).mul(x.get(range(null, i + 1)).sum()))
    weigh(y).backward()
    return [nums(x.grad), y._version, short(y.gradFn!.name())]
  },
  overlapping_windows() {
    const [x, y] = root(5)
    y.unfold(0, 3, 2)
    y.get(range(0, 3)).mul_(2)
    y.get(range(2, 5)).mul_(3)
    y.get(range(1, 4)).add_(y.get(range(0, 3)).clone())
    weigh(y).backward()
    return [nums(y), nums(x.grad)]
  },
  partly_overlapping_operands() {
    const [, y] = root(4)
    return [error(() => y.get(range(1, 4)).mul_(y.get(range(0, 3)))), y._version]
  },
  detach_rules() {
    const [x, y] = root(2)
    const v = y.get(range(0, 1))
    const z = y.mul(3)
    const out: unknown[] = [error(() => v.detach_())]
    y.detach_()
    out.push(flags(y), flags(x.detach_()), tree(z.gradFn))
    const c = ramp(2)
    return [...out, error(() => c.get(range(0, 1)).detach_()), flags(c.detach_())]
  },
  detach_base() {
    const [, y] = root(2)
    const v = y.get(range(0, 1))
    const d = v.detach()
    const out: unknown[] = [flags(d), d._base === null]
    d.add_(1)
    return [...out, v._version, y._version, nums(y), tree(v.gradFn)]
  },
  detached_in_place_after_saving() {
    const y = leaf(1, 2).mul(1)
    const z = y.mul(y)
    y.detach_()
    return [error(() => z.sum().backward())]
  },
  detach_of_base_after_view() {
    const [x, y] = root(4)
    const v = y.get(range(0, 2))
    y.detach_()
    const out: unknown[] = [flags(y), flags(v)]
    weigh(v).backward()
    return [...out, nums(x.grad)]
  },
  requires_grad_on_non_leaf() {
    const [x, y] = root(2)
    const i = ints([1, 1])
    return [
      error(() => y.requiresGrad_(false)),
      error(() => {
        y.requiresGrad = false
      }),
      y.requiresGrad_(true) === y,
      flags(x.requiresGrad_(false)),
      error(() => i.requiresGrad_()),
      error(() => {
        i.requiresGrad = true
      }),
      i.requiresGrad_(false) === i,
    ]
  },
  requires_grad_off_with_graph() {
    const x = leaf(1, 2)
    const y = x.mul(2)
    x.requiresGrad_(false)
    y.sum().backward()
    return [nums(x.grad), x.mul(2).requiresGrad]
  },
  requires_grad_on_view_of_constant() {
    const b = ramp(4)
    const v = b.get(range(0, 2))
    v.requiresGrad_()
    const out: unknown[] = [flags(v), b.requiresGrad, v._base === b]
    weigh(v).backward()
    return [...out, nums(v.grad), error(() => v.mul_(2)), error(() => b.mul_(2)), v._version]
  },
  requires_grad_on_base_after_view() {
    const b = ramp(4)
    const v = b.get(range(0, 2))
    b.requiresGrad_()
    return [flags(v), error(() => v.mul_(2)), error(() => b.mul_(2)), v.mul(2).requiresGrad]
  },
  data_of_non_leaf() {
    const [x, y] = root(2)
    y.data = ramp(2).mul(10)
    const out = [flags(y), nums(y)]
    weigh(y).backward()
    return [...out, nums(x.grad)]
  },
  data_and_views() {
    const [, y] = root(2)
    const d = y.get(range(0, 1)).data
    d.add_(5)
    return [flags(d), d._base === null, nums(y), y._version]
  },
  leaf_data_changed() {
    const x = leaf(1, 2)
    const y = x.mul(x)
    x.data.mul_(10)
    y.sum().backward()
    return [nums(x.grad), x._version]
  },
  deepcopy() {
    const [x, y] = root(2)
    weigh(y).backward()
    const c = x.deepcopy()
    c.data.mul_(3)
    const out = [c.requiresGrad, c.isLeaf, nums(x), nums(c), nums(c.grad), c.grad === x.grad]
    return [...out, ramp(2).deepcopy().requiresGrad, error(() => y.deepcopy())]
  },
  clones_are_no_views() {
    const [, y] = root(4)
    const v = y.get(range(0, 2))
    const m = y.view(2, 2).t()
    return [flags(v.clone()), flags(v.contiguous()), v.contiguous() === v, flags(m.contiguous()), flags(m.reshape(4))]
  },
  views_that_are_the_tensor() {
    const [, y] = root(2, 2)
    return [
      y.reshape(2, 2) === y,
      y.reshape(2, 2)._isView(),
      y.expand(2, 2) === y,
      y.expand(2, 2)._isView(),
      y.to('float64') === y,
      y.view(2, 2)._isView(),
    ]
  },
  hooks_of_changed_tensor() {
    const [x, y] = root(2)
    const seen: unknown[] = []
    y.registerHook((g) => void seen.push(['before', nums(g)]))
    y.mul_(2)
    y.registerHook((g) => void seen.push(['after', nums(g)]))
    weigh(y).backward()
    return [seen, nums(x.grad)]
  },
  hooks_of_view_and_base() {
    const [x, y] = root(3)
    const v = y.get(range(0, 2))
    v.mul_(2)
    const seen: unknown[] = []
    y.registerHook((g) => void seen.push(['base', nums(g)]))
    v.registerHook((g) => void seen.push(['view', nums(g)]))
    weigh(v).add(weigh(y)).backward()
    return [seen, nums(x.grad)]
  },
  gradient_edges_of_changed_tensor() {
    const [, y] = root(2)
    const edge = getGradientEdge(y)
    y.mul_(2)
    const now = getGradientEdge(y)
    return [autograd.grad(weigh(y), [edge, now]).map(nums), short(edge.node.name()), short(now.node.name())]
  },
  set_item_forms: () =>
    [() => 5, () => leaf(7).get(0), () => ramp(2)].map((value) => {
      const [x, y] = root(2, 2)
      y.set(0, value())
      y.set([range(), 1], value())
      weigh(y).backward()
      return [nums(y), nums(x.grad), y._version, tree(y.gradFn, 1)]
    }),
  index_put_gradients() {
    const [x, y] = root(4)
    const w = leaf(5, 6)
    const i = ints([3, 1])
    y.indexPut_([i], w)
    y.indexPut_([i], w, { accumulate: true })
    y.set(torch.tensor([true, false, false, true]), 0)
    weigh(y).backward()
    return [nums(y), nums(x.grad), nums(w.grad), y._version]
  },
  copy_between_dtypes() {
    const [x, y] = root(2)
    const f = torch.zeros([2])
    f.copy_(y)
    y.copy_(f.mul(2))
    weigh(y).backward()
    return [nums(x.grad), f.dtype, tree(f.gradFn)]
  },
  fill_with_tensor() {
    const [x, y] = root(3)
    const w = scalar(4)
    y.get(range(1)).fill_(w)
    weigh(y).backward()
    return [nums(y), nums(x.grad), nums(w.grad), tree(y.gradFn, 1)]
  },
  masked_fill_on_view() {
    const [x, y] = root(2, 3)
    const w = scalar(4)
    y.t()
      .get(range(1))
      .maskedFill_(torch.tensor([true, false]), w)
    weigh(y).backward()
    return [nums(y), nums(x.grad), nums(w.grad)]
  },
  optimizer_like_step() {
    const w = leaf(1, 2)
    for (let i = 0; i < 2; i++) {
      w.mul(3).sum().backward()
      noGrad(() => {
        w.sub_(w.grad!.mul(0.1))
        w.grad!.zero_()
      })
    }
    return [nums(w), w._version, w.grad!._version, w.isLeaf]
  },
  gradient_buffer_versions() {
    const w = leaf(1, 2)
    w.mul(2).sum().backward()
    const g = w.grad!
    const out: unknown[] = [g._version]
    w.mul(2).sum().backward()
    return [...out, g._version, w.grad === g, nums(g)]
  },
  inference_states() {
    const x = leaf(1, 2)
    const out: unknown[] = []
    inferenceMode(() => {
      out.push(states())
      enableGrad(() => {
        const y = x.mul(2)
        out.push(states(), y.requiresGrad, y.isInference())
      })
      inferenceMode(false, () => {
        const y = x.mul(2)
        out.push(states(), y.requiresGrad, y.isInference())
        inferenceMode(() => out.push(states()))
      })
      out.push(states())
    })
    noGrad(() => {
      inferenceMode(false, () => out.push(states()))
      inferenceMode(() => out.push(states()))
      out.push(states())
    })
    return [...out, states()]
  },
  inference_data_and_aliases() {
    const x = leaf(1, 2)
    const first = range(0, 1)
    const [i, out] = inferenceMode(() => {
      const t = ramp(2)
      return [
        t,
        [t, t.data, t.detach(), t.get(first), t.clone(), x.data, x.detach(), x.get(first), x.clone()].map((u) => u.isInference()),
      ] as const
    })
    return [...out, ...[i, i.data, i.detach(), i.get(first), i.clone(), i.add(1), i.contiguous()].map((u) => u.isInference())]
  },
  inference_versions() {
    const out: unknown[] = []
    const i = inferenceMode(() => {
      const t = ramp(2)
      t.add_(1)
      out.push(error(() => t._version))
      return t
    })
    incrementVersion([i])
    const [, y] = root(2)
    inferenceMode(() => {
      y.add_(1)
      y.set(0, 5)
    })
    return [...out, error(() => i._version), y._version, nums(y), nums(i)]
  },
  inference_change_breaks_saved() {
    const [, y] = root(2)
    const z = y.mul(y)
    inferenceMode(() => y.add_(1))
    return [error(() => z.sum().backward())]
  },
  inference_under_transforms() {
    const square = (a: T): T => a.mul(a).sum()
    const [i, out] = inferenceMode(() => {
      const t = ramp(3)
      return [t, [nums(torch.func.grad(square)(t)), nums(torch.func.jvp(square, [t], [ramp(3)])[1])]] as const
    })
    return [...out, nums(torch.func.grad(square)(i)), nums(torch.func.grad((a: T) => a.mul(i).sum())(ramp(3)))]
  },
  inference_leaf_flags() {
    const [i, j, out] = inferenceMode(() => {
      const t = ramp(2).requiresGrad_()
      const v = t.get(range(0, 1))
      return [t, ramp(2), [t.requiresGrad, t.isLeaf, v.requiresGrad, v._isView(), t.mul(2).requiresGrad]] as const
    })
    const set = (): unknown => {
      j.requiresGrad = true
      return j
    }
    return [...out, error(() => j.requiresGrad_()), error(set), i.add(1).requiresGrad]
  },
  inference_backward() {
    const [x, y] = root(2)
    const z = weigh(y.mul(y))
    inferenceMode(() => z.backward())
    return [nums(x.grad), x.grad!.isInference(), x.isInference()]
  },
  inference_in_place_text() {
    const [i, inner] = inferenceMode(() => {
      const t = ramp(2)
      return [t, inferenceMode(false, () => error(() => t.add_(1)))] as const
    })
    return [inner, noGrad(() => error(() => i.zero_())), error(() => i.set(0, 1))]
  },
  inference_saved_text() {
    const i = inferenceMode(() => ramp(2))
    const x = leaf(1, 2)
    const y = x.mul(1)
    return [
      error(() => x.mul(i)),
      error(() => y.mul_(i)),
      x.add(i).requiresGrad,
      error(() => torch.where(i.gt(1), x, x.mul(0))),
      error(() => x.exp().mul(i.clone())),
    ]
  },
})
