/** Taking tensors apart along a dim: the parts are views of one node. */
import { ArgumentError, ShapeError } from '../errors.ts'
import { full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { type Shape, wrapDim } from '../shape.ts'
import { expectTensor, TensorCore } from '../tensor.ts'
import { catOp, stackOp } from './concatenate.ts'

interface Parts {
  dim: number
  /** Sizes given one by one? */
  listed: boolean
  sizes: readonly number[]
}

/** Undefined gradients of parts are zeros in the whole. */
function whole(gs: readonly (Tensor | null)[], shapeOf: (i: number) => Shape): Tensor[] {
  const { dt } = gs.find((g) => g !== null)!
  return gs.map((g, i) => g ?? (full([], 0, dt, null) as Tensor).expand(shapeOf(i)))
}

const splitOp: GeneralOp<Parts> = /* @__PURE__ */ general('split', {
  node: ({ listed }) => (listed ? 'SplitWithSizesBackward0' : 'SplitBackward0'),
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
  batch: (b) => splitOp.call([inFront(b, 0)], { ...b.p, dim: b.p.dim + 1 }) as Tensor[],
  view: 'multiOutput',
})

/** The size of a dim to cut; a single number has none. */
function cuttable(op: string, x: Tensor, dim: number): number {
  expectTensor(op, x, 'argument 0')
  if (x.layout.rank === 0) throw new ShapeError(`${op}: expects at least a 1-dimensional tensor`, { op })
  return wrapDim(dim, x.layout.rank, op)
}

/**
 * Parts along a dim, as views: of one size each (the last may be smaller), or of the sizes listed.
 * Errors: ArgumentError for sizes that are negative or don't add up.
 * @example
 * tensor([1, 2, 3]).split(2).map((t) => t.tolist()) // [[1, 2], [3]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.split.html
 */
export function split(x: Tensor, sizes: number | readonly number[], dim = 0): Tensor[] {
  const d = cuttable('split', x, dim)
  const n = x.layout.shape[d]!
  if (typeof sizes === 'number') {
    if (!Number.isInteger(sizes) || sizes < 0) {
      throw new ArgumentError(`split: expects split_size be non-negative, but got split_size=${sizes}`, { op: 'split' })
    }
    if (sizes === 0 && n > 0) {
      throw new ArgumentError(`split: split_size can only be 0 if dimension size is 0, but got dimension size of ${n}`, { op: 'split' })
    }
    const parts = n === 0 ? 1 : Math.ceil(n / sizes)
    return splitOp.call([x], {
      dim: d,
      listed: false,
      sizes: Array.from({ length: parts }, (_, i) => Math.min(sizes, n - i * sizes)),
    }) as Tensor[]
  }
  if (
    !Array.isArray(sizes) ||
    sizes.length === 0 ||
    sizes.some((s) => !Number.isInteger(s) || s < 0) ||
    sizes.reduce((a, b) => a + b, 0) !== n
  ) {
    throw new ArgumentError(
      `split: split_with_sizes expects split_sizes to sum exactly to ${n} (input tensor's size at dimension ${d}), but got split_sizes=${String(sizes)}`,
      { op: 'split' },
    )
  }
  return splitOp.call([x], { dim: d, listed: true, sizes: [...sizes] }) as Tensor[]
}

/**
 * At most `chunks` parts of equal size along a dim, as views; the last may be smaller.
 * Errors: ArgumentError unless `chunks` is a whole number > 0.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.chunk.html
 */
export function chunk(x: Tensor, chunks: number, dim = 0): Tensor[] {
  const d = cuttable('chunk', x, dim)
  if (!Number.isInteger(chunks) || chunks < 1) {
    throw new ArgumentError(`chunk: expects \`chunks\` to be greater than 0, got: ${chunks}`, { op: 'chunk' })
  }
  const n = x.layout.shape[d]!
  return n === 0 ? split(x, new Array<number>(chunks).fill(0), d) : split(x, Math.ceil(n / chunks), d)
}

const unbindOp: GeneralOp<{ dim: number }> = /* @__PURE__ */ general('unbind', {
  node: 'UnbindBackward0',
  forward: (x, { dim }) =>
    Array.from({ length: x[0]!.layout.shape[dim]! }, (_, i) => new TensorCore(x[0]!.storage, x[0]!.layout.select(dim, i), x[0]!.dt)),
  vjp: [
    vjp([], (_g, c, gs) => {
      return stackOp.one(
        whole(gs, () => c.shapeOf(0).toSpliced(c.p.dim, 1)),
        c.p,
      )
    }),
  ],
  jvp: 'linear',
  batch: (b) => unbindOp.call([inFront(b, 0)], { dim: b.p.dim + 1 }) as Tensor[],
  view: 'multiOutput',
})

/** The slices of a dim, each without it, as views. @see https://docs.pytorch.org/docs/stable/generated/torch.unbind.html */
export function unbind(x: Tensor, dim = 0): Tensor[] {
  expectTensor('unbind', x, 'argument 0')
  if (x.layout.rank === 0) throw new ShapeError('unbind: Dimension specified as 0 but tensor has no dimensions', { op: 'unbind' })
  return unbindOp.call([x], { dim: wrapDim(dim, x.layout.rank, 'unbind') }) as Tensor[]
}
