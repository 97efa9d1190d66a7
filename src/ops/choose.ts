/** The selection by a mask that the function `where` and the method share. */
import { defaultInfo, dtypes, scalarCategory } from '../dtype.ts'
import { DTypeError } from '../errors.ts'
import { full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { type Ternary, ternary } from '../op/kinds.ts'

const whereOp: Ternary = /* @__PURE__ */ ternary('where', {
  node: 'WhereBackward0',
  names: ['condition', 'self', 'other'],
  value: (m, a, b) => a!.where(m!, b!),
  // Zeros, not products with the mask: what was not chosen may be infinite.
  vjp: [null, (g, { a }) => g.where(a, 0), (g, { a }) => g.where(a.eq(0), 0)],
})

type Operand = Tensor | number | boolean

const isValue = (v: Operand): v is number | boolean => typeof v === 'number' || typeof v === 'boolean'

/** a where the mask holds, b elsewhere. */
export function choose(condition: Tensor, a: Operand, b: Operand): Tensor {
  if (condition.dt.name !== 'bool' && condition.dt.name !== 'uint8') {
    throw new DTypeError(
      `where: expected condition to be a boolean tensor, but got a tensor with dtype ${condition.dtype}; compare first, e.g. x.ne(0)`,
      { op: 'where', dtypes: [condition.dtype] },
    )
  }
  if (isValue(a) && isValue(b)) {
    // Two values decide the dtype between them.
    const category = Math.max(scalarCategory(a), scalarCategory(b))
    const dt = category === 0 ? dtypes.bool : category === 1 ? dtypes.int32 : defaultInfo()
    return whereOp(condition, full([], Number(a), dt, null) as Tensor, full([], Number(b), dt, null) as Tensor)
  }
  return whereOp(condition, a as Tensor, b)
}
