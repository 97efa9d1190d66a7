/** The logarithm of the gamma function, its derivatives, and the inverse error function, for one float64 number. */
import { erf, erfc } from '../backend/erf.ts'

/** Σ cₖ zᵏ, lowest power first. */
function series(c: readonly number[], z: number): number {
  let y = 0
  for (let k = c.length - 1; k >= 0; k--) y = y * z + c[k]!
  return y
}

/** The Taylor coefficients of ln Γ(2 + z): 1 − γ, then (−1)ᵏ (ζ(k) − 1)/k from k = 2. */
const LOG_GAMMA = [
  0.42278433509846713, 0.3224670334241132, -0.0673523010531981, 0.020580808427784546, -0.007385551028673986, 0.0028905103307415234,
  -0.001192753911703261, 0.0005096695247430425, -0.00022315475845357939, 9.945751278180853e-5, -4.492623673813314e-5, 2.050721277567069e-5,
  -9.439488275268397e-6, 4.374866789907488e-6, -2.039215753801366e-6, 9.55141213040742e-7, -4.492469198764566e-7, 2.1207184805554665e-7,
  -1.0043224823968099e-7, 4.7698101693639804e-8, -2.2711094608943164e-8, 1.0838659214896955e-8, -5.183475041970047e-9,
  2.4836745438024785e-9, -1.1921401405860912e-9, 5.731367241678862e-10, -2.7595228851242334e-10,
]
/** The Bernoulli numbers B₂, B₄, … over 2k(2k−1), 2k and (2k)!: the asymptotic series of ln Γ, of its derivative, of ζ(s, q). */
const STIRLING = [
  0.08333333333333333, -0.002777777777777778, 0.0007936507936507937, -0.0005952380952380953, 0.0008417508417508417, -0.0019175269175269176,
  0.00641025641025641, -0.029550653594771242, 0.17964437236883057,
]
const DIGAMMA = [
  0.08333333333333333, -0.008333333333333333, 0.003968253968253968, -0.004166666666666667, 0.007575757575757576, -0.021092796092796094,
  0.08333333333333333, -0.4432598039215686, 3.0539543302701198,
]
const ZETA = [
  0.08333333333333333, -0.001388888888888889, 3.306878306878307e-5, -8.267195767195768e-7, 2.08767569878681e-8, -5.284190138687493e-10,
  1.3382536530684679e-11, -3.3896802963225827e-13, 8.586062056277845e-15, -2.174868698558062e-16,
]
/** From here on the asymptotic series are exact to the last place. */
const FAR = 10

/** ln |Γ(x)|: within a few ulp for x > 0; for x < 0 the absolute error is what matters, since the result has zeros there. */
export function lgamma(x: number): number {
  if (Number.isNaN(x)) return x
  if (x <= 0) {
    if (x === Number.NEGATIVE_INFINITY || Number.isInteger(x)) return Number.POSITIVE_INFINITY
    // Γ(x) Γ(1 − x) = π / sin πx
    return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * (x % 2)))) - lgamma(1 - x)
  }
  if (x < 0.5) return lgamma(1 + x) - Math.log(x)
  if (x < 1.5) {
    const z = x - 1
    return z * series(LOG_GAMMA, z) - Math.log1p(z)
  }
  if (x < FAR) {
    let product = 1
    let y = x
    while (y > 2.5) product *= --y
    const z = y - 2
    return z * series(LOG_GAMMA, z) + Math.log(product)
  }
  if (x === Number.POSITIVE_INFINITY) return x
  return (x - 0.5) * (Math.log(x) - 1) + (0.5 * Math.log(2 * Math.PI) - 0.5) + series(STIRLING, 1 / (x * x)) / x
}

/** The derivative of ln Γ. −∞ at 0 (∞ at −0), NaN at the other poles. */
export function digamma(x: number): number {
  if (x === 0) return -1 / x
  if (x < 0) {
    if (Number.isInteger(x) || x === Number.NEGATIVE_INFINITY) return Number.NaN
    // ψ(1 − x) − ψ(x) = π cot πx
    return digamma(1 - x) - Math.PI / Math.tan(Math.PI * (x % 1))
  }
  let sum = 0
  let y = x
  for (; y < FAR; y++) sum -= 1 / y
  if (y === Number.POSITIVE_INFINITY) return y
  const square = 1 / (y * y)
  return Math.log(y) - 0.5 / y - square * series(DIGAMMA, square) + sum
}

/** Hurwitz's ζ(s, q) = Σ (q + k)⁻ˢ for an integer s ≥ 2 and q > 0, by the Euler–Maclaurin formula. */
function hurwitz(s: number, q: number): number {
  let sum = 0
  let y = q
  for (; y < FAR; y++) sum += y ** -s
  const power = y ** -s
  let tail = 0
  let factor = s * power
  for (let k = 0; k < ZETA.length; k++) {
    factor /= y
    tail += ZETA[k]! * factor
    factor *= ((s + 2 * k + 1) * (s + 2 * k + 2)) / y
  }
  return sum + y ** (1 - s) / (s - 1) + power / 2 + tail
}

/** Derivative n of digamma (n = 0: itself). For n > 1 and x < 0: NaN. */
export function polygamma(x: number, n: number): number {
  if (n === 0) return digamma(x)
  if (x === Number.POSITIVE_INFINITY) return 0
  if (n === 1 && x < 0.5) {
    // ψ′(x) + ψ′(1 − x) = (π / sin πx)²
    return (Math.PI / Math.sin(Math.PI * (x % 1))) ** 2 - polygamma(1 - x, 1)
  }
  if (x < 0 || Number.isNaN(x)) return Number.NaN
  let factorial = 1
  for (let k = 2; k <= n && factorial !== Number.POSITIVE_INFINITY; k++) factorial *= k
  if (x === 0) return n % 2 === 1 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
  return (n % 2 === 1 ? 1 : -1) * factorial * hurwitz(n + 1, x)
}

/** The y with erf y = x, within 3 ulp. */
export function erfinv(x: number): number {
  const size = Math.abs(x)
  if (!(size < 1)) return size === 1 ? x * Number.POSITIVE_INFINITY : Number.NaN
  if (size < 1e-8) return (x * Math.sqrt(Math.PI)) / 2
  // Winitzki's estimate, then Halley's steps on the side where the difference is exact.
  const rest = 1 - size
  const l = Math.log(rest * (1 + size))
  const a = 0.147
  const t = 2 / (Math.PI * a) + l / 2
  let y = Math.sqrt(Math.sqrt(t * t - l / a) - t)
  for (let i = 0; i < 3; i++) {
    const error = size < 0.5 ? erf(y) - size : rest - erfc(y)
    const step = error / ((2 / Math.sqrt(Math.PI)) * Math.exp(-y * y))
    y -= step / (1 + y * step)
  }
  return x < 0 ? -y : y
}
