/** Elements in other places: flipped, rolled, repeated, masked triangles, padding. */
import { dtypes } from '../dtype.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import { copyInto, fillWith } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, vjp } from '../op/general.ts'
import { wrapDim, wrapDims } from '../shape.ts'
import { empty, expectTensor, TensorCore } from '../tensor.ts'
import { catWith } from './joining.ts'

const MASK = dtypes.bool

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
  batch: (b) => (b.dims[0] === 0 ? b.x[0]! : b.x[0]!.movedim(b.dims[0]!, 0)).flip(b.p.dims.map((d) => d + 1)),
})

/** The order of elements reversed along dims. @see https://docs.pytorch.org/docs/stable/generated/torch.flip.html */
export function flip(x: Tensor, dims: number | readonly number[]): Tensor {
  expectTensor('flip', x, 'argument 0')
  const list = typeof dims === 'number' ? [dims] : dims
  return flipOp.one([x], { dims: list.length === 0 ? [] : wrapDims(list, x.layout.rank, 'flip') })
}

/** Elements shifted cyclically along dims. @see https://docs.pytorch.org/docs/stable/generated/torch.roll.html */
export function roll(x: Tensor, shifts: number | readonly number[], dims?: number | readonly number[]): Tensor {
  expectTensor('roll', x, 'argument 0')
  const by = typeof shifts === 'number' ? [shifts] : shifts
  if (dims === undefined) return roll(x.flatten(), by[0]!, 0).reshape(x.shape)
  const along = typeof dims === 'number' ? [dims] : dims
  if (by.length !== along.length)
    throw new ArgumentError(`roll: shifts and dimensions must align. shifts: ${by.length}, dims: ${along.length}`, { op: 'roll' })
  let y = x
  along.forEach((dim, i) => {
    const d = wrapDim(dim, x.layout.rank, 'roll')
    const n = y.layout.shape[d]!
    const k = n === 0 ? 0 : ((by[i]! % n) + n) % n
    if (k !== 0) y = catWith(y.narrow(d, n - k, k), [y.narrow(d, 0, n - k)], d)
  })
  return y === x ? x.clone() : y
}

/** The tensor repeated along each dim; more repeats than dims add leading dims. @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.repeat.html */
export function repeat(x: Tensor, sizes: readonly number[] | number, ...rest: number[]): Tensor {
  expectTensor('repeat', x, 'argument 0')
  const times = typeof sizes === 'number' ? [sizes, ...rest] : sizes
  const lead = times.length - x.layout.rank
  if (lead < 0)
    throw new ShapeError(
      `repeat: Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: ${show(times)} for ${show(x.shape)}`,
      { op: 'repeat' },
    )
  const shape = [...new Array<number>(lead).fill(1), ...x.shape]
  // [a, b] → [1, a, 1, b] → [r, a, s, b] → [r·a, s·b]
  const spread = x.reshape(shape.flatMap((n) => [1, n])).expand(shape.flatMap((n, i) => [times[i]!, n]))
  return spread.reshape(shape.map((n, i) => n * times[i]!)).clone()
}

/** A mask of the last two dims: true where column − row satisfies the side. */
function triangle(x: Tensor, diagonal: number, lower: boolean): Tensor {
  if (x.layout.rank < 2)
    throw new ShapeError(`${lower ? 'tril' : 'triu'}: input tensor must have at least 2 dimensions, got ${show(x.shape)}`, {
      shapes: [x.shape],
    })
  const [rows, columns] = x.shape.slice(-2) as [number, number]
  const mask = empty(Layout.of([rows, columns]), MASK, null)
  fillWith(mask, 0)
  const ones = empty(Layout.of([1, 1]), MASK, null)
  fillWith(ones, 1)
  for (let r = 0; r < rows; r++) {
    const start = lower ? 0 : Math.max(0, Math.min(columns, r + diagonal))
    const end = lower ? Math.max(0, Math.min(columns, r + diagonal + 1)) : columns
    if (end > start)
      copyInto(
        { storage: mask.storage, dt: MASK, layout: mask.layout.slice(0, r, 1).slice(1, start, end - start) },
        { storage: ones.storage, dt: MASK, layout: ones.layout.expand([1, end - start]) },
      )
  }
  return mask as Tensor
}

const triangleOp: GeneralOp<{ diagonal: number; lower: boolean }> = /* @__PURE__ */ general('triangle', {
  node: ({ lower }) => (lower ? 'TrilBackward0' : 'TriuBackward0'),
  forward: (x, { diagonal, lower }) => {
    const t = new TensorCore(x[0]!.storage, x[0]!.layout, x[0]!.dt) as Tensor
    return t.where(triangle(t, diagonal, lower), 0)
  },
  vjp: [vjp([], (g, { p }) => triangleOp.one([g], p))],
  jvp: 'linear',
})

/** The lower triangle of the last two dims, zeros above. @see https://docs.pytorch.org/docs/stable/generated/torch.tril.html */
export function tril(x: Tensor, options: { readonly diagonal?: number } = {}): Tensor {
  return triangleOp.one([x], { diagonal: options.diagonal ?? 0, lower: true })
}

/** The upper triangle of the last two dims, zeros below. @see https://docs.pytorch.org/docs/stable/generated/torch.triu.html */
export function triu(x: Tensor, options: { readonly diagonal?: number } = {}): Tensor {
  return triangleOp.one([x], { diagonal: options.diagonal ?? 0, lower: false })
}

const padOp: GeneralOp<{ before: number[]; after: number[]; value: number }> = /* @__PURE__ */ general('pad', {
  node: 'ConstantPadNdBackward0',
  forward: (x, { before, after, value }, owner) => {
    const t = x[0]!
    const out = empty(Layout.of(t.layout.shape.map((n, d) => n + before[d]! + after[d]!)), t.dt, owner)
    fillWith(out, value)
    // Negative padding crops: only the part that stays is copied.
    let inner = out.layout
    let source = t.layout
    t.layout.shape.forEach((n, d) => {
      const crop = Math.max(0, -before[d]!)
      const length = Math.max(0, n - crop - Math.max(0, -after[d]!))
      source = source.slice(d, crop, length)
      inner = inner.slice(d, Math.max(0, before[d]!), length)
    })
    if (source.numel > 0) copyInto({ storage: out.storage, dt: out.dt, layout: inner }, { storage: t.storage, dt: t.dt, layout: source })
    return out
  },
  vjp: [vjp([], (g, { p }) => padOp.one([g], { before: p.before.map((n) => -n), after: p.after.map((n) => -n), value: 0 }))],
  jvp: (t, c) => padOp.one([t[0]!], { ...c.p, value: 0 }),
})

/**
 * Padding by a constant: `padding` lists before and after, last dim first. Negative padding crops.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pad.html
 */
export function pad(x: Tensor, padding: readonly number[], options: { readonly mode?: 'constant'; readonly value?: number } = {}): Tensor {
  expectTensor('pad', x, 'argument 0')
  if (padding.length % 2 !== 0 || padding.length > 2 * x.layout.rank)
    throw new ArgumentError(
      `pad: Padding length should be less than or equal to two times the input dimension, and even; got ${show(padding)} for ${show(x.shape)}`,
      { op: 'pad' },
    )
  const before = new Array<number>(x.layout.rank).fill(0)
  const after = new Array<number>(x.layout.rank).fill(0)
  for (let i = 0; i < padding.length / 2; i++) {
    const d = x.layout.rank - 1 - i
    before[d] = padding[2 * i]!
    after[d] = padding[2 * i + 1]!
    if (x.shape[d]! + before[d]! + after[d]! < 0)
      throw new ShapeError(
        `pad: The input size ${x.shape[d]}, plus negative padding ${before[d]} and ${after[d]} resulted in a negative output size`,
        { op: 'pad', shapes: [x.shape] },
      )
  }
  return padOp.one([x], { before, after, value: options.value ?? 0 })
}
