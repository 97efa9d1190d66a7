/** Factorizations by orthogonal matrices and what is made from them: QR, eigenvalues, singular values, pseudoinverse. */
import { ArgumentError, UnsupportedError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { type GeneralOp, general, OUT, vjp } from '../op/general.ts'
import { checkOptions } from '../options.ts'
import { expm, qr as householder, product, svd as singular, eigh as symmetric } from './dense.ts'
import { allInFront, checkMatrices, checkSquare, eachMatrix, mT, sizes } from './matrices.ts'
import { solveTriangular } from './solve.ts'

type QrMode = 'reduced' | 'complete' | 'r'

const qrOp: GeneralOp<{ readonly mode: QrMode }> = /* @__PURE__ */ general('linalg.qr', {
  node: 'LinalgQrBackward0',
  names: ['A'],
  results: ['Q', 'R'],
  forward: ([a], { mode }, owner) => {
    const [m, n] = sizes(a!)
    const k = mode === 'complete' ? m : Math.min(m, n)
    return eachMatrix([a!], [mode === 'r' ? [0] : [m, k], [k, n]], owner, ([x], [q, r]) => {
      const f = householder(x!, m, n, k)
      if (mode !== 'r') q!.set(f.q)
      r!.set(f.r)
    })
  },
  vjp: [
    vjp([0, OUT, OUT - 1], (_g, c, gs) => {
      const [m, n] = c.shapeOf(0).slice(-2) as [number, number]
      const { mode } = c.p
      if (mode === 'r' || (mode === 'complete' && m > n)) {
        throw new UnsupportedError(
          `linalg.qr: The QR decomposition is not differentiable when mode='${mode}'${mode === 'complete' ? ' and nrows > ncols' : ''}; use mode 'reduced'`,
          { op: 'linalg.qr' },
        )
      }
      const [q, r] = [c.out(0), c.out(1)]
      const [gq, gr] = [gs[0] ?? null, gs[1] ?? null]
      if (m >= n) return square(q, r, gq, gr)
      // A = [X | Y] with X = Q·U square, and V = Qᵀ·Y.
      const rest = c.in(0).narrow(-1, m, n - m)
      const u = r.narrow(-1, 0, m)
      const gv = gr?.narrow(-1, m, n - m) ?? null
      const through = gv === null ? null : rest.matmul(mT(gv))
      const first = square(q, u, plus(gq, through), gr?.narrow(-1, 0, m) ?? null)
      return first.catWith([gv === null ? rest.zerosLike() : q.matmul(gv)], -1)
    }),
  ],
  batch: (b) => qrOp.call(allInFront(b), b.p) as Tensor[],
})

/** The sum of what is there. */
const plus = (a: Tensor | null, b: Tensor | null): Tensor | null => (a === null ? b : b === null ? a : a.add(b))

/** The gradient of an m × n matrix with m ≥ n (Walter & Lehmann, 2010). */
function square(q: Tensor, r: Tensor, gq: Tensor | null, gr: Tensor | null): Tensor {
  const inner = plus(gr === null ? null : gr.matmul(mT(r)), gq === null ? null : mT(q).matmul(gq).neg())!.triu()
  const both = q.matmul(inner.add(mT(inner.triu(1))))
  return solveTriangular(mT(r), plus(both, gq)!, { upper: false, left: false })
}

/**
 * Q with orthonormal columns and an upper triangular R with A = Q·R, for A: (…, m, n). `mode`: 'reduced' (default; Q has
 * min(m, n) columns), 'complete' (m columns), 'r' (Q is empty). The gradient needs the first min(m, n) columns to be
 * independent, and mode 'reduced' if m > n. Errors: ShapeError, DTypeError, ArgumentError.
 * @example
 * const { Q, R } = linalg.qr(tensor([[3, 1], [4, 2]]))
 * Q.matmul(R) // tensor([[3.0000, 1.0000], [4.0000, 2.0000]])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.qr.html
 */
export function qr(a: Tensor, options: { readonly mode?: QrMode } = {}): { readonly Q: Tensor; readonly R: Tensor } {
  const op = 'linalg.qr'
  checkMatrices(op, a)
  checkOptions(op, options, { mode: 'any' })
  const { mode = 'reduced' } = options
  if (mode !== 'reduced' && mode !== 'complete' && mode !== 'r') {
    throw new ArgumentError(
      `${op} received unrecognized mode '${String(mode)}' but expected one of 'reduced' (default), 'r', or 'complete'`,
      { op },
    )
  }
  const [Q, R] = qrOp.call([a], { mode }) as Tensor[]
  return { Q: Q!, R: R! }
}

const skew = (x: Tensor): Tensor => x.sub(mT(x))

/** x / (vⱼ − vᵢ) off the diagonal, 0 on it. */
function overDifferences(x: Tensor, v: Tensor): Tensor {
  const diagonal = v.detach().onesLike().diagEmbed()
  return x.div(v.unsqueeze(-2).sub(v.unsqueeze(-1)).add(diagonal)).where(diagonal.eq(0), 0)
}

interface Triangle {
  readonly upper: boolean
}
const eighOp: GeneralOp<Triangle> = /* @__PURE__ */ general('linalg.eigh', {
  node: 'LinalgEighBackward0',
  results: ['eigenvalues', 'eigenvectors'],
  forward: ([a], { upper }, owner) => {
    const [n] = sizes(a!)
    return eachMatrix([a!], [[n], [n, n]], owner, ([x], [values, vectors]) => {
      for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) upper ? (x![i * n + j] = x![j * n + i]!) : (x![j * n + i] = x![i * n + j]!)
      const e = symmetric(x!, n)
      values!.set(e.values)
      vectors!.set(e.vectors)
    })
  },
  // dλᵢ = vᵢᵀ dA vᵢ and dV = V·(Vᵀ dA V / (λⱼ − λᵢ)).
  vjp: [
    vjp([OUT, OUT - 1], (_g, c, gs) => {
      const v = c.out(1)
      const turn = gs[1] ? overDifferences(skew(mT(v).matmul(gs[1])).mul(0.5), c.out(0)) : null
      const inner = turn === null ? gs[0]!.diagEmbed() : gs[0] ? turn.add(gs[0].diagEmbed()) : turn
      return v.matmul(inner).matmul(mT(v))
    }),
  ],
  batch: (b) => eighOp.call(allInFront(b), b.p) as Tensor[],
})

/** Options of `eigh` and `eigvalsh`. */
export interface EighOptions {
  /** The triangle that is read: 'L' (default) or 'U'. */
  readonly uplo?: 'L' | 'U'
}

function triangleOf(op: string, options: EighOptions): Triangle {
  checkOptions(op, options, { uplo: 'any' })
  const { uplo = 'L' } = options
  if (uplo !== 'L' && uplo !== 'U') throw new ArgumentError(`${op}: UPLO argument must be 'L' or 'U', but got ${String(uplo)}`, { op })
  return { upper: uplo === 'U' }
}

/**
 * The eigenvalues (ascending) of symmetric matrices (…, n, n) and eigenvectors as columns, whose signs are arbitrary. The
 * gradient of the vectors needs all eigenvalues to differ. Errors: ShapeError, DTypeError, ArgumentError.
 * @example
 * const { eigenvalues } = linalg.eigh(tensor([[2, 1], [1, 2]]))
 * eigenvalues // tensor([1., 3.])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.eigh.html
 */
export function eigh(a: Tensor, options: EighOptions = {}): { readonly eigenvalues: Tensor; readonly eigenvectors: Tensor } {
  const [eigenvalues, eigenvectors] = eigen('linalg.eigh', a, options)
  return { eigenvalues, eigenvectors }
}

function eigen(op: string, a: Tensor, options: EighOptions): [Tensor, Tensor] {
  checkSquare(op, a)
  return eighOp.call([a], triangleOf(op, options)) as [Tensor, Tensor]
}

/**
 * The eigenvalues of symmetric matrices; see `eigh`.
 * @example
 * linalg.eigvalsh(tensor([[2, 1], [1, 2]])) // tensor([1., 3.])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.eigvalsh.html
 */
export function eigvalsh(a: Tensor, options: EighOptions = {}): Tensor {
  return eigen('linalg.eigvalsh', a, options)[0]
}

const svdOp: GeneralOp<{ readonly full: boolean }> = /* @__PURE__ */ general('linalg.svd', {
  node: 'LinalgSvdBackward0',
  names: ['A'],
  results: ['U', 'S', 'Vh'],
  forward: ([a], { full }, owner) => {
    const [m, n] = sizes(a!)
    const k = Math.min(m, n)
    return eachMatrix([a!], [[m, full ? m : k], [k], [full ? n : k, n]], owner, ([x], [u, s, vh]) => {
      const f = singular(x!, m, n, full)
      u!.set(f.u)
      s!.set(f.s)
      vh!.set(f.vt)
    })
  },
  // With E = σⱼ² − σᵢ²: U·(skew(Uᵀ gU)/E·Σ + Σ·skew(Vᵀ gV)/E + gΣ)·Vᵀ, and what leaves the spaces of U and V.
  vjp: [
    vjp([OUT, OUT - 1, OUT - 2], (_g, c, gs) => {
      const [m, n] = c.shapeOf(0).slice(-2) as [number, number]
      const k = Math.min(m, n)
      const s = c.out(1)
      const u = c.out(0).narrow(-1, 0, k)
      const vh = c.out(2).narrow(-2, 0, k)
      const gu = gs[0]?.narrow(-1, 0, k) ?? null
      const gvh = gs[2]?.narrow(-2, 0, k) ?? null
      const squares = s.square()
      const left = gu === null ? null : overDifferences(skew(mT(u).matmul(gu)), squares).mul(s.unsqueeze(-2))
      const right = gvh === null ? null : overDifferences(skew(vh.matmul(mT(gvh))), squares).mul(s.unsqueeze(-1))
      const inner = plus(plus(left, right), gs[1] ? gs[1].diagEmbed() : null)!
      let y = u.matmul(inner).matmul(vh)
      if (m > k && gu !== null)
        y = y.add(
          gu
            .sub(u.matmul(mT(u).matmul(gu)))
            .div(s.unsqueeze(-2))
            .matmul(vh),
        )
      if (n > k && gvh !== null) y = y.add(u.div(s.unsqueeze(-2)).matmul(gvh.sub(gvh.matmul(mT(vh)).matmul(vh))))
      return y
    }),
  ],
  batch: (b) => svdOp.call(allInFront(b), b.p) as Tensor[],
})

/**
 * U, the singular values S (descending) and Vᵀ (`Vh`) with A = U·diag(S)·Vh, for A: (…, m, n); `fullMatrices: false` gives the
 * first min(m, n) columns of U and rows of Vh only. The signs of the vectors are arbitrary; their gradient needs all singular
 * values to differ. Errors: ShapeError, DTypeError.
 * @example
 * linalg.svd(tensor([[3, 0], [0, 4]])).S // tensor([4., 3.])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.svd.html
 */
export function svd(
  a: Tensor,
  options: { readonly fullMatrices?: boolean } = {},
): { readonly U: Tensor; readonly S: Tensor; readonly Vh: Tensor } {
  checkMatrices('linalg.svd', a)
  checkOptions('linalg.svd', options, { fullMatrices: 'boolean' })
  const [U, S, Vh] = svdOp.call([a], { full: options.fullMatrices ?? true }) as Tensor[]
  return { U: U!, S: S!, Vh: Vh! }
}

/**
 * The singular values, descending; see `svd`.
 * @example
 * linalg.svdvals(tensor([[3, 0], [0, 4]])) // tensor([4., 3.])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.svdvals.html
 */
export function svdvals(a: Tensor): Tensor {
  checkMatrices('linalg.svdvals', a)
  return (svdOp.call([a], { full: false }) as Tensor[])[1]!
}

interface Tolerance {
  readonly atol: number
  readonly rtol: number
}
const pinvOp: GeneralOp<Tolerance> = /* @__PURE__ */ general('linalg.pinv', {
  node: 'LinalgPinvBackward0',
  forward: ([a], { atol, rtol }, owner) => {
    const [m, n] = sizes(a!)
    const k = Math.min(m, n)
    return eachMatrix([a!], [[n, m]], owner, ([x], [y]) => {
      const { u, s, vt } = singular(x!, m, n, false)
      const least = Math.max(atol, rtol * (s[0] ?? 0))
      const v = new Float64Array(n * k)
      for (let i = 0; i < n; i++) for (let j = 0; j < k; j++) v[i * k + j] = s[j]! > least ? vt[j * n + i]! / s[j]! : 0
      const ut = new Float64Array(k * m)
      for (let i = 0; i < m; i++) for (let j = 0; j < k; j++) ut[j * m + i] = u[i * k + j]!
      y!.set(product(v, ut, n, k, m))
    })[0]!
  },
  // dP = −P dA P + P·Pᵀ dAᵀ (1 − A·P) + (1 − P·A) dAᵀ Pᵀ·P while the rank stays (Golub & Pereyra, 1973).
  vjp: [
    vjp([0, OUT], (g, c) => {
      const a = c.in(0)
      const p = c.out()
      const pt = mT(p)
      const gt = mT(g)
      const inside = pt.matmul(g).matmul(pt)
      const left = gt.matmul(p).matmul(pt)
      const right = pt.matmul(p).matmul(gt)
      return left
        .sub(a.matmul(p).matmul(left))
        .add(right.sub(right.matmul(p).matmul(a)))
        .sub(inside)
    }),
  ],
  batch: (b) => pinvOp.one(allInFront(b), b.p),
})

/**
 * The pseudoinverses (…, n, m) of matrices (…, m, n); singular values up to max(atol, rtol · the largest) count as 0, rtol
 * being max(m, n) · ε by default. Errors: ShapeError, DTypeError.
 * @example
 * linalg.pinv(tensor([[2, 0], [0, 4], [0, 0]])) // tensor([[0.5000, 0.0000, 0.0000], [0.0000, 0.2500, 0.0000]])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.pinv.html
 */
export function pinv(a: Tensor, options: { readonly atol?: number; readonly rtol?: number } = {}): Tensor {
  checkMatrices('linalg.pinv', a)
  checkOptions('linalg.pinv', options, { atol: 'number', rtol: 'number' })
  const { atol = 0 } = options
  const epsilon = a.dtype === 'float64' ? Number.EPSILON : 2 ** -23
  return pinvOp.one([a], { atol, rtol: options.rtol ?? (atol > 0 ? 0 : Math.max(...sizes(a)) * epsilon) })
}

const matrixExpOp: GeneralOp<null> = /* @__PURE__ */ general('linalg.matrixExp', {
  node: 'LinalgMatrixExpBackward0',
  forward: ([a], _p, owner) => {
    const [n] = sizes(a!)
    return eachMatrix([a!], [[n, n]], owner, ([x], [y]) => {
      y!.set(expm(x!, n))
    })[0]!
  },
  vjp: [vjp([0], (g, c) => directional(mT(c.in(0)), g))],
  jvp: (t, c) => directional(c.in(0), t[0]!),
  batch: (b) => matrixExpOp.one(allInFront(b), null),
})

/** The derivative of eᴬ along E: the upper right block of exp [[A, E], [0, A]]. */
function directional(a: Tensor, e: Tensor): Tensor {
  const [n] = sizes(a)
  const block = a.catWith([e], -1).catWith([e.zerosLike().catWith([a], -1)], -2)
  return matrixExpOp.one([block], null).narrow(-2, 0, n).narrow(-1, n, n)
}

/**
 * The exponentials of square matrices (…, n, n).
 * @example
 * linalg.matrixExp(tensor([[0, 1], [0, 0]])) // tensor([[1., 1.], [0., 1.]])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_exp.html
 */
export function matrixExp(a: Tensor): Tensor {
  checkSquare('linalg.matrixExp', a)
  return matrixExpOp.one([a], null)
}
