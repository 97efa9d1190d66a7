/** Elementwise functions that are used now and then: functions only, so that bundles carry those that are called. */

import { erfc as erfcOf } from '../backend/erf.ts'
import type { Arith } from '../backend/scalar.ts'
import { ArgumentError, DTypeError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { ElementwiseOp, type TensorOrNumber } from '../op/elementwise.ts'
import { OUT } from '../op/general.ts'
import { type Binary, binary, type Unary, unary } from '../op/kinds.ts'
import { mapped } from '../op/mapped.ts'
import { noKernel } from '../op/operands.ts'
import { checkOptions, optionsOr } from '../options.ts'
import { expectTensor } from '../tensor.ts'
import { div } from './arithmetic.ts'
import { bessel, besselScaled } from './bessel.ts'
import { digamma as digammaOf, erfinv as erfinvOf, lgamma as lgammaOf, polygamma as polygammaOf } from './gamma.ts'
import { lift, zero } from './rules.ts'

/** Does the sign bit say minus? The reciprocal tells −0 from 0. */
const negative = <V extends Arith<V>>(x: V): V => x.lt(0).logicalOr(x.eq(0).logicalAnd(x.reciprocal().lt(0)))
const finite = <V extends Arith<V>>(x: V): V => x.abs().lt(Number.POSITIVE_INFINITY)

/**
 * ln(eᵃ + eᵇ) without overflow.
 * @example
 * logaddexp(tensor([0]), tensor([0])) // tensor([0.6931])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.logaddexp.html
 */
export const logaddexp: Binary = /* @__PURE__ */ binary('logaddexp', {
  result: 'float',
  value: (a, b) => {
    const larger = a!.maximum(b!)
    return larger.add(a!.sub(b!).abs().neg().exp().log1p()).where(a!.eq(b!).logicalAnd(finite(a!).logicalNot()).logicalNot(), larger)
  },
  vjp: [(g, { a, b }) => g.div(lift(b, a).sub(a).exp().add(1)), (g, { a, b }) => g.div(lift(a, b).sub(b).exp().add(1))],
})

/**
 * log₂(2ᵃ + 2ᵇ) without overflow.
 * @example
 * logaddexp2(tensor([3]), tensor([3])).tolist() // [4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.logaddexp2.html
 */
export const logaddexp2: Binary = /* @__PURE__ */ binary('logaddexp2', {
  result: 'float',
  value: (a, b) => {
    const larger = a!.maximum(b!)
    const sum = larger.add(a!.sub(b!).abs().neg().exp2().log1p().mul(Math.LOG2E))
    return sum.where(a!.eq(b!).logicalAnd(finite(a!).logicalNot()).logicalNot(), larger)
  },
  vjp: [(g, { a, b }) => g.div(lift(b, a).sub(a).exp2().add(1)), (g, { a, b }) => g.div(lift(a, b).sub(b).exp2().add(1))],
})

const byNumber =
  (...names: readonly [both: string, second: string, first: string]) =>
  (numbers: number): string =>
    names[numbers & 1 ? 2 : numbers & 2 ? 1 : 0]

/**
 * a · ln b, and 0 where a is 0 (b may be 0 there, too).
 * @example
 * xlogy(tensor([0, 1]), tensor([0, 2])) // tensor([0.0000, 0.6931])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.xlogy
 */
export const xlogy: Binary = /* @__PURE__ */ binary('xlogy', {
  node: /* @__PURE__ */ byNumber('XlogyBackward0', 'XlogyBackward2', 'XlogyBackward1'),
  result: 'float',
  value: (a, b) => a!.mul(b!.log()).where(a!.ne(0), zero(a!)).where(b!.eq(b!), b!),
  vjp: [
    (g, { a, b }) => g.mul(lift(b, a).log()).where(a.eq(0).logicalAnd(lift(b, a).le(0)).logicalNot(), 0),
    (g, { a, b }) => g.mul(a).div(b),
  ],
})

/**
 * a · ln(1 + b), and 0 where a is 0.
 * @example
 * xlog1py(tensor([0, 1]), tensor([-1, 1])) // tensor([0.0000, 0.6931])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.xlog1py
 */
export const xlog1py: Binary = /* @__PURE__ */ binary('xlog1py', {
  node: /* @__PURE__ */ byNumber('SpecialXlog1PyBackward0', 'SpecialXlog1PyBackward2', 'SpecialXlog1PyBackward1'),
  result: 'float',
  value: (a, b) => a!.mul(b!.log1p()).where(a!.ne(0), zero(a!)).where(b!.eq(b!), b!),
  vjp: [
    (g, { a, b }) => g.mul(lift(b, a).log1p()).where(a.eq(0).logicalAnd(lift(b, a).le(-1)).logicalNot(), 0),
    (g, { a, b }) => g.mul(a).div(b.add(1)),
  ],
})

/**
 * √(a² + b²) without overflow.
 * @example
 * hypot(tensor([3]), tensor([4])).tolist() // [5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.hypot.html
 */
export const hypot: Binary = /* @__PURE__ */ binary('hypot', {
  refuses: /* @__PURE__ */ noKernel('hypot_cpu', 2),
  value: (a, b) => {
    const large = a!.abs().maximum(b!.abs())
    const ratio = a!.abs().minimum(b!.abs()).div(large)
    const y = large.mul(ratio.mul(ratio).add(1).sqrt()).where(large.ne(0), 0)
    const infinite = a!.abs().eq(Number.POSITIVE_INFINITY).logicalOr(b!.abs().eq(Number.POSITIVE_INFINITY))
    return y.where(infinite.logicalNot(), Number.POSITIVE_INFINITY)
  },
  vjp: [(g, { a, y }) => g.mul(a.div(y)), (g, { b, y }) => g.mul(b.div(y))],
})

/**
 * |a| with the sign of b (of −0, too); the gradient at a = 0 is 0.
 * @example
 * copysign(tensor([1, 2]), -0).tolist() // [-1, -2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.copysign.html
 */
export const copysign: Binary = /* @__PURE__ */ binary('copysign', {
  node: (numbers) => (numbers > 0 ? 'CopysignBackward1' : 'CopysignBackward0'),
  result: 'float',
  value: (a, b) => a!.abs().neg().where(negative(b!), a!.abs()),
  vjp: [(g, { a, y }) => g.mul(y.div(a).where(a.ne(0), 0)), zero],
})

const floatSign = /* @__PURE__ */ new ElementwiseOp('signbit', 1, { result: 'bool', value: (x) => negative(x!) })
const integerSign = /* @__PURE__ */ new ElementwiseOp('signbit', 1, { result: 'bool', value: (x) => x!.lt(0) })

/**
 * Is the sign bit set? True for −0.
 * @example
 * signbit(tensor([-1, -0, 2])).tolist() // [true, true, false]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.signbit.html
 */
export function signbit(x: Tensor): Tensor {
  expectTensor('signbit', x, 'argument 0')
  return (x.dt.floating ? floatSign : integerSign).call1(x, null) as Tensor
}

const heavisideOp = /* @__PURE__ */ new ElementwiseOp('heaviside', 2, {
  node: 'torch::autograd::NotImplemented',
  underived: true,
  value: (x, values) => values!.where(x!.eq(0), x!.gt(0).where(x!.eq(x!), 0)),
})

/**
 * 0 below 0 (and for NaN), 1 above, `values` at 0. Errors: DTypeError for different dtypes, in a backward pass UnsupportedError.
 * @example
 * heaviside(tensor([-1, 0, 2]), tensor([0.5])).tolist() // [0, 0.5, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.heaviside.html
 */
export function heaviside(x: Tensor, values: Tensor): Tensor {
  expectTensor('heaviside', x, 'argument 0')
  expectTensor('heaviside', values, 'values')
  if (x.dt !== values.dt) {
    throw new DTypeError(
      `heaviside is not yet implemented for tensors with different dtypes: ${x.dtype} and ${values.dtype}; convert one of them with to(…)`,
      { op: 'heaviside', dtypes: [x.dtype, values.dtype] },
    )
  }
  return heavisideOp.call2(x, values, null) as Tensor
}

/**
 * ⌊a / b⌋; the gradient is 0. Errors: ArgumentError for integers by 0.
 * @example
 * floorDivide(tensor([7, -7]), 2).tolist() // [3, -4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.floor_divide.html
 */
export function floorDivide(a: Tensor, b: TensorOrNumber): Tensor {
  return div(a, b, { roundingMode: 'floor' })
}

const nanToNumOp = /* @__PURE__ */ new ElementwiseOp('nanToNum', 1, {
  scalars: 3,
  value: (x, nan, high, low) =>
    nan!.where(x!.ne(x!), high!.where(x!.eq(Number.POSITIVE_INFINITY), low!.where(x!.eq(Number.NEGATIVE_INFINITY), x!))),
  vjp: [(g, { a }) => g.where(finite(a), 0)],
})
const LARGEST = { float32: 3.4028234663852886e38, float64: Number.MAX_VALUE }

/**
 * NaNs become `nan` (0), infinities `posinf` and `neginf` (the largest and smallest numbers of the dtype); their gradient is 0.
 * @example
 * nanToNum(tensor([NaN, 1]), { nan: 0 }).tolist() // [0, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nan_to_num.html
 */
export function nanToNum(x: Tensor, options: { readonly nan?: number; readonly posinf?: number; readonly neginf?: number } = {}): Tensor {
  expectTensor('nanToNum', x, 'argument 0')
  checkOptions('nanToNum', options, { nan: 'number', posinf: 'number', neginf: 'number' })
  if (!x.dt.floating) return x.clone()
  const largest = x.dt.name === 'float32' ? LARGEST.float32 : LARGEST.float64
  return nanToNumOp.call1(x, [options.nan ?? 0, options.posinf ?? largest, options.neginf ?? -largest]) as Tensor
}

/**
 * Degrees as radians.
 * @example
 * deg2rad(tensor([180])) // tensor([3.1416])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.deg2rad.html
 */
export const deg2rad: Unary = /* @__PURE__ */ unary('deg2rad', {
  node: 'Deg2RadBackward0',
  result: 'float',
  value: (x) => x!.mul(Math.PI / 180),
  vjp: [(g) => g.mul(Math.PI / 180)],
})

/**
 * Radians as degrees.
 * @example
 * rad2deg(tensor([Math.PI])).item() // 180
 * @see https://docs.pytorch.org/docs/stable/generated/torch.rad2deg.html
 */
export const rad2deg: Unary = /* @__PURE__ */ unary('rad2deg', {
  node: 'Rad2DegBackward0',
  result: 'float',
  value: (x) => x!.mul(180 / Math.PI),
  vjp: [(g) => g.mul(180 / Math.PI)],
})

const logitPlain = /* @__PURE__ */ new ElementwiseOp('logit', 1, {
  result: 'float',
  value: (x) => x!.div(x!.neg().add(1)).log(),
  vjp: [(g, { a }) => g.div(a.mul(a.neg().add(1))).where(a.ge(0).logicalAnd(a.le(1)), Number.NaN)],
})
const logitWithin = /* @__PURE__ */ new ElementwiseOp('logit', 1, {
  result: 'float',
  scalars: 2,
  value: (x, low, high) => {
    const z = x!.maximum(low!).minimum(high!)
    return z.div(z.neg().add(1)).log()
  },
  vjp: [(g, { a, s }) => g.div(a.mul(a.neg().add(1))).where(a.ge(s[0]!).logicalAnd(a.le(s[1]!)), 0)],
})

/**
 * ln(x / (1 − x)); with `eps`, x is first brought into [eps, 1 − eps].
 * @example
 * logit(tensor([0.5, 0.9])) // tensor([0.0000, 2.1972])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.logit
 */
export function logit(x: Tensor, options: number | { readonly eps?: number } = {}): Tensor {
  const { eps } = optionsOr('logit', 'eps', options, { eps: 'number' })
  return (eps === undefined ? logitPlain.call1(x, null) : logitWithin.call1(x, [eps, 1 - eps])) as Tensor
}

/**
 * sin(πx) / (πx), and 1 at 0.
 * @example
 * sinc(tensor([0, 0.5])) // tensor([1.0000, 0.6366])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.sinc
 */
export const sinc: Unary = /* @__PURE__ */ unary('sinc', {
  result: 'float',
  value: (x) => {
    const z = x!.mul(Math.PI)
    return z.sin().div(z).where(x!.ne(0), 1)
  },
  vjp: [
    (g, { a }) => {
      const z = a.mul(Math.PI)
      const square = a.mul(z)
      return g.mul(z.mul(z.cos()).sub(z.sin()).div(square)).where(square.ne(0), 0)
    },
  ],
})

/**
 * −x ln x, 0 at 0, −∞ below.
 * @example
 * entr(tensor([0.5])) // tensor([0.3466])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.entr
 */
export const entr: Unary = /* @__PURE__ */ unary('entr', {
  node: 'SpecialEntrBackward0',
  result: 'float',
  value: (x) => x!.neg().mul(x!.log()).where(x!.ne(0), 0).where(x!.lt(0).logicalNot(), Number.NEGATIVE_INFINITY),
  vjp: [(g, { a }) => g.mul(a.log().neg().sub(1))],
})

const erfcMap = /* @__PURE__ */ mapped<null>('erfc', {
  node: 'ErfcBackward0',
  value: erfcOf,
  reads: [0],
  rule: (g, c) => {
    const x = c.in(0)
    return g.mul(
      x
        .mul(x)
        .neg()
        .exp()
        .mul(-2 / Math.sqrt(Math.PI)),
    )
  },
})

/**
 * 1 − erf x without cancellation: within 2 ulp in float64.
 * @example
 * erfc(tensor([0, 1])) // tensor([1.0000, 0.1573])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.erfc
 */
export function erfc(x: Tensor): Tensor {
  return erfcMap(x, null)
}

const erfinvMap = /* @__PURE__ */ mapped<null>('erfinv', {
  node: 'ErfinvBackward0',
  value: erfinvOf,
  reads: [OUT],
  rule: (g, c) => {
    const y = c.out()
    return g.mul(
      y
        .mul(y)
        .exp()
        .mul(Math.sqrt(Math.PI) / 2),
    )
  },
})

/**
 * The y with erf y = x.
 * @example
 * erfinv(tensor([0, 0.5])) // tensor([0.0000, 0.4769])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.erfinv
 */
export function erfinv(x: Tensor): Tensor {
  return erfinvMap(x, null)
}

const lgammaMap = /* @__PURE__ */ mapped<null>('lgamma', {
  node: 'LgammaBackward0',
  value: lgammaOf,
  reads: [0],
  rule: (g, c) => g.mul(digamma(c.in(0))),
})

/**
 * ln |Γ(x)|.
 * @example
 * lgamma(tensor([1, 5])) // tensor([0.0000, 3.1781])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.gammaln
 */
export function lgamma(x: Tensor): Tensor {
  return lgammaMap(x, null)
}

const digammaMap = /* @__PURE__ */ mapped<null>('digamma', {
  node: 'DigammaBackward0',
  value: digammaOf,
  reads: [0],
  rule: (g, c) => g.mul(polygamma(1, c.in(0))),
})

/**
 * The derivative of ln Γ.
 * @example
 * digamma(tensor([1])) // tensor([-0.5772])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.digamma
 */
export function digamma(x: Tensor): Tensor {
  return digammaMap(x, null)
}

const polygammaMap = /* @__PURE__ */ mapped<number>('polygamma', {
  node: 'PolygammaBackward0',
  value: polygammaOf,
  reads: [0],
  rule: (g, c) => g.mul(polygamma(c.p + 1, c.in(0))),
})

/**
 * Derivative n of digamma. Errors: ArgumentError for an n that isn't a whole number ≥ 0.
 * @example
 * polygamma(1, tensor([1])) // tensor([1.6449])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.polygamma
 */
export function polygamma(n: number, x: Tensor): Tensor {
  if (!Number.isInteger(n) || n < 0)
    throw new ArgumentError(`polygamma(n, x) does not support negative n. (got n = ${n})`, { op: 'polygamma' })
  return polygammaMap(x, n)
}

const i0Map = /* @__PURE__ */ mapped<null>('i0', {
  node: 'I0Backward0',
  value: (x) => bessel(x, 0),
  reads: [0],
  rule: (g, c) => g.mul(i1(c.in(0))),
})

/**
 * The modified Bessel function I₀.
 * @example
 * i0(tensor([0, 1])) // tensor([1.0000, 1.2661])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.i0
 */
export function i0(x: Tensor): Tensor {
  return i0Map(x, null)
}

const i0eMap = /* @__PURE__ */ mapped<null>('i0e', {
  node: 'SpecialI0EBackward0',
  value: (x) => besselScaled(x, 0),
  reads: [0, OUT],
  rule: (g, c) => g.mul(i1e(c.in(0)).sub(c.in(0).sign().mul(c.out()))),
})

/**
 * e^−|x| I₀(x).
 * @example
 * i0e(tensor([0, 1])) // tensor([1.0000, 0.4658])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.i0e
 */
export function i0e(x: Tensor): Tensor {
  return i0eMap(x, null)
}

const i1Map = /* @__PURE__ */ mapped<null>('i1', {
  node: 'SpecialI1Backward0',
  value: (x) => bessel(x, 1),
  reads: [0, OUT],
  // I₁′ = I₀ − I₁/x, and ½ at 0.
  rule: (g, c) => {
    const x = c.in(0)
    const some = x.ne(0)
    return g.mul(
      i0(x)
        .sub(c.out().div(x.where(some, 1)))
        .where(some, 0.5),
    )
  },
})

/**
 * The modified Bessel function I₁.
 * @example
 * i1(tensor([0, 1])) // tensor([0.0000, 0.5652])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.i1
 */
export function i1(x: Tensor): Tensor {
  return i1Map(x, null)
}

const i1eMap = /* @__PURE__ */ mapped<null>('i1e', {
  node: 'SpecialI1EBackward0',
  value: (x) => besselScaled(x, 1),
  reads: [0, OUT],
  rule: (g, c) => {
    const x = c.in(0)
    const some = x.ne(0)
    const slope = i0e(x).sub(c.out().mul(x.sign().add(x.where(some, 1).reciprocal())))
    return g.mul(slope.where(some, 0.5))
  },
})

/**
 * e^−|x| I₁(x).
 * @example
 * i1e(tensor([0, 1])) // tensor([0.0000, 0.2079])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.i1e
 */
export function i1e(x: Tensor): Tensor {
  return i1eMap(x, null)
}

/**
 * ln Γₚ(x), the multivariate log-gamma function: Σ ln Γ(x − k/2) for k = 0 … p − 1, and p(p−1)/4 · ln π.
 * Errors: ArgumentError for a p that isn't a whole number ≥ 1.
 * @example
 * mvlgamma(tensor([2]), 2) // tensor([0.4516])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.multigammaln
 */
export function mvlgamma(x: Tensor, p: number): Tensor {
  if (!Number.isInteger(p) || p < 1)
    throw new ArgumentError(`mvlgamma: p has to be greater than or equal to 1, got ${p}`, { op: 'mvlgamma' })
  if (p > 1e6)
    throw new ArgumentError(`mvlgamma: p may be at most 1000000 here, as it counts the terms of a sum, got ${p}`, { op: 'mvlgamma' })
  return mvlgammaMap(x, p)
}
const mvlgammaMap = /* @__PURE__ */ mapped<number>('mvlgamma', {
  node: 'MvlgammaBackward0',
  value: (x, p) => {
    let sum = (p * (p - 1) * Math.log(Math.PI)) / 4
    for (let k = 0; k < p; k++) sum += lgammaOf(x - k / 2)
    return sum
  },
  reads: [0],
  rule: (g, c) => {
    const x = c.in(0)
    let sum = digamma(x)
    for (let k = 1; k < c.p; k++) sum = sum.add(digamma(x.sub(k / 2)))
    return g.mul(sum)
  },
})
