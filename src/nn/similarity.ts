/** Layers that compare vectors. */
import type { Tensor } from '../fluent.ts'
import { checkOptions } from '../options.ts'
import * as F from './functional.ts'
import { Layer } from './layer.ts'

/** The cosine of the angle between vectors along a dim (1 by default). @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CosineSimilarity.html */
export class CosineSimilarity extends Layer<[x1: Tensor, x2: Tensor]> {
  readonly dim: number
  readonly eps: number
  constructor(options: F.CosineSimilarityOptions = {}) {
    super()
    checkOptions('CosineSimilarity', options, { dim: 'integer', eps: 'number' })
    this.dim = options.dim ?? 1
    this.eps = options.eps ?? 1e-8
  }
  forward(x1: Tensor, x2: Tensor): Tensor {
    return F.cosineSimilarity(x1, x2, { dim: this.dim, eps: this.eps })
  }
}

/** The norm of the differences of vectors along the last dim. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PairwiseDistance.html */
export class PairwiseDistance extends Layer<[x1: Tensor, x2: Tensor]> {
  readonly p: number
  readonly eps: number
  readonly keepdim: boolean
  constructor(options: F.PairwiseDistanceOptions = {}) {
    super()
    checkOptions('PairwiseDistance', options, { p: 'number', eps: 'number', keepdim: 'boolean' })
    this.p = options.p ?? 2
    this.eps = options.eps ?? 1e-6
    this.keepdim = options.keepdim ?? false
  }
  forward(x1: Tensor, x2: Tensor): Tensor {
    return F.pairwiseDistance(x1, x2, { p: this.p, eps: this.eps, keepdim: this.keepdim })
  }
}
