/** Rounding; gradients are zero everywhere (and 1 for the fraction). */
import type { Arith } from '../backend/scalar.ts'
import { type Unary, unary } from '../op/kinds.ts'

const zero = <V extends Arith<V>>(g: V): V => g.mul(0)

/** The largest integer ≤ x. @see https://docs.pytorch.org/docs/stable/generated/torch.floor.html */
export const floor: Unary = /* @__PURE__ */ unary('floor', { value: (x) => x!.floor(), vjp: [zero] })
/** The smallest integer ≥ x. @see https://docs.pytorch.org/docs/stable/generated/torch.ceil.html */
export const ceil: Unary = /* @__PURE__ */ unary('ceil', { value: (x) => x!.ceil(), vjp: [zero] })
/** The nearest integer, halves to even. @see https://docs.pytorch.org/docs/stable/generated/torch.round.html */
export const round: Unary = /* @__PURE__ */ unary('round', { value: (x) => x!.round(), vjp: [zero] })
/** The integer part. @see https://docs.pytorch.org/docs/stable/generated/torch.trunc.html */
export const trunc: Unary = /* @__PURE__ */ unary('trunc', { value: (x) => x!.trunc(), vjp: [zero] })
/** x minus its integer part. @see https://docs.pytorch.org/docs/stable/generated/torch.frac.html */
export const frac: Unary = /* @__PURE__ */ unary('frac', { value: (x) => x!.sub(x!.trunc()), vjp: [(g) => g] })
