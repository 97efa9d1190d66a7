/** Vectors brought to length 1, and the angle between them. */
import type { Tensor } from '../fluent.ts'
import { expectTensor } from '../tensor.ts'

/** Options of `normalize`. */
export interface NormalizeOptions {
  /** Which norm. Default 2. */
  readonly p?: number
  /** Along which dim. Default 1. */
  readonly dim?: number
  /** Norms below count as this. Default 1e-12. */
  readonly eps?: number
}

/**
 * x over its p-norm along a dim.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.normalize.html
 */
export function normalize(x: Tensor, options: NormalizeOptions = {}): Tensor {
  expectTensor('normalize', x, 'the input')
  const { p = 2, dim = 1, eps = 1e-12 } = options
  return x.div(x.norm(p, dim, { keepdim: true }).clamp({ min: eps }).expand(x.shape))
}

/** Options of `cosineSimilarity`. */
export interface CosineSimilarityOptions {
  /** Along which dim. Default 1. */
  readonly dim?: number
  /** Lengths below count as this. Default 1e-8. */
  readonly eps?: number
}

/**
 * The cosine of the angle between vectors of a and b along a dim; shapes broadcast.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cosine_similarity.html
 */
export function cosineSimilarity(a: Tensor, b: Tensor, options: CosineSimilarityOptions = {}): Tensor {
  expectTensor('cosineSimilarity', a, 'the first input')
  expectTensor('cosineSimilarity', b, 'the second input')
  const { dim = 1, eps = 1e-8 } = options
  const [u, v] = [a, b].map((t) => t.div(t.norm(2, dim, { keepdim: true }).clamp({ min: eps }))) as [Tensor, Tensor]
  return u.mul(v).sum(dim)
}
