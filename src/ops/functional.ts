/** Activations that are functions only. */
import type { Arith } from '../backend/scalar.ts'
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { ElementwiseOp } from '../op/elementwise.ts'
import { type Parametric, parametric, type Unary, unary } from '../op/kinds.ts'
import { noKernel } from '../op/operands.ts'
import { checkOptions } from '../options.ts'

const INV_SQRT2 = Math.SQRT1_2
const INV_SQRT_2PI = 1 / Math.sqrt(2 * Math.PI)
const normalCdf = <V extends Arith<V>>(x: V): V => x.mul(INV_SQRT2).erf().add(1).mul(0.5)
const geluExact = /* @__PURE__ */ new ElementwiseOp('gelu', 1, {
  node: 'GeluBackward0',
  refuses: /* @__PURE__ */ noKernel('GeluKernelImpl', 2),
  value: (x) => x!.mul(normalCdf(x!)),
  vjp: [(g, { a }) => g.mul(normalCdf(a).add(a.mul(a.mul(a).mul(-0.5).exp()).mul(INV_SQRT_2PI)))],
})
const K0 = Math.sqrt(2 / Math.PI)
const K1 = 0.044715
const geluInner = <V extends Arith<V>>(x: V): V => x.mul(x).mul(x).mul(K1).add(x).mul(K0).tanh()
const geluTanh = /* @__PURE__ */ new ElementwiseOp('gelu', 1, {
  node: 'GeluBackward0',
  refuses: /* @__PURE__ */ noKernel('GeluKernelImpl', 2),
  value: (x) => x!.mul(0.5).mul(geluInner(x!).add(1)),
  vjp: [
    (g, { a }) => {
      const t = geluInner(a)
      return g.mul(
        t
          .add(1)
          .mul(0.5)
          .add(
            a
              .mul(0.5)
              .mul(t.mul(t).neg().add(1))
              .mul(
                a
                  .mul(a)
                  .mul(3 * K1)
                  .add(1)
                  .mul(K0),
              ),
          ),
      )
    },
  ],
})

/**
 * x · Φ(x); `approximate: 'tanh'` takes the tanh formula.
 * @example
 * nn.functional.gelu(tensor([-1, 1])) // tensor([-0.1587, 0.8413])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.gelu.html
 */
export function gelu(x: Tensor, options: { readonly approximate?: 'none' | 'tanh' } = {}): Tensor {
  checkOptions('gelu', options, { approximate: 'any' })
  const how = options.approximate ?? 'none'
  if (how !== 'none' && how !== 'tanh')
    throw new ArgumentError("gelu: approximate argument must be either 'none' or 'tanh'", { op: 'gelu' })
  return (how === 'tanh' ? geluTanh : geluExact).call1(x, null) as Tensor
}

/**
 * x · σ(x).
 * @example
 * nn.functional.silu(tensor([0, 1])) // tensor([0.0000, 0.7311])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.silu.html
 */
export const silu: Unary = /* @__PURE__ */ unary('silu', {
  refuses: /* @__PURE__ */ noKernel('silu_cpu', 2),
  value: (x) => x!.mul(x!.sigmoid()),
  vjp: [(g, { a }) => g.mul(a.sigmoid().mul(a.sigmoid().neg().add(1).mul(a).add(1)))],
})

/**
 * ln(1 + e^(βx))/β, linear above the threshold.
 * @example
 * nn.functional.softplus(tensor([0, 30])) // tensor([0.6931, 30.0000])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softplus.html
 */
export const softplus: Parametric<[options?: { readonly beta?: number; readonly threshold?: number }]> = /* @__PURE__ */ parametric(
  'softplus',
  {
    refuses: /* @__PURE__ */ noKernel('softplus_cpu', 2),
    scalars: 2,
    value: (x, beta, limit) => x!.where(x!.mul(beta!).gt(limit!), x!.mul(beta!).exp().log1p().div(beta!)),
    vjp: [(g, { a, s }) => g.where(a.mul(s[0]!).gt(s[1]!), g.mul(a.mul(s[0]!).sigmoid()))],
  },
  (o) => {
    checkOptions('softplus', o, { beta: 'number', threshold: 'number' })
    return [o?.beta ?? 1, o?.threshold ?? 20]
  },
)

/**
 * x above 0, slope·x below.
 * @example
 * nn.functional.leakyRelu(tensor([-1, 1])) // tensor([-0.0100, 1.0000])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.leaky_relu.html
 */
export const leakyRelu: Parametric<[negativeSlope?: number]> = /* @__PURE__ */ parametric(
  'leakyRelu',
  {
    refuses: /* @__PURE__ */ noKernel('leaky_relu_cpu', 2),
    scalars: 1,
    value: (x, s) => x!.where(x!.gt(0), x!.mul(s!)),
    vjp: [(g, { a, s }) => g.where(a.gt(0), g.mul(s[0]!))],
  },
  (slope) => [slope ?? 0.01],
)

/**
 * x above 0, α(eˣ − 1) below.
 * @example
 * nn.functional.elu(tensor([-1, 1])) // tensor([-0.6321, 1.0000])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.elu.html
 */
export const elu: Parametric<[alpha?: number]> = /* @__PURE__ */ parametric(
  'elu',
  {
    refuses: /* @__PURE__ */ noKernel('elu_cpu', 2),
    scalars: 1,
    value: (x, s) => x!.where(x!.gt(0), x!.expm1().mul(s!)),
    vjp: [(g, { a, s }) => g.mul(a.exp().mul(s[0]!)).where(a.le(0), g)],
  },
  (alpha) => [alpha ?? 1],
)

/**
 * x limited to [minVal, maxVal]; no gradient at the bounds.
 * @example
 * nn.functional.hardtanh(tensor([-2, 0.5, 2])).tolist() // [-1, 0.5, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.hardtanh.html
 */
export const hardtanh: Parametric<[options?: { readonly minVal?: number; readonly maxVal?: number }]> = /* @__PURE__ */ parametric(
  'hardtanh',
  {
    refuses: { below: 1, says: () => 'Bool inputs not supported for hardtanh' },
    scalars: 2,
    value: (x, low, high) => x!.maximum(low!).minimum(high!),
    vjp: [(g, { a, s }) => g.where(a.le(s[0]!).logicalOr(a.ge(s[1]!)).logicalNot(), 0)],
  },
  (o) => {
    checkOptions('hardtanh', o, { minVal: 'number', maxVal: 'number' })
    return [o?.minVal ?? -1, o?.maxVal ?? 1]
  },
)

/**
 * ln σ(x).
 * @example
 * nn.functional.logSigmoid(tensor([0, 1])) // tensor([-0.6931, -0.3133])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.logsigmoid.html
 */
export const logSigmoid: Unary = /* @__PURE__ */ unary('logSigmoid', {
  refuses: /* @__PURE__ */ noKernel('log_sigmoid_cpu', 2),
  node: 'LogSigmoidBackward0',
  value: (x) => x!.minimum(0).sub(x!.abs().neg().exp().log1p()),
  vjp: [(g, { a }) => g.mul(a.neg().sigmoid())],
})
