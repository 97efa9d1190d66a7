/** The float32 functions as polynomials on four lanes, each within a few units in the last place over its whole domain. */
import { EVEN_WORDS, HIGH_HALF, LOW_HALVES, type Vec, type VectorGraph } from './vector.ts'

/** A function of one float32 vector. */
export type VectorFunction = (g: VectorGraph, x: Vec) => Vec

const SIGN = -0x80000000
/** Adding 1.5·2²³ rounds a small number to an integer, which then stands in the low bits; plus `bias` it is an exponent field. */
const ROUND = 12582912
/** ln 2 = LN2_HIGH + LN2_LOW; n·LN2_HIGH is exact for |n| < 2¹⁴. */
const LN2_HIGH = 355 / 512
const LN2_LOW = -2.1219444005469057e-4
const LOG2E = 1.4426950408889634

const add = (g: VectorGraph, a: Vec, b: Vec): Vec => g.op('f32x4', 'add', a, b)
const sub = (g: VectorGraph, a: Vec, b: Vec): Vec => g.op('f32x4', 'sub', a, b)
const mul = (g: VectorGraph, a: Vec, b: Vec): Vec => g.op('f32x4', 'mul', a, b)
const div = (g: VectorGraph, a: Vec, b: Vec): Vec => g.op('f32x4', 'div', a, b)
const abs = (g: VectorGraph, a: Vec): Vec => g.op('f32x4', 'abs', a)
const signOf = (g: VectorGraph, a: Vec): Vec => g.op('v128', 'and', a, g.i32(SIGN))
/** The smaller (larger) one; a NaN in `x` stays. */
const atMost = (g: VectorGraph, x: Vec, bound: number): Vec => g.op('f32x4', 'pmin', x, g.f32(bound))
const atLeast = (g: VectorGraph, x: Vec, bound: number): Vec => g.op('f32x4', 'pmax', x, g.f32(bound))

/**
 * c₀ + c₁x + c₂x² + … as (c₀ + c₁x) + x²·((c₂ + c₃x) + x²·…): as many instructions as Horner's rule where x² is needed
 * anyway, in a chain half as long.
 */
function polynomial(g: VectorGraph, x: Vec, c: readonly number[]): Vec {
  const pair = (i: number): Vec => (i + 1 < c.length ? g.madd(g.f32(c[i + 1]!), x, g.f32(c[i]!)) : g.f32(c[i]!))
  const square = mul(g, x, x)
  let i = (c.length - 1) & ~1
  let p = pair(i)
  while (i > 0) {
    i -= 2
    p = g.madd(p, square, pair(i))
  }
  return p
}

/** x·log₂e rounded to an integer n: n + bias in the low bits of `bits`, r = x − n·ln 2. */
function reduceExp(g: VectorGraph, x: Vec, bias: number): { bits: Vec; r: Vec } {
  const magic = g.f32(ROUND + bias)
  const bits = g.madd(x, g.f32(LOG2E), magic)
  const n = sub(g, bits, magic)
  return { bits, r: g.nmadd(n, g.f32(LN2_LOW), g.nmadd(n, g.f32(LN2_HIGH), x)) }
}

/** value·2ⁿ for −254 ≤ n < 256, where `bits` holds n + 254: in two steps, so that the last one rounds subnormal results properly. */
function scale(g: VectorGraph, value: Vec, bits: Vec): Vec {
  const half = g.shift('i32x4', 'shr_u', bits, 1)
  const first = g.shift('i32x4', 'shl', half, 23)
  const second = g.shift('i32x4', 'shl', g.op('i32x4', 'sub', bits, half), 23)
  return mul(g, mul(g, value, first), second)
}

/** (eʳ − 1 − r) / r² for |r| ≤ ln 2 / 2, relative to eʳ. */
const EXP = [0.499999933341, 0.166665189415, 0.0416684079292, 0.00836892162495, 0.00138141745161]
/** The same relative to eʳ − 1. */
const EXPM1 = [0.500000006301, 0.166665415669, 0.0416662775886, 0.00836677591945, 0.00139467816584]

/** Where n + 254 is 0, and with it the first factor of `scale`: e^−∞ = 0 comes out without the cost of an underflow. */
const LEAST = -254

/** eˣ = 2ⁿ·eʳ. */
export function exp(g: VectorGraph, x: Vec): Vec {
  const { bits, r } = reduceExp(g, atLeast(g, atMost(g, x, 89), LEAST * Math.LN2), 254)
  const p = g.madd(polynomial(g, r, EXP), mul(g, r, r), r)
  return scale(g, add(g, p, g.f32(1)), bits)
}

/** eˣ for x ≤ 0: the first factor is 2ⁿ⁺²⁴, a normal number down to where eˣ rounds to 0. */
export function expFalling(g: VectorGraph, x: Vec): Vec {
  const { bits, r } = reduceExp(g, atLeast(g, x, -151 * Math.LN2), 151)
  const p = g.madd(polynomial(g, r, EXP), mul(g, r, r), r)
  return mul(g, mul(g, add(g, p, g.f32(1)), g.shift('i32x4', 'shl', bits, 23)), g.f32(2 ** -24))
}

/** (2ʳ − 1) / r for |r| ≤ ½. */
const EXP2 = [0.693147202848, 0.240226479152, 0.0555033248245, 0.00961843716237, 0.00133988710349, 0.000153534144068]

export function exp2(g: VectorGraph, x: Vec): Vec {
  const clamped = atLeast(g, atMost(g, x, 129), LEAST)
  const magic = g.f32(ROUND + 254)
  const bits = add(g, clamped, magic)
  const r = sub(g, clamped, sub(g, bits, magic))
  return scale(g, g.madd(polynomial(g, r, EXP2), r, g.f32(1)), bits)
}

/** eʳ − 1 for |r| ≤ ln 2 / 2. */
function expm1Reduced(g: VectorGraph, r: Vec): Vec {
  return g.madd(polynomial(g, r, EXPM1), mul(g, r, r), r)
}

/** eˣ − 1 = 2ⁿ·(eʳ − 1) + (2ⁿ − 1) for −86 < x < 88, without care for signed zeros. */
function expm1Small(g: VectorGraph, x: Vec): Vec {
  const { bits, r } = reduceExp(g, x, 127)
  const power = g.shift('i32x4', 'shl', bits, 23)
  return g.madd(power, expm1Reduced(g, r), sub(g, power, g.f32(1)))
}

/** As above with half of 2ⁿ, since 2¹²⁸ is no float32; tiny x is its own result. */
export function expm1(g: VectorGraph, x: Vec): Vec {
  const { bits, r } = reduceExp(g, atLeast(g, atMost(g, x, 89), -18), 126)
  const power = g.shift('i32x4', 'shl', bits, 23)
  const half = g.madd(power, expm1Reduced(g, r), sub(g, power, g.f32(0.5)))
  return g.select(g.op('f32x4', 'lt', abs(g, x), g.f32(2 ** -26)), x, add(g, half, half))
}

/** tanh a = (e²ᵃ − 1) / (e²ᵃ + 1), which is 1 from a = 9.02 on. */
export function tanh(g: VectorGraph, x: Vec): Vec {
  const a = atMost(g, abs(g, x), 9.1)
  const e = expm1Small(g, add(g, a, a))
  return g.op('v128', 'or', div(g, e, add(g, e, g.f32(2))), signOf(g, x))
}

/** 1 / (1 + e⁻ˣ), or eˣ / (1 + eˣ) for negative x: both have small terms only. */
export function sigmoid(g: VectorGraph, x: Vec): Vec {
  const one = g.f32(1)
  const e = expFalling(g, g.op('v128', 'or', x, g.i32(SIGN)))
  return div(g, g.select(g.op('f32x4', 'lt', x, g.f32(0)), e, one), add(g, one, e))
}

/** −ln(1 − erf a) / a for 0 ≤ a ≤ 3.95: smooth, where erf itself is flat. The constant term is ERF_HIGH + ERF[0]. */
const ERF_HIGH = 1.125
const ERF = [
  1.1283791716711 - ERF_HIGH, 0.63661937976835, 0.10277784930764, -0.019153130312048, -0.00016027812472135, 0.0016669135192407,
  -0.00063277638880484, 0.00011762478874911, -9.254469346484e-6,
]

/** erf a = 1 − e⁻ʰ with h = a·polynomial(a). */
export function erf(g: VectorGraph, x: Vec): Vec {
  const a = atMost(g, abs(g, x), 3.95)
  const h = g.madd(a, polynomial(g, a, ERF), mul(g, a, g.f32(ERF_HIGH)))
  const e = expm1Small(g, g.op('f32x4', 'neg', h))
  return g.op('v128', 'or', abs(g, e), signOf(g, x))
}

/** (ln(1+f) − f + f²/2) / f³ for √½ ≤ 1 + f ≤ √2. */
const LOG = [
  0.333333167495, -0.25000810177, 0.200022842444, -0.166245594001, 0.14181238116, -0.131287559444, 0.128813469964, -0.0785923712285,
]
/** The bits of √½. */
const SQRT_HALF = 0x3f3504f3

/** x = 2ⁿ·(1 + f) with 1 + f between √½ and √2, for normal positive x (n as a float). */
function splitLog(g: VectorGraph, x: Vec): { n: Vec; f: Vec } {
  const exponent = g.shift('i32x4', 'shr_s', g.op('i32x4', 'sub', x, g.i32(SQRT_HALF)), 23)
  const mantissa = g.op('i32x4', 'sub', x, g.shift('i32x4', 'shl', exponent, 23))
  return { n: g.op('f32x4', 'convert_i32x4_s', exponent), f: sub(g, mantissa, g.f32(1)) }
}

/** The same for subnormal x, too. */
function splitPositive(g: VectorGraph, x: Vec): { n: Vec; f: Vec } {
  const tiny = g.op('f32x4', 'lt', x, g.f32(2 ** -126))
  const { n, f } = splitLog(g, g.select(tiny, mul(g, x, g.f32(2 ** 23)), x))
  return { n: sub(g, n, g.select(tiny, g.f32(23), g.f32(0))), f }
}

/** A logarithm's value at 0 (−∞), below (NaN), at ∞ and NaN (as they are); `value` elsewhere. */
function logLimits(g: VectorGraph, x: Vec, value: Vec): Vec {
  const regular = g.op('v128', 'and', g.op('f32x4', 'gt', x, g.f32(0)), g.op('f32x4', 'lt', x, g.f32(Infinity)))
  const below = g.op('v128', 'or', x, g.op('f32x4', 'lt', x, g.f32(0)))
  const limit = g.select(g.op('f32x4', 'eq', x, g.f32(0)), g.f32(-Infinity), below)
  return g.select(regular, value, limit)
}

/** f²/2 and f³·polynomial: ln(1+f) = f − half + cubic. */
function logTerms(g: VectorGraph, f: Vec): { half: Vec; cubic: Vec } {
  const square = mul(g, f, f)
  return { half: mul(g, square, g.f32(0.5)), cubic: mul(g, mul(g, f, square), polynomial(g, f, LOG)) }
}

export function log(g: VectorGraph, x: Vec): Vec {
  const { n, f } = splitPositive(g, x)
  const { half, cubic } = logTerms(g, f)
  const low = sub(g, g.madd(n, g.f32(LN2_LOW), cubic), half)
  return logLimits(g, x, g.madd(n, g.f32(LN2_HIGH), add(g, f, low)))
}

/** log₂(1+f) = f + (y + (log₂e − 1)·(f + y)) with y = ln(1+f) − f: only the small part is multiplied. */
export function log2(g: VectorGraph, x: Vec): Vec {
  const { n, f } = splitPositive(g, x)
  const { half, cubic } = logTerms(g, f)
  const y = sub(g, cubic, half)
  const low = g.madd(add(g, f, y), g.f32(LOG2E - 1), y)
  return logLimits(g, x, add(g, n, add(g, f, low)))
}

const LOG10E = 0.4342944819032518
const LOG10E_HIGH = Math.fround(LOG10E)
/** log₁₀2 in two parts; n times the first is exact. */
const LOG10_2_HIGH = 1233 / 4096
const LOG10_2_LOW = 0.30102999566398120 - LOG10_2_HIGH

export function log10(g: VectorGraph, x: Vec): Vec {
  const { n, f } = splitPositive(g, x)
  const { half, cubic } = logTerms(g, f)
  const y = sub(g, cubic, half)
  const low = g.madd(n, g.f32(LOG10_2_LOW), g.madd(f, g.f32(LOG10E - LOG10E_HIGH), mul(g, y, g.f32(LOG10E))))
  return logLimits(g, x, g.madd(n, g.f32(LOG10_2_HIGH), g.madd(f, g.f32(LOG10E_HIGH), low)))
}

/** ln u + (1 + x − u) / u for u = 1 + x as rounded: the second term is what rounding took away. */
export function log1p(g: VectorGraph, x: Vec): Vec {
  const one = g.f32(1)
  const u = add(g, one, x)
  const back = sub(g, u, one)
  const lost = add(g, sub(g, one, sub(g, u, back)), sub(g, x, back))
  const { n, f } = splitLog(g, u)
  const { half, cubic } = logTerms(g, f)
  const small = add(g, cubic, g.madd(n, g.f32(LN2_LOW), div(g, lost, u)))
  const value = g.madd(n, g.f32(LN2_HIGH), add(g, f, sub(g, small, half)))
  return g.op('v128', 'or', logLimits(g, u, value), signOf(g, x))
}

/** π/2 in two parts; k times the first is exact for |k| < 2²⁰. */
const HALF_PI_HIGH = 1.5707963267341256
const HALF_PI_LOW = 6.077100506506192e-11
/** Beyond this the reduction isn't exact any more. */
const TRIG_LIMIT = 2 ** 20
/** Adding 1.5·2⁵² rounds a float64 to an integer, as `ROUND` does for float32. */
const ROUND64 = 6755399441055744

/** (sin r − r) / r³ and (cos r − 1 + r²/2) / r⁴ in r² for |r| ≤ π/4. */
const SIN = [-0.166666546491, 0.00833215778199, -0.000195143779972]
const COS = [0.0416666462942, -0.00138873381229, 2.44349483529e-5]

/** x = k·π/2 + r for two lanes, in float64. */
function reduceHalf(g: VectorGraph, x: Vec): { bits: Vec; r: Vec } {
  const magic = g.f64(ROUND64)
  const bits = g.op('f64x2', 'add', g.op('f64x2', 'mul', x, g.f64(2 / Math.PI)), magic)
  const k = g.op('f64x2', 'sub', bits, magic)
  const high = g.op('f64x2', 'sub', x, g.op('f64x2', 'mul', k, g.f64(HALF_PI_HIGH)))
  return { bits, r: g.op('f32x4', 'demote_f64x2_zero', g.op('f64x2', 'sub', high, g.op('f64x2', 'mul', k, g.f64(HALF_PI_LOW)))) }
}

/** sin(x + quarter·π/2). */
function sine(g: VectorGraph, x: Vec, quarter: 0 | 1): Vec {
  const low = reduceHalf(g, g.op('f64x2', 'promote_low_f32x4', x))
  const high = reduceHalf(g, g.op('f64x2', 'promote_low_f32x4', g.shuffle(x, x, HIGH_HALF)))
  const r = g.shuffle(low.r, high.r, LOW_HALVES)
  const k = g.shuffle(low.bits, high.bits, EVEN_WORDS)
  const square = mul(g, r, r)
  const s = g.madd(mul(g, r, square), polynomial(g, square, SIN), r)
  const c = g.madd(mul(g, square, square), polynomial(g, square, COS), g.nmadd(square, g.f32(0.5), g.f32(1)))
  const odd = g.shift('i32x4', 'shr_s', g.shift('i32x4', 'shl', k, 31), 31)
  const value = quarter === 0 ? g.select(odd, c, s) : g.select(odd, s, c)
  const turn = quarter === 0 ? k : g.op('i32x4', 'add', k, g.i32(1))
  const sign = signOf(g, g.shift('i32x4', 'shl', turn, 30))
  return g.op('v128', 'xor', value, sign)
}

const beyond = (g: VectorGraph, x: Vec): Vec => g.op('f32x4', 'gt', abs(g, x), g.f32(TRIG_LIMIT))

export function sin(g: VectorGraph, x: Vec): Vec {
  const value = g.select(g.op('f32x4', 'eq', x, g.f32(0)), x, sine(g, x, 0))
  return g.patch('f32x4', value, beyond(g, x), 'sin', x)
}

export function cos(g: VectorGraph, x: Vec): Vec {
  return g.patch('f32x4', sine(g, x, 1), beyond(g, x), 'cos', x)
}
