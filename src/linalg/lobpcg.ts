/** A few eigenpairs of large symmetric matrices, by the locally optimal block preconditioned conjugate gradient method. */
import { ArgumentError, DTypeError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type Context, type GeneralOp, general, OUT, vjp } from '../op/general.ts'
import { checkOptions } from '../options.ts'
import { Generator } from '../random.ts'
import { sameShape } from '../shape.ts'
import { empty, expectTensor, writeAll } from '../tensor.ts'
import { eigh, product, transposed } from './dense.ts'
import { allInFront, checkSquare, eachMatrix, failure, mT, sizes } from './matrices.ts'
import { solve } from './solve.ts'

/** Options of `lobpcg`. */
export interface LobpcgOptions {
  /** How many eigenpairs. Default: the columns of X, or 1. */
  readonly k?: number
  /** For A·x = λ·B·x: symmetric positive definite, of A's shape. Default: the identity. */
  readonly B?: Tensor
  /** Where to start: (…, m, n) with n ≥ k. Default: random columns, the same in each call. */
  readonly X?: Tensor
  /** How many columns to iterate, if there is no X: more than k converge faster. Default k. */
  readonly n?: number
  /** An approximation of A⁻¹, (m, m) or of A's shape: the preconditioner. */
  readonly iK?: Tensor
  /** Iterations at most; −1 for any number. Default 1000. */
  readonly niter?: number
  /** The relative residual to reach. Default √ε of the dtype. */
  readonly tol?: number
  /** The largest eigenvalues, in descending order (default), or the smallest, in ascending order. */
  readonly largest?: boolean
}

interface Search {
  readonly k: number
  readonly largest: boolean
  readonly niter: number
  readonly tol: number
}

/** Columns in rows: `count` vectors of `m` numbers. What is iterated lies like this, so that a vector is a subarray. */
interface Block {
  readonly data: Float64Array
  readonly count: number
}

/** The products of two blocks' vectors. */
const gram = (a: Block, b: Block, m: number): Float64Array => product(a.data, transposed(b.data, b.count, m), a.count, m, b.count)
const join = (blocks: readonly Block[], m: number): Block => {
  const count = blocks.reduce((sum, b) => sum + b.count, 0)
  const data = new Float64Array(count * m)
  let at = 0
  for (const b of blocks) {
    data.set(b.data, at)
    at += b.data.length
  }
  return { data, count }
}
const symmetrized = (a: Float64Array, n: number): Float64Array => {
  const t = transposed(a, n, n)
  return a.map((v, i) => (v + t[i]!) / 2)
}

/** One problem: products with its matrices, and bases that are orthonormal in the product that B gives. */
class Problem {
  readonly m: number
  /** The root mean square of A's rows: how large a product with A is. */
  readonly size: number
  private readonly a: Float64Array
  private readonly b: Float64Array | null

  constructor(m: number, a: Float64Array, b: Float64Array | null) {
    this.m = m
    this.a = symmetrized(a, m)
    this.b = b === null ? null : symmetrized(b, m)
    this.size = Math.sqrt(this.a.reduce((sum, v) => sum + v * v, 0) / m)
  }

  /** A·v of each vector; A is symmetric. */
  byA(x: Block): Block {
    return { data: product(x.data, this.a, x.count, this.m, this.m), count: x.count }
  }

  byB(x: Block): Block {
    return this.b === null ? x : { data: product(x.data, this.b, x.count, this.m, this.m), count: x.count }
  }

  /** What of x is orthogonal to an orthonormal basis. */
  without(x: Block, basis: Block): Block {
    let rest = x
    for (let pass = 0; pass < 2; pass++) {
      const parts = product(gram(this.byB(rest), basis, this.m), basis.data, rest.count, basis.count, this.m)
      rest = { data: rest.data.map((v, i) => v - parts[i]!), count: rest.count }
    }
    return rest
  }

  /**
   * An orthonormal basis of the space of x, without directions that rounding has made up (Stathopoulos & Wu, 2002): with the
   * eigenvectors of the scaled products of its vectors.
   */
  basis(x: Block): Block {
    let found = x
    for (let pass = 0; pass < 2; pass++) {
      const n = found.count
      if (n === 0) return found
      const g = gram(this.byB(found), found, this.m)
      const scale = Float64Array.from({ length: n }, (_, i) => (g[i * n + i]! > 0 ? 1 / Math.sqrt(g[i * n + i]!) : 0))
      const { values, vectors } = eigh(
        g.map((v, i) => v * scale[Math.floor(i / n)]! * scale[i % n]!),
        n,
      )
      const least = values[n - 1]! * n * 1e-14
      const kept = Array.from({ length: n }, (_, j) => j).filter((j) => values[j]! > least)
      const turn = new Float64Array(kept.length * n)
      kept.forEach((j, row) => {
        for (let i = 0; i < n; i++) turn[row * n + i] = (scale[i]! * vectors[i * n + j]!) / Math.sqrt(values[j]!)
      })
      found = { data: product(turn, found.data, kept.length, n, this.m), count: kept.length }
    }
    return found
  }

  /** The best approximations of `n` eigenpairs in the space of an orthonormal basis (Rayleigh & Ritz). */
  ritz(basis: Block, n: number, largest: boolean): { values: number[]; x: Block } {
    const { values, vectors } = eigh(symmetrized(gram(this.byA(basis), basis, this.m), basis.count), basis.count)
    const chosen = Array.from({ length: n }, (_, i) => (largest ? basis.count - 1 - i : i))
    const turn = new Float64Array(n * basis.count)
    chosen.forEach((j, row) => {
      for (let i = 0; i < basis.count; i++) turn[row * basis.count + i] = vectors[i * basis.count + j]!
    })
    return { values: chosen.map((j) => values[j]!), x: { data: product(turn, basis.data, n, basis.count, this.m), count: n } }
  }
}

/**
 * Eigenpairs from the start `x`: in each step the best approximations in the space of the last ones, their (preconditioned)
 * residuals, and the directions of the last step (Knyazev, 2001). Null when the vectors of x are dependent.
 */
function search(problem: Problem, start: Block, inverse: Float64Array | null, p: Search): { values: number[]; x: Block } | null {
  const { m } = problem
  const n = start.count
  const first = problem.basis(start)
  if (first.count < n) return null
  let { values, x } = problem.ritz(first, n, p.largest)
  let directions: Block = { data: new Float64Array(0), count: 0 }
  for (let step = 0; p.niter < 0 || step < p.niter; step++) {
    const [ax, bx] = [problem.byA(x).data, problem.byB(x).data]
    const residual = ax.map((v, i) => v - values[Math.floor(i / m)]! * bx[i]!)
    const small = (value: number, i: number): boolean => {
      const norm = (t: Float64Array): number => Math.sqrt(t.subarray(i * m, (i + 1) * m).reduce((sum, v) => sum + v * v, 0))
      return norm(residual) <= p.tol * (problem.size * norm(x.data) + Math.abs(value) * norm(bx))
    }
    if (values.slice(0, p.k).every(small)) break
    const w = { data: inverse === null ? residual : product(residual, inverse, n, m, m), count: n }
    const more = problem.basis(problem.without(join([w, directions], m), x))
    if (more.count === 0) break
    const next = problem.ritz(join([x, more], m), n, p.largest)
    directions = problem.without(next.x, x)
    values = next.values
    x = next.x
  }
  return { values, x }
}

/** Inputs: A, B if there is one, X, and iK if there is one. */
// @__NO_SIDE_EFFECTS__
function declare(withB: boolean): GeneralOp<Search> {
  const at = withB ? 2 : 1
  const reads = [0, ...(withB ? [1] : []), OUT, OUT - 1]
  const op: GeneralOp<Search> = general<Search>('linalg.lobpcg', {
    node: 'LobpcgBackward0',
    names: withB ? ['A', 'B', 'X', 'iK'] : ['A', 'X', 'iK'],
    results: ['E', 'U'],
    forward: (x, p, owner) => {
      const [m, n] = sizes(x[at]!)
      return eachMatrix(x, [[p.k], [m, p.k]], owner, (data, [e, u], index) => {
        const problem = new Problem(m, data[0]!, withB ? data[1]! : null)
        const found = search(problem, { data: transposed(data[at]!, m, n), count: n }, data[at + 1] ?? null, p)
        if (found === null)
          throw failure('linalg.lobpcg', x[0]!, index, 'the columns of X are linearly dependent, or B is not positive definite')
        e!.set(found.values.slice(0, p.k))
        u!.set(transposed(found.x.data.subarray(0, p.k * m), p.k, m))
      })
    },
    vjp: [vjp(reads, (_g, c, gs) => gradientOfA(c, gs, withB)), ...(withB ? [vjp<Search>(reads, (_g, c, gs) => gradientOfB(c, gs))] : [])],
    batch: (b) => op.call(allInFront(b), b.p) as Tensor[],
  })
  return op
}

const standard: GeneralOp<Search> = /* @__PURE__ */ declare(false)
const generalized: GeneralOp<Search> = /* @__PURE__ */ declare(true)

/**
 * Of A·u = λ·B·u with uᵀ·B·u = 1 the differential is [A − λB, Bu; uᵀB, 0]·[du; −dλ] = [−(dA − λ·dB)·u; −½·uᵀ·dB·u]. The matrix
 * is symmetric, so with [y; ν] = its inverse times [gu; −gλ] the gradients are −y·uᵀ of A and λ·y·uᵀ − ½·ν·u·uᵀ of B, of which
 * the symmetric parts count. Columns of the results: y and ν for each eigenpair.
 */
function adjoints(c: Context<Search>, gs: readonly (Tensor | null)[], withB: boolean): { y: Tensor; nu: Tensor | null } {
  return c.shared(() => {
    const [e, u] = [c.out(0), c.out(1)]
    // Without gu, y = −gλ·u: also where eigenvalues coincide.
    if (!gs[1]) return { y: u.mul(gs[0]!.neg().unsqueeze(-2)), nu: null }
    const a = symmetric(c.in(0))
    const b = withB ? symmetric(c.in(1)) : null
    const metric = b ?? u.select(-1, 0).detach().mul(0).add(1).diagEmbed()
    const bu = mT(b === null ? u : b.matmul(u))
    const shifted = a.unsqueeze(-3).sub(metric.unsqueeze(-3).mul(e.unsqueeze(-1).unsqueeze(-1)))
    const corner = bu.narrow(-1, 0, 1).detach().mul(0)
    const border = bu.catWith([corner], -1).unsqueeze(-2)
    const whole = shifted.catWith([bu.unsqueeze(-1)], -1).catWith([border], -2)
    const ge = gs[0] ?? e.detach().mul(0)
    const right = mT(gs[1]).catWith([ge.neg().unsqueeze(-1)], -1)
    const solved = solve(whole, right.unsqueeze(-1)).squeeze(-1)
    return { y: mT(solved.narrow(-1, 0, a.shape.at(-1)!)), nu: solved.select(-1, -1) }
  })
}

const symmetric = (g: Tensor): Tensor => g.add(mT(g)).mul(0.5)

function gradientOfA(c: Context<Search>, gs: readonly (Tensor | null)[], withB: boolean): Tensor {
  return symmetric(
    adjoints(c, gs, withB)
      .y.matmul(mT(c.out(1)))
      .neg(),
  )
}

function gradientOfB(c: Context<Search>, gs: readonly (Tensor | null)[]): Tensor {
  const { y, nu } = adjoints(c, gs, true)
  const [e, u] = [c.out(0), c.out(1)]
  const first = y.mul(e.unsqueeze(-2))
  return symmetric((nu === null ? first : first.sub(u.mul(nu.unsqueeze(-2)).mul(0.5))).matmul(mT(u)))
}

/** √ε, as torch rounds it. */
const TOLERANCE = { float32: 3.4641016151377546e-4, float64: 1.4933184523068078e-8 } as const

/**
 * The k largest (or smallest) eigenvalues λ (…, k) of symmetric matrices A (…, m, m) and eigenvectors as columns (…, m, k), of
 * arbitrary signs; with `B` those of A·x = λ·B·x, for which xᵀ·B·x = 1. Only products with A are computed, so it is much faster
 * than `eigh` for large matrices; residuals are as small as `tol` says. The symmetric parts of A and B count, and so are their
 * gradients; those of the vectors need eigenvalues that differ from all others, and solve a system of m + 1 equations for each.
 * Errors: ShapeError, DTypeError, ArgumentError if m < 3·n, LinAlgError.
 * @example
 * const [values] = linalg.lobpcg(diag(tensor([2, 1, 5, 3, 4, 0])), { k: 2 })
 * values.round().tolist() // [5, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.lobpcg.html
 */
export function lobpcg(a: Tensor, options: LobpcgOptions = {}): [eigenvalues: Tensor, eigenvectors: Tensor] {
  const op = 'linalg.lobpcg'
  checkSquare(op, a)
  checkOptions(op, options, {
    k: 'number',
    B: 'any',
    X: 'any',
    n: 'number',
    iK: 'any',
    niter: 'number',
    tol: 'number',
    largest: 'boolean',
  })
  const { B, X, iK, niter = 1000, largest = true } = options
  const m = sizes(a)[0]
  const k = options.k ?? X?.shape.at(-1) ?? 1
  const n = X?.shape.at(-1) ?? options.n ?? k
  const { tol = TOLERANCE[a.dtype as 'float32' | 'float64'] } = options
  if (!Number.isInteger(k) || k < 1 || !Number.isInteger(n) || n < k || !Number.isInteger(niter))
    throw new ArgumentError(`${op}: expected whole numbers 1 ≤ k ≤ n, and niter, got k: ${k}, n: ${n}, niter: ${niter}`, { op })
  if (m < 3 * n) {
    throw new ArgumentError(
      `LOBPCG algorithm is not applicable when the number of A rows (=${m}) is smaller than 3 x the number of requested eigenpairs (=${n}): use linalg.eigh (${op})`,
      { op, shapes: [a.shape] },
    )
  }
  const start = fitting(op, 'X', X?.detach() ?? randomStart(a, n), a, n)
  const rest = iK === undefined ? [start] : [start, fitting(op, 'iK', iK.detach(), a, m)]
  const p: Search = { k, largest, niter, tol }
  const made = B === undefined ? standard.call([a, ...rest], p) : generalized.call([a, fitting(op, 'B', B, a, m), ...rest], p)
  return made as [Tensor, Tensor]
}

/** Normal numbers, the same in each call: where they lead doesn't depend on them. */
function randomStart(a: Tensor, n: number): Tensor {
  const start = empty(Layout.of([sizes(a)[0], n]), a.dt, null)
  const numbers = new Float64Array(start.layout.numel)
  new Generator(0).normal(numbers)
  writeAll(start, numbers)
  return start as Tensor
}

/** A tensor of A's dtype and batch dims with n columns; one matrix serves a whole batch, but as B. */
function fitting(op: string, name: string, x: Tensor, a: Tensor, n: number): Tensor {
  expectTensor(op, x, name)
  if (x.dt !== a.dt)
    throw new DTypeError(`${op}: ${name} must have the dtype of A, ${a.dtype}, not ${x.dtype}`, { op, dtypes: [a.dtype, x.dtype] })
  const shape = [...a.shape.slice(0, -1), n]
  if (sameShape(x.shape, shape)) return x
  if (name === 'B' || !sameShape(x.shape, shape.slice(-2)))
    throw new ShapeError(`${op}: ${name} must be ${show(shape)}, got ${show(x.shape)}`, { op, shapes: [a.shape, x.shape] })
  return x.expand(shape)
}
