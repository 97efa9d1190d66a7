/** Normalization over features (layer norm) and over examples (batch norm): one node each. */

import { noGrad } from '../autograd/modes.ts'
import { input, Program, scalar } from '../backend/scalar.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import { kernel, reduce, run } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { type GeneralOp, general, vjp } from '../op/general.ts'
import { numel, type Shape, sameShape } from '../shape.ts'
import { expectTensor, type TensorCore } from '../tensor.ts'

interface Norm {
  readonly dims: readonly number[]
  readonly eps: number
  readonly node: string
}

/** (x − mean)/√(var + eps) over dims, with the mean and the reciprocal deviation. */
const standardize: GeneralOp<Norm> = /* @__PURE__ */ general('standardize', {
  node: ({ node }) => node,
  forward: ([x], p, owner) => {
    const dt = x!.dt.name as 'float32'
    const n = p.dims.reduce((m, d) => m * x!.layout.shape[d]!, 1)
    const over = (a: TensorCore): TensorCore => {
      const total = reduce('sum', a, p.dims, true, owner)
      return run(kernel(new Program([input(0).div(scalar(0))], [dt], [dt], 1, dt)), [total], [n], owner)
    }
    const mean = over(x!)
    const d = input(0).sub(input(1))
    const variance = over(run(kernel(new Program([d.mul(d)], [dt], [dt, dt], 0, dt)), [x!, mean], null, owner))
    const rstd = run(kernel(new Program([input(0).add(scalar(0)).sqrt().reciprocal()], [dt], [dt], 1, dt)), [variance], [p.eps], owner)
    const y = run(kernel(new Program([d.mul(input(2))], [dt], [dt, dt, dt], 0, dt)), [x!, mean, rstd], null, owner)
    return [y, mean, rstd]
  },
  // With ŷ the output: dx = rstd·(g − mean(g) − ŷ·mean(g·ŷ)), the mean over the normalized dims. The statistics' own
  // gradients are not followed: callers use them as buffers.
  vjp: [
    vjp([0], (_g, c, gs) => {
      const g = gs[0]
      if (g === null || g === undefined) return null
      const dim = { dim: c.p.dims, keepdim: true }
      const x = c.in(0)
      const center = x.sub(x.mean(dim))
      const rstd = center.mul(center).mean(dim).add(c.p.eps).rsqrt()
      const y = center.mul(rstd)
      return rstd.mul(g.sub(g.mean(dim)).sub(y.mul(g.mul(y).mean(dim))))
    }),
  ],
  jvp: ([t], c) => {
    const dim = { dim: c.p.dims, keepdim: true }
    const x = c.in(0)
    const center = x.sub(x.mean(dim))
    const rstd = center.mul(center).mean(dim).add(c.p.eps).rsqrt()
    const y = center.mul(rstd)
    return rstd.mul(t!.sub(t!.mean(dim)).sub(y.mul(t!.mul(y).mean(dim))))
  },
})

/** Options of `layerNorm`. */
export interface LayerNormOptions {
  readonly weight?: Tensor | null
  readonly bias?: Tensor | null
  readonly eps?: number
}

/**
 * x normalized over its last dims (of shape `normalizedShape`), then scaled and shifted.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.layer_norm.html
 */
export function layerNorm(x: Tensor, normalizedShape: Shape, options: LayerNormOptions = {}): Tensor {
  expectTensor('layerNorm', x, 'the input')
  const k = normalizedShape.length
  if (k === 0 || !sameShape(x.shape.slice(-k), normalizedShape)) {
    throw new ShapeError(
      `layerNorm: Given normalized_shape=${show(normalizedShape)}, expected input with shape [*, ${normalizedShape.join(', ')}], but got input of size ${show(x.shape)}`,
      { op: 'layerNorm', shapes: [x.shape, normalizedShape] },
    )
  }
  const dims = Array.from({ length: k }, (_, i) => x.layout.rank - k + i)
  const [y] = standardize.call([x], { dims, eps: options.eps ?? 1e-5, node: 'NativeLayerNormBackward0' }) as Tensor[]
  return affineOf(y!, options.weight, options.bias, (t) => t)
}

function affineOf(y: Tensor, weight: Tensor | null | undefined, bias: Tensor | null | undefined, fit: (t: Tensor) => Tensor): Tensor {
  const scaled = weight ? y.mul(fit(weight)) : y
  return bias ? scaled.add(fit(bias)) : scaled
}

/** Options of `batchNorm`. */
export interface BatchNormOptions {
  readonly runningMean?: Tensor | null
  readonly runningVar?: Tensor | null
  readonly weight?: Tensor | null
  readonly bias?: Tensor | null
  /** Normalize by the batch's own statistics and update the running ones. */
  readonly training?: boolean
  /** Share of the batch in the running statistics. Default 0.1. */
  readonly momentum?: number
  readonly eps?: number
}

/**
 * x [N, C, …] normalized per channel. In training the running statistics are updated in place (with the unbiased variance).
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html
 */
export function batchNorm(x: Tensor, options: BatchNormOptions = {}): Tensor {
  expectTensor('batchNorm', x, 'the input')
  if (x.layout.rank < 2)
    throw new ShapeError(`batchNorm: expected at least 2 dims [N, C, …], got ${show(x.shape)}`, { op: 'batchNorm', shapes: [x.shape] })
  const { runningMean, runningVar, weight, bias, training = false, momentum = 0.1, eps = 1e-5 } = options
  const channels = x.shape[1]!
  const perChannel = [1, channels, ...x.shape.slice(2).map(() => 1)]
  const fit = (t: Tensor): Tensor => t.reshape(perChannel)
  if (!training) {
    if (!runningMean || !runningVar)
      throw new ArgumentError('batchNorm: Expected runningMean and runningVar to be defined when training=false', { op: 'batchNorm' })
    const y = x.sub(fit(runningMean)).mul(fit(runningVar.add(eps).rsqrt()))
    return affineOf(y, weight, bias, fit)
  }
  const dims = x.shape.map((_, d) => d).filter((d) => d !== 1)
  const n = numel(x.shape) / channels
  if (n <= 1)
    throw new ArgumentError(`Expected more than 1 value per channel when training, got input size ${show(x.shape)}`, {
      op: 'batchNorm',
      shapes: [x.shape],
    })
  const [y, mean, rstd] = standardize.call([x], { dims, eps, node: 'NativeBatchNormBackward0' }) as [Tensor, Tensor, Tensor]
  noGrad(() => {
    if (runningMean) runningMean.mul_(1 - momentum).add_(mean.detach().reshape([channels]), { alpha: momentum })
    if (runningVar)
      runningVar.mul_(1 - momentum).add_(rstd.detach().pow(-2).sub(eps).reshape([channels]), { alpha: (momentum * n) / (n - 1) })
  })
  return affineOf(y, weight, bias, fit)
}
