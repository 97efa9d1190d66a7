/** Trigonometric and hyperbolic functions and their inverses. */
import { type Binary, binary, type Unary, unary } from '../op/kinds.ts'

/** The sine of x radians. @see https://docs.pytorch.org/docs/stable/generated/torch.sin.html */
export const sin: Unary = /* @__PURE__ */ unary('sin', { result: 'float', value: (x) => x!.sin(), vjp: [(g, { a }) => g.mul(a.cos())] })

/** The cosine of x radians. @see https://docs.pytorch.org/docs/stable/generated/torch.cos.html */
export const cos: Unary = /* @__PURE__ */ unary('cos', {
  result: 'float',
  value: (x) => x!.cos(),
  vjp: [(g, { a }) => g.mul(a.sin().neg())],
})

/** The tangent of x radians. @see https://docs.pytorch.org/docs/stable/generated/torch.tan.html */
export const tan: Unary = /* @__PURE__ */ unary('tan', {
  result: 'float',
  value: (x) => x!.tan(),
  vjp: [(g, { y }) => g.mul(y.mul(y).add(1))],
})

/** The arc sine, in radians. @see https://docs.pytorch.org/docs/stable/generated/torch.asin.html */
export const asin: Unary = /* @__PURE__ */ unary('asin', {
  result: 'float',
  value: (x) => x!.asin(),
  vjp: [(g, { a }) => g.div(a.mul(a).neg().add(1).sqrt())],
})

/** The arc cosine, in radians. @see https://docs.pytorch.org/docs/stable/generated/torch.acos.html */
export const acos: Unary = /* @__PURE__ */ unary('acos', {
  result: 'float',
  value: (x) => x!.acos(),
  vjp: [(g, { a }) => g.neg().div(a.mul(a).neg().add(1).sqrt())],
})

/** The arc tangent, in radians. @see https://docs.pytorch.org/docs/stable/generated/torch.atan.html */
export const atan: Unary = /* @__PURE__ */ unary('atan', {
  result: 'float',
  value: (x) => x!.atan(),
  vjp: [(g, { a }) => g.div(a.mul(a).add(1))],
})

/** The angle of the point (b, a), in radians; the gradient at the origin is 0. @see https://docs.pytorch.org/docs/stable/generated/torch.atan2.html */
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

/** The hyperbolic sine. @see https://docs.pytorch.org/docs/stable/generated/torch.sinh.html */
export const sinh: Unary = /* @__PURE__ */ unary('sinh', { result: 'float', value: (x) => x!.sinh(), vjp: [(g, { a }) => g.mul(a.cosh())] })

/** The hyperbolic cosine. @see https://docs.pytorch.org/docs/stable/generated/torch.cosh.html */
export const cosh: Unary = /* @__PURE__ */ unary('cosh', { result: 'float', value: (x) => x!.cosh(), vjp: [(g, { a }) => g.mul(a.sinh())] })

/** The hyperbolic tangent. @see https://docs.pytorch.org/docs/stable/generated/torch.tanh.html */
export const tanh: Unary = /* @__PURE__ */ unary('tanh', {
  result: 'float',
  value: (x) => x!.tanh(),
  vjp: [(g, { y }) => g.mul(y.mul(y).neg().add(1))],
})

/** The inverse hyperbolic sine. @see https://docs.pytorch.org/docs/stable/generated/torch.asinh.html */
export const asinh: Unary = /* @__PURE__ */ unary('asinh', {
  result: 'float',
  value: (x) => x!.asinh(),
  vjp: [(g, { a }) => g.div(a.mul(a).add(1).sqrt())],
})

/** The inverse hyperbolic cosine. @see https://docs.pytorch.org/docs/stable/generated/torch.acosh.html */
export const acosh: Unary = /* @__PURE__ */ unary('acosh', {
  result: 'float',
  value: (x) => x!.acosh(),
  vjp: [(g, { a }) => g.div(a.mul(a).sub(1).sqrt())],
})

/** The inverse hyperbolic tangent. @see https://docs.pytorch.org/docs/stable/generated/torch.atanh.html */
export const atanh: Unary = /* @__PURE__ */ unary('atanh', {
  result: 'float',
  value: (x) => x!.atanh(),
  vjp: [(g, { a }) => g.div(a.mul(a).neg().add(1))],
})
