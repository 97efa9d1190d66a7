/** Norms of vectors along dims. */
import { ArgumentError, DTypeError, ShapeError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { describe, type Known } from '../options.ts'
import { expectTensor } from '../tensor.ts'
import { type DimArgument, type DimOptions, reduced } from './dims.ts'
import { normOp } from './vectorNorm.ts'

const NORM_OPTIONS: Known<NormOptions> = { p: 'any', dim: 'any', keepdim: 'boolean' }

/** Options of `norm`. */
export interface NormOptions extends DimOptions {
  /** The order: any number, ±Infinity; default 2. */
  readonly p?: number
}
/**
 * The p-norm (Σ|x|ᵖ)^(1/p) over dims (all of them by default). p = 0 counts what isn't 0, ±Infinity gives the largest and
 * the smallest size. The gradient at 0 is 0; the largest sizes share theirs.
 * Errors: DTypeError for integers, ShapeError for ±Infinity of nothing.
 * @example
 * tensor([3, 4]).norm().item() // 5
 * @see https://docs.pytorch.org/docs/stable/generated/torch.norm.html
 */
export function norm(x: Tensor, p?: number | NormOptions, dim?: DimArgument, options?: DimOptions): Tensor {
  expectTensor('norm', x, 'argument 0')
  const o: NormOptions = typeof p === 'object' && p !== null ? p : p === undefined ? {} : { p }
  if (!x.dt.floating) {
    throw new DTypeError(
      `linalg.vector_norm: Expected a floating point tensor as input. Got ${x.dtype} (norm); convert it first, e.g. x.to('float32')`,
      { op: 'norm', dtypes: [x.dtype] },
    )
  }
  const order = o.p ?? 2
  if (typeof order !== 'number') throw new ArgumentError(`norm: p must be a number, got ${describe(order)}`, { op: 'norm' })
  const over = reduced(x, dim ?? o, 'norm', options, NORM_OPTIONS)
  if ((order < 0 || order === Number.POSITIVE_INFINITY) && over.dims.some((d) => x.layout.shape[d] === 0)) {
    throw new ShapeError(
      `linalg.vector_norm cannot compute the ${order} norm on an empty tensor because the operation does not have an identity (norm of shape [${x.shape.join(', ')}])`,
      { op: 'norm', shapes: [x.shape] },
    )
  }
  return normOp.one([x], { ...over, p: order })
}
