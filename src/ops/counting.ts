/** Which elements there are, how often, and whether tensors agree; without gradients. */
import { dtypes } from '../dtype.ts'
import { ArgumentError, DTypeError, ShapeError, show, within } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, noRule } from '../op/general.ts'
import { checkOptions, type Known } from '../options.ts'
import { numel, sameShape, wrapDim } from '../shape.ts'
import { checkAddressable, empty, expectTensor, expectTensorOrNone, readAll, type TensorCore, writeAll } from '../tensor.ts'
import { order } from './order.ts'
import { concrete } from './positions.ts'

function integers(values: ArrayLike<number>, shape: readonly number[]): Tensor {
  const t = empty(Layout.of(shape), dtypes.int32, null)
  writeAll(t, values)
  return t as Tensor
}

/** Options of `uniqueConsecutive`. */
export interface RunOptions {
  /** Also where each element went. */
  readonly returnInverse?: boolean
  /** Also how often each occurs. */
  readonly returnCounts?: boolean
  /** Slices along a dim count as elements. */
  readonly dim?: number
}
/** Options of `unique`. */
export interface UniqueOptions extends RunOptions {
  /** They come in order always. */
  readonly sorted?: boolean
}

/** The distinct elements, or slices, among `at` (neighbours are compared): where each first stands, and to which each went. */
function distinct(
  at: ArrayLike<number>,
  same: (i: number, j: number) => boolean,
): { first: number[]; inverse: Int32Array; counts: number[] } {
  const first: number[] = []
  const counts: number[] = []
  const inverse = new Int32Array(at.length)
  for (let k = 0; k < at.length; k++) {
    if (k === 0 || !same(at[k - 1]!, at[k]!)) {
      first.push(at[k]!)
      counts.push(0)
    }
    inverse[at[k]!] = first.length - 1
    counts[first.length - 1] = counts[first.length - 1]! + 1
  }
  return { first, inverse, counts }
}

interface Runs {
  /** Null: single elements. */
  readonly dim: number | null
  readonly sort: boolean
  readonly returnInverse: boolean
  readonly returnCounts: boolean
}

/** The distinct elements or slices of a plain tensor, then what else was asked for. */
function runsOf(x: TensorCore, { dim, sort, returnInverse, returnCounts }: Runs): TensorCore[] {
  const data = readAll(x)
  const d = dim ?? 0
  const { shape } = x.layout
  const n = dim === null ? x.layout.numel : (shape[d] ?? 1)
  const inner = dim === null ? 1 : numel(shape.slice(d + 1))
  const outer = dim === null || n === 0 ? 1 : x.layout.numel / (n * inner)
  const compare = (i: number, j: number): number => {
    for (let o = 0; o < outer; o++) {
      for (let k = 0; k < inner; k++) {
        const a = data[(o * n + i) * inner + k]!
        const b = data[(o * n + j) * inner + k]!
        if (a !== b) return a < b || Number.isNaN(b) ? -1 : 1
      }
    }
    return 0
  }
  let at: ArrayLike<number> = Int32Array.from({ length: n }, (_, i) => i)
  if (sort) at = dim === null ? order(Float64Array.from(data), false) : (at as Int32Array).toSorted(compare)
  const found = distinct(at, (i, j) => compare(i, j) === 0)
  const plain = (x as Tensor).detach()
  const results: TensorCore[] = [(dim === null ? plain.reshape([-1]) : plain).indexSelect(d, integers(found.first, [found.first.length]))]
  if (returnInverse) results.push(integers(found.inverse, dim === null ? shape : [n]))
  if (returnCounts) results.push(integers(found.counts, [found.counts.length]))
  return results
}

const uniqueOp: GeneralOp<Runs> = /* @__PURE__ */ general('unique', {
  node: ({ dim }) => (dim === null ? 'Unique2Backward0' : 'UniqueDimBackward0'),
  forward: ([x], p) => runsOf(x!, p),
  vjp: [noRule('unique')],
})
const consecutiveOp: GeneralOp<Runs> = /* @__PURE__ */ general('uniqueConsecutive', {
  node: 'UniqueConsecutiveBackward0',
  forward: ([x], p) => runsOf(x!, p),
  vjp: [noRule('uniqueConsecutive')],
})

const RUNS: Known<RunOptions> = { returnInverse: 'boolean', returnCounts: 'boolean', dim: 'any' }
const UNIQUE: Known<UniqueOptions> = { returnInverse: 'boolean', returnCounts: 'boolean', dim: 'any', sorted: 'boolean' }

function runs(op: GeneralOp<Runs>, x: Tensor, options: RunOptions, known: Known<RunOptions>, sort: boolean): Tensor | Tensor[] {
  expectTensor(op.name, x, 'argument 0')
  checkOptions(op.name, options, known)
  const { returnInverse = false, returnCounts = false, dim } = options
  concrete(op.name, x)
  const d = dim === undefined ? null : wrapDim(dim, x.layout.rank, op.name)
  const results = op.call([x], { dim: d, sort, returnInverse, returnCounts }) as Tensor[]
  return results.length === 1 ? results[0]! : results
}

/**
 * The distinct elements in ascending order (or, with `dim`, the distinct slices in lexicographic order), as a vector; with
 * `returnInverse` also where each element went, with `returnCounts` how often each occurs (int32), in a list. Every NaN counts.
 * Errors: UnsupportedError inside vmap, and when a gradient has to pass through it.
 * @example
 * unique(tensor([3, 1, 3])).tolist() // [1, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.unique.html
 */
export function unique(x: Tensor, options: UniqueOptions = {}): Tensor | Tensor[] {
  return runs(uniqueOp, x, options, UNIQUE, true)
}

/**
 * As `unique`, but only neighbours that are equal become one.
 * @example
 * uniqueConsecutive(tensor([1, 1, 2, 1])).tolist() // [1, 2, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.unique_consecutive.html
 */
export function uniqueConsecutive(x: Tensor, options: RunOptions = {}): Tensor | Tensor[] {
  return runs(consecutiveOp, x, options, RUNS, false)
}

/** Options of `bincount`. */
export interface BincountOptions {
  /** What each occurrence counts; default 1. */
  readonly weights?: Tensor
  /** The least length of the result. */
  readonly minlength?: number
}

const bincountOp: GeneralOp<{ readonly length: number }> = /* @__PURE__ */ general('bincount', {
  node: 'torch::autograd::NotImplemented',
  forward: ([x, weights], { length }, owner) => {
    const w = weights === undefined ? null : readAll(weights)
    const sums = new Float64Array(length)
    readAll(x!).forEach((v, i) => {
      sums[v] = sums[v]! + (w === null ? 1 : w[i]!)
    })
    const float = weights?.dt.floating ? weights.dt : dtypes.float64
    const out = empty(Layout.of([length]), w === null ? dtypes.int32 : float, owner)
    writeAll(out, sums)
    return out
  },
  vjp: [null, noRule('bincount')],
})

/**
 * How often each of 0, 1, 2, … occurs in a vector of whole numbers (int32), or the sums of their weights (float64).
 * Errors: ArgumentError for negative numbers, ShapeError, DTypeError, UnsupportedError when the weights' gradient is asked for.
 * @example
 * bincount(tensor([0, 1, 1], { dtype: 'int32' })).tolist() // [1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.bincount.html
 */
export function bincount(x: Tensor, options: BincountOptions = {}): Tensor {
  const op = 'bincount'
  expectTensor(op, x, 'argument 0')
  checkOptions(op, options, { weights: 'any', minlength: 'integer' })
  const { weights, minlength = 0 } = options
  expectTensorOrNone(op, weights, 'the weights')
  if (minlength < 0) throw new ArgumentError(`${op}: minlength should be >= 0, got ${minlength}`, { op })
  if (x.dt.category !== 1)
    throw new DTypeError(`${op} only supports 1-d non-negative integral inputs, got ${x.dtype}`, { op, dtypes: [x.dtype] })
  const values = Float64Array.from(readAll(concrete(op, x)))
  if (x.layout.rank !== 1 || values.some((v) => v < 0))
    throw new ArgumentError(`${op} only supports 1-d non-negative integral inputs: ${show(x.shape)}`, { op })
  if (weights && !sameShape(weights.shape, x.shape)) {
    throw new ShapeError(`${op}: weights should be 1-d and have the same length as input: ${show(weights.shape)} and ${show(x.shape)}`, {
      op,
      shapes: [x.shape, weights.shape],
    })
  }
  const length = values.reduce((n, v) => Math.max(n, v + 1), minlength)
  checkAddressable(op, [length], dtypes.float64)
  return bincountOp.one(weights ? [x, weights] : [x], { length })
}

/** Options of `histc`. */
export interface HistcOptions {
  /** Default 100. */
  readonly bins?: number
  /** The range; by default that of the elements. */
  readonly min?: number
  readonly max?: number
}

const histcOp: GeneralOp<Required<HistcOptions>> = /* @__PURE__ */ general('histc', {
  node: 'HistcBackward0',
  forward: ([x], { bins, min: low, max: high }, owner) => {
    const out = empty(Layout.of([bins]), x!.dt, owner)
    const values = Float64Array.from(readAll(x!))
    let [min, max] = [low, high]
    if (min === max && values.length > 0) {
      min = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
      max = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
    }
    if (min === max) {
      min -= 1
      max += 1
    }
    if (!(min < max) || !Number.isFinite(max - min)) {
      throw new ArgumentError(`histc: max must be larger than min, and the range finite: [${min}, ${max}]`, { op: 'histc' })
    }
    const counts = new Float64Array(bins)
    for (const v of values) {
      if (!(v >= min && v <= max)) continue
      const bin = Math.min(bins - 1, Math.floor(((v - min) / (max - min)) * bins))
      counts[bin] = counts[bin]! + 1
    }
    writeAll(out, counts)
    return out
  },
})

/**
 * How many elements lie in each of `bins` equal parts of [min, max]; others don't count. Errors: ArgumentError.
 * @example
 * histc(tensor([1, 2, 1]), { bins: 4, min: 0, max: 3 }).tolist() // [0, 2, 1, 0]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.histc.html
 */
export function histc(x: Tensor, options: HistcOptions = {}): Tensor {
  expectTensor('histc', x, 'argument 0')
  checkOptions('histc', options, { bins: 'any', min: 'number', max: 'number' })
  const { bins = 100, min = 0, max = 0 } = options
  if (!Number.isInteger(bins) || bins < 1) throw new ArgumentError(`histc: bins must be > 0, got ${bins}`, { op: 'histc' })
  return histcOp.one([x], { bins, min, max })
}

const isinOp: GeneralOp<{ readonly invert: boolean }> = /* @__PURE__ */ general('isin', {
  node: 'IsinBackward0',
  forward: ([x, among], { invert }, owner) => {
    const out = empty(Layout.of(x!.layout.shape), dtypes.bool, owner)
    const set = new Set<number>(readAll(among!))
    set.delete(Number.NaN)
    writeAll(
      out,
      Array.from(readAll(x!), (v) => Number(set.has(v) !== invert)),
    )
    return out
  },
})

/**
 * Which elements occur among others (bool); a NaN doesn't.
 * @example
 * isin(tensor([1, 2, 3]), tensor([2, 3])).tolist() // [false, true, true]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.isin.html
 */
export function isin(x: Tensor, among: Tensor, options: { readonly invert?: boolean } = {}): Tensor {
  expectTensor('isin', x, 'argument 0')
  expectTensor('isin', among, 'argument 1')
  checkOptions('isin', options, { invert: 'boolean' })
  return isinOp.one([x, among], { invert: options.invert ?? false })
}

/** Options of `isclose` and `allclose`. */
export interface CloseOptions {
  /** Default 1e−5. */
  readonly rtol?: number
  /** Default 1e−8. */
  readonly atol?: number
  readonly equalNan?: boolean
}

/**
 * Where |a − b| ≤ atol + rtol·|b| (bool), infinities equal themselves.
 * @example
 * isclose(tensor([1, 2]), tensor([1 + 1e-6, 3])).tolist() // [true, false]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.isclose.html
 */
export function isclose(a: Tensor, b: Tensor, options: CloseOptions = {}): Tensor {
  return closeness('isclose', a, b, options)
}

function closeness(op: string, a: Tensor, b: Tensor, options: CloseOptions): Tensor {
  expectTensor(op, a, 'argument 0')
  expectTensor(op, b, 'argument 1')
  checkOptions(op, options, { rtol: 'number', atol: 'number', equalNan: 'boolean' })
  if (a.dt !== b.dt)
    throw new DTypeError(`${op}: ${a.dtype} did not match ${b.dtype}; convert one of them with to(…)`, { op, dtypes: [a.dtype, b.dtype] })
  const { rtol = 1e-5, atol = 1e-8, equalNan = false } = options
  if (!(rtol >= 0) || !(atol >= 0))
    throw new ArgumentError(`${op}: rtol and atol must be greater than or equal to zero, but got ${rtol} and ${atol}`, { op })
  const [x, y] = [a.detach(), b.detach()]
  const same = within(op, () => x.eq(y))
  const equal = equalNan ? same.logicalOr(x.ne(x).logicalAnd(y.ne(y))) : same
  if (rtol === 0 && atol === 0) return equal
  const distance = x.sub(y).abs()
  return equal.logicalOr(distance.le(y.abs().mul(rtol).add(atol)).logicalAnd(distance.isfinite()))
}

/**
 * Is every element close? See `isclose`.
 * @example
 * allclose(tensor([1]), tensor([1 + 1e-6])) // true
 * @see https://docs.pytorch.org/docs/stable/generated/torch.allclose.html
 */
export function allclose(a: Tensor, b: Tensor, options: CloseOptions = {}): boolean {
  return closeness('allclose', a, b, options).all().item() !== 0
}

/**
 * Have both the same shape and the same elements? (A NaN equals nothing.)
 * @example
 * equal(tensor([1, 2]), tensor([1, 2])) // true
 * @see https://docs.pytorch.org/docs/stable/generated/torch.equal.html
 */
export function equal(a: Tensor, b: Tensor): boolean {
  expectTensor('equal', a, 'argument 0')
  expectTensor('equal', b, 'argument 1')
  return sameShape(a.shape, b.shape) && a.detach().eq(b.detach()).all().item() !== 0
}
