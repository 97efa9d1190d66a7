/** Joining tensors along a dim, as a method. */
import { ShapeError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { wrapDim } from '../shape.ts'
import { expectTensor } from '../tensor.ts'
import { catOp, isNothing } from './concatenate.ts'

/**
 * x followed by `others`, along an existing dim; dtypes are promoted.
 * Errors: ShapeError when other dims differ.
 * @example
 * tensor([1]).catWith([tensor([2, 3])]).tolist() // [1, 2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cat.html
 */
export function catWith(x: Tensor, others: readonly Tensor[], dim = 0): Tensor {
  const all = [x, ...others]
  all.forEach((t, i) => {
    expectTensor('cat', t, `tensor ${i}`)
    if (t.layout.rank === 0)
      throw new ShapeError(`cat: zero-dimensional tensor (at position ${i}) cannot be concatenated; use stack`, { op: 'cat' })
  })
  const model = all.find((t) => !isNothing(t)) ?? x
  const d = wrapDim(dim, model.layout.rank, 'cat')
  all.forEach((t, i) => {
    if (isNothing(t)) return
    if (t.layout.rank !== model.layout.rank) {
      throw new ShapeError(
        `cat: Tensors must have same number of dimensions: got ${model.layout.rank} and ${t.layout.rank} (tensor ${i})`,
        {
          op: 'cat',
          shapes: all.map((y) => y.shape),
        },
      )
    }
    t.shape.forEach((n, k) => {
      if (k === d || n === model.shape[k]) return
      throw new ShapeError(
        `cat: Sizes of tensors must match except in dimension ${d}. Expected size ${model.shape[k]} but got size ${n} for tensor number ${i} in the list.`,
        { op: 'cat', shapes: all.map((y) => y.shape) },
      )
    })
  })
  return catOp.one(all, { dim: d, sizes: all.map((t) => (isNothing(t) ? 0 : t.shape[d]!)) })
}
