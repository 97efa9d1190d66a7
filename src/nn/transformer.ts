/** A layer of a transformer's encoder. */
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkOptions, checkSizes, describe } from '../options.ts'
import { expectTensor } from '../tensor.ts'
import { typed } from './arguments.ts'
import { MultiheadAttention } from './attention.ts'
import { Dropout } from './dropout.ts'
import * as F from './functional.ts'
import { BIASED, type BiasOptions, Linear } from './linear.ts'
import { Module } from './module.ts'
import { LayerNorm } from './normalization.ts'

const OP = 'TransformerEncoderLayer'

/** Options of `TransformerEncoderLayer`. */
export interface TransformerEncoderLayerOptions extends BiasOptions {
  /** Features between the two linear maps. Default 2048. */
  readonly dimFeedforward?: number
  /** Share dropped while training: of attention's weights, and after each map. Default 0.1. */
  readonly dropout?: number
  /** What lies between the linear maps. Default 'relu'. */
  readonly activation?: 'relu' | 'gelu' | ((x: Tensor) => Tensor)
  /** Added to the variance in the normalizations. Default 1e-5. */
  readonly layerNormEps?: number
  /** The input is [batch, sequence, features] instead of [sequence, batch, features]. Default false. */
  readonly batchFirst?: boolean
  /** Normalize before attention and the maps instead of after? Default false. */
  readonly normFirst?: boolean
}

/** Options of `TransformerEncoderLayer.forward`. */
export interface EncodeOptions {
  /** [sequence, sequence] or [batch · heads, sequence, sequence]; where bool: true hides a key; where float: added to the scores. */
  readonly srcMask?: Tensor | null
  /** [batch, sequence]; where bool: true hides a key; where float: added to the scores. */
  readonly srcKeyPaddingMask?: Tensor | null
}

/**
 * Attention of a sequence to itself, then two linear maps at each place, both added to what came in and normalized. The result
 * has the shape of the input.
 * Errors: ArgumentError for an unknown activation or features that heads don't divide, ShapeError.
 * @example
 * const layer = new nn.TransformerEncoderLayer(16, 4, { dimFeedforward: 32, batchFirst: true })
 * layer.forward(torch.randn([2, 10, 16])).shape // [2, 10, 16]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerEncoderLayer.html
 */
export class TransformerEncoderLayer extends Module<[Tensor, EncodeOptions?]> {
  readonly selfAttn: MultiheadAttention
  readonly linear1: Linear
  readonly dropout: Dropout
  readonly linear2: Linear
  readonly norm1: LayerNorm
  readonly norm2: LayerNorm
  readonly dropout1: Dropout
  readonly dropout2: Dropout
  readonly normFirst: boolean
  private readonly activation: (x: Tensor) => Tensor

  constructor(dModel: number, nhead: number, options: TransformerEncoderLayerOptions = {}) {
    super()
    checkOptions(OP, options, {
      ...BIASED,
      dimFeedforward: 'any',
      dropout: 'number',
      activation: 'any',
      layerNormEps: 'number',
      batchFirst: 'boolean',
      normFirst: 'boolean',
    })
    const { dimFeedforward = 2048, dropout = 0.1, activation = 'relu', layerNormEps = 1e-5, bias = true } = options
    if (activation !== 'relu' && activation !== 'gelu' && typeof activation !== 'function')
      throw new ArgumentError(`activation should be relu/gelu, not ${describe(activation)}: 'relu', 'gelu' or a function (${OP})`, {
        op: OP,
      })
    checkSizes(OP, { dModel, nhead, dimFeedforward }, 1)
    const map = { ...typed(options), bias }
    const norm = { ...map, eps: layerNormEps }
    this.selfAttn = new MultiheadAttention(dModel, nhead, { ...map, dropout, batchFirst: options.batchFirst ?? false })
    this.linear1 = new Linear(dModel, dimFeedforward, map)
    this.dropout = new Dropout(dropout)
    this.linear2 = new Linear(dimFeedforward, dModel, map)
    this.norm1 = new LayerNorm(dModel, norm)
    this.norm2 = new LayerNorm(dModel, norm)
    this.dropout1 = new Dropout(dropout)
    this.dropout2 = new Dropout(dropout)
    this.normFirst = options.normFirst ?? false
    this.activation = activation === 'relu' ? F.relu : activation === 'gelu' ? (x) => F.gelu(x) : activation
  }

  forward(src: Tensor, options: EncodeOptions = {}): Tensor {
    expectTensor(OP, src, 'the input')
    checkOptions(OP, options, { srcMask: 'any', srcKeyPaddingMask: 'any' })
    const attend = (x: Tensor): Tensor => {
      const masks = { attnMask: options.srcMask ?? null, keyPaddingMask: options.srcKeyPaddingMask ?? null }
      return this.dropout1.call(this.selfAttn.call(x, x, x, { ...masks, needWeights: false })[0])
    }
    const feed = (x: Tensor): Tensor => this.dropout2.call(this.linear2.call(this.dropout.call(this.activation(this.linear1.call(x)))))
    if (this.normFirst) {
      const x = src.add(attend(this.norm1.call(src)))
      return x.add(feed(this.norm2.call(x)))
    }
    const x = this.norm1.call(src.add(attend(src)))
    return this.norm2.call(x.add(feed(x)))
  }
}
