/** Rounding; gradients are zero everywhere (and 1 for the fraction). */
import { type Unary, unary } from '../op/kinds.ts'
import { noKernel } from '../op/operands.ts'
import { zero } from './rules.ts'

/** The largest integer ≤ x. @see https://docs.pytorch.org/docs/stable/generated/torch.floor.html */
export const floor: Unary = /* @__PURE__ */ unary('floor', {
  refuses: /* @__PURE__ */ noKernel('floor_vml_cpu', 1),
  value: (x) => x!.floor(),
  vjp: [zero],
})
/** The smallest integer ≥ x. @see https://docs.pytorch.org/docs/stable/generated/torch.ceil.html */
export const ceil: Unary = /* @__PURE__ */ unary('ceil', {
  refuses: /* @__PURE__ */ noKernel('ceil_vml_cpu', 1),
  value: (x) => x!.ceil(),
  vjp: [zero],
})
/** The nearest integer, halves to even. @see https://docs.pytorch.org/docs/stable/generated/torch.round.html */
export const round: Unary = /* @__PURE__ */ unary('round', {
  refuses: /* @__PURE__ */ noKernel('round_vml_cpu', 1),
  value: (x) => x!.round(),
  vjp: [zero],
})
/** The integer part. @see https://docs.pytorch.org/docs/stable/generated/torch.trunc.html */
export const trunc: Unary = /* @__PURE__ */ unary('trunc', {
  refuses: /* @__PURE__ */ noKernel('trunc_vml_cpu', 1),
  value: (x) => x!.trunc(),
  vjp: [zero],
})
/** x minus its integer part. @see https://docs.pytorch.org/docs/stable/generated/torch.frac.html */
export const frac: Unary = /* @__PURE__ */ unary('frac', {
  refuses: /* @__PURE__ */ noKernel('frac_cpu', 2),
  value: (x) => x!.sub(x!.trunc()),
  vjp: [(g) => g],
})
