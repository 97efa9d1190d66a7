/** Activations and dropout as layers. */
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import * as F from './functional.ts'
import { Layer } from './layer.ts'

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
    this.approximate = options.approximate ?? 'none'
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
    this.dim = dim
  }
  forward(x: Tensor): Tensor {
    return x.logSoftmax(this.dim)
  }
}

/**
 * While training, each element zeroed with probability p and the others scaled by 1/(1 − p); x itself in evaluation.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html
 */
export class Dropout extends Layer {
  readonly p: number
  constructor(p = 0.5) {
    super()
    if (!(p >= 0 && p <= 1)) throw new ArgumentError(`dropout probability has to be between 0 and 1, but got ${p}`)
    this.p = p
  }
  forward(x: Tensor): Tensor {
    return F.dropout(x, { p: this.p, training: this.training })
  }
}
