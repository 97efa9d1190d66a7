/** Joining lists of tensors, and choosing between two. */
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { expectTensor } from '../tensor.ts'
import { choose } from './choose.ts'
import { catWith } from './joining.ts'

/**
 * Tensors one after the other along an existing dim. Errors: ShapeError when other dims differ.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cat.html
 */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  if (!Array.isArray(tensors) || tensors.length === 0) throw new ArgumentError('cat: expected a non-empty list of Tensors', { op: 'cat' })
  return catWith(tensors[0]!, tensors.slice(1), dim)
}

/**
 * Tensors of one shape side by side along a new dim.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.stack.html
 */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  if (!Array.isArray(tensors) || tensors.length === 0)
    throw new ArgumentError('stack: expected a non-empty list of Tensors', { op: 'stack' })
  tensors.forEach((t, i) => expectTensor('stack', t, `tensor ${i}`))
  const d = dim < 0 ? dim + tensors[0]!.ndim + 1 : dim
  return cat(
    tensors.map((t) => t.unsqueeze(d)),
    d,
  )
}

/**
 * Elements of `a` where `condition` holds, of `b` elsewhere, broadcast. No gradient flows to what is not chosen.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.where.html
 */
export function where(condition: Tensor, a: Tensor | number, b: Tensor | number): Tensor {
  expectTensor('where', condition, 'argument 0')
  return choose(condition, a, b)
}
