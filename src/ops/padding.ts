/** Padding by a constant, or with a tensor's own elements: reflected, repeated at the edge, or around in a circle. */
import { ArgumentError, ShapeError, show } from '../errors.ts'
import { copyInto, fillWith } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { checkOptions, describe } from '../options.ts'
import { checkAddressable, checkValue, empty, expectTensor } from '../tensor.ts'
import { mapped, type Taps } from './taps.ts'

/** How the new elements are found. */
export type EdgeMode = 'reflect' | 'replicate' | 'circular'

/** The element that stands at place i of n, where i may lie outside. */
const source: Readonly<Record<EdgeMode, (i: number, n: number) => number>> = {
  reflect: (i, n) => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i),
  replicate: (i, n) => Math.max(0, Math.min(n - 1, i)),
  circular: (i, n) => ((i % n) + n) % n,
}

/** x padded: `padding` lists before and after, last dim first, for the last one to three dims. */
function padEdges(x: Tensor, padding: readonly number[], mode: EdgeMode): Tensor {
  const count = padding.length / 2
  const { rank } = x.layout
  if (!Number.isInteger(count) || count < 1 || count > 3 || (rank !== count + 1 && rank !== count + 2)) {
    throw new ArgumentError(
      `pad: Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now: ${padding.length} numbers for ${show(x.shape)} (the last ${count} of ${count + 1} or ${count + 2} dims are meant)`,
      { op: 'pad' },
    )
  }
  const dims: Taps[] = []
  for (let k = 0; k < count; k++) {
    const dim = rank - 1 - k
    const n = x.shape[dim]!
    const [before, after] = [padding[2 * k]!, padding[2 * k + 1]!]
    if (mode === 'reflect' && (before >= n || after >= n)) {
      throw new ShapeError(
        `pad: Argument #${2 * count + 2}: Padding size should be less than the corresponding input dimension, but got: padding (${before}, ${after}) at dimension ${dim} of input ${show(x.shape)}`,
        { op: 'pad', shapes: [x.shape] },
      )
    }
    if (mode === 'circular' && (before > n || after > n)) {
      throw new ShapeError(
        `pad: Padding value causes wrapping around more than once: (${before}, ${after}) at dimension ${dim} of ${show(x.shape)}`,
        {
          op: 'pad',
          shapes: [x.shape],
        },
      )
    }
    if (n + before + after < 1) {
      throw new ShapeError(`pad: input (size: ${n}) with padding (${before}, ${after}) at dimension ${dim} is too small`, {
        op: 'pad',
        shapes: [x.shape],
      })
    }
    checkAddressable('pad', x.shape.with(dim, n + before + after), x.dt)
    const index = Array.from({ length: n + before + after }, (_, i) => source[mode](i - before, n))
    dims.push({ dim, taps: [{ index, weights: null }] })
  }
  const kind = mode === 'reflect' ? 'Reflection' : 'Replication'
  return mapped.one([x], { node: mode === 'circular' ? 'torch::autograd::CopySlices' : `${kind}Pad${count}DBackward0`, dims })
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
  batch: (b) => padOp.one([inFront(b, 0)], { before: [0, ...b.p.before], after: [0, ...b.p.after], value: b.p.value }),
})

/** Options of `pad`. */
export interface PadOptions {
  /** Default 'constant'; the others pad the last one to three dims of images with their own elements. */
  readonly mode?: 'constant' | EdgeMode
  /** What the new elements are for 'constant'; default 0. */
  readonly value?: number
}

/**
 * Padding by a constant, or by the tensor's own elements ('reflect', 'replicate', 'circular'): `padding` lists before and
 * after, last dim first. Negative padding crops.
 * Errors: ArgumentError for too many numbers or another mode, ShapeError when nothing would be left.
 * @example
 * pad(tensor([1, 2]), [1, 0]).tolist() // [0, 1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pad.html
 */
export function pad(x: Tensor, padding: readonly number[], options: PadOptions = {}): Tensor {
  expectTensor('pad', x, 'argument 0')
  if (!Array.isArray(padding) || !padding.every(Number.isInteger))
    throw new ArgumentError(`pad: expected [before, after, …] whole numbers for the padding, got ${describe(padding)}`, { op: 'pad' })
  checkOptions('pad', options, { mode: 'any', value: 'number' })
  const { mode = 'constant', value = 0 } = options
  if (mode === 'reflect' || mode === 'replicate' || mode === 'circular') return padEdges(x, padding, mode)
  if (mode !== 'constant') throw new ArgumentError(`pad: Unrecognised padding mode ${String(mode)}`, { op: 'pad' })
  const { rank } = x.layout
  if (padding.length % 2 !== 0 || padding.length > 2 * rank) {
    throw new ArgumentError(
      `pad: Padding length should be less than or equal to two times the input dimension, and even; got ${show(padding)} for ${show(x.shape)}`,
      { op: 'pad' },
    )
  }
  const before = new Array<number>(rank).fill(0)
  const after = new Array<number>(rank).fill(0)
  for (let i = 0; i < padding.length / 2; i++) {
    const d = rank - 1 - i
    before[d] = padding[2 * i]!
    after[d] = padding[2 * i + 1]!
    if (x.shape[d]! + before[d]! + after[d]! < 0) {
      throw new ShapeError(
        `pad: The input size ${x.shape[d]}, plus negative padding ${before[d]} and ${after[d]} resulted in a negative output size, which is invalid`,
        { op: 'pad', shapes: [x.shape] },
      )
    }
  }
  return padOp.one([x], { before, after, value: checkValue(value, x.dt, 'pad') })
}
