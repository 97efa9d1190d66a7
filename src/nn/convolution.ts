/** Convolution layers. */
import { zeros } from '../creation.ts'
import { ArgumentError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import * as F from './functional.ts'
import { type BiasOptions, resetWeights, typed } from './linear.ts'
import { Module } from './module.ts'
import { Parameter } from './parameter.ts'

/** Options of `Conv1d` and `Conv2d`; one number stands for all spatial dims. */
export interface ConvOptions extends BiasOptions {
  /** Steps between windows. Default 1. */
  readonly stride?: number | readonly number[]
  /** Zeros around the input, `'same'` or `'valid'`. Default 0. */
  readonly padding?: number | readonly number[] | 'same' | 'valid'
  /** Distance between the elements of a window. Default 1. */
  readonly dilation?: number | readonly number[]
  /** Splits the channels into groups that don't see each other. Default 1. */
  readonly groups?: number
}

const each = (value: number | readonly number[], dims: number): number[] =>
  typeof value === 'number' ? new Array<number>(dims).fill(value) : [...value]

/** What convolutions of any number of dims share. */
abstract class Conv extends Module<[Tensor]> {
  readonly inChannels: number
  readonly outChannels: number
  readonly kernelSize: readonly number[]
  readonly stride: readonly number[]
  readonly padding: readonly number[] | 'same' | 'valid'
  readonly dilation: readonly number[]
  readonly groups: number
  weight: Parameter
  bias: Parameter | null

  constructor(dims: number, inChannels: number, outChannels: number, kernelSize: number | readonly number[], options: ConvOptions) {
    super()
    const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true } = options
    if (!(Number.isInteger(groups) && groups > 0)) throw new ArgumentError('groups must be a positive integer')
    if (inChannels % groups !== 0) throw new ArgumentError('in_channels must be divisible by groups')
    if (outChannels % groups !== 0) throw new ArgumentError('out_channels must be divisible by groups')
    this.inChannels = inChannels
    this.outChannels = outChannels
    this.kernelSize = each(kernelSize, dims)
    this.stride = each(stride, dims)
    this.padding = typeof padding === 'string' ? padding : each(padding, dims)
    this.dilation = each(dilation, dims)
    this.groups = groups
    if (this.kernelSize.length !== dims) throw new ArgumentError(`kernelSize: expected ${dims} numbers, got ${show(this.kernelSize)}`)
    if (padding === 'same' && this.stride.some((s) => s !== 1))
      throw new ArgumentError("padding='same' is not supported for strided convolutions")
    this.weight = new Parameter(zeros([outChannels, inChannels / groups, ...this.kernelSize], typed(options)))
    this.bias = bias ? new Parameter(zeros([outChannels], typed(options))) : null
    this.resetParameters()
  }

  /** Draws the first values anew. */
  resetParameters(): void {
    resetWeights(this.weight, this.bias)
  }

  override extraRepr(): string {
    const { padding, dilation, groups } = this
    const parts = [`${this.inChannels}, ${this.outChannels}, kernelSize=${show(this.kernelSize)}, stride=${show(this.stride)}`]
    if (typeof padding === 'string') parts.push(`padding=${padding}`)
    else if (padding.some((p) => p !== 0)) parts.push(`padding=${show(padding)}`)
    if (dilation.some((d) => d !== 1)) parts.push(`dilation=${show(dilation)}`)
    if (groups !== 1) parts.push(`groups=${groups}`)
    if (this.bias === null) parts.push('bias=false')
    return parts.join(', ')
  }
}

/**
 * Cross-correlation of signals [n, inChannels, l] with learned windows; uniform in ±1/√fan at first.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html
 */
export class Conv1d extends Conv {
  constructor(inChannels: number, outChannels: number, kernelSize: number | readonly number[], options: ConvOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options)
  }
  forward(x: Tensor): Tensor {
    const { weight, bias, stride, padding, dilation, groups } = this
    return F.conv1d(x, weight, { bias, stride, padding, dilation, groups })
  }
}

/**
 * Cross-correlation of images [n, inChannels, h, w] with learned windows; uniform in ±1/√fan at first.
 * @example
 * new nn.Conv2d(1, 8, 3, { padding: 1 }).forward(torch.zeros([5, 1, 28, 28])).shape // [5, 8, 28, 28]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
 */
export class Conv2d extends Conv {
  constructor(inChannels: number, outChannels: number, kernelSize: number | readonly number[], options: ConvOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options)
  }
  forward(x: Tensor): Tensor {
    const { weight, bias, stride, padding, dilation, groups } = this
    return F.conv2d(x, weight, { bias, stride, padding, dilation, groups })
  }
}
