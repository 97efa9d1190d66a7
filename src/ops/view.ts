/** Views: other shapes over the same elements. Every gradient is the inverse view or a scatter into zeros. */
import { ArgumentError, IndexError, ShapeError, show } from '../errors.ts'
import { cloneContiguous, copyInto, full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type Batched, view as declareView, type GeneralOp, general, vjp } from '../op/general.ts'
import { checkOptions, describe } from '../options.ts'
import { inferShape, numel, type Shape, shapeArgument, wrapDim, wrapDims } from '../shape.ts'
import { expectTensor, TensorCore } from '../tensor.ts'
import { stridedBackward } from './geometry.ts'

/** The batch dim in front: then dims of an example are dims + 1 of the value. */
function front(b: Batched<unknown>): Tensor {
  const [dim] = b.dims
  return dim === 0 ? b.x[0]! : b.x[0]!.movedim(dim!, 0)
}

const viewOp: GeneralOp<{ shape: number[]; op: string }> = /* @__PURE__ */ declareView('view', {
  node: 'ViewBackward0',
  layout: (l, { shape, op }) => {
    const made = l.reshape(shape)
    if (made === undefined) {
      throw new ShapeError(
        `${op}: view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces): ${show(l.shape)} with strides ${show(l.strides)} to ${show(shape)}. Use reshape(…) instead.`,
        { op, shapes: [l.shape, shape] },
      )
    }
    return made
  },
  vjp: (g, c) => g.reshape(c.shapeOf(0)),
  batch: (b) => front(b).reshape([b.size, ...b.p.shape]),
})

/**
 * The same elements in another shape, sharing memory; one size may be −1.
 * Errors: ShapeError when the element counts differ or the strides don't allow it.
 * @example
 * tensor([1, 2, 3, 4]).view([2, 2]).tolist() // [[1, 2], [3, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.view.html
 */
export function view(x: Tensor, shape: Shape | number, ...rest: number[]): Tensor {
  expectTensor('view', x, 'argument 0')
  return viewOp.one([x], { shape: inferShape(shapeArgument(shape, rest, 'view'), x.layout.numel, 'view'), op: 'view' })
}

/**
 * `x` as a view of the shape of `other`. Errors: as `view`.
 * @example
 * tensor([1, 2, 3, 4]).viewAs(zeros([2, 2])).tolist() // [[1, 2], [3, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.view_as.html
 */
export function viewAs(x: Tensor, other: Tensor): Tensor {
  expectTensor('viewAs', other, 'argument 1')
  return view(x, other.layout.shape)
}

const unsafeView: GeneralOp<{ shape: number[] }> = /* @__PURE__ */ general('reshape', {
  node: 'UnsafeViewBackward0',
  forward: (x, { shape }, owner) => {
    const copy = cloneContiguous(x[0]!, owner)
    return new TensorCore(copy.storage, Layout.of(shape), copy.dt)
  },
  vjp: [vjp([], (g, c) => g.reshape(c.shapeOf(0)))],
  jvp: 'linear',
  batch: (b) => front(b).reshape([b.size, ...b.p.shape]),
})

/**
 * The same elements in another shape: a view when strides allow it, else a copy. One size may be −1.
 * Errors: ShapeError when the element counts differ.
 * @example
 * tensor([[1, 2], [3, 4]]).reshape([-1]).tolist() // [1, 2, 3, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.reshape.html
 */
export function reshape(x: Tensor, shape: Shape | number, ...rest: number[]): Tensor {
  expectTensor('reshape', x, 'argument 0')
  const to = inferShape(shapeArgument(shape, rest, 'reshape'), x.layout.numel, 'reshape')
  return x.wrap !== null || x.layout.reshape(to) !== undefined ? viewOrCopy(x, to) : unsafeView.one([x], { shape: to })
}

function viewOrCopy(x: Tensor, shape: number[]): Tensor {
  // Inside vmap the value has one more dim, whose strides decide there.
  if (x.wrap !== null && x.layout.reshape(shape) === undefined) return unsafeView.one([x], { shape })
  return viewOp.one([x], { shape, op: 'reshape' })
}

const expandOp: GeneralOp<{ shape: Shape }> = /* @__PURE__ */ declareView('expand', {
  node: 'ExpandBackward0',
  layout: (l, { shape }) => l.expand(shape),
  vjp: (g, c) => g.sumToSize(c.shapeOf(0)),
  batch: (b) => {
    let v = front(b)
    const rank = b.x[0]!.layout.rank - 1
    for (let k = rank; k < b.p.shape.length; k++) v = v.unsqueeze(1)
    return v.expand([b.size, ...b.p.shape])
  },
})

/**
 * Size-1 dims (and new leading dims) repeated without copying; −1 keeps a size.
 * Errors: ShapeError when a dim that isn't 1 would change.
 * @example
 * tensor([[1], [2]]).expand([2, 3]).tolist() // [[1, 1, 1], [2, 2, 2]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.expand.html
 */
export function expand(x: Tensor, shape: Shape | number, ...rest: number[]): Tensor {
  expectTensor('expand', x, 'argument 0')
  return expandOp.one([x], { shape: shapeArgument(shape, rest, 'expand') })
}

/**
 * `x` expanded to the shape of `other`.
 * @example
 * tensor([1, 2]).expandAs(zeros([3, 2])).shape // [3, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.expand_as.html
 */
export function expandAs(x: Tensor, other: Tensor): Tensor {
  expectTensor('expandAs', other, 'argument 1')
  return expand(x, other.layout.shape)
}

const permuteOp: GeneralOp<{ order: number[] }> = /* @__PURE__ */ declareView('permute', {
  node: 'PermuteBackward0',
  layout: (l, { order }) => l.permute(order),
  vjp: (g, { p }) => g.permute(p.order.map((_, i) => p.order.indexOf(i))),
  batch: (b) => front(b).permute([0, ...b.p.order.map((d) => d + 1)]),
})

/**
 * The dims in another order.
 * @example
 * zeros([2, 3, 4]).permute([2, 0, 1]).shape // [4, 2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.permute.html
 */
export function permute(x: Tensor, dims: Shape | number, ...rest: number[]): Tensor {
  expectTensor('permute', x, 'argument 0')
  const list = shapeArgument(dims, rest, 'permute')
  const order = list.map((d) => wrapDim(d, x.layout.rank, 'permute'))
  if (order.length !== x.layout.rank || new Set(order).size !== order.length) {
    throw new ArgumentError(`permute: ${show(list)} is not an order of the ${x.layout.rank} dims of ${show(x.layout.shape)}`, {
      op: 'permute',
      shapes: [x.layout.shape],
    })
  }
  return permuteOp.one([x], { order })
}

const transposeOp: GeneralOp<{ a: number; b: number; t: boolean }> = /* @__PURE__ */ declareView('transpose', {
  node: ({ t }) => (t ? 'TBackward0' : 'TransposeBackward0'),
  layout: (l, { a, b }) => (a === b ? l : l.transpose(a, b)),
  vjp: (g, { p }) => transposeOp.one([g], p),
  batch: (b) => transposeOp.one([front(b)], { a: b.p.a + 1, b: b.p.b + 1, t: false }),
})

/**
 * Two dims exchanged.
 * @example
 * zeros([2, 3, 4]).transpose(0, 2).shape // [4, 3, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.transpose.html
 */
export function transpose(x: Tensor, dim0: number, dim1: number): Tensor {
  expectTensor('transpose', x, 'argument 0')
  return transposeOp.one([x], { a: wrapDim(dim0, x.layout.rank, 'transpose'), b: wrapDim(dim1, x.layout.rank, 'transpose'), t: false })
}

/**
 * A matrix transposed; 0- and 1-dim tensors as they are.
 * @example
 * tensor([[1, 2], [3, 4]]).t().tolist() // [[1, 3], [2, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.t.html
 */
export function t(x: Tensor): Tensor {
  expectTensor('t', x, 'argument 0')
  if (x.layout.rank > 2)
    throw new ShapeError(`t: expects a tensor with <= 2 dimensions, but it is ${x.layout.rank}D; use transpose(…) or permute(…)`, {
      op: 't',
      shapes: [x.layout.shape],
    })
  return transposeOp.one([x], { a: 0, b: x.layout.rank < 2 ? 0 : 1, t: true })
}

/**
 * Dims moved to new places, the others keep their order.
 * @example
 * zeros([2, 3, 4]).movedim(0, -1).shape // [3, 4, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.movedim.html
 */
export function movedim(x: Tensor, source: number | readonly number[], destination: number | readonly number[]): Tensor {
  expectTensor('movedim', x, 'argument 0')
  const { rank } = x.layout
  const from = shapeArgument(source, [], 'movedim').map((d) => wrapDim(d, rank, 'movedim'))
  const to = shapeArgument(destination, [], 'movedim').map((d) => wrapDim(d, rank, 'movedim'))
  if (from.length !== to.length || new Set(from).size !== from.length || new Set(to).size !== to.length) {
    throw new ArgumentError(`movedim: source ${show(from)} and destination ${show(to)} must name as many distinct dims`, { op: 'movedim' })
  }
  const order = new Array<number>(rank).fill(-1)
  from.forEach((d, i) => {
    order[to[i]!] = d
  })
  const rest = order.map((_, d) => d).filter((d) => !from.includes(d))
  return permuteOp.one([x], { order: order.map((d) => (d < 0 ? rest.shift()! : d)) })
}

interface Select {
  dim: number
  index: number
}
const selectOp: GeneralOp<Select> = /* @__PURE__ */ declareView('select', {
  node: 'SelectBackward0',
  layout: (l, { dim, index }) => l.select(dim, index),
  vjp: (g, c) => intoZeros(g, c.shapeOf(0), SELECT, c.p),
  batch: (b) => front(b).select(b.p.dim + 1, b.p.index),
})

/**
 * One element of a dim; the dim goes away.
 * @example
 * tensor([[1, 2], [3, 4]]).select(1, 0).tolist() // [1, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.select.html
 */
export function select(x: Tensor, dim: number, index: number): Tensor {
  expectTensor('select', x, 'argument 0')
  if (x.layout.rank === 0) throw new IndexError('select: a 0-dim tensor has nothing to select from; use item()', { op: 'select' })
  const d = wrapDim(dim, x.layout.rank, 'select')
  x.layout.select(d, index)
  return selectOp.one([x], { dim: d, index: index < 0 ? index + x.layout.shape[d]! : index })
}

interface Slice {
  dim: number
  start: number
  length: number
  step: number
}
const sliceLayout = (l: Layout, { dim, start, length, step }: Slice): Layout => l.slice(dim, start, length, step)
const sliceOp: GeneralOp<Slice> = /* @__PURE__ */ declareView('slice', {
  node: 'SliceBackward0',
  layout: sliceLayout,
  vjp: (g, c) => intoZeros(g, c.shapeOf(0), SLICE, c.p),
  batch: (b) => sliceOp.one([front(b)], { ...b.p, dim: b.p.dim + 1 }),
})

/**
 * Elements start, start + step, … below end, of one dim; negative positions count from the back, positions are clamped.
 * @example
 * tensor([0, 1, 2, 3, 4]).slice(0, 1, 5, 2).tolist() // [1, 3]
 */
export function slice(x: Tensor, dim = 0, start?: number | null, end?: number | null, step = 1): Tensor {
  expectTensor('slice', x, 'argument 0')
  if (x.layout.rank === 0) throw new IndexError('slice: a 0-dim tensor cannot be sliced', { op: 'slice' })
  if (!Number.isInteger(step) || step < 1)
    throw new ArgumentError(`slice: step must be a whole number greater than zero, got ${step}`, { op: 'slice' })
  const d = wrapDim(dim, x.layout.rank, 'slice')
  const size = x.layout.shape[d]!
  const clamped = (v: number): number => {
    if (!Number.isInteger(v) && v !== Number.POSITIVE_INFINITY && v !== Number.NEGATIVE_INFINITY)
      throw new IndexError(`slice: positions must be whole numbers, got ${describe(v)}`, { op: 'slice' })
    return Math.min(size, Math.max(0, v < 0 ? v + size : v))
  }
  const from = clamped(start ?? 0)
  const to = Math.max(from, clamped(end ?? size))
  return sliceOp.one([x], { dim: d, start: from, length: Math.ceil((to - from) / step), step })
}

/**
 * `length` elements of a dim from `start` on.
 * @example
 * tensor([1, 2, 3, 4]).narrow(0, 1, 2).tolist() // [2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.narrow.html
 */
export function narrow(x: Tensor, dim: number, start: number, length: number): Tensor {
  expectTensor('narrow', x, 'argument 0')
  if (x.layout.rank === 0) throw new IndexError('narrow: cannot be applied to a 0-dim tensor', { op: 'narrow' })
  const d = wrapDim(dim, x.layout.rank, 'narrow')
  const size = x.layout.shape[d]!
  if (!Number.isInteger(start) || start < -size || start > size)
    throw new IndexError(`narrow: start out of range (expected to be in range of [${-size}, ${size}], but got ${start})`, { op: 'narrow' })
  const from = start < 0 ? start + size : start
  if (!Number.isInteger(length) || length < 0 || from + length > size)
    throw new IndexError(`narrow: start (${from}) + length (${length}) exceeds dimension size (${size}).`, { op: 'narrow' })
  return sliceOp.one([x], { dim: d, start: from, length, step: 1 })
}

/** A view whose gradient is written into zeros: `shift` gives its parameters with more dims in front. */
interface Window<P> {
  readonly node: string
  readonly op: GeneralOp<P>
  layout(l: Layout, p: P): Layout
  shift(p: P, dims: number): P
}

const SELECT: Window<Select> = {
  node: 'SelectBackwardBackward0',
  op: selectOp,
  layout: (l, { dim, index }) => l.select(dim, index),
  shift: (p, k) => ({ ...p, dim: p.dim + k }),
}
const SLICE: Window<Slice> = {
  node: 'SliceBackwardBackward0',
  op: sliceOp,
  layout: sliceLayout,
  shift: (p, k) => ({ ...p, dim: p.dim + k }),
}

/** Zeros of `shape` with `g` written where the view looks. */
function intoZeros<P>(g: Tensor, shape: Shape, view: Window<P>, p: P): Tensor {
  return scatterView.one([g], {
    shape,
    node: view.node,
    place: (l, k) => view.layout(l, view.shift(p, k)),
    view: (t, k) => view.op.one([t], view.shift(p, k)),
    batches: 0,
  })
}

interface Scattered {
  readonly shape: Shape
  readonly node: string
  /** Where the view looks, in an array with `batches` dims more in front. */
  place(l: Layout, batches: number): Layout
  view(t: Tensor, batches: number): Tensor
  readonly batches: number
}

/** The transpose of a view: the gradient written into zeros. */
const scatterView: GeneralOp<Scattered> = /* @__PURE__ */ general('scatterView', {
  node: ({ node }) => node,
  forward: (x, p, owner) => {
    const out = full(p.shape, 0, x[0]!.dt, owner)
    copyInto({ storage: out.storage, dt: out.dt, layout: p.place(out.layout, p.batches) }, x[0]!)
    return out
  },
  vjp: [vjp([], (g, { p }) => p.view(g, p.batches))],
  jvp: 'linear',
  batch: (b) => scatterView.one([front(b)], { ...b.p, shape: [b.size, ...b.p.shape], batches: b.p.batches + 1 }),
})

const squeezeOp: GeneralOp<{ dims: number[]; kind: number }> = /* @__PURE__ */ declareView('squeeze', {
  node: ({ kind }) => `SqueezeBackward${kind}`,
  layout: (l, { dims }) => l.squeeze(dims),
  vjp: (g, c) => g.reshape(c.shapeOf(0)),
  batch: (b) => squeezeOp.one([front(b)], { dims: b.p.dims.map((d) => d + 1), kind: 2 }),
})

/**
 * Without its size-1 dims, or without those named.
 * @example
 * zeros([1, 2, 1]).squeeze().shape // [2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.squeeze.html
 */
export function squeeze(x: Tensor, dim?: number | readonly number[]): Tensor {
  expectTensor('squeeze', x, 'argument 0')
  return squeezeOp.one([x], {
    dims: dim === undefined ? x.layout.shape.map((_, i) => i) : wrapDims(dim, x.layout.rank, 'squeeze'),
    kind: dim === undefined ? 0 : typeof dim === 'number' ? 1 : 2,
  })
}

const unsqueezeOp: GeneralOp<{ dim: number }> = /* @__PURE__ */ declareView('unsqueeze', {
  node: 'UnsqueezeBackward0',
  layout: (l, { dim }) => l.unsqueeze(dim),
  vjp: (g, c) => g.squeeze(c.p.dim),
  batch: (b) => front(b).unsqueeze(b.p.dim + 1),
})

/**
 * A new dim of size 1 at `dim`.
 * @example
 * zeros([2]).unsqueeze(-1).shape // [2, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.unsqueeze.html
 */
export function unsqueeze(x: Tensor, dim: number): Tensor {
  expectTensor('unsqueeze', x, 'argument 0')
  return unsqueezeOp.one([x], { dim: wrapDim(dim, x.layout.rank + 1, 'unsqueeze') })
}

interface Diagonal {
  offset: number
  dim1: number
  dim2: number
}
const diagonalOp: GeneralOp<Diagonal> = /* @__PURE__ */ declareView('diagonal', {
  node: 'DiagonalBackward0',
  layout: (l, { offset, dim1, dim2 }) => l.diagonal(offset, dim1, dim2),
  vjp: (g, c) => intoZeros(g, c.shapeOf(0), DIAGONAL, c.p),
  batch: (b) => diagonalOp.one([front(b)], { offset: b.p.offset, dim1: b.p.dim1 + 1, dim2: b.p.dim2 + 1 }),
})

const DIAGONAL: Window<Diagonal> = {
  node: 'DiagonalBackwardBackward0',
  op: diagonalOp,
  layout: (l, { offset, dim1, dim2 }) => l.diagonal(offset, dim1, dim2),
  shift: (p, k) => ({ ...p, dim1: p.dim1 + k, dim2: p.dim2 + k }),
}

/**
 * The diagonal of two dims, as a new last dim.
 * @example
 * tensor([[1, 2], [3, 4]]).diagonal().tolist() // [1, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.diagonal.html
 */
export function diagonal(x: Tensor, options: { offset?: number; dim1?: number; dim2?: number } = {}): Tensor {
  expectTensor('diagonal', x, 'argument 0')
  checkOptions('diagonal', options, { offset: 'integer', dim1: 'any', dim2: 'any' })
  const { offset = 0 } = options
  const dim1 = wrapDim(options.dim1 ?? 0, x.layout.rank, 'diagonal')
  const dim2 = wrapDim(options.dim2 ?? 1, x.layout.rank, 'diagonal')
  if (dim1 === dim2) throw new ArgumentError(`diagonal: dimensions cannot be identical ${dim1}, ${dim2}`, { op: 'diagonal' })
  return diagonalOp.one([x], { offset, dim1, dim2 })
}

interface Unfold {
  dim: number
  size: number
  step: number
}
const unfoldOp: GeneralOp<Unfold> = /* @__PURE__ */ declareView('unfold', {
  node: 'UnfoldBackward0',
  layout: (l, { dim, size, step }) => l.unfold(dim, size, step),
  // Windows add up where they overlap.
  vjp: (g, c) => {
    const base = Layout.of(c.shapeOf(0))
    return stridedBackward.one([g], { node: 'UnfoldBackwardBackward0', base, window: base.unfold(c.p.dim, c.p.size, c.p.step) })
  },
  batch: (b) => unfoldOp.one([front(b)], { ...b.p, dim: b.p.dim + 1 }),
})

/**
 * Windows of `size` elements every `step` along `dim`, the window as a new last dim.
 * @example
 * tensor([1, 2, 3, 4]).unfold(0, 2, 1).tolist() // [[1, 2], [2, 3], [3, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.unfold.html
 */
export function unfold(x: Tensor, dim: number, size: number, step: number): Tensor {
  expectTensor('unfold', x, 'argument 0')
  return unfoldOp.one([x], { dim: wrapDim(dim, x.layout.rank, 'unfold'), size, step })
}

/**
 * Dims startDim … endDim joined into one.
 * @example
 * tensor([[1, 2], [3, 4]]).flatten().tolist() // [1, 2, 3, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.flatten.html
 */
export function flatten(x: Tensor, startDim = 0, endDim = -1): Tensor {
  expectTensor('flatten', x, 'argument 0')
  const { rank, shape } = x.layout
  if (rank === 0) return reshape(x, [1])
  const from = wrapDim(startDim, rank, 'flatten')
  const to = wrapDim(endDim, rank, 'flatten')
  if (from > to)
    throw new ArgumentError(`flatten: has invalid args: startDim cannot come after endDim (${startDim}, ${endDim})`, { op: 'flatten' })
  return from === to ? x : reshape(x, [...shape.slice(0, from), numel(shape.slice(from, to + 1)), ...shape.slice(to + 1)])
}
