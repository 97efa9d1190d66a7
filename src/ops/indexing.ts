/** Reading and writing by indices: gather, scatter, select, and Python-like `get` and `set`. */
import { dtypes } from '../dtype.ts'
import { DTypeError, IndexError, ShapeError, show } from '../errors.ts'
import { backend, cast, cloneContiguous, contiguous } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import type { Owner } from '../memory/storage.ts'
import { type GeneralOp, general, vjp } from '../op/general.ts'
import { broadcast, numel, wrapDim } from '../shape.ts'
import { address, dataView, empty, expectTensor, isTensor, readAll, TensorCore } from '../tensor.ts'

/** An int32, row-major index with negative positions wrapped, every one checked against `size`. */
function wrapIndex(index: TensorCore, size: number, op: string, negative = true): TensorCore {
  if (index.dt.category !== 1)
    throw new DTypeError(`${op}: Expected dtype int32 for index, got ${index.dt.name}`, { op, dtypes: [index.dt.name] })
  const wrapped = cast(index, dtypes.int32, null)
  const at = wrapped.layout.contiguous ? wrapped : cloneContiguous(wrapped, null)
  const view = dataView(at)
  for (let i = 0; i < at.layout.numel; i++) {
    const v = view[i]!
    if (v < (negative ? -size : 0) || v >= size)
      throw new IndexError(`${op}: index ${v} is out of bounds for dimension with size ${size}`, { op })
    if (v < 0) view[i] = v + size
  }
  return at
}

interface Along {
  dim: number
}
const sizes = (shape: readonly number[], dim: number): [number, number, number] => [
  numel(shape.slice(0, dim)),
  shape[dim] ?? 1,
  numel(shape.slice(dim + 1)),
]

/** `index` has the rank of `x` and fits inside it in all other dims: x cut down to them. */
function cut(x: TensorCore, index: TensorCore, dim: number): TensorCore {
  let layout = x.layout
  index.layout.shape.forEach((n, d) => {
    if (d !== dim && n !== layout.shape[d]) layout = layout.slice(d, 0, n)
  })
  return layout === x.layout ? x : new TensorCore(x.storage, layout, x.dt)
}

function checkIndex(op: string, x: Tensor, dim: number, index: Tensor): number {
  expectTensor(op, x, 'argument 0')
  expectTensor(op, index, 'the index')
  const d = wrapDim(dim, x.layout.rank, op)
  if (Math.max(index.layout.rank, 1) !== Math.max(x.layout.rank, 1))
    throw new ShapeError(
      `${op}: Index tensor must have the same number of dimensions as input tensor, got ${show(index.shape)} for ${show(x.shape)}`,
      { op, shapes: [x.shape, index.shape] },
    )
  index.shape.forEach((n, k) => {
    if (k !== d && n > x.shape[k]!)
      throw new ShapeError(
        `${op}: Size does not match at dimension ${k} expected index ${show(index.shape)} to be no larger than self ${show(x.shape)} apart from dimension ${d}`,
        { op, shapes: [x.shape, index.shape] },
      )
  })
  return d
}

const gatherOp: GeneralOp<Along> = /* @__PURE__ */ general('gather', {
  node: 'GatherBackward0',
  forward: ([x, index], { dim }, owner) => {
    const at = wrapIndex(index!, x!.layout.shape[dim] ?? 1, 'gather', false)
    const source = contiguous(cut(x!, at, dim), owner)
    const out = empty(Layout.of(at.layout.shape), x!.dt, owner)
    if (out.layout.numel === 0) return out
    const [outer, n, inner] = sizes(source.layout.shape, dim)
    backend().index('gather', x!.dt.name)(outer, n, inner, at.layout.shape[dim] ?? 1, address(source), address(at), address(out))
    return out
  },
  vjp: [vjp([1], (g, c) => scatterAddOp.one([g.sum().zerosLike().expand(c.shapeOf(0)), c.in(1), g], c.p)), null],
  jvp: 'linear',
})

/** x at the positions of `index` along `dim`; index has x's rank. @see https://docs.pytorch.org/docs/stable/generated/torch.gather.html */
export function gather(x: Tensor, dim: number, index: Tensor): Tensor {
  return gatherOp.one([x, index], { dim: checkIndex('gather', x, dim, index) })
}

function scattered(
  kind: 'scatter' | 'scatterAdd',
  x: TensorCore,
  index: TensorCore,
  src: TensorCore,
  dim: number,
  owner: Owner | null,
): TensorCore {
  const at = wrapIndex(index, x.layout.shape[dim] ?? 1, kind, false)
  const out = cloneContiguous(x, owner)
  if (at.layout.numel === 0) return out
  const part = contiguous(cut(src, at, -1), owner)
  const same = at.layout.shape.every((n, d) => d === dim || n === x.layout.shape[d])
  if (same) {
    const [outer, n, inner] = sizes(out.layout.shape, dim)
    backend().index(kind, x.dt.name)(outer, n, inner, at.layout.shape[dim] ?? 1, address(out), address(at), address(part))
    return out
  }
  // Smaller index: element by element.
  const to = dataView(out)
  const from = dataView(part)
  const where = dataView(at)
  const { strides } = out.layout
  const shape = at.layout.shape
  const counter = new Array<number>(shape.length).fill(0)
  for (let k = 0; k < at.layout.numel; k++) {
    let place = 0
    counter.forEach((v, d) => {
      place += (d === dim ? where[k]! : v) * strides[d]!
    })
    to[place] = kind === 'scatter' ? from[k]! : to[place]! + from[k]!
    for (let d = shape.length - 1; d >= 0 && ++counter[d]! === shape[d]; d--) counter[d] = 0
  }
  return out
}

const scatterAddOp: GeneralOp<Along> = /* @__PURE__ */ general('scatterAdd', {
  node: 'ScatterAddBackward0',
  forward: ([x, index, src], { dim }, owner) => scattered('scatterAdd', x!, index!, src!, dim, owner),
  vjp: [vjp([], (g) => g), null, vjp([1], (g, c) => gatherOp.one([g, c.in(1)], c.p))],
  jvp: 'linear',
})
const scatterOp: GeneralOp<Along> = /* @__PURE__ */ general('scatter', {
  node: 'ScatterBackward0',
  forward: ([x, index, src], { dim }, owner) => scattered('scatter', x!, index!, src!, dim, owner),
  vjp: [
    vjp([1], (g, c) => scatterOp.one([g, c.in(1), gatherOp.one([g, c.in(1)], c.p).zerosLike()], c.p)),
    null,
    vjp([1], (g, c) => gatherOp.one([g, c.in(1)], c.p)),
  ],
  jvp: 'linear',
})

function sourceOf(op: string, x: Tensor, index: Tensor, src: Tensor | number): Tensor {
  if (typeof src === 'number') return x.sum().detach().to(x.dtype).onesLike().mul(src).expand(index.shape).to(x.dtype)
  expectTensor(op, src, 'the source')
  if (src.dt !== x.dt)
    throw new DTypeError(`${op}: Expected self.dtype to be equal to src.dtype, got ${x.dtype} and ${src.dtype}`, {
      op,
      dtypes: [x.dtype, src.dtype],
    })
  index.shape.forEach((n, d) => {
    if (n > src.shape[d]!)
      throw new ShapeError(`${op}: Expected index ${show(index.shape)} to be no larger than src ${show(src.shape)}`, {
        op,
        shapes: [index.shape, src.shape],
      })
  })
  let part = src
  index.shape.forEach((n, d) => {
    if (n < part.shape[d]!) part = part.narrow(d, 0, n)
  })
  return part
}

/** x with `src` written at the positions of `index` along `dim`. @see https://docs.pytorch.org/docs/stable/generated/torch.scatter.html */
export function scatter(x: Tensor, dim: number, index: Tensor, src: Tensor | number): Tensor {
  const d = checkIndex('scatter', x, dim, index)
  return scatterOp.one([x, index, sourceOf('scatter', x, index, src)], { dim: d })
}

/** x with `src` added at the positions of `index` along `dim`. @see https://docs.pytorch.org/docs/stable/generated/torch.scatter_add.html */
export function scatterAdd(x: Tensor, dim: number, index: Tensor, src: Tensor): Tensor {
  const d = checkIndex('scatterAdd', x, dim, index)
  return scatterAddOp.one([x, index, sourceOf('scatterAdd', x, index, src)], { dim: d })
}

/** x at the positions of `index`, which broadcasts with x apart from `dim`. @see https://docs.pytorch.org/docs/stable/generated/torch.take_along_dim.html */
export function takeAlongDim(x: Tensor, index: Tensor, dim: number): Tensor {
  const d = wrapDim(dim, x.layout.rank, 'takeAlongDim')
  const shape = broadcast(x.shape.with(d, 1), index.shape.with(d, 1), 'takeAlongDim')
  return gather(x.expand(shape.with(d, x.shape[d]!)), d, index.expand(shape.with(d, index.shape[d]!)))
}

const indexSelectOp: GeneralOp<Along & { node: string; skip: number }> = /* @__PURE__ */ general('indexSelect', {
  node: ({ node }) => node,
  forward: ([x, index], { dim }, owner) => {
    const at = wrapIndex(index!, x!.layout.shape[dim] ?? 1, 'indexSelect', false)
    const source = contiguous(x!, owner)
    const out = empty(Layout.of(x!.layout.rank === 0 ? [] : x!.layout.shape.with(dim, at.layout.numel)), x!.dt, owner)
    if (out.layout.numel === 0) return out
    const [outer, n, inner] = sizes(x!.layout.shape, dim)
    backend().index('indexSelect', x!.dt.name)(outer, n, inner, at.layout.numel, address(source), address(at), address(out))
    return out
  },
  vjp: [vjp([1], (g, c) => indexAddOp.one([g.sum().zerosLike().expand(c.shapeOf(0)), c.in(1), g], c.p)), null],
  jvp: 'linear',
})

const indexAddOp: GeneralOp<Along & { node: string; skip: number }> = /* @__PURE__ */ general('indexAdd', {
  node: 'IndexAddBackward0',
  forward: ([x, index, src], { dim, skip }, owner) => {
    const at = wrapIndex(index!, x!.layout.shape[dim] ?? 1, 'indexAdd')
    const out = cloneContiguous(x!, owner)
    const part = contiguous(src!, owner)
    if (at.layout.numel === 0) return out
    const [outer, n, inner] = sizes(out.layout.shape, dim)
    const saved = skip >= 0 ? readAll({ storage: out.storage, dt: out.dt, layout: out.layout.select(dim, skip) }) : null
    backend().index('indexAdd', x!.dt.name)(outer, n, inner, at.layout.numel, address(out), address(at), address(part))
    if (saved !== null) dataView(out).set(saved as Float64Array, skip * inner)
    return out
  },
  vjp: [vjp([], (g) => g), null, vjp([1], (g, c) => indexSelectOp.one([g, c.in(1)], c.p))],
  jvp: 'linear',
})

/** Slices of x along `dim` in the order of a 1-dim index. @see https://docs.pytorch.org/docs/stable/generated/torch.index_select.html */
export function indexSelect(x: Tensor, dim: number, index: Tensor): Tensor {
  expectTensor('indexSelect', x, 'argument 0')
  expectTensor('indexSelect', index, 'the index')
  if (index.layout.rank > 1)
    throw new ShapeError(
      `indexSelect: Index is supposed to be a vector, but got dim: ${index.layout.rank} with type: ${index.dtype} and size: ${show(index.shape)}`,
      { op: 'indexSelect', shapes: [index.shape] },
    )
  return indexSelectOp.one([x, index.layout.rank === 0 ? index.reshape([1]) : index], {
    dim: wrapDim(dim, x.layout.rank, 'indexSelect'),
    node: 'IndexSelectBackward0',
    skip: -1,
  })
}

/**
 * Rows of a table (the receiver) by number: index shape + row shape. The row `paddingIdx` gets no gradient.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html
 */
export function embedding(weight: Tensor, index: Tensor, options: { readonly paddingIdx?: number } = {}): Tensor {
  expectTensor('embedding', weight, 'the weight')
  expectTensor('embedding', index, 'the index')
  if (weight.layout.rank !== 2)
    throw new ShapeError(`embedding: 'weight' must be 2-D, got ${show(weight.shape)}`, { op: 'embedding', shapes: [weight.shape] })
  const padding =
    options.paddingIdx === undefined ? -1 : options.paddingIdx < 0 ? options.paddingIdx + weight.shape[0]! : options.paddingIdx
  const flat = indexSelectOp.one([weight, index.reshape([index.numel()])], { dim: 0, node: 'EmbeddingBackward0', skip: padding })
  return index.layout.rank === 1 ? flat : flat.reshape([...index.shape, ...weight.shape.slice(1)])
}

/** A slice in `get` and `set`: `range(1, 5, 2)` is Python's 1:5:2. */
export interface Range {
  readonly start?: number | null
  readonly end?: number | null
  readonly step?: number
}

/** One item of an index: a position, a range, a new dim (null), "the rest" ('...'), positions, or a mask. */
export type IndexItem = number | Range | null | '...' | Tensor | readonly number[]

/** The basic part of an index as a view, and what is left for advanced indexing by dim. */
function basic(x: Tensor, items: readonly IndexItem[]): { view: Tensor; advanced: (Tensor | null)[] } {
  const used = items.reduce<number>(
    (n, item) => n + (item === null || item === '...' ? 0 : isTensor(item) && item.dt.name === 'bool' ? Math.max(item.layout.rank, 1) : 1),
    0,
  )
  if (used > x.layout.rank)
    throw new IndexError(`get: too many indices for tensor of dimension ${x.layout.rank} (got ${used})`, { op: 'get', shapes: [x.shape] })
  const rest = x.layout.rank - used
  let view = x
  let dim = 0
  const advanced: (Tensor | null)[] = []
  for (const item of items.includes('...') ? items : [...items, '...' as const]) {
    if (item === '...') {
      for (let k = 0; k < rest; k++) advanced[dim++] = null
    } else if (item === null) {
      view = view.unsqueeze(dim)
      advanced[dim++] = null
    } else if (typeof item === 'number') {
      view = view.select(dim, item)
    } else if (isTensor(item)) {
      for (const part of item.dt.name === 'bool' ? nonzeroParts(item as Tensor, view, dim) : [item as Tensor]) advanced[dim++] = part
    } else if (Array.isArray(item)) {
      advanced[dim++] = fromPositions(item as readonly number[])
    } else {
      const r = item as Range
      view = view.slice(dim, r.start ?? undefined, r.end ?? undefined, r.step ?? 1)
      advanced[dim++] = null
    }
  }
  return { view, advanced }
}

function fromPositions(list: readonly number[]): Tensor {
  const t = empty(Layout.of([list.length]), dtypes.int32, null)
  const data = dataView(t)
  const offset = 0
  list.forEach((v, i) => {
    data[offset + i] = v
  })
  return t as Tensor
}

function nonzeroParts(mask: Tensor, x: Tensor, dim: number): Tensor[] {
  mask.shape.forEach((n, k) => {
    if (n !== x.shape[dim + k])
      throw new IndexError(
        `get: The shape of the mask ${show(mask.shape)} at index ${k} does not match the shape of the indexed tensor ${show(x.shape)} at index ${dim + k}`,
        { op: 'get', shapes: [mask.shape, x.shape] },
      )
  })
  const values = readAll(mask)
  const found: number[][] = mask.shape.map(() => [])
  values.forEach((v, i) => {
    if (v === 0) return
    let left = i
    for (let d = mask.layout.rank - 1; d >= 0; d--) {
      found[d]!.push(left % mask.shape[d]!)
      left = Math.floor(left / mask.shape[d]!)
    }
  })
  return found.map(fromPositions)
}

interface Plan {
  /** x with the indexed dims in front, as [joined, rest]. */
  readonly order: number[]
  readonly joined: number
  readonly restShape: number[]
  readonly linear: Tensor
  readonly indexShape: readonly number[]
  /** Where the index dims go in the result. */
  readonly place: number
}

function plan(x: Tensor, advanced: readonly (Tensor | null)[]): Plan {
  const dims = advanced.map((t, d) => (t === null ? -1 : d)).filter((d) => d >= 0)
  let indexShape: readonly number[] = []
  for (const d of dims) indexShape = broadcast(indexShape, advanced[d]!.shape, 'get')
  const adjacent = dims.at(-1)! - dims[0]! + 1 === dims.length
  const rest = x.shape.map((_, d) => d).filter((d) => !dims.includes(d))
  let linear: Tensor | undefined
  for (const d of dims) {
    const at = wrapIndex(advanced[d]!, x.shape[d]!, 'get') as Tensor
    linear = linear === undefined ? at : linear.mul(x.shape[d]!).add(at)
  }
  return {
    order: [...dims, ...rest],
    joined: numel(dims.map((d) => x.shape[d]!)),
    restShape: rest.map((d) => x.shape[d]!),
    linear: linear!.expand(indexShape).reshape([numel(indexShape)]),
    indexShape,
    place: adjacent ? dims[0]! : 0,
  }
}

function advancedGet(x: Tensor, advanced: readonly (Tensor | null)[]): Tensor {
  const p = plan(x, advanced)
  const flat = x.permute(p.order).reshape([p.joined, ...p.restShape])
  const picked = indexSelectOp
    .one([flat, p.linear], { dim: 0, node: 'IndexBackward0', skip: -1 })
    .reshape([...p.indexShape, ...p.restShape])
  if (p.place === 0) return picked
  const k = p.indexShape.length
  return picked.movedim(
    Array.from({ length: k }, (_, i) => i),
    Array.from({ length: k }, (_, i) => p.place + i),
  )
}

/**
 * Elements by Python-like indices: numbers, ranges (`{ start, end, step }`), null (a new dim), '...', lists or int32 tensors
 * of positions, bool masks. Numbers and ranges give views; positions and masks give copies.
 * Errors: IndexError out of range.
 * @example
 * tensor([[1, 2], [3, 4]]).get(0, { start: 1 }).tolist() // [2]
 */
export function get(x: Tensor, ...index: IndexItem[]): Tensor {
  expectTensor('get', x, 'argument 0')
  const { view, advanced } = basic(x, index)
  return advanced.every((t) => t === null) ? view : advancedGet(view, advanced)
}

/**
 * Writes `value` (broadcast) at indices as in `get`, in place, recorded; returns x.
 * @example
 * tensor([[1, 2], [3, 4]]).set([0], 9).tolist() // [[9, 9], [3, 4]]
 */
export function set(x: Tensor, index: readonly IndexItem[], value: Tensor | number): Tensor {
  expectTensor('set', x, 'argument 0')
  const { view, advanced } = basic(x, index)
  if (advanced.every((t) => t === null)) {
    view.copy_(value)
    return x
  }
  const p = plan(view, advanced)
  const k = p.indexShape.length
  const resultShape = [...p.restShape.slice(0, p.place), ...p.indexShape, ...p.restShape.slice(p.place)]
  let source = typeof value === 'number' ? view.detach().sum().mul(0).to(view.dtype).add(value).to(view.dtype) : value
  source = source.expand(resultShape)
  if (p.place > 0)
    source = source.movedim(
      Array.from({ length: k }, (_, i) => p.place + i),
      Array.from({ length: k }, (_, i) => i),
    )
  const flatSource = source.reshape([p.linear.numel(), ...p.restShape])
  const flat = view.permute(p.order).reshape([p.joined, ...p.restShape])
  const rowsIndex = p.linear.reshape([p.linear.numel(), ...p.restShape.map(() => 1)]).expand([p.linear.numel(), ...p.restShape])
  const made = scatterOp.one([flat, rowsIndex, flatSource.to(view.dtype)], { dim: 0 })
  const back = made.reshape(p.order.map((d) => view.shape[d]!)).permute(p.order.map((_, d) => p.order.indexOf(d)))
  view.copy_(back)
  return x
}
