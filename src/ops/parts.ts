/** How a dim is cut into parts: sizes, checks, and the operation that parts belong to. */
import { ArgumentError, ShapeError } from '../errors.ts'
import { full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { type GeneralOp, type GeneralRecord, general, inFront, vjp } from '../op/general.ts'
import { type Shape, wrapDim } from '../shape.ts'
import { expectTensor, TensorCore } from '../tensor.ts'
import { catOp } from './concatenate.ts'

/** How a dim is cut. */
export interface Parts {
  dim: number
  /** Sizes given one by one? */
  listed: boolean
  sizes: readonly number[]
}

/** Undefined gradients of parts are zeros in the whole. */
export function whole(gs: readonly (Tensor | null)[], shapeOf: (i: number) => Shape): Tensor[] {
  const { dt } = gs.find((g) => g !== null)!
  return gs.map((g, i) => g ?? (full([], 0, dt, null) as Tensor).expand(shapeOf(i)))
}

/** Declares an operation that cuts a dim; torch's name of it begins the names of its nodes. */
// @__NO_SIDE_EFFECTS__
export function splitting(name: string, node: string, kind: Pick<GeneralRecord<Parts>, 'view'>): GeneralOp<Parts> {
  const op: GeneralOp<Parts> = general(name, {
    node: ({ listed }) => (listed ? `${node}WithSizesBackward0` : `${node}Backward0`),
    forward: (x, { dim, sizes }) => {
      let start = 0
      return sizes.map((n) => {
        const part = new TensorCore(x[0]!.storage, x[0]!.layout.slice(dim, start, n), x[0]!.dt)
        start += n
        return part
      })
    },
    vjp: [
      vjp([], (_g, c, gs) => {
        const all = whole(gs, (i) => c.shapeOf(0).with(c.p.dim, c.p.sizes[i]!))
        return catOp.one(all, c.p)
      }),
    ],
    jvp: 'linear',
    batch: (b) => op.call([inFront(b, 0)], { ...b.p, dim: b.p.dim + 1 }) as Tensor[],
    ...kind,
  })
  return op
}

/** The size of a dim to cut; a single number has none. */
function cuttable(op: string, x: Tensor, dim: number): number {
  expectTensor(op, x, 'argument 0')
  if (x.layout.rank === 0) throw new ShapeError(`${op}: expects at least a 1-dimensional tensor`, { op })
  return wrapDim(dim, x.layout.rank, op)
}

/** Parts of `size`; the last may be smaller. */
export function sized(op: string, x: Tensor, size: number, dim: number): Parts {
  const d = cuttable(op, x, dim)
  const n = x.layout.shape[d]!
  if (!Number.isInteger(size) || size < 0) {
    throw new ArgumentError(`${op}: expects split_size be non-negative, but got split_size=${size}`, { op })
  }
  if (size === 0 && n > 0) {
    throw new ArgumentError(`${op}: split_size can only be 0 if dimension size is 0, but got dimension size of ${n}`, { op })
  }
  const parts = n === 0 ? 1 : Math.ceil(n / size)
  return { dim: d, listed: false, sizes: Array.from({ length: parts }, (_, i) => Math.min(size, n - i * size)) }
}

/** Parts of the sizes listed. */
export function listed(op: string, x: Tensor, sizes: readonly number[], dim: number): Parts {
  const d = cuttable(op, x, dim)
  const n = x.layout.shape[d]!
  const whole = Array.isArray(sizes) && sizes.length > 0 && sizes.every((s) => Number.isInteger(s) && s >= 0)
  if (!whole || sizes.reduce((a, b) => a + b, 0) !== n) {
    throw new ArgumentError(
      `${op}: split_with_sizes expects split_sizes to sum exactly to ${n} (input tensor's size at dimension ${d}), but got split_sizes=${String(sizes)}`,
      { op },
    )
  }
  return { dim: d, listed: true, sizes: [...sizes] }
}

/** At most `count` parts of equal size; the last may be smaller. */
export function chunks(op: string, x: Tensor, count: number, dim: number): Parts {
  const d = cuttable(op, x, dim)
  if (!Number.isInteger(count) || count < 1) {
    throw new ArgumentError(`${op}: expects \`chunks\` to be greater than 0, got: ${count}`, { op })
  }
  const n = x.layout.shape[d]!
  return n === 0 ? listed(op, x, new Array<number>(count).fill(0), d) : sized(op, x, Math.ceil(n / count), d)
}
