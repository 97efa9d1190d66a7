/** The larger and the smaller of two, and bounds. */
import type { Arith } from '../backend/scalar.ts'
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { ElementwiseOp, type ElementwiseRecord, type TensorOrNumber } from '../op/elementwise.ts'
import { type Binary, binary, type HasOp } from '../op/kinds.ts'
import { checkOptions } from '../options.ts'
import { isTensor } from '../tensor.ts'
import { lift } from './rules.ts'

/**
 * The smaller of a and b; NaN wins; ties share the gradient.
 * @example
 * tensor([1, 4]).minimum(tensor([3, 2])).tolist() // [1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.minimum.html
 */
export const minimum: Binary = /* @__PURE__ */ binary('minimum', {
  value: (a, b) => a!.minimum(b!),
  vjp: [(g, { a, b }) => half(g, a, b).where(a.gt(b).logicalNot(), 0), (g, { a, b }) => half(g, a, b).where(a.lt(b).logicalNot(), 0)],
})

/**
 * The larger of a and b; NaN wins; ties share the gradient.
 * @example
 * tensor([1, 4]).maximum(tensor([3, 2])).tolist() // [3, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.maximum.html
 */
export const maximum: Binary = /* @__PURE__ */ binary('maximum', {
  value: (a, b) => a!.maximum(b!),
  vjp: [(g, { a, b }) => half(g, a, b).where(a.lt(b).logicalNot(), 0), (g, { a, b }) => half(g, a, b).where(a.gt(b).logicalNot(), 0)],
})
const half = <V extends Arith<V>>(g: V, a: V, b: V): V => g.mul(0.5).where(a.eq(b), g)

/**
 * The smaller of a and b; a number wins over NaN; ties go to a.
 * @example
 * tensor([1, NaN]).fmin(tensor([0, 2])).tolist() // [0, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fmin.html
 */
export const fmin: Binary = /* @__PURE__ */ binary('fmin', {
  value: (a, b) => a!.where(a!.le(b!).logicalOr(b!.ne(b!)), b!),
  vjp: [(g, { a, b }) => g.where(firstWins(a, b, 'le'), 0), (g, { a, b }) => g.where(firstWins(a, b, 'le').logicalNot(), 0)],
})

/**
 * The larger of a and b; a number wins over NaN; ties go to a.
 * @example
 * tensor([1, NaN]).fmax(tensor([0, 2])).tolist() // [1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fmax.html
 */
export const fmax: Binary = /* @__PURE__ */ binary('fmax', {
  value: (a, b) => a!.where(a!.ge(b!).logicalOr(b!.ne(b!)), b!),
  vjp: [(g, { a, b }) => g.where(firstWins(a, b, 'ge'), 0), (g, { a, b }) => g.where(firstWins(a, b, 'ge').logicalNot(), 0)],
})
function firstWins<V extends Arith<V>>(a: V, b: V, order: 'le' | 'ge'): V {
  const x = lift(a, b)
  const y = lift(b, x)
  return x[order](y).logicalOr(y.ne(y))
}

/** Bounds of `clamp`: numbers or tensors, either may be absent. */
export interface Bounds {
  readonly min?: number | Tensor | null
  readonly max?: number | Tensor | null
}
const clampNode = (numbers: number): string => (numbers > 0 ? 'ClampBackward1' : 'ClampBackward0')
const lower = (node: (numbers: number) => string): ElementwiseRecord => ({
  node,
  value: (x, low) => x!.maximum(low!),
  vjp: [(g, { a, b }) => g.where(a.ge(b), 0), (g, { a, b }) => g.where(b.gt(a), 0)],
})
const upper = (node: (numbers: number) => string): ElementwiseRecord => ({
  node,
  value: (x, high) => x!.minimum(high!),
  vjp: [(g, { a, b }) => g.where(a.le(b), 0), (g, { a, b }) => g.where(b.lt(a), 0)],
})
const clampLow = /* @__PURE__ */ new ElementwiseOp('clamp', 2, /* @__PURE__ */ lower(clampNode))
const clampHigh = /* @__PURE__ */ new ElementwiseOp('clamp', 2, /* @__PURE__ */ upper(clampNode))
const clampBoth = /* @__PURE__ */ new ElementwiseOp('clamp', 3, {
  node: clampNode,
  value: (x, low, high) => x!.maximum(low!).minimum(high!),
  vjp: [
    (g, { a, b, c }) => g.where(a.ge(b).logicalAnd(a.le(c)), 0),
    // The upper bound wins where they cross.
    (g, { a, b, c }) => g.where(b.gt(a).logicalAnd(b.lt(c)), 0),
    (g, { a, b, c }) => g.where(c.lt(a).logicalOr(c.lt(b)), 0),
  ],
})

type Clamp = ((x: Tensor, min?: Bounds | number | Tensor | null, max?: number | Tensor | null) => Tensor) &
  HasOp & { readonly inPlace: (x: Tensor, min?: Bounds | number | Tensor | null, max?: number | Tensor | null) => Tensor }

/** Which of the three operations bounds ask for, and its further operands. */
function bounded(
  min: Bounds | number | Tensor | null | undefined,
  max: number | Tensor | null | undefined,
): [ElementwiseOp, TensorOrNumber[]] {
  if (min !== null && typeof min === 'object' && !isTensor(min)) {
    checkOptions('clamp', min, { min: 'any', max: 'any' })
    return bounded(min.min ?? null, min.max)
  }
  const low = min as number | Tensor | null | undefined
  if (low === null || low === undefined) {
    if (max === null || max === undefined) {
      throw new ArgumentError("clamp: At least one of 'min' or 'max' must not be null; give one, e.g. x.clamp({ min: 0 })", { op: 'clamp' })
    }
    return [clampHigh, [max]]
  }
  return max === null || max === undefined ? [clampLow, [low]] : [clampBoth, [low, max]]
}

/**
 * x limited to [min, max], numbers or tensors that broadcast; the gradient is 1 at the bounds, 0 outside.
 * Errors: ArgumentError when neither bound is given.
 * @example
 * tensor([-1, 0.5, 2]).clamp({ min: 0, max: 1 }).tolist() // [0, 0.5, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.clamp.html
 */
export const clamp: Clamp = /* @__PURE__ */ Object.assign(
  (x: Tensor, min?: Bounds | number | Tensor | null, max?: number | Tensor | null): Tensor => {
    const [op, bounds] = bounded(min, max)
    return (op === clampBoth ? op.call3(x, bounds[0]!, bounds[1]!, null) : op.call2(x, bounds[0]!, null)) as Tensor
  },
  {
    op: clampBoth,
    inPlace: (x: Tensor, min?: Bounds | number | Tensor | null, max?: number | Tensor | null): Tensor => {
      const [op, bounds] = bounded(min, max)
      return op.inPlace(x, bounds, null) as Tensor
    },
  },
)

/**
 * x, but at least `min`.
 * @example
 * tensor([1, 5]).clampMin(3).tolist() // [3, 5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.clamp.html
 */
export const clampMin: Binary = /* @__PURE__ */ binary(
  'clampMin',
  /* @__PURE__ */ lower((numbers) => (numbers > 0 ? 'ClampMinBackward0' : 'ClampMinBackward1')),
)

/**
 * x, but at most `max`.
 * @example
 * tensor([1, 5]).clampMax(3).tolist() // [1, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.clamp.html
 */
export const clampMax: Binary = /* @__PURE__ */ binary(
  'clampMax',
  /* @__PURE__ */ upper((numbers) => (numbers > 0 ? 'ClampMaxBackward0' : 'ClampMaxBackward1')),
)
