/** Losses of distributions and of margins between scores, distances and classes; all but one are compositions, as in torch. */
import { noGrad } from '../autograd/modes.ts'
import { ArgumentError, DTypeError, ShapeError, show, within } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { ElementwiseOp } from '../op/elementwise.ts'
import { type Context, type GeneralOp, general, vjp } from '../op/general.ts'
import { type Shape, sameShape } from '../shape.ts'
import { expectTensor, expectTensorOrNone, type TensorCore } from '../tensor.ts'
import { GAUSSIAN, type LossOptions, MARGIN, MULTI_MARGIN, POISSON, reduced, reductionOf, TRIPLET, WEIGHTED } from './lossOptions.ts'
import { pairwiseDistance } from './similarity.ts'

function expectTensors(op: string, tensors: Readonly<Record<string, unknown>>): void {
  for (const [name, t] of Object.entries(tensors)) expectTensor(op, t, `the ${name}`)
}

/** Options of `poissonNllLoss`. */
export interface PoissonNLLOptions extends LossOptions {
  /** The input is the logarithm of the rate. Default true. */
  readonly logInput?: boolean
  /** Add Stirling's approximation of ln(target!) for targets above 1. Default false. */
  readonly full?: boolean
  /** Added to a rate before its logarithm is taken. Default 1e-8. */
  readonly eps?: number
}

/**
 * The negated log-likelihood of counts under Poisson distributions: e^input − target·input, without ln(target!) unless `full`.
 * @example
 * poissonNllLoss(tensor([0, 1]), tensor([1, 2])) // tensor(0.8591)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.poisson_nll_loss.html
 */
export function poissonNllLoss(input: Tensor, target: Tensor, options: PoissonNLLOptions = {}): Tensor {
  expectTensors('poissonNllLoss', { input, target })
  const reduction = reductionOf('poissonNllLoss', options, POISSON)
  const { logInput = true, full = false, eps = 1e-8 } = options
  return within('poissonNllLoss', () => {
    const loss = logInput ? input.exp().sub(target.mul(input)) : input.sub(target.mul(input.add(eps).log()))
    return reduced(full ? loss.add(stirling(target).maskedFill(target.le(1), 0)) : loss, reduction)
  })
}

/** Stirling's approximation of ln(n!): n ln n − n + ½ ln 2πn. */
const stirling = (n: Tensor): Tensor =>
  n
    .mul(n.log())
    .sub(n)
    .add(
      n
        .mul(2 * Math.PI)
        .log()
        .mul(0.5),
    )

/** Options of `gaussianNllLoss`. */
export interface GaussianNLLOptions extends LossOptions {
  /** Add the constant ½ ln 2π. Default false. */
  readonly full?: boolean
  /** Variances below count as this. Default 1e-6. */
  readonly eps?: number
}

/** The greater of x and s, with the gradient of a copy. */
const atLeast = /* @__PURE__ */ new ElementwiseOp('clone', 1, {
  node: 'CloneBackward0',
  scalars: 1,
  value: (x, s) => x!.maximum(s!),
  vjp: [(g) => g],
})

/** The variance in a shape that broadcasts to the input's. */
function varianceFor(input: Tensor, variance: Tensor): Tensor {
  const [x, v] = [input.shape, variance.shape]
  if (sameShape(x, v)) return variance
  if (sameShape(x.slice(0, -1), v)) return variance.unsqueeze(-1)
  const differing = v.filter((n, d) => n !== x[d])
  if (x.length === v.length && differing.length === 1 && differing[0] === 1) return variance
  throw new ShapeError(
    `var is of incorrect size: gaussianNllLoss got a variance ${show(v)} for an input ${show(x)}; it may lack the last dim, or one dim may be 1`,
    { op: 'gaussianNllLoss', shapes: [x, v] },
  )
}

/**
 * The negated log-likelihood of targets under normal distributions with mean `input`: ½ (ln v + (input − target)²/v). The
 * gradient of a variance below `eps` is that at eps.
 * Errors: ArgumentError for a negative variance, ShapeError.
 * @example
 * nn.functional.gaussianNllLoss(tensor([1]), tensor([3]), tensor([4])) // tensor(1.1931)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.gaussian_nll_loss.html
 */
export function gaussianNllLoss(input: Tensor, target: Tensor, variance: Tensor | number, options: GaussianNLLOptions = {}): Tensor {
  expectTensors('gaussianNllLoss', { input, target })
  const reduction = reductionOf('gaussianNllLoss', options, GAUSSIAN)
  const given = typeof variance === 'number' ? input.onesLike().mul(variance) : variance
  expectTensor('gaussianNllLoss', given, 'the variance')
  let bare: TensorCore = given
  while (bare.wrap !== null) bare = bare.wrap.value
  if (noGrad(() => (bare as Tensor).lt(0).any().item()))
    throw new ArgumentError('var has negative entry/entries: gaussianNllLoss takes variances, not their logarithms', {
      op: 'gaussianNllLoss',
    })
  const { full = false, eps = 1e-6 } = options
  const fitting = varianceFor(input, given)
  return within('gaussianNllLoss', () => {
    const v = atLeast.call1(fitting, [eps]) as Tensor
    const loss = v.log().add(input.sub(target).pow(2).div(v)).mul(0.5)
    return reduced(full ? loss.add(0.5 * Math.log(2 * Math.PI)) : loss, reduction)
  })
}

/** Options of losses with a margin. */
export interface MarginOptions extends LossOptions {
  readonly margin?: number
}

/**
 * The input where the target is 1, max(0, margin − input) where it is −1; the sum of both for other targets. The margin is 1.
 * @example
 * nn.functional.hingeEmbeddingLoss(tensor([0.5, 0.25]), tensor([1, -1])).item() // 0.625
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.hinge_embedding_loss.html
 */
export function hingeEmbeddingLoss(input: Tensor, target: Tensor, options: MarginOptions = {}): Tensor {
  expectTensors('hingeEmbeddingLoss', { input, target })
  const reduction = reductionOf('hingeEmbeddingLoss', options, MARGIN)
  const { margin = 1 } = options
  return within('hingeEmbeddingLoss', () => {
    const apart = input.neg().add(margin).clampMin(0).where(target.ne(1), 0)
    return reduced(apart.add(input.where(target.ne(-1), 0)), reduction)
  })
}

/**
 * max(0, −target·(x1 − x2) + margin): target 1 asks for x1 above x2 by the margin (default 0), −1 for the opposite.
 * Errors: ShapeError for operands of different ranks.
 * @example
 * nn.functional.marginRankingLoss(tensor([1]), tensor([3]), tensor([1])).item() // 2
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.margin_ranking_loss.html
 */
export function marginRankingLoss(x1: Tensor, x2: Tensor, target: Tensor, options: MarginOptions = {}): Tensor {
  expectTensors('marginRankingLoss', { 'first input': x1, 'second input': x2, target })
  if (x1.ndim !== x2.ndim || x1.ndim !== target.ndim)
    throw new ShapeError(
      `margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: ${show(x1.shape)}, input2: ${show(x2.shape)}, target: ${show(target.shape)} (marginRankingLoss)`,
      { op: 'marginRankingLoss', shapes: [x1.shape, x2.shape, target.shape] },
    )
  const reduction = reductionOf('marginRankingLoss', options, MARGIN)
  const { margin = 0 } = options
  return within('marginRankingLoss', () => reduced(target.neg().mul(x1.sub(x2)).add(margin).clampMin(0), reduction))
}

/** Added to squared lengths: torch states it as a float32. */
const EPS: number = /* @__PURE__ */ Math.fround(1e-12)

/**
 * 1 − cos(x1, x2) for target 1, max(0, cos(x1, x2) − margin) for −1: x1 and x2 [n, d] with target [n], or [d] with a
 * target without dims. The margin is 0. Errors: ShapeError.
 * @example
 * nn.functional.cosineEmbeddingLoss(tensor([[1, 0]]), tensor([[0, 1]]), tensor([1])).item() // 1
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cosine_embedding_loss.html
 */
export function cosineEmbeddingLoss(x1: Tensor, x2: Tensor, target: Tensor, options: MarginOptions = {}): Tensor {
  const op = 'cosineEmbeddingLoss'
  expectTensors(op, { 'first input': x1, 'second input': x2, target })
  const rank = target.ndim
  const shapes = [x1.shape, x2.shape, target.shape]
  if (rank > 1)
    throw new ShapeError(`0D or 1D target tensor expected, multi-target not supported: ${op} got ${show(target.shape)}`, { op, shapes })
  if (x1.ndim !== rank + 1 || x2.ndim !== rank + 1)
    throw new ShapeError(
      `${rank}D target tensor expects ${rank + 1}D input tensors, but found inputs with sizes ${show(x1.shape)} and ${show(x2.shape)}. (${op})`,
      { op, shapes },
    )
  const reduction = reductionOf(op, options, MARGIN)
  const { margin = 0 } = options
  const square = (x: Tensor): Tensor => x.mul(x).sum(rank).add(EPS)
  return within(op, () => {
    const cosine = x1
      .mul(x2)
      .sum(rank)
      .div(square(x1).mul(square(x2)).sqrt())
    const near = cosine.neg().add(1).where(target.eq(1), 0)
    const apart = cosine.sub(margin).clampMin(0).where(target.eq(-1), 0)
    return reduced(near.add(apart), reduction)
  })
}

/** Options of `tripletMarginLoss`. */
export interface TripletMarginOptions extends MarginOptions {
  /** Which norm. Default 2. */
  readonly p?: number
  /** Added to every coordinate of a difference. Default 1e-6. */
  readonly eps?: number
  /** The negative's distance is the lesser of those from anchor and positive. Default false. */
  readonly swap?: boolean
}

/**
 * max(0, ‖anchor − positive‖ − ‖anchor − negative‖ + margin), for vectors in the last dim. The margin is 1.
 * Errors: ShapeError for different ranks, ArgumentError for a margin ≤ 0.
 * @example
 * nn.functional.tripletMarginLoss(tensor([[0, 0]]), tensor([[0, 1]]), tensor([[0, 1.5]])) // tensor(0.5000)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.triplet_margin_loss.html
 */
export function tripletMarginLoss(anchor: Tensor, positive: Tensor, negative: Tensor, options: TripletMarginOptions = {}): Tensor {
  const op = 'tripletMarginLoss'
  expectTensors(op, { anchor, positive, negative })
  const reduction = reductionOf(op, options, TRIPLET)
  const { margin = 1, p = 2, eps = 1e-6, swap = false } = options
  if (!(margin > 0)) throw new ArgumentError(`margin must be greater than 0, got ${margin} (${op})`, { op })
  if (anchor.ndim !== positive.ndim || anchor.ndim !== negative.ndim)
    throw new ShapeError(
      `The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: anchor ${anchor.ndim}D, positive ${positive.ndim}D, and negative ${negative.ndim}D inputs (${op})`,
      { op, shapes: [anchor.shape, positive.shape, negative.shape] },
    )
  return within(op, () => {
    const near = pairwiseDistance(anchor, positive, { p, eps })
    const direct = pairwiseDistance(anchor, negative, { p, eps })
    const far = swap ? direct.minimum(pairwiseDistance(positive, negative, { p, eps })) : direct
    return reduced(near.add(margin).sub(far).clampMin(0), reduction)
  })
}

/** Options of losses with a factor per class. */
export interface WeightedLossOptions extends LossOptions {
  /** A factor per class. */
  readonly weight?: Tensor | null
}

const logSigmoidOf = (x: Tensor): Tensor => x.minimum(0).sub(x.abs().neg().exp().log1p())

/**
 * Cross-entropy of σ(input) against targets in [0, 1] of the same shape, averaged over the classes, which are the last dim.
 * @example
 * nn.functional.multilabelSoftMarginLoss(tensor([[0, 0]]), tensor([[0, 1]])) // tensor(0.6931)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.multilabel_soft_margin_loss.html
 */
export function multilabelSoftMarginLoss(input: Tensor, target: Tensor, options: WeightedLossOptions = {}): Tensor {
  const op = 'multilabelSoftMarginLoss'
  expectTensors(op, { input, target })
  const reduction = reductionOf(op, options, WEIGHTED)
  const { weight } = options
  expectTensorOrNone(op, weight, 'the weight')
  return within(op, () => {
    const each = target
      .mul(logSigmoidOf(input))
      .add(target.neg().add(1).mul(logSigmoidOf(input.neg())))
      .neg()
    const loss = weight ? each.mul(weight) : each
    return reduced(loss.sum(-1).div(input.shape.at(-1)!), reduction)
  })
}

interface MultiMargin {
  readonly p: 1 | 2
  readonly margin: number
  readonly weighted: boolean
  readonly reduction: 'mean' | 'sum' | 'none'
  readonly shape: Shape
}

/** margin − x[t] + x[i] for every other class i of scores [n, classes], and whether it costs. */
function excess(x: Tensor, target: Tensor, margin: number): { z: Tensor; costs: Tensor; index: Tensor } {
  const index = target.unsqueeze(-1)
  const z = x.sub(x.gather(-1, index)).add(margin)
  const other = x.detach().onesLike().scatter(-1, index, 0)
  return { z, costs: z.gt(0).logicalAnd(other.ne(0)), index }
}

/** The weight of every example's target class, as a column. */
const shares = (weight: Tensor, index: Tensor): Tensor => weight.detach().indexSelect(0, index.flatten()).reshape(index.shape)

const multiMarginOp: GeneralOp<MultiMargin> = /* @__PURE__ */ general('multiMarginLoss', {
  node: 'MultiMarginLossBackward0',
  forward: (inputs, { p, margin, reduction, shape }) =>
    noGrad((): TensorCore => {
      const [x, target, weight] = inputs as [Tensor, Tensor, Tensor | undefined]
      const { z, costs, index } = excess(x, target, margin)
      const terms = (p === 1 ? z : z.mul(z)).where(costs, 0)
      const each = (weight === undefined ? terms : terms.mul(shares(weight, index))).sum(-1).div(x.shape[1]!)
      return reduced(each.reshape(reduction === 'none' ? shape : each.shape), reduction)
    }),
  vjp: [vjp([0, 1, 2], (g, c) => multiMarginSlope(g, c)), null, null],
})

function multiMarginSlope(g: Tensor, c: Context<MultiMargin>): Tensor {
  const { p, margin, reduction } = c.p
  const [n, classes] = c.shapeOf(0) as readonly [number, number]
  const { z, costs, index } = excess(c.in(0), c.in(1), margin)
  const even = (reduction === 'none' ? g.reshape([n, 1]) : g.expand([n, 1])).div(classes * (reduction === 'mean' ? n : 1))
  const each = c.p.weighted ? even.mul(shares(c.in(2), index)) : even
  const terms = (p === 1 ? each.expand([n, classes]) : z.mul(2).mul(each)).where(costs, 0)
  return terms.scatterAdd(-1, index, terms.sum(-1, { keepdim: true }).neg())
}

/** Options of `multiMarginLoss`. */
export interface MultiMarginOptions extends WeightedLossOptions {
  /** The power of an excess, 1 or 2. Default 1. */
  readonly p?: 1 | 2
  /** Default 1. */
  readonly margin?: number
}

/**
 * Σ over the classes i beside the target t of max(0, margin − input[t] + input[i])ᵖ / classes, for an input [n, classes] or
 * [classes] and class numbers [n] or [] (int32).
 * Errors: ArgumentError for a p that is neither 1 nor 2, IndexError for a target that is no class, ShapeError, DTypeError.
 * @example
 * nn.functional.multiMarginLoss(tensor([[0.5, 0.25]]), tensor([0], { dtype: 'int32' })).item() // 0.375
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.multi_margin_loss.html
 */
export function multiMarginLoss(input: Tensor, target: Tensor, options: MultiMarginOptions = {}): Tensor {
  const op = 'multiMarginLoss'
  expectTensors(op, { input, target })
  const reduction = reductionOf(op, options, MULTI_MARGIN)
  const { p = 1, margin = 1, weight } = options
  expectTensorOrNone(op, weight, 'the weight')
  if (p !== 1 && p !== 2) throw new ArgumentError(`only p == 1 and p == 2 supported, ${op} got ${String(p)}`, { op })
  if (weight && weight.ndim !== 1)
    throw new ShapeError(`weight must be one-dimensional, ${op} got ${show(weight.shape)}`, { op, shapes: [weight.shape] })
  const { shape } = input
  if (shape.length === 0 || shape.length > 2 || shape.at(-1) === 0)
    throw new ShapeError(`Expected non-empty vector or matrix with optional 0-dim batch size, but got: ${show(shape)} (${op})`, {
      op,
      shapes: [shape],
    })
  const n = shape.length === 1 ? 1 : shape[0]!
  const classes = shape.at(-1)!
  if (target.ndim > 1 || target.numel() !== n)
    throw new ShapeError(`inconsistent target size, expected ${n} but got ${show(target.shape)} (${op})`, {
      op,
      shapes: [shape, target.shape],
    })
  if (weight && weight.shape[0] !== classes)
    throw new ShapeError(`inconsistent weight size, expected ${classes} but got ${show(weight.shape)} (${op})`, {
      op,
      shapes: [shape, weight.shape],
    })
  if (!input.dt.floating || target.dt.category !== 1)
    throw new DTypeError(`expected scalar type Long but found ${target.dtype}: ${op} takes a float input and class numbers (int32)`, {
      op,
      dtypes: [input.dtype, target.dtype],
    })
  const rows = [input.reshape([n, classes]), target.to('int32').reshape([n])]
  return multiMarginOp.one(weight ? [...rows, weight] : rows, { p, margin, weighted: Boolean(weight), reduction, shape: target.shape })
}
