/** Rounding; gradients are zero everywhere (and 1 for the fraction). */
import { type Unary, unary } from '../op/kinds.ts'
import { noKernel } from '../op/operands.ts'
import { zero } from './rules.ts'

/**
 * The largest integer ≤ x.
 * @example
 * tensor([1.2, -1.2]).floor().tolist() // [1, -2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.floor.html
 */
export const floor: Unary = /* @__PURE__ */ unary('floor', {
  refuses: /* @__PURE__ */ noKernel('floor_vml_cpu', 1),
  value: (x) => x!.floor(),
  vjp: [zero],
})
/**
 * The smallest integer ≥ x.
 * @example
 * tensor([1.2, -1.2]).ceil().tolist() // [2, -1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.ceil.html
 */
export const ceil: Unary = /* @__PURE__ */ unary('ceil', {
  refuses: /* @__PURE__ */ noKernel('ceil_vml_cpu', 1),
  value: (x) => x!.ceil(),
  vjp: [zero],
})
/**
 * The nearest integer, halves to even.
 * @example
 * tensor([0.5, 1.5, 2.4]).round().tolist() // [0, 2, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.round.html
 */
export const round: Unary = /* @__PURE__ */ unary('round', {
  refuses: /* @__PURE__ */ noKernel('round_vml_cpu', 1),
  value: (x) => x!.round(),
  vjp: [zero],
})
/**
 * The integer part.
 * @example
 * tensor([1.7, -1.7]).trunc().tolist() // [1, -1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.trunc.html
 */
export const trunc: Unary = /* @__PURE__ */ unary('trunc', {
  refuses: /* @__PURE__ */ noKernel('trunc_vml_cpu', 1),
  value: (x) => x!.trunc(),
  vjp: [zero],
})
/**
 * x minus its integer part.
 * @example
 * tensor([1.5, -1.5]).frac().tolist() // [0.5, -0.5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.frac.html
 */
export const frac: Unary = /* @__PURE__ */ unary('frac', {
  refuses: /* @__PURE__ */ noKernel('frac_cpu', 2),
  value: (x) => x!.sub(x!.trunc()),
  vjp: [(g) => g],
})
