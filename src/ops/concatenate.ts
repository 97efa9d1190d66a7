/** Joining tensors along an old dim or a new one: what `cat`, `stack` and the gradients of `split` and `unbind` share. */
import { byCode, type DTypeInfo } from '../dtype.ts'
import { copyInto } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type Batched, type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { empty, type TensorCore } from '../tensor.ts'

interface Cat {
  readonly dim: number
  readonly sizes: readonly number[]
}

/** The dtype that all of them promote to. */
function common(x: readonly TensorCore[]): DTypeInfo {
  return byCode[x.reduce((code, t) => Math.max(code, t.dt.code), 0)]!
}

/** Every operand with the batch in front. */
function batched(b: Batched<unknown>): Tensor[] {
  return b.x.map((_, i) => {
    const t = inFront(b, i)
    return b.dims[i] === -1 ? t.expand([b.size, ...t.shape.slice(1)]) : t
  })
}

function startsOf(sizes: readonly number[]): number[] {
  let end = 0
  return sizes.map((size) => (end += size) - size)
}

/** An empty vector goes with tensors of any rank, for the sake of old programs. */
export function isNothing(t: TensorCore): boolean {
  return t.layout.rank === 1 && t.layout.numel === 0
}

/** `sizes` along `dim`, one after the other. */
export const catOp: GeneralOp<Cat> = /* @__PURE__ */ general('cat', {
  node: 'CatBackward0',
  forward: (x, { dim, sizes }, owner) => {
    const dt = common(x)
    const model = x.find((t) => !isNothing(t)) ?? x[0]!
    const total = sizes.reduce((a, b) => a + b, 0)
    const out = empty(Layout.of(model.layout.shape.with(dim, total)), dt, owner)
    let start = 0
    x.forEach((t, i) => {
      if (t.layout.numel > 0) copyInto({ storage: out.storage, dt, layout: out.layout.slice(dim, start, sizes[i]!) }, t)
      start += sizes[i]!
    })
    return out
  },
  vjp: (i) =>
    vjp([], (g, c) => {
      const starts = c.shared(() => startsOf(c.p.sizes))
      const part = g.narrow(c.p.dim, starts[i]!, c.p.sizes[i]!)
      return part.layout.rank === c.shapeOf(i).length ? part : part.reshape(c.shapeOf(i))
    }),
  jvp: 'linear',
  batch: (b) => {
    const x = batched(b)
    const mixed = x.some((t) => t.layout.rank !== x[0]!.layout.rank)
    return mixed ? undefined : catOp.one(x, { ...b.p, dim: b.p.dim + 1 })
  },
})

/** Side by side along a new dim. */
export const stackOp: GeneralOp<{ readonly dim: number }> = /* @__PURE__ */ general('stack', {
  node: 'StackBackward0',
  forward: (x, { dim }, owner) => {
    const dt = common(x)
    const out = empty(Layout.of(x[0]!.layout.shape.toSpliced(dim, 0, x.length)), dt, owner)
    x.forEach((t, i) => {
      copyInto({ storage: out.storage, dt, layout: out.layout.select(dim, i) }, t)
    })
    return out
  },
  vjp: (i) => vjp([], (g, { p }) => g.select(p.dim, i)),
  jvp: 'linear',
  batch: (b) => stackOp.one(batched(b), { dim: b.p.dim + 1 }),
})
