/** Taking tensors apart along a dim: the parts are views of one node. */
import { ArgumentError, ShapeError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { type GeneralOp, general, vjp } from '../op/general.ts'
import { wrapDim } from '../shape.ts'
import { expectTensor, TensorCore } from '../tensor.ts'
import { catWith } from './joining.ts'

interface Parts {
  dim: number
  /** Sizes given one by one? */
  listed: boolean
  sizes: readonly number[]
}

/** Undefined gradients of parts are zeros in the whole. */
function whole(gs: readonly (Tensor | null)[], shapeOf: (i: number) => readonly number[]): Tensor[] {
  const some = gs.find((g) => g !== null)!
  return gs.map((g, i) => g ?? some.sum().zerosLike().expand(shapeOf(i)))
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
      return catWith(all[0]!, all.slice(1), c.p.dim)
    }),
  ],
  jvp: 'linear',
  view: 'multiOutput',
})

/** Parts of the given size(s) along a dim; the last of equal ones may be smaller. @see https://docs.pytorch.org/docs/stable/generated/torch.split.html */
export function split(x: Tensor, sizes: number | readonly number[], dim = 0): Tensor[] {
  expectTensor('split', x, 'argument 0')
  const d = wrapDim(dim, x.layout.rank, 'split')
  const n = x.layout.shape[d]
  if (n === undefined) throw new ShapeError('split: expects at least a 1-dimensional tensor', { op: 'split' })
  if (typeof sizes === 'number') {
    if (!Number.isInteger(sizes) || sizes < 0 || (sizes === 0 && n > 0))
      throw new ArgumentError(`split: expects split_size be non-negative, but got split_size=${sizes}`, { op: 'split' })
    const parts = n === 0 ? 1 : Math.ceil(n / sizes)
    return splitOp.call([x], {
      dim: d,
      listed: false,
      sizes: Array.from({ length: parts }, (_, i) => Math.min(sizes, n - i * sizes)),
    }) as Tensor[]
  }
  if (sizes.reduce((a, b) => a + b, 0) !== n || sizes.some((s) => s < 0)) {
    throw new ArgumentError(
      `split: expects split_sizes to sum exactly to ${n} (input tensor's size at dimension ${d}), but got split_sizes=[${sizes.join(', ')}]`,
      { op: 'split' },
    )
  }
  return splitOp.call([x], { dim: d, listed: true, sizes }) as Tensor[]
}

/** About `chunks` parts of equal size along a dim. @see https://docs.pytorch.org/docs/stable/generated/torch.chunk.html */
export function chunk(x: Tensor, chunks: number, dim = 0): Tensor[] {
  expectTensor('chunk', x, 'argument 0')
  if (!Number.isInteger(chunks) || chunks < 1)
    throw new ArgumentError(`chunk: expects \`chunks\` to be greater than 0, got: ${chunks}`, { op: 'chunk' })
  const n = x.layout.shape[wrapDim(dim, x.layout.rank, 'chunk')]
  if (n === undefined) throw new ShapeError('chunk: expects at least a 1-dimensional tensor', { op: 'chunk' })
  return n === 0 ? split(x, new Array<number>(chunks).fill(0), dim) : split(x, Math.ceil(n / chunks), dim)
}

const unbindOp: GeneralOp<{ dim: number }> = /* @__PURE__ */ general('unbind', {
  node: 'UnbindBackward0',
  forward: (x, { dim }) =>
    Array.from({ length: x[0]!.layout.shape[dim]! }, (_, i) => new TensorCore(x[0]!.storage, x[0]!.layout.select(dim, i), x[0]!.dt)),
  vjp: [
    vjp([], (_g, c, gs) => {
      const all = whole(gs, () => c.shapeOf(0).toSpliced(c.p.dim, 1)).map((g) => g.unsqueeze(c.p.dim))
      return catWith(all[0]!, all.slice(1), c.p.dim)
    }),
  ],
  jvp: 'linear',
  view: 'multiOutput',
})

/** The slices of a dim, each without it. @see https://docs.pytorch.org/docs/stable/generated/torch.unbind.html */
export function unbind(x: Tensor, dim = 0): Tensor[] {
  expectTensor('unbind', x, 'argument 0')
  if (x.layout.rank === 0) throw new ShapeError('unbind: Dimension specified as 0 but tensor has no dimensions', { op: 'unbind' })
  return unbindOp.call([x], { dim: wrapDim(dim, x.layout.rank, 'unbind') }) as Tensor[]
}
