/** Losses of distributions and of margins as modules. */
import type { Tensor } from '../fluent.ts'
import { GAUSSIAN, KL_DIV, MARGIN, MULTI_MARGIN, POISSON, REDUCTION, TRIPLET, WEIGHTED } from '../ops/lossOptions.ts'
import * as F from './functional.ts'
import { Loss, WeightedLoss } from './loss.ts'

/**
 * Kullback–Leibler divergence of logarithms of probabilities from target probabilities.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
 */
export class KLDivLoss extends Loss<F.KLDivOptions> {
  constructor(options: F.KLDivOptions = {}) {
    super(F.klDiv, options, KL_DIV)
  }
}

/** ln(1 + e^(−target·input)) for targets ±1. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SoftMarginLoss.html */
export class SoftMarginLoss extends Loss<F.LossOptions> {
  constructor(options: F.LossOptions = {}) {
    super(F.softMarginLoss, options, REDUCTION)
  }
}

/**
 * The negated log-likelihood of counts under Poisson distributions.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html
 */
export class PoissonNLLLoss extends Loss<F.PoissonNLLOptions> {
  constructor(options: F.PoissonNLLOptions = {}) {
    super(F.poissonNllLoss, options, POISSON)
  }
}

/**
 * The input where the target is 1, max(0, margin − input) where it is −1.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.HingeEmbeddingLoss.html
 */
export class HingeEmbeddingLoss extends Loss<F.MarginOptions> {
  constructor(options: F.MarginOptions = {}) {
    super(F.hingeEmbeddingLoss, options, MARGIN)
  }
}

/**
 * The negated log-likelihood of targets under normal distributions.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html
 */
export class GaussianNLLLoss extends Loss<F.GaussianNLLOptions, [input: Tensor, target: Tensor, variance: Tensor]> {
  constructor(options: F.GaussianNLLOptions = {}) {
    super(F.gaussianNllLoss, options, GAUSSIAN)
  }
}

/**
 * Asks the first input above the second for target 1, below it for −1.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MarginRankingLoss.html
 */
export class MarginRankingLoss extends Loss<F.MarginOptions, [x1: Tensor, x2: Tensor, target: Tensor]> {
  constructor(options: F.MarginOptions = {}) {
    super(F.marginRankingLoss, options, MARGIN)
  }
}

/**
 * Asks for vectors of one direction for target 1, of different ones for −1.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CosineEmbeddingLoss.html
 */
export class CosineEmbeddingLoss extends Loss<F.MarginOptions, [x1: Tensor, x2: Tensor, target: Tensor]> {
  constructor(options: F.MarginOptions = {}) {
    super(F.cosineEmbeddingLoss, options, MARGIN)
  }
}

/**
 * Asks the anchor nearer to the positive than to the negative by a margin.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginLoss.html
 */
export class TripletMarginLoss extends Loss<F.TripletMarginOptions, [anchor: Tensor, positive: Tensor, negative: Tensor]> {
  constructor(options: F.TripletMarginOptions = {}) {
    super(F.tripletMarginLoss, options, TRIPLET)
  }
}

/**
 * Cross-entropy of σ(input) per class, averaged over the classes.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiLabelSoftMarginLoss.html
 */
export class MultiLabelSoftMarginLoss extends WeightedLoss<F.WeightedLossOptions> {
  constructor(options: F.WeightedLossOptions = {}) {
    super(F.multilabelSoftMarginLoss, options, WEIGHTED)
  }
}

/**
 * Asks the score of the target class above all others by a margin.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiMarginLoss.html
 */
export class MultiMarginLoss extends WeightedLoss<F.MultiMarginOptions> {
  constructor(options: F.MultiMarginOptions = {}) {
    super(F.multiMarginLoss, options, MULTI_MARGIN)
  }
}
