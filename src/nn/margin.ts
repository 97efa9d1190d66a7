/** Losses of distributions and of margins as modules. */
import type { Tensor } from '../fluent.ts'
import * as F from './functional.ts'
import { buffered, Loss } from './loss.ts'

/**
 * Kullback–Leibler divergence of logarithms of probabilities from target probabilities.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
 */
export class KLDivLoss extends Loss<F.KLDivOptions> {
  constructor(options: F.KLDivOptions = {}) {
    super(options)
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.klDiv(input, target, this.options)
  }
}

/** ln(1 + e^(−target·input)) for targets ±1. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SoftMarginLoss.html */
export class SoftMarginLoss extends Loss<F.LossOptions> {
  constructor(options: F.LossOptions = {}) {
    super(options)
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.softMarginLoss(input, target, this.options)
  }
}

/**
 * The negated log-likelihood of counts under Poisson distributions.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html
 */
export class PoissonNLLLoss extends Loss<F.PoissonNLLOptions> {
  constructor(options: F.PoissonNLLOptions = {}) {
    super(options)
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.poissonNllLoss(input, target, this.options)
  }
}

/**
 * The input where the target is 1, max(0, margin − input) where it is −1.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.HingeEmbeddingLoss.html
 */
export class HingeEmbeddingLoss extends Loss<F.MarginOptions> {
  constructor(options: F.MarginOptions = {}) {
    super(options)
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.hingeEmbeddingLoss(input, target, this.options)
  }
}

/**
 * The negated log-likelihood of targets under normal distributions.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html
 */
export class GaussianNLLLoss extends Loss<F.GaussianNLLOptions, [Tensor, Tensor, Tensor]> {
  constructor(options: F.GaussianNLLOptions = {}) {
    super(options)
  }
  forward(input: Tensor, target: Tensor, variance: Tensor): Tensor {
    return F.gaussianNllLoss(input, target, variance, this.options)
  }
}

/**
 * Asks the first input above the second for target 1, below it for −1.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MarginRankingLoss.html
 */
export class MarginRankingLoss extends Loss<F.MarginOptions, [Tensor, Tensor, Tensor]> {
  constructor(options: F.MarginOptions = {}) {
    super(options)
  }
  forward(x1: Tensor, x2: Tensor, target: Tensor): Tensor {
    return F.marginRankingLoss(x1, x2, target, this.options)
  }
}

/**
 * Asks for vectors of one direction for target 1, of different ones for −1.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CosineEmbeddingLoss.html
 */
export class CosineEmbeddingLoss extends Loss<F.MarginOptions, [Tensor, Tensor, Tensor]> {
  constructor(options: F.MarginOptions = {}) {
    super(options)
  }
  forward(x1: Tensor, x2: Tensor, target: Tensor): Tensor {
    return F.cosineEmbeddingLoss(x1, x2, target, this.options)
  }
}

/**
 * Asks the anchor nearer to the positive than to the negative by a margin.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginLoss.html
 */
export class TripletMarginLoss extends Loss<F.TripletMarginOptions, [Tensor, Tensor, Tensor]> {
  constructor(options: F.TripletMarginOptions = {}) {
    super(options)
  }
  forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return F.tripletMarginLoss(anchor, positive, negative, this.options)
  }
}

/**
 * Cross-entropy of σ(input) per class, averaged over the classes.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiLabelSoftMarginLoss.html
 */
export class MultiLabelSoftMarginLoss extends Loss<F.LossOptions> {
  /** A factor per class. */
  weight: Tensor | null
  constructor(options: F.WeightedLossOptions = {}) {
    const { weight, ...rest } = options
    super(rest)
    this.weight = buffered(weight)
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.multilabelSoftMarginLoss(input, target, { ...this.options, weight: this.weight })
  }
}

/**
 * Asks the score of the target class above all others by a margin.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiMarginLoss.html
 */
export class MultiMarginLoss extends Loss<Omit<F.MultiMarginOptions, 'weight'>> {
  /** A factor per class. */
  weight: Tensor | null
  constructor(options: F.MultiMarginOptions = {}) {
    const { weight, ...rest } = options
    super(rest)
    this.weight = buffered(weight)
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.multiMarginLoss(input, target, { ...this.options, weight: this.weight })
  }
}
