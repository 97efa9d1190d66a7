/** What losses have in common: their options, and what input and target must be to each other. */
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import type { Reduction } from '../op/folded.ts'
import { checkOptions, type Known } from '../options.ts'
import { broadcast, sameShape } from '../shape.ts'
import { expectTensor } from '../tensor.ts'
import { warn } from '../warnings.ts'
import type { CrossEntropyOptions, NLLOptions } from './classification.ts'
import type { BinaryCrossEntropyWithLogitsOptions, HuberOptions, KLDivOptions, SmoothL1Options } from './loss.ts'
import type {
  GaussianNLLOptions,
  MarginOptions,
  MultiMarginOptions,
  PoissonNLLOptions,
  TripletMarginOptions,
  WeightedLossOptions,
} from './margin.ts'

/** Options of most losses. */
export interface LossOptions {
  /** 'mean' (default), 'sum', or 'none' for one loss per element. */
  readonly reduction?: Reduction
}

/** What losses have that have nothing else. */
export const REDUCTION: Known<LossOptions> = { reduction: 'any' }
// The same of the others, for the functions and for the modules.
export const HUBER: Known<HuberOptions> = { reduction: 'any', delta: 'number' }
export const SMOOTH_L1: Known<SmoothL1Options> = { reduction: 'any', beta: 'number' }
export const KL_DIV: Known<KLDivOptions> = { reduction: 'any', logTarget: 'boolean' }
export const WEIGHTED: Known<WeightedLossOptions> = { reduction: 'any', weight: 'any' }
export const LOGITS: Known<BinaryCrossEntropyWithLogitsOptions> = { reduction: 'any', weight: 'any', posWeight: 'any' }
export const LIKELIHOOD: Known<NLLOptions> = { reduction: 'any', weight: 'any', ignoreIndex: 'integer' }
export const CROSS_ENTROPY: Known<CrossEntropyOptions> = {
  reduction: 'any',
  weight: 'any',
  ignoreIndex: 'integer',
  labelSmoothing: 'number',
}
export const POISSON: Known<PoissonNLLOptions> = { reduction: 'any', logInput: 'boolean', full: 'boolean', eps: 'number' }
export const GAUSSIAN: Known<GaussianNLLOptions> = { reduction: 'any', full: 'boolean', eps: 'number' }
export const MARGIN: Known<MarginOptions> = { reduction: 'any', margin: 'number' }
export const TRIPLET: Known<TripletMarginOptions> = { reduction: 'any', margin: 'number', p: 'number', eps: 'number', swap: 'boolean' }
export const MULTI_MARGIN: Known<MultiMarginOptions> = { reduction: 'any', weight: 'any', p: 'any', margin: 'number' }

/** The reduction asked for, in options of which `known` are all there are. Errors: ArgumentError. */
export function reductionOf<O extends LossOptions>(op: string, options: O, known: Known<NoInfer<O>>): Reduction {
  checkOptions(op, options, known)
  const { reduction = 'mean' } = options
  if (reduction === 'mean' || reduction === 'sum' || reduction === 'none') return reduction
  throw new ArgumentError(`${String(reduction)} is not a valid value for reduction: ${op} expects 'mean', 'sum' or 'none'`, { op })
}

/** `loss` reduced by operations of their own, where torch composes, too. */
export function reduced(loss: Tensor, reduction: Reduction): Tensor {
  return reduction === 'mean' ? loss.mean() : reduction === 'sum' ? loss.sum() : loss
}

/** Input and target may have different shapes that broadcast: as a rule a mistake, so there is a warning. */
export function broadcastPair(op: string, input: Tensor, target: Tensor): void {
  expectTensor(op, input, 'the input')
  expectTensor(op, target, 'the target')
  if (sameShape(input.shape, target.shape)) return
  warn(
    `Using a target size (${show(target.shape)}) that is different to the input size (${show(input.shape)}). This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size. (${op})`,
  )
  broadcast(input.shape, target.shape, op)
}

/** Input and target must have one shape. */
export function samePair(op: string, input: Tensor, target: Tensor): void {
  expectTensor(op, input, 'the input')
  expectTensor(op, target, 'the target')
  if (sameShape(input.shape, target.shape)) return
  throw new ShapeError(
    `Using a target size (${show(target.shape)}) that is different to the input size (${show(input.shape)}): ${op}: Target size must be the same as input size; broadcast one explicitly with expand`,
    { op, shapes: [input.shape, target.shape] },
  )
}
