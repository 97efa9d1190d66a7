/** Softmax and its logarithm: one node each, computed without overflow. */
import { input, Program, type Scalar } from '../backend/scalar.ts'
import type { DType, DTypeInfo } from '../dtype.ts'
import { type Kernel, kernel, reduce, run1, run2 } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { ElementwiseOp } from '../op/elementwise.ts'
import { type GeneralOp, general, OUT, vjp } from '../op/general.ts'
import { wrapDim } from '../shape.ts'
import { expectTensor } from '../tensor.ts'

interface Along {
  dim: number
}

/** One kernel per float dtype for an expression over n arrays. */
function floats(n: number, make: (...x: Scalar[]) => Scalar): (dt: DTypeInfo) => Kernel {
  const made: (Kernel | undefined)[] = []
  return (dt) =>
    (made[dt.code] ??= kernel(
      new Program(
        [make(...Array.from({ length: n }, (_, i) => input(i)))],
        [dt.name],
        new Array<DType>(n).fill(dt.name),
        0,
        dt.name as 'float32',
      ),
    ))
}
const shiftExp = /* @__PURE__ */ floats(2, (x, m) => x!.sub(m!).exp())
const shift = /* @__PURE__ */ floats(2, (x, m) => x!.sub(m!))
const expOf = /* @__PURE__ */ floats(1, (x) => x!.exp())
const divide = /* @__PURE__ */ floats(2, (x, s) => x!.div(s!))
const minusLog = /* @__PURE__ */ floats(2, (x, s) => x!.sub(s!.log()))

// The gradients as single passes over (g, y, s): y·(g − s) and g − eʸ·s.
const softmaxSlope = /* @__PURE__ */ new ElementwiseOp('softmaxSlope', 3, {
  value: (g, y, s) => y!.mul(g!.sub(s!)),
  vjp: [(h, { b }) => h.mul(b), (h, { a, c }) => h.mul(a.sub(c)), (h, { b }) => h.neg().mul(b)],
})
const logSoftmaxSlope = /* @__PURE__ */ new ElementwiseOp('logSoftmaxSlope', 3, {
  value: (g, y, s) => g!.sub(y!.exp().mul(s!)),
  vjp: [(h) => h, (h, { b, c }) => h.neg().mul(b.exp()).mul(c), (h, { b }) => h.neg().mul(b.exp())],
})

const batched =
  (op: () => GeneralOp<Along>) =>
  (b: { x: readonly Tensor[]; dims: readonly number[]; p: Along }): Tensor =>
    op().one([b.dims[0] === 0 ? b.x[0]! : b.x[0]!.movedim(b.dims[0]!, 0)], { dim: b.p.dim + 1 })

const softmaxOp: GeneralOp<Along> = /* @__PURE__ */ general('softmax', {
  node: 'SoftmaxBackward0',
  forward: (x, { dim }, owner) => {
    const t = x[0]!
    const dims = t.layout.rank === 0 ? [] : [dim]
    if (t.layout.numel === 0) return run1(expOf(t.dt), t, null, owner)
    const e = run2(shiftExp(t.dt), t, reduce('max', t, dims, true, owner), null, owner)
    return run2(divide(t.dt), e, reduce('sum', e, dims, true, owner), null, owner)
  },
  vjp: [
    vjp(
      [OUT],
      (g, c) =>
        softmaxSlope.call3(
          g,
          c.out(),
          g.mul(c.out()).sum({ dim: c.shapeOf(0).length === 0 ? [] : c.p.dim, keepdim: true }),
          null,
        ) as Tensor,
    ),
  ],
  batch: batched(() => softmaxOp),
})

const logSoftmaxOp: GeneralOp<Along> = /* @__PURE__ */ general('logSoftmax', {
  node: 'LogSoftmaxBackward0',
  forward: (x, { dim }, owner) => {
    const t = x[0]!
    const dims = t.layout.rank === 0 ? [] : [dim]
    if (t.layout.numel === 0) return run1(expOf(t.dt), t, null, owner)
    const d = run2(shift(t.dt), t, reduce('max', t, dims, true, owner), null, owner)
    return run2(minusLog(t.dt), d, reduce('sum', run1(expOf(t.dt), d, null, owner), dims, true, owner), null, owner)
  },
  vjp: [
    vjp(
      [OUT],
      (g, c) => logSoftmaxSlope.call3(g, c.out(), g.sum({ dim: c.shapeOf(0).length === 0 ? [] : c.p.dim, keepdim: true }), null) as Tensor,
    ),
  ],
  batch: batched(() => logSoftmaxOp),
})

/** eˣ over its sum along `dim`. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html */
export function softmax(x: Tensor, dim: number): Tensor {
  expectTensor('softmax', x, 'argument 0')
  return softmaxOp.one([x.dt.floating ? x : x.to('float32')], { dim: wrapDim(dim, x.layout.rank, 'softmax') })
}

/** The logarithm of softmax, without cancellation. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.log_softmax.html */
export function logSoftmax(x: Tensor, dim: number): Tensor {
  expectTensor('logSoftmax', x, 'argument 0')
  return logSoftmaxOp.one([x.dt.floating ? x : x.to('float32')], { dim: wrapDim(dim, x.layout.rank, 'logSoftmax') })
}
