/** The dims that reductions take: how they are given, wrapped, undone and batched. */
import type { Tensor } from '../fluent.ts'
import type { Batched } from '../op/general.ts'
import { checkOptions, type Known } from '../options.ts'
import { reducedShape, type Shape, wrapDims } from '../shape.ts'

/** Which dims a reduction takes away: one, several, or (absent) all. */
export interface DimOptions {
  readonly dim?: number | readonly number[]
  /** Keep reduced dims with size 1. */
  readonly keepdim?: boolean
}
/** The short forms: a dim, a list of dims, or the options. */
export type DimArgument<O extends DimOptions = DimOptions> = number | readonly number[] | O

/** A reduction's dims, wrapped, and whether all were meant. */
export interface Reduced {
  readonly dims: number[]
  readonly keepdim: boolean
  readonly all: boolean
}

/** What most reductions take. */
export const DIM_OPTIONS: Known<DimOptions> = { dim: 'any', keepdim: 'boolean' }

/** Options of the spreads. */
export interface SpreadOptions extends DimOptions {
  /** Taken from the element count in the divisor; 1 gives the unbiased estimate. Default 1. */
  readonly correction?: number
}

/** What `var` and its like have. */
export const SPREAD: Known<SpreadOptions> = { dim: 'any', keepdim: 'boolean', correction: 'number' }

/** The meaning of a reduction's last argument(s); `known` names the options it has. */
export function reduced(
  x: Tensor,
  argument: DimArgument | undefined,
  op: string,
  options?: DimOptions,
  known: Known<DimOptions> = DIM_OPTIONS,
): Reduced {
  const o: DimOptions =
    argument === undefined
      ? (options ?? {})
      : typeof argument === 'number' || Array.isArray(argument)
        ? { ...options, dim: argument as number }
        : (argument as DimOptions)
  if (argument !== undefined || options !== undefined) checkOptions(op, o, known)
  return { dims: wrapDims(o.dim, x.layout.rank, op), keepdim: o.keepdim ?? false, all: o.dim === undefined }
}

/** A gradient of a reduction's result, expanded back over the reduced dims. */
export function unreduce(g: Tensor, shape: Shape, { dims, keepdim }: Reduced): Tensor {
  const kept = keepdim || dims.length === 0 ? g : g.reshape(reducedShape(shape, dims, true))
  return kept.expand(shape)
}

/** The value with its batch in front, and dims counted there. */
export function reducedBatch<P extends Reduced>(b: Batched<P>): { value: Tensor; p: P } {
  const value = b.dims[0] === 0 ? b.x[0]! : b.x[0]!.movedim(b.dims[0]!, 0)
  return { value, p: { ...b.p, dims: b.p.dims.map((d) => d + 1) } }
}
