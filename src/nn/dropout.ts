/** Dropout as layers, and its forms that zero channels or keep the moments of SELU's activations. */
import { ones } from '../creation.ts'
import { ArgumentError, ShapeError, within } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { dropout } from '../ops/dropout.ts'
import { checkKind, checkOptions, type Known } from '../options.ts'
import type { Generator } from '../random.ts'
import { expectTensor } from '../tensor.ts'
import { Layer } from './layer.ts'

/** Options of the dropout functions. */
export interface DropoutOptions {
  /** The probability of zeroing. Default 0.5. */
  readonly p?: number
  /** Default true; otherwise x is returned as it is. */
  readonly training?: boolean
  /** Default: the one that `manualSeed` seeds. */
  readonly generator?: Generator
}
const DROPOUT: Known<DropoutOptions> = { p: 'number', training: 'boolean', generator: 'any' }

/** Whole channels of x [n, c, …], or of x [c, …] if `dims` says so, zeroed with probability p, the others scaled by 1/(1 − p). */
function dropChannels(op: string, x: Tensor, dims: number, options: DropoutOptions): Tensor {
  expectTensor(op, x, 'argument 0')
  checkOptions(op, options, DROPOUT)
  if (x.ndim !== dims && x.ndim !== dims - 1)
    throw new ShapeError(`${op}: expected ${dims - 1}D or ${dims}D input, got ${x.ndim}D`, { op, shapes: [x.shape] })
  if (options.training === false) return x
  const kept = x.ndim - dims + 2
  const shape = x.shape.map((n, i) => (i < kept ? n : 1))
  return within(op, () => x.mul(dropout(ones(shape, { dtype: x.dtype }), options)))
}

/**
 * Channels of signals [n, c, l] (or [c, l]) zeroed as a whole.
 * @example
 * nn.functional.dropout1d(ones([2, 3]), { p: 1 }).tolist() // [[0, 0, 0], [0, 0, 0]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout1d.html
 */
export function dropout1d(x: Tensor, options: DropoutOptions = {}): Tensor {
  return dropChannels('dropout1d', x, 3, options)
}

/**
 * Channels of images [n, c, h, w] (or [c, h, w]) zeroed as a whole.
 * @example
 * nn.functional.dropout2d(ones([1, 2, 2]), { training: false }).tolist() // [[[1, 1], [1, 1]]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout2d.html
 */
export function dropout2d(x: Tensor, options: DropoutOptions = {}): Tensor {
  return dropChannels('dropout2d', x, 4, options)
}

/** What SELU tends to at −∞, negated: its scale times its α. */
const SATURATION = 1.7580993408473766

/**
 * Elements set to SELU's limit at −∞ with probability p, then all scaled and shifted so that mean 0 and variance 1 stay.
 * @example
 * nn.functional.alphaDropout(ones([2]), { training: false }).tolist() // [1, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.alpha_dropout.html
 */
export function alphaDropout(x: Tensor, options: DropoutOptions = {}): Tensor {
  expectTensor('alphaDropout', x, 'argument 0')
  checkOptions('alphaDropout', options, DROPOUT)
  const { p = 0.5, training = true } = options
  const mask = within('alphaDropout', () => dropout(ones(x.shape, { dtype: x.dtype }), { ...options, training: true }))
  if (!training || p === 0) return x
  if (p === 1) return x.mul(mask)
  const kept = mask.sign()
  const a = 1 / Math.sqrt((SATURATION * SATURATION * p + 1) * (1 - p))
  return x.mul(kept.mul(a)).add(kept.sub(1 - p).mul(SATURATION * a))
}

/** What dropout layers share: the probability. */
abstract class DropoutLayer extends Layer {
  readonly p: number
  constructor(p = 0.5) {
    super()
    checkKind(this.constructor.name, 'p', p, 'number')
    if (!(p >= 0 && p <= 1))
      throw new ArgumentError(`dropout probability has to be between 0 and 1, but got ${p} (${this.constructor.name})`)
    this.p = p
  }
}

/**
 * While training, each element zeroed with probability p and the others scaled by 1/(1 − p); x itself in evaluation.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html
 */
export class Dropout extends DropoutLayer {
  forward(x: Tensor): Tensor {
    return dropout(x, { p: this.p, training: this.training })
  }
}

/** `dropout1d` while training. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout1d.html */
export class Dropout1d extends DropoutLayer {
  forward(x: Tensor): Tensor {
    return dropout1d(x, { p: this.p, training: this.training })
  }
}

/** `dropout2d` while training. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout2d.html */
export class Dropout2d extends DropoutLayer {
  forward(x: Tensor): Tensor {
    return dropout2d(x, { p: this.p, training: this.training })
  }
}

/** `alphaDropout` while training: for networks of SELU. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AlphaDropout.html */
export class AlphaDropout extends DropoutLayer {
  forward(x: Tensor): Tensor {
    return alphaDropout(x, { p: this.p, training: this.training })
  }
}
