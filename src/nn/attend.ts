/** Attention as a function of queries, keys and values. */
import { ones } from '../creation.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { dropout } from '../ops/dropout.ts'
import { checkOptions } from '../options.ts'

/** Options of `scaledDotProductAttention`. */
export interface AttentionOptions {
  /** Where bool: true lets a query see a key. Where float: added to the scores. Broadcast to [*, queries, keys]. */
  readonly attnMask?: Tensor | null
  /** Share of the weights that are dropped. Applied whenever it isn't 0: pass 0 in evaluation. */
  readonly dropoutP?: number
  /** Query i sees keys 0 … i only. */
  readonly isCausal?: boolean
  /** What scores are multiplied by. Default 1/√(width of the queries). */
  readonly scale?: number
}

/**
 * softmax(q·kᵀ·scale + mask)·v, for query [*, l, e], key [*, s, e], value [*, s, d]. A query that may see no key gets zeros.
 * Errors: ArgumentError for a mask together with `isCausal`, ShapeError.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
 */
export function scaledDotProductAttention(query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions = {}): Tensor {
  checkOptions('scaledDotProductAttention', options, { attnMask: 'any', dropoutP: 'number', isCausal: 'boolean', scale: 'any' })
  const { attnMask = null, dropoutP = 0, isCausal = false } = options
  const weights = attentionWeights(query, key, attnMask, isCausal, options.scale)
  return (dropoutP === 0 ? weights : dropout(weights, { p: dropoutP })).matmul(value)
}

/** softmax(q·kᵀ·scale + mask). */
export function attentionWeights(query: Tensor, key: Tensor, mask: Tensor | null, isCausal: boolean, scale: number | undefined): Tensor {
  if (query.ndim < 2 || key.ndim < 2 || query.shape.at(-1) !== key.shape.at(-1)) {
    throw new ShapeError(
      `scaledDotProductAttention: expected query [*, l, e] and key [*, s, e], got ${show(query.shape)} and ${show(key.shape)}`,
      { op: 'scaledDotProductAttention', shapes: [query.shape, key.shape] },
    )
  }
  if (isCausal && mask !== null) throw new ArgumentError('Explicit attn_mask should not be set when is_causal=True')
  const factor = scale ?? 1 / Math.sqrt(query.shape.at(-1)!)
  const scores = query.mul(factor).matmul(key.transpose(-2, -1))
  if (isCausal) {
    const seen = ones([query.shape.at(-2)!, key.shape.at(-2)!], { dtype: 'bool' }).tril()
    return scores.maskedFill(seen.logicalNot(), Number.NEGATIVE_INFINITY).softmax(-1)
  }
  if (mask === null) return scores.softmax(-1)
  if (mask.dtype !== 'bool') return scores.add(mask).softmax(-1)
  // A row of −∞ alone would give NaNs: such rows keep their scores, and their weights become 0.
  const blind = mask.any({ dim: -1, keepdim: true }).logicalNot()
  const hidden = mask.logicalOr(blind).logicalNot()
  return scores.maskedFill(hidden, Number.NEGATIVE_INFINITY).softmax(-1).maskedFill(blind, 0)
}
