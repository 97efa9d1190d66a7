/** Layers that normalize: over features, or over the batch with running statistics. */
import { noGrad } from '../autograd/modes.ts'
import { tensor } from '../creation.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkKind, checkOptions, checkSizes } from '../options.ts'
import { checkShape } from '../shape.ts'
import { checkDtype, filled, type LayerOptions, parameter } from './arguments.ts'
import * as F from './functional.ts'
import { Module } from './module.ts'
import { Buffer, type Parameter } from './parameter.ts'

/** Options of `LayerNorm`. */
export interface LayerNormLayerOptions extends LayerOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number
  /** Learn a scale and a shift per element? Default true. */
  readonly elementwiseAffine?: boolean
  /** With the scale, a shift? Default true. */
  readonly bias?: boolean
}

/** The shape, which may be one size. */
function shapeOf(op: string, shape: number | readonly number[]): readonly number[] {
  const sizes = typeof shape === 'number' ? [shape] : shape
  checkShape(sizes, op)
  return [...sizes]
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
    checkOptions('LayerNorm', options, { dtype: 'any', eps: 'number', elementwiseAffine: 'boolean', bias: 'boolean' })
    this.normalizedShape = shapeOf('LayerNorm', normalizedShape)
    this.eps = options.eps ?? 1e-5
    const affine = options.elementwiseAffine ?? true
    this.weight = affine ? parameter('LayerNorm', this.normalizedShape, options, 1) : null
    this.bias = affine && (options.bias ?? true) ? parameter('LayerNorm', this.normalizedShape, options) : null
  }
  forward(x: Tensor): Tensor {
    const { weight, bias, eps } = this
    return F.layerNorm(x, this.normalizedShape, { weight, bias, eps })
  }
  override extraRepr(): string {
    return `${show(this.normalizedShape)}, eps=${this.eps}, elementwiseAffine=${this.weight !== null}`
  }
}

/** Options of `BatchNorm1d`, `BatchNorm2d`, `InstanceNorm1d` and `InstanceNorm2d`; the latter two have the last three off by default. */
export interface BatchNormLayerOptions extends LayerOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number
  /** Share of each batch in the running statistics; null averages all batches alike. Default 0.1. */
  readonly momentum?: number | null
  /** Learn a scale and a shift per channel? Default true. */
  readonly affine?: boolean
  /** With the scale, a shift? Default true. */
  readonly bias?: boolean
  /** Keep running statistics for evaluation? Without them batches are always normalized by their own. Default true. */
  readonly trackRunningStats?: boolean
}

/** Channels normalized with running statistics; subclasses say over what, and which ranks they take. */
abstract class ChannelNorm extends Module<[x: Tensor]> {
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

  constructor(numFeatures: number, options: BatchNormLayerOptions) {
    super()
    const op = this.constructor.name
    checkSizes(op, { numFeatures })
    checkOptions(op, options, {
      dtype: 'any',
      eps: 'number',
      momentum: 'any',
      affine: 'boolean',
      bias: 'boolean',
      trackRunningStats: 'boolean',
    })
    if (options.dtype !== undefined) checkDtype(op, options.dtype)
    const { eps = 1e-5, momentum = 0.1, affine = true, bias = true, trackRunningStats = true } = options
    if (momentum !== null) checkKind(op, 'momentum', momentum, 'number')
    this.numFeatures = numFeatures
    this.eps = eps
    this.momentum = momentum
    this.trackRunningStats = trackRunningStats
    const shape = [numFeatures]
    this.weight = affine ? parameter(op, shape, options, 1) : null
    this.bias = affine && bias ? parameter(op, shape, options) : null
    this.runningMean = trackRunningStats ? new Buffer(filled(op, shape, options, 0)) : null
    this.runningVar = trackRunningStats ? new Buffer(filled(op, shape, options, 1)) : null
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

  override extraRepr(): string {
    return `${this.numFeatures}, eps=${this.eps}, momentum=${this.momentum}, affine=${this.weight !== null}, trackRunningStats=${this.trackRunningStats}`
  }
}

/** Channels normalized over the batch. */
abstract class BatchNorm extends ChannelNorm {
  constructor(numFeatures: number, options: BatchNormLayerOptions = {}) {
    super(numFeatures, options)
  }
  forward(x: Tensor): Tensor {
    this.checkRank(x)
    const { runningMean, runningVar, weight, bias, eps } = this
    const seen = this.training ? this.numBatchesTracked : null
    const momentum = this.momentum ?? (seen === null ? 0 : 1 / (seen.item() + 1))
    const training = this.training || runningMean === null
    const y = F.batchNorm(x, { runningMean, runningVar, weight, bias, training, momentum, eps })
    if (seen !== null) noGrad(() => seen.add_(1))
    return y
  }
}

/**
 * x [n, c] or [n, c, l] normalized per channel: in training by the batch's statistics, which update running ones that
 * evaluation uses.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
 */
export class BatchNorm1d extends BatchNorm {
  protected checkRank(x: Tensor): void {
    if (x.ndim !== 2 && x.ndim !== 3)
      throw new ArgumentError(`expected 2D or 3D input (got ${x.ndim}D input) (BatchNorm1d)`, { op: 'BatchNorm1d', shapes: [x.shape] })
  }
}

/**
 * x [n, c, h, w] normalized per channel: in training by the batch's statistics, which update running ones that evaluation uses.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
 */
export class BatchNorm2d extends BatchNorm {
  protected checkRank(x: Tensor): void {
    if (x.ndim !== 4)
      throw new ArgumentError(`expected 4D input (got ${x.ndim}D input) (BatchNorm2d)`, { op: 'BatchNorm2d', shapes: [x.shape] })
  }
}

/** Channels of each example normalized by themselves: shift, scale and running statistics only where asked for. */
abstract class InstanceNorm extends ChannelNorm {
  constructor(numFeatures: number, options: BatchNormLayerOptions = {}) {
    super(numFeatures, typeof options === 'object' ? { affine: false, trackRunningStats: false, ...options } : options)
  }
  forward(x: Tensor): Tensor {
    this.checkRank(x)
    const { runningMean, runningVar, weight, bias, eps } = this
    const useInputStats = this.training || runningMean === null
    const single = x.ndim === this.rank - 1
    const channels = x.shape.at(1 - this.rank)!
    if (weight !== null && channels !== this.numFeatures)
      throw new ShapeError(
        `expected input's size at dim=${single ? 0 : 1} to match num_features (${this.numFeatures}), but got: ${channels} (${this.constructor.name})`,
        { shapes: [x.shape] },
      )
    const options = { runningMean, runningVar, weight, bias, eps, useInputStats, momentum: this.momentum ?? 0 }
    return single ? F.instanceNorm(x.unsqueeze(0), options).squeeze(0) : F.instanceNorm(x, options)
  }
  protected abstract readonly rank: number
  protected checkRank(x: Tensor): void {
    const { rank } = this
    if (x.ndim !== rank && x.ndim !== rank - 1)
      throw new ArgumentError(`expected ${rank - 1}D or ${rank}D input (got ${x.ndim}D input) (${this.constructor.name})`, {
        shapes: [x.shape],
      })
  }
}

/**
 * x [n, c, l] (or [c, l]) normalized per example and channel.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm1d.html
 */
export class InstanceNorm1d extends InstanceNorm {
  protected get rank(): number {
    return 3
  }
}

/**
 * x [n, c, h, w] (or [c, h, w]) normalized per example and channel.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm2d.html
 */
export class InstanceNorm2d extends InstanceNorm {
  protected get rank(): number {
    return 4
  }
}

/** Options of `GroupNorm`. */
export interface GroupNormLayerOptions extends LayerOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number
  /** Learn a scale and a shift per channel? Default true. */
  readonly affine?: boolean
  /** With the scale, a shift? Default true. */
  readonly bias?: boolean
}

/**
 * x [n, numChannels, …] normalized per example in groups of channels.
 * Errors: ArgumentError where the channels don't divide into the groups.
 * @example
 * new nn.GroupNorm(3, 6).forward(torch.ones([2, 6, 4, 4])).shape // [2, 6, 4, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html
 */
export class GroupNorm extends Module<[x: Tensor]> {
  readonly numGroups: number
  readonly numChannels: number
  readonly eps: number
  weight: Parameter | null
  bias: Parameter | null

  constructor(numGroups: number, numChannels: number, options: GroupNormLayerOptions = {}) {
    super()
    checkSizes('GroupNorm', { numGroups, numChannels }, 1)
    checkOptions('GroupNorm', options, { dtype: 'any', eps: 'number', affine: 'boolean', bias: 'boolean' })
    if (options.dtype !== undefined) checkDtype('GroupNorm', options.dtype)
    if (numChannels % numGroups !== 0)
      throw new ArgumentError(`num_channels (${numChannels}) must be divisible by num_groups (${numGroups}) (GroupNorm)`, {
        op: 'GroupNorm',
      })
    const { eps = 1e-5, affine = true, bias = true } = options
    this.numGroups = numGroups
    this.numChannels = numChannels
    this.eps = eps
    this.weight = affine ? parameter('GroupNorm', [numChannels], options, 1) : null
    this.bias = affine && bias ? parameter('GroupNorm', [numChannels], options) : null
  }
  forward(x: Tensor): Tensor {
    const { weight, bias, eps } = this
    return F.groupNorm(x, this.numGroups, { weight, bias, eps })
  }
  override extraRepr(): string {
    return `${this.numGroups}, ${this.numChannels}, eps=${this.eps}, affine=${this.weight !== null}`
  }
}

/** Options of `RMSNorm`. */
export interface RMSNormLayerOptions extends LayerOptions {
  /** Added to the mean square. Default: the distance of 1 to the next number of the dtype. */
  readonly eps?: number | null
  /** Learn a scale per element? Default true. */
  readonly elementwiseAffine?: boolean
}

/**
 * Each example over the root of its mean square over its last dims, of shape `normalizedShape`.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html
 */
export class RMSNorm extends Module<[x: Tensor]> {
  readonly normalizedShape: readonly number[]
  readonly eps: number | null
  weight: Parameter | null

  constructor(normalizedShape: number | readonly number[], options: RMSNormLayerOptions = {}) {
    super()
    checkOptions('RMSNorm', options, { dtype: 'any', eps: 'any', elementwiseAffine: 'boolean' })
    this.normalizedShape = shapeOf('RMSNorm', normalizedShape)
    this.eps = options.eps ?? null
    if (this.eps !== null) checkKind('RMSNorm', 'eps', this.eps, 'number')
    this.weight = (options.elementwiseAffine ?? true) ? parameter('RMSNorm', this.normalizedShape, options, 1) : null
  }
  forward(x: Tensor): Tensor {
    return F.rmsNorm(x, this.normalizedShape, { weight: this.weight, eps: this.eps })
  }
  override extraRepr(): string {
    return `${show(this.normalizedShape)}, eps=${this.eps}, elementwiseAffine=${this.weight !== null}`
  }
}
