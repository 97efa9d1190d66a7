/** Operations computed number by number in JavaScript: special functions that need no kernel of their own. */
import { defaultInfo } from '../dtype.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { empty, expectTensor, readAll, writeAll } from '../tensor.ts'
import { type Context, type GeneralOp, general, inFront, vjp } from './general.ts'

/** The declaration: a function of a float64 number (results are rounded to the tensor's type) and its derivative rule. */
export interface MappedRecord<P> {
  /** torch's node name. */
  readonly node: string
  value(x: number, p: P): number
  /** What the rule reads: 0 the input, OUT the output. */
  readonly reads: readonly number[]
  /** The gradient of the input, in public operations, linear in `g`; with a tangent for `g`, the tangent. */
  rule(g: Tensor, c: Context<P>): Tensor
}

/** Declares such an operation. Integers become floats. */
// @__NO_SIDE_EFFECTS__
export function mapped<P>(name: string, record: MappedRecord<P>): (x: Tensor, p: P) => Tensor {
  const op: GeneralOp<P> = general<P>(name, {
    node: record.node,
    forward: ([x], p, owner) => {
      const out = empty(Layout.of(x!.layout.shape), x!.dt, owner)
      writeAll(
        out,
        readAll(x!).map((v) => record.value(v, p)),
      )
      return out
    },
    vjp: [vjp(record.reads, (g, c) => record.rule(g, c))],
    jvp: (t, c) => record.rule(t[0]!, c),
    batch: (b) => op.one([inFront(b, 0)], b.p),
  })
  return (x, p) => {
    expectTensor(name, x, 'argument 0')
    return op.one([x.dt.floating ? x : (x as Tensor).to(defaultInfo().name)], p)
  }
}
