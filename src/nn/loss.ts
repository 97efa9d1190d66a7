/** Losses as modules. */
import type { Tensor } from '../fluent.ts'
import * as F from './functional.ts'
import { Module } from './module.ts'
import { Buffer } from './parameter.ts'

/** What losses share: their options, without tensors, which are buffers. */
export abstract class Loss<O extends object, I extends Tensor[] = [Tensor, Tensor]> extends Module<I> {
  protected readonly options: O
  constructor(options: O) {
    super()
    this.options = options
  }
}

/** A buffer of this tensor, if there is one. */
export const buffered = (t: Tensor | null | undefined): Tensor | null => (t ? new Buffer(t) : null)

/** Squared error. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html */
export class MSELoss extends Loss<F.LossOptions> {
  constructor(options: F.LossOptions = {}) {
    super(options)
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.mseLoss(input, target, this.options)
  }
}

/** Absolute error. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.L1Loss.html */
export class L1Loss extends Loss<F.LossOptions> {
  constructor(options: F.LossOptions = {}) {
    super(options)
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.l1Loss(input, target, this.options)
  }
}

/** Squared error near 0, absolute error beyond `delta`. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html */
export class HuberLoss extends Loss<F.LossOptions & { readonly delta?: number }> {
  constructor(options: F.LossOptions & { readonly delta?: number } = {}) {
    super(options)
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.huberLoss(input, target, this.options)
  }
}

/** Squared error near 0, absolute error beyond `beta`, with slope 1. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SmoothL1Loss.html */
export class SmoothL1Loss extends Loss<F.LossOptions & { readonly beta?: number }> {
  constructor(options: F.LossOptions & { readonly beta?: number } = {}) {
    super(options)
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.smoothL1Loss(input, target, this.options)
  }
}

/**
 * Cross-entropy of class scores [n, classes, …] against class numbers or class probabilities.
 * @example
 * const scores = tensor([[2, 1, 0], [0, 1, 2]])
 * new nn.CrossEntropyLoss().forward(scores, tensor([0, 2], { dtype: 'int32' })) // tensor(0.4076)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
 */
export class CrossEntropyLoss extends Loss<F.CrossEntropyOptions> {
  /** A factor per class. */
  weight: Tensor | null
  constructor(options: F.CrossEntropyOptions = {}) {
    const { weight, ...rest } = options
    super(rest)
    this.weight = buffered(weight)
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.crossEntropy(input, target, { ...this.options, weight: this.weight })
  }
}

/** Options of `NLLLoss`. */
export interface NLLLossOptions extends F.LossOptions {
  /** A factor per class. */
  readonly weight?: Tensor | null
  /** Targets of this number don't count. Default −100. */
  readonly ignoreIndex?: number
}

/** The negated log-probability of each target class. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html */
export class NLLLoss extends Loss<NLLLossOptions> {
  weight: Tensor | null
  constructor(options: NLLLossOptions = {}) {
    const { weight, ...rest } = options
    super(rest)
    this.weight = buffered(weight)
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.nllLoss(input, target, { ...this.options, weight: this.weight })
  }
}

/** Options of `BCEWithLogitsLoss`. */
export interface BCEWithLogitsLossOptions extends F.LossOptions {
  /** A factor per element. */
  readonly weight?: Tensor | null
  /** A factor of positive examples, per class. */
  readonly posWeight?: Tensor | null
}

/** Cross-entropy of probabilities against targets in [0, 1]. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html */
export class BCELoss extends Loss<F.LossOptions> {
  weight: Tensor | null
  constructor(options: F.BinaryCrossEntropyOptions = {}) {
    const { weight, ...rest } = options
    super(rest)
    this.weight = buffered(weight)
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.binaryCrossEntropy(input, target, { ...this.options, weight: this.weight })
  }
}

/** Cross-entropy of σ(input) against targets in [0, 1]. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html */
export class BCEWithLogitsLoss extends Loss<BCEWithLogitsLossOptions> {
  weight: Tensor | null
  posWeight: Tensor | null
  constructor(options: BCEWithLogitsLossOptions = {}) {
    const { weight, posWeight, ...rest } = options
    super(rest)
    this.weight = buffered(weight)
    this.posWeight = buffered(posWeight)
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.binaryCrossEntropyWithLogits(input, target, { ...this.options, weight: this.weight, posWeight: this.posWeight })
  }
}
