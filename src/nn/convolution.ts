/** Convolution layers. */
import { ArgumentError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkOptions, checkSizes, type Known } from '../options.ts'
import { parameter, perDim } from './arguments.ts'
import * as F from './functional.ts'
import { type BiasOptions, resetWeights } from './linear.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'

/** What the options of all convolutions share; one number stands for all spatial dims. */
interface WindowOptions extends BiasOptions {
  /** Steps between windows. Default 1. */
  readonly stride?: number | readonly number[]
  /** Distance between the elements of a window. Default 1. */
  readonly dilation?: number | readonly number[]
  /** Splits the channels into groups that don't see each other. Default 1. */
  readonly groups?: number
}

/** Options of `Conv1d` and `Conv2d`. */
export interface ConvOptions extends WindowOptions {
  /** Zeros around the input, `'same'` or `'valid'`. Default 0. */
  readonly padding?: number | readonly number[] | 'same' | 'valid'
}

/** Options of `ConvTranspose1d` and `ConvTranspose2d`. */
export interface ConvTransposeOptions extends WindowOptions {
  /** Cut off on all sides of the result. Default 0. */
  readonly padding?: number | readonly number[]
  /** Added at the far end of the result, to choose among the sizes a strided convolution maps to one. Default 0. */
  readonly outputPadding?: number | readonly number[]
}

const CONVOLUTION: Known<ConvOptions> = { dtype: 'any', bias: 'boolean', stride: 'any', padding: 'any', dilation: 'any', groups: 'any' }
const TRANSPOSE: Known<ConvTransposeOptions> = {
  dtype: 'any',
  bias: 'boolean',
  stride: 'any',
  padding: 'any',
  outputPadding: 'any',
  dilation: 'any',
  groups: 'any',
}

/** What convolutions of any number of dims share, and their transposes. */
abstract class Conv<I extends unknown[] = [x: Tensor]> extends Module<I> {
  readonly inChannels: number
  readonly outChannels: number
  readonly kernelSize: readonly number[]
  readonly stride: readonly number[]
  readonly padding: readonly number[] | 'same' | 'valid'
  readonly dilation: readonly number[]
  readonly groups: number
  weight: Parameter
  bias: Parameter | null

  constructor(
    dims: number,
    inChannels: number,
    outChannels: number,
    kernelSize: number | readonly number[],
    options: ConvOptions,
    transposed = false,
  ) {
    super()
    const op = `Conv${transposed ? 'Transpose' : ''}${dims}d`
    checkSizes(op, { inChannels, outChannels })
    checkOptions<ConvTransposeOptions | ConvOptions>(op, options, transposed ? TRANSPOSE : CONVOLUTION)
    const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true } = options
    const refuse = (why: string): ArgumentError => new ArgumentError(`${why} (${op})`, { op })
    if (!(Number.isInteger(groups) && groups > 0)) throw refuse('groups must be a positive integer')
    if (inChannels % groups !== 0) throw refuse('in_channels must be divisible by groups')
    if (outChannels % groups !== 0) throw refuse('out_channels must be divisible by groups')
    if (typeof padding === 'string' && (transposed || (padding !== 'same' && padding !== 'valid')))
      throw refuse(transposed ? 'padding must be numbers' : `Invalid padding string '${String(padding)}', should be one of 'valid', 'same'`)
    this.inChannels = inChannels
    this.outChannels = outChannels
    this.kernelSize = perDim(op, 'kernelSize', kernelSize, dims, 0)
    this.stride = perDim(op, 'stride', stride, dims, 1)
    this.padding = typeof padding === 'string' ? padding : perDim(op, 'padding', padding, dims, 0)
    this.dilation = perDim(op, 'dilation', dilation, dims, 1)
    this.groups = groups
    if (padding === 'same' && this.stride.some((s) => s !== 1)) throw refuse("padding='same' is not supported for strided convolutions")
    const channels = transposed ? [inChannels, outChannels / groups] : [outChannels, inChannels / groups]
    this.weight = parameter(op, [...channels, ...this.kernelSize], options)
    this.bias = bias ? parameter(op, [outChannels], options) : null
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

/** The transposes of convolutions of any number of dims. */
abstract class ConvTranspose extends Conv<[x: Tensor, outputSize?: readonly number[]]> {
  readonly outputPadding: readonly number[]
  constructor(
    dims: number,
    inChannels: number,
    outChannels: number,
    kernelSize: number | readonly number[],
    options: ConvTransposeOptions,
  ) {
    super(dims, inChannels, outChannels, kernelSize, options, true)
    this.outputPadding = perDim(`ConvTranspose${dims}d`, 'outputPadding', options.outputPadding ?? 0, dims, 0)
  }

  /** The options of a call; with `outputSize` (of the spatial dims, or of all) the padding that leads to it. */
  protected settings(x: Tensor, outputSize: readonly number[] | undefined): F.ConvolutionTransposeOptions {
    const { bias, stride, dilation, groups, kernelSize, outputPadding } = this
    const padding = this.padding as readonly number[]
    const options = { bias, stride, padding, dilation, groups, outputPadding }
    if (outputSize === undefined) return options
    const dims = kernelSize.length
    if (outputSize.length !== dims && outputSize.length !== x.ndim)
      throw new ArgumentError(
        `ConvTranspose${dims}D: for ${x.ndim}D input, output_size must have ${dims} or ${x.ndim} elements (got ${outputSize.length})`,
      )
    const least = x.shape.slice(-dims).map((n, d) => (n - 1) * stride[d]! - 2 * padding[d]! + dilation[d]! * (kernelSize[d]! - 1) + 1)
    const added = outputSize.slice(-dims).map((n, d) => n - least[d]!)
    if (added.some((n, d) => n < 0 || n >= stride[d]!)) {
      const most = least.map((n, d) => n + stride[d]! - 1)
      throw new ArgumentError(
        `requested an output size of ${show(outputSize)}, but valid sizes range from ${show(least)} to ${show(most)} (for an input of ${show(x.shape)})`,
        { shapes: [x.shape] },
      )
    }
    return { ...options, outputPadding: added }
  }

  override extraRepr(): string {
    const added = this.outputPadding.some((n) => n !== 0) ? `, outputPadding=${show(this.outputPadding)}` : ''
    return super.extraRepr() + added
  }
}

/**
 * The transpose of `Conv1d`, x [n, inChannels, l] to longer signals; weight [inChannels, outChannels/groups, k], uniform in ±1/√fan at first.
 * `forward` takes the length of the result where the stride leaves a choice.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose1d.html
 */
export class ConvTranspose1d extends ConvTranspose {
  constructor(inChannels: number, outChannels: number, kernelSize: number | readonly number[], options: ConvTransposeOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options)
  }
  forward(x: Tensor, outputSize?: readonly number[]): Tensor {
    return F.convTranspose1d(x, this.weight, this.settings(x, outputSize))
  }
}

/**
 * The transpose of `Conv2d`, x [n, inChannels, h, w] to larger images; weight [inChannels, outChannels/groups, kh, kw], uniform in ±1/√fan
 * at first. `forward` takes the size of the result where the stride leaves a choice.
 * Errors: ArgumentError for a size that no padding leads to.
 * @example
 * new nn.ConvTranspose2d(8, 1, 2, { stride: 2 }).forward(torch.zeros([5, 8, 14, 14])).shape // [5, 1, 28, 28]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html
 */
export class ConvTranspose2d extends ConvTranspose {
  constructor(inChannels: number, outChannels: number, kernelSize: number | readonly number[], options: ConvTransposeOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options)
  }
  forward(x: Tensor, outputSize?: readonly number[]): Tensor {
    return F.convTranspose2d(x, this.weight, this.settings(x, outputSize))
  }
}
