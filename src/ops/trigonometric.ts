/** Trigonometric and hyperbolic functions and their inverses. */
import { type Binary, binary, type Unary, unary } from '../op/kinds.ts'

/**
 * The sine of x radians.
 * @example
 * tensor([0, 1]).sin() // tensor([0.0000, 0.8415])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.sin.html
 */
export const sin: Unary = /* @__PURE__ */ unary('sin', { result: 'float', value: (x) => x!.sin(), vjp: [(g, { a }) => g.mul(a.cos())] })

/**
 * The cosine of x radians.
 * @example
 * tensor([0, 1]).cos() // tensor([1.0000, 0.5403])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cos.html
 */
export const cos: Unary = /* @__PURE__ */ unary('cos', {
  result: 'float',
  value: (x) => x!.cos(),
  vjp: [(g, { a }) => g.mul(a.sin().neg())],
})

/**
 * The tangent of x radians.
 * @example
 * tensor([0, 1]).tan() // tensor([0.0000, 1.5574])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.tan.html
 */
export const tan: Unary = /* @__PURE__ */ unary('tan', {
  result: 'float',
  value: (x) => x!.tan(),
  vjp: [(g, { y }) => g.mul(y.mul(y).add(1))],
})

/**
 * The arc sine, in radians.
 * @example
 * tensor([0, 1]).asin() // tensor([0.0000, 1.5708])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.asin.html
 */
export const asin: Unary = /* @__PURE__ */ unary('asin', {
  result: 'float',
  value: (x) => x!.asin(),
  vjp: [(g, { a }) => g.div(a.mul(a).neg().add(1).sqrt())],
})

/**
 * The arc cosine, in radians.
 * @example
 * tensor([1, 0]).acos() // tensor([0.0000, 1.5708])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.acos.html
 */
export const acos: Unary = /* @__PURE__ */ unary('acos', {
  result: 'float',
  value: (x) => x!.acos(),
  vjp: [(g, { a }) => g.neg().div(a.mul(a).neg().add(1).sqrt())],
})

/**
 * The arc tangent, in radians.
 * @example
 * tensor([0, 1]).atan() // tensor([0.0000, 0.7854])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.atan.html
 */
export const atan: Unary = /* @__PURE__ */ unary('atan', {
  result: 'float',
  value: (x) => x!.atan(),
  vjp: [(g, { a }) => g.div(a.mul(a).add(1))],
})

/**
 * The angle of the point (b, a), in radians; the gradient at the origin is 0.
 * @example
 * tensor([1, -1]).atan2(tensor([0, 0])) // tensor([1.5708, -1.5708])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.atan2.html
 */
export const atan2: Binary = /* @__PURE__ */ binary('atan2', {
  result: 'float',
  value: (a, b) => a!.atan2(b!),
  vjp: [
    (g, { a, b }) =>
      g
        .mul(b)
        .div(a.mul(a).add(b.mul(b)))
        .where(a.eq(0).logicalAnd(b.eq(0)).logicalNot(), 0),
    (g, { a, b }) =>
      g
        .neg()
        .mul(a)
        .div(a.mul(a).add(b.mul(b)))
        .where(a.eq(0).logicalAnd(b.eq(0)).logicalNot(), 0),
  ],
})

/**
 * The hyperbolic sine.
 * @example
 * tensor([0, 1]).sinh() // tensor([0.0000, 1.1752])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.sinh.html
 */
export const sinh: Unary = /* @__PURE__ */ unary('sinh', { result: 'float', value: (x) => x!.sinh(), vjp: [(g, { a }) => g.mul(a.cosh())] })

/**
 * The hyperbolic cosine.
 * @example
 * tensor([0, 1]).cosh() // tensor([1.0000, 1.5431])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cosh.html
 */
export const cosh: Unary = /* @__PURE__ */ unary('cosh', { result: 'float', value: (x) => x!.cosh(), vjp: [(g, { a }) => g.mul(a.sinh())] })

/**
 * The hyperbolic tangent.
 * @example
 * tensor([0, 1]).tanh() // tensor([0.0000, 0.7616])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.tanh.html
 */
export const tanh: Unary = /* @__PURE__ */ unary('tanh', {
  result: 'float',
  value: (x) => x!.tanh(),
  vjp: [(g, { y }) => g.mul(y.mul(y).neg().add(1))],
})

/**
 * The inverse hyperbolic sine.
 * @example
 * tensor([0, 1]).asinh() // tensor([0.0000, 0.8814])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.asinh.html
 */
export const asinh: Unary = /* @__PURE__ */ unary('asinh', {
  result: 'float',
  value: (x) => x!.asinh(),
  vjp: [(g, { a }) => g.div(a.mul(a).add(1).sqrt())],
})

/**
 * The inverse hyperbolic cosine.
 * @example
 * tensor([1, 2]).acosh() // tensor([0.0000, 1.3170])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.acosh.html
 */
export const acosh: Unary = /* @__PURE__ */ unary('acosh', {
  result: 'float',
  value: (x) => x!.acosh(),
  vjp: [(g, { a }) => g.div(a.mul(a).sub(1).sqrt())],
})

/**
 * The inverse hyperbolic tangent.
 * @example
 * tensor([0, 0.5]).atanh() // tensor([0.0000, 0.5493])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.atanh.html
 */
export const atanh: Unary = /* @__PURE__ */ unary('atanh', {
  result: 'float',
  value: (x) => x!.atanh(),
  vjp: [(g, { a }) => g.div(a.mul(a).neg().add(1))],
})
