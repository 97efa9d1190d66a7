/** Reductions and running sums along the middle axis of a contiguous [outer, n, inner] array. */
import { type DType, dtypes, type TypedArray } from '../../dtype.ts'
import type { LinearMemory, ReduceKernel, ReduceOp, ScanKernel } from '../backend.ts'
import { bytesOf, viewOf } from './views.ts'

/** Reduces the elements start, start + stride, …, n of them, to one number. */
type Fold = (x: TypedArray, start: number, n: number, stride: number) => number

const PAIRWISE_BLOCK = 64
/** This many int32 values sum to less than 2^53, so doubles hold every partial sum exactly. */
const EXACT_BLOCK = 2 ** 21

function sequential(x: TypedArray, start: number, n: number, stride: number): number {
  let sum = 0
  for (let j = 0, p = start; j < n; j++, p += stride) sum += x[p]!
  return sum
}

/** Pairwise summation: the error grows with log n instead of n. */
const floatSum: Fold = (x, start, n, stride) => {
  if (n <= PAIRWISE_BLOCK) return sequential(x, start, n, stride)
  const half = n >>> 1
  return floatSum(x, start, half, stride) + floatSum(x, start + half * stride, n - half, stride)
}

/** Exact whenever the result fits int32, however large the sums on the way. */
const intSum: Fold = (x, start, n, stride) => {
  if (n <= EXACT_BLOCK) return sequential(x, start, n, stride)
  let sum = 0n
  for (let j = 0; j < n; j += EXACT_BLOCK) sum += BigInt(sequential(x, start + j * stride, Math.min(EXACT_BLOCK, n - j), stride))
  return Number(sum)
}

const floatProd: Fold = (x, start, n, stride) => {
  let product = 1
  for (let j = 0, p = start; j < n; j++, p += stride) product *= x[p]!
  return product
}

/**
 * Exact whenever the result fits int32. Nonzero factors never make a product smaller, so once it is beyond 2^31 in size
 * only a zero can bring it back.
 */
const intProd: Fold = (x, start, n, stride) => {
  let product = 1
  for (let j = 0, p = start; j < n; j++, p += stride) {
    const v = x[p]!
    if (v === 0) return 0
    if (Math.abs(product) <= 2147483648) product *= v
  }
  return product
}

/** The place of the first NaN, or else of the first of the largest (`sign` 1) or smallest (-1) values. */
function extreme(x: TypedArray, start: number, n: number, stride: number, sign: 1 | -1): number {
  let at = 0
  let best = x[start]!
  for (let j = 0, p = start; j < n; j++, p += stride) {
    const v = x[p]!
    if (Number.isNaN(v)) return j
    if (sign === 1 ? v > best : v < best) {
      best = v
      at = j
    }
  }
  return at
}

/** The place of the first element that counts as true (NaN does) or false; n if there is none. */
function firstThat(holds: boolean, x: TypedArray, start: number, n: number, stride: number): number {
  let j = 0
  for (let p = start; j < n && (x[p] !== 0) !== holds; p += stride) j++
  return j
}

const picks: Readonly<Record<Exclude<ReduceOp, 'sum' | 'prod'>, Fold>> = {
  max: (x, start, n, stride) => x[start + extreme(x, start, n, stride, 1) * stride]!,
  min: (x, start, n, stride) => x[start + extreme(x, start, n, stride, -1) * stride]!,
  argmax: (x, start, n, stride) => extreme(x, start, n, stride, 1),
  argmin: (x, start, n, stride) => extreme(x, start, n, stride, -1),
  any: (x, start, n, stride) => (firstThat(true, x, start, n, stride) < n ? 1 : 0),
  all: (x, start, n, stride) => (firstThat(false, x, start, n, stride) < n ? 0 : 1),
}

/** Sums and products of integers and bools are int32. */
function accumulated(dtype: DType): DType {
  return dtypes[dtype].floating ? dtype : 'int32'
}

function resultType(op: ReduceOp, dtype: DType): DType {
  switch (op) {
    case 'sum':
    case 'prod':
      return accumulated(dtype)
    case 'argmax':
    case 'argmin':
      return 'int32'
    case 'any':
    case 'all':
      return 'bool'
    default:
      return dtype
  }
}

export function reduceKernel(memory: LinearMemory, op: ReduceOp, dtype: DType): ReduceKernel {
  const outType = resultType(op, dtype)
  const accumulates = op === 'sum' || op === 'prod'
  const checked = accumulates && !dtypes[dtype].floating
  const fold: Fold = op === 'sum' ? (checked ? intSum : floatSum) : op === 'prod' ? (checked ? intProd : floatProd) : picks[op]
  const [inBytes, outBytes] = [bytesOf(dtype), bytesOf(outType)]
  return (outer, n, inner, input, output) => {
    const x = viewOf(memory, dtype)
    const y = viewOf(memory, outType)
    const from = input / inBytes
    let to = output / outBytes
    let overflow = 0
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const result = fold(x, from + o * n * inner + i, n, inner)
        if (checked && (result < -2147483648 || result > 2147483647)) overflow = 1
        y[to++] = result
      }
    }
    return overflow
  }
}

/** Running values are kept in float64 for floats and wrap for integers, whose results are int32. */
export function scanKernel(memory: LinearMemory, op: 'sum' | 'prod', dtype: DType): ScanKernel {
  const outType = accumulated(dtype)
  const whole = outType === 'int32'
  const adds = op === 'sum'
  const [inBytes, outBytes] = [bytesOf(dtype), bytesOf(outType)]
  return (outer, n, inner, input, output) => {
    const x = viewOf(memory, dtype)
    const y = viewOf(memory, outType)
    const from = input / inBytes
    const to = output / outBytes
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const start = o * n * inner + i
        const end = start + n * inner
        let running = adds ? 0 : 1
        for (let p = start; p < end; p += inner) {
          const v = x[from + p]!
          if (whole) running = adds ? (running + v) | 0 : Math.imul(running, v)
          else running = adds ? running + v : running * v
          y[to + p] = running
        }
      }
    }
  }
}
