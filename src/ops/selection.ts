/** Choosing elements by masks. */

import { DTypeError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { ElementwiseOp } from '../op/elementwise.ts'
import type { HasOp } from '../op/kinds.ts'
import { expectTensor } from '../tensor.ts'
import { choose } from './choose.ts'

/** This tensor where `condition` holds, `other` elsewhere. */
export function where(x: Tensor, condition: Tensor, other: Tensor | number): Tensor {
  expectTensor('where', condition, 'the condition')
  return choose(condition, x, other)
}

const fill = /* @__PURE__ */ new ElementwiseOp('maskedFill', 2, {
  node: 'MaskedFillBackward0',
  scalars: 1,
  value: (x, m, s) => s!.where(m!, x!),
  vjp: [(g, { b }) => g.mul(0).where(b, g), null],
})

type MaskedFill = ((x: Tensor, mask: Tensor, value: number) => Tensor) &
  HasOp & { readonly inPlace: (x: Tensor, mask: Tensor, value: number) => Tensor }

function checkMask(mask: Tensor): void {
  expectTensor('maskedFill', mask, 'the mask')
  if (mask.dt.name !== 'bool')
    throw new DTypeError(`maskedFill: only supports boolean masks, but got mask with dtype ${mask.dtype}`, {
      op: 'maskedFill',
      dtypes: [mask.dtype],
    })
}

/** x with `value` where the mask holds. @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.masked_fill.html */
export const maskedFill: MaskedFill = /* @__PURE__ */ Object.assign(
  (x: Tensor, mask: Tensor, value: number): Tensor => {
    checkMask(mask)
    return fill.call2(x, mask, [value]) as Tensor
  },
  {
    op: fill,
    inPlace: (x: Tensor, mask: Tensor, value: number): Tensor => {
      checkMask(mask)
      return fill.inPlace(x, [mask], [value]) as Tensor
    },
  },
)
