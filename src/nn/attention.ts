/** Attention with several heads, as a layer. */
import { zeros } from '../creation.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { attentionWeights } from '../ops/attention.ts'
import { checkOptions, checkSizes } from '../options.ts'
import { expectTensor, expectTensorOrNone } from '../tensor.ts'
import { parameter, typed } from './arguments.ts'
import * as F from './functional.ts'
import { constant_, xavierUniform_ } from './init.ts'
import { BIASED, type BiasOptions, Linear } from './linear.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'

const OP = 'MultiheadAttention'

/** Options of `MultiheadAttention`. */
export interface MultiheadAttentionOptions extends BiasOptions {
  /** Share of the weights dropped while training. Default 0. */
  readonly dropout?: number
  /** Inputs are [batch, sequence, features] instead of [sequence, batch, features]. Default false. */
  readonly batchFirst?: boolean
}

/** Options of `MultiheadAttention.forward`. */
export interface AttendOptions {
  /** [batch, keys]; where bool: true hides a key; where float: added to the scores. */
  readonly keyPaddingMask?: Tensor | null
  /** [queries, keys] or [batch · heads, queries, keys]; where bool: true hides a key from a query; where float: added to the scores. */
  readonly attnMask?: Tensor | null
  /** Return the weights too? Default true. */
  readonly needWeights?: boolean
  /** Average the weights over the heads? Default true. */
  readonly averageAttnWeights?: boolean
}

/**
 * Attention by several heads side by side, each over its share of the features. Gives [output, weights or null].
 * @example
 * const attention = new nn.MultiheadAttention(16, 4, { batchFirst: true })
 * const x = randn([2, 5, 16])
 * const [y, weights] = attention.forward(x, x, x)
 * y.shape // [2, 5, 16]
 * weights!.shape // [2, 5, 5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html
 */
export class MultiheadAttention extends Module<[Tensor, Tensor, Tensor, AttendOptions?], [Tensor, Tensor | null]> {
  readonly embedDim: number
  readonly numHeads: number
  readonly dropout: number
  readonly batchFirst: boolean
  /** [3 · embedDim, embedDim]: the maps to queries, keys and values. */
  inProjWeight: Parameter
  inProjBias: Parameter | null
  readonly outProj: Linear

  constructor(embedDim: number, numHeads: number, options: MultiheadAttentionOptions = {}) {
    super()
    checkSizes(OP, { embedDim, numHeads })
    checkOptions(OP, options, { ...BIASED, dropout: 'number', batchFirst: 'boolean' })
    const given = `got embedDim=${embedDim} and numHeads=${numHeads} (${OP})`
    if (embedDim === 0 || numHeads === 0) throw new ArgumentError(`embed_dim and num_heads must be greater than 0, ${given}`, { op: OP })
    if (embedDim % numHeads !== 0) throw new ArgumentError(`embed_dim must be divisible by num_heads: ${given}`, { op: OP })
    const { bias = true, dropout = 0, batchFirst = false } = options
    if (!(dropout >= 0 && dropout <= 1))
      throw new ArgumentError(`dropout probability has to be between 0 and 1, but got ${dropout} (${OP})`, { op: OP })
    this.embedDim = embedDim
    this.numHeads = numHeads
    this.dropout = dropout
    this.batchFirst = batchFirst
    this.inProjWeight = parameter(OP, [3 * embedDim, embedDim], options)
    this.inProjBias = bias ? parameter(OP, [3 * embedDim], options) : null
    this.outProj = new Linear(embedDim, embedDim, { ...typed(options), bias })
    xavierUniform_(this.inProjWeight)
    if (this.outProj.bias !== null) constant_(this.outProj.bias, 0)
  }

  forward(query: Tensor, key: Tensor, value: Tensor, options: AttendOptions = {}): [Tensor, Tensor | null] {
    for (const [name, t] of Object.entries({ query, key, value })) expectTensor(OP, t, `the ${name}`)
    checkOptions(OP, options, { keyPaddingMask: 'any', attnMask: 'any', needWeights: 'boolean', averageAttnWeights: 'boolean' })
    expectTensorOrNone(OP, options.attnMask, 'attnMask')
    expectTensorOrNone(OP, options.keyPaddingMask, 'keyPaddingMask')
    const { needWeights = true, averageAttnWeights = true } = options
    const { batchFirst, numHeads } = this
    const rank = query.ndim
    if ((rank !== 2 && rank !== 3) || key.ndim !== rank || value.ndim !== rank)
      throw new ShapeError(
        `MultiheadAttention: expected query, key and value of the same rank, 2 or 3, got ${show(query.shape)}, ${show(key.shape)}, ${show(value.shape)}`,
        { shapes: [query.shape, key.shape, value.shape] },
      )
    if (query.shape.at(-1) !== this.embedDim)
      throw new ShapeError(`was expecting embedding dimension of ${this.embedDim}, but got ${query.shape.at(-1)} (${OP})`, {
        op: OP,
        shapes: [query.shape],
      })
    // [batch, sequence, features] inside, whatever comes in.
    const enter = (t: Tensor): Tensor => (rank === 2 ? t.unsqueeze(0) : batchFirst ? t : t.transpose(0, 1))
    const heads = this.project(query, key, value, enter).map((t) =>
      t.reshape([t.shape[0]!, t.shape[1]!, numHeads, t.shape[2]! / numHeads]).transpose(1, 2),
    )
    const [q, k, v] = heads as [Tensor, Tensor, Tensor]
    const mask = this.mask(options, q, k)
    const dropoutP = this.training ? this.dropout : 0
    const leave = (attended: Tensor): Tensor => {
      const y = this.outProj.call(attended.transpose(1, 2).flatten(2))
      return rank === 2 ? y.squeeze(0) : batchFirst ? y : y.transpose(0, 1)
    }
    if (!needWeights) return [leave(F.scaledDotProductAttention(q, k, v, { attnMask: mask, dropoutP })), null]
    const weights = F.dropout(attentionWeights(q, k, mask, false, 1 / Math.sqrt(q.shape[3]!)), { p: dropoutP })
    const shown = averageAttnWeights ? weights.mean(1) : weights
    return [leave(weights.matmul(v)), rank === 2 ? shown.squeeze(0) : shown]
  }

  /** Queries, keys and values; in one product where all come from one tensor. */
  private project(query: Tensor, key: Tensor, value: Tensor, enter: (t: Tensor) => Tensor): Tensor[] {
    const { inProjWeight, inProjBias } = this
    if (query === key && key === value) return F.linear(enter(query), inProjWeight, inProjBias).chunk(3, -1)
    const weights = inProjWeight.chunk(3)
    const biases = inProjBias?.chunk(3) ?? [null, null, null]
    return [query, key, value].map((t, i) => F.linear(enter(t), weights[i]!, biases[i]!))
  }

  /** Both masks as one that is added to scores [batch, heads, queries, keys]. */
  private mask({ keyPaddingMask, attnMask }: AttendOptions, q: Tensor, k: Tensor): Tensor | null {
    const [batch, heads, queries] = q.shape as readonly [number, number, number]
    const keys = k.shape[2]!
    let mask: Tensor | null = null
    if (attnMask) {
      const shape = attnMask.ndim === 2 ? [1, 1, queries, keys] : [batch, heads, queries, keys]
      if (attnMask.numel() !== shape.reduce((a, b) => a * b) || attnMask.shape.at(-1) !== keys)
        throw new ShapeError(
          `The shape of the ${attnMask.ndim}D attn_mask is ${show(attnMask.shape)}, but should be ${show(attnMask.ndim === 2 ? [queries, keys] : [batch * heads, queries, keys])}. (${OP})`,
          { shapes: [attnMask.shape] },
        )
      mask = additive(attnMask, q).reshape(shape)
    }
    if (keyPaddingMask) {
      if (keyPaddingMask.numel() !== batch * keys || keyPaddingMask.shape.at(-1) !== keys)
        throw new ShapeError(`expecting key_padding_mask shape of ${show([batch, keys])}, but got ${show(keyPaddingMask.shape)} (${OP})`, {
          shapes: [keyPaddingMask.shape],
        })
      const padding = additive(keyPaddingMask, q).reshape([batch, 1, 1, keys])
      mask = mask === null ? padding : mask.add(padding)
    }
    return mask
  }
}

/** −∞ where a bool mask hides, 0 elsewhere; float masks as they are. */
function additive(mask: Tensor, like: Tensor): Tensor {
  return mask.dtype === 'bool' ? zeros(mask.shape, { dtype: like.dtype }).maskedFill(mask, Number.NEGATIVE_INFINITY) : mask
}
