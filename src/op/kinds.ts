/** Elementwise operations as functions: the kinds that families declare. */
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { describe } from '../options.ts'
import { ElementwiseOp, type ElementwiseRecord, type TensorOrNumber } from './elementwise.ts'

/** Operations as functions carry their record, for methods, in-place forms, `fuse` and tests. */
export interface HasOp {
  readonly op: ElementwiseOp
}
/** An elementwise function of one tensor. */
export type Unary = ((x: Tensor) => Tensor) & HasOp
/** An elementwise function of two operands, broadcast together. */
export type Binary = ((a: Tensor, b: TensorOrNumber) => Tensor) & HasOp
/** An elementwise function of three operands, broadcast together. */
export type Ternary = ((a: Tensor, b: TensorOrNumber, c: TensorOrNumber) => Tensor) & HasOp

/** Declares an elementwise operation of one tensor. */
// @__NO_SIDE_EFFECTS__
export function unary(name: string, record: ElementwiseRecord): Unary {
  const op = new ElementwiseOp(name, 1, record)
  return Object.assign((x: Tensor): Tensor => op.call1(x, null) as Tensor, { op })
}

/** Declares an elementwise operation of two operands. */
// @__NO_SIDE_EFFECTS__
export function binary(name: string, record: ElementwiseRecord): Binary {
  const op = new ElementwiseOp(name, 2, record)
  return Object.assign((a: Tensor, b: TensorOrNumber): Tensor => op.call2(a, b, null) as Tensor, { op })
}

/** Declares an elementwise operation of three operands. */
// @__NO_SIDE_EFFECTS__
export function ternary(name: string, record: ElementwiseRecord): Ternary {
  const op = new ElementwiseOp(name, 3, record)
  return Object.assign((a: Tensor, b: TensorOrNumber, c: TensorOrNumber): Tensor => op.call3(a, b, c, null) as Tensor, { op })
}

/** An elementwise function of one tensor and parameters. */
export type Parametric<A extends unknown[]> = ((x: Tensor, ...args: A) => Tensor) &
  HasOp & { readonly inPlace: (x: Tensor, ...args: A) => Tensor }

/** Declares an elementwise operation of one tensor with parameters; `scalars` turns them into run-time scalars. */
// @__NO_SIDE_EFFECTS__
export function parametric<A extends unknown[]>(
  name: string,
  record: ElementwiseRecord,
  scalars: (...args: A) => readonly number[],
): Parametric<A> {
  const op = new ElementwiseOp(name, 1, record)
  const checked = (args: A): readonly number[] => {
    const s = scalars(...args)
    for (const v of s) {
      if (typeof v !== 'number') throw new ArgumentError(`${name}: expected a number for each parameter, got ${describe(v)}`, { op: name })
    }
    return s
  }
  return Object.assign((x: Tensor, ...args: A): Tensor => op.call1(x, checked(args)) as Tensor, {
    op,
    inPlace: (x: Tensor, ...args: A): Tensor => op.inPlace(x, [], checked(args)) as Tensor,
  })
}
