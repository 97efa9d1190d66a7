/** Joining lists of tensors, and choosing between two: functions only. */
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { sameShape, wrapDim } from '../shape.ts'
import { expectTensor, expectTensors } from '../tensor.ts'
import { choose } from './choose.ts'
import { stackOp } from './concatenate.ts'
import { catWith } from './joining.ts'

/**
 * Tensors one after the other along an existing dim; dtypes are promoted.
 * Errors: ShapeError when other dims differ.
 * @example
 * cat([tensor([1, 2]), tensor([3])]).tolist() // [1, 2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cat.html
 */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  if (!Array.isArray(tensors) || tensors.length === 0) throw new ArgumentError('cat: expected a non-empty list of Tensors', { op: 'cat' })
  return catWith(tensors[0]!, tensors.slice(1), dim)
}

/**
 * Tensors of one shape side by side along a new dim; dtypes are promoted.
 * Errors: ShapeError when shapes differ.
 * @example
 * stack([tensor([1, 2]), tensor([3, 4])], 1).tolist() // [[1, 3], [2, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.stack.html
 */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  expectTensors('stack', tensors)
  const { shape } = tensors[0]!
  tensors.forEach((t, i) => {
    if (sameShape(t.shape, shape)) return
    throw new ShapeError(
      `stack: expects each tensor to be equal size, but got ${show(shape)} at entry 0 and ${show(t.shape)} at entry ${i}`,
      {
        op: 'stack',
        shapes: tensors.map((y) => y.shape),
      },
    )
  })
  return stackOp.one(tensors, { dim: wrapDim(dim, shape.length + 1, 'stack') })
}

/**
 * Elements of `a` where `condition` (bool) holds, of `b` elsewhere; all three broadcast, `a` and `b` may be numbers. No
 * gradient flows to what is not chosen.
 * Errors: DTypeError for a condition that isn't bool, ShapeError.
 * @example
 * where(tensor([true, false]), tensor([1, 2]), 0).tolist() // [1, 0]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.where.html
 */
export function where(condition: Tensor, a: Tensor | number | boolean, b: Tensor | number | boolean): Tensor {
  expectTensor('where', condition, 'argument 0')
  return choose(condition, a, b)
}
