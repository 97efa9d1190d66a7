/** Layers that map features: linear, identity, reshaping, lookup in a table. */
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { unflatten } from '../ops/building.ts'
import { checkKind, checkOptions, checkSizes, describe, type Known } from '../options.ts'
import { shapeArgument } from '../shape.ts'
import { expectTensor } from '../tensor.ts'
import { type LayerOptions, parameter } from './arguments.ts'
import * as F from './functional.ts'
import { calculateFanInAndFanOut, kaimingUniform_, normal_, uniform_ } from './init.ts'
import { Module } from './module.ts'
import { Parameter } from './parameter.ts'

/** Uniform in ±1/√fanIn, weight and bias: how torch starts linear and convolution layers (Kaiming with a = √5). */
export function resetWeights(weight: Tensor, bias: Tensor | null): void {
  kaimingUniform_(weight, { a: Math.sqrt(5) })
  if (bias === null) return
  const { fanIn } = calculateFanInAndFanOut(weight)
  const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0
  uniform_(bias, -bound, bound)
}

/** Options of layers with a bias. */
export interface BiasOptions extends LayerOptions {
  /** Default true. */
  readonly bias?: boolean
}
/** What layers with a bias have. */
export const BIASED: Known<BiasOptions> = { dtype: 'any', bias: 'boolean' }

/**
 * x·Wᵀ + b for x [*, inFeatures], with W [outFeatures, inFeatures] and b [outFeatures] uniform in ±1/√inFeatures at first.
 * @example
 * new nn.Linear(784, 10).forward(torch.zeros([5, 784])).shape // [5, 10]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html
 */
export class Linear extends Module<[Tensor]> {
  readonly inFeatures: number
  readonly outFeatures: number
  weight: Parameter
  bias: Parameter | null

  constructor(inFeatures: number, outFeatures: number, options: BiasOptions = {}) {
    super()
    checkSizes('Linear', { inFeatures, outFeatures })
    checkOptions('Linear', options, BIASED)
    this.inFeatures = inFeatures
    this.outFeatures = outFeatures
    this.weight = parameter('Linear', [outFeatures, inFeatures], options)
    this.bias = (options.bias ?? true) ? parameter('Linear', [outFeatures], options) : null
    this.resetParameters()
  }
  /** Draws the first values anew. */
  resetParameters(): void {
    resetWeights(this.weight, this.bias)
  }
  forward(x: Tensor): Tensor {
    return F.linear(x, this.weight, this.bias)
  }
  override extraRepr(): string {
    return `inFeatures=${this.inFeatures}, outFeatures=${this.outFeatures}, bias=${this.bias !== null}`
  }
}

/** Options of `Embedding`. */
export interface EmbeddingLayerOptions extends LayerOptions {
  /** The row with this number starts as zeros and gets no gradient. */
  readonly paddingIdx?: number | null
}
const EMBEDDING: Known<EmbeddingLayerOptions> = { dtype: 'any', paddingIdx: 'any' }

/**
 * Rows of a table [numEmbeddings, embeddingDim] by number (int32); normal numbers at first.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html
 */
export class Embedding extends Module<[Tensor]> {
  readonly numEmbeddings: number
  readonly embeddingDim: number
  readonly paddingIdx: number | null
  weight: Parameter

  constructor(numEmbeddings: number, embeddingDim: number, options: EmbeddingLayerOptions = {}) {
    super()
    checkSizes('Embedding', { numEmbeddings, embeddingDim })
    checkOptions('Embedding', options, EMBEDDING)
    this.numEmbeddings = numEmbeddings
    this.embeddingDim = embeddingDim
    const padding = options.paddingIdx ?? null
    if (padding !== null && !(Number.isInteger(padding) && padding >= -numEmbeddings && padding < numEmbeddings))
      throw new ArgumentError(`Padding_idx must be within num_embeddings: paddingIdx ${describe(padding)} of ${numEmbeddings} (Embedding)`)
    this.paddingIdx = padding !== null && padding < 0 ? padding + numEmbeddings : padding
    this.weight = parameter('Embedding', [numEmbeddings, embeddingDim], options)
    this.resetParameters()
  }

  /** A layer over given rows, which are not trained unless `freeze` is false. */
  static fromPretrained(embeddings: Tensor, options: EmbeddingLayerOptions & { readonly freeze?: boolean } = {}): Embedding {
    expectTensor('fromPretrained', embeddings, 'the rows')
    checkOptions('fromPretrained', options, { ...EMBEDDING, freeze: 'boolean' })
    const [rows, width] = embeddings.shape
    if (rows === undefined || width === undefined || embeddings.ndim !== 2)
      throw new ShapeError(`Embeddings parameter is expected to be 2-dimensional: got shape ${show(embeddings.shape)} (fromPretrained)`, {
        shapes: [embeddings.shape],
      })
    const { freeze = true, ...rest } = options
    const weight = new Parameter(embeddings.detach(), !freeze)
    const made = new Embedding(rows, width, rest)
    made.weight = weight
    return made
  }

  /** Draws the first values anew. */
  resetParameters(): void {
    normal_(this.weight)
    this.clearPadding()
  }
  private clearPadding(): void {
    if (this.paddingIdx !== null) this.weight.detach().select(0, this.paddingIdx).zero_()
  }
  forward(index: Tensor): Tensor {
    return F.embedding(this.weight, index, { paddingIdx: this.paddingIdx })
  }
  override extraRepr(): string {
    return `${this.numEmbeddings}, ${this.embeddingDim}${this.paddingIdx === null ? '' : `, paddingIdx=${this.paddingIdx}`}`
  }
}

/** x as it is. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Identity.html */
export class Identity extends Module<[Tensor]> {
  forward(x: Tensor): Tensor {
    return x
  }
}

/** Dims startDim … endDim joined into one. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Flatten.html */
export class Flatten extends Module<[Tensor]> {
  readonly startDim: number
  readonly endDim: number
  constructor(startDim = 1, endDim = -1) {
    super()
    checkKind('Flatten', 'startDim', startDim, 'integer')
    checkKind('Flatten', 'endDim', endDim, 'integer')
    this.startDim = startDim
    this.endDim = endDim
  }
  forward(x: Tensor): Tensor {
    return x.flatten(this.startDim, this.endDim)
  }
  override extraRepr(): string {
    return `startDim=${this.startDim}, endDim=${this.endDim}`
  }
}

/** One dim split into several. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Unflatten.html */
export class Unflatten extends Module<[Tensor]> {
  readonly dim: number
  readonly sizes: readonly number[]
  constructor(dim: number, sizes: readonly number[]) {
    super()
    checkKind('Unflatten', 'dim', dim, 'integer')
    this.dim = dim
    this.sizes = [...shapeArgument(sizes, [], 'Unflatten')]
  }
  forward(x: Tensor): Tensor {
    return unflatten(x, this.dim, this.sizes)
  }
  override extraRepr(): string {
    return `dim=${this.dim}, sizes=${show(this.sizes)}`
  }
}
