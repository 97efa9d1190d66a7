/** The error function and its complement in float64, for both backends. Fitted and measured by test/backend/erf.py. */

/** erf(x)/x − 1 as a polynomial in x², for |x| ≤ 1; highest power first. */
export const NEAR: readonly number[] = [
  -7.795898827002142e-10, 1.3720064546777686e-8, -1.6208483801871705e-7, 1.6447424703317362e-6, -1.492473690741966e-5,
  0.00012055294904839707, -0.0008548325975389692, 0.0052239776071164225, -0.02686617064323777, 0.11283791670945006, -0.37612638903183543,
  0.12837916709551256,
]
/** (1 + 2x) eˣ² erfc x as a polynomial in t = (x − 3.5)/(x + 3.5), for 1 ≤ x ≤ 28; highest power first. */
const FAR = [
  -4.144180181174055e-8, -4.1455469847138936e-8, 5.462754371136494e-7, 4.459910648297861e-9, -3.790168960794641e-6, 2.298890220583082e-6,
  2.425575679195331e-5, -4.277257806712547e-5, -0.00012151204222082869, 0.0005643825519578366, -0.00030226783293864866,
  -0.004215019693207599, 0.019099330931960933, -0.0488233258419676, 0.08798315382557638, -0.11508959815972308, 0.09751909515324059,
  -0.010555596332224393, -0.1400091801376193, 1.2423492448711544,
]

function polynomial(coefficients: readonly number[], x: number): number {
  let y = 0
  for (const c of coefficients) y = y * x + c
  return y
}

/** erfc x for 1 ≤ x ≤ 28. The square is taken in two parts, or its rounding error would be e⁻ˣ²'s relative one. */
function tail(x: number): number {
  const high = Math.fround(x)
  const y = (Math.exp(-high * high) * polynomial(FAR, (x - 3.5) / (x + 3.5))) / (1 + 2 * x)
  return y + y * Math.expm1((high - x) * (high + x))
}

/** 2/√π ∫₀ˣ e⁻ᵗ² dt, within 1 ulp. */
export function erf(x: number): number {
  const size = Math.abs(x)
  if (size <= 1) return x + x * polynomial(NEAR, x * x)
  if (size < 6) return Math.sign(x) * (1 - tail(size))
  return Math.sign(x)
}

/** 1 − erf x without cancellation, within 2 ulp. */
export function erfc(x: number): number {
  if (x > 28) return 0
  if (x > 1) return tail(x)
  return Math.abs(x) <= 1 ? 1 - x - x * polynomial(NEAR, x * x) : 1 - erf(x)
}
