/** Convolutions and transposed convolutions of signals and images. */
import { dtypes } from '../dtype.ts'
import { ArgumentError, DTypeError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkOptions, type Known } from '../options.ts'
import { expectTensor, isTensor } from '../tensor.ts'
import { type Convolution, convolution, imageOf } from './convolve.ts'
import { pad } from './padding.ts'
import { type Pair, type PairOption, pair, windowCount } from './window.ts'

/** Options of `conv1d` and `conv2d`; one number stands for all spatial dims. */
export interface ConvolutionOptions {
  /** Added per output channel. */
  readonly bias?: Tensor | null
  /** Steps between windows. Default 1. */
  readonly stride?: PairOption
  /** Zeros around the input: a number, `'valid'` (none), or `'same'` (as many as keep the size; stride 1 only). Default 0. */
  readonly padding?: PairOption | 'same' | 'valid'
  /** Distance between the elements of a window. Default 1. */
  readonly dilation?: PairOption
  /** Splits the channels into groups that don't see each other. Default 1. */
  readonly groups?: number
}

/** Options of `convTranspose1d` and `convTranspose2d`. */
export interface ConvolutionTransposeOptions {
  readonly bias?: Tensor | null
  readonly stride?: PairOption
  /** Cut off on all sides of the result. Default 0. */
  readonly padding?: PairOption
  /** Added at the far end of the result, to choose among the sizes a strided convolution maps to one. Default 0. */
  readonly outputPadding?: PairOption
  readonly dilation?: PairOption
  readonly groups?: number
}

const CONVOLUTION: Known<ConvolutionOptions> = { bias: 'any', stride: 'any', padding: 'any', dilation: 'any', groups: 'number' }
const TRANSPOSED: Known<ConvolutionTransposeOptions> = {
  bias: 'any',
  stride: 'any',
  padding: 'any',
  outputPadding: 'any',
  dilation: 'any',
  groups: 'number',
}

/** A bias may stand alone where the options do. */
function optionsOf<O extends { readonly bias?: Tensor | null }>(
  op: string,
  given: Tensor | null | O | undefined,
  options: O | undefined,
  known: Known<O>,
): O {
  checkOptions(op, options, known)
  if (given === null || given === undefined || isTensor(given)) return { ...(options ?? ({} as O)), ...(given ? { bias: given } : {}) }
  checkOptions(op, given, known)
  return given as O
}

function checkOperands(op: string, x: Tensor, weight: Tensor, bias: Tensor | null | undefined, spatial: 1 | 2): void {
  expectTensor(op, x, 'the input')
  expectTensor(op, weight, 'the weight')
  if (bias) expectTensor(op, bias, 'the bias')
  if (x.layout.rank !== spatial + 1 && x.layout.rank !== spatial + 2) {
    throw new ShapeError(
      `Expected ${spatial + 1}D (unbatched) or ${spatial + 2}D (batched) input to ${op}, but got input of size: ${show(x.shape)}`,
      { op, shapes: [x.shape] },
    )
  }
  if (weight.layout.rank !== spatial + 2) {
    throw new ShapeError(`${op}: expected a weight of ${spatial + 2} dims, but got ${show(weight.shape)}`, { op, shapes: [weight.shape] })
  }
  if (x.dt !== weight.dt || (bias && bias.dt !== x.dt)) {
    const other = x.dt === weight.dt ? bias! : weight
    throw new DTypeError(
      `expected scalar type ${x.dtype} but found ${other.dtype}: ${op} needs input, weight and bias of one dtype; convert with to(…)`,
      { op, dtypes: [x.dtype, weight.dtype, ...(bias ? [bias.dtype] : [])] },
    )
  }
  if (x.dt === dtypes.bool)
    throw new DTypeError(`"${op}" not implemented for 'Bool'; convert first, e.g. x.to('float32')`, { op, dtypes: ['bool'] })
}

function checkGroups(op: string, groups: number): void {
  if (!Number.isInteger(groups) || groups < 1)
    throw new ArgumentError(`non-positive groups is not supported: ${op} got groups=${groups}`, { op })
}

function checkBias(op: string, bias: Tensor | null | undefined, weight: Tensor, channels: number): void {
  if (bias && (bias.layout.rank !== 1 || bias.shape[0] !== channels)) {
    throw new ShapeError(
      `Given weight of size ${show(weight.shape)}, expected bias to be 1-dimensional with ${channels} elements, but got bias of size ${show(bias.shape)} instead (${op})`,
      { op, shapes: [weight.shape, bias.shape] },
    )
  }
}

/** The spatial sizes as (height, width); signals have height 1. */
const spatialOf = (x: Tensor, spatial: 1 | 2): Pair => (spatial === 1 ? [1, x.shape.at(-1)!] : [x.shape.at(-2)!, x.shape.at(-1)!])

function checkWeight(op: string, x: Tensor, weight: Tensor, groups: number, outputs: number): void {
  if (outputs < groups || outputs % groups !== 0) {
    throw new ShapeError(
      `Given groups=${groups}, expected weight to be at least ${groups} at dimension 0 and divisible by ${groups}, but got weight of size ${show(weight.shape)} instead (${op})`,
      { op, shapes: [x.shape, weight.shape] },
    )
  }
}

function convolve(op: string, x: Tensor, weight: Tensor, options: ConvolutionOptions, spatial: 1 | 2): Tensor {
  const { bias, groups = 1 } = options
  checkOperands(op, x, weight, bias, spatial)
  checkGroups(op, groups)
  const stride = pair(options.stride ?? 1, spatial, 1, 1, 'stride', op)
  const dilation = pair(options.dilation ?? 1, spatial, 1, 1, 'dilation', op)
  const batched = x.layout.rank === spatial + 2
  checkWeight(op, x, weight, groups, weight.shape[0]!)
  const channels = x.shape[batched ? 1 : 0]!
  if (channels !== weight.shape[1]! * groups) {
    throw new ShapeError(
      `Given groups=${groups}, weight of size ${show(weight.shape)}, expected input${show(x.shape)} to have ${weight.shape[1]! * groups} channels, but got ${channels} channels instead (${op})`,
      { op, shapes: [x.shape, weight.shape] },
    )
  }
  checkBias(op, bias, weight, weight.shape[0]!)
  const kernel = spatialOf(weight, spatial)
  let input = batched ? x : x.unsqueeze(0)
  let padding: Pair = [0, 0]
  if (options.padding === 'same') {
    if (stride.some((s) => s !== 1)) throw new ArgumentError(`padding='same' is not supported for strided convolutions (${op})`, { op })
    const total = kernel.map((k, d) => dilation[d]! * (k - 1)) as unknown as Pair
    padding = [total[0] >> 1, total[1] >> 1]
    // An odd number of zeros has its extra one at the far end.
    if (total[0] % 2 !== 0 || total[1] % 2 !== 0) input = pad(input, spatial === 1 ? [0, total[1] % 2] : [0, total[1] % 2, 0, total[0] % 2])
  } else if (typeof options.padding === 'string') {
    if (options.padding !== 'valid')
      throw new ArgumentError(`Invalid padding string: '${String(options.padding)}'; ${op} knows 'same' and 'valid'`, { op })
  } else padding = pair(options.padding ?? 0, spatial, 0, 0, 'padding', op)
  const image = spatialOf(input, spatial)
  const map: Pair = [
    windowCount(image[0], kernel[0], stride[0], padding[0], dilation[0], false),
    windowCount(image[1], kernel[1], stride[1], padding[1], dilation[1], false),
  ]
  if (map[0] < 1 || map[1] < 1) {
    const list = (p: Pair): string => `(${p.slice(2 - spatial).join(' x ')})`
    const padded: Pair = [image[0] + 2 * padding[0], image[1] + 2 * padding[1]]
    const reach: Pair = [dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1]
    throw new ShapeError(
      `Calculated padded input size per channel: ${list(padded)}. Kernel size: ${list(reach)}. Kernel size can't be greater than actual input size: ${op} of ${show(x.shape)} with weight ${show(weight.shape)}`,
      { op, shapes: [x.shape, weight.shape] },
    )
  }
  if (kernel[0] === 0 || kernel[1] === 0)
    throw new ShapeError(`${op}: the kernel must have at least one element, got weight ${show(weight.shape)}`, {
      op,
      shapes: [weight.shape],
    })
  const p: Convolution = { image, kernel, map, stride, padding, dilation, groups, spatial }
  const y = convolution.one(bias ? [input, weight, bias] : [input, weight], p)
  return batched ? y : y.squeeze(0)
}

/**
 * The cross-correlation of images x [n, c, h, w] (or [c, h, w]) with a weight [o, c/groups, kh, kw], plus a bias [o].
 * The bias may also stand in place of the options, with these after it.
 * Errors: ShapeError when channels or sizes don't fit, DTypeError when dtypes differ, ArgumentError for impossible options.
 * @example
 * conv2d(ones([1, 1, 3, 3]), ones([1, 1, 2, 2])).tolist() // [[[[4, 4], [4, 4]]]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html
 */
export function conv2d(x: Tensor, weight: Tensor, bias?: Tensor | null | ConvolutionOptions, options?: ConvolutionOptions): Tensor {
  return convolve('conv2d', x, weight, optionsOf('conv2d', bias, options, CONVOLUTION), 2)
}

/**
 * The cross-correlation of signals x [n, c, l] (or [c, l]) with a weight [o, c/groups, k], plus a bias [o].
 * Errors: as `conv2d`.
 * @example
 * nn.functional.conv1d(tensor([[[1, 2, 3]]]), tensor([[[1, 1]]])).tolist() // [[[3, 5]]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv1d.html
 */
export function conv1d(x: Tensor, weight: Tensor, bias?: Tensor | null | ConvolutionOptions, options?: ConvolutionOptions): Tensor {
  return convolve('conv1d', x, weight, optionsOf('conv1d', bias, options, CONVOLUTION), 1)
}

function convolveTransposed(op: string, x: Tensor, weight: Tensor, options: ConvolutionTransposeOptions, spatial: 1 | 2): Tensor {
  const { bias, groups = 1 } = options
  checkOperands(op, x, weight, bias, spatial)
  checkGroups(op, groups)
  const stride = pair(options.stride ?? 1, spatial, 1, 1, 'stride', op)
  const padding = pair(options.padding ?? 0, spatial, 0, 0, 'padding', op)
  const extra = pair(options.outputPadding ?? 0, spatial, 0, 0, 'output_padding', op)
  const dilation = pair(options.dilation ?? 1, spatial, 1, 1, 'dilation', op)
  if (extra.some((e, d) => e >= Math.max(stride[d]!, dilation[d]!) && e > 0)) {
    throw new ArgumentError(
      `output padding must be smaller than either stride or dilation, but got output_padding ${show(extra)} in ${op}`,
      { op },
    )
  }
  const batched = x.layout.rank === spatial + 2
  const channels = x.shape[batched ? 1 : 0]!
  checkWeight(op, x, weight, groups, weight.shape[0]!)
  if (channels !== weight.shape[0]) {
    throw new ShapeError(
      `Given transposed=1, weight of size ${show(weight.shape)}, expected input${show(x.shape)} to have ${weight.shape[0]} channels, but got ${channels} channels instead (${op})`,
      { op, shapes: [x.shape, weight.shape] },
    )
  }
  checkBias(op, bias, weight, weight.shape[1]! * groups)
  const kernel = spatialOf(weight, spatial)
  const input = batched ? x : x.unsqueeze(0)
  const map = spatialOf(input, spatial)
  const size = (d: 0 | 1): number => (map[d] - 1) * stride[d] - 2 * padding[d] + dilation[d] * (kernel[d] - 1) + extra[d] + 1
  const image: Pair = [size(0), size(1)]
  if (image[0] < 1 || image[1] < 1 || kernel[0] === 0 || kernel[1] === 0)
    throw new ShapeError(
      `Given input size per channel: (${map.slice(2 - spatial).join(' x ')}). Calculated output size per channel: (${image.slice(2 - spatial).join(' x ')}). Output size is too small (${op})`,
      { op, shapes: [x.shape, weight.shape] },
    )
  const p: Convolution = { image, kernel, map, stride, padding, dilation, groups, spatial }
  const y = imageOf.one(bias ? [input, weight, bias] : [input, weight], p)
  return batched ? y : y.squeeze(0)
}

/**
 * The transpose of `conv2d`, as a layer: x [n, c, h, w] (or [c, h, w]), weight [c, o/groups, kh, kw], bias [o].
 * Errors: ShapeError when channels or sizes don't fit, DTypeError when dtypes differ, ArgumentError for impossible options.
 * @example
 * nn.functional.convTranspose2d(ones([1, 1, 2, 2]), ones([1, 1, 2, 2]), null, { stride: 2 }).shape // [1, 1, 4, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose2d.html
 */
export function convTranspose2d(
  x: Tensor,
  weight: Tensor,
  bias?: Tensor | null | ConvolutionTransposeOptions,
  options?: ConvolutionTransposeOptions,
): Tensor {
  return convolveTransposed('convTranspose2d', x, weight, optionsOf('convTranspose2d', bias, options, TRANSPOSED), 2)
}

/**
 * The transpose of `conv1d`, as a layer: x [n, c, l] (or [c, l]), weight [c, o/groups, k], bias [o].
 * Errors: as `convTranspose2d`.
 * @example
 * nn.functional.convTranspose1d(tensor([[[1, 2]]]), tensor([[[1, 1]]])).tolist() // [[[1, 3, 2]]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose1d.html
 */
export function convTranspose1d(
  x: Tensor,
  weight: Tensor,
  bias?: Tensor | null | ConvolutionTransposeOptions,
  options?: ConvolutionTransposeOptions,
): Tensor {
  return convolveTransposed('convTranspose1d', x, weight, optionsOf('convTranspose1d', bias, options, TRANSPOSED), 1)
}
