/** Exponentials and logarithms. */
import { type Unary, unary } from '../op/kinds.ts'

/**
 * eˣ.
 * @example
 * tensor([0, 1]).exp() // tensor([1.0000, 2.7183])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.exp.html
 */
export const exp: Unary = /* @__PURE__ */ unary('exp', { result: 'float', value: (x) => x!.exp(), vjp: [(g, { y }) => g.mul(y)] })

/**
 * 2ˣ.
 * @example
 * tensor([0, 3]).exp2().tolist() // [1, 8]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.exp2.html
 */
export const exp2: Unary = /* @__PURE__ */ unary('exp2', {
  result: 'float',
  value: (x) => x!.exp2(),
  vjp: [(g, { y }) => g.mul(y).mul(Math.LN2)],
})

/**
 * eˣ − 1, accurate near 0.
 * @example
 * tensor([0, 1]).expm1() // tensor([0.0000, 1.7183])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.expm1.html
 */
export const expm1: Unary = /* @__PURE__ */ unary('expm1', {
  result: 'float',
  value: (x) => x!.expm1(),
  vjp: [(g, { y }) => g.mul(y.add(1))],
})

/**
 * The natural logarithm.
 * @example
 * tensor([1, Math.E]).log() // tensor([0., 1.])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.log.html
 */
export const log: Unary = /* @__PURE__ */ unary('log', { result: 'float', value: (x) => x!.log(), vjp: [(g, { a }) => g.div(a)] })

/**
 * The logarithm to base 2.
 * @example
 * tensor([1, 8]).log2().tolist() // [0, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.log2.html
 */
export const log2: Unary = /* @__PURE__ */ unary('log2', {
  result: 'float',
  value: (x) => x!.log2(),
  vjp: [(g, { a }) => g.div(a.mul(Math.LN2))],
})

/**
 * The logarithm to base 10.
 * @example
 * tensor([1, 1000]).log10() // tensor([0., 3.])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.log10.html
 */
export const log10: Unary = /* @__PURE__ */ unary('log10', {
  result: 'float',
  value: (x) => x!.log10(),
  vjp: [(g, { a }) => g.div(a.mul(Math.LN10))],
})

/**
 * ln(1 + x), accurate near 0.
 * @example
 * tensor([0, 1]).log1p() // tensor([0.0000, 0.6931])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.log1p.html
 */
export const log1p: Unary = /* @__PURE__ */ unary('log1p', {
  node: 'Log1PBackward0',
  result: 'float',
  value: (x) => x!.log1p(),
  vjp: [(g, { a }) => g.div(a.add(1))],
})

/**
 * The error function, 2/√π ∫₀ˣ e^(−t²) dt.
 * @example
 * tensor([0, 1]).erf() // tensor([0.0000, 0.8427])
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.erf
 */
export const erf: Unary = /* @__PURE__ */ unary('erf', {
  result: 'float',
  value: (x) => x!.erf(),
  vjp: [
    (g, { a }) =>
      g.mul(
        a
          .mul(a)
          .neg()
          .exp()
          .mul(2 / Math.sqrt(Math.PI)),
      ),
  ],
})
