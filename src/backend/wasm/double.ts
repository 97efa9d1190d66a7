/** The float64 functions as polynomials on two lanes, each within two units in the last place over its whole domain. */
import { NEAR } from '../erf.ts'
import type { ScalarOp } from '../scalar.ts'
import type { Vec, VectorGraph } from './vector.ts'

/** Adding 1.5·2⁵² rounds a number to an integer, which then stands in the low bits. */
const ROUND = 6755399441055744
/** ln 2 = LN2_HIGH + LN2_LOW; n·LN2_HIGH is exact for |n| < 2²⁰. */
const LN2_HIGH = 5954088942 / 2 ** 33
const LN2_LOW = 1.9082149292705877e-10

const add = (g: VectorGraph, a: Vec, b: Vec): Vec => g.op('f64x2', 'add', a, b)
const sub = (g: VectorGraph, a: Vec, b: Vec): Vec => g.op('f64x2', 'sub', a, b)
const mul = (g: VectorGraph, a: Vec, b: Vec): Vec => g.op('f64x2', 'mul', a, b)
const div = (g: VectorGraph, a: Vec, b: Vec): Vec => g.op('f64x2', 'div', a, b)
const abs = (g: VectorGraph, a: Vec): Vec => g.op('f64x2', 'abs', a)
const less = (g: VectorGraph, a: Vec, bound: number): Vec => g.op('f64x2', 'lt', a, g.f64(bound))
const madd = (g: VectorGraph, a: Vec, b: Vec, c: Vec): Vec => g.madd(a, b, c, 'f64x2')
const nmadd = (g: VectorGraph, a: Vec, b: Vec, c: Vec): Vec => g.nmadd(a, b, c, 'f64x2')
const signOf = (g: VectorGraph, a: Vec): Vec => g.op('v128', 'and', a, g.f64(-0))
/** x between two bounds; a NaN stays. */
const clamped = (g: VectorGraph, x: Vec, low: number, high: number): Vec =>
  g.op('f64x2', 'pmax', g.op('f64x2', 'pmin', x, g.f64(high)), g.f64(low))

/** c₀ + c₁x + c₂x² + … as (c₀ + c₁x) + x²·((c₂ + c₃x) + x²·…): a chain half as long as Horner's. */
function polynomial(g: VectorGraph, x: Vec, c: readonly number[]): Vec {
  const pair = (i: number): Vec => (i + 1 < c.length ? madd(g, g.f64(c[i + 1]!), x, g.f64(c[i]!)) : g.f64(c[i]!))
  const square = mul(g, x, x)
  let i = (c.length - 1) & ~1
  let p = pair(i)
  while (i > 0) {
    i -= 2
    p = madd(g, p, square, pair(i))
  }
  return p
}

/** 1/(k + 2)!: the series of (eʳ − 1 − r) / r², whose rest is below 2⁻⁵⁶ relative to eʳ − 1 for |r| ≤ ln 2 / 2. */
function series(): number[] {
  const c: number[] = []
  for (let k = 2, factorial = 2; k < 14; k++, factorial *= k) c.push(1 / factorial)
  return c
}

/** eʳ for |r| ≤ ln 2 / 2. */
function expReduced(g: VectorGraph, r: Vec): Vec {
  return add(g, madd(g, polynomial(g, r, series()), mul(g, r, r), r), g.f64(1))
}

/** value·2ⁿ, where `bits` holds n + 2046: two factors, so that subnormal results are rounded once; the first is 0 where the result would be. */
function scale(g: VectorGraph, value: Vec, bits: Vec): Vec {
  const half = g.shift('i64x2', 'shr_u', bits, 1)
  const first = g.shift('i64x2', 'shl', half, 52)
  const second = g.shift('i64x2', 'shl', g.op('i64x2', 'sub', bits, half), 52)
  return mul(g, mul(g, value, first), second)
}

/** eˣ = 2ⁿ·eʳ. */
export function exp64(g: VectorGraph, x: Vec): Vec {
  const a = clamped(g, x, -2046 * Math.LN2, 710)
  const magic = g.f64(ROUND + 2046)
  const bits = madd(g, a, g.f64(Math.LOG2E), magic)
  const n = sub(g, bits, magic)
  return scale(g, expReduced(g, nmadd(g, n, g.f64(LN2_LOW), nmadd(g, n, g.f64(LN2_HIGH), a))), bits)
}

/** eˣ for x ≤ 0: the first factor is 2ⁿ⁺⁵⁴, a normal number down to where eˣ rounds to 0. */
export function expFalling64(g: VectorGraph, x: Vec): Vec {
  const a = g.op('f64x2', 'pmax', x, g.f64(-1077 * Math.LN2))
  const magic = g.f64(ROUND + 1077)
  const bits = madd(g, a, g.f64(Math.LOG2E), magic)
  const n = sub(g, bits, magic)
  const value = expReduced(g, nmadd(g, n, g.f64(LN2_LOW), nmadd(g, n, g.f64(LN2_HIGH), a)))
  return mul(g, mul(g, value, g.shift('i64x2', 'shl', bits, 52)), g.f64(2 ** -54))
}

/** 2ˣ = 2ⁿ·e^(r ln 2). */
function exp2(g: VectorGraph, x: Vec): Vec {
  const a = clamped(g, x, -2046, 1025)
  const magic = g.f64(ROUND + 2046)
  const bits = add(g, a, magic)
  return scale(g, expReduced(g, mul(g, sub(g, a, sub(g, bits, magic)), g.f64(Math.LN2))), bits)
}

/** eˣ − 1 = 2ⁿ·(eʳ − 1) + (2ⁿ − 1), all of it halved, since 2¹⁰²⁴ is no float64. What r lost by rounding is added to its square's term. */
function expm1(g: VectorGraph, x: Vec): Vec {
  const a = clamped(g, x, -40, 710)
  const magic = g.f64(ROUND + 1022)
  const bits = madd(g, a, g.f64(Math.LOG2E), magic)
  const n = sub(g, bits, magic)
  const high = nmadd(g, n, g.f64(LN2_HIGH), a)
  const low = mul(g, n, g.f64(LN2_LOW))
  const r = sub(g, high, low)
  const lost = sub(g, sub(g, high, r), low)
  const e = add(g, r, madd(g, polynomial(g, r, series()), mul(g, r, r), lost))
  const power = g.shift('i64x2', 'shl', bits, 52)
  const half = madd(g, power, e, sub(g, power, g.f64(0.5)))
  return g.select(less(g, abs(g, x), 2 ** -54), x, add(g, half, half))
}

/** 1 / (1 + e⁻ˣ), or eˣ / (1 + eˣ) for negative x: both have small terms only. */
function sigmoid(g: VectorGraph, x: Vec): Vec {
  const e = expFalling64(g, g.op('v128', 'or', x, g.f64(-0)))
  return div(g, g.select(less(g, x, 0), e, g.f64(1)), add(g, g.f64(1), e))
}

/** (tanh a − a) / a³ in a² for a ≤ 0.625. */
const TANH = [
  -0.3333333333333288, 0.13333333333265335, -0.05396825393266354, 0.021869487605767533, -0.008863221364385278, 0.0035919918977715586,
  -0.0014549719772766437, 0.0005863568662121846, -0.00022864112604011324, 7.722715380371436e-5, -1.611101496665114e-5,
]

/** tanh a = a + a³·polynomial, or 1 − 2 / (e²ᵃ + 1), whose error the subtraction makes small. */
function tanh(g: VectorGraph, x: Vec): Vec {
  const a = abs(g, x)
  const square = mul(g, a, a)
  const near = madd(g, mul(g, a, square), polynomial(g, square, TANH), a)
  const far = sub(g, g.f64(1), div(g, g.f64(2), add(g, exp64(g, add(g, a, a)), g.f64(1))))
  return g.op('v128', 'or', g.select(less(g, a, 0.625), near, far), signOf(g, x))
}

/** (2·artanh s − 2s) / s³ in s² for s = f / (2 + f), √½ ≤ 1 + f ≤ √2. */
const LOG = [
  0.6666666666666734, 0.39999999999415464, 0.2857142874223267, 0.22222198586629752, 0.18183563755883775, 0.1531406207021928,
  0.1479586212151619,
]

/** x = 2ⁿ·(1 + f) with 1 + f between √½ and √2, for normal positive x; n + 1024 is never negative. */
function splitLog(g: VectorGraph, x: Vec): { n: Vec; f: Vec } {
  // The bits of 2 are 1024 in the field of the exponent.
  const two = g.f64(2)
  const biased = g.shift('i64x2', 'shr_u', g.op('i64x2', 'add', g.op('i64x2', 'sub', x, g.f64(Math.SQRT1_2)), two), 52)
  const mantissa = g.op('i64x2', 'add', g.op('i64x2', 'sub', x, g.shift('i64x2', 'shl', biased, 52)), two)
  return { n: sub(g, g.op('i64x2', 'add', biased, g.f64(ROUND)), g.f64(ROUND + 1024)), f: sub(g, mantissa, g.f64(1)) }
}

/** The same for subnormal x, too. */
function splitPositive(g: VectorGraph, x: Vec): { n: Vec; f: Vec } {
  const tiny = less(g, x, 2 ** -1022)
  const { n, f } = splitLog(g, g.select(tiny, mul(g, x, g.f64(2 ** 54)), x))
  return { n: sub(g, n, g.select(tiny, g.f64(54), g.f64(0))), f }
}

/** n·ln 2 + ln(1 + f) + rest, with ln(1 + f) = f − (f²/2 − s·(f²/2 + s²·polynomial)). */
function logOf(g: VectorGraph, n: Vec, f: Vec, rest: Vec | undefined): Vec {
  const s = div(g, f, add(g, f, g.f64(2)))
  const square = mul(g, s, s)
  const half = mul(g, mul(g, f, f), g.f64(0.5))
  const terms = madd(g, square, polynomial(g, square, LOG), half)
  const low = madd(g, n, g.f64(LN2_LOW), rest === undefined ? mul(g, s, terms) : madd(g, s, terms, rest))
  return madd(g, n, g.f64(LN2_HIGH), sub(g, f, sub(g, half, low)))
}

/** A logarithm's value at 0 (−∞), below (NaN), at ∞ and NaN (as they are); `value` elsewhere. */
function logLimits(g: VectorGraph, x: Vec, value: Vec): Vec {
  const regular = g.op('v128', 'and', g.op('f64x2', 'gt', x, g.f64(0)), less(g, x, Infinity))
  const below = g.op('v128', 'or', x, less(g, x, 0))
  const limit = g.select(g.op('f64x2', 'eq', x, g.f64(0)), g.f64(-Infinity), below)
  return g.select(regular, value, limit)
}

function log(g: VectorGraph, x: Vec): Vec {
  const { n, f } = splitPositive(g, x)
  return logLimits(g, x, logOf(g, n, f, undefined))
}

/** ln u + (1 + x − u) / u for u = 1 + x as rounded: the second term is what rounding took away. */
function log1p(g: VectorGraph, x: Vec): Vec {
  const one = g.f64(1)
  const u = add(g, one, x)
  const back = sub(g, u, one)
  const lost = add(g, sub(g, one, sub(g, u, back)), sub(g, x, back))
  const { n, f } = splitLog(g, u)
  return g.op('v128', 'or', logLimits(g, u, logOf(g, n, f, div(g, lost, u))), signOf(g, x))
}

/** (3·artanh s / s − 3 − s²) / s⁴ in s². */
const POW = [
  0.6000000000000004, 0.42857142857005787, 0.33333333407530563, 0.2727271223040051, 0.2307837232815908, 0.1992860301287327, 0.19374505495973376,
]
/** 2 / (3·ln 2) in two parts. */
const POW_HIGH = 64545083 / 2 ** 26
const POW_LOW = 7.872699542894897e-9

/** The upper 26 bits: products of two such numbers are exact. */
const upper = (g: VectorGraph, x: Vec): Vec => g.op('v128', 'and', x, g.shift('i64x2', 'shl', g.i32(-1), 27))

/** log₂x to 63 bits: 26 of them, and the others. */
function log2Parts(g: VectorGraph, x: Vec): [Vec, Vec] {
  const { n, f } = splitPositive(g, x)
  // s = f / (2 + f) = high + low, and 2 + f = head + tail.
  const sum = add(g, f, g.f64(2))
  const inverse = div(g, g.f64(1), sum)
  const s = mul(g, f, inverse)
  const high = upper(g, s)
  const head = upper(g, sum)
  const tail = sub(g, f, sub(g, head, g.f64(2)))
  const low = mul(g, inverse, sub(g, sub(g, f, mul(g, high, head)), mul(g, high, tail)))
  // log₂(1 + f) = factor·s·(3 + s² + s⁴·polynomial), the bracket as three + rest.
  const square = mul(g, s, s)
  const exact = mul(g, high, high)
  const terms = madd(g, mul(g, square, square), polynomial(g, square, POW), mul(g, low, add(g, high, s)))
  const three = upper(g, add(g, g.f64(3), add(g, exact, terms)))
  const rest = sub(g, terms, sub(g, sub(g, three, g.f64(3)), exact))
  const u = mul(g, high, three)
  const v = madd(g, low, three, mul(g, rest, s))
  const p = upper(g, add(g, u, v))
  const q = sub(g, v, sub(g, p, u))
  const h = mul(g, p, g.f64(POW_HIGH))
  const r = madd(g, p, g.f64(POW_LOW), mul(g, q, g.f64(POW_HIGH + POW_LOW)))
  const first = upper(g, add(g, n, add(g, h, r)))
  return [first, sub(g, r, sub(g, sub(g, first, n), h))]
}

function log2(g: VectorGraph, x: Vec): Vec {
  const [first, second] = log2Parts(g, x)
  return logLimits(g, x, add(g, first, second))
}

/** log₁₀2 in two parts. */
const LOG10_2_HIGH = 40403562 / 2 ** 27
const LOG10_2_LOW = 5.801722962879576e-10

function log10(g: VectorGraph, x: Vec): Vec {
  const [first, second] = log2Parts(g, x)
  const low = madd(g, first, g.f64(LOG10_2_LOW), mul(g, second, g.f64(LOG10_2_HIGH + LOG10_2_LOW)))
  return logLimits(g, x, madd(g, first, g.f64(LOG10_2_HIGH), low))
}

/**
 * |a|ᵇ = 2^(b·log₂|a|), negative for negative a and odd b. Zeros, what isn't finite, and exponents from 2⁶⁰ on are left to the
 * imported function.
 */
export function pow64(g: VectorGraph, a: Vec, b: Vec): Vec {
  const x = abs(g, a)
  const [l1, l2] = log2Parts(g, x)
  const y = upper(g, b)
  const product = mul(g, y, l1)
  const more = madd(g, sub(g, b, y), l1, mul(g, b, l2))
  const exponent = add(g, product, more)
  const magic = g.f64(ROUND + 2046)
  const bits = add(g, clamped(g, exponent, -1100, 1100), magic)
  // r + lost is what the rounded exponent leaves; 0 where powers are 0 or ∞.
  const inside = less(g, abs(g, exponent), 1100)
  const left = sub(g, product, sub(g, bits, magic))
  const r = g.select(inside, add(g, left, more), g.f64(0))
  const lost = g.select(inside, sub(g, more, sub(g, r, left)), g.f64(0))
  const z = mul(g, r, g.f64(Math.LN2))
  const terms = madd(g, polynomial(g, z, series()), mul(g, z, z), mul(g, lost, g.f64(Math.LN2)))
  const value = scale(g, add(g, g.f64(1), add(g, z, terms)), bits)
  // Half of a whole number is whole if it is even.
  const isWhole = (t: Vec): Vec => g.op('f64x2', 'eq', g.op('f64x2', 'nearest', t), t)
  const odd = g.op('v128', 'andnot', signOf(g, a), isWhole(mul(g, b, g.f64(0.5))))
  const finite = g.op('v128', 'and', less(g, x, Infinity), less(g, abs(g, b), 2 ** 60))
  const usual = g.op('v128', 'and', g.op('f64x2', 'gt', x, g.f64(0)), finite)
  const real = g.op('v128', 'or', g.op('f64x2', 'gt', a, g.f64(0)), isWhole(b))
  return g.patch('f64x2', g.op('v128', 'or', value, odd), g.op('v128', 'not', g.op('v128', 'and', usual, real)), 'pow', a, b)
}

/** π/2 in three parts; k times the first and the second is exact for |k| < 2²⁰. */
const HALF_PI = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21]
/** Beyond this the reduction isn't exact any more. */
const TRIG_LIMIT = 2 ** 20
/** Nearer to a multiple of π/2 its three parts aren't enough. */
const TRIG_NEAR = 2 ** -40

/** (sin r − r) / r³ and (cos r − 1 + r²/2) / r⁴ in r² for |r| ≤ π/4. */
const SIN = [
  -0.16666666666666632, 0.008333333333322295, -0.00019841269829707283, 2.755731365501107e-6, -2.5050752044838206e-8, 1.5896428289838503e-10,
]
const COS = [
  0.0416666666666666, -0.0013888888888873958, 2.4801587289373114e-5, -2.755731431935162e-7, 2.0875718602991355e-9, -1.1359396866395375e-11,
]

/** sin(x + quarter·π/2). x = k·π/2 + r + s, where s is what r lost by rounding: sin(r + s) = sin r + s·cos r, cos(r + s) = cos r − s·r. */
function sine(g: VectorGraph, x: Vec, quarter: 0 | 1): Vec {
  const one = g.f64(1)
  const magic = g.f64(ROUND)
  const bits = madd(g, x, g.f64(2 / Math.PI), magic)
  const k = sub(g, bits, magic)
  const first = nmadd(g, k, g.f64(HALF_PI[0]!), x)
  const step = mul(g, k, g.f64(HALF_PI[1]!))
  const second = sub(g, first, step)
  const low = nmadd(g, k, g.f64(HALF_PI[2]!), sub(g, sub(g, first, second), step))
  const r = add(g, second, low)
  const s = add(g, sub(g, second, r), low)
  const square = mul(g, r, r)
  const half = mul(g, square, g.f64(0.5))
  const up = sub(g, one, half)
  const sinValue = add(g, r, madd(g, mul(g, r, square), polynomial(g, square, SIN), mul(g, s, up)))
  const cosTerms = madd(g, mul(g, square, square), polynomial(g, square, COS), sub(g, sub(g, sub(g, one, up), half), mul(g, r, s)))
  const cosValue = add(g, up, cosTerms)
  // 5e-324 has the bits of the integer 1.
  const unit = g.f64(5e-324)
  const odd = g.op('i64x2', 'neg', g.op('v128', 'and', bits, unit))
  const value = quarter === 0 ? g.select(odd, cosValue, sinValue) : g.select(odd, sinValue, cosValue)
  const turn = quarter === 0 ? bits : g.op('i64x2', 'add', bits, unit)
  const signed = g.op('v128', 'xor', value, signOf(g, g.shift('i64x2', 'shl', turn, 62)))
  const size = abs(g, x)
  const near = g.op('v128', 'and', less(g, abs(g, r), TRIG_NEAR), g.op('f64x2', 'gt', size, one))
  const outside = g.op('v128', 'or', near, g.op('f64x2', 'gt', size, g.f64(TRIG_LIMIT)))
  return g.patch('f64x2', signed, outside, quarter === 0 ? 'sin' : 'cos', x)
}

const sin = (g: VectorGraph, x: Vec): Vec => g.select(g.op('f64x2', 'eq', x, g.f64(0)), x, sine(g, x, 0))
const cos = (g: VectorGraph, x: Vec): Vec => sine(g, x, 1)

/** e^(a²) erfc a in t = (a − 2.5)/(a + 2.5) for 1 ≤ a ≤ 6. */
const ERFCX = [
  0.21080636406114378, -0.37173673394894585, 0.25171319321787966, -0.12503305238139048, 0.039922538979814015, -0.003993701833817206,
  -0.002642366606912763, 0.0008759271103882141, 0.00022842691431857663, -0.00012888314978257986, -3.4552802714743665e-5,
  1.7994684415441273e-5, 8.062831424331307e-6,
]

/** erf a = a + a·polynomial(a²) up to 1, then 1 − erfc a, whose errors the subtraction makes small. */
function erf(g: VectorGraph, x: Vec): Vec {
  const a = abs(g, x)
  const near = madd(g, a, polynomial(g, mul(g, a, a), NEAR.toReversed()), a)
  const b = clamped(g, a, 1, 6)
  const t = div(g, sub(g, b, g.f64(2.5)), add(g, b, g.f64(2.5)))
  const e = expFalling64(g, g.op('f64x2', 'neg', mul(g, b, b)))
  const far = nmadd(g, e, polynomial(g, t, ERFCX), g.f64(1))
  return g.op('v128', 'or', g.select(less(g, a, 1), near, far), signOf(g, x))
}

/** The functions that float64 lanes compute themselves; the others are called for each lane. */
export const DOUBLES: Readonly<Partial<Record<ScalarOp, (g: VectorGraph, x: Vec) => Vec>>> = {
  exp: exp64, exp2, expm1, log, log1p, log2, log10, sin, cos, tanh, erf, sigmoid,
}
