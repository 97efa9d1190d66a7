/** A backend whose large products, elementwise loops and reductions are divided among threads. */
import type { Backend, FlatKernel, Job, MatmulKernel, ReduceKernel, ReduceOp } from '../backend/backend.ts'
import type { Program } from '../backend/scalar.ts'
import { type DType, dtypes } from '../dtype.ts'
import type { Pool } from './pool.ts'
import { ARGUMENTS } from './worker.ts'

/** Work below which nothing is divided, and the size of what it is divided into. */
export interface Least {
  /** Multiplications of a product. */
  product: number
  /** Rows of a product's part: packing the right matrix again for each part has to be little. */
  rows: number
  /** Elements of a loop or a reduction. */
  elements: number
  /** A part of a loop starts at a multiple of this, where a whole number of turns of any kernel ends. */
  grain: number
}

/** What is worth waking up a worker, which takes about 40 µs: of these sizes the cheapest work just gains. */
export function leastWork(): Least {
  return { product: 2 ** 21, rows: 24, elements: 2 ** 19, grain: 1024 }
}

/** Parts for each thread where dividing costs nothing: a thread that the system held up leaves more of them to the others. */
const PARTS = 4
/** Rows of whole tiles, and so many that it doesn't matter if there are more parts than threads. */
const TILE_ROWS = 12
const GOOD_ROWS = 192

/** Who divides: the number of threads may change, and is 1 while there is no pool. */
export interface Team {
  pool: Pool | null
  threads: number
  readonly least: Least
  /** The address of room for `bytes` of partial results, or 0. */
  room(bytes: number): number
}

const ceil = (n: number, step: number): number => Math.ceil(n / step) * step

/** The backend with these kinds of work divided, and jobs that say how; whatever no worker can run stays as it is. */
export function divided(inner: Backend, team: Team): Backend {
  return {
    ...inner,
    flat: (program, fixed) => flat(inner.flat(program, fixed), program, fixed, team),
    reduce: (op, dtype, adjacent) => reduce(inner.reduce(op, dtype, adjacent), op, dtype, team),
    matmul: (dtype) => matmul(inner, dtype, team),
    job: <K, D extends DType>(job: Job<K, D>, dtype: D) => {
      const { divide } = job
      const fn = inner.job(job, dtype)
      return divide === undefined ? fn : (inParts(fn as Call, divide, team) as K)
    },
    // Every part has a workspace of its own.
    matmulWork: (dtype, m, n, k) => inner.matmulWork(dtype, m, n, k) * (team.threads > 1 ? PARTS * team.threads : 1),
  }
}

function flat(fn: FlatKernel, program: Program, fixed: number, team: Team): FlatKernel {
  const { outTypes, inTypes } = program
  const steps = [
    ...outTypes.map((type) => dtypes[type].bytes),
    ...inTypes.map((type, i) => (Math.floor(fixed / 2 ** i) % 2 === 1 ? 0 : dtypes[type].bytes)),
  ]
  const count = 1 + steps.length + program.scalars
  if (count > ARGUMENTS) return fn
  const large = (args: number[]): void => {
    const { pool, threads } = team
    const n = args[0]!
    if (pool === null || !pool.knows(fn)) return fn(n, ...args.slice(1))
    const each = ceil(n / (PARTS * threads), team.least.grain)
    for (let from = 0; from < n; from += each)
      pool.part(args.map((arg, i) => (i === 0 ? Math.min(each, n - from) : arg + from * (steps[i - 1] ?? 0))))
    pool.run(fn as (...args: number[]) => void, count)
  }
  // Named parameters: small calls must not pay for an array.
  return count <= 8
    ? (n, a, b, c, d, e, f, g) => {
        if (team.pool === null || n < team.least.elements) fn(n, a!, b!, c!, d!, e!, f!, g!)
        else large([n, a!, b!, c!, d!, e!, f!, g!].slice(0, count))
      }
    : (n, ...rest) => {
        if (team.pool === null || n < team.least.elements) fn(n, ...rest)
        else large([n, ...rest].slice(0, count))
      }
}

/** Results that can be put together from results of parts. */
const JOINABLE: readonly ReduceOp[] = ['sum', 'prod', 'max', 'min']

function reduce(fn: ReduceKernel, op: ReduceOp, dtype: DType, team: Team): ReduceKernel {
  const { bytes, floating } = dtypes[dtype]
  const extremum = op === 'max' || op === 'min'
  const outBytes = op === 'any' || op === 'all' ? 1 : op.startsWith('arg') ? 4 : extremum || floating ? bytes : 4
  // Parts of an integer sum may overflow where the whole doesn't.
  const joins = JOINABLE.includes(op) && (floating || extremum)
  return (outer, n, inner, input, output) => {
    const { pool, threads } = team
    if (pool === null || outer * n * inner < team.least.elements || !pool.knows(fn)) return fn(outer, n, inner, input, output)
    if (outer >= threads) {
      const each = Math.ceil(outer / (PARTS * threads))
      for (let o = 0; o < outer; o += each)
        pool.part([Math.min(each, outer - o), n, inner, input + o * n * inner * bytes, output + o * inner * outBytes])
      return pool.run(fn, 5)
    }
    const room = joins && outer === 1 && n >= 64 * threads ? team.room(threads * inner * bytes) : 0
    if (room === 0) return fn(outer, n, inner, input, output)
    const each = ceil(n / threads, inner === 1 ? team.least.grain : 1)
    let parts = 0
    for (let from = 0; from < n; from += each)
      pool.part([1, Math.min(each, n - from), inner, input + from * inner * bytes, room + parts++ * inner * bytes])
    pool.run(fn, 5)
    return fn(1, parts, inner, room, output)
  }
}

type Call = (...args: number[]) => void

function inParts(fn: Call, divide: NonNullable<Job<Call>['divide']>, team: Team): Call {
  return (...args) => {
    const { pool, threads } = team
    const parts = pool?.knows(fn) ? divide(args, threads, team.least.product) : undefined
    if (parts === undefined) return fn(...args)
    for (const part of parts) pool!.part(part)
    pool!.run(fn, args.length)
  }
}

function matmul(backend: Backend, dtype: DType, team: Team): MatmulKernel {
  const fn = backend.matmul(dtype)
  const { bytes } = dtypes[dtype]
  return (batch, m, n, k, a, aBatch, aRow, aCol, b, bBatch, bRow, bCol, c, cBatch, start, work) => {
    const { pool, threads } = team
    if (pool === null || batch * m * n * k < team.least.product || !pool.knows(fn)) {
      fn(batch, m, n, k, a, aBatch, aRow, aCol, b, bBatch, bRow, bCol, c, cBatch, start, work)
      return
    }
    // One B for matrices of A that follow each other: kernels multiply one tall matrix, and so must its parts.
    const tall = bBatch === 0 && aBatch === m * aRow && cBatch === m * n
    const rows = tall ? m * batch : m
    const stack = tall ? 1 : batch
    const room = backend.matmulWork(dtype, m, n, k)
    let w = work
    const part = (i: number, matrices: number, row: number, some: number): void => {
      const [pa, pb, pc] = [a + (i * aBatch + row * aRow) * bytes, b + i * bBatch * bytes, c + (i * cBatch + row * n) * bytes]
      pool.part([matrices, some, n, k, pa, aBatch, aRow, aCol, pb, bBatch, bRow, bCol, pc, cBatch, start, w])
      w += room
    }
    if (stack >= threads) {
      const each = Math.ceil(stack / threads)
      for (let i = 0; i < stack; i += each) part(i, Math.min(each, stack - i), 0, rows)
    } else if (rows >= threads * team.least.rows) {
      // As many parts for each thread, or the last one waits; each of two tiles at least, since a single row goes another way.
      const parts = threads * Math.max(1, Math.min(PARTS, Math.floor(rows / (GOOD_ROWS * threads))))
      const tiles = Math.ceil(rows / TILE_ROWS)
      const first = (p: number): number => Math.min(rows, Math.floor((p * tiles) / parts) * TILE_ROWS)
      for (let p = 0; p < parts; p++) part(0, stack, first(p), first(p + 1) - first(p))
    } else {
      fn(batch, m, n, k, a, aBatch, aRow, aCol, b, bBatch, bRow, bCol, c, cBatch, start, work)
      return
    }
    pool.run(fn as (...args: number[]) => void, 16)
  }
}
