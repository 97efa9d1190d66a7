/** Algorithms for one dense matrix of float64 numbers in row-major order. */

/** A factored square matrix: L below the unit diagonal, U from the diagonal on, and which rows were swapped. */
export interface Lu {
  readonly data: Float64Array
  readonly n: number
  readonly rows: Int32Array
  /** The determinant of the permutation: ±1. */
  readonly sign: number
  /** The first k with U[k][k] = 0, or −1. */
  readonly zero: number
}

/** LU with partial pivoting (Golub & Van Loan, Matrix Computations, §3.4). */
export function lu(a: Float64Array, n: number): Lu {
  const data = a.slice()
  const rows = new Int32Array(n)
  let sign = 1
  let zero = -1
  for (let i = 0; i < n; i++) rows[i] = i
  for (let k = 0; k < n; k++) {
    let p = k
    for (let i = k + 1; i < n; i++) if (Math.abs(data[i * n + k]!) > Math.abs(data[p * n + k]!)) p = i
    if (p !== k) {
      sign = -sign
      ;[rows[k], rows[p]] = [rows[p]!, rows[k]!]
      for (let j = 0; j < n; j++) {
        const t = data[k * n + j]!
        data[k * n + j] = data[p * n + j]!
        data[p * n + j] = t
      }
    }
    const pivot = data[k * n + k]!
    if (pivot === 0) {
      if (zero < 0) zero = k
      continue
    }
    for (let i = k + 1; i < n; i++) {
      const factor = data[i * n + k]! / pivot
      data[i * n + k] = factor
      if (factor !== 0) for (let j = k + 1; j < n; j++) data[i * n + j] = data[i * n + j]! - factor * data[k * n + j]!
    }
  }
  return { data, n, rows, sign, zero }
}

/** X with A·X = B for B of n × m. */
export function solveLu({ data, n, rows }: Lu, b: Float64Array, m: number): Float64Array {
  const x = new Float64Array(n * m)
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) x[i * m + j] = b[rows[i]! * m + j]!
  triangular(data, n, x, m, false, true)
  triangular(data, n, x, m, true, false)
  return x
}

/** Solves T·X = B in place for a triangular T, of which the other triangle isn't read. */
export function triangular(t: Float64Array, n: number, x: Float64Array, m: number, upper: boolean, unit: boolean): void {
  for (let step = 0; step < n; step++) {
    const i = upper ? n - 1 - step : step
    const from = upper ? i + 1 : 0
    const to = upper ? n : i
    for (let k = from; k < to; k++) {
      const factor = t[i * n + k]!
      if (factor !== 0) for (let j = 0; j < m; j++) x[i * m + j] = x[i * m + j]! - factor * x[k * m + j]!
    }
    if (!unit) for (let j = 0; j < m; j++) x[i * m + j] = x[i * m + j]! / t[i * n + i]!
  }
}

/** L of A = L·Lᵀ into `out`, from A's lower triangle; the first row whose pivot isn't positive, or −1. */
export function cholesky(a: Float64Array, n: number, out: Float64Array): number {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j]!
      for (let k = 0; k < j; k++) sum -= out[i * n + k]! * out[j * n + k]!
      if (i !== j) out[i * n + j] = sum / out[j * n + j]!
      else if (sum > 0) out[i * n + i] = Math.sqrt(sum)
      else return i
    }
  }
  return -1
}

/** aᵀ of m × n. */
export function transposed(a: Float64Array, m: number, n: number): Float64Array {
  const t = new Float64Array(a.length)
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) t[j * m + i] = a[i * n + j]!
  return t
}

/** a·b of m × k and k × n. */
export function product(a: Float64Array, b: Float64Array, m: number, k: number, n: number): Float64Array {
  const y = new Float64Array(m * n)
  for (let i = 0; i < m; i++) {
    for (let l = 0; l < k; l++) {
      const factor = a[i * k + l]!
      if (factor !== 0) for (let j = 0; j < n; j++) y[i * n + j] = y[i * n + j]! + factor * b[l * n + j]!
    }
  }
  return y
}

/** Q (m × columns) and R (columns × n) by Householder's reflections; R's diagonal has the signs that LAPACK gives it. */
export function qr(a: Float64Array, m: number, n: number, columns: number): { q: Float64Array; r: Float64Array } {
  const work = a.slice()
  const k = Math.min(m, n)
  const vectors: Float64Array[] = []
  const reflect = (v: Float64Array, from: number, x: Float64Array, width: number, start: number): void => {
    for (let j = start; j < width; j++) {
      let sum = 0
      for (let i = from; i < m; i++) sum += v[i]! * x[i * width + j]!
      if (sum !== 0) for (let i = from; i < m; i++) x[i * width + j] = x[i * width + j]! - 2 * sum * v[i]!
    }
  }
  for (let c = 0; c < k; c++) {
    const v = new Float64Array(m)
    let below = 0
    for (let i = c + 1; i < m; i++) below = Math.hypot(below, work[i * n + c]!)
    const head = work[c * n + c]!
    // A column that is reduced already is left alone.
    if (below > 0) {
      const norm = Math.hypot(head, below)
      for (let i = c; i < m; i++) v[i] = work[i * n + c]!
      v[c] = head + (head < 0 ? -norm : norm)
      const size = Math.hypot(v[c]!, below)
      for (let i = c; i < m; i++) v[i] = v[i]! / size
      reflect(v, c, work, n, c)
      for (let i = c + 1; i < m; i++) work[i * n + c] = 0
    }
    vectors.push(v)
  }
  const q = new Float64Array(m * columns)
  for (let i = 0; i < Math.min(m, columns); i++) q[i * columns + i] = 1
  for (let c = k - 1; c >= 0; c--) reflect(vectors[c]!, c, q, columns, 0)
  return { q, r: work.subarray(0, columns * n) }
}

/** The rotation (cosine, sine) that makes the off-diagonal element of [[p, o], [o, q]] zero. */
function rotation(p: number, q: number, o: number): [c: number, s: number] {
  const theta = (q - p) / (2 * o)
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(1, theta))
  const c = 1 / Math.hypot(1, t)
  return [c, t * c]
}

const SWEEPS = 60

/** Ascending eigenvalues and eigenvectors (columns) of a symmetric matrix, by Jacobi's rotations (Golub & Van Loan, §8.5). */
export function eigh(a: Float64Array, n: number): { values: Float64Array; vectors: Float64Array } {
  const w = a.slice()
  const v = new Float64Array(n * n)
  for (let i = 0; i < n; i++) v[i * n + i] = 1
  const turn = (x: Float64Array, at: (i: number, j: number) => number, p: number, q: number, c: number, s: number): void => {
    for (let i = 0; i < n; i++) {
      const xp = x[at(i, p)]!
      const xq = x[at(i, q)]!
      x[at(i, p)] = c * xp - s * xq
      x[at(i, q)] = s * xp + c * xq
    }
  }
  const column = (i: number, j: number): number => i * n + j
  const row = (i: number, j: number): number => j * n + i
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let rotated = false
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const o = w[p * n + q]!
        if (Math.abs(o) <= 1e-17 * Math.sqrt(Math.abs(w[p * n + p]! * w[q * n + q]!)) || o === 0) continue
        if (Math.abs(o) < 1e-300) continue
        rotated = true
        const [c, s] = rotation(w[p * n + p]!, w[q * n + q]!, o)
        turn(w, column, p, q, c, s)
        turn(w, row, p, q, c, s)
        w[p * n + q] = w[q * n + p] = 0
        turn(v, column, p, q, c, s)
      }
    }
    if (!rotated) break
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => w[i * n + i]! - w[j * n + j]!)
  const vectors = new Float64Array(n * n)
  order.forEach((from, to) => {
    for (let i = 0; i < n; i++) vectors[i * n + to] = v[i * n + from]!
  })
  return { values: Float64Array.from(order, (i) => w[i * n + i]!), vectors }
}

/** Singular values (descending) with U (m × n) and V (n × n) of a matrix with m ≥ n, by one-sided Jacobi (Hestenes, 1958). */
function tallSvd(a: Float64Array, m: number, n: number): { u: Float64Array; s: Float64Array; v: Float64Array } {
  // Columns as rows: they are what is rotated.
  const w = transposed(a, m, n)
  const v = new Float64Array(n * n)
  for (let i = 0; i < n; i++) v[i * n + i] = 1
  const dot = (p: number, q: number): number => {
    let sum = 0
    for (let i = 0; i < m; i++) sum += w[p * m + i]! * w[q * m + i]!
    return sum
  }
  const turn = (x: Float64Array, size: number, p: number, q: number, c: number, s: number): void => {
    for (let i = 0; i < size; i++) {
      const xp = x[p * size + i]!
      const xq = x[q * size + i]!
      x[p * size + i] = c * xp - s * xq
      x[q * size + i] = s * xp + c * xq
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let rotated = false
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const o = dot(p, q)
        const pp = dot(p, p)
        const qq = dot(q, q)
        if (!(Math.abs(o) > 1e-16 * Math.sqrt(pp * qq))) continue
        rotated = true
        const [c, s] = rotation(pp, qq, o)
        turn(w, m, p, q, c, s)
        turn(v, n, p, q, c, s)
      }
    }
    if (!rotated) break
  }
  const sizes = Float64Array.from({ length: n }, (_, p) => Math.hypot(...w.subarray(p * m, (p + 1) * m)))
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => sizes[j]! - sizes[i]!)
  const s = Float64Array.from(order, (i) => sizes[i]!)
  const u = new Float64Array(m * n)
  const right = new Float64Array(n * n)
  order.forEach((from, to) => {
    for (let i = 0; i < n; i++) right[i * n + to] = v[from * n + i]!
    if (s[to]! > 0) for (let i = 0; i < m; i++) u[i * n + to] = w[from * m + i]! / s[to]!
  })
  const rank = s.indexOf(0)
  if (rank >= 0) fillColumns(u, m, n, rank)
  return { u, s, v: right }
}

/** Columns `from` … of an m × n matrix whose first are orthonormal, made so that all are. */
function fillColumns(u: Float64Array, m: number, n: number, from: number): void {
  const given = new Float64Array(m * from)
  for (let i = 0; i < m; i++) for (let j = 0; j < from; j++) given[i * from + j] = u[i * n + j]!
  const { q } = qr(given, m, from, m)
  for (let i = 0; i < m; i++) for (let j = from; j < n; j++) u[i * n + j] = q[i * m + j]!
}

/** U (m × ku), the singular values, and Vᵀ (kv × n); ku and kv are min(m, n), or m and n for full matrices. */
export function svd(a: Float64Array, m: number, n: number, full: boolean): { u: Float64Array; s: Float64Array; vt: Float64Array } {
  if (m < n) {
    const { u, s, vt } = svd(transposed(a, m, n), n, m, full)
    const columns = full ? n : m
    return { u: transposed(vt, m, m), s, vt: transposed(u, n, columns) }
  }
  const { u, s, v } = tallSvd(a, m, n)
  const vt = transposed(v, n, n)
  if (!full || m === n) return { u, s, vt }
  const wide = new Float64Array(m * m)
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) wide[i * m + j] = u[i * n + j]!
  fillColumns(wide, m, m, n)
  return { u: wide, s, vt }
}

/** The coefficients of Padé's approximant of degree 13, good for norms up to 5.37 (Higham, 2005). */
const PADE = [
  64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600, 670442572800, 33522128640,
  1323241920, 40840800, 960960, 16380, 182, 1,
]
const REACH = 5.371920351148152

/** eᴬ by scaling, Padé's approximant, and squaring. */
export function expm(a: Float64Array, n: number): Float64Array {
  let norm = 0
  for (let j = 0; j < n; j++) {
    let sum = 0
    for (let i = 0; i < n; i++) sum += Math.abs(a[i * n + j]!)
    norm = Math.max(norm, sum)
  }
  if (!Number.isFinite(norm)) return new Float64Array(n * n).fill(Number.NaN)
  const squarings = norm > REACH ? Math.ceil(Math.log2(norm / REACH)) : 0
  const x = a.map((v) => v / 2 ** squarings)
  const times = (p: Float64Array, q: Float64Array): Float64Array => product(p, q, n, n, n)
  const x2 = times(x, x)
  const x4 = times(x2, x2)
  const x6 = times(x4, x2)
  const powers = [x2, x4, x6] as const
  const sum = (unit: number, ...c: readonly number[]): Float64Array => {
    const y = new Float64Array(n * n)
    for (let k = 0; k < y.length; k++) y[k] = c[0]! * x2[k]! + c[1]! * powers[1][k]! + c[2]! * powers[2][k]!
    for (let i = 0; i < n; i++) y[i * n + i] = y[i * n + i]! + unit
    return y
  }
  const plus = (p: Float64Array, q: Float64Array, sign: number): Float64Array => p.map((v, k) => v + sign * q[k]!)
  const b = PADE
  const odd = times(x, plus(times(x6, sum(0, b[9]!, b[11]!, b[13]!)), sum(b[1]!, b[3]!, b[5]!, b[7]!), 1))
  const even = plus(times(x6, sum(0, b[8]!, b[10]!, b[12]!)), sum(b[0]!, b[2]!, b[4]!, b[6]!), 1)
  let y: Float64Array = solveLu(lu(plus(even, odd, -1), n), plus(even, odd, 1), n)
  for (let k = 0; k < squarings; k++) y = times(y, y)
  return y
}
