/** Losses as modules. */
import type { Tensor } from '../fluent.ts'
import { CROSS_ENTROPY, HUBER, LIKELIHOOD, LOGITS, REDUCTION, SMOOTH_L1, WEIGHTED } from '../ops/lossOptions.ts'
import { checkOptions, type Known } from '../options.ts'
import { expectTensorOrNone } from '../tensor.ts'
import * as F from './functional.ts'
import { Module } from './module.ts'
import { Buffer } from './parameter.ts'

/** A loss as a function of its inputs and of options. */
type LossFunction<O, I extends Tensor[]> = (...inputsAndOptions: [...I, O]) => Tensor

/** What most losses compare. */
type Compared = [input: Tensor, target: Tensor]

/** A function and the options it is called with. */
export abstract class Loss<O extends object, I extends Tensor[] = Compared> extends Module<I> {
  readonly #compute: LossFunction<O, I>
  protected readonly options: O
  /** `known`: the options there are. Errors: ArgumentError. */
  constructor(compute: LossFunction<O, I>, options: O, known: Known<NoInfer<O>>) {
    super()
    checkOptions(this.constructor.name, options, known)
    this.#compute = compute
    this.options = options
  }
  /** The options of a call: tensors among them are buffers, which may have been converted or replaced. */
  protected settings(): O {
    return this.options
  }
  forward(...inputs: I): Tensor {
    return this.#compute(...inputs, this.settings())
  }
}

/** A buffer of this tensor, if there is one. */
function buffered(op: string, t: Tensor | null | undefined): Tensor | null {
  expectTensorOrNone(op, t, 'the weight')
  return t ? new Buffer(t) : null
}

/** A loss with a factor per class or element. */
export abstract class WeightedLoss<O extends { readonly weight?: Tensor | null }> extends Loss<O> {
  weight: Tensor | null
  constructor(compute: LossFunction<O, Compared>, options: O, known: Known<NoInfer<O>>) {
    super(compute, options, known)
    this.weight = buffered(this.constructor.name, options.weight)
  }
  protected override settings(): O {
    return { ...this.options, weight: this.weight }
  }
}

/** Squared error. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html */
export class MSELoss extends Loss<F.LossOptions> {
  constructor(options: F.LossOptions = {}) {
    super(F.mseLoss, options, REDUCTION)
  }
}

/** Absolute error. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.L1Loss.html */
export class L1Loss extends Loss<F.LossOptions> {
  constructor(options: F.LossOptions = {}) {
    super(F.l1Loss, options, REDUCTION)
  }
}

/** Squared error near 0, absolute error beyond `delta`. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html */
export class HuberLoss extends Loss<F.HuberOptions> {
  constructor(options: F.HuberOptions = {}) {
    super(F.huberLoss, options, HUBER)
  }
}

/** Squared error near 0, absolute error beyond `beta`, with slope 1. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SmoothL1Loss.html */
export class SmoothL1Loss extends Loss<F.SmoothL1Options> {
  constructor(options: F.SmoothL1Options = {}) {
    super(F.smoothL1Loss, options, SMOOTH_L1)
  }
}

/**
 * Cross-entropy of class scores [n, classes, …] against class numbers or class probabilities.
 * @example
 * const scores = tensor([[2, 1, 0], [0, 1, 2]])
 * new nn.CrossEntropyLoss().forward(scores, tensor([0, 2], { dtype: 'int32' })) // tensor(0.4076)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
 */
export class CrossEntropyLoss extends WeightedLoss<F.CrossEntropyOptions> {
  constructor(options: F.CrossEntropyOptions = {}) {
    super(F.crossEntropy, options, CROSS_ENTROPY)
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
export class NLLLoss extends WeightedLoss<NLLLossOptions> {
  constructor(options: NLLLossOptions = {}) {
    super(F.nllLoss, options, LIKELIHOOD)
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
export class BCELoss extends WeightedLoss<F.BinaryCrossEntropyOptions> {
  constructor(options: F.BinaryCrossEntropyOptions = {}) {
    super(F.binaryCrossEntropy, options, WEIGHTED)
  }
}

/** Cross-entropy of σ(input) against targets in [0, 1]. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html */
export class BCEWithLogitsLoss extends WeightedLoss<BCEWithLogitsLossOptions> {
  posWeight: Tensor | null
  constructor(options: BCEWithLogitsLossOptions = {}) {
    super(F.binaryCrossEntropyWithLogits, options, LOGITS)
    this.posWeight = buffered('BCEWithLogitsLoss', options.posWeight)
  }
  protected override settings(): BCEWithLogitsLossOptions {
    return { ...super.settings(), posWeight: this.posWeight }
  }
}
