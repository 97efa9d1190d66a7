/** Linear systems, inverses, determinants and triangular factors. */
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { type GeneralOp, general, OUT, vjp } from '../op/general.ts'
import { checkOptions } from '../options.ts'
import { sameShape } from '../shape.ts'
import { expectTensor } from '../tensor.ts'
import { cholesky as factor, lu, solveLu, svd, transposed, triangular } from './dense.ts'
import { allInFront, checkMatrices, checkSame, checkSquare, eachMatrix, failure, mT, sizes, together } from './matrices.ts'

const SINGULAR = 'the input matrix is singular.'

const invOp: GeneralOp<{ readonly check: boolean }> = /* @__PURE__ */ general('linalg.inv', {
  node: 'LinalgInvExBackward0',
  forward: ([a], { check }, owner) => {
    const [n] = sizes(a!)
    return eachMatrix([a!], [[n, n]], owner, ([x], [y], b) => {
      const f = lu(x!, n)
      if (check && f.zero >= 0) {
        throw failure(
          'linalg.inv',
          a!,
          b,
          `The diagonal element ${f.zero + 1} is zero, the inversion could not be completed because ${SINGULAR}`,
        )
      }
      const one = new Float64Array(n * n)
      for (let i = 0; i < n; i++) one[i * n + i] = 1
      y!.set(solveLu(f, one, n))
    })[0]!
  },
  // dA⁻¹ = −A⁻¹ dA A⁻¹
  vjp: [vjp([OUT], (g, c) => mT(c.out()).matmul(g).matmul(mT(c.out())).neg())],
  jvp: (t, c) => c.out().matmul(t[0]!).matmul(c.out()).neg(),
  batch: (b) => invOp.one(allInFront(b), b.p),
})

/**
 * The inverse of square matrices (…, n, n). Errors: ShapeError, DTypeError, LinAlgError for a singular one.
 * @example
 * linalg.inv(tensor([[2, 0], [0, 4]])).tolist() // [[0.5, 0], [0, 0.25]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.inv.html
 */
export function inv(a: Tensor): Tensor {
  checkSquare('linalg.inv', a)
  return invOp.one([a], { check: true })
}

interface Solve {
  readonly left: boolean
  /** B is a vector for each matrix. */
  readonly vector: boolean
}

const column = (x: Tensor, { vector }: Solve): Tensor => (vector ? x.unsqueeze(-1) : x)
const plain = (x: Tensor, { vector }: Solve): Tensor => (vector ? x.squeeze(-1) : x)

const solveOp: GeneralOp<Solve> = /* @__PURE__ */ general('linalg.solve', {
  node: 'LinalgSolveExBackward0',
  names: ['A', 'B'],
  forward: ([a, b], { left, vector }, owner) => {
    const [n] = sizes(a!)
    const shape = vector ? [n] : sizes(b!)
    const m = vector ? 1 : left ? shape[1]! : shape[0]!
    return eachMatrix([a!, b!], [shape], owner, ([x, rhs], [y], index) => {
      const f = lu(left ? x! : transposed(x!, n, n), n)
      if (f.zero >= 0) throw failure('linalg.solve', a!, index, `The solver failed because ${SINGULAR}`)
      if (left) y!.set(solveLu(f, rhs!, m))
      else y!.set(transposed(solveLu(f, transposed(rhs!, m, n), m), n, m))
    })[0]!
  },
  // A·dX = dB − dA·X
  vjp: [
    vjp([0, OUT], (g, c) => {
      const x = column(c.out(), c.p)
      const right = column(
        c.shared(() => solveOp.one([mT(c.in(0)), g], c.p)),
        c.p,
      )
      return c.p.left ? right.matmul(mT(x)).neg() : mT(x).matmul(right).neg()
    }),
    vjp([0], (g, c) => c.shared(() => solveOp.one([mT(c.in(0)), g], c.p))),
  ],
  jvp: (t, c) => {
    const a = c.in(0)
    const x = column(c.out(), c.p)
    const by = t[0] === null ? null : plain(c.p.left ? t[0]!.matmul(x) : x.matmul(t[0]!), c.p)
    const right = by === null ? t[1]! : t[1] === null ? by.neg() : t[1]!.sub(by)
    return solveOp.one([a, right], c.p)
  },
  batch: (b) => solveOp.one(allInFront(b), b.p),
})

/**
 * X with A·X = B (X·A = B for `left: false`). A: (…, n, n); B: (…, n, k), or a vector for each matrix; batch dims broadcast.
 * Errors: ShapeError, DTypeError, LinAlgError for a singular A.
 * @example
 * linalg.solve(tensor([[2, 0], [0, 4]]), tensor([2, 2])).tolist() // [1, 0.5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.solve.html
 */
export function solve(a: Tensor, b: Tensor, options: { readonly left?: boolean } = {}): Tensor {
  const op = 'linalg.solve'
  checkSquare(op, a)
  expectTensor(op, b, 'B')
  checkSame(op, a, b)
  checkOptions(op, options, { left: 'boolean' })
  const { left = true } = options
  const n = sizes(a)[0]
  const vector = b.layout.rank === 1 || (a.layout.rank - 1 === b.layout.rank && sameShape(b.shape, a.shape.slice(0, -1)))
  if (vector) {
    if (!left)
      throw new ArgumentError(
        `${op}: Vector broadcasting of the left hand side is not supported for left=False. In this case linalg.solve is equivalent to B / A.squeeze(-1)`,
        { op },
      )
    if (b.shape.at(-1) !== n) throw mismatch(op, a, b)
    return solveOp.one([a, b.layout.rank === a.layout.rank - 1 ? b : b.expand(a.shape.slice(0, -1))], { left, vector })
  }
  checkMatrices(op, b, 'B')
  if (sizes(b)[left ? 0 : 1] !== n) throw mismatch(op, a, b)
  return solveOp.one(together(op, a, b), { left, vector })
}

function mismatch(op: string, a: Tensor, b: Tensor): ShapeError {
  return new ShapeError(`${op}: Incompatible shapes of A and B for the equation AX = B (${show(a.shape)} and ${show(b.shape)})`, {
    op,
    shapes: [a.shape, b.shape],
  })
}

/** Options of `solveTriangular`. */
export interface TriangularOptions {
  /** Is A's upper triangle meant, or the lower? The other one isn't read. */
  readonly upper: boolean
  /** A·X = B (default), or X·A = B. */
  readonly left?: boolean
  /** The diagonal counts as ones and isn't read. */
  readonly unitriangular?: boolean
}
type Triangular = Required<TriangularOptions>

const solveTriangularOp: GeneralOp<Triangular> = /* @__PURE__ */ general('linalg.solveTriangular', {
  node: 'LinalgSolveTriangularBackward0',
  names: ['self', 'B'],
  forward: ([a, b], { upper, left, unitriangular }, owner) => {
    const [n] = sizes(a!)
    const [rows, columns] = sizes(b!)
    return eachMatrix([a!, b!], [[rows, columns]], owner, ([x, rhs], [y]) => {
      // X·A = B is Aᵀ·Xᵀ = Bᵀ.
      const solved = left ? rhs!.slice() : transposed(rhs!, rows, columns)
      triangular(left ? x! : transposed(x!, n, n), n, solved, left ? columns : rows, upper === left, unitriangular)
      y!.set(left ? solved : transposed(solved, columns, rows))
    })[0]!
  },
  vjp: [
    vjp([0, OUT], (g, c) => {
      const right = c.shared(() => transposedSolve(c.in(0), g, c.p))
      const whole = (c.p.left ? right.matmul(mT(c.out())) : mT(c.out()).matmul(right)).neg()
      const diagonal = c.p.unitriangular ? 1 : 0
      return c.p.upper ? whole.triu(diagonal) : whole.tril(-diagonal)
    }),
    vjp([0], (g, c) => c.shared(() => transposedSolve(c.in(0), g, c.p))),
  ],
  batch: (b) => solveTriangularOp.one(allInFront(b), b.p),
})

const transposedSolve = (a: Tensor, g: Tensor, p: Triangular): Tensor => solveTriangularOp.one([mT(a), g], { ...p, upper: !p.upper })

/**
 * X with A·X = B for a triangular A (…, n, n) and B (…, n, k); batch dims broadcast. Errors: ShapeError, DTypeError.
 * @example
 * linalg.solveTriangular(tensor([[2, 0], [1, 1]]), tensor([[2], [3]]), { upper: false }).tolist() // [[1], [2]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.solve_triangular.html
 */
export function solveTriangular(a: Tensor, b: Tensor, options: TriangularOptions): Tensor {
  const op = 'linalg.solveTriangular'
  checkSquare(op, a)
  checkMatrices(op, b, 'B')
  checkSame(op, a, b)
  checkOptions(op, options, { upper: 'boolean', left: 'boolean', unitriangular: 'boolean' })
  const { upper, left = true, unitriangular = false } = options ?? {}
  if (typeof upper !== 'boolean') throw new ArgumentError(`${op}: upper must be true or false`, { op })
  if (sizes(b)[left ? 0 : 1] !== sizes(a)[0]) throw mismatch(op, a, b)
  return solveTriangularOp.one(together(op, a, b), { upper, left, unitriangular })
}

const choleskyOp: GeneralOp<{ readonly upper: boolean }> = /* @__PURE__ */ general('linalg.cholesky', {
  node: 'LinalgCholeskyExBackward0',
  results: ['L'],
  forward: ([a], { upper }, owner) => {
    const [n] = sizes(a!)
    return eachMatrix([a!], [[n, n]], owner, ([x], [y], b) => {
      const l = upper ? new Float64Array(n * n) : y!
      const bad = factor(upper ? transposed(x!, n, n) : x!, n, l)
      if (bad >= 0) {
        const why = `The factorization could not be completed because the input is not positive-definite (the leading minor of order ${bad + 1} is not positive-definite).`
        throw failure('linalg.cholesky', a!, b, why)
      }
      if (upper) y!.set(transposed(l, n, n))
    })[0]!
  },
  // dL = L·Φ(L⁻¹ dA L⁻ᵀ) with Φ the lower triangle, its diagonal halved (Murray, 2016); the gradient is made symmetric.
  vjp: [
    vjp([OUT], (g, c) => {
      const l = c.p.upper ? mT(c.out()) : c.out()
      const lower = mT(l).matmul(c.p.upper ? mT(g) : g)
      const phi = lower.tril().add(mT(lower.tril(-1)))
      const right = solveTriangular(l, phi, { upper: false, left: false })
      return solveTriangular(mT(l), right, { upper: true }).mul(0.5)
    }),
  ],
  batch: (b) => choleskyOp.one(allInFront(b), b.p),
})

/**
 * The lower triangular L with A = L·Lᵀ (`upper`: the upper U with A = Uᵀ·U) of symmetric positive definite matrices, of which
 * only that triangle is read. Errors: ShapeError, DTypeError, LinAlgError for a matrix that isn't positive definite.
 * @example
 * linalg.cholesky(tensor([[4, 2], [2, 2]])).tolist() // [[2, 0], [1, 1]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.cholesky.html
 */
export function cholesky(a: Tensor, options: { readonly upper?: boolean } = {}): Tensor {
  checkSquare('linalg.cholesky', a)
  checkOptions('linalg.cholesky', options, { upper: 'boolean' })
  return choleskyOp.one([a], { upper: options.upper ?? false })
}

/** det A·A⁻ᵀ, which a singular matrix has, too: the matrix of cofactors. */
const cofactorsOp: GeneralOp<null> = /* @__PURE__ */ general('linalg.det', {
  node: 'LinalgDetBackward0',
  forward: ([a], _p, owner) => {
    const [n] = sizes(a!)
    return eachMatrix([a!], [[n, n]], owner, ([x], [y]) => {
      // U·diag(∏_{j≠i} σⱼ)·Vᵀ times the signs of U and V.
      const { u, s, vt } = svd(x!, n, n, false)
      const sign = determinant(u, n) * determinant(vt, n)
      for (let k = 0; k < n; k++) {
        let others = sign
        for (let j = 0; j < n; j++) if (j !== k) others *= s[j]!
        for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) y![i * n + j] = y![i * n + j]! + others * u[i * n + k]! * vt[k * n + j]!
      }
    })[0]!
  },
  // d(det A·A⁻ᵀ) = ⟨C, dA⟩·A⁻ᵀ − C·dAᵀ·A⁻ᵀ with C the cofactors.
  vjp: [
    vjp([0, OUT], (g, c) => {
      const inverse = invOp.one([c.in(0)], { check: false })
      const y = c.out()
      const along = g.mul(mT(inverse)).sum({ dim: [-2, -1], keepdim: true })
      return y.mul(along).sub(mT(inverse).matmul(mT(g)).matmul(y))
    }),
  ],
  batch: (b) => cofactorsOp.one(allInFront(b), null),
})

function determinant(a: Float64Array, n: number): number {
  const { data, sign } = lu(a, n)
  let y = sign
  for (let i = 0; i < n; i++) y *= data[i * n + i]!
  return y
}

const detOp: GeneralOp<null> = /* @__PURE__ */ general('linalg.det', {
  node: 'LinalgDetBackward0',
  names: ['A'],
  forward: ([a], _p, owner) => {
    const [n] = sizes(a!)
    return eachMatrix([a!], [[]], owner, ([x], [y]) => {
      y![0] = determinant(x!, n)
    })[0]!
  },
  vjp: [vjp([0], (g, c) => cofactorsOp.one([c.in(0)], null).mul(g.unsqueeze(-1).unsqueeze(-1)))],
  batch: (b) => detOp.one(allInFront(b), null),
})

/**
 * The determinants of square matrices (…, n, n); the gradient of a singular one is the matrix of its cofactors.
 * Errors: ShapeError, DTypeError.
 * @example
 * linalg.det(tensor([[1, 2], [3, 4]])) // tensor(-2.)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.det.html
 */
export function det(a: Tensor): Tensor {
  checkSquare('linalg.det', a)
  return detOp.one([a], null)
}

const slogdetOp: GeneralOp<null> = /* @__PURE__ */ general('linalg.slogdet', {
  node: 'LinalgSlogdetBackward0',
  names: ['A'],
  results: ['sign', 'logabsdet'],
  forward: ([a], _p, owner) => {
    const [n] = sizes(a!)
    return eachMatrix([a!], [[], []], owner, ([x], [sign, logarithm]) => {
      const f = lu(x!, n)
      let s = f.sign
      let sum = 0
      for (let i = 0; i < n; i++) {
        s *= Math.sign(f.data[i * n + i]!)
        sum += Math.log(Math.abs(f.data[i * n + i]!))
      }
      sign![0] = s
      logarithm![0] = sum
    })
  },
  vjp: [vjp([0], (_g, c, gs) => (gs[1] ? mT(invOp.one([c.in(0)], { check: false })).mul(gs[1].unsqueeze(-1).unsqueeze(-1)) : null))],
  batch: (b) => slogdetOp.call(allInFront(b), null) as Tensor[],
})

/**
 * The sign and the logarithm of the size of the determinants.
 * @example
 * const { sign, logabsdet } = linalg.slogdet(tensor([[0, 1], [1, 0]]))
 * sign.item() // -1
 * logabsdet.item() // 0
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.slogdet.html
 */
export function slogdet(a: Tensor): { readonly sign: Tensor; readonly logabsdet: Tensor } {
  checkSquare('linalg.slogdet', a)
  const [sign, logabsdet] = slogdetOp.call([a], null) as Tensor[]
  return { sign: sign!, logabsdet: logabsdet! }
}

/**
 * ln det A: −∞ for singular matrices, NaN for negative determinants.
 * @example
 * linalg.logdet(tensor([[2, 0], [0, 4]])) // tensor(2.0794)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.logdet.html
 */
export function logdet(a: Tensor): Tensor {
  const { sign, logabsdet } = slogdet(a)
  return logabsdet.where(sign.detach().ne(-1), Number.NaN)
}
