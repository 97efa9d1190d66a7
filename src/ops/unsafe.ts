/** Parts of a tensor that may be changed in place: nothing remembers that they are views. */
import type { Tensor } from '../fluent.ts'
import type { GeneralOp } from '../op/general.ts'
import { chunks, listed, type Parts, sized, splitting } from './parts.ts'

const unsafeSplitOp: GeneralOp<Parts> = /* @__PURE__ */ splitting('unsafeSplit', 'UnsafeSplit', {})

/**
 * As `split`, but the parts aren't known as views: they may be changed in place, and their gradients are right as long as
 * the whole and overlapping parts aren't used afterwards. Changes don't count as changes of the whole.
 * Errors: ArgumentError for sizes that are negative or don't add up.
 * @example
 * // With split the change in place would be an InPlaceError.
 * const x = tensor([1, 2], { requiresGrad: true })
 * const [a, b] = unsafeSplit(x.mul(2), 1)
 * a!.mul_(b!).tolist() // [8]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.unsafe_split.html
 */
export function unsafeSplit(x: Tensor, sizes: number | readonly number[], dim = 0): Tensor[] {
  const p = typeof sizes === 'number' ? sized('unsafeSplit', x, sizes, dim) : listed('unsafeSplit', x, sizes, dim)
  return unsafeSplitOp.call([x], p) as Tensor[]
}

/**
 * As `chunk`, with parts as those of `unsafeSplit`. Errors: ArgumentError unless `count` is a whole number > 0.
 * @example
 * const x = tensor([1, 2], { requiresGrad: true })
 * const [a, b] = unsafeChunk(x.mul(2), 2)
 * a!.mul_(b!).tolist() // [8]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.unsafe_chunk.html
 */
export function unsafeChunk(x: Tensor, count: number, dim = 0): Tensor[] {
  return unsafeSplitOp.call([x], chunks('unsafeChunk', x, count, dim)) as Tensor[]
}
