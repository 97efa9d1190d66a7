/** The selection by a mask that `where`, `maskedFill` and their kin share. */
import { DTypeError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { type Ternary, ternary } from '../op/kinds.ts'

const whereOp: Ternary = /* @__PURE__ */ ternary('where', {
  node: 'WhereBackward0',
  value: (m, a, b) => a!.where(m!, b!),
  // Zeros, not products with the mask: what was not chosen may be infinite.
  vjp: [null, (g, { a }) => g.where(a, 0), (g, { a }) => g.mul(0).where(a, g)],
})

/** a where the mask holds, b elsewhere. */
export function choose(condition: Tensor, a: Tensor | number, b: Tensor | number): Tensor {
  if (condition.dt.name !== 'bool' && condition.dt.name !== 'uint8') {
    throw new DTypeError(
      `where: expected condition to be a boolean tensor, but got a tensor with dtype ${condition.dtype}; compare first, e.g. x.ne(0)`,
      { op: 'where', dtypes: [condition.dtype] },
    )
  }
  return whereOp(condition, a, b)
}
