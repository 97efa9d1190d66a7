/** Arithmetic: sums, products, powers, bounds. */

import type { Arith } from '../backend/scalar.ts'
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { ElementwiseOp, type Slots, type TensorOrNumber } from '../op/elementwise.ts'
import { type Binary, binary, type HasOp, type Parametric, parametric, type Ternary, ternary, type Unary, unary } from '../op/kinds.ts'
import { isTensor, refuse } from '../tensor.ts'

/** A binary function with options; its record for methods and in-place forms. */
type WithOptions<O> = ((a: Tensor, b: TensorOrNumber, options?: O) => Tensor) &
  HasOp & { readonly inPlace: (a: Tensor, b: TensorOrNumber, options?: O) => Tensor }

const addOp = /* @__PURE__ */ new ElementwiseOp('add', 2, { node: 'AddBackward0', value: (a, b) => a!.add(b!), vjp: [(g) => g, (g) => g] })
const addScaled = /* @__PURE__ */ new ElementwiseOp('add', 2, {
  node: 'AddBackward0',
  scalars: 1,
  value: (a, b, s) => a!.add(b!.mul(s!)),
  vjp: [(g) => g, (g, { s }) => g.mul(s[0]!)],
})

/**
 * a + alpha·b, broadcast.
 * @example
 * add(tensor([1, 2]), 10).tolist() // [11, 12]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.add.html
 */
export const add: WithOptions<{ alpha?: number }> = /* @__PURE__ */ scaled(addOp, addScaled)

const subOp = /* @__PURE__ */ new ElementwiseOp('sub', 2, {
  node: 'SubBackward0',
  value: (a, b) => a!.sub(b!),
  vjp: [(g) => g, (g) => g.neg()],
})
const subScaled = /* @__PURE__ */ new ElementwiseOp('sub', 2, {
  node: 'SubBackward0',
  scalars: 1,
  value: (a, b, s) => a!.sub(b!.mul(s!)),
  vjp: [(g) => g, (g, { s }) => g.mul(s[0]!).neg()],
})

/**
 * a − alpha·b, broadcast.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.sub.html
 */
export const sub: WithOptions<{ alpha?: number }> = /* @__PURE__ */ scaled(subOp, subScaled)

function checkAlpha(op: string, a: Tensor, b: TensorOrNumber, alpha: number | undefined): void {
  const integral = (x: TensorOrNumber): boolean => (isTensor(x) ? x.dt.category !== 2 : Number.isInteger(Number(x)))
  if (alpha !== undefined && !Number.isInteger(alpha) && integral(a) && integral(b)) {
    throw new ArgumentError('For integral input tensors, argument alpha must not be a floating point number.', { op })
  }
  if (op === 'sub' && isTensor(a) && isTensor(b) && a.dt.category === 0 && b.dt.category === 0) {
    throw new ArgumentError('Subtraction, the `-` operator, with two bool tensors is not supported. Use logicalXor() instead.', { op })
  }
}

// @__NO_SIDE_EFFECTS__
function scaled(plain: ElementwiseOp, withAlpha: ElementwiseOp): WithOptions<{ alpha?: number }> {
  const call = (a: Tensor, b: TensorOrNumber, options?: { alpha?: number }): Tensor => {
    checkAlpha(plain.name, a, b, options?.alpha)
    return (
      options === undefined || options.alpha === undefined || options.alpha === 1
        ? plain.call2(a, b, null)
        : withAlpha.call2(a, b, [options.alpha])
    ) as Tensor
  }
  const inPlace = (a: Tensor, b: TensorOrNumber, options?: { alpha?: number }): Tensor =>
    (options?.alpha === undefined || options.alpha === 1
      ? plain.inPlace(a, [b], null)
      : withAlpha.inPlace(a, [b], [options.alpha])) as Tensor
  return Object.assign(call, { op: plain, inPlace })
}

/**
 * a · b, element by element, broadcast.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.mul.html
 */
export const mul: Binary = /* @__PURE__ */ binary('mul', {
  node: 'MulBackward0',
  value: (a, b) => a!.mul(b!),
  vjp: [(g, { b }) => g.mul(b), (g, { a }) => g.mul(a)],
})

const divOp = /* @__PURE__ */ new ElementwiseOp('div', 2, {
  node: 'DivBackward0',
  result: 'float',
  value: (a, b) => a!.div(b!),
  // d(a/b)/db = −(a/b)/b keeps the range of the quotient, where a/b² would overflow.
  vjp: [(g, { b }) => g.div(b), (g, { a, b }) => div2(a, b).div(b).mul(g).neg()],
})
const div2 = <V extends Arith<V>>(a: V, b: V): V => (typeof a === 'number' ? b.reciprocal().mul(a) : a.div(b))
const zero = <V extends Arith<V>>(g: V): V => g.mul(0)
const divFloor = /* @__PURE__ */ new ElementwiseOp('div', 2, {
  node: 'DivBackward2',
  value: (a, b) => a!.div(b!).floor(),
  vjp: [zero, zero],
})
const divTrunc = /* @__PURE__ */ new ElementwiseOp('div', 2, {
  node: 'DivBackward2',
  value: (a, b) => a!.div(b!).trunc(),
  vjp: [zero, zero],
})

const divisionBy = (mode: 'floor' | 'trunc' | undefined): ElementwiseOp => {
  if (mode === undefined || mode === null) return divOp
  if (mode === 'floor') return divFloor
  if (mode === 'trunc') return divTrunc
  throw new ArgumentError(`div: expected roundingMode to be 'floor', 'trunc' or absent, got ${String(mode)}`, { op: 'div' })
}

/**
 * a / b, broadcast; integers divide to floats unless `roundingMode` is 'floor' or 'trunc'.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.div.html
 */
export const div: WithOptions<{ roundingMode?: 'floor' | 'trunc' }> = /* @__PURE__ */ Object.assign(
  (a: Tensor, b: TensorOrNumber, options?: { roundingMode?: 'floor' | 'trunc' }): Tensor =>
    divisionBy(options?.roundingMode).call2(a, b, null) as Tensor,
  {
    op: divOp,
    inPlace: (a: Tensor, b: TensorOrNumber, options?: { roundingMode?: 'floor' | 'trunc' }): Tensor =>
      divisionBy(options?.roundingMode).inPlace(a, [b], null) as Tensor,
  },
)

/** −x. @see https://docs.pytorch.org/docs/stable/generated/torch.neg.html */
export const neg: Unary = /* @__PURE__ */ unary('neg', { value: (x) => x!.neg(), vjp: [(g) => g.neg()] })

/** |x|; the gradient at 0 is 0. @see https://docs.pytorch.org/docs/stable/generated/torch.abs.html */
export const abs: Unary = /* @__PURE__ */ unary('abs', { value: (x) => x!.abs(), vjp: [(g, { a }) => g.mul(a.sign())] })

/** −1, 0 or 1 by the sign of x. @see https://docs.pytorch.org/docs/stable/generated/torch.sign.html */
export const sign: Unary = /* @__PURE__ */ unary('sign', { value: (x) => x!.sign(), vjp: [zero] })

/** 1/x. @see https://docs.pytorch.org/docs/stable/generated/torch.reciprocal.html */
export const reciprocal: Unary = /* @__PURE__ */ unary('reciprocal', {
  result: 'float',
  value: (x) => x!.reciprocal(),
  vjp: [(g, { y }) => g.neg().mul(y.mul(y))],
})

/** x². @see https://docs.pytorch.org/docs/stable/generated/torch.square.html */
export const square: Unary = /* @__PURE__ */ unary('square', {
  node: 'PowBackward0',
  value: (x) => x!.mul(x!),
  vjp: [(g, { a }) => g.mul(a.mul(2))],
})

/** √x; the gradient at 0 is infinite. @see https://docs.pytorch.org/docs/stable/generated/torch.sqrt.html */
export const sqrt: Unary = /* @__PURE__ */ unary('sqrt', { result: 'float', value: (x) => x!.sqrt(), vjp: [(g, { y }) => g.div(y.mul(2))] })

/** 1/√x. @see https://docs.pytorch.org/docs/stable/generated/torch.rsqrt.html */
export const rsqrt: Unary = /* @__PURE__ */ unary('rsqrt', {
  result: 'float',
  value: (x) => x!.sqrt().reciprocal(),
  vjp: [(g, { y }) => g.mul(y.mul(y).mul(y)).mul(-0.5)],
})

// x^s for a number s. The exponents −1, ½, 1, 2, 3 and 0 have kernels of their own; every other s is a run-time scalar, so
// different exponents share one kernel. Scalars: s, s − 1.
const powScalar = /* @__PURE__ */ new ElementwiseOp('pow', 1, {
  node: 'PowBackward0',
  scalars: 2,
  value: (x, s) => x!.pow(s!),
  vjp: [(g, { a, s }) => g.mul(a.pow(s[1]!).mul(s[0]!))],
})
const powZero = /* @__PURE__ */ new ElementwiseOp('pow', 1, {
  node: 'PowBackward0',
  value: (x) => x!.where(x!.eq(0), 1).mul(0).add(1).where(x!.eq(x!), 1),
  vjp: [zero],
})
const powOne = /* @__PURE__ */ new ElementwiseOp('pow', 1, { node: 'PowBackward0', value: (x) => x!.add(0), vjp: [(g) => g.mul(1)] })
const powTwo = /* @__PURE__ */ new ElementwiseOp('pow', 1, {
  node: 'PowBackward0',
  value: (x) => x!.mul(x!),
  vjp: [(g, { a }) => g.mul(a.mul(2))],
})
const powThree = /* @__PURE__ */ new ElementwiseOp('pow', 1, {
  node: 'PowBackward0',
  value: (x) => x!.mul(x!).mul(x!),
  vjp: [(g, { a }) => g.mul(a.mul(a).mul(3))],
})
const powHalf = /* @__PURE__ */ new ElementwiseOp('pow', 1, {
  node: 'PowBackward0',
  result: 'float',
  value: (x) => x!.sqrt(),
  vjp: [(g, { a }) => g.mul(a.pow(-0.5).mul(0.5))],
})
// x^t with a tensor exponent: where t is 0 the slope in x is 0; where x is 0 and t ≥ 0 the slope in t is 0.
const powTensor = /* @__PURE__ */ new ElementwiseOp('pow', 2, {
  node: 'PowBackward1',
  value: (a, b) => a!.pow(b!),
  vjp: [(g, { a, b }) => g.mul(b.mul(powAny(a, b.sub(1)))).where(b.ne(0), 0), (g, v) => exponentRule(g, v)],
})
function exponentRule<V extends Arith<V>>(g: V, { a, b, y }: Slots<V>): V {
  if (typeof a === 'number') {
    return a === 0 ? g.mul(0).where(b.ge(0), Number.NEGATIVE_INFINITY) : g.mul(y.mul(Math.log(a)))
  }
  return g.mul(y.mul(a.log())).where(a.eq(0).logicalAnd(b.ge(0)).logicalNot(), 0)
}
const powAny = <V extends Arith<V>>(a: V, b: V): V => a.pow(b)
// s^t for a number s; scalars: s, ln s.
const powBase = /* @__PURE__ */ new ElementwiseOp('pow', 1, {
  node: 'PowBackward1',
  scalars: 2,
  value: (x, s) => s!.pow(x!),
  vjp: [(g, { a, y, s }) => g.mul(y.mul(s[1]!)).where(baseIsZero(a, s[0]!), 0)],
})
const baseIsZero = <V extends Arith<V>>(a: V, s: V | number): V => a.mul(0).add(s).ne(0).logicalOr(a.lt(0))

function powerOf(exponent: number, integer: boolean): { op: ElementwiseOp; s: number[] | null } {
  if (exponent === 2) return { op: powTwo, s: null }
  if (exponent === 3) return { op: powThree, s: null }
  if (exponent === 1) return { op: powOne, s: null }
  if (exponent === 0) return { op: powZero, s: null }
  if (exponent === 0.5) return { op: powHalf, s: null }
  if (integer && exponent < 0) throw new ArgumentError('pow: Integers to negative integer powers are not allowed.', { op: 'pow' })
  return { op: powScalar, s: [exponent, exponent - 1] }
}

function power(a: TensorOrNumber, b: TensorOrNumber): Tensor {
  if (typeof b === 'number') {
    if (!isTensor(a)) throw refuse('pow', a, 'argument 0')
    const float = a.dt.category === 2
    if (!float && !Number.isInteger(b)) return power((a as Tensor).to('float32'), b)
    const { op, s } = powerOf(b, !float)
    return op.call1(a, s) as Tensor
  }
  if (typeof a === 'number') {
    if (!isTensor(b)) throw refuse('pow', b, 'argument 1')
    const t = b.dt.category === 2 ? b : Number.isInteger(a) ? b : (b as Tensor).to('float32')
    return powBase.call1(t, [a, Math.log(a)]) as Tensor
  }
  return powTensor.call2(a, b, null) as Tensor
}

/**
 * a to the power b; either may be a JS number.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.pow.html
 */
export const pow: ((a: Tensor, b: TensorOrNumber) => Tensor) & HasOp & { readonly inPlace: (a: Tensor, b: TensorOrNumber) => Tensor } =
  /* @__PURE__ */ Object.assign(power as (a: Tensor, b: TensorOrNumber) => Tensor, {
    op: powTensor,
    inPlace: (a: Tensor, b: TensorOrNumber): Tensor => {
      if (typeof b !== 'number') return powTensor.inPlace(a, [b], null) as Tensor
      const { op, s } = powerOf(b, a.dt.category !== 2)
      return op.inPlace(a, [], s) as Tensor
    },
  })

/** The smaller of a and b; NaN wins; ties share the gradient. @see https://docs.pytorch.org/docs/stable/generated/torch.minimum.html */
export const minimum: Binary = /* @__PURE__ */ binary('minimum', {
  value: (a, b) => a!.minimum(b!),
  vjp: [(g, { a, b }) => half(g, a, b).where(a.gt(b).logicalNot(), 0), (g, { a, b }) => half(g, a, b).where(a.lt(b).logicalNot(), 0)],
})

/** The larger of a and b; NaN wins; ties share the gradient. @see https://docs.pytorch.org/docs/stable/generated/torch.maximum.html */
export const maximum: Binary = /* @__PURE__ */ binary('maximum', {
  value: (a, b) => a!.maximum(b!),
  vjp: [(g, { a, b }) => half(g, a, b).where(a.lt(b).logicalNot(), 0), (g, { a, b }) => half(g, a, b).where(a.gt(b).logicalNot(), 0)],
})
const half = <V extends Arith<V>>(g: V, a: V, b: V): V => g.mul(0.5).where(a.eq(b), g)

/** The remainder with the divisor's sign (Python's %). @see https://docs.pytorch.org/docs/stable/generated/torch.remainder.html */
export const remainder: Binary = /* @__PURE__ */ binary('remainder', {
  node: 'RemainderBackward1',
  value: (a, b) => a!.remainder(b!),
  vjp: [(g) => g, (g, { a, b }) => g.neg().mul(div2(a, b).floor())],
})

/** The remainder with the dividend's sign. @see https://docs.pytorch.org/docs/stable/generated/torch.fmod.html */
export const fmod: Binary = /* @__PURE__ */ binary('fmod', {
  node: 'FmodBackward1',
  value: (a, b) => a!.fmod(b!),
  vjp: [(g) => g, (g, { a, b }) => g.neg().mul(div2(a, b).trunc())],
})

/** a + weight·(b − a). @see https://docs.pytorch.org/docs/stable/generated/torch.lerp.html */
export const lerp: Ternary = /* @__PURE__ */ ternary('lerp', {
  node: 'LerpBackward0',
  // From the nearer end, so that both ends are met exactly.
  value: (a, b, w) => a!.add(w!.mul(b!.sub(a!))).where(w!.abs().lt(0.5), b!.sub(b!.sub(a!).mul(w!.neg().add(1)))),
  vjp: [
    (g, { c }) => (typeof c === 'number' ? g.mul(1 - c) : g.mul(c.neg().add(1))),
    (g, { c }) => g.mul(c),
    (g, { a, b }) => g.mul(diff(a, b)),
  ],
})
const diff = <V extends Arith<V>>(a: V, b: V): V => (typeof b === 'number' ? a.sub(b).neg() : b.sub(a))

const addcmulOp = /* @__PURE__ */ new ElementwiseOp('addcmul', 3, {
  node: 'AddcmulBackward0',
  scalars: 1,
  value: (x, a, b, s) => x!.add(a!.mul(b!).mul(s!)),
  vjp: [(g) => g, (g, { c, s }) => g.mul(c).mul(s[0]!), (g, { b, s }) => g.mul(b).mul(s[0]!)],
})
type Fused = ((x: Tensor, a: Tensor, b: Tensor, options?: { value?: number }) => Tensor) &
  HasOp & { readonly inPlace: (x: Tensor, a: Tensor, b: Tensor, options?: { value?: number }) => Tensor }
// @__NO_SIDE_EFFECTS__
function fused(op: ElementwiseOp): Fused {
  return Object.assign(
    (x: Tensor, a: Tensor, b: Tensor, options?: { value?: number }): Tensor => op.call3(x, a, b, [options?.value ?? 1]) as Tensor,
    {
      op,
      inPlace: (x: Tensor, a: Tensor, b: Tensor, options?: { value?: number }): Tensor =>
        op.inPlace(x, [a, b], [options?.value ?? 1]) as Tensor,
    },
  )
}

/** x + value·a·b. @see https://docs.pytorch.org/docs/stable/generated/torch.addcmul.html */
export const addcmul: Fused = /* @__PURE__ */ fused(addcmulOp)

const addcdivOp = /* @__PURE__ */ new ElementwiseOp('addcdiv', 3, {
  node: 'AddcdivBackward0',
  scalars: 1,
  value: (x, a, b, s) => x!.add(a!.div(b!).mul(s!)),
  vjp: [(g) => g, (g, { c, s }) => g.mul(s[0]!).div(c), (g, { b, c, s }) => g.neg().mul(s[0]!).mul(b.div(c)).div(c)],
})

/** x + value·a/b. @see https://docs.pytorch.org/docs/stable/generated/torch.addcdiv.html */
export const addcdiv: Fused = /* @__PURE__ */ fused(addcdivOp)

/** Bounds of `clamp`: numbers, either may be absent. */
export interface Bounds {
  readonly min?: number
  readonly max?: number
}
const inside = <V extends Arith<V>>(a: V, low: V | number, high: V | number): V => a.ge(low).logicalAnd(a.le(high))

/**
 * x limited to [min, max]; the gradient is 1 at the bounds, 0 outside.
 * Errors: ArgumentError when neither bound is given.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.clamp.html
 */
export const clamp: Parametric<[bounds: Bounds]> = /* @__PURE__ */ parametric(
  'clamp',
  {
    node: 'ClampBackward1',
    scalars: 2,
    value: (x, low, high) => x!.maximum(low!).minimum(high!),
    vjp: [(g, { a, s }) => g.where(inside(a, s[0]!, s[1]!), 0)],
  },
  (bounds: Bounds) => {
    if (bounds?.min === undefined && bounds?.max === undefined)
      throw new ArgumentError('clamp: At least one of min or max must not be undefined', { op: 'clamp' })
    return [bounds.min ?? Number.NEGATIVE_INFINITY, bounds.max ?? Number.POSITIVE_INFINITY]
  },
)
