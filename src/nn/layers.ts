/** Layers: affine maps, embeddings, normalization, dropout, containers, activations, losses. */
import { noGrad } from '../autograd/modes.ts'
import { ones, rand, randn, zeros } from '../creation.ts'
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import * as F from './functional.ts'
import { Module } from './module.ts'
import { buffer, parameter } from './parameter.ts'

/** Uniform in ±bound. */
function uniform(shape: readonly number[], bound: number): Tensor {
  return noGrad(() =>
    parameter(
      rand(shape)
        .mul(2 * bound)
        .sub(bound),
    ),
  )
}

/** x·Wᵀ + b, with W [out, in] and b [out] uniform in ±1/√in. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html */
export class Linear extends Module {
  readonly inFeatures: number
  readonly outFeatures: number
  readonly weight: Tensor
  readonly bias: Tensor | null

  constructor(inFeatures: number, outFeatures: number, options: { readonly bias?: boolean } = {}) {
    super()
    this.inFeatures = inFeatures
    this.outFeatures = outFeatures
    const bound = inFeatures > 0 ? 1 / Math.sqrt(inFeatures) : 0
    this.weight = uniform([outFeatures, inFeatures], bound)
    this.bias = (options.bias ?? true) ? uniform([outFeatures], bound) : null
  }
  forward(x: Tensor): Tensor {
    return F.linear(x, this.weight, this.bias)
  }
  override extraRepr(): string {
    return `inFeatures=${this.inFeatures}, outFeatures=${this.outFeatures}, bias=${this.bias !== null}`
  }
}

/** Rows of a table by number. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html */
export class Embedding extends Module {
  readonly weight: Tensor
  constructor(numEmbeddings: number, embeddingDim: number) {
    super()
    this.weight = parameter(randn([numEmbeddings, embeddingDim]))
  }
  forward(index: Tensor): Tensor {
    return F.embedding(this.weight, index)
  }
}

/** Normalization over the last dims. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html */
export class LayerNorm extends Module {
  readonly normalizedShape: readonly number[]
  readonly eps: number
  readonly weight: Tensor | null
  readonly bias: Tensor | null
  constructor(normalizedShape: number | readonly number[], options: { readonly eps?: number; readonly elementwiseAffine?: boolean } = {}) {
    super()
    this.normalizedShape = typeof normalizedShape === 'number' ? [normalizedShape] : normalizedShape
    this.eps = options.eps ?? 1e-5
    const affine = options.elementwiseAffine ?? true
    this.weight = affine ? parameter(ones(this.normalizedShape)) : null
    this.bias = affine ? parameter(zeros(this.normalizedShape)) : null
  }
  forward(x: Tensor): Tensor {
    return F.layerNorm(x, this.normalizedShape, { weight: this.weight, bias: this.bias, eps: this.eps })
  }
}

/** Normalization per channel of [N, C] or [N, C, …], with running statistics. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html */
export class BatchNorm extends Module {
  readonly weight: Tensor
  readonly bias: Tensor
  readonly runningMean: Tensor
  readonly runningVar: Tensor
  readonly momentum: number
  readonly eps: number
  constructor(numFeatures: number, options: { readonly eps?: number; readonly momentum?: number } = {}) {
    super()
    this.weight = parameter(ones([numFeatures]))
    this.bias = parameter(zeros([numFeatures]))
    this.runningMean = buffer(zeros([numFeatures]))
    this.runningVar = buffer(ones([numFeatures]))
    this.momentum = options.momentum ?? 0.1
    this.eps = options.eps ?? 1e-5
  }
  forward(x: Tensor): Tensor {
    const { runningMean, runningVar, weight, bias, training, momentum, eps } = this
    return F.batchNorm(x, { runningMean, runningVar, weight, bias, training, momentum, eps })
  }
}

/** Random zeroing while training. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html */
export class Dropout extends Module {
  readonly p: number
  constructor(p = 0.5) {
    super()
    if (!(p >= 0 && p <= 1)) throw new ArgumentError(`dropout probability has to be between 0 and 1, but got ${p}`)
    this.p = p
  }
  forward(x: Tensor): Tensor {
    return F.dropout(x, { p: this.p, training: this.training })
  }
  override extraRepr(): string {
    return `p=${this.p}`
  }
}

/** Modules one after the other. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Sequential.html */
export class Sequential extends Module {
  readonly layers: readonly Module[]
  constructor(...layers: Module[]) {
    super()
    this.layers = layers
  }
  /** Names are positions, as in torch: `0.weight`. */
  override *namedChildren(): IterableIterator<[string, Module]> {
    for (const [i, m] of this.layers.entries()) yield [String(i), m]
  }
  forward(x: Tensor): Tensor {
    let y = x
    for (const layer of this.layers) y = layer.forward(y)
    return y
  }
}

/** max(x, 0). */
export class ReLU extends Module {
  forward(x: Tensor): Tensor {
    return x.relu()
  }
}
/** tanh. */
export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return x.tanh()
  }
}
/** 1/(1 + e^−x). */
export class Sigmoid extends Module {
  forward(x: Tensor): Tensor {
    return x.sigmoid()
  }
}
/** x·Φ(x). */
export class GELU extends Module {
  forward(x: Tensor): Tensor {
    return F.gelu(x)
  }
}
/** x·σ(x). */
export class SiLU extends Module {
  forward(x: Tensor): Tensor {
    return F.silu(x)
  }
}
/** x as it is. */
export class Identity extends Module {
  forward(x: Tensor): Tensor {
    return x
  }
}
/** All dims but the first joined. */
export class Flatten extends Module {
  forward(x: Tensor): Tensor {
    return x.flatten(1)
  }
}

/** Mean squared error. */
export class MSELoss extends Module {
  forward(input: Tensor, target: Tensor): Tensor {
    return F.mseLoss(input, target)
  }
}
/** Cross-entropy of class scores. */
export class CrossEntropyLoss extends Module {
  private readonly options: F.CrossEntropyOptions
  constructor(options: F.CrossEntropyOptions = {}) {
    super()
    this.options = options
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.crossEntropy(input, target, this.options)
  }
}
