/** Losses over classes: the negated log-likelihood and cross-entropy. Labels are read by kernels only. */
import type { FloatType } from '../backend/backend.ts'
import { crossEntropyBackward, crossEntropy as crossEntropyJob } from '../backend/jobs/crossEntropy.ts'
import { dtypes } from '../dtype.ts'
import { ArgumentError, DTypeError, IndexError, ShapeError, show, within } from '../errors.ts'
import { backend, cast, contiguous, full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { workspace } from '../memory/collector.ts'
import type { Owner } from '../memory/storage.ts'
import { ElementwiseOp } from '../op/elementwise.ts'
import type { Reduction } from '../op/folded.ts'
import { followed } from '../op/follow.ts'
import { type Context, emptyLike, type GeneralOp, general, OUT, vjp } from '../op/general.ts'
import { numel, type Shape, sameShape } from '../shape.ts'
import { type ArrayLike, address, empty, expectTensor, expectTensorOrNone, readAll, TensorCore } from '../tensor.ts'
import { CROSS_ENTROPY, LIKELIHOOD, type LossOptions, reduced, reductionOf, samePair } from './lossOptions.ts'

/** Options of `nllLoss`. */
export interface NLLOptions extends LossOptions {
  /** A factor per class. */
  readonly weight?: Tensor | null
  /** Targets of this number don't count. Default −100. */
  readonly ignoreIndex?: number
}

/** Options of `crossEntropy`. */
export interface CrossEntropyOptions extends NLLOptions {
  /** Share of the uniform distribution mixed into the target, 0 to 1. Default 0. */
  readonly labelSmoothing?: number
}

interface Likelihood {
  readonly op: string
  readonly node: string
  readonly reduction: Reduction
  readonly ignore: number
  /** The input is scores: log-softmax is meant. */
  readonly scores: boolean
  readonly weighted: boolean
  /** Where the classes are, and the sizes around. */
  readonly dim: number
  readonly outer: number
  readonly classes: number
  readonly inner: number
  /** The shape of one loss per example. */
  readonly shape: Shape
}

const PAIR: Layout = /* @__PURE__ */ Layout.of([2])
const SINGLE: Layout = /* @__PURE__ */ Layout.of([])
/** The second number of a pair. */
const SECOND: Layout = /* @__PURE__ */ SINGLE.at(1)

const labels = (target: TensorCore, owner: Owner | null): ArrayLike =>
  target.dt === dtypes.int32 ? contiguous(target, owner) : cast(contiguous(target, owner), dtypes.int32, owner)

/** The loss, what a mean divides by, and for scores the statistics of each example: its maximum and ln Σ e^(x − maximum). */
function forward([x, target, weight]: readonly TensorCore[], p: Likelihood, owner: Owner | null): TensorCore[] {
  const from = contiguous(x!, owner)
  const at = labels(target!, owner)
  const factors = weight === undefined ? undefined : contiguous(weight, owner)
  const { dt } = from
  const samples = p.outer * p.inner
  const result = empty(PAIR, dt, owner)
  const each = p.reduction === 'none' ? empty(Layout.of(p.shape), dt, owner) : undefined
  const stats = p.scores ? empty(Layout.of([2, samples]), dt, owner) : undefined
  const wrong = backend().job(crossEntropyJob, dt.name as FloatType)(
    p.outer,
    p.classes,
    p.inner,
    address(from),
    stats === undefined ? 0 : stats.storage.ptr,
    address(at),
    factors === undefined ? 0 : address(factors),
    p.ignore,
    each === undefined ? 0 : each.storage.ptr,
    result.storage.ptr,
    p.reduction === 'mean' ? 1 : 0,
  )
  if (wrong !== 0) {
    throw new IndexError(
      `Target ${readAll(at)[wrong - 1]} is out of bounds: ${p.op} has ${p.classes} classes, 0 to ${p.classes - 1} (and ${p.ignore} for examples that don't count)`,
      { op: p.op },
    )
  }
  const total = new TensorCore(result.storage, SECOND, dt)
  const loss = each ?? new TensorCore(result.storage, SINGLE, dt)
  return stats === undefined ? [loss, total] : [loss, total, stats]
}

/** The gradient of the input by one kernel. */
function slope(g: TensorCore, c: Context<Likelihood>): TensorCore {
  const { p } = c
  const { owner } = g.storage
  const x = c.in(0)
  const from = contiguous(g, owner)
  const scores = p.scores ? contiguous(x, owner) : null
  const at = labels(c.in(1), owner)
  const factors = p.weighted ? contiguous(c.in(2), owner) : null
  const out = emptyLike(x, owner)
  const work = workspace(p.outer * p.inner * x.dt.bytes)
  backend().job(crossEntropyBackward, x.dt.name as FloatType)(
    p.outer,
    p.classes,
    p.inner,
    scores === null ? 0 : address(scores),
    p.scores ? address(c.out(2)) : 0,
    address(at),
    factors === null ? 0 : address(factors),
    p.ignore,
    address(from),
    p.reduction === 'none' ? x.dt.bytes : 0,
    p.reduction === 'mean' ? address(c.out(1)) : 0,
    work,
    out.storage.ptr,
  )
  return out
}

/** The same in public operations: c·(softmax − 1ₜ), where c = g·w[t], over the sum of weights for a mean. */
function slopeOf(g: Tensor, c: Context<Likelihood>): Tensor {
  const { p } = c
  const target = c.in(1).to('int32')
  const live = target.ne(p.ignore)
  const index = target.where(live, 0)
  const share = p.weighted ? c.in(2).detach().indexSelect(0, index.flatten()).reshape(index.shape) : null
  const even = p.reduction === 'mean' ? g.div(c.out(1).detach()) : g
  const each = (share === null ? even.expand(index.shape) : even.mul(share)).where(live, 0).unsqueeze(p.dim)
  const base = p.scores ? c.in(0).softmax(p.dim).mul(each) : (full(c.shapeOf(0), 0, g.dt, null) as Tensor)
  return base.scatterAdd(p.dim, index.unsqueeze(p.dim), each.neg())
}

const likelihoodOp: GeneralOp<Likelihood> = /* @__PURE__ */ general('nllLoss', {
  node: (p) => p.node,
  forward,
  vjp: [
    vjp([0, 1, 2, OUT - 1, OUT - 2], (_g, c, gs) => {
      const g = gs[0]
      if (g === null || g === undefined) return null
      const follow = followed(g) || followed(c.in(0)) || followed(c.in(1)) || (c.p.weighted && followed(c.in(2)))
      return follow ? slopeOf(g, c) : (slope(g, c) as Tensor)
    }),
    null,
    null,
  ],
})

/** Checks the operands as torch does and computes: from scores with `scores`, else from log-probabilities. */
function likelihood(op: string, input: Tensor, target: Tensor, options: NLLOptions, reduction: Reduction, scores: boolean): Tensor {
  const { weight, ignoreIndex = -100 } = options
  expectTensorOrNone(op, weight, 'the weight')
  const { shape } = input
  const rank = shape.length
  if (rank === 0) throw new ShapeError(`Expected 1 or more dimensions (got 0): ${op} takes an input [n, classes, …] or [classes]`, { op })
  if (!input.dt.floating) {
    throw new DTypeError(`"nll_loss_out_frame" not implemented for '${input.dtype}': ${op} takes a float input`, {
      op,
      dtypes: [input.dtype],
    })
  }
  if (target.dt.category !== 1) {
    throw new DTypeError(
      `expected scalar type Long but found ${target.dtype}: ${op} takes class numbers of dtype int32 as target; convert with to('int32')`,
      {
        op,
        dtypes: [target.dtype],
      },
    )
  }
  const dim = rank === 1 ? 0 : 1
  const classes = shape[dim]!
  const expected = rank === 1 ? [] : [shape[0]!, ...shape.slice(2)]
  if (rank > 1 && target.shape[0] !== shape[0]) {
    throw new ShapeError(
      `Expected input batch_size (${shape[0]}) to match target batch_size (${target.shape[0] ?? 'none'}): ${op} got an input ${show(shape)} and a target ${show(target.shape)}`,
      { op, shapes: [shape, target.shape] },
    )
  }
  if (!sameShape(target.shape, expected)) {
    throw new ShapeError(`Expected target size ${show(expected)}, got ${show(target.shape)}: ${op} with an input of size ${show(shape)}`, {
      op,
      shapes: [shape, target.shape],
    })
  }
  if (weight && !sameShape(weight.shape, [classes])) {
    throw new ShapeError(
      `weight tensor should be defined either for all ${classes} classes or no classes but got weight tensor of shape: ${show(weight.shape)} (${op})`,
      { op, shapes: [shape, weight.shape] },
    )
  }
  if (weight && weight.dt !== input.dt) {
    throw new DTypeError(`expected scalar type ${input.dtype} but found ${weight.dtype} for the weight of ${op}`, {
      op,
      dtypes: [input.dtype, weight.dtype],
    })
  }
  // Torch brings all ranks but 1, 2 and 4 to 4, and the losses of examples back by a view.
  const reshaped = reduction === 'none' && rank > 2 && rank !== 4
  const inner = numel(shape.slice(2))
  const p: Likelihood = {
    op,
    node: rank <= 2 ? 'NllLossBackward0' : 'NllLoss2DBackward0',
    reduction,
    ignore: ignoreIndex,
    scores,
    weighted: Boolean(weight),
    dim,
    outer: rank === 1 ? 1 : shape[0]!,
    classes,
    inner,
    shape: expected,
  }
  const [loss] = likelihoodOp.call(weight ? [input, target, weight] : [input, target], p) as [Tensor]
  return reshaped ? loss.view(expected) : loss
}

/**
 * −weight[t]·input[t] for each target t: `input` [n, classes, …] or [classes] of log-probabilities, `target` [n, …] or [] of class
 * numbers (int32). A mean divides by the sum of the targets' weights.
 * Errors: IndexError for a target that is no class, ShapeError, DTypeError.
 * @example
 * nllLoss(tensor([[-1, -2], [-3, -4]]), tensor([0, 1], { dtype: 'int32' })) // tensor(2.5000)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.nll_loss.html
 */
export function nllLoss(input: Tensor, target: Tensor, options: NLLOptions = {}): Tensor {
  expectTensor('nllLoss', input, 'the input')
  expectTensor('nllLoss', target, 'the target')
  return likelihood('nllLoss', input, target, options, reductionOf('nllLoss', options, LIKELIHOOD), false)
}

/** Division by a number as torch's C++ records it. */
const divideByNumber = /* @__PURE__ */ new ElementwiseOp('div', 1, {
  node: 'DivBackward1',
  scalars: 1,
  value: (x, s) => x!.div(s!),
  vjp: [(g, { s }) => g.div(s[0]!)],
})

/**
 * Cross-entropy of softmax(input) over dim 1 (dim 0 of a single example): against class numbers (int32, [n, …]) in one kernel,
 * or against class probabilities (floats of the input's shape).
 * Errors: IndexError for a target that is no class, ArgumentError for a smoothing outside of 0 to 1, ShapeError, DTypeError.
 * @example
 * crossEntropy(tensor([[1, 2, 3]]), tensor([2], { dtype: 'int32' })) // tensor(0.4076)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html
 */
export function crossEntropy(input: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  expectTensor('crossEntropy', input, 'the input')
  expectTensor('crossEntropy', target, 'the target')
  const reduction = reductionOf('crossEntropy', options, CROSS_ENTROPY)
  const { labelSmoothing = 0 } = options
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1))
    throw new ArgumentError(`label_smoothing must be between 0.0 and 1.0. Got: ${labelSmoothing} as labelSmoothing of crossEntropy`, {
      op: 'crossEntropy',
    })
  if (labelSmoothing === 0 && !target.dt.floating) return likelihood('crossEntropy', input, target, options, reduction, true)
  return within('crossEntropy', () => (target.dt.floating ? againstProbabilities : smoothed)(input, target, options, reduction))
}

/** The loss whose targets are mixed with the uniform distribution. */
function smoothed(input: Tensor, target: Tensor, options: CrossEntropyOptions, reduction: Reduction): Tensor {
  const { weight, ignoreIndex = -100, labelSmoothing = 0 } = options
  const dim = input.ndim === 1 ? 0 : 1
  const logs = input.logSoftmax(dim)
  const nll = likelihood('crossEntropy', logs, target, options, reduction, false)
  const live = target.ne(ignoreIndex)
  const even = weighed(logs, dim, weight).sum(dim).neg().where(live, 0)
  const smooth = reduction === 'mean' ? even.sum().div(totalWeight(target, live, weight, input)) : reduced(even, reduction)
  return nll.mul(1 - labelSmoothing).add(smooth.mul(labelSmoothing / input.shape[dim]!))
}

function weighed(logs: Tensor, dim: number, weight: Tensor | null | undefined): Tensor {
  return weight ? logs.mul(weight.reshape(logs.shape.map((n, d) => (d === dim ? n : 1)))) : logs
}

/** The sum of the weights of all targets that count. */
function totalWeight(target: Tensor, live: Tensor, weight: Tensor | null | undefined, input: Tensor): Tensor {
  if (!weight) return live.to(input.dtype).sum()
  return weight.detach().indexSelect(0, target.to('int32').where(live, 0).flatten()).where(live.flatten(), 0).sum()
}

function againstProbabilities(input: Tensor, target: Tensor, options: CrossEntropyOptions, reduction: Reduction): Tensor {
  samePair('crossEntropy', input, target)
  expectTensorOrNone('crossEntropy', options.weight, 'the weight')
  const { labelSmoothing = 0 } = options
  const dim = input.ndim === 1 ? 0 : 1
  const classes = input.shape[dim]!
  const soft = labelSmoothing === 0 ? target : target.mul(1 - labelSmoothing).add(labelSmoothing / classes)
  const terms = weighed(input.logSoftmax(dim).mul(soft), dim, options.weight)
  if (reduction === 'none') return terms.sum(dim).neg()
  const total = terms.sum().neg()
  return reduction === 'sum' ? total : (divideByNumber.call1(total, [input.numel() / classes]) as Tensor)
}
