/** Modified Bessel functions of the first kind, for one float64 number, scaled by e^−|x|. */

/** Where the asymptotic series takes over; its smallest term is below one ulp from here on. */
const FAR = 30

/** e^−|x| Iₙ(x) for n = 0, 1, within a few ulp. */
export function besselScaled(x: number, n: 0 | 1): number {
  const size = Math.abs(x)
  if (Number.isNaN(x)) return x
  const sign = n === 1 && x < 0 ? -1 : 1
  if (size === Number.POSITIVE_INFINITY) return 0
  if (size <= FAR) {
    // Σ (x/2)^(2k+n) / (k! (k+n)!): all terms are positive.
    const q = (size / 2) ** 2
    let term = n === 0 ? 1 : size / 2
    let sum = term
    for (let k = 1; term > sum * 1e-17; k++) {
      term *= q / (k * (k + n))
      sum += term
    }
    return sign * sum * Math.exp(-size)
  }
  // Σ (−1)ᵏ ∏(4n² − (2j−1)²) / (k! (8x)ᵏ), over √(2πx).
  const mu = 4 * n * n
  let term = 1
  let sum = 1
  for (let k = 1; Math.abs(term) > 1e-17; k++) {
    term *= -(mu - (2 * k - 1) ** 2) / (k * 8 * size)
    sum += term
  }
  return (sign * sum) / Math.sqrt(2 * Math.PI * size)
}

/** Iₙ(x). */
export function bessel(x: number, n: 0 | 1): number {
  const size = Math.abs(x)
  if (size === Number.POSITIVE_INFINITY) return n === 1 && x < 0 ? -size : size
  // The factor in two parts: e⁷⁰⁹ is the largest.
  const half = Math.exp(size / 2)
  return besselScaled(x, n) * half * half
}
