/** Powers and roots. */
import type { Arith } from '../backend/scalar.ts'
import { type DTypeInfo, promoteScalar } from '../dtype.ts'
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { ElementwiseOp, type Slots, type TensorOrNumber } from '../op/elementwise.ts'
import { type HasOp, type Unary, unary } from '../op/kinds.ts'
import { noKernel, refuseResult } from '../op/operands.ts'
import { isTensor, refuse } from '../tensor.ts'
import { zero } from './rules.ts'

/**
 * 1/x.
 * @example
 * tensor([2, 4]).reciprocal().tolist() // [0.5, 0.25]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.reciprocal.html
 */
export const reciprocal: Unary = /* @__PURE__ */ unary('reciprocal', {
  result: 'float',
  value: (x) => x!.reciprocal(),
  vjp: [(g, { y }) => g.neg().mul(y.mul(y))],
})

/**
 * x².
 * @example
 * tensor([-2, 3]).square().tolist() // [4, 9]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.square.html
 */
export const square: Unary = /* @__PURE__ */ unary('square', {
  node: 'PowBackward0',
  fixed: { exponent: 2 },
  result: 'integer',
  value: (x) => x!.mul(x!),
  vjp: [(g, { a }) => g.mul(a.mul(2))],
})

/**
 * √x; the gradient at 0 is infinite.
 * @example
 * tensor([4, 9]).sqrt().tolist() // [2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.sqrt.html
 */
export const sqrt: Unary = /* @__PURE__ */ unary('sqrt', { result: 'float', value: (x) => x!.sqrt(), vjp: [(g, { y }) => g.div(y.mul(2))] })

/**
 * 1/√x.
 * @example
 * tensor([1, 4]).rsqrt().tolist() // [1, 0.5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.rsqrt.html
 */
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
  names: ['self', 'exponent'],
  value: (x, s) => x!.pow(s!),
  vjp: [(g, { a, s }) => g.mul(a.pow(s[1]!).mul(s[0]!))],
})
const powZero = /* @__PURE__ */ new ElementwiseOp('pow', 1, {
  node: 'PowBackward0',
  fixed: { exponent: 0 },
  value: (x) => x!.where(x!.eq(0), 1).mul(0).add(1).where(x!.eq(x!), 1),
  vjp: [zero],
})
const powOne = /* @__PURE__ */ new ElementwiseOp('pow', 1, {
  node: 'PowBackward0',
  fixed: { exponent: 1 },
  value: (x) => x!.add(0),
  vjp: [(g) => g.mul(1)],
})
const powTwo = /* @__PURE__ */ new ElementwiseOp('pow', 1, {
  node: 'PowBackward0',
  fixed: { exponent: 2 },
  value: (x) => x!.mul(x!),
  vjp: [(g, { a }) => g.mul(a.mul(2))],
})
const powThree = /* @__PURE__ */ new ElementwiseOp('pow', 1, {
  node: 'PowBackward0',
  fixed: { exponent: 3 },
  value: (x) => x!.mul(x!).mul(x!),
  vjp: [(g, { a }) => g.mul(a.mul(a).mul(3))],
})
const powHalf = /* @__PURE__ */ new ElementwiseOp('pow', 1, {
  node: 'PowBackward0',
  fixed: { exponent: 0.5 },
  result: 'float',
  value: (x) => x!.sqrt(),
  vjp: [(g, { a }) => g.mul(a.pow(-0.5).mul(0.5))],
})
// x^t with a tensor exponent: where t is 0 the slope in x is 0; where x is 0 and t ≥ 0 the slope in t is 0.
const powTensor = /* @__PURE__ */ new ElementwiseOp('pow', 2, {
  node: 'PowBackward1',
  names: ['self', 'exponent'],
  refuses: /* @__PURE__ */ noKernel('pow', 1),
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
  node: 'PowBackward2',
  scalars: 2,
  names: ['exponent', 'self'],
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
  if (integer && exponent < 0) {
    throw new ArgumentError(`Integers to negative integer powers are not allowed. (pow of integers by ${exponent}); use x.to('float32')`, {
      op: 'pow',
    })
  }
  return { op: powScalar, s: [exponent, exponent - 1] }
}

/** The operation for a power with a number for exponent, and x in the type that both promote to. */
function byNumber(x: Tensor, exponent: number | boolean): { op: ElementwiseOp; s: number[] | null; dt: DTypeInfo } {
  const dt = promoteScalar(x.dt, exponent)
  return { ...powerOf(Number(exponent), dt.category !== 2), dt }
}

function power(a: TensorOrNumber, b: TensorOrNumber): Tensor {
  if (isTensor(a)) {
    if (typeof b !== 'number' && typeof b !== 'boolean') return powTensor.call2(a, b, null) as Tensor
    const { op, s, dt } = byNumber(a as Tensor, b)
    return op.call1(dt === a.dt ? a : (a as Tensor).to(dt.name), s) as Tensor
  }
  if (!isTensor(b)) throw refuse('pow', b, 'argument 1')
  if (typeof a !== 'number' && typeof a !== 'boolean') throw refuse('pow', a, 'argument 0')
  const base = Number(a)
  const dt = promoteScalar(b.dt, a)
  return powBase.call1(dt === b.dt ? b : (b as Tensor).to(dt.name), [base, Math.log(base)]) as Tensor
}

/**
 * a to the power b; either may be a JS number.
 * @example
 * tensor([1, 2, 3]).pow(2).tolist() // [1, 4, 9]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.pow.html
 */
export const pow: ((a: Tensor, b: TensorOrNumber) => Tensor) & HasOp & { readonly inPlace: (a: Tensor, b: TensorOrNumber) => Tensor } =
  /* @__PURE__ */ Object.assign(power as (a: Tensor, b: TensorOrNumber) => Tensor, {
    op: powTensor,
    inPlace: (a: Tensor, b: TensorOrNumber): Tensor => {
      if (typeof b !== 'number' && typeof b !== 'boolean') return powTensor.inPlace(a, [b], null) as Tensor
      const { op, s, dt } = byNumber(a, b)
      if (dt.category > a.dt.category) throw refuseResult('pow', dt, a.dt)
      return op.inPlace(a, [], s) as Tensor
    },
  })
