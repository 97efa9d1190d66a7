/** Choosing elements by masks. */
import { dtypes } from '../dtype.ts'
import { DTypeError, ShapeError, UnsupportedError } from '../errors.ts'
import { backend, contiguous, full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import type { Owner } from '../memory/storage.ts'
import { ElementwiseOp } from '../op/elementwise.ts'
import { type GeneralOp, general, vjp } from '../op/general.ts'
import type { HasOp } from '../op/kinds.ts'
import { checkOptions } from '../options.ts'
import { broadcast, type Shape } from '../shape.ts'
import { type ArrayLike, address, checkValue, dataView, empty, expectTensor, isTensor, type TensorCore } from '../tensor.ts'
import { choose } from './choose.ts'
import { concrete, nonzeroPositions, takeApart } from './positions.ts'

/**
 * This tensor where `condition` (bool) holds, `other` (a tensor or a number) elsewhere; all broadcast.
 * Errors: DTypeError for a condition that isn't bool, ShapeError.
 * @example
 * tensor([1, 2]).where(tensor([true, false]), 0).tolist() // [1, 0]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.where.html
 */
export function where(x: Tensor, condition: Tensor, other: Tensor | number | boolean): Tensor {
  expectTensor('where', x, 'argument 0')
  expectTensor('where', condition, 'the condition')
  return choose(condition, x, other)
}

const fillNumber: ElementwiseOp = /* @__PURE__ */ new ElementwiseOp('maskedFill', 2, {
  node: 'MaskedFillBackward0',
  scalars: 1,
  value: (x, m, s) => s!.where(m!, x!),
  vjp: [(g, { b }) => g.where(b.eq(0), 0), null],
})

const fillTensor: ElementwiseOp = /* @__PURE__ */ new ElementwiseOp('maskedFill', 3, {
  node: 'MaskedFillBackward1',
  value: (x, m, v) => v!.where(m!, x!),
  vjp: [(g, { b }) => g.where(b.eq(0), 0), null, (g, { b }) => g.where(b, 0)],
})

type MaskedFill = ((x: Tensor, mask: Tensor, value: number | boolean | Tensor) => Tensor) &
  HasOp & { readonly inPlace: (x: Tensor, mask: Tensor, value: number | boolean | Tensor) => Tensor }

function checkFill(op: string, x: Tensor, mask: Tensor, value: number | boolean | Tensor): void {
  expectTensor(op, x, 'argument 0')
  expectTensor(op, mask, 'the mask')
  if (mask.dt !== dtypes.bool) {
    throw new DTypeError(`${op}: only supports boolean masks, but got mask with dtype ${mask.dtype}; compare first, e.g. x.gt(0)`, {
      op,
      dtypes: [mask.dtype],
    })
  }
  if (isTensor(value) && value.layout.rank > 0) {
    throw new ShapeError(
      `${op}: only supports a 0-dimensional value tensor, but got tensor with ${value.layout.rank} dimension(s); use where(mask, value, x)`,
      { op, shapes: [value.layout.shape] },
    )
  }
}

/**
 * x with `value` (a number, or a tensor without dims) where the mask (bool) holds; mask and x broadcast.
 * Errors: DTypeError for a mask that isn't bool, ShapeError.
 * @example
 * tensor([1, 2]).maskedFill(tensor([true, false]), 0).tolist() // [0, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.masked_fill.html
 */
export const maskedFill: MaskedFill = /* @__PURE__ */ Object.assign(
  (x: Tensor, mask: Tensor, value: number | boolean | Tensor): Tensor => {
    checkFill('maskedFill', x, mask, value)
    if (isTensor(value)) return fillTensor.call3(x, mask, (value as Tensor).to(x.dtype), null) as Tensor
    return fillNumber.call2(x, mask, [checkValue(value, x.dt, 'maskedFill')]) as Tensor
  },
  {
    op: fillNumber,
    inPlace: (x: Tensor, mask: Tensor, value: number | boolean | Tensor): Tensor => {
      checkFill('maskedFill_', x, mask, value)
      if (isTensor(value)) return fillTensor.inPlace(x, [mask, (value as Tensor).to(x.dtype)], null) as Tensor
      return fillNumber.inPlace(x, [mask], [checkValue(value, x.dt, 'maskedFill_')]) as Tensor
    },
  },
)

interface Selected {
  /** What x and the mask broadcast to. */
  readonly shape: Shape
}

function expanded(a: TensorCore, shape: Shape, owner: Owner | null): ArrayLike {
  return contiguous({ storage: a.storage, dt: a.dt, layout: a.layout.expand(shape) }, owner)
}

const noBatch = (op: string) => (): never => {
  throw new UnsupportedError(
    `${op}: vmap: It looks like you're attempting to use a Tensor whose values decide the shape of the result; that shape would differ between examples. Use where(…) or maskedFill(…)`,
    { op },
  )
}

const maskedSelectOp: GeneralOp<Selected> = /* @__PURE__ */ general('maskedSelect', {
  node: 'MaskedSelectBackward0',
  forward: ([x, mask], { shape }, owner) => {
    const at = nonzeroPositions({ storage: mask!.storage, dt: mask!.dt, layout: mask!.layout.expand(shape) }, owner)
    const source = expanded(x!, shape, owner)
    const m = at.layout.numel
    const out = empty(Layout.of([m]), x!.dt, owner)
    if (m > 0) backend().index('indexSelect', x!.dt.name)(1, source.layout.numel, 1, m, address(source), address(at), address(out))
    return out
  },
  vjp: [vjp([1], (g, c) => maskedSelectBackward.one([g, c.in(1)], c.p)), null],
  jvp: 'linear',
  batch: noBatch('maskedSelect'),
})

/** The transpose of maskedSelect: the elements back in their places, zeros elsewhere. */
const maskedSelectBackward: GeneralOp<Selected> = /* @__PURE__ */ general('maskedSelectBackward', {
  node: 'MaskedScatterBackward0',
  forward: ([g, mask], { shape }, owner) => {
    const at = nonzeroPositions({ storage: mask!.storage, dt: mask!.dt, layout: mask!.layout.expand(shape) }, owner)
    const small = contiguous(g!, owner)
    const out = full(shape, 0, g!.dt, owner)
    const m = at.layout.numel
    if (m > 0) backend().index('indexCopy', g!.dt.name)(1, out.layout.numel, 1, m, address(out), address(at), address(small))
    return out
  },
  vjp: [vjp([1], (g, c) => maskedSelectOp.one([g, c.in(1)], c.p)), null],
  jvp: 'linear',
  batch: noBatch('maskedSelect'),
})

/**
 * The elements where the mask (bool) holds, as a vector; mask and x broadcast.
 * Errors: DTypeError for a mask that isn't bool, ShapeError; UnsupportedError inside vmap.
 * @example
 * tensor([1, 2, 3]).maskedSelect(tensor([true, false, true])).tolist() // [1, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.masked_select.html
 */
export function maskedSelect(x: Tensor, mask: Tensor): Tensor {
  expectTensor('maskedSelect', x, 'argument 0')
  expectTensor('maskedSelect', mask, 'the mask')
  if (mask.dt !== dtypes.bool) {
    throw new DTypeError(`maskedSelect: expected BoolTensor for mask, got ${mask.dtype}`, { op: 'maskedSelect', dtypes: [mask.dtype] })
  }
  return maskedSelectOp.one([x, mask], { shape: broadcast(x.shape, mask.shape, 'maskedSelect') })
}

/** Options of `nonzero`. */
export interface NonzeroOptions {
  /** One vector of positions for each dim instead of a matrix. */
  readonly asTuple?: boolean
}

/**
 * The positions of all elements that aren't 0: an int32 matrix with a row for each, in row-major order; or, with `asTuple`,
 * one vector for each dim, which `index` takes.
 * Errors: UnsupportedError inside vmap.
 * @example
 * tensor([0, 5, 6]).nonzero().tolist() // [[1], [2]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nonzero.html
 */
export function nonzero(x: Tensor, options: { readonly asTuple: true }): Tensor[]
export function nonzero(x: Tensor, options?: NonzeroOptions): Tensor
export function nonzero(x: Tensor, options: NonzeroOptions = {}): Tensor | Tensor[] {
  expectTensor('nonzero', x, 'argument 0')
  checkOptions('nonzero', options, { asTuple: 'boolean' })
  const a = concrete('nonzero', x)
  const flat = nonzeroPositions(a, null)
  const { shape, rank } = x.layout
  if (options.asTuple) return (rank === 0 ? [flat] : takeApart(flat, shape, null)) as Tensor[]
  const parts = takeApart(flat, shape, null)
  const rows = flat.layout.numel
  const out = empty(Layout.of([rows, rank]), dtypes.int32, null)
  const data = dataView(out)
  parts.forEach((part, d) => {
    const column = dataView(part)
    for (let i = 0; i < rows; i++) data[out.layout.offset + i * rank + d] = column[part.layout.offset + i]!
  })
  return out as Tensor
}
