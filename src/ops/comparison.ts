/** Comparison and logic: results are bool and never require gradients. */
import { type Binary, binary, type Unary, unary } from '../op/kinds.ts'

/**
 * a < b.
 * @example
 * tensor([1, 2]).lt(2).tolist() // [true, false]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.lt.html
 */
export const lt: Binary = /* @__PURE__ */ binary('lt', { result: 'bool', value: (a, b) => a!.lt(b!) })
/**
 * a ≤ b.
 * @example
 * tensor([1, 2]).le(1).tolist() // [true, false]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.le.html
 */
export const le: Binary = /* @__PURE__ */ binary('le', { result: 'bool', value: (a, b) => a!.le(b!) })
/**
 * a > b.
 * @example
 * tensor([1, 2]).gt(1).tolist() // [false, true]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.gt.html
 */
export const gt: Binary = /* @__PURE__ */ binary('gt', { result: 'bool', value: (a, b) => a!.gt(b!) })
/**
 * a ≥ b.
 * @example
 * tensor([1, 2]).ge(2).tolist() // [false, true]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.ge.html
 */
export const ge: Binary = /* @__PURE__ */ binary('ge', { result: 'bool', value: (a, b) => a!.ge(b!) })
/**
 * a = b.
 * @example
 * tensor([1, 2]).eq(2).tolist() // [false, true]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.eq.html
 */
export const eq: Binary = /* @__PURE__ */ binary('eq', { result: 'bool', value: (a, b) => a!.eq(b!) })
/**
 * a ≠ b.
 * @example
 * tensor([1, 2]).ne(2).tolist() // [true, false]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.ne.html
 */
export const ne: Binary = /* @__PURE__ */ binary('ne', { result: 'bool', value: (a, b) => a!.ne(b!) })
/**
 * Both nonzero.
 * @example
 * tensor([0, 2]).logicalAnd(tensor([1, 1])).tolist() // [false, true]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.logical_and.html
 */
export const logicalAnd: Binary = /* @__PURE__ */ binary('logicalAnd', { result: 'bool', value: (a, b) => a!.logicalAnd(b!) })
/**
 * Either nonzero.
 * @example
 * tensor([0, 2]).logicalOr(tensor([0, 1])).tolist() // [false, true]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.logical_or.html
 */
export const logicalOr: Binary = /* @__PURE__ */ binary('logicalOr', { result: 'bool', value: (a, b) => a!.logicalOr(b!) })
/**
 * Exactly one nonzero.
 * @example
 * tensor([0, 2]).logicalXor(tensor([1, 1])).tolist() // [true, false]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.logical_xor.html
 */
export const logicalXor: Binary = /* @__PURE__ */ binary('logicalXor', { result: 'bool', value: (a, b) => a!.logicalXor(b!) })
/**
 * Zero.
 * @example
 * tensor([0, 2]).logicalNot().tolist() // [true, false]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.logical_not.html
 */
export const logicalNot: Unary = /* @__PURE__ */ unary('logicalNot', { result: 'bool', value: (x) => x!.logicalNot() })
/**
 * Not a number.
 * @example
 * tensor([1, Infinity, NaN]).isnan().tolist() // [false, false, true]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.isnan.html
 */
export const isnan: Unary = /* @__PURE__ */ unary('isnan', { result: 'bool', value: (x) => x!.ne(x!) })
/**
 * Plus or minus infinity.
 * @example
 * tensor([1, Infinity, NaN]).isinf().tolist() // [false, true, false]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.isinf.html
 */
export const isinf: Unary = /* @__PURE__ */ unary('isinf', {
  result: 'bool',
  value: (x) => x!.sub(x!).ne(x!.sub(x!)).logicalAnd(x!.eq(x!)),
})
/**
 * Neither infinite nor NaN.
 * @example
 * tensor([1, Infinity, NaN]).isfinite().tolist() // [true, false, false]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.isfinite.html
 */
export const isfinite: Unary = /* @__PURE__ */ unary('isfinite', { result: 'bool', value: (x) => x!.sub(x!).eq(x!.sub(x!)) })
