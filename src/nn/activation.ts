/** Activations as layers. */
import { ArgumentError, ShapeError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkKind, checkOptions, checkSizes, describe } from '../options.ts'
import { type LayerOptions, parameter } from './arguments.ts'
import * as F from './functional.ts'
import { Layer } from './layer.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'

/** max(x, 0). @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html */
export class ReLU extends Layer {
  forward(x: Tensor): Tensor {
    return x.relu()
  }
}

/** x above 0, slope·x below. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html */
export class LeakyReLU extends Layer {
  readonly negativeSlope: number
  constructor(negativeSlope = 0.01) {
    super()
    checkKind('LeakyReLU', 'negativeSlope', negativeSlope, 'number')
    this.negativeSlope = negativeSlope
  }
  forward(x: Tensor): Tensor {
    return F.leakyRelu(x, this.negativeSlope)
  }
}

/** x above 0, α(eˣ − 1) below. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ELU.html */
export class ELU extends Layer {
  readonly alpha: number
  constructor(alpha = 1) {
    super()
    checkKind('ELU', 'alpha', alpha, 'number')
    this.alpha = alpha
  }
  forward(x: Tensor): Tensor {
    return F.elu(x, this.alpha)
  }
}

/** x·Φ(x). @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GELU.html */
export class GELU extends Layer {
  readonly approximate: 'none' | 'tanh'
  constructor(options: { readonly approximate?: 'none' | 'tanh' } = {}) {
    super()
    checkOptions('GELU', options, { approximate: 'any' })
    const { approximate = 'none' } = options
    if (approximate !== 'none' && approximate !== 'tanh')
      throw new ArgumentError(`GELU: approximate argument must be either none or tanh, got ${describe(approximate)}`, { op: 'GELU' })
    this.approximate = approximate
  }
  forward(x: Tensor): Tensor {
    return F.gelu(x, { approximate: this.approximate })
  }
}

/** x·σ(x). @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SiLU.html */
export class SiLU extends Layer {
  forward(x: Tensor): Tensor {
    return F.silu(x)
  }
}

/** 1/(1 + e^−x). @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Sigmoid.html */
export class Sigmoid extends Layer {
  forward(x: Tensor): Tensor {
    return x.sigmoid()
  }
}

/** ln σ(x). @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSigmoid.html */
export class LogSigmoid extends Layer {
  forward(x: Tensor): Tensor {
    return F.logSigmoid(x)
  }
}

/** tanh x. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanh.html */
export class Tanh extends Layer {
  forward(x: Tensor): Tensor {
    return x.tanh()
  }
}

/** x limited to [minVal, maxVal]. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardtanh.html */
export class Hardtanh extends Layer {
  readonly minVal: number
  readonly maxVal: number
  constructor(minVal = -1, maxVal = 1) {
    super()
    checkOptions('Hardtanh', { minVal, maxVal }, { minVal: 'number', maxVal: 'number' })
    if (!(minVal < maxVal)) throw new ArgumentError(`Hardtanh: minVal ${minVal} must be less than maxVal ${maxVal}`)
    this.minVal = minVal
    this.maxVal = maxVal
  }
  forward(x: Tensor): Tensor {
    return F.hardtanh(x, { minVal: this.minVal, maxVal: this.maxVal })
  }
}

/** ln(1 + e^(βx))/β. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softplus.html */
export class Softplus extends Layer {
  readonly beta: number
  readonly threshold: number
  constructor(options: { readonly beta?: number; readonly threshold?: number } = {}) {
    super()
    checkOptions('Softplus', options, { beta: 'number', threshold: 'number' })
    this.beta = options.beta ?? 1
    this.threshold = options.threshold ?? 20
  }
  forward(x: Tensor): Tensor {
    return F.softplus(x, { beta: this.beta, threshold: this.threshold })
  }
}

/** eˣ over its sum along a dim. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax.html */
export class Softmax extends Layer {
  readonly dim: number
  constructor(dim: number) {
    super()
    checkKind('Softmax', 'dim', dim, 'integer')
    this.dim = dim
  }
  forward(x: Tensor): Tensor {
    return x.softmax(this.dim)
  }
}

/** The logarithm of softmax along a dim. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSoftmax.html */
export class LogSoftmax extends Layer {
  readonly dim: number
  constructor(dim: number) {
    super()
    checkKind('LogSoftmax', 'dim', dim, 'integer')
    this.dim = dim
  }
  forward(x: Tensor): Tensor {
    return x.logSoftmax(this.dim)
  }
}

/** x limited to [0, 6]. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU6.html */
export class ReLU6 extends Layer {
  forward(x: Tensor): Tensor {
    return F.relu6(x)
  }
}

/** ELU scaled so that activations normalize themselves. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SELU.html */
export class SELU extends Layer {
  forward(x: Tensor): Tensor {
    return F.selu(x)
  }
}

/** x above 0, α(e^(x/α) − 1) below. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CELU.html */
export class CELU extends Layer {
  readonly alpha: number
  constructor(alpha = 1) {
    super()
    checkKind('CELU', 'alpha', alpha, 'number')
    this.alpha = alpha
  }
  forward(x: Tensor): Tensor {
    return F.celu(x, this.alpha)
  }
}

/** x·tanh(ln(1 + eˣ)). @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Mish.html */
export class Mish extends Layer {
  forward(x: Tensor): Tensor {
    return F.mish(x)
  }
}

/** x·max(0, min(6, x + 3))/6. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardswish.html */
export class Hardswish extends Layer {
  forward(x: Tensor): Tensor {
    return F.hardswish(x)
  }
}

/** max(0, min(6, x + 3))/6. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardsigmoid.html */
export class Hardsigmoid extends Layer {
  forward(x: Tensor): Tensor {
    return F.hardsigmoid(x)
  }
}

/** x where |x| > lambd, else 0. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardshrink.html */
export class Hardshrink extends Layer {
  readonly lambd: number
  constructor(lambd = 0.5) {
    super()
    checkKind('Hardshrink', 'lambd', lambd, 'number')
    this.lambd = lambd
  }
  forward(x: Tensor): Tensor {
    return F.hardshrink(x, this.lambd)
  }
}

/** x moved towards 0 by lambd, as far as 0. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softshrink.html */
export class Softshrink extends Layer {
  readonly lambd: number
  constructor(lambd = 0.5) {
    super()
    checkKind('Softshrink', 'lambd', lambd, 'number')
    this.lambd = lambd
  }
  forward(x: Tensor): Tensor {
    return F.softshrink(x, this.lambd)
  }
}

/** x − tanh x. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanhshrink.html */
export class Tanhshrink extends Layer {
  forward(x: Tensor): Tensor {
    return F.tanhshrink(x)
  }
}

/** x/(1 + |x|). @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softsign.html */
export class Softsign extends Layer {
  forward(x: Tensor): Tensor {
    return F.softsign(x)
  }
}

/** x above the threshold, a value elsewhere. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Threshold.html */
export class Threshold extends Layer {
  readonly threshold: number
  readonly value: number
  constructor(threshold: number, value: number) {
    super()
    checkOptions('Threshold', { threshold, value }, { threshold: 'number', value: 'number' })
    this.threshold = threshold
    this.value = value
  }
  forward(x: Tensor): Tensor {
    return F.threshold(x, this.threshold, this.value)
  }
}

/** One half of x times the sigmoid of the other, cut along a dim. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GLU.html */
export class GLU extends Layer {
  readonly dim: number
  constructor(dim = -1) {
    super()
    checkKind('GLU', 'dim', dim, 'integer')
    this.dim = dim
  }
  forward(x: Tensor): Tensor {
    return F.glu(x, this.dim)
  }
}

/** softmax of −x along a dim. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmin.html */
export class Softmin extends Layer {
  readonly dim: number
  constructor(dim: number) {
    super()
    checkKind('Softmin', 'dim', dim, 'integer')
    this.dim = dim
  }
  forward(x: Tensor): Tensor {
    return F.softmin(x, this.dim)
  }
}

/** softmax over the channels of images [n, c, h, w] or [c, h, w]. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax2d.html */
export class Softmax2d extends Layer {
  forward(x: Tensor): Tensor {
    if (x.ndim !== 3 && x.ndim !== 4)
      throw new ShapeError(`Softmax2d: expected input to be 3D or 4D (got ${x.ndim}D input)`, { shapes: [x.shape] })
    return x.softmax(-3)
  }
}

/** Options of `PReLU`. */
export interface PReLUOptions extends LayerOptions {
  /** The slopes at first. Default 0.25. */
  readonly init?: number
}

/**
 * x above 0, slope·x below, with one learned slope or one per channel (dim 1).
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PReLU.html
 */
export class PReLU extends Module<[x: Tensor]> {
  readonly numParameters: number
  weight: Parameter
  constructor(numParameters = 1, options: PReLUOptions = {}) {
    super()
    checkSizes('PReLU', { numParameters })
    checkOptions('PReLU', options, { dtype: 'any', init: 'number' })
    this.numParameters = numParameters
    this.weight = parameter('PReLU', [numParameters], options, options.init ?? 0.25)
  }
  forward(x: Tensor): Tensor {
    return F.prelu(x, this.weight)
  }
  override extraRepr(): string {
    return `numParameters=${this.numParameters}`
  }
}
