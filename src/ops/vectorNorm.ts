/** The norm of vectors along dims as one operation. */
import { input, Program, type Scalar, scalar } from '../backend/scalar.ts'
import { type Kernel, kernel, reduce, run1, type Scalars } from '../execute.ts'
import type { Owner } from '../memory/storage.ts'
import { type GeneralOp, general, OUT, vjp } from '../op/general.ts'
import type { TensorCore } from '../tensor.ts'
import { type Reduced, reducedBatch, unreduce } from './dims.ts'

/** Parameters: the order, and the node of torch's call that is meant (default: that of vector norms). */
export type Norm = Reduced & { readonly p: number; readonly node?: string }

type Kind = 'zero' | 'one' | 'two' | 'any' | 'size'
/** What is reduced for each element, and what the result becomes; scalar 0 is p. */
const steps: Readonly<Record<Kind, readonly [(x: Scalar) => Scalar, ((sum: Scalar) => Scalar)?]>> = {
  zero: [(x) => x.ne(0)],
  one: [(x) => x.abs()],
  two: [(x) => x.mul(x), (sum) => sum.sqrt()],
  any: [(x) => x.abs().pow(scalar(0)), (sum) => sum.pow(scalar(0).reciprocal())],
  size: [(x) => x.abs()],
}
const kernels = /* @__PURE__ */ new Map<string, Kernel>()
function step(kind: Kind, k: 0 | 1, x: TensorCore, s: Scalars, owner: Owner | null): TensorCore {
  const value = steps[kind][k]
  if (value === undefined) return x
  const type = x.dt.name as 'float32' | 'float64'
  const key = `${kind}${k}${type}`
  let hit = kernels.get(key)
  if (hit === undefined) kernels.set(key, (hit = kernel(new Program([value(input(0))], [type], [type], s?.length ?? 0, type))))
  return run1(hit, x, s, owner)
}

function kindOf(p: number): Kind {
  if (Math.abs(p) === Number.POSITIVE_INFINITY) return 'size'
  return p === 0 ? 'zero' : p === 1 ? 'one' : p === 2 ? 'two' : 'any'
}

export const normOp: GeneralOp<Norm> = /* @__PURE__ */ general('norm', {
  node: (p) => p.node ?? 'LinalgVectorNormBackward0',
  forward: ([x], { p, dims, keepdim }, owner) => {
    const kind = kindOf(p)
    const s = kind === 'any' ? [p] : null
    const how = kind === 'size' ? (p > 0 ? 'max' : 'min') : 'sum'
    return step(kind, 1, reduce(how, step(kind, 0, x!, s, owner), dims, keepdim, owner), s, owner)
  },
  vjp: [
    vjp([0, OUT], (g, c) => {
      const { p } = c.p
      const x = c.in(0)
      if (p === 0) return null
      const up = unreduce(g, c.shapeOf(0), c.p)
      if (p === 1) return up.mul(x.sign())
      const y = unreduce(c.out(), c.shapeOf(0), c.p)
      // The norm of zeros has the subgradient 0.
      const some = y.ne(0)
      if (p === 2) return up.mul(x.div(y).where(some, 0))
      if (kindOf(p) === 'size') {
        // Elements of the largest size share the gradient evenly, a NaN with a NaN.
        const mask = x
          .abs()
          .eq(y)
          .logicalOr(x.ne(x).logicalAnd(y.ne(y)))
          .detach()
        const ties = mask.to(x.dtype).sum({ dim: c.p.dims, keepdim: true })
        return up.div(ties).mul(x.sign()).where(mask, 0)
      }
      if (p < 1) {
        const slope = x
          .sign()
          .mul(x.abs().pow(p - 1))
          .where(x.ne(0), 0)
        return slope.mul(up).mul(y.pow(1 - p))
      }
      const slope = p < 2 ? x.sign().mul(x.abs().pow(p - 1)) : x.mul(x.abs().pow(p - 2))
      return slope.mul(up.div(y.pow(p - 1)).where(some, 0))
    }),
  ],
  batch: (b) => {
    const { value, p } = reducedBatch(b)
    return p.dims.length === 0 ? value.abs() : normOp.one([value], { ...p, all: false })
  },
})
