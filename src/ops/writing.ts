/** Tensors with some elements replaced, added to or reduced into, by positions. */
import { noGrad } from '../autograd/modes.ts'
import { ArgumentError, DTypeError, IndexError, ShapeError, show, UnsupportedError } from '../errors.ts'
import { backend, cloneContiguous, contiguous, copyInto, fillWith } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import type { Owner } from '../memory/storage.ts'
import { type GeneralOp, general, vjp } from '../op/general.ts'
import { checkOptions } from '../options.ts'
import { numel, type Shape, wrapDim } from '../shape.ts'
import { type ArrayLike, address, checkValue, empty, expectTensor, isTensor, readAll, type TensorCore, writeAll } from '../tensor.ts'
import { inPlace } from './inplace.ts'
import { around, checkPositions, joinPositions, positions } from './positions.ts'

interface Along {
  readonly dim: number
}

/** A row-major copy of x with `kind` of `source` at a vector of positions. */
function written(
  kind: 'indexCopy' | 'indexAdd',
  op: string,
  x: TensorCore,
  index: TensorCore,
  source: ArrayLike,
  dim: number,
  owner: Owner | null,
): TensorCore {
  const out = cloneContiguous(x, owner)
  const at = positions(op, index, dim, x.layout.shape[dim] ?? 1, owner)
  const small = contiguous(source, owner)
  if (small.layout.numel === 0) return out
  const [outer, n, inner] = around(x.layout.shape, dim)
  backend().index(kind, x.dt.name)(outer, n, inner, at.layout.numel, address(out), address(at), address(small))
  return out
}

type Added = Along & { readonly alpha: number }

const indexAddOp: GeneralOp<Added> = /* @__PURE__ */ general('indexAdd', {
  node: 'IndexAddBackward0',
  names: ['self', 'index', 'source'],
  forward: ([x, index, source], { dim, alpha }, owner) => {
    const scaled = alpha === 1 ? source! : noGrad(() => (source as Tensor).mul(alpha))
    return written('indexAdd', 'indexAdd', x!, index!, scaled, dim, owner)
  },
  vjp: [vjp([], (g) => g), null, vjp([1], (g, c) => picked(g, c.p.dim, c.in(1), c.shapeOf(2)).mul(c.p.alpha))],
  jvp: 'linear',
})

/** What lies at the positions, in the source's shape. */
const picked = (g: Tensor, dim: number, index: Tensor, shape: Shape): Tensor => g.indexSelect(dim, index).reshape(shape)

const indexCopyOp: GeneralOp<Along> = /* @__PURE__ */ general('indexCopy', {
  node: 'IndexCopyBackward0',
  names: ['self', 'index', 'source'],
  forward: ([x, index, source], { dim }, owner) => written('indexCopy', 'indexCopy', x!, index!, source!, dim, owner),
  vjp: [vjp([1], (g, c) => indexFill(g, c.p.dim, c.in(1), 0)), null, vjp([1], (g, c) => picked(g, c.p.dim, c.in(1), c.shapeOf(2)))],
  jvp: 'linear',
})

/** The dim, once everything fits. */
function checkSource(op: string, x: Tensor, dim: number, index: Tensor, source: Tensor): number {
  expectTensor(op, x, 'argument 0')
  expectTensor(op, index, 'the index')
  expectTensor(op, source, 'the source')
  checkPositions(op, index)
  const d = wrapDim(dim, x.layout.rank, op)
  if (source.dt !== x.dt) {
    throw new DTypeError(
      `${op}(): self and source expected to have the same dtype, but got (self) ${x.dtype} and (source) ${source.dtype}`,
      {
        op,
        dtypes: [x.dtype, source.dtype],
      },
    )
  }
  const shape = x.layout.rank === 0 ? [] : x.shape.with(d, index.numel())
  if (
    index.layout.rank > 1 ||
    numel(shape) !== source.layout.numel ||
    (source.layout.rank > 0 && show(shape) !== show(source.shape) && x.layout.rank > 0)
  ) {
    throw new ShapeError(
      `${op}(): Source/destination tensor must have same slice shapes. Destination ${show(x.shape)} with index ${show(index.shape)} at dimension ${d} and source ${show(source.shape)}`,
      { op, shapes: [x.shape, index.shape, source.shape] },
    )
  }
  return d
}

/** Options of `indexAdd`. */
export interface IndexAddOptions {
  /** A factor of the source; default 1. */
  readonly alpha?: number
}

/**
 * x with slices of `source` added along `dim` at a vector of positions (int32); slices for one position all count.
 * Errors: IndexError for a position out of range, DTypeError, ShapeError.
 * @example
 * indexAdd(zeros([2]), 0, tensor([1, 1], { dtype: 'int32' }), tensor([5, 6])).tolist() // [0, 11]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.index_add.html
 */
export function indexAdd(x: Tensor, dim: number, index: Tensor, source: Tensor, options: IndexAddOptions = {}): Tensor {
  return indexAddOp.one([x, index, source], addition('indexAdd', x, dim, index, source, options))
}

/**
 * `indexAdd` in place.
 * @example
 * indexAdd_(ones([2]), 0, tensor([1, 1], { dtype: 'int32' }), tensor([5, 6])).tolist() // [1, 12]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.index_add_.html
 */
export function indexAdd_(x: Tensor, dim: number, index: Tensor, source: Tensor, options: IndexAddOptions = {}): Tensor {
  return overwriting('indexAdd_', indexAddOp, [x, index, source], addition('indexAdd_', x, dim, index, source, options))
}

function addition(op: string, x: Tensor, dim: number, index: Tensor, source: Tensor, options: IndexAddOptions): Added {
  checkOptions(op, options, { alpha: 'number' })
  return { dim: checkSource(op, x, dim, index, source), alpha: options.alpha ?? 1 }
}

/** In place through a copy. */
function overwriting<P>(name: string, op: GeneralOp<P>, x: readonly Tensor[], p: P): Tensor {
  return inPlace(name, op, x, p, () => copyInto(x[0]!, op.record.forward(x, p, null) as TensorCore))
}

/**
 * x with slices of `source` written along `dim` at a vector of positions (int32). Errors: as `indexAdd`.
 * @example
 * indexCopy(zeros([3]), 0, tensor([2, 0], { dtype: 'int32' }), tensor([5, 6])).tolist() // [6, 0, 5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.index_copy.html
 */
export function indexCopy(x: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
  return indexCopyOp.one([x, index, source], { dim: checkSource('indexCopy', x, dim, index, source) })
}

/**
 * `indexCopy` in place.
 * @example
 * indexCopy_(zeros([3]), 0, tensor([2, 0], { dtype: 'int32' }), tensor([5, 6])).tolist() // [6, 0, 5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.index_copy_.html
 */
export function indexCopy_(x: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
  return overwriting('indexCopy_', indexCopyOp, [x, index, source], { dim: checkSource('indexCopy_', x, dim, index, source) })
}

type Filled = Along & { readonly value: number }

function filled(x: TensorCore, index: TensorCore, dim: number, value: number, owner: Owner | null): TensorCore {
  const out = cloneContiguous(x, owner)
  const size = x.layout.shape[dim] ?? 1
  for (const i of readAll(index)) {
    if (i < -size || i >= size)
      throw new IndexError(`indexFill: index ${i} is out of bounds for dimension ${dim} with size ${size}`, { op: 'indexFill' })
    const layout = x.layout.rank === 0 ? out.layout : out.layout.slice(dim, i < 0 ? i + size : i, 1)
    fillWith({ storage: out.storage, layout, dt: out.dt }, value)
  }
  return out
}

const indexFillOp: GeneralOp<Filled> = /* @__PURE__ */ general('indexFill', {
  node: 'IndexFillBackward0',
  names: ['self', 'index'],
  forward: ([x, index], { dim, value }, owner) => filled(x!, index!, dim, value, owner),
  vjp: [vjp([1], (g, c) => indexFillOp.one([g, c.in(1)], { dim: c.p.dim, value: 0 })), null],
  jvp: (t, c) => indexFillOp.one([t[0]!, c.in(1)], { dim: c.p.dim, value: 0 }),
})

const indexFillTensorOp: GeneralOp<Along> = /* @__PURE__ */ general('indexFill', {
  node: 'IndexFillBackward1',
  names: ['self', 'index', 'value'],
  forward: ([x, index, value], { dim }, owner) => filled(x!, index!, dim, readAll(value!)[0]!, owner),
  vjp: [
    vjp([1], (g, c) => indexFillOp.one([g, c.in(1)], { dim: c.p.dim, value: 0 })),
    null,
    vjp([1], (g, c) => g.where(indexFillOp.one([g.detach().zerosLike(), c.in(1)], { dim: c.p.dim, value: 1 }).ne(0), 0).sum()),
  ],
  jvp: 'linear',
})

/**
 * x with `value` (a number, or a tensor without dims) in the slices along `dim` at a vector of positions (int32; negative ones
 * count from the end). Errors: IndexError, DTypeError, ShapeError.
 * @example
 * indexFill(zeros([3]), 0, tensor([0, 2], { dtype: 'int32' }), 7).tolist() // [7, 0, 7]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.index_fill.html
 */
export function indexFill(x: Tensor, dim: number, index: Tensor, value: number | Tensor): Tensor {
  const d = checkFill('indexFill', x, dim, index, value)
  if (isTensor(value)) return indexFillTensorOp.one([x, index, value], { dim: d })
  return indexFillOp.one([x, index], { dim: d, value: checkValue(value, x.dt, 'indexFill') })
}

/**
 * `indexFill` in place.
 * @example
 * indexFill_(zeros([3]), 0, tensor([0, 2], { dtype: 'int32' }), 7).tolist() // [7, 0, 7]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.index_fill_.html
 */
export function indexFill_(x: Tensor, dim: number, index: Tensor, value: number | Tensor): Tensor {
  const d = checkFill('indexFill_', x, dim, index, value)
  if (isTensor(value)) return overwriting('indexFill_', indexFillTensorOp, [x, index, value as Tensor], { dim: d })
  return overwriting('indexFill_', indexFillOp, [x, index], { dim: d, value: checkValue(value, x.dt, 'indexFill_') })
}

function checkFill(op: string, x: Tensor, dim: number, index: Tensor, value: number | Tensor): number {
  expectTensor(op, x, 'argument 0')
  expectTensor(op, index, 'the index')
  checkPositions(op, index)
  if (index.layout.rank > 1)
    throw new ShapeError(`${op}_(): Index is supposed to be a vector: ${show(index.shape)}`, { op, shapes: [index.shape] })
  if (isTensor(value) && value.layout.rank > 0) {
    throw new ShapeError(`${op}_ only supports a 0-dimensional value tensor, but got tensor with ${value.layout.rank} dimension(s).`, {
      op,
      shapes: [value.shape],
    })
  }
  return wrapDim(dim, x.layout.rank, op)
}

/** Positions among all elements, none negative. */
function flatPositions(op: string, index: TensorCore, count: number, owner: Owner | null): TensorCore {
  return joinPositions(op, [index], [0], [count], index.layout.shape, owner) as TensorCore
}

const takeOp: GeneralOp<null> = /* @__PURE__ */ general('take', {
  node: 'TakeBackward0',
  forward: ([x, index], _p, owner) => {
    const n = x!.layout.numel
    const at = flatPositions('take', index!, n, owner)
    const out = empty(Layout.of(index!.layout.shape), x!.dt, owner)
    const source = contiguous(x!, owner)
    if (out.layout.numel > 0)
      backend().index('indexSelect', x!.dt.name)(1, n, 1, out.layout.numel, address(source), address(at), address(out))
    return out
  },
  vjp: [vjp([1], (g, c) => putOp.one([g.sum().zerosLike().expand(c.shapeOf(0)), c.in(1), g], { accumulate: true })), null],
  jvp: 'linear',
})

/**
 * The elements at positions (int32, of any shape) in the flattened tensor; negative ones count from the end.
 * Errors: IndexError for a position out of range, DTypeError.
 * @example
 * take(tensor([[1, 2], [3, 4]]), tensor([0, 3], { dtype: 'int32' })).tolist() // [1, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.take.html
 */
export function take(x: Tensor, index: Tensor): Tensor {
  expectTensor('take', x, 'argument 0')
  expectTensor('take', index, 'the index')
  checkPositions('take', index)
  return takeOp.one([x, index], null)
}

interface Put {
  readonly accumulate: boolean
}
const putOp: GeneralOp<Put> = /* @__PURE__ */ general('put', {
  node: 'PutBackward0',
  names: ['self', 'index', 'source'],
  forward: ([x, index, source], { accumulate }, owner) => {
    const out = cloneContiguous(x!, owner)
    const n = out.layout.numel
    const at = flatPositions('put', index!, n, owner)
    const small = contiguous(source!, owner)
    if (small.layout.numel === 0) return out
    const kind = accumulate ? 'indexAdd' : 'indexCopy'
    backend().index(kind, x!.dt.name)(1, n, 1, small.layout.numel, address(out), address(at), address(small))
    return out
  },
  vjp: [
    vjp([1], (g, c) => (c.p.accumulate ? g : putOp.one([g, c.in(1), g.sum().zerosLike().expand(c.shapeOf(2))], c.p))),
    null,
    vjp([1], (g, c) => takeOp.one([g, c.in(1)], null).reshape(c.shapeOf(2))),
  ],
  jvp: 'linear',
})

/** Options of `put`. */
export interface PutOptions {
  /** Add instead of overwriting. */
  readonly accumulate?: boolean
}

function checkPut(op: string, x: Tensor, index: Tensor, source: Tensor, options: PutOptions): Put {
  expectTensor(op, x, 'argument 0')
  expectTensor(op, index, 'the index')
  expectTensor(op, source, 'the source')
  checkPositions(op, index)
  if (source.dt !== x.dt) {
    throw new DTypeError(
      `${op}(): self and source expected to have the same dtype, but got self.dtype = ${x.dtype} and source.dtype = ${source.dtype}`,
      {
        op,
        dtypes: [x.dtype, source.dtype],
      },
    )
  }
  if (source.layout.numel !== index.layout.numel) {
    throw new ShapeError(
      `${op}(): Expected source and index to have the same number of elements, but got source.numel() = ${source.layout.numel}, index.numel() = ${index.layout.numel}`,
      { op, shapes: [source.shape, index.shape] },
    )
  }
  checkOptions(op, options, { accumulate: 'boolean' })
  return { accumulate: options.accumulate ?? false }
}

/**
 * x with `source` written (or, with `accumulate`, added) at positions of the flattened tensor.
 * Errors: IndexError, DTypeError, ShapeError.
 * @example
 * put(zeros([2, 2]), tensor([1, 2], { dtype: 'int32' }), tensor([5, 6])).tolist() // [[0, 5], [6, 0]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.put_.html
 */
export function put(x: Tensor, index: Tensor, source: Tensor, options: PutOptions = {}): Tensor {
  return putOp.one([x, index, source], checkPut('put', x, index, source, options))
}

/**
 * `put` in place.
 * @example
 * put_(zeros([2, 2]), tensor([1, 2], { dtype: 'int32' }), tensor([5, 6])).tolist() // [[0, 5], [6, 0]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.put_.html
 */
export function put_(x: Tensor, index: Tensor, source: Tensor, options: PutOptions = {}): Tensor {
  return overwriting('put_', putOp, [x, index, source], checkPut('put_', x, index, source, options))
}

/** How `scatterReduce` brings values together. */
export type ScatterReduction = 'sum' | 'prod' | 'mean' | 'amax' | 'amin'
type Reducing = Along & { readonly reduce: ScatterReduction; readonly includeSelf: boolean }

const combine: Readonly<Record<ScatterReduction, (a: number, b: number) => number>> = {
  sum: (a, b) => a + b,
  mean: (a, b) => a + b,
  prod: (a, b) => a * b,
  amax: (a, b) => Math.max(a, b),
  amin: (a, b) => Math.min(a, b),
}

/** The position in x of each element of the index, in row-major order. */
function targets(x: Shape, index: TensorCore, dim: number): Int32Array {
  const at = readAll(index)
  const { shape } = index.layout
  const strides = Layout.of(x).strides
  const size = x[dim] ?? 1
  return Int32Array.from(at, (v, k) => {
    if (v < 0 || v >= size)
      throw new IndexError(`scatterReduce: index ${v} is out of bounds for dimension ${dim} with size ${size}`, { op: 'scatterReduce' })
    let left = k
    let place = 0
    for (let d = shape.length - 1; d >= 0; d--) {
      const i = left % shape[d]!
      left = Math.floor(left / shape[d]!)
      place += (d === dim ? v : i) * (strides[d] ?? 0)
    }
    return place
  })
}

const scatterReduceOp: GeneralOp<Reducing> = /* @__PURE__ */ general('scatterReduce', {
  node: 'ScatterReduceBackward0',
  names: ['self', 'index', 'src'],
  forward: ([x, index, src], { dim, reduce, includeSelf }, owner) => {
    const out = empty(Layout.of(x!.layout.shape), x!.dt, owner)
    const y = Float64Array.from(readAll(x!))
    const values = readAll(src!)
    const counts = new Int32Array(y.length).fill(includeSelf ? 1 : 0)
    targets(x!.layout.shape, index!, dim).forEach((at, k) => {
      y[at] = counts[at] === 0 ? values[k]! : combine[reduce](y[at]!, values[k]!)
      counts[at] = counts[at]! + 1
    })
    if (reduce === 'mean') for (let i = 0; i < y.length; i++) y[i] = counts[i]! > 1 ? divided(y[i]!, counts[i]!, x!) : y[i]!
    writeAll(out, y)
    return out
  },
  vjp: [
    vjp([0, 1, 2, -1], (g, c) => {
      const own = reducedShares(c.p, c.in(0), c.in(1), c.in(2), c.out()).self(g)
      return c.p.includeSelf ? own : own.scatter(c.p.dim, c.in(1), 0)
    }),
    null,
    vjp([0, 1, 2, -1], (g, c) => reducedShares(c.p, c.in(0), c.in(1), c.in(2), c.out()).src(g)),
  ],
})

/** The identity, whose own gradient nobody can compute. */
const onceOp: GeneralOp<null> = /* @__PURE__ */ general('scatterReduceBackward', {
  node: 'torch::autograd::Error',
  forward: ([x], _p, owner) => cloneContiguous(x!, owner),
  vjp: [
    vjp([], () => {
      throw new UnsupportedError(
        'scatter_reduce(): Double backward is unsupported for src when >1 zeros in src are scattered to the same position in self',
        { op: 'scatterReduce' },
      )
    }),
  ],
})

const divided = (sum: number, count: number, x: TensorCore): number => (x.dt.floating ? sum / count : Math.floor(sum / count))

/** The gradients of x and of the source under a reduction. */
function reducedShares(
  { dim, reduce, includeSelf }: Reducing,
  x: Tensor,
  index: Tensor,
  src: Tensor,
  y: Tensor,
): { self(g: Tensor): Tensor; src(g: Tensor): Tensor } {
  const at = (t: Tensor): Tensor => t.gather(dim, index)
  if (reduce === 'sum') return { self: (g) => g, src: at }
  if (reduce === 'mean') {
    const start = includeSelf ? x.onesLike() : x.zerosLike()
    const counts = start.detach().scatterAdd(dim, index, src.detach().onesLike()).clamp({ min: 1 })
    return { self: (g) => g.div(counts), src: (g) => at(g.div(counts)) }
  }
  if (reduce === 'prod') {
    const zero = src.detach().eq(0)
    const zeros = at(x.zerosLike().detach().scatterAdd(dim, index, zero.to(x.dtype)))
    const single = zero.logicalAnd(zeros.eq(1))
    const again = (base: Tensor, by: Tensor): Tensor => scatterReduceOp.one([base, index, by], { dim, reduce, includeSelf })
    const whole = x.where(x.ne(0), 1)
    return {
      self: (g) => g.mul(again(whole, src)).div(whole),
      src: (g) => {
        const without = at(g.mul(again(x, src.where(single.logicalNot(), 1))))
        const slope = without.where(single, at(g.mul(y)).div(src.where(zero.logicalNot(), 1)))
        // With two factors 0, this way of writing the slope has lost how it depends on them.
        return zeros.wrap === null && readAll(zeros).some((n) => n > 1) ? onceOp.one([slope], null) : slope
      },
    }
  }
  const ofSelf = x.eq(y).detach()
  const ofSrc = src.eq(at(y)).detach()
  const counts = ofSelf.to(x.dtype).scatterAdd(dim, index, ofSrc.to(x.dtype))
  const own = includeSelf ? counts : ofSelf.to(x.dtype).scatter(dim, index, 0).scatterAdd(dim, index, ofSrc.to(x.dtype))
  return { self: (g) => g.div(own).where(ofSelf, 0), src: (g) => at(g.div(own)).where(ofSrc, 0) }
}

/**
 * x with the values of `src` brought together at positions along `dim`, as `scatterAdd` does, by a sum, product, mean, or the
 * largest or smallest; `includeSelf: false` leaves x's own values out where something arrives.
 * Errors: IndexError, DTypeError, ShapeError, ArgumentError for another reduction.
 * @example
 * scatterReduce(ones([2]), 0, tensor([0, 0], { dtype: 'int32' }), tensor([2, 3]), 'prod').tolist() // [6, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.scatter_reduce_.html
 */
export function scatterReduce(
  x: Tensor,
  dim: number,
  index: Tensor,
  src: Tensor,
  reduce: ScatterReduction,
  options: { readonly includeSelf?: boolean } = {},
): Tensor {
  const op = 'scatterReduce'
  expectTensor(op, x, 'argument 0')
  expectTensor(op, index, 'the index')
  expectTensor(op, src, 'the source')
  checkPositions(op, index)
  checkOptions(op, options, { includeSelf: 'boolean' })
  const d = wrapDim(dim, x.layout.rank, op)
  if (!Object.hasOwn(combine, reduce)) {
    throw new ArgumentError(`${op}: reduce argument must be either sum, prod, mean, amax or amin, got ${String(reduce)}.`, { op })
  }
  if (src.dt !== x.dt) {
    throw new DTypeError(`${op}(): Expected self.dtype to be equal to src.dtype, got ${x.dtype} and ${src.dtype}`, {
      op,
      dtypes: [x.dtype, src.dtype],
    })
  }
  const { rank } = x.layout
  if (
    index.layout.rank !== rank ||
    src.layout.rank !== rank ||
    index.shape.some((n, k) => n > src.shape[k]! || (k !== d && n > x.shape[k]!))
  ) {
    throw new ShapeError(
      `${op}: Expected index ${show(index.shape)} to be no larger than self ${show(x.shape)} apart from dimension ${d} and to be no larger size than src ${show(src.shape)}`,
      { op, shapes: [x.shape, index.shape, src.shape] },
    )
  }
  let part = src
  index.shape.forEach((n, k) => {
    if (n < part.shape[k]!) part = part.narrow(k, 0, n)
  })
  return scatterReduceOp.one([x, index, part], { dim: d, reduce, includeSelf: options.includeSelf ?? true })
}
