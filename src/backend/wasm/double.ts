/** eˣ in float64 as a polynomial on two lanes, within one unit in the last place: for kernels where calls would cost most of the time. */
import type { Vec, VectorGraph } from './vector.ts'

/** Adding 1.5·2⁵² rounds a number to an integer, which then stands in the low bits; plus 2046 it is the sum of two exponent fields. */
const MAGIC = 6755399441055744 + 2046
/** ln 2 = LN2_HIGH + LN2_LOW; n·LN2_HIGH is exact for |n| < 2²⁰. */
const LN2_HIGH = 5954088942 / 2 ** 33
const LN2_LOW = 1.9082149292705877e-10
const TERMS = 14

/** 1/(k + 2)!: the series of (eʳ − 1 − r) / r², whose rest is below 2⁻⁵⁷ for |r| ≤ ln 2 / 2. */
function series(): number[] {
  const c: number[] = []
  for (let k = 2, factorial = 2; k < TERMS; k++, factorial *= k) c.push(1 / factorial)
  return c
}

/** eˣ = 2ⁿ·eʳ. Two factors of 2ⁿ, so that subnormal results are rounded once; the first is 0 where the result would be. */
export function exp64(g: VectorGraph, x: Vec): Vec {
  const clamped = g.op('f64x2', 'pmax', g.op('f64x2', 'pmin', x, g.f64(710)), g.f64(-2046 * Math.LN2))
  const magic = g.f64(MAGIC)
  const bits = g.madd(clamped, g.f64(Math.LOG2E), magic, 'f64x2')
  const n = g.op('f64x2', 'sub', bits, magic)
  const r = g.nmadd(n, g.f64(LN2_LOW), g.nmadd(n, g.f64(LN2_HIGH), clamped, 'f64x2'), 'f64x2')
  const square = g.op('f64x2', 'mul', r, r)
  // (c₀ + c₁r) + r²·((c₂ + c₃r) + r²·…): a chain half as long as Horner's.
  const c = series()
  const pair = (i: number): Vec => g.madd(g.f64(c[i + 1]!), r, g.f64(c[i]!), 'f64x2')
  let p = pair(c.length - 2)
  for (let i = c.length - 4; i >= 0; i -= 2) p = g.madd(p, square, pair(i), 'f64x2')
  const e = g.op('f64x2', 'add', g.madd(p, square, r, 'f64x2'), g.f64(1))
  const half = g.shift('i64x2', 'shr_u', bits, 1)
  const first = g.shift('i64x2', 'shl', half, 52)
  const second = g.shift('i64x2', 'shl', g.op('i64x2', 'sub', bits, half), 52)
  return g.op('f64x2', 'mul', g.op('f64x2', 'mul', e, first), second)
}
