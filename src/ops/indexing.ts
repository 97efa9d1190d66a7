/** Reading and writing along a dim by tensors of positions: gather, scatter, select. */
import { ArgumentError, DTypeError, ShapeError, show } from '../errors.ts'
import { backend, cloneContiguous, contiguous, copyInto, full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import type { Owner } from '../memory/storage.ts'
import { type Batched, type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { broadcast, type Shape, wrapDim } from '../shape.ts'
import { type ArrayLike, address, checkValue, empty, expectTensor, type TensorCore } from '../tensor.ts'
import { inPlace } from './inplace.ts'
import { around, checkPositions, positions } from './positions.ts'

interface Along {
  readonly dim: number
}
interface Gather extends Along {
  /** Who asks, for errors. Default: gather. */
  readonly op?: string
}
interface Into extends Along {
  /** The shape that is scattered into. */
  readonly shape: Shape
}

/** The first elements of every dim but `dim`, as many as the index has there. */
function cut<T extends ArrayLike>(x: T, index: Shape, dim: number): ArrayLike {
  let layout = x.layout
  index.forEach((n, d) => {
    if (d !== dim && n !== layout.shape[d]) layout = layout.slice(d, 0, n)
  })
  return layout === x.layout ? x : { storage: x.storage, layout, dt: x.dt }
}

/** Operand i with the batch in front, repeated if it has none. */
function everyExample(b: Batched<unknown>, i: number): Tensor {
  const x = inFront(b, i)
  return x.shape[0] === b.size ? x : x.expand([b.size, ...x.shape.slice(1)])
}

/** Batches of vectors and more: dim + 1. (Single numbers go one by one.) */
function batchedAlong<P extends Along>(b: Batched<P>, op: GeneralOp<P>, p: P): Tensor | undefined {
  const x = b.x.map((_, i) => everyExample(b, i))
  return x.some((t) => t.layout.rank < 2) ? undefined : op.one(x, { ...p, dim: b.p.dim + 1 })
}

const gatherOp: GeneralOp<Gather> = /* @__PURE__ */ general('gather', {
  node: 'GatherBackward0',
  forward: ([x, index], { dim, op = 'gather' }, owner) => {
    const at = positions(op, index!, dim, x!.layout.shape[dim] ?? 1, owner)
    const source = contiguous(cut(x!, at.layout.shape, dim), owner)
    const out = empty(Layout.of(at.layout.shape), x!.dt, owner)
    if (out.layout.numel === 0) return out
    const [outer, n, inner] = around(source.layout.shape, dim)
    backend().index('gather', x!.dt.name)(outer, n, inner, at.layout.shape[dim] ?? 1, address(source), address(at), address(out))
    return out
  },
  vjp: [vjp([1], (g, c) => gatherBackward.one([g, c.in(1)], { dim: c.p.dim, shape: c.shapeOf(0) })), null],
  jvp: 'linear',
  batch: (b) => batchedAlong(b, gatherOp, b.p),
})

/** The transpose of gather: adds into zeros. */
const gatherBackward: GeneralOp<Into> = /* @__PURE__ */ general('gatherBackward', {
  node: 'ScatterAddBackward0',
  forward: ([g, index], { dim, shape }, owner) => {
    const out = full(shape, 0, g!.dt, owner)
    scatterInto('scatterAdd', 'gather', out, index!, g!, dim, owner)
    return out
  },
  vjp: [vjp([1], (g, c) => gatherOp.one([g, c.in(1)], c.p)), null],
  jvp: 'linear',
  batch: (b) => batchedAlong(b, gatherBackward, { ...b.p, shape: [b.size, ...b.p.shape] }),
})

/** Writes (adds) `src` into a row-major array of the linear memory. */
function scatterInto(
  kind: 'scatter' | 'scatterAdd',
  op: string,
  target: TensorCore,
  index: TensorCore,
  src: ArrayLike,
  dim: number,
  owner: Owner | null,
): void {
  const at = positions(op, index, dim, target.layout.shape[dim] ?? 1, owner)
  if (at.layout.numel === 0) return
  const { shape } = at.layout
  const small = contiguous(cut(src, shape, -1), owner)
  const window = cut(target, shape, dim)
  const big = window === target ? target : cloneContiguous(window, owner)
  const [outer, n, inner] = around(big.layout.shape, dim)
  backend().index(kind, target.dt.name)(outer, n, inner, shape[dim] ?? 1, address(big), address(at), address(small))
  if (big !== target) copyInto(window, big)
}

function scattered(
  kind: 'scatter' | 'scatterAdd',
  op: string,
  x: TensorCore,
  index: TensorCore,
  src: ArrayLike,
  dim: number,
  owner: Owner | null,
): TensorCore {
  const out = cloneContiguous(x, owner)
  scatterInto(kind, op, out, index, src, dim, owner)
  return out
}

/** The same in place: a row-major x of the linear memory directly, others through a copy. */
function scatterOver(kind: 'scatter' | 'scatterAdd', op: string, x: TensorCore, index: TensorCore, src: ArrayLike, dim: number): void {
  if (x.layout.contiguous && x.storage.external === null) scatterInto(kind, op, x, index, src, dim, null)
  else copyInto(x, scattered(kind, op, x, index, src, dim, null))
}

const scatterAddOp: GeneralOp<Along> = /* @__PURE__ */ general('scatterAdd', {
  node: 'ScatterAddBackward0',
  forward: ([x, index, src], { dim }, owner) => scattered('scatterAdd', 'scatterAdd', x!, index!, src!, dim, owner),
  vjp: [vjp([], (g) => g), null, vjp([1], (g, c) => gatherOp.one([g, c.in(1)], c.p))],
  jvp: 'linear',
  batch: (b) => batchedAlong(b, scatterAddOp, b.p),
})

const scatterOp: GeneralOp<Along> = /* @__PURE__ */ general('scatter', {
  node: 'ScatterBackward0',
  forward: ([x, index, src], { dim }, owner) => scattered('scatter', 'scatter', x!, index!, src!, dim, owner),
  vjp: [
    vjp([1], (g, c) => scatterValueOp.one([g, c.in(1)], { dim: c.p.dim, value: 0 })),
    null,
    vjp([1], (g, c) => gatherOp.one([g, c.in(1)], c.p)),
  ],
  jvp: 'linear',
  batch: (b) => batchedAlong(b, scatterOp, b.p),
})

interface Valued extends Along {
  readonly value: number
}

/** The source of a scattered number: it, at every position. */
function repeated(x: TensorCore, index: TensorCore, value: number, owner: Owner | null): ArrayLike {
  const one = full([], value, x.dt, owner)
  return { storage: one.storage, dt: one.dt, layout: one.layout.expand(index.layout.shape) }
}

const scatterValueOp: GeneralOp<Valued> = /* @__PURE__ */ general('scatter', {
  node: 'ScatterBackward1',
  forward: ([x, index], { dim, value }, owner) =>
    scattered('scatter', 'scatter', x!, index!, repeated(x!, index!, value, owner), dim, owner),
  vjp: [vjp([1], (g, c) => scatterValueOp.one([g, c.in(1)], { dim: c.p.dim, value: 0 })), null],
  jvp: (t, c) => scatterValueOp.one([t[0]!, c.in(1)], { dim: c.p.dim, value: 0 }),
  batch: (b) => batchedAlong(b, scatterValueOp, b.p),
})

function checkAlong(op: string, x: Tensor, dim: number, index: Tensor): number {
  expectTensor(op, x, 'argument 0')
  expectTensor(op, index, 'the index')
  checkPositions(op, index)
  const d = wrapDim(dim, x.layout.rank, op)
  if (Math.max(index.layout.rank, 1) !== Math.max(x.layout.rank, 1)) {
    throw new ShapeError(
      `${op}: Index tensor must have the same number of dimensions as input tensor, got ${show(index.shape)} for ${show(x.shape)}`,
      { op, shapes: [x.shape, index.shape] },
    )
  }
  index.shape.forEach((n, k) => {
    if (k === d || n <= x.shape[k]!) return
    throw new ShapeError(
      `${op}: Size does not match at dimension ${k} expected index ${show(index.shape)} to be no larger than self ${show(x.shape)} apart from dimension ${d}`,
      { op, shapes: [x.shape, index.shape] },
    )
  })
  return d
}

/** The part of a source that the index reaches. */
function checkSource(op: string, x: Tensor, index: Tensor, src: Tensor, dim: number): Tensor {
  expectTensor(op, src, 'the source')
  if (src.dt !== x.dt) {
    throw new DTypeError(`${op}(): Expected self.dtype to be equal to src.dtype, got ${x.dtype} and ${src.dtype}`, {
      op,
      dtypes: [x.dtype, src.dtype],
    })
  }
  if (Math.max(src.layout.rank, 1) !== Math.max(index.layout.rank, 1) || index.shape.some((n, d) => n > (src.shape[d] ?? 1))) {
    throw new ShapeError(
      `${op}: Expected index ${show(index.shape)} to be no larger than self ${show(x.shape)} apart from dimension ${dim} and to be no larger size than src ${show(src.shape)}`,
      { op, shapes: [index.shape, src.shape] },
    )
  }
  let part = src
  index.shape.forEach((n, d) => {
    if (n < part.shape[d]!) part = part.narrow(d, 0, n)
  })
  return part
}

/**
 * x at positions along `dim`: `out[i][j] = x[index[i][j]][j]` for dim 0. `index` (int32) has x's rank and is no larger than x
 * in the other dims; the result has its shape.
 * Errors: IndexError for a position out of range (negative ones are), DTypeError, ShapeError.
 * @example
 * tensor([[1, 2], [3, 4]]).gather(1, tensor([[1], [0]], { dtype: 'int32' })).tolist() // [[2], [3]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.gather.html
 */
export function gather(x: Tensor, dim: number, index: Tensor): Tensor {
  const d = checkAlong('gather', x, dim, index)
  return gatherOp.one([x, index], { dim: d })
}

/**
 * x with `src` (a tensor at least as large as `index`, or a number) written at positions along `dim`. Of several values for
 * one place the last stays.
 * Errors: IndexError for a position out of range, DTypeError when dtypes differ, ShapeError.
 * @example
 * zeros([1, 3]).scatter(1, tensor([[2, 0]], { dtype: 'int32' }), tensor([[5, 6]])).tolist() // [[6, 0, 5]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.scatter.html
 */
export function scatter(x: Tensor, dim: number, index: Tensor, src: Tensor | number): Tensor {
  const d = checkAlong('scatter', x, dim, index)
  if (typeof src === 'number') return scatterValueOp.one([x, index], { dim: d, value: checkValue(src, x.dt, 'scatter') })
  return scatterOp.one([x, index, checkSource('scatter', x, index, src, d)], { dim: d })
}

/**
 * `scatter` in place.
 * @example
 * zeros([3]).scatter_(0, tensor([2, 0], { dtype: 'int32' }), 9).tolist() // [9, 0, 9]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.scatter_.html
 */
export function scatter_(x: Tensor, dim: number, index: Tensor, src: Tensor | number): Tensor {
  const d = checkAlong('scatter_', x, dim, index)
  if (typeof src === 'number') {
    const value = checkValue(src, x.dt, 'scatter_')
    return inPlace('scatter_', scatterValueOp, [x, index], { dim: d, value }, () => {
      scatterOver('scatter', 'scatter_', x, index, repeated(x, index, value, null), d)
    })
  }
  const part = checkSource('scatter_', x, index, src, d)
  return inPlace('scatter_', scatterOp, [x, index, part], { dim: d }, () => scatterOver('scatter', 'scatter_', x, index, part, d))
}

/**
 * x with `src` added at positions along `dim`; several values for one place all count.
 * Errors: as `scatter`.
 * @example
 * zeros([2]).scatterAdd(0, tensor([1, 1], { dtype: 'int32' }), tensor([5, 6])).tolist() // [0, 11]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.scatter_add.html
 */
export function scatterAdd(x: Tensor, dim: number, index: Tensor, src: Tensor): Tensor {
  const d = checkAlong('scatterAdd', x, dim, index)
  return scatterAddOp.one([x, index, checkSource('scatterAdd', x, index, src, d)], { dim: d })
}

/**
 * `scatterAdd` in place.
 * @example
 * ones([2]).scatterAdd_(0, tensor([1, 1], { dtype: 'int32' }), tensor([5, 6])).tolist() // [1, 12]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.scatter_add_.html
 */
export function scatterAdd_(x: Tensor, dim: number, index: Tensor, src: Tensor): Tensor {
  const d = checkAlong('scatterAdd_', x, dim, index)
  const part = checkSource('scatterAdd_', x, index, src, d)
  return inPlace('scatterAdd_', scatterAddOp, [x, index, part], { dim: d }, () =>
    scatterOver('scatterAdd', 'scatterAdd_', x, index, part, d),
  )
}

/**
 * x at the positions that `argsort`, `argmax` and the like give: `index` (int32) broadcasts with x in all dims but `dim`;
 * without a dim both count as flat. Negative positions count from the end.
 * Errors: IndexError for a position out of range.
 * @example
 * const x = tensor([[3, 1], [2, 4]])
 * x.takeAlongDim(argsort(x), 1).tolist() // [[1, 3], [2, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.take_along_dim.html
 */
export function takeAlongDim(x: Tensor, index: Tensor, dim?: number): Tensor {
  expectTensor('takeAlongDim', x, 'argument 0')
  expectTensor('takeAlongDim', index, 'the index')
  checkPositions('takeAlongDim', index)
  const at = (t: Tensor, d: number, i: Tensor): Tensor => gatherOp.one([t, i], { dim: d, op: 'takeAlongDim' })
  if (dim === undefined) return at(x.reshape([-1]), 0, fromFront(index.reshape([-1]), x.layout.numel))
  if (index.layout.rank !== x.layout.rank) {
    throw new ShapeError(
      `takeAlongDim: input and indices should have the same number of dimensions, but got ${x.layout.rank} dimensions for input, and ${index.layout.rank} dimensions for indices`,
      { op: 'takeAlongDim', shapes: [x.shape, index.shape] },
    )
  }
  const d = wrapDim(dim, x.layout.rank, 'takeAlongDim')
  if (x.layout.rank === 0) return at(x, 0, fromFront(index, 1))
  const shape = broadcast(x.shape.with(d, 1), index.shape.with(d, 1), 'takeAlongDim')
  return at(x.expand(shape.with(d, x.shape[d]!)), d, fromFront(index, x.shape[d]!).expand(shape.with(d, index.shape[d]!)))
}

/** Positions counted from the end, counted from the front. */
function fromFront(index: Tensor, size: number): Tensor {
  return index.where(index.ge(0), index.add(size))
}

const indexSelectOp: GeneralOp<Along> = /* @__PURE__ */ general('indexSelect', {
  node: 'IndexSelectBackward0',
  forward: ([x, index], { dim }, owner) => {
    const { shape } = x!.layout
    const at = positions('indexSelect', index!, dim, shape[dim] ?? 1, owner)
    const source = contiguous(x!, owner)
    const m = at.layout.numel
    const out = empty(Layout.of(shape.length === 0 ? [] : shape.with(dim, m)), x!.dt, owner)
    if (out.layout.numel === 0) return out
    const [outer, n, inner] = around(shape, dim)
    backend().index('indexSelect', x!.dt.name)(outer, n, inner, m, address(source), address(at), address(out))
    return out
  },
  vjp: [vjp([1], (g, c) => indexSelectBackward.one([g, c.in(1)], { dim: c.p.dim, shape: c.shapeOf(0) })), null],
  jvp: 'linear',
  batch: (b) => {
    if (b.dims[1] === -1 && b.x[0]!.layout.rank > 1) return indexSelectOp.one([inFront(b, 0), b.x[1]!], { dim: b.p.dim + 1 })
    const x = everyExample(b, 0)
    if (x.layout.rank < 2) return undefined
    // Each example has positions of its own: the same ones for every other dim.
    const index = everyExample(b, 1)
    const m = index.shape[1]!
    const spread = index.reshape([b.size, ...x.shape.slice(1).map((_, d) => (d === b.p.dim ? m : 1))])
    return gatherOp.one([x, spread.expand(x.shape.with(b.p.dim + 1, m))], { dim: b.p.dim + 1 })
  },
})

/** The transpose of indexSelect: adds slices into zeros. */
const indexSelectBackward: GeneralOp<Into> = /* @__PURE__ */ general('indexSelectBackward', {
  node: 'IndexAddBackward0',
  forward: ([g, index], { dim, shape }, owner) => {
    const at = positions('indexSelect', index!, dim, shape[dim] ?? 1, owner)
    const small = contiguous(g!, owner)
    const out = full(shape, 0, g!.dt, owner)
    if (small.layout.numel === 0) return out
    const [outer, n, inner] = around(shape, dim)
    backend().index('indexAdd', g!.dt.name)(outer, n, inner, at.layout.numel, address(out), address(at), address(small))
    return out
  },
  vjp: [vjp([1], (g, c) => indexSelectOp.one([g, c.in(1)], c.p)), null],
  jvp: 'linear',
  batch: (b) =>
    b.dims[1] === -1 && b.p.shape.length > 0
      ? indexSelectBackward.one([inFront(b, 0), b.x[1]!], { dim: b.p.dim + 1, shape: [b.size, ...b.p.shape] })
      : undefined,
})

/**
 * Slices of x along `dim`, in the order of a vector of positions (int32).
 * Errors: IndexError for a position out of range (negative ones are), ShapeError for an index with more dims.
 * @example
 * tensor([[1, 2], [3, 4]]).indexSelect(0, tensor([1, 1], { dtype: 'int32' })).tolist() // [[3, 4], [3, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.index_select.html
 */
export function indexSelect(x: Tensor, dim: number, index: Tensor): Tensor {
  expectTensor('indexSelect', x, 'argument 0')
  expectTensor('indexSelect', index, 'the index')
  checkPositions('indexSelect', index)
  if (index.layout.rank > 1) {
    throw new ShapeError(
      `indexSelect: Index is supposed to be a vector, but got dim: ${index.layout.rank} and size: ${show(index.shape)}`,
      {
        op: 'indexSelect',
        shapes: [index.shape],
      },
    )
  }
  if (x.layout.rank === 0 && index.numel() !== 1) {
    throw new ArgumentError(`indexSelect: Index to scalar can have only 1 value, got ${index.numel()} value(s)`, { op: 'indexSelect' })
  }
  const d = wrapDim(dim, x.layout.rank, 'indexSelect')
  return indexSelectOp.one([x, index.layout.rank === 0 ? index.reshape([1]) : index], { dim: d })
}
