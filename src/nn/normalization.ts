/** Layers that normalize: over features, or over the batch with running statistics. */
import { noGrad } from '../autograd/modes.ts'
import { ones, tensor, zeros } from '../creation.ts'
import { ArgumentError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import * as F from './functional.ts'
import { type LayerOptions, typed } from './linear.ts'
import { Module } from './module.ts'
import { Buffer, Parameter } from './parameter.ts'

/** Options of `LayerNorm`. */
export interface LayerNormLayerOptions extends LayerOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number
  /** Learn a scale and a shift per element? Default true. */
  readonly elementwiseAffine?: boolean
  /** With the scale, a shift? Default true. */
  readonly bias?: boolean
}

/**
 * Each example normalized over its last dims, of shape `normalizedShape`.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html
 */
export class LayerNorm extends Module<[Tensor]> {
  readonly normalizedShape: readonly number[]
  readonly eps: number
  weight: Parameter | null
  bias: Parameter | null

  constructor(normalizedShape: number | readonly number[], options: LayerNormLayerOptions = {}) {
    super()
    this.normalizedShape = typeof normalizedShape === 'number' ? [normalizedShape] : [...normalizedShape]
    this.eps = options.eps ?? 1e-5
    const affine = options.elementwiseAffine ?? true
    this.weight = affine ? new Parameter(ones(this.normalizedShape, typed(options))) : null
    this.bias = affine && (options.bias ?? true) ? new Parameter(zeros(this.normalizedShape, typed(options))) : null
  }
  forward(x: Tensor): Tensor {
    const { weight, bias, eps } = this
    return F.layerNorm(x, this.normalizedShape, { weight, bias, eps })
  }
  override extraRepr(): string {
    return `${show(this.normalizedShape)}, eps=${this.eps}, elementwiseAffine=${this.weight !== null}`
  }
}

/** Options of `BatchNorm1d` and `BatchNorm2d`. */
export interface BatchNormLayerOptions extends LayerOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number
  /** Share of each batch in the running statistics; null averages all batches alike. Default 0.1. */
  readonly momentum?: number | null
  /** Learn a scale and a shift per channel? Default true. */
  readonly affine?: boolean
  /** Keep running statistics for evaluation? Without them batches are always normalized by their own. Default true. */
  readonly trackRunningStats?: boolean
}

/** Channels normalized over the batch; subclasses say which ranks they take. */
abstract class BatchNorm extends Module<[Tensor]> {
  readonly numFeatures: number
  readonly eps: number
  readonly momentum: number | null
  readonly trackRunningStats: boolean
  weight: Parameter | null
  bias: Parameter | null
  runningMean: Tensor | null
  runningVar: Tensor | null
  /** How many batches the running statistics have seen. */
  numBatchesTracked: Tensor | null

  constructor(numFeatures: number, options: BatchNormLayerOptions = {}) {
    super()
    const { eps = 1e-5, momentum = 0.1, affine = true, trackRunningStats = true } = options
    this.numFeatures = numFeatures
    this.eps = eps
    this.momentum = momentum
    this.trackRunningStats = trackRunningStats
    const shape = [numFeatures]
    this.weight = affine ? new Parameter(ones(shape, typed(options))) : null
    this.bias = affine ? new Parameter(zeros(shape, typed(options))) : null
    this.runningMean = trackRunningStats ? new Buffer(zeros(shape, typed(options))) : null
    this.runningVar = trackRunningStats ? new Buffer(ones(shape, typed(options))) : null
    this.numBatchesTracked = trackRunningStats ? new Buffer(tensor(0, { dtype: 'int32' })) : null
  }

  /** Refuses inputs of another rank. */
  protected abstract checkRank(x: Tensor): void

  /** Forgets the running statistics. */
  resetRunningStats(): void {
    noGrad(() => {
      this.runningMean?.zero_()
      this.runningVar?.fill_(1)
      this.numBatchesTracked?.zero_()
    })
  }

  forward(x: Tensor): Tensor {
    this.checkRank(x)
    const { runningMean, runningVar, weight, bias, eps } = this
    let momentum = this.momentum ?? 0
    if (this.training && this.numBatchesTracked !== null) {
      const seen = this.numBatchesTracked
      noGrad(() => seen.add_(1))
      if (this.momentum === null) momentum = 1 / seen.item()
    }
    const training = this.training || runningMean === null
    return F.batchNorm(x, { runningMean, runningVar, weight, bias, training, momentum, eps })
  }
  override extraRepr(): string {
    return `${this.numFeatures}, eps=${this.eps}, momentum=${this.momentum}, affine=${this.weight !== null}, trackRunningStats=${this.trackRunningStats}`
  }
}

/**
 * x [n, c] or [n, c, l] normalized per channel: in training by the batch's statistics, which update running ones that
 * evaluation uses.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
 */
export class BatchNorm1d extends BatchNorm {
  protected checkRank(x: Tensor): void {
    if (x.ndim !== 2 && x.ndim !== 3) throw new ArgumentError(`expected 2D or 3D input (got ${x.ndim}D input)`, { shapes: [x.shape] })
  }
}

/**
 * x [n, c, h, w] normalized per channel: in training by the batch's statistics, which update running ones that evaluation uses.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
 */
export class BatchNorm2d extends BatchNorm {
  protected checkRank(x: Tensor): void {
    if (x.ndim !== 4) throw new ArgumentError(`expected 4D input (got ${x.ndim}D input)`, { shapes: [x.shape] })
  }
}
