/** Vectors brought to length 1, their distance, and the angle between them. */
import { DTypeError, within } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkOptions } from '../options.ts'
import { expectTensor } from '../tensor.ts'
import { reduced } from './dims.ts'
import { normOp } from './vectorNorm.ts'

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
 * @example
 * nn.functional.normalize(tensor([[3, 4]])) // tensor([[0.6000, 0.8000]])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.normalize.html
 */
export function normalize(x: Tensor, options: NormalizeOptions = {}): Tensor {
  expectTensor('normalize', x, 'the input')
  checkOptions('normalize', options, { p: 'number', dim: 'integer', eps: 'number' })
  const { p = 2, dim = 1, eps = 1e-12 } = options
  return within('normalize', () => x.div(x.norm(p, dim, { keepdim: true }).clamp({ min: eps }).expand(x.shape)))
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
 * @example
 * nn.functional.cosineSimilarity(tensor([[1, 0]]), tensor([[1, 1]])) // tensor([0.7071])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cosine_similarity.html
 */
export function cosineSimilarity(a: Tensor, b: Tensor, options: CosineSimilarityOptions = {}): Tensor {
  expectTensor('cosineSimilarity', a, 'the first input')
  expectTensor('cosineSimilarity', b, 'the second input')
  checkOptions('cosineSimilarity', options, { dim: 'integer', eps: 'number' })
  const { dim = 1, eps = 1e-8 } = options
  return within('cosineSimilarity', () => {
    const [u, v] = [a, b].map((t) => t.div(t.norm(2, dim, { keepdim: true }).clamp({ min: eps }))) as [Tensor, Tensor]
    return u.mul(v).sum(dim)
  })
}

/** Options of `pairwiseDistance`. */
export interface PairwiseDistanceOptions {
  /** Which norm. Default 2. */
  readonly p?: number
  /** Added to every coordinate of the difference, which keeps the gradient finite at equal vectors. Default 1e-6. */
  readonly eps?: number
  /** Keep the last dim, of size 1? Default false. */
  readonly keepdim?: boolean
}

/**
 * The p-norm of a − b + eps along the last dim; shapes broadcast.
 * @example
 * nn.functional.pairwiseDistance(tensor([[0, 0]]), tensor([[3, 4]])) // tensor([5.0000])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pairwise_distance.html
 */
export function pairwiseDistance(a: Tensor, b: Tensor, options: PairwiseDistanceOptions = {}): Tensor {
  expectTensor('pairwiseDistance', a, 'the first input')
  expectTensor('pairwiseDistance', b, 'the second input')
  checkOptions('pairwiseDistance', options, { p: 'number', eps: 'number', keepdim: 'boolean' })
  const { p = 2, eps = 1e-6, keepdim = false } = options
  const d = within('pairwiseDistance', () => a.sub(b).add(eps))
  if (!d.dt.floating)
    throw new DTypeError(`norm(): the desired output dtype should be either floating point or complex. Got ${d.dtype} (pairwiseDistance)`, {
      op: 'pairwiseDistance',
      dtypes: [d.dtype],
    })
  return normOp.one([d], { ...reduced(d, -1, 'pairwiseDistance', { keepdim }), p, node: 'NormBackward1' })
}
