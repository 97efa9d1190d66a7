/** Elements in other places: flipped, rolled, repeated, masked triangles. */
import { ArgumentError, ShapeError, show } from '../errors.ts'
import { cloneContiguous, contiguous, copyInto, full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { optionsOr } from '../options.ts'
import { numel, shapeArgument, wrapDim, wrapDims } from '../shape.ts'
import { dataView, empty, expectTensor } from '../tensor.ts'
import { stridedBackward } from './geometry.ts'

const flipOp: GeneralOp<{ dims: number[] }> = /* @__PURE__ */ general('flip', {
  node: 'FlipBackward0',
  forward: (x, { dims }, owner) => {
    const t = x[0]!
    const out = empty(Layout.of(t.layout.shape), t.dt, owner)
    if (out.layout.numel === 0) return out
    // Written through a layout that starts at the end and walks backwards.
    let offset = 0
    const strides = out.layout.strides.map((s, d) => {
      if (!dims.includes(d)) return s
      offset += s * (out.layout.shape[d]! - 1)
      return -s
    })
    copyInto({ storage: out.storage, dt: out.dt, layout: new Layout(out.layout.shape, strides, offset) }, t)
    return out
  },
  vjp: [vjp([], (g, { p }) => g.flip(p.dims))],
  jvp: 'linear',
  batch: (b) => inFront(b, 0).flip(b.p.dims.map((d) => d + 1)),
})

/**
 * The order of elements reversed along dims.
 * @example
 * tensor([[1, 2], [3, 4]]).flip(0).tolist() // [[3, 4], [1, 2]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.flip.html
 */
export function flip(x: Tensor, dims: number | readonly number[]): Tensor {
  expectTensor('flip', x, 'argument 0')
  const list = shapeArgument(dims, [], 'flip')
  return flipOp.one([x], { dims: list.length === 0 ? [] : wrapDims(list, x.layout.rank, 'flip') })
}

interface Roll {
  readonly shifts: readonly number[]
  /** Empty: one shift through all elements in row-major order. */
  readonly dims: readonly number[]
}

/** Where each half of a cyclic shift goes: [from, to, length] in and out of a dim of size n. */
function halves(n: number, shift: number): readonly (readonly [number, number, number])[] {
  const k = ((shift % n) + n) % n
  return k === 0
    ? [[0, 0, n]]
    : [
        [0, k, n - k],
        [n - k, 0, k],
      ]
}

const rollOp: GeneralOp<Roll> = /* @__PURE__ */ general('roll', {
  node: 'RollBackward0',
  forward: (x, { shifts, dims }, owner) => {
    const t = x[0]!
    const out = empty(Layout.of(t.layout.shape), t.dt, owner)
    if (out.layout.numel === 0) return out
    const { dt, storage } = out
    const source = dims.length === 0 ? contiguous(t, owner) : t
    // Every dim is cut in two: 2ᵈ blocks, each copied to its place.
    const place = (k: number, from: Layout, to: Layout): void => {
      if (k === shifts.length) {
        copyInto({ storage, dt, layout: to }, { storage: source.storage, dt, layout: from })
        return
      }
      const d = dims[k] ?? 0
      for (const [start, target, length] of halves(from.shape[d]!, shifts[k]!))
        place(k + 1, from.slice(d, start, length), to.slice(d, target, length))
    }
    const flat = [out.layout.numel]
    if (dims.length === 0) place(0, source.layout.reshape(flat)!, out.layout.reshape(flat)!)
    else place(0, source.layout, out.layout)
    return out
  },
  vjp: [vjp([], (g, { p }) => rollOp.one([g], { ...p, shifts: p.shifts.map((s) => -s) }))],
  jvp: 'linear',
  batch: (b) => {
    const x = inFront(b, 0)
    if (b.p.dims.length > 0) return rollOp.one([x], { ...b.p, dims: b.p.dims.map((d) => d + 1) })
    return rollOp.one([x.reshape([b.size, x.layout.numel / b.size])], { ...b.p, dims: [1] }).reshape(x.shape)
  },
})

/**
 * Elements shifted cyclically along dims; without dims, through all elements in order.
 * Errors: ArgumentError unless there are as many shifts as dims.
 * @example
 * tensor([1, 2, 3]).roll(1).tolist() // [3, 1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.roll.html
 */
export function roll(x: Tensor, shifts: number | readonly number[], dims?: number | readonly number[]): Tensor {
  expectTensor('roll', x, 'argument 0')
  const by = shapeArgument(shifts, [], 'roll')
  const along = dims === undefined ? [] : shapeArgument(dims, [], 'roll')
  if (by.some((s) => !Number.isInteger(s))) throw new ArgumentError(`roll: shifts must be whole numbers, got ${show(by)}`, { op: 'roll' })
  if (along.length === 0 && by.length === 1) return rollOp.one([x], { shifts: by, dims: [] })
  if (by.length !== along.length || by.length === 0) {
    throw new ArgumentError(`roll: shifts and dimensions must align. shifts: ${by.length}, dims: ${along.length}`, { op: 'roll' })
  }
  // A dim may be named twice: its shifts add up.
  const total = new Map<number, number>()
  along.forEach((dim, i) => {
    const d = wrapDim(dim, x.layout.rank, 'roll')
    total.set(d, (total.get(d) ?? 0) + by[i]!)
  })
  return rollOp.one([x], { shifts: [...total.values()], dims: [...total.keys()] })
}

const repeatOp: GeneralOp<{ readonly times: readonly number[] }> = /* @__PURE__ */ general('repeat', {
  node: 'RepeatBackward0',
  forward: (x, { times }, owner) => {
    const t = x[0]!
    const shape = [...new Array<number>(times.length - t.layout.rank).fill(1), ...t.layout.shape]
    const out = empty(Layout.of(shape.map((n, d) => n * times[d]!)), t.dt, owner)
    if (out.layout.numel === 0) return out
    // [a, b] repeated r × s: both as [r, a, s, b].
    const spread = out.layout.reshape(shape.flatMap((n, d) => [times[d]!, n]))!
    const source = contiguous(t, owner)
    const once = source.layout.reshape(shape.flatMap((n) => [1, n]))!
    copyInto(
      { storage: out.storage, dt: out.dt, layout: spread },
      { storage: source.storage, dt: source.dt, layout: once.expand(spread.shape) },
    )
    return out
  },
  vjp: [
    vjp([], (g, c) => {
      const { times } = c.p
      const own = c.shapeOf(0)
      if (g.layout.numel === 0) return g.sum().expand(own)
      const shape = [...new Array<number>(times.length - own.length).fill(1), ...own]
      const dims = times.flatMap((n, d) => (n === 1 ? [] : [2 * d]))
      const spread = g.reshape(shape.flatMap((n, d) => [times[d]!, n]))
      return (dims.length === 0 ? spread : spread.sum(dims)).reshape(own)
    }),
  ],
  jvp: 'linear',
  batch: (b) => {
    let x = inFront(b, 0)
    for (let k = x.layout.rank - 1; k < b.p.times.length; k++) x = x.unsqueeze(1)
    return repeatOp.one([x], { times: [1, ...b.p.times] })
  },
})

function repeated(op: string, x: Tensor, times: readonly number[]): Tensor {
  const lead = times.length - x.layout.rank
  if (times.some((n) => !Number.isInteger(n) || n < 0)) {
    const shape = times.map((n, d) => n * (x.shape[d - lead] ?? 1))
    throw new ShapeError(
      `${op}: Trying to create tensor with negative dimension: ${show(times)} times ${show(x.shape)} is ${show(shape)}`,
      { op, shapes: [x.shape] },
    )
  }
  if (numel(times) * x.layout.numel * x.dt.bytes > 2 ** 32) {
    throw new ShapeError(`${op}: ${show(x.shape)} repeated ${show(times)} times needs more than the 4 GiB that can be addressed`, {
      op,
      shapes: [x.shape],
    })
  }
  return repeatOp.one([x], { times })
}

/**
 * The tensor repeated along each dim, copied; more repeats than dims add leading dims.
 * Errors: ShapeError for fewer repeats than dims, or negative ones.
 * @example
 * tensor([1, 2]).repeat([2, 2]).tolist() // [[1, 2, 1, 2], [1, 2, 1, 2]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.repeat.html
 */
export function repeat(x: Tensor, sizes: readonly number[] | number, ...rest: number[]): Tensor {
  expectTensor('repeat', x, 'argument 0')
  const times = shapeArgument(sizes, rest, 'repeat')
  if (times.length < x.layout.rank) {
    throw new ShapeError(
      `repeat: Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: ${show(times)} for ${show(x.shape)}`,
      { op: 'repeat', shapes: [x.shape] },
    )
  }
  return repeated('repeat', x, times)
}

/**
 * As `repeat`, but with fewer numbers than dims the first dims stay as they are.
 * @example
 * tensor([1, 2]).tile([2]).tolist() // [1, 2, 1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.tile.html
 */
export function tile(x: Tensor, sizes: readonly number[] | number, ...rest: number[]): Tensor {
  expectTensor('tile', x, 'argument 0')
  const times = shapeArgument(sizes, rest, 'tile')
  return repeated('tile', x, [...new Array<number>(Math.max(0, x.layout.rank - times.length)).fill(1), ...times])
}

interface Triangle {
  readonly diagonal: number
  readonly lower: boolean
}

const triangleOp: GeneralOp<Triangle> = /* @__PURE__ */ general('triangle', {
  node: ({ lower }) => (lower ? 'TrilBackward0' : 'TriuBackward0'),
  forward: (x, { diagonal, lower }, owner) => {
    const out = cloneContiguous(x[0]!, owner)
    const [rows, columns] = out.layout.shape.slice(-2) as [number, number]
    const data = dataView(out)
    const start = out.layout.offset
    const within = (column: number): number => Math.max(0, Math.min(columns, column))
    // Column − row ≤ diagonal stays below, ≥ diagonal above: what doesn't is a run of zeros in each row.
    for (let from = start; from < start + out.layout.numel; from += rows * columns) {
      for (let r = 0; r < rows; r++) {
        const row = from + r * columns
        if (lower) data.fill(0, row + within(r + diagonal + 1), row + columns)
        else data.fill(0, row, row + within(r + diagonal))
      }
    }
    return out
  },
  vjp: [vjp([], (g, { p }) => triangleOp.one([g], p))],
  jvp: 'linear',
  batch: (b) => triangleOp.one([inFront(b, 0)], b.p),
})

/** Which diagonal bounds the triangle: 0 the main one, 1 the next above, −1 the next below. */
export interface DiagonalOptions {
  readonly diagonal?: number
}

function triangle(op: 'tril' | 'triu', x: Tensor, options: number | DiagonalOptions): Tensor {
  expectTensor(op, x, 'argument 0')
  if (x.layout.rank < 2) {
    throw new ShapeError(`${op}: input tensor must have at least 2 dimensions, got ${show(x.shape)}`, { op, shapes: [x.shape] })
  }
  return triangleOp.one([x], { diagonal: diagonalOf(op, options), lower: op === 'tril' })
}

function diagonalOf(op: string, options: number | DiagonalOptions): number {
  return optionsOr(op, 'diagonal', options, { diagonal: 'integer' }).diagonal ?? 0
}

/**
 * The lower triangle of the last two dims, zeros above `diagonal`.
 * @example
 * ones([2, 2]).tril().tolist() // [[1, 0], [1, 1]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.tril.html
 */
export function tril(x: Tensor, diagonal: number | DiagonalOptions = 0): Tensor {
  return triangle('tril', x, diagonal)
}

/**
 * The upper triangle of the last two dims, zeros below `diagonal`.
 * @example
 * ones([2, 2]).triu(1).tolist() // [[0, 1], [0, 0]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.triu.html
 */
export function triu(x: Tensor, diagonal: number | DiagonalOptions = 0): Tensor {
  return triangle('triu', x, diagonal)
}

interface Embedded {
  readonly diagonal: number
  /** Where the two new dims stand in the result. */
  readonly dim1: number
  readonly dim2: number
}

const diagEmbedOp: GeneralOp<Embedded> = /* @__PURE__ */ general('diagEmbed', {
  node: 'DiagEmbedBackward0',
  forward: (x, { diagonal, dim1, dim2 }, owner) => {
    const { shape } = x[0]!.layout
    const n = shape.at(-1)! + Math.abs(diagonal)
    const whole: number[] = shape.slice(0, -1)
    for (const d of [Math.min(dim1, dim2), Math.max(dim1, dim2)]) whole.splice(d, 0, n)
    const out = full(whole, 0, x[0]!.dt, owner)
    copyInto({ storage: out.storage, dt: out.dt, layout: out.layout.diagonal(diagonal, dim1, dim2) }, x[0]!)
    return out
  },
  vjp: [vjp([], (g, { p }) => g.diagonal({ offset: p.diagonal, dim1: p.dim1, dim2: p.dim2 }))],
  jvp: 'linear',
  batch: (b) => diagEmbedOp.one([inFront(b, 0)], { ...b.p, dim1: b.p.dim1 + 1, dim2: b.p.dim2 + 1 }),
})

/** Options of `diagEmbed`. */
export interface DiagEmbedOptions {
  /** Which diagonal: 0 the main one, 1 the next above, −1 the next below. */
  readonly offset?: number
  /** Where the matrices' dims stand in the result; default −2 and −1. */
  readonly dim1?: number
  readonly dim2?: number
}

/**
 * Matrices of zeros with the last dim on a diagonal: (…, n) gives (…, n, n). Errors: ShapeError, IndexError for dims.
 * @example
 * tensor([1, 2]).diagEmbed().tolist() // [[1, 0], [0, 2]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.diag_embed.html
 */
export function diagEmbed(x: Tensor, options: number | DiagEmbedOptions = {}): Tensor {
  expectTensor('diagEmbed', x, 'argument 0')
  const { offset = 0, dim1 = -2, dim2 = -1 } = optionsOr('diagEmbed', 'offset', options, { offset: 'integer', dim1: 'any', dim2: 'any' })
  const { rank } = x.layout
  if (rank === 0)
    throw new ShapeError('diagEmbed: input tensor must have at least 1 dimension, got []', { op: 'diagEmbed', shapes: [x.shape] })
  const [d1, d2] = [wrapDim(dim1, rank + 1, 'diagEmbed'), wrapDim(dim2, rank + 1, 'diagEmbed')]
  if (d1 === d2) throw new ArgumentError(`diagEmbed: diagonal dimensions cannot be identical ${dim1}, ${dim2}`, { op: 'diagEmbed' })
  return diagEmbedOp.one([x], { diagonal: offset, dim1: d1, dim2: d2 })
}

/** A diagonal of a matrix, copied. */
const diagonalCopyOp: GeneralOp<{ readonly diagonal: number }> = /* @__PURE__ */ general('diag', {
  node: 'DiagonalBackward0_copy',
  forward: (x, { diagonal }, owner) => {
    const { storage, dt, layout } = x[0]!
    return cloneContiguous({ storage, dt, layout: layout.diagonal(diagonal, layout.rank - 2, layout.rank - 1) }, owner)
  },
  vjp: [
    vjp([], (g, c) => {
      const base = Layout.of(c.shapeOf(0))
      const window = base.diagonal(c.p.diagonal, base.rank - 2, base.rank - 1)
      return stridedBackward.one([g], { node: 'DiagonalBackwardBackward0', base, window })
    }),
  ],
  jvp: 'linear',
  batch: (b) => diagonalCopyOp.one([inFront(b, 0)], b.p),
})

/**
 * A vector as the diagonal of a square matrix of zeros, or the diagonal of a matrix as a vector (a copy).
 * Errors: ShapeError for other ranks.
 * @example
 * tensor([1, 2]).diag().tolist() // [[1, 0], [0, 2]]
 * tensor([[1, 2], [3, 4]]).diag().tolist() // [1, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.diag.html
 */
export function diag(x: Tensor, diagonal: number | DiagonalOptions = 0): Tensor {
  expectTensor('diag', x, 'argument 0')
  const offset = diagonalOf('diag', diagonal)
  if (x.layout.rank === 1) return diagEmbedOp.one([x], { diagonal: offset, dim1: 0, dim2: 1 })
  if (x.layout.rank === 2) return diagonalCopyOp.one([x], { diagonal: offset })
  throw new ShapeError(`diag: Supports 1D or 2D tensors. Got ${x.layout.rank}D ${show(x.shape)}`, { op: 'diag', shapes: [x.shape] })
}
