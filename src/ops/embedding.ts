/** Rows of a table by number. */
import { ArgumentError, DTypeError, IndexError, ShapeError, show } from '../errors.ts'
import { backend, contiguous, full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { checkOptions } from '../options.ts'
import { address, dataView, empty, expectTensor } from '../tensor.ts'
import { positions } from './positions.ts'

/** Options of `embedding`. */
export interface EmbeddingOptions {
  /** The row with this number gets no gradient; negative ones count from the end. */
  readonly paddingIdx?: number | null
}
interface Padding {
  readonly padding: number
}
interface Table extends Padding {
  readonly rows: number
}

const embeddingOp: GeneralOp<Padding> = /* @__PURE__ */ general('embedding', {
  node: 'EmbeddingBackward0',
  forward: ([weight, index], _p, owner) => {
    const [rows, width] = weight!.layout.shape as readonly [number, number]
    const at = positions('embedding', index!, 0, rows, owner)
    const table = contiguous(weight!, owner)
    const out = empty(Layout.of([...index!.layout.shape, width]), weight!.dt, owner)
    if (out.layout.numel === 0) return out
    backend().index('indexSelect', out.dt.name)(1, rows, width, at.layout.numel, address(table), address(at), address(out))
    return out
  },
  vjp: [vjp([1], (g, c) => embeddingBackward.one([g, c.in(1)], { rows: c.shapeOf(0)[0]!, padding: c.p.padding })), null],
  jvp: 'linear',
  batch: (b) => (b.dims[0] === -1 ? embeddingOp.one([b.x[0]!, inFront(b, 1)], b.p) : undefined),
})

/** The transpose: rows added into an empty table, but for the padding. */
const embeddingBackward: GeneralOp<Table> = /* @__PURE__ */ general('embeddingBackward', {
  node: 'EmbeddingDenseBackwardBackward0',
  forward: ([g, index], { rows, padding }, owner) => {
    const width = g!.layout.shape.at(-1)!
    const at = positions('embedding', index!, 0, rows, owner)
    const small = contiguous(g!, owner)
    const out = full([rows, width], 0, g!.dt, owner)
    if (small.layout.numel === 0) return out
    backend().index('indexAdd', out.dt.name)(1, rows, width, at.layout.numel, address(out), address(at), address(small))
    if (padding >= 0) {
      const from = out.layout.offset + padding * width
      dataView(out).fill(0, from, from + width)
    }
    return out
  },
  vjp: [
    vjp([1], (g, c) => {
      const rows = embeddingOp.one([g, c.in(1)], c.p)
      return c.p.padding < 0 ? rows : rows.maskedFill(c.in(1).eq(c.p.padding).unsqueeze(-1), 0)
    }),
    null,
  ],
  jvp: 'linear',
})

/**
 * Rows of a table [rows, width] by number: `index` (int32) of any shape gives index shape + [width].
 * Errors: IndexError for a number out of range, ShapeError for a table that isn't a matrix, DTypeError.
 * @example
 * embedding(tensor([[1, 2], [3, 4]]), tensor([1, 1], { dtype: 'int32' })).tolist() // [[3, 4], [3, 4]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html
 */
export function embedding(weight: Tensor, index: Tensor, options: EmbeddingOptions = {}): Tensor {
  expectTensor('embedding', weight, 'the weight')
  expectTensor('embedding', index, 'the index')
  if (weight.layout.rank !== 2) {
    throw new ShapeError(`embedding: 'weight' must be 2-D, got ${show(weight.shape)}`, { op: 'embedding', shapes: [weight.shape] })
  }
  if (index.dt.name !== 'int32') {
    throw new DTypeError(
      `embedding: Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got ${index.dt.torchType} instead; use to('int32')`,
      { op: 'embedding', dtypes: [index.dtype] },
    )
  }
  const rows = weight.shape[0]!
  checkOptions('embedding', options, { paddingIdx: 'any' })
  let padding = options.paddingIdx ?? -1
  if (options.paddingIdx !== undefined && options.paddingIdx !== null) {
    if (!Number.isInteger(padding))
      throw new ArgumentError(`embedding: paddingIdx must be a whole number, got ${padding}`, { op: 'embedding' })
    if (padding < -rows || padding >= rows) {
      throw new IndexError(`embedding: Padding_idx must be within num_embeddings: paddingIdx ${padding} of ${rows} rows`, {
        op: 'embedding',
      })
    }
    if (padding < 0) padding += rows
  }
  return embeddingOp.one([weight, index], { padding })
}
