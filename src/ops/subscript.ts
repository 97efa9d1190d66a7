/** Python-like indexing: `get` and `set`, and the advanced indexing by tensors of positions behind them. */
import { dtypes } from '../dtype.ts'
import { ArgumentError, DTypeError, IndexError, ShapeError, show } from '../errors.ts'
import { backend, cloneContiguous, contiguous, copyInto, full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import type { Owner } from '../memory/storage.ts'
import { type Batched, type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { checkOptions, describe } from '../options.ts'
import { expandable, type Shape } from '../shape.ts'
import { type ArrayLike, address, checkValue, dataView, empty, expectTensor, TensorCore } from '../tensor.ts'
import { inPlace } from './inplace.ts'
import { type IndexItem, subscript } from './items.ts'
import { joinPositions } from './positions.ts'
import type { Range } from './range.ts'

export type { IndexItem } from './items.ts'

// Note [Advanced indexing]
// Positions in dims d₀ < d₁ < … broadcast to one shape. If those dims follow each other, that shape takes their place in the
// result, else it comes first (torch's and numpy's rule). With the indexed dims together, and their positions joined to
// positions in all of them (row-major), everything is the move of slices between [outer, n, inner] and [outer, m, inner].

interface Indexed {
  /** The dims that are indexed, ascending. */
  readonly dims: readonly number[]
}
interface Put extends Indexed {
  readonly accumulate: boolean
}
interface IntoZeros extends Indexed {
  readonly shape: Shape
}

interface Plan {
  /** Order of x's dims in which the indexed ones are together. */
  readonly order: readonly number[]
  readonly identity: boolean
  readonly outer: number
  readonly n: number
  readonly inner: number
  readonly m: number
  readonly result: Shape
}

const adjacent = (dims: readonly number[]): boolean => dims.at(-1)! - dims[0]! + 1 === dims.length
const product = (shape: Shape): number => shape.reduce((a, b) => a * b, 1)

function plan(shape: Shape, dims: readonly number[], common: Shape): Plan {
  const all = shape.map((_, d) => d)
  const identity = adjacent(dims)
  const rest = all.filter((d) => !dims.includes(d))
  const lead = identity ? dims[0]! : 0
  const order = identity ? all : [...dims, ...rest]
  const sizes = order.map((d) => shape[d]!)
  const before = sizes.slice(0, lead)
  const after = sizes.slice(lead + dims.length)
  return {
    order,
    identity,
    outer: product(before),
    n: product(sizes.slice(lead, lead + dims.length)),
    inner: product(after),
    m: product(common),
    result: [...before, ...common, ...after],
  }
}

/** The shape that positions broadcast to. */
function commonShape(op: string, indices: readonly TensorCore[]): Shape {
  const rank = Math.max(...indices.map((t) => t.layout.rank))
  const out = new Array<number>(rank).fill(1)
  for (const { layout } of indices) {
    layout.shape.forEach((n, i) => {
      const d = rank - layout.rank + i
      if (out[d] === 1) out[d] = n
      else if (n !== 1 && n !== out[d]) {
        throw new IndexError(
          `${op}: shape mismatch: indexing tensors could not be broadcast together with shapes ${indices.map((t) => show(t.layout.shape)).join(', ')}`,
          { op, shapes: indices.map((t) => t.layout.shape) },
        )
      }
    })
  }
  return out
}

const permuted = (a: ArrayLike, p: Plan): ArrayLike =>
  p.identity ? a : { storage: a.storage, dt: a.dt, layout: a.layout.permute(p.order) }

/** Rules may read every index tensor, after one or two inputs; there are no more dims than 16 in a kernel. */
const SLOTS_1: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
const SLOTS_2: readonly number[] = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]

const indexOp: GeneralOp<Indexed> = /* @__PURE__ */ general('index', {
  node: 'IndexBackward0',
  forward: ([x, ...indices], { dims }, owner) => {
    const common = commonShape('index', indices)
    const p = plan(x!.layout.shape, dims, common)
    const at = joinPositions('index', indices, dims, x!.layout.shape, common, owner)
    const source = contiguous(permuted(x!, p), owner)
    const out = empty(Layout.of(p.result), x!.dt, owner)
    if (out.layout.numel === 0) return out
    backend().index('indexSelect', out.dt.name)(p.outer, p.n, p.inner, p.m, address(source), address(at), address(out))
    return out
  },
  vjp: [vjp(SLOTS_1, (g, c) => indexBackward.one([g, ...c.p.dims.map((_, k) => c.in(1 + k))], { dims: c.p.dims, shape: c.shapeOf(0) }))],
  jvp: 'linear',
  batch: (b) => batchedIndex(b),
})

/** Adds (or writes) values into a row-major array of the linear memory. */
function putInto(
  op: string,
  target: TensorCore,
  values: ArrayLike,
  indices: readonly TensorCore[],
  { dims, accumulate }: Put,
  owner: Owner | null,
): void {
  const { shape } = target.layout
  const common = commonShape(op, indices)
  const p = plan(shape, dims, common)
  const at = joinPositions(op, indices, dims, shape, common, owner)
  if (p.outer * p.inner * p.m === 0) return
  const small = contiguous({ storage: values.storage, dt: values.dt, layout: values.layout.expand(p.result) }, owner)
  const window = permuted(target, p)
  const big = p.identity ? target : cloneContiguous(window, owner)
  const kind = accumulate ? 'indexAdd' : 'indexCopy'
  backend().index(kind, target.dt.name)(p.outer, p.n, p.inner, p.m, address(big), address(at), address(small))
  if (big !== target) copyInto(window, big)
}

/** The transpose of index: adds into zeros. */
const indexBackward: GeneralOp<IntoZeros> = /* @__PURE__ */ general('indexBackward', {
  node: 'IndexPutBackward0',
  forward: ([g, ...indices], { dims, shape }, owner) => {
    const out = full(shape, 0, g!.dt, owner)
    putInto('index', out, g!, indices, { dims, accumulate: true }, owner)
    return out
  },
  vjp: [vjp(SLOTS_1, (g, c) => indexOp.one([g, ...c.p.dims.map((_, k) => c.in(1 + k))], { dims: c.p.dims }))],
  jvp: 'linear',
  batch: (b) => {
    if (b.dims.some((d, i) => i > 0 && d !== -1)) return undefined
    const { dims, shape } = b.p
    const g = inFront(b, 0)
    const rank = Math.max(...b.x.slice(1).map((t) => t.layout.rank))
    // With the batch as dim 0, the positions' dims stay where they are, or come before it.
    return indexBackward.one([adjacent(dims) ? g : g.movedim(0, rank), ...b.x.slice(1)], {
      dims: dims.map((d) => d + 1),
      shape: [b.size, ...shape],
    })
  },
})

const indexPutOp: GeneralOp<Put> = /* @__PURE__ */ general('indexPut', {
  node: 'IndexPutBackward0',
  forward: ([x, values, ...indices], p, owner) => {
    const out = cloneContiguous(x!, owner)
    putInto('indexPut', out, values!, indices, p, owner)
    return out
  },
  vjp: [
    vjp(SLOTS_2, (g, c) =>
      c.p.accumulate ? g : indexPutOp.one([g, full([], 0, g.dt, null), ...c.p.dims.map((_, k) => c.in(2 + k))], c.p),
    ),
    vjp(SLOTS_2, (g, c) => indexOp.one([g, ...c.p.dims.map((_, k) => c.in(2 + k))], { dims: c.p.dims })),
  ],
  jvp: 'linear',
})

function batchedIndex({ x, dims: at, size, p: { dims } }: Batched<Indexed>): Tensor {
  const source = at[0] === -1 ? x[0]! : at[0] === 0 ? x[0]! : x[0]!.movedim(at[0]!, 0)
  const together = adjacent(dims)
  const shifted = dims.map((d) => d + 1)
  const rank = Math.max(...x.slice(1).map((t, k) => t.layout.rank - (at[k + 1] === -1 ? 0 : 1)))
  const range = (from: number): number[] => Array.from({ length: rank }, (_, i) => from + i)
  if (at.every((d, i) => i === 0 || d === -1)) {
    const y = indexOp.one([source, ...x.slice(1)], { dims: shifted })
    return together ? y : y.movedim(rank, 0)
  }
  // Batched positions: the batch in front of the dims that they share.
  const indices = x.slice(1).map((t, k) => {
    const dim = at[k + 1]!
    const front = dim === -1 ? t.unsqueeze(0) : t.movedim(dim, 0)
    const own = front.shape.slice(1)
    return front.reshape([front.shape[0]!, ...new Array<number>(rank - own.length).fill(1), ...own])
  })
  if (at[0] === -1) {
    const y = indexOp.one([source, ...indices], { dims })
    return together ? y.movedim(dims[0]!, 0) : y
  }
  // Example b takes from example b: one more index, over the batch; then the positions' dims come first, after the batch.
  const y = indexOp.one([source, counting(size).reshape([size, ...range(0).map(() => 1)]), ...indices], { dims: [0, ...shifted] })
  return together && rank > 0 ? y.movedim(range(1), range(1 + dims[0]!)) : y
}

function counting(n: number): Tensor {
  const t = empty(Layout.of([n]), dtypes.int32, null)
  const data = dataView(t)
  for (let i = 0; i < n; i++) data[t.layout.offset + i] = i
  return t as Tensor
}

function take(x: Tensor, positions: readonly (Tensor | null)[]): Tensor {
  const dims = positions.flatMap((t, d) => (t === null ? [] : [d]))
  if (dims.length === 0) return x
  return indexOp.one([x, ...dims.map((d) => positions[d]!)], { dims })
}

/**
 * Elements at tensors of positions, one for each of the first dims (null: all of that dim). int32 tensors broadcast
 * together, negative positions count from the end; a bool tensor stands for the positions of its true elements. The shape
 * of the positions takes the place of the indexed dims if those follow each other, else it comes first. A copy, except that
 * a single position without dims gives a view, as torch's `x[i]` does.
 * Errors: IndexError out of range or for shapes that don't broadcast, DTypeError.
 * @example
 * tensor([[1, 2], [3, 4]]).index([tensor([0, 1], { dtype: 'int32' }), tensor([1, 0], { dtype: 'int32' })]).tolist() // [2, 3]
 * @see https://docs.pytorch.org/docs/stable/tensor_indexing.html
 */
export function index(x: Tensor, indices: readonly (Tensor | null)[]): Tensor {
  expectTensor('index', x, 'argument 0')
  const { view, positions } = subscript('index', x, tensorsOnly('index', indices))
  return take(view, positions)
}

/** Positions as items of an index: null is ':' here, not a new dim. */
function tensorsOnly(op: string, indices: readonly (Tensor | null)[]): IndexItem[] {
  if (!Array.isArray(indices))
    throw new ArgumentError(
      `${op}: expected a list of tensors of positions, such as [tensor([0, 1], { dtype: 'int32' })], got ${describe(indices)}`,
      { op },
    )
  return indices.map((t, i): IndexItem => {
    if (t === null) return ALL
    expectTensor(op, t, `index ${i}`)
    return t as Tensor
  })
}
const ALL: Range = {}

/** Options of `indexPut`. */
export interface IndexPutOptions {
  /** Add to the elements instead of overwriting them; several values for one place then all count. */
  readonly accumulate?: boolean
}

interface PutArguments {
  readonly x: readonly Tensor[]
  readonly p: Put
}

/** Checks what can be checked before anything is written: dtypes, shapes. */
function putArguments(
  op: string,
  x: Tensor,
  positions: readonly (Tensor | null)[],
  values: Tensor | number | boolean,
  accumulate: boolean,
): PutArguments {
  const dims = positions.flatMap((t, d) => (t === null ? [] : [d]))
  const indices = dims.map((d) => positions[d]!)
  let source: Tensor
  if (typeof values === 'number' || typeof values === 'boolean') source = full([], checkValue(values, x.dt, op), x.dt, null) as Tensor
  else {
    expectTensor(op, values, 'the values')
    source = values
  }
  if (source.dt !== x.dt) {
    throw new DTypeError(
      `${op}: Index put requires the source and destination dtypes match, got ${x.dtype} for the destination and ${source.dtype} for the source.`,
      { op, dtypes: [x.dtype, source.dtype] },
    )
  }
  const { result } = plan(x.shape, dims, commonShape(op, indices))
  if (!expandable(source.shape, result)) {
    throw new ShapeError(
      `${op}: shape mismatch: value tensor of shape ${show(source.shape)} cannot be broadcast to indexing result of shape ${show(result)}`,
      { op, shapes: [source.shape, result] },
    )
  }
  return { x: [x, source, ...indices], p: { dims, accumulate } }
}

function advanced(op: string, x: Tensor, indices: readonly (Tensor | null)[]): (Tensor | null)[] {
  expectTensor(op, x, 'argument 0')
  // Single positions stay tensors here: the result is x, whole.
  const given = tensorsOnly(op, indices).map((t) =>
    t instanceof TensorCore && t.layout.rank === 0 && t.dt === dtypes.int32 ? (t as Tensor).reshape([1]) : t,
  )
  const { positions } = subscript(op, x, given)
  if (positions.length !== x.layout.rank || positions.every((t) => t === null)) {
    throw new IndexError(`${op}: expected at least one tensor of positions, and masks with dims`, { op })
  }
  return [...positions]
}

/**
 * x with `values` (broadcast to the shape `index` would give) written at tensors of positions. Of several values for one
 * place the last stays; with `accumulate` they add up.
 * Errors: as `index`; DTypeError when dtypes differ, ShapeError when the values don't broadcast.
 * @example
 * zeros([3]).indexPut([tensor([0, 2], { dtype: 'int32' })], tensor([5, 6])).tolist() // [5, 0, 6]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.index_put.html
 */
export function indexPut(x: Tensor, indices: readonly (Tensor | null)[], values: Tensor | number, options: IndexPutOptions = {}): Tensor {
  checkOptions('indexPut', options, { accumulate: 'boolean' })
  const call = putArguments('indexPut', x, advanced('indexPut', x, indices), values, options.accumulate ?? false)
  return indexPutOp.one(call.x, call.p)
}

/**
 * `indexPut` in place.
 * @example
 * ones([2]).indexPut_([tensor([0, 0], { dtype: 'int32' })], tensor([5, 6]), { accumulate: true }).tolist() // [12, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.index_put_.html
 */
export function indexPut_(x: Tensor, indices: readonly (Tensor | null)[], values: Tensor | number, options: IndexPutOptions = {}): Tensor {
  checkOptions('indexPut', options, { accumulate: 'boolean' })
  return putAt('indexPut_', x, advanced('indexPut_', x, indices), values, options.accumulate ?? false)
}

function putAt(
  op: string,
  x: Tensor,
  positions: readonly (Tensor | null)[],
  values: Tensor | number | boolean,
  accumulate: boolean,
): Tensor {
  const call = putArguments(op, x, positions, values, accumulate)
  const [, source, ...indices] = call.x
  return inPlace(op, indexPutOp, call.x, call.p, () => {
    if (x.layout.contiguous && x.storage.external === null) putInto(op, x, source!, indices, call.p, null)
    else copyInto(x, indexPutOp.record.forward(call.x, call.p, null) as TensorCore)
  })
}

/**
 * Elements by Python-like indices, one item for each dim: `x.get(0)` is `x[0]`, `x.get(range(1, 3), '...', null)` is
 * `x[1:3, ..., None]`, `x.get([0, 2])` is `x[[0, 2]]`, `x.get(mask)` is `x[mask]`. Positions, slices, null and '...' give a
 * view; lists, tensors and masks a copy (see `index`).
 * Errors: IndexError out of range or for too many items.
 * @example
 * tensor([[1, 2], [3, 4]]).get(0, range(1)).tolist() // [2]
 * @see https://docs.pytorch.org/docs/stable/tensor_view.html
 */
export function get(x: Tensor, ...items: IndexItem[]): Tensor {
  expectTensor('get', x, 'argument 0')
  const { view, positions } = subscript('get', x, items)
  const y = take(view, positions)
  return y === x ? x.view(x.shape) : y
}

/**
 * Writes `value` (broadcast) at Python-like indices, in place and recorded, and returns x: `x.set([0, range(1, 3)], v)` is
 * `x[0, 1:3] = v`. A single item may stand without a list, unless it is a list itself: `x.set([[0, 2]], 0)` is `x[[0, 2]] = 0`.
 * Errors: as `get` and `copy_`; nothing is written then.
 * @example
 * tensor([[1, 2], [3, 4]]).set([0], 9).tolist() // [[9, 9], [3, 4]]
 */
export function set(x: Tensor, items: readonly IndexItem[] | IndexItem, value: Tensor | number | boolean): Tensor {
  expectTensor('set', x, 'argument 0')
  if (typeof value !== 'number' && typeof value !== 'boolean') expectTensor('set', value, 'the value')
  const { view, positions } = subscript('set', x, (Array.isArray(items) ? items : [items]) as readonly IndexItem[])
  const dims = positions.filter((t) => t !== null)
  const shape =
    dims.length === 0
      ? view.shape
      : plan(
          view.shape,
          positions.flatMap((t, d) => (t === null ? [] : [d])),
          commonShape('set', dims),
        ).result
  let source = value
  if (isValue(source)) {
    // Leading dims of size 1 that the place doesn't have are dropped, as torch does.
    let extra = source.layout.rank - shape.length
    while (extra-- > 0 && source.shape[0] === 1) source = source.squeeze(0)
    if (source.dt !== x.dt) source = source.to(x.dtype)
  }
  if (dims.length > 0) putAt('set', view, positions, source, false)
  else view.copy_(isValue(source) ? source : Number(source))
  return x
}

function isValue(value: Tensor | number | boolean): value is Tensor {
  return value instanceof TensorCore
}
