/** `nn.init`: first values of parameters, written in place and outside of any graph. */
import { noGrad } from '../autograd/modes.ts'
import { tensor } from '../creation.ts'
import { ArgumentError, ShapeError, show, within } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkKind, checkOptions, type Known } from '../options.ts'
import { type Generator, generatorOf } from '../random.ts'
import { expectTensor } from '../tensor.ts'

/** Options of random initialisations. */
export interface InitOptions {
  /** Default: the one that `manualSeed` seeds. */
  readonly generator?: Generator
}

const INIT: Known<InitOptions> = { generator: 'any' }

/** Refuses what isn't a tensor, numbers and options. */
function check(op: string, t: Tensor, numbers: Readonly<Record<string, unknown>>): void {
  expectTensor(op, t, 'argument 0')
  for (const [name, n] of Object.entries(numbers)) checkKind(op, name, n, 'number')
}

/** What follows a layer. */
export type Nonlinearity = 'linear' | 'conv1d' | 'conv2d' | 'sigmoid' | 'tanh' | 'relu' | 'leakyRelu' | 'selu'

/** Options of `kaimingUniform_` and `kaimingNormal_`. */
export interface KaimingOptions extends InitOptions {
  /** Slope of the leaky ReLU that follows. Default 0. */
  readonly a?: number
  /** Keep the variance of what goes forward ('fanIn', the default) or of the gradients ('fanOut'). */
  readonly mode?: 'fanIn' | 'fanOut'
  /** Default 'leakyRelu'. */
  readonly nonlinearity?: Nonlinearity
}

/**
 * The factor that keeps the variance across a nonlinearity; `param` is the slope of 'leakyRelu'.
 * @example
 * nn.init.calculateGain('tanh') // 1.6666666666666667
 * @see https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.calculate_gain
 */
export function calculateGain(nonlinearity: Nonlinearity, param = 0.01): number {
  checkKind('calculateGain', 'param', param, 'number')
  switch (nonlinearity) {
    case 'linear':
    case 'conv1d':
    case 'conv2d':
    case 'sigmoid':
      return 1
    case 'tanh':
      return 5 / 3
    case 'relu':
      return Math.SQRT2
    case 'leakyRelu':
      return Math.sqrt(2 / (1 + param * param))
    case 'selu':
      return 3 / 4
    default:
      throw new ArgumentError(`Unsupported nonlinearity ${String(nonlinearity)} (calculateGain)`, { op: 'calculateGain' })
  }
}

/**
 * How many inputs an output of a weight [out, in, …] sees, and how many outputs an input.
 * @example
 * nn.init.calculateFanInAndFanOut(zeros([3, 5])) // { fanIn: 5, fanOut: 3 }
 */
export function calculateFanInAndFanOut(t: Tensor): { readonly fanIn: number; readonly fanOut: number } {
  expectTensor('calculateFanInAndFanOut', t, 'argument 0')
  const [out, inputs, ...window] = t.shape
  if (out === undefined || inputs === undefined)
    throw new ShapeError(
      `Fan in and fan out can not be computed for tensor with fewer than 2 dimensions: got shape ${show(t.shape)} (calculateFanInAndFanOut)`,
      {
        op: 'calculateFanInAndFanOut',
        shapes: [t.shape],
      },
    )
  const field = window.reduce((a, b) => a * b, 1)
  return { fanIn: inputs * field, fanOut: out * field }
}

/**
 * Uniform numbers in [from, to).
 * @example
 * nn.init.uniform_(zeros([2]), 3, 3).tolist() // [3, 3]
 * @see https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.uniform_
 */
export function uniform_(t: Tensor, from = 0, to = 1, options: InitOptions = {}): Tensor {
  expectTensor('uniform_', t, 'argument 0')
  return noGrad(() => t.uniform_(from, to, options))
}

/**
 * Normal numbers.
 * @example
 * nn.init.normal_(zeros([2]), 5, 0).tolist() // [5, 5]
 * @see https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.normal_
 */
export function normal_(t: Tensor, mean = 0, std = 1, options: InitOptions = {}): Tensor {
  expectTensor('normal_', t, 'argument 0')
  return noGrad(() => t.normal_(mean, std, options))
}

/**
 * Normal numbers, redrawn until they lie in [a, b].
 * @example
 * nn.init.truncNormal_(zeros([100]), 0, 1, -1, 1).abs().max().item() <= 1 // true
 * @see https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.trunc_normal_
 */
export function truncNormal_(t: Tensor, mean = 0, std = 1, a = -2, b = 2, options: InitOptions = {}): Tensor {
  check('truncNormal_', t, { mean, std, a, b })
  checkOptions('truncNormal_', options, INIT)
  const generator = generatorOf('truncNormal_', options.generator)
  // Of draws from a far tail, or around a tiny interval, almost all would be rejected.
  if (!(a < b && a <= mean + 3 * std && b >= mean - 3 * std && b - a >= std / 1000))
    throw new ArgumentError(
      `truncNormal_: [${a}, ${b}] must be an interval within 3 std of the mean ${mean}, of at least std/1000 (std ${std})`,
      { op: 'truncNormal_' },
    )
  const values = new Float64Array(t.numel())
  const spare = new Float64Array(Math.max(16, values.length))
  for (let filled = 0; filled < values.length; ) {
    generator.normal(spare, mean, std)
    for (const v of spare) if (v >= a && v <= b && filled < values.length) values[filled++] = v
  }
  return noGrad(() => t.copy_(tensor(values).reshape(t.shape)))
}

/**
 * One value everywhere.
 * @example
 * nn.init.constant_(zeros([2]), 3).tolist() // [3, 3]
 * @see https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.constant_
 */
export function constant_(t: Tensor, value: number): Tensor {
  check('constant_', t, { value })
  return noGrad(() => t.fill_(value))
}

/**
 * Ones.
 * @example
 * nn.init.ones_(zeros([2])).tolist() // [1, 1]
 * @see https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.ones_
 */
export function ones_(t: Tensor): Tensor {
  check('ones_', t, {})
  return constant_(t, 1)
}

/**
 * Zeros.
 * @example
 * nn.init.zeros_(ones([2])).tolist() // [0, 0]
 * @see https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.zeros_
 */
export function zeros_(t: Tensor): Tensor {
  check('zeros_', t, {})
  return constant_(t, 0)
}

/**
 * Ones on the diagonal of a matrix, zeros elsewhere.
 * @example
 * nn.init.eye_(zeros([2, 2])).tolist() // [[1, 0], [0, 1]]
 * @see https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.eye_
 */
export function eye_(t: Tensor): Tensor {
  check('eye_', t, {})
  if (t.ndim !== 2)
    throw new ShapeError(`Only tensors with 2 dimensions are supported: got shape ${show(t.shape)} (eye_)`, {
      op: 'eye_',
      shapes: [t.shape],
    })
  return noGrad(() => {
    t.zero_().diagonal().fill_(1)
    return t
  })
}

/**
 * Uniform in ±gain·√(6/(fanIn + fanOut)).
 * @example
 * nn.init.xavierUniform_(zeros([4, 2])).abs().max().item() <= 1 // true
 * @see https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.xavier_uniform_
 */
export function xavierUniform_(t: Tensor, gain = 1, options: InitOptions = {}): Tensor {
  return xavier('xavierUniform_', t, gain, Math.sqrt(3), options)
}

/**
 * Normal with std gain·√(2/(fanIn + fanOut)).
 * @example
 * nn.init.xavierNormal_(zeros([8, 2])).shape // [8, 2]
 * @see https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.xavier_normal_
 */
export function xavierNormal_(t: Tensor, gain = 1, options: InitOptions = {}): Tensor {
  return xavier('xavierNormal_', t, gain, null, options)
}

/** Uniform in ±width·std, or normal with that std, for std = gain·√(2/(fanIn + fanOut)). */
function xavier(op: string, t: Tensor, gain: number, width: number | null, options: InitOptions): Tensor {
  check(op, t, { gain })
  checkOptions(op, options, INIT)
  return within(op, () => {
    const { fanIn, fanOut } = calculateFanInAndFanOut(t)
    return spread(t, gain * Math.sqrt(2 / (fanIn + fanOut)), width, options)
  })
}

const spread = (t: Tensor, std: number, width: number | null, { generator }: InitOptions): Tensor => {
  const options = generator === undefined ? {} : { generator }
  return width === null ? normal_(t, 0, std, options) : uniform_(t, -width * std, width * std, options)
}

/**
 * Uniform in ±gain·√(3/fan).
 * @example
 * nn.init.kaimingUniform_(zeros([8, 2]), { nonlinearity: 'relu' }).abs().max().item() <= Math.sqrt(3) // true
 * @see https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.kaiming_uniform_
 */
export function kaimingUniform_(t: Tensor, options: KaimingOptions = {}): Tensor {
  return kaiming('kaimingUniform_', t, Math.sqrt(3), options)
}

/**
 * Normal with std gain/√fan.
 * @example
 * nn.init.kaimingNormal_(zeros([8, 2])).shape // [8, 2]
 * @see https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.kaiming_normal_
 */
export function kaimingNormal_(t: Tensor, options: KaimingOptions = {}): Tensor {
  return kaiming('kaimingNormal_', t, null, options)
}

/** The same for std = gain/√fan. Empty tensors have nothing to scale. */
function kaiming(op: string, t: Tensor, width: number | null, options: KaimingOptions): Tensor {
  check(op, t, {})
  checkOptions(op, options, { a: 'number', mode: 'any', nonlinearity: 'any', generator: 'any' })
  const { a = 0, mode = 'fanIn', nonlinearity = 'leakyRelu' } = options
  if (mode !== 'fanIn' && mode !== 'fanOut')
    throw new ArgumentError(`Mode ${String(mode)} not supported, please use one of ['fanIn', 'fanOut'] (${op})`, { op })
  return within(op, () => {
    const std = t.numel() === 0 ? 0 : calculateGain(nonlinearity, a) / Math.sqrt(calculateFanInAndFanOut(t)[mode])
    return spread(t, std, width, options)
  })
}
