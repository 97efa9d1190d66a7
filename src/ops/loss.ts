/** Losses. */

import { noGrad } from '../autograd/modes.ts'
import { ArgumentError, DTypeError, IndexError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { ElementwiseOp } from '../op/elementwise.ts'
import { sameShape } from '../shape.ts'
import { dataView, expectTensor, readAll } from '../tensor.ts'

/** How a loss over elements becomes the result. */
export type Reduction = 'mean' | 'sum' | 'none'
/** Options of most losses. */
export interface LossOptions {
  /** Default 'mean'. */
  readonly reduction?: Reduction
}

function reduceLoss(op: string, loss: Tensor, reduction: Reduction = 'mean'): Tensor {
  if (reduction === 'mean') return loss.mean()
  if (reduction === 'sum') return loss.sum()
  if (reduction === 'none') return loss
  throw new ArgumentError(`${op}: ${String(reduction)} is not a valid value for reduction: expected 'mean', 'sum' or 'none'`, { op })
}

function pair(op: string, input: Tensor, target: Tensor): void {
  expectTensor(op, input, 'the input')
  expectTensor(op, target, 'the target')
  if (!sameShape(input.shape, target.shape))
    throw new ShapeError(
      `${op}: input ${show(input.shape)} and target ${show(target.shape)} must have the same shape; broadcast one explicitly with expand`,
      { op, shapes: [input.shape, target.shape] },
    )
}

const squaredError = /* @__PURE__ */ new ElementwiseOp('mseLoss', 2, {
  node: 'MseLossBackward0',
  value: (a, b) => a!.sub(b!).mul(a!.sub(b!)),
  vjp: [(g, { a, b }) => g.mul(a.sub(b).mul(2)), (g, { a, b }) => g.mul(a.sub(b).mul(-2))],
})

/** (input − target)². @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.mse_loss.html */
export function mseLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  pair('mseLoss', input, target)
  return reduceLoss('mseLoss', squaredError.call2(input, target, null) as Tensor, options.reduction)
}

/** |input − target|. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.l1_loss.html */
export function l1Loss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  pair('l1Loss', input, target)
  return reduceLoss('l1Loss', input.sub(target).abs(), options.reduction)
}

const huberOp = /* @__PURE__ */ new ElementwiseOp('huberLoss', 2, {
  node: 'HuberLossBackward0',
  scalars: 2,
  value: (a, b, delta, half) => {
    const d = a!.sub(b!).abs()
    return d.mul(d).mul(0.5).where(d.le(delta!), d.mul(delta!).sub(half!))
  },
  vjp: [
    (g, { a, b, s }) => g.mul(a.sub(b).where(a.sub(b).abs().le(s[0]!), a.sub(b).sign().mul(s[0]!))),
    (g, { a, b, s }) => g.mul(b.sub(a).where(a.sub(b).abs().le(s[0]!), b.sub(a).sign().mul(s[0]!))),
  ],
})

/** Squared (halved) up to delta, linear beyond. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.huber_loss.html */
export function huberLoss(input: Tensor, target: Tensor, options: LossOptions & { readonly delta?: number } = {}): Tensor {
  pair('huberLoss', input, target)
  const delta = options.delta ?? 1
  if (!(delta > 0)) throw new ArgumentError(`huberLoss: delta must be positive, got ${delta}`, { op: 'huberLoss' })
  return reduceLoss('huberLoss', huberOp.call2(input, target, [delta, 0.5 * delta * delta]) as Tensor, options.reduction)
}

/** Huber's loss over beta: quadratic below beta with slope 1 beyond. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.smooth_l1_loss.html */
export function smoothL1Loss(input: Tensor, target: Tensor, options: LossOptions & { readonly beta?: number } = {}): Tensor {
  const beta = options.beta ?? 1
  if (beta === 0) return l1Loss(input, target, options)
  return huberLoss(input, target, { ...options, delta: beta }).div(beta)
}

const bceOp = /* @__PURE__ */ new ElementwiseOp('binaryCrossEntropyWithLogits', 2, {
  node: 'BinaryCrossEntropyWithLogitsBackward0',
  // max(x, 0) − x·t + ln(1 + e^−|x|): no overflow on either side.
  value: (x, t) => x!.maximum(0).sub(x!.mul(t!)).add(x!.abs().neg().exp().log1p()),
  vjp: [(g, { a, b }) => g.mul(a.sigmoid().sub(b)), (g, { a }) => g.mul(a.neg())],
})

/** Cross-entropy of σ(input) against targets in [0, 1]. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy_with_logits.html */
export function binaryCrossEntropyWithLogits(
  input: Tensor,
  target: Tensor,
  options: LossOptions & { readonly weight?: Tensor | null; readonly posWeight?: Tensor | null } = {},
): Tensor {
  pair('binaryCrossEntropyWithLogits', input, target)
  let loss: Tensor
  if (options.posWeight) {
    const factor = options.posWeight.sub(1).mul(target).add(1)
    const soft = input
      .abs()
      .neg()
      .exp()
      .log1p()
      .add(input.neg().maximum(input.mul(0)))
    loss = target.neg().add(1).mul(input).add(factor.mul(soft))
  } else loss = bceOp.call2(input, target, null) as Tensor
  return reduceLoss('binaryCrossEntropyWithLogits', options.weight ? loss.mul(options.weight) : loss, options.reduction)
}

/** The picked class of each row, negated: input [N, C] or [N, C, d…] log-probabilities, target class numbers. */
export function nllLoss(
  input: Tensor,
  target: Tensor,
  options: LossOptions & { readonly weight?: Tensor | null; readonly ignoreIndex?: number } = {},
): Tensor {
  expectTensor('nllLoss', input, 'the input')
  expectTensor('nllLoss', target, 'the target')
  const { weight, ignoreIndex = -100, reduction = 'mean' } = options
  const single = input.layout.rank === 1
  const logs = single ? input.unsqueeze(0) : input
  const labels = single ? target.reshape([1]) : target
  if (labels.dt.category !== 1)
    throw new DTypeError(`nllLoss: expected class numbers of dtype int32 for the target, got ${target.dtype}`, {
      op: 'nllLoss',
      dtypes: [target.dtype],
    })
  const expected = [logs.shape[0]!, ...logs.shape.slice(2)]
  if (!sameShape(labels.shape, expected))
    throw new ShapeError(
      `nllLoss: Expected target size ${show(expected)}, got ${show(labels.shape)} for an input of size ${show(input.shape)}`,
      { op: 'nllLoss', shapes: [input.shape, target.shape] },
    )
  const classes = logs.shape[1]!
  const values = readAll(labels)
  let ignored = false
  for (const v of values) {
    if (v === ignoreIndex) ignored = true
    else if (v < 0 || v >= classes) throw new IndexError(`Target ${v} is out of bounds.`, { op: 'nllLoss' })
  }
  const index = noGrad(() => labels.to('int32').clone())
  if (ignored) {
    const view = dataView(index)
    values.forEach((v, i) => {
      if (v === ignoreIndex) view[index.layout.offset + i] = 0
    })
  }
  let picked = logs.gather(1, index.unsqueeze(1)).squeeze(1).neg()
  let share: Tensor | null = weight
    ? weight
        .detach()
        .indexSelect(0, index.reshape([index.numel()]))
        .reshape(index.shape)
    : null
  if (ignored) {
    const live = labels.ne(ignoreIndex)
    share = share === null ? live.to(input.dtype) : share.where(live, 0)
    picked = picked.where(live, 0)
  }
  const loss = share === null ? picked : picked.mul(share)
  if (reduction === 'mean') return share === null ? loss.mean() : loss.sum().div(share.sum())
  return reduceLoss('nllLoss', single && reduction === 'none' ? loss.squeeze(0) : loss, reduction)
}

/** Options of `crossEntropy`. */
export interface CrossEntropyOptions extends LossOptions {
  readonly weight?: Tensor | null
  readonly ignoreIndex?: number
  /** Share of the uniform distribution mixed into the target. */
  readonly labelSmoothing?: number
}

/**
 * Cross-entropy of softmax(input) over dim 1 (dim 0 of a single example) against class numbers (int) or class probabilities (float).
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html
 */
export function crossEntropy(input: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  expectTensor('crossEntropy', input, 'the input')
  expectTensor('crossEntropy', target, 'the target')
  const { weight, labelSmoothing = 0, reduction = 'mean' } = options
  const dim = input.layout.rank === 1 ? 0 : 1
  const logs = input.logSoftmax(dim)
  const classes = input.shape[dim]!
  const perClass = (w: Tensor): Tensor => w.reshape(input.shape.map((_, d) => (d === dim ? classes : 1)))
  if (target.dt.floating) {
    pair('crossEntropy', input, target)
    const soft = labelSmoothing === 0 ? target : target.mul(1 - labelSmoothing).add(labelSmoothing / classes)
    const loss = (weight ? logs.mul(perClass(weight)) : logs).mul(soft).sum(dim).neg()
    return reduction === 'mean' ? loss.sum().div(input.numel() / classes) : reduceLoss('crossEntropy', loss, reduction)
  }
  const nll = nllLoss(logs, target, options)
  if (labelSmoothing === 0) return nll
  const ignore = options.ignoreIndex ?? -100
  const live = target.ne(ignore)
  const spread = (weight ? logs.mul(perClass(weight)) : logs).sum(dim).neg().where(live, 0)
  let smooth: Tensor
  if (reduction === 'mean') {
    const total = weight
      ? weight
          .detach()
          .indexSelect(0, target.maximum(0).to('int32').reshape([target.numel()]))
          .reshape(target.shape)
          .where(live, 0)
          .sum()
      : live.to(input.dtype).sum()
    smooth = spread.sum().div(total)
  } else smooth = reduceLoss('crossEntropy', spread, reduction)
  return nll.mul(1 - labelSmoothing).add(smooth.mul(labelSmoothing / classes))
}
