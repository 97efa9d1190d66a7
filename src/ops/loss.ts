/** Losses that compare element by element. */
import type { Arith } from '../backend/scalar.ts'
import { ArgumentError, within } from '../errors.ts'
import { reduce } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { ElementwiseOp } from '../op/elementwise.ts'
import { type FoldedOp, type FoldedRecord, folded, type Reduction } from '../op/folded.ts'
import { checkOptions } from '../options.ts'
import { expectTensor, expectTensorOrNone, readAll, type TensorCore } from '../tensor.ts'
import { warnOnce } from '../warnings.ts'
import {
  broadcastPair,
  HUBER,
  KL_DIV,
  LOGITS,
  type LossOptions,
  REDUCTION,
  reduced,
  reductionOf,
  SMOOTH_L1,
  samePair,
  WEIGHTED,
} from './lossOptions.ts'

export type { Reduction } from '../op/folded.ts'
export type { LossOptions } from './lossOptions.ts'

const mseOp: FoldedOp = /* @__PURE__ */ folded('mseLoss', {
  node: 'MseLossBackward0',
  inputs: 2,
  value: ([a, b]) => a!.sub(b!).mul(a!.sub(b!)),
  vjp: [(g, [a, b]) => g.mul(a!.sub(b!).mul(2)), (g, [a, b]) => g.mul(b!.sub(a!).mul(2))],
})

/**
 * (input − target)², for shapes that broadcast together (with a warning if they differ).
 * Errors: ShapeError, ArgumentError for an unknown reduction.
 * @example
 * mseLoss(tensor([1, 2]), tensor([0, 4])) // tensor(2.5000)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.mse_loss.html
 */
export function mseLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  broadcastPair('mseLoss', input, target)
  return mseOp.call([input, target], reductionOf('mseLoss', options, REDUCTION))
}

/**
 * |input − target|, for shapes that broadcast together (with a warning if they differ).
 * @example
 * nn.functional.l1Loss(tensor([1, 2]), tensor([0, 4])).item() // 1.5
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.l1_loss.html
 */
export function l1Loss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  broadcastPair('l1Loss', input, target)
  const reduction = reductionOf('l1Loss', options, REDUCTION)
  return within('l1Loss', () => reduced(input.sub(target).abs(), reduction))
}

/** d within ±limit, else ±limit. */
const limited = <V extends Arith<V>>(d: V, limit: V | number): V => d.where(d.abs().ge(limit).logicalNot(), d.sign().mul(limit))

const huberOp: FoldedOp = /* @__PURE__ */ folded('huberLoss', {
  node: 'HuberLossBackward0',
  inputs: 2,
  scalars: 1,
  value: ([a, b], [delta]) => {
    const d = a!.sub(b!).abs()
    return d
      .mul(d)
      .mul(0.5)
      .where(d.le(delta!), d.sub(delta!.mul(0.5)).mul(delta!))
  },
  vjp: [(g, [a, b], [delta]) => g.mul(limited(a!.sub(b!), delta!)), (g, [a, b], [delta]) => g.mul(limited(b!.sub(a!), delta!))],
})

/** Options of `huberLoss`. */
export interface HuberOptions extends LossOptions {
  /** The distance from which on the loss is linear. Default 1. */
  readonly delta?: number
}

/**
 * (input − target)²/2 up to a distance of `delta`, linear beyond.
 * Errors: ArgumentError for delta ≤ 0.
 * @example
 * nn.functional.huberLoss(tensor([0, 3]), tensor([1, 1])).item() // 1
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.huber_loss.html
 */
export function huberLoss(input: Tensor, target: Tensor, options: HuberOptions = {}): Tensor {
  broadcastPair('huberLoss', input, target)
  const reduction = reductionOf('huberLoss', options, HUBER)
  const { delta = 1 } = options
  if (!(delta > 0))
    throw new ArgumentError(`huber_loss does not support non-positive values for delta: huberLoss got ${delta}`, { op: 'huberLoss' })
  return huberOp.call([input, target], reduction, [delta])
}

const smoothL1Op: FoldedOp = /* @__PURE__ */ folded('smoothL1Loss', {
  node: 'SmoothL1LossBackward0',
  inputs: 2,
  scalars: 1,
  value: ([a, b], [beta]) => {
    const d = a!.sub(b!).abs()
    return d
      .mul(d)
      .mul(0.5)
      .div(beta!)
      .where(d.lt(beta!), d.sub(beta!.mul(0.5)))
  },
  vjp: [
    (g, [a, b], [beta]) => g.mul(limited(a!.sub(b!), beta!)).div(beta!),
    (g, [a, b], [beta]) => g.mul(limited(b!.sub(a!), beta!)).div(beta!),
  ],
})

/** Options of `smoothL1Loss`. */
export interface SmoothL1Options extends LossOptions {
  /** The distance from which on the loss is linear. Default 1. */
  readonly beta?: number
}

/**
 * Huber's loss over `beta`: slope ±1 beyond a distance of beta.
 * Errors: ArgumentError for beta < 0.
 * @example
 * nn.functional.smoothL1Loss(tensor([0, 3]), tensor([1, 1])).item() // 1
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.smooth_l1_loss.html
 */
export function smoothL1Loss(input: Tensor, target: Tensor, options: SmoothL1Options = {}): Tensor {
  broadcastPair('smoothL1Loss', input, target)
  const reduction = reductionOf('smoothL1Loss', options, SMOOTH_L1)
  const { beta = 1 } = options
  if (beta === 0) return within('smoothL1Loss', () => reduced(input.sub(target).abs(), reduction))
  if (!(beta > 0))
    throw new ArgumentError(`smooth_l1_loss does not support negative values for beta: smoothL1Loss got ${beta}`, { op: 'smoothL1Loss' })
  return smoothL1Op.call([input, target], reduction, [beta])
}

/** ln(1 + eᶻ) without overflow. */
const softplusOf = <V extends Arith<V>>(z: V): V => z.maximum(0).add(z.abs().neg().exp().log1p())

const softMarginOp: FoldedOp = /* @__PURE__ */ folded('softMarginLoss', {
  node: 'SoftMarginLossBackward0',
  inputs: 2,
  value: ([x, t]) => softplusOf(x!.mul(t!).neg()),
  vjp: [(g, [x, t]) => g.mul(t!.neg().mul(x!.mul(t!).neg().sigmoid())), null],
})

/**
 * ln(1 + e^(−target·input)) for targets ±1.
 * @example
 * nn.functional.softMarginLoss(tensor([0, 2]), tensor([1, -1])) // tensor(1.4100)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.soft_margin_loss.html
 */
export function softMarginLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  samePair('softMarginLoss', input, target)
  return softMarginOp.call([input, target], reductionOf('softMarginLoss', options, REDUCTION))
}

/** Options of `klDiv`. */
export interface KLDivOptions {
  /** 'mean' (default) divides by the number of elements, 'batchmean' by the size of dim 0, as the divergence is defined. */
  readonly reduction?: Reduction | 'batchmean'
  /** The target holds logarithms, too. */
  readonly logTarget?: boolean
}

/**
 * Kullback–Leibler divergence, target·(ln target − input), for an input of logarithms of probabilities; terms of target 0 are 0.
 * @example
 * nn.functional.klDiv(tensor([[0.5, 0.5]]).log(), tensor([[0.25, 0.75]]), { reduction: 'batchmean' }) // tensor(0.1308)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.kl_div.html
 */
export function klDiv(input: Tensor, target: Tensor, options: KLDivOptions = {}): Tensor {
  expectTensor('klDiv', input, 'the input')
  expectTensor('klDiv', target, 'the target')
  checkOptions('klDiv', options, KL_DIV)
  const { reduction = 'mean', logTarget = false } = options
  if (reduction === 'mean')
    warnOnce(
      "klDiv: reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides only by the batch size, and aligns with the KL div math definition.",
    )
  const by = reduction === 'batchmean' ? 'sum' : reductionOf('klDiv', { reduction }, REDUCTION)
  return within('klDiv', () => {
    const terms = logTarget ? target.exp().mul(target.sub(input)) : target.mul(target.log()).where(target.ne(0), 0).sub(target.mul(input))
    const loss = reduced(terms, by)
    return reduction !== 'batchmean' || input.ndim === 0 ? loss : loss.div(input.shape[0]!)
  })
}

/** Options of `binaryCrossEntropy`. */
export interface BinaryCrossEntropyOptions extends LossOptions {
  /** A factor per element, broadcast to the input. */
  readonly weight?: Tensor | null
}

/** Options of `binaryCrossEntropyWithLogits`. */
export interface BinaryCrossEntropyWithLogitsOptions extends BinaryCrossEntropyOptions {
  /** A factor of positive examples, broadcast to the input. */
  readonly posWeight?: Tensor | null
}

const PROBABILITIES = 'all elements of input should be between 0 and 1'

/** Refuses an input that isn't probabilities; NaN is none. */
function checkProbabilities([x]: readonly TensorCore[]): void {
  if (x!.layout.numel === 0) return
  const dims = x!.layout.shape.map((_, d) => d)
  const least = readAll(reduce('min', x!, dims, false, null))[0]!
  const most = readAll(reduce('max', x!, dims, false, null))[0]!
  if (least >= 0 && most <= 1) return
  throw new ArgumentError(
    `${PROBABILITIES}: binaryCrossEntropy got ${least >= 0 ? most : least}; for scores use binaryCrossEntropyWithLogits`,
    { op: 'binaryCrossEntropy' },
  )
}

const EPS = 1e-12
/** The least product x·(1 − x): torch states it as a float32. */
const LEAST: number = /* @__PURE__ */ Math.fround(EPS)
const spread = <V extends Arith<V>>(x: V): V => x.add(EPS).mul(x.neg().add(1 + EPS))

/** The gradient of a probability, whose own derivatives keep away from 0 and 1 by adding, as torch's do. */
const bceSlope = /* @__PURE__ */ new ElementwiseOp('binaryCrossEntropyBackward', 3, {
  node: 'BinaryCrossEntropyBackwardBackward0',
  value: (g, x, t) => g!.mul(x!.sub(t!).div(x!.mul(x!.neg().add(1)).maximum(LEAST))),
  vjp: [
    (h, { b, c }) => h.mul(b.sub(c).div(spread(b))),
    (h, { a, b, c }) =>
      h.mul(a).mul(
        b
          .mul(b)
          .sub(b.mul(c).mul(2))
          .add(c)
          .div(spread(b).mul(spread(b))),
      ),
    (h, { a, b }) =>
      h
        .mul(a)
        .neg()
        .div(b.mul(b.neg().add(1))),
  ],
})

/** Logarithms are cut off at −100, so that a certain mistake costs much but not infinitely much. */
const bceRecord = (inputs: 2 | 3): FoldedRecord => ({
  node: 'BinaryCrossEntropyBackward0',
  inputs,
  check: checkProbabilities,
  value: ([x, t, w]) => {
    const loss = t!
      .sub(1)
      .mul(x!.neg().log1p().maximum(-100))
      .sub(t!.mul(x!.log().maximum(-100)))
    return w === undefined ? loss : loss.mul(w)
  },
  vjp: [
    (g, [x, t, w]) => {
      const slope = g.mul(x!.sub(t!).div(x!.mul(x!.neg().add(1)).maximum(LEAST)))
      return w === undefined ? slope : slope.mul(w)
    },
    (g, [x, , w]) => {
      const slope = g.mul(x!.neg().log1p().sub(x!.log()))
      return w === undefined ? slope : slope.mul(w)
    },
    null,
  ],
  again: [
    (g, [x, t, w]) => {
      const slope = bceSlope.call3(g, x!, t!, null) as Tensor
      return w === undefined ? slope : slope.mul(w)
    },
  ],
})
const bceOp: FoldedOp = /* @__PURE__ */ folded('binaryCrossEntropy', /* @__PURE__ */ bceRecord(2))
const bceWeightedOp: FoldedOp = /* @__PURE__ */ folded('binaryCrossEntropy', /* @__PURE__ */ bceRecord(3))

/**
 * Cross-entropy of probabilities `input` against targets in [0, 1] of the same shape.
 * Errors: ArgumentError for an input outside of [0, 1], ShapeError.
 * @example
 * nn.functional.binaryCrossEntropy(tensor([0.5, 0.5]), tensor([0, 1])) // tensor(0.6931)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy.html
 */
export function binaryCrossEntropy(input: Tensor, target: Tensor, options: BinaryCrossEntropyOptions = {}): Tensor {
  samePair('binaryCrossEntropy', input, target)
  const reduction = reductionOf('binaryCrossEntropy', options, WEIGHTED)
  const { weight } = options
  expectTensorOrNone('binaryCrossEntropy', weight, 'the weight')
  if (!weight) return bceOp.call([input, target], reduction)
  const weights = within('binaryCrossEntropy', () => weight.expand(input.shape))
  return bceWeightedOp.call([input, target, weights], reduction)
}

/** ln σ(x), which is −ln(1 + e⁻ˣ). */
const logSigmoidOf = <V extends Arith<V>>(x: V): V => x.minimum(0).sub(x.abs().neg().exp().log1p())

/** (1 − t)·x − (1 + (p − 1)·t)·ln σ(x), where p is the factor of positive examples. */
function logitsRecord(weighted: boolean, positive: boolean): FoldedRecord {
  const rest = <V>(x: readonly V[]): { w: V | undefined; p: V | undefined } => ({
    w: weighted ? x[2] : undefined,
    p: positive ? x[weighted ? 3 : 2] : undefined,
  })
  const times = <V extends Arith<V>>(v: V, w: V | undefined): V => (w === undefined ? v : v.mul(w))
  return {
    node: 'BinaryCrossEntropyWithLogitsBackward0',
    inputs: 2 + Number(weighted) + Number(positive),
    value: (x) => {
      const [a, t] = x
      const { w, p } = rest(x)
      const log = logSigmoidOf(a!)
      return times(
        t!
          .neg()
          .add(1)
          .mul(a!)
          .sub(p === undefined ? log : p.sub(1).mul(t!).add(1).mul(log)),
        w,
      )
    },
    vjp: [
      (g, x) => {
        const [a, t] = x
        const { w, p } = rest(x)
        if (p === undefined) return times(g.mul(a!.sigmoid().sub(t!)), w)
        const pt = p.mul(t!)
        return times(g.mul(pt.add(1).sub(t!).mul(a!.sigmoid()).sub(pt)), w)
      },
      (g, x) => {
        const a = x[0]!
        const { w, p } = rest(x)
        return times(g.mul(p === undefined ? a.neg() : logSigmoidOf(a.neg()).sub(p.mul(logSigmoidOf(a)))), w)
      },
      null,
      null,
    ],
  }
}
const logitsOp: FoldedOp = /* @__PURE__ */ folded('binaryCrossEntropyWithLogits', /* @__PURE__ */ logitsRecord(false, false))
const logitsWeightedOp: FoldedOp = /* @__PURE__ */ folded('binaryCrossEntropyWithLogits', /* @__PURE__ */ logitsRecord(true, false))
const logitsPositiveOp: FoldedOp = /* @__PURE__ */ folded('binaryCrossEntropyWithLogits', /* @__PURE__ */ logitsRecord(false, true))
const logitsBothOp: FoldedOp = /* @__PURE__ */ folded('binaryCrossEntropyWithLogits', /* @__PURE__ */ logitsRecord(true, true))

/**
 * Cross-entropy of σ(input) against targets in [0, 1] of the same shape, without overflow.
 * @example
 * binaryCrossEntropyWithLogits(tensor([0, 1000]), tensor([0, 1])) // tensor(0.3466)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy_with_logits.html
 */
export function binaryCrossEntropyWithLogits(input: Tensor, target: Tensor, options: BinaryCrossEntropyWithLogitsOptions = {}): Tensor {
  samePair('binaryCrossEntropyWithLogits', input, target)
  const reduction = reductionOf('binaryCrossEntropyWithLogits', options, LOGITS)
  const { weight, posWeight } = options
  expectTensorOrNone('binaryCrossEntropyWithLogits', weight, 'the weight')
  expectTensorOrNone('binaryCrossEntropyWithLogits', posWeight, 'the weight of positive examples')
  if (weight && posWeight) return logitsBothOp.call([input, target, weight, posWeight], reduction)
  if (weight) return logitsWeightedOp.call([input, target, weight], reduction)
  if (posWeight) return logitsPositiveOp.call([input, target, posWeight], reduction)
  return logitsOp.call([input, target], reduction)
}
