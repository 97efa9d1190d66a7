/** Reductions over dims: sums, means, extrema. */
import { type DType, dtypeInfo } from '../dtype.ts'
import { reduce } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { type Batched, general, type GeneralOp, vjp } from '../op/general.ts'
import { reducedShape, type Shape, wrapDims } from '../shape.ts'
import { expectTensor } from '../tensor.ts'

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

/** The meaning of a reduction's last argument(s). */
export function reduced(x: Tensor, argument: DimArgument | undefined, op: string, options?: DimOptions): Reduced {
  const o: DimOptions = argument === undefined ? (options ?? {}) : typeof argument === 'number' || Array.isArray(argument) ? { ...options, dim: argument as number } : (argument as DimOptions)
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

const sumOp: GeneralOp<Reduced> = /* @__PURE__ */ general('sum', {
  node: ({ all }) => (all ? 'SumBackward0' : 'SumBackward1'),
  forward: (x, { dims, keepdim }, owner) => reduce('sum', x[0]!, dims, keepdim, owner),
  vjp: [vjp([], (g, c) => unreduce(g, c.shapeOf(0), c.p))],
  jvp: 'linear',
  batch: (b) => {
    const { value, p } = reducedBatch(b)
    return p.dims.length === 0 ? value.clone() : sumOp.one([value], { ...p, all: false })
  },
})

/**
 * The sum over dims (all of them by default). Integers and bools sum to int32, exactly: a sum that doesn't fit throws.
 * @example
 * tensor([[1, 2], [3, 4]]).sum(0).tolist() // [4, 6]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.sum.html
 */
export function sum(x: Tensor, dim?: DimArgument<DimOptions & { dtype?: DType }>, options?: DimOptions & { dtype?: DType }): Tensor {
  expectTensor('sum', x, 'argument 0')
  const dtype = options?.dtype ?? (typeof dim === 'object' && !Array.isArray(dim) ? (dim as { dtype?: DType }).dtype : undefined)
  const t = dtype === undefined ? x : x.to(dtypeInfo(dtype).name)
  return sumOp.one([t], reduced(t, dim, 'sum', options))
}
