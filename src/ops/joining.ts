/** Joining tensors along a dim. */

import { byCode } from '../dtype.ts'
import { ShapeError, show } from '../errors.ts'
import { copyInto } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, vjp } from '../op/general.ts'
import { wrapDim } from '../shape.ts'
import { empty, expectTensor, type TensorCore } from '../tensor.ts'

const catOp: GeneralOp<{ dim: number; sizes: readonly number[] }> = /* @__PURE__ */ general('cat', {
  node: 'CatBackward0',
  forward: (x, { dim, sizes }, owner) => {
    const dt = byCode[Math.max(...x.map((t) => t.dt.code))]!
    const shape = x[0]!.layout.shape.with(
      dim,
      sizes.reduce((a, b) => a + b, 0),
    )
    const out = empty(Layout.of(shape), dt, owner)
    let start = 0
    x.forEach((t, i) => {
      copyInto({ storage: out.storage, dt, layout: out.layout.slice(dim, start, sizes[i]!) } as TensorCore, t)
      start += sizes[i]!
    })
    return out
  },
  vjp: (i) =>
    vjp([], (g, { p }) => {
      let start = 0
      for (let k = 0; k < i; k++) start += p.sizes[k]!
      return g.narrow(p.dim, start, p.sizes[i]!)
    }),
  jvp: 'linear',
})

/** x followed by `others`, along an existing dim. */
export function catWith(x: Tensor, others: readonly Tensor[], dim = 0): Tensor {
  const given = [x, ...others]
  given.forEach((t, i) => expectTensor('cat', t, `tensor ${i}`))
  // torch's old exception: an empty vector goes with anything.
  const solid = given.filter((t) => !(t.layout.rank === 1 && t.shape[0] === 0))
  const all = solid.length === 0 ? given : solid
  if (all[0] !== x) return catWith(all[0]!, all.slice(1), dim)
  const d = wrapDim(dim, x.layout.rank, 'cat')
  all.forEach((t, i) => {
    if (t.layout.rank !== x.layout.rank || t.layout.shape.some((n, k) => k !== d && n !== x.layout.shape[k])) {
      throw new ShapeError(
        `cat: Sizes of tensors must match except in dimension ${d}. Expected ${show(x.shape)} but tensor ${i} has ${show(t.shape)}`,
        { op: 'cat', shapes: all.map((y) => y.shape) },
      )
    }
  })
  return catOp.one(all, { dim: d, sizes: all.map((t) => t.layout.shape[d]!) })
}
