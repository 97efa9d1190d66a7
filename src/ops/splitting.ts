/** Taking tensors apart along a dim: the parts are views of one node. */
import { ShapeError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { wrapDim } from '../shape.ts'
import { expectTensor, TensorCore } from '../tensor.ts'
import { stackOp } from './concatenate.ts'
import { chunks, listed, type Parts, sized, splitting, whole } from './parts.ts'

const splitOp: GeneralOp<Parts> = /* @__PURE__ */ splitting('split', 'Split', { view: 'multiOutput' })

/**
 * Parts along a dim, as views: of one size each (the last may be smaller), or of the sizes listed.
 * Errors: ArgumentError for sizes that are negative or don't add up.
 * @example
 * tensor([1, 2, 3]).split(2).map((t) => t.tolist()) // [[1, 2], [3]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.split.html
 */
export function split(x: Tensor, sizes: number | readonly number[], dim = 0): Tensor[] {
  const p = typeof sizes === 'number' ? sized('split', x, sizes, dim) : listed('split', x, sizes, dim)
  return splitOp.call([x], p) as Tensor[]
}

/**
 * At most `count` parts of equal size along a dim, as views; the last may be smaller.
 * Errors: ArgumentError unless `count` is a whole number > 0.
 * @example
 * tensor([1, 2, 3]).chunk(2).map((t) => t.tolist()) // [[1, 2], [3]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.chunk.html
 */
export function chunk(x: Tensor, count: number, dim = 0): Tensor[] {
  return splitOp.call([x], chunks('chunk', x, count, dim)) as Tensor[]
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

/**
 * The slices of a dim, each without it, as views.
 * @example
 * tensor([[1, 2], [3, 4]]).unbind().map((t) => t.tolist()) // [[1, 2], [3, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.unbind.html
 */
export function unbind(x: Tensor, dim = 0): Tensor[] {
  expectTensor('unbind', x, 'argument 0')
  if (x.layout.rank === 0) throw new ShapeError('unbind: Dimension specified as 0 but tensor has no dimensions', { op: 'unbind' })
  return unbindOp.call([x], { dim: wrapDim(dim, x.layout.rank, 'unbind') }) as Tensor[]
}
