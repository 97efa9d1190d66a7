/** Largest and smallest elements, and where they are. */
import type { ReduceOp } from '../backend/backend.ts'
import { ArgumentError, IndexError } from '../errors.ts'
import { backend, contiguous, reduce } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, OUT, vjp } from '../op/general.ts'
import { checkOptions } from '../options.ts'
import { numel, reducedShape, wrapDim } from '../shape.ts'
import { address, empty, expectTensor, isTensor, TensorCore } from '../tensor.ts'
import { maximum, minimum } from './bounds.ts'
import { type Chosen, placeBack, shareTies, type ValuesAndIndices } from './chosen.ts'
import { DIM_OPTIONS, type DimArgument, type DimOptions, type Reduced, reduced, reducedBatch, unreduce } from './dims.ts'

function refuseEmpty(x: Tensor, dims: readonly number[], op: string): void {
  if (x.layout.numel === 0 && (dims.length === 0 || dims.some((d) => x.layout.shape[d] === 0))) {
    throw new IndexError(
      `${op}(): Expected reduction dim to be specified for input.numel() == 0, or the reduced dim to have a size > 0. Specify the reduction dim with the 'dim' argument.`,
      { op, shapes: [x.shape] },
    )
  }
}

function extremum(kind: 'max' | 'min', node: string, nan: boolean): GeneralOp<Reduced> {
  const op: GeneralOp<Reduced> = general(kind, {
    node,
    forward: (x, p, owner) => reduce(kind, x[0]!, p.dims, p.keepdim, owner),
    vjp: [
      vjp([0, OUT], (g, c) => {
        const shape = c.shapeOf(0)
        return shareTies(unreduce(g, shape, c.p), c.in(0), unreduce(c.out(), shape, c.p), c.p.dims, nan)
      }),
    ],
    batch: (b) => {
      const { value, p } = reducedBatch(b)
      return p.dims.length === 0 ? value.clone() : op.one([value], { ...p, all: false })
    },
  })
  return op
}
const maxAll: GeneralOp<Reduced> = /* @__PURE__ */ extremum('max', 'MaxBackward1', true)
const minAll: GeneralOp<Reduced> = /* @__PURE__ */ extremum('min', 'MinBackward1', true)
const amaxOp: GeneralOp<Reduced> = /* @__PURE__ */ extremum('max', 'AmaxBackward0', false)
const aminOp: GeneralOp<Reduced> = /* @__PURE__ */ extremum('min', 'AminBackward0', false)

/**
 * The largest elements over dims; ties share the gradient.
 * @example
 * tensor([[1, 4], [3, 2]]).amax(1).tolist() // [4, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.amax.html
 */
export function amax(x: Tensor, dim?: DimArgument, options?: DimOptions): Tensor {
  expectTensor('amax', x, 'argument 0')
  const p = reduced(x, dim, 'amax', options)
  refuseEmpty(x, p.dims, 'amax')
  return amaxOp.one([x], p)
}

/**
 * The smallest elements over dims; ties share the gradient.
 * @example
 * tensor([[1, 4], [3, 2]]).amin(1).tolist() // [1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.amin.html
 */
export function amin(x: Tensor, dim?: DimArgument, options?: DimOptions): Tensor {
  expectTensor('amin', x, 'argument 0')
  const p = reduced(x, dim, 'amin', options)
  refuseEmpty(x, p.dims, 'amin')
  return aminOp.one([x], p)
}

interface Along extends Chosen {
  kind: 'max' | 'min'
}

/** Values and first positions along one dim; the gradient goes to that position alone. */
const alongOp: GeneralOp<Along> = /* @__PURE__ */ general('extremumAlong', {
  node: ({ kind }) => (kind === 'max' ? 'MaxBackward0' : 'MinBackward0'),
  forward: (x, { dim, keepdim, kind }, owner) => {
    const t = x[0]!
    const dims = t.layout.rank === 0 ? [] : [dim]
    const indices = reduce(kind === 'max' ? 'argmax' : 'argmin', t, dims, keepdim, null)
    const values = empty(Layout.of(indices.layout.shape), t.dt, owner)
    const source = contiguous(t, owner)
    if (values.layout.numel > 0) {
      const { shape } = t.layout
      const gather = backend().index('gather', t.dt.name)
      gather(
        numel(shape.slice(0, dim)),
        shape[dim] ?? 1,
        numel(shape.slice(dim + 1)),
        1,
        address(source),
        address(indices),
        address(values),
      )
    }
    return [values, indices]
  },
  vjp: [vjp([OUT - 1], (_g, c, gs) => (gs[0] ? placeBack(gs[0], c.out(1), c.shapeOf(0), c.p) : null))],
})

function along(
  kind: 'max' | 'min',
  x: Tensor,
  other: Tensor | DimArgument | undefined,
  options: DimOptions | undefined,
): Tensor | ValuesAndIndices {
  expectTensor(kind, x, 'argument 0')
  if (isTensor(other)) return (kind === 'max' ? maximum : minimum)(x, other)
  const o: DimOptions = typeof other === 'number' ? { ...options, dim: other } : ((other as DimOptions | undefined) ?? options ?? {})
  checkOptions(kind, o, DIM_OPTIONS)
  if (o.dim === undefined) {
    const p = reduced(x, undefined, kind)
    refuseEmpty(x, p.dims, kind)
    return (kind === 'max' ? maxAll : minAll).one([x], p)
  }
  if (typeof o.dim !== 'number') throw new ArgumentError(`${kind}: one dim at a time; for several use a${kind}(…)`, { op: kind })
  const dim = wrapDim(o.dim, x.layout.rank, kind)
  refuseEmpty(x, [dim], kind)
  const [values, indices] = alongOp.call([x], { dim, keepdim: o.keepdim ?? false, kind }) as Tensor[]
  return { values: values!, indices: indices! }
}

/**
 * The largest element; or with a dim, the largest along it and where; or with a tensor, `maximum`.
 * @example
 * tensor([1, 4, 3]).max().item() // 4
 * const { values, indices } = tensor([[1, 4], [3, 2]]).max(1)
 * values.tolist() // [4, 3]
 * indices.tolist() // [1, 0]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.max.html
 */
export function max(x: Tensor): Tensor
export function max(x: Tensor, dim: number | (DimOptions & { dim: number }), options?: DimOptions): ValuesAndIndices
export function max(x: Tensor, other: Tensor): Tensor
export function max(x: Tensor, other?: Tensor | DimArgument, options?: DimOptions): Tensor | ValuesAndIndices {
  return along('max', x, other, options)
}

/**
 * The smallest element; see `max`.
 * @example
 * tensor([1, 4, 3]).min().item() // 1
 * tensor([[1, 4], [3, 2]]).min(1).indices.tolist() // [0, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.min.html
 */
export function min(x: Tensor): Tensor
export function min(x: Tensor, dim: number | (DimOptions & { dim: number }), options?: DimOptions): ValuesAndIndices
export function min(x: Tensor, other: Tensor): Tensor
export function min(x: Tensor, other?: Tensor | DimArgument, options?: DimOptions): Tensor | ValuesAndIndices {
  return along('min', x, other, options)
}

interface Where {
  dim: number | null
  keepdim: boolean
  kind: ReduceOp
}
const whereOp: GeneralOp<Where> = /* @__PURE__ */ general('argExtremum', {
  node: 'ArgmaxBackward0',
  forward: (x, { dim, keepdim, kind }, owner) => {
    const t = x[0]!
    const { shape } = t.layout
    if (dim !== null) return reduce(kind, t, shape.length === 0 ? [] : [dim], keepdim, owner)
    const flat = contiguous(t, owner)
    const line = { storage: flat.storage, dt: flat.dt, layout: flat.layout.reshape([flat.layout.numel])! }
    const found = reduce(kind, line, [0], false, owner)
    return keepdim
      ? new TensorCore(
          found.storage,
          found.layout.reshape(
            reducedShape(
              shape,
              shape.map((_, i) => i),
              true,
            ),
          )!,
          found.dt,
        )
      : found
  },
  batch: (b) => {
    const value = b.dims[0] === 0 ? b.x[0]! : b.x[0]!.movedim(b.dims[0]!, 0)
    return b.p.dim === null ? undefined : whereOp.one([value], { ...b.p, dim: b.p.dim + 1 })
  },
})

function position(kind: 'argmax' | 'argmin', x: Tensor, dim: number | DimOptions | undefined, options: DimOptions | undefined): Tensor {
  expectTensor(kind, x, 'argument 0')
  const o: DimOptions = typeof dim === 'number' ? { ...options, dim } : (dim ?? options ?? {})
  checkOptions(kind, o, DIM_OPTIONS)
  const d = o.dim === undefined ? null : wrapDim(o.dim as number, x.layout.rank, kind)
  refuseEmpty(x, d === null ? x.shape.map((_, i) => i) : [d], kind)
  return whereOp.one([x], { dim: d, keepdim: o.keepdim ?? false, kind })
}

/**
 * Where the largest element is (int32): in the flattened tensor, or along a dim; the first of equals.
 * @example
 * tensor([1, 4, 3]).argmax().item() // 1
 * @see https://docs.pytorch.org/docs/stable/generated/torch.argmax.html
 */
export function argmax(x: Tensor, dim?: number | DimOptions, options?: DimOptions): Tensor {
  return position('argmax', x, dim, options)
}

/**
 * Where the smallest element is; see `argmax`.
 * @example
 * tensor([[1, 4], [3, 2]]).argmin(0).tolist() // [0, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.argmin.html
 */
export function argmin(x: Tensor, dim?: number | DimOptions, options?: DimOptions): Tensor {
  return position('argmin', x, dim, options)
}
