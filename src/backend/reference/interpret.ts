/** What each operation of the expression language means, for one element. */

import { UnsupportedError } from '../../errors.ts'
import { erf } from '../erf.ts'
import type { BinaryOp, CompareOp, ComputeType, MaskOp, ScalarOp, UnaryOp } from '../scalar.ts'
import { truncate } from './views.ts'

type Unary = (a: number) => number
type Binary = (a: number, b: number) => number

const TWO_52 = 2 ** 52

/** Adding 2^52 leaves no room for a fraction, and the addition itself rounds halves to even. Keeps the sign of zero. */
function roundHalfEven(a: number): number {
  const size = Math.abs(a)
  if (!(size < TWO_52)) return a
  const rounded = size + TWO_52 - TWO_52
  return a < 0 || Object.is(a, -0) ? -rounded : rounded
}

/** 1 / (1 + e^-x), always with the exponential that can't overflow. */
function sigmoid(a: number): number {
  if (a >= 0) return 1 / (1 + Math.exp(-a))
  const e = Math.exp(a)
  return e / (1 + e)
}

/** IEEE 754's pow. JavaScript's differs in two places: 1^NaN and (±1)^±inf are 1 there, NaN here. */
function power(a: number, b: number): number {
  if (a === 1 || (a === -1 && (b === Infinity || b === -Infinity))) return 1
  return Math.pow(a, b)
}

/** The remainder with the divisor's sign: a - b·floor(a/b), from the exact one with the dividend's sign. */
function remainder(a: number, b: number): number {
  const r = a % b
  return r !== 0 && r < 0 !== b < 0 ? r + b : r
}

const floatUnary: Readonly<Record<UnaryOp, Unary>> = {
  neg: (a) => -a,
  abs: Math.abs,
  sign: (a) => (a > 0 ? 1 : a < 0 ? -1 : 0),
  sqrt: Math.sqrt,
  reciprocal: (a) => 1 / a,
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundHalfEven,
  trunc: Math.trunc,
  exp: Math.exp,
  exp2: (a) => Math.pow(2, a),
  expm1: Math.expm1,
  log: Math.log,
  log2: Math.log2,
  log10: Math.log10,
  log1p: Math.log1p,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  erf,
  sigmoid,
}

const floatBinary: Readonly<Record<BinaryOp, Binary>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  minimum: (a, b) => Math.min(a, b),
  maximum: (a, b) => Math.max(a, b),
  pow: power,
  atan2: Math.atan2,
  remainder,
  fmod: (a, b) => a % b,
}

/** a^b modulo 2^32 by squaring; a negative exponent gives the truncated fraction, which only ±1 survive. */
function intPower(a: number, b: number): number {
  if (b < 0) return a === 1 ? 1 : a === -1 ? (b % 2 === 0 ? 1 : -1) : 0
  let result = 1
  for (let square = a, left = b; left > 0; left >>>= 1) {
    if ((left & 1) === 1) result = Math.imul(result, square)
    square = Math.imul(square, square)
  }
  return result
}

/** int32 arithmetic wraps; dividing by zero gives 0, and a quotient that doesn't fit the nearest that does. Operations not named here round the real result towards zero. */
const intUnary: Readonly<Partial<Record<UnaryOp, Unary>>> = {
  neg: (a) => -a | 0,
  abs: (a) => Math.abs(a) | 0,
}

const intBinary: Readonly<Partial<Record<BinaryOp, Binary>>> = {
  add: (a, b) => (a + b) | 0,
  sub: (a, b) => (a - b) | 0,
  mul: Math.imul,
  div: (a, b) => (b === 0 ? 0 : truncate(a / b)),
  pow: intPower,
  remainder: (a, b) => (b === 0 ? 0 : remainder(a, b) | 0),
  fmod: (a, b) => (b === 0 ? 0 : (a % b) | 0),
}

const compare: Readonly<Record<CompareOp, Binary>> = {
  lt: (a, b) => (a < b ? 1 : 0),
  le: (a, b) => (a <= b ? 1 : 0),
  gt: (a, b) => (a > b ? 1 : 0),
  ge: (a, b) => (a >= b ? 1 : 0),
  eq: (a, b) => (a === b ? 1 : 0),
  ne: (a, b) => (a !== b ? 1 : 0),
}

/** Masks are 1 and 0. */
const logic: Readonly<Record<Exclude<MaskOp, 'not'>, Binary>> = {
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
}

function find<F>(table: Readonly<Partial<Record<string, F>>>, op: string): F | undefined {
  return Object.hasOwn(table, op) ? table[op] : undefined
}

/** The value of a one-operand operation before rounding to the compute type; float32 is rounded where it is kept. */
export function unaryMeaning(op: ScalarOp, compute: ComputeType): Unary {
  if (op === 'not') return (a) => 1 - a
  const real = find<Unary>(floatUnary, op)
  if (real === undefined) throw new UnsupportedError(`the expression language has no operation ${op} of one operand`, { op })
  if (compute !== 'int32') return real
  return find<Unary>(intUnary, op) ?? ((a) => truncate(real(a)))
}

/** The value of a two-operand operation before rounding to the compute type. */
export function binaryMeaning(op: ScalarOp, compute: ComputeType): Binary {
  const exact = find<Binary>(compare, op) ?? find<Binary>(logic, op)
  if (exact !== undefined) return exact
  const real = find<Binary>(floatBinary, op)
  if (real === undefined) throw new UnsupportedError(`the expression language has no operation ${op} of two operands`, { op })
  if (compute !== 'int32') return real
  return find<Binary>(intBinary, op) ?? ((a, b) => truncate(real(a, b)))
}
