/** Further activations. */
import { noGrad } from '../autograd/modes.ts'
import type { Arith } from '../backend/scalar.ts'
import { ArgumentError, DTypeError, ShapeError, within } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { ElementwiseOp } from '../op/elementwise.ts'
import { type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { type Parametric, parametric, type Unary, unary } from '../op/kinds.ts'
import { noKernel } from '../op/operands.ts'
import { checkKind, optionsOr } from '../options.ts'
import { wrapDim } from '../shape.ts'
import { expectTensor, type TensorCore } from '../tensor.ts'
import { hardtanh } from './functional.ts'

const softplusTanh = <V extends Arith<V>>(x: V): V => x.maximum(0).add(x.abs().neg().exp().log1p()).tanh()

/**
 * x · tanh(ln(1 + eˣ)).
 * @example
 * mish(tensor([-1, 1])) // tensor([-0.3034, 0.8651])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.mish.html
 */
export const mish: Unary = /* @__PURE__ */ unary('mish', {
  refuses: /* @__PURE__ */ noKernel('mish_cpu', 2),
  value: (x) => x!.mul(softplusTanh(x!)),
  vjp: [
    (g, { a }) => {
      const t = softplusTanh(a)
      return g.mul(t.add(a.mul(a.sigmoid()).mul(t.mul(t).neg().add(1))))
    },
  ],
})

/**
 * x above 0, α(e^(x/α) − 1) below.
 * @example
 * celu(tensor([-1, 2])) // tensor([-0.6321, 2.0000])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.celu.html
 */
export const celu: Parametric<[alpha?: number]> = /* @__PURE__ */ parametric(
  'celu',
  {
    refuses: /* @__PURE__ */ noKernel('elu_cpu', 2),
    scalars: 1,
    value: (x, s) => x!.where(x!.gt(0), x!.div(s!).expm1().mul(s!)),
    vjp: [(g, { a, s }) => g.mul(a.div(s[0]!).exp()).where(a.le(0), g)],
  },
  (alpha) => {
    if (alpha === 0) throw new ArgumentError('ZeroDivisionError: alpha cannot be 0 for CELU', { op: 'celu' })
    return [alpha ?? 1]
  },
)

/** The constants that keep mean 0 and variance 1 (Klambauer et al., 2017). */
const SELU_ALPHA = 1.6732632423543772
const SELU_SCALE = 1.0507009873554805

/**
 * s·x above 0, s·α(eˣ − 1) below.
 * @example
 * selu(tensor([-1, 1])) // tensor([-1.1113, 1.0507])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.selu.html
 */
export const selu: Unary = /* @__PURE__ */ unary('selu', {
  node: 'EluBackward0',
  refuses: /* @__PURE__ */ noKernel('elu_cpu', 2),
  value: (x) => x!.mul(SELU_SCALE).where(x!.gt(0), x!.expm1().mul(SELU_ALPHA * SELU_SCALE)),
  vjp: [(g, { a }) => g.mul(a.exp().mul(SELU_ALPHA * SELU_SCALE)).where(a.le(0), g.mul(SELU_SCALE))],
})

/**
 * x limited to [0, 6].
 * @example
 * relu6(tensor([-1, 3, 8])).tolist() // [0, 3, 6]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.relu6.html
 */
export function relu6(x: Tensor): Tensor {
  return within('relu6', () => hardtanh(x, { minVal: 0, maxVal: 6 }))
}

/**
 * (x + 3)/6 limited to [0, 1].
 * @example
 * hardsigmoid(tensor([-4, 0, 4])).tolist() // [0, 0.5, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.hardsigmoid.html
 */
export const hardsigmoid: Unary = /* @__PURE__ */ unary('hardsigmoid', {
  refuses: /* @__PURE__ */ noKernel('hardsigmoid_cpu', 2),
  value: (x) => x!.add(3).maximum(0).minimum(6).div(6),
  vjp: [(g, { a }) => g.div(6).where(a.gt(-3).logicalAnd(a.lt(3)), 0)],
})

/**
 * x · hardsigmoid(x).
 * @example
 * hardswish(tensor([-1, 0, 4])) // tensor([-0.3333, 0.0000, 4.0000])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.hardswish.html
 */
export const hardswish: Unary = /* @__PURE__ */ unary('hardswish', {
  refuses: /* @__PURE__ */ noKernel('hardswish_cpu', 2),
  value: (x) => x!.mul(x!.add(3).maximum(0).minimum(6)).div(6),
  vjp: [(g, { a }) => g.where(a.lt(3).logicalNot(), g.mul(a.div(3).add(0.5)).where(a.gt(-3), 0))],
})

/**
 * x where |x| > λ, else 0.
 * @example
 * hardshrink(tensor([-1, 0.2, 1])).tolist() // [-1, 0, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.hardshrink.html
 */
export const hardshrink: Parametric<[lambd?: number]> = /* @__PURE__ */ parametric(
  'hardshrink',
  {
    refuses: /* @__PURE__ */ noKernel('hardshrink_cpu', 2),
    scalars: 1,
    value: (x, s) => x!.where(x!.abs().le(s!).logicalNot(), 0),
    vjp: [(g, { a, s }) => g.where(a.abs().le(s[0]!).logicalNot(), 0)],
  },
  (lambd) => [lambd ?? 0.5],
)

/**
 * x brought nearer to 0 by λ, and 0 where |x| ≤ λ.
 * @example
 * softshrink(tensor([-1, 0.2, 1])).tolist() // [-0.5, 0, 0.5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softshrink.html
 */
export const softshrink: Parametric<[lambd?: number]> = /* @__PURE__ */ parametric(
  'softshrink',
  {
    refuses: /* @__PURE__ */ noKernel('softshrink_cpu', 2),
    scalars: 1,
    value: (x, s) => x!.sub(x!.sign().mul(s!)).where(x!.abs().le(s!).logicalNot(), 0),
    vjp: [(g, { a, s }) => g.where(a.abs().le(s[0]!).logicalNot(), 0)],
  },
  (lambd = 0.5) => {
    checkKind('softshrink', 'lambda', lambd, 'number')
    if (!(lambd >= 0)) {
      throw new ArgumentError(`softshrink: lambda must be greater or equal to 0, but found to be ${lambd}.`, { op: 'softshrink' })
    }
    return [lambd]
  },
)

/**
 * x above the threshold, `value` elsewhere.
 * @example
 * threshold(tensor([0, 2]), 1, -1).tolist() // [-1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.threshold.html
 */
export const threshold: Parametric<[threshold: number, value: number]> = /* @__PURE__ */ parametric(
  'threshold',
  {
    refuses: /* @__PURE__ */ noKernel('threshold_cpu', 1),
    scalars: 2,
    value: (x, limit, value) => value!.where(x!.le(limit!), x!),
    vjp: [(g, { a, s }) => g.where(a.le(s[0]!).logicalNot(), 0)],
  },
  (limit, value) => [limit, value],
)

/**
 * x − tanh x.
 * @example
 * tanhshrink(tensor([0, 1])) // tensor([0.0000, 0.2384])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.tanhshrink.html
 */
export function tanhshrink(x: Tensor): Tensor {
  expectTensor('tanhshrink', x, 'argument 0')
  return within('tanhshrink', () => x.sub(x.tanh()))
}

/**
 * x / (1 + |x|).
 * @example
 * softsign(tensor([-1, 3])).tolist() // [-0.5, 0.75]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softsign.html
 */
export function softsign(x: Tensor): Tensor {
  expectTensor('softsign', x, 'argument 0')
  return within('softsign', () => x.div(x.abs().add(1)))
}

/**
 * softmax of −x.
 * @example
 * softmin(tensor([1, 2]), 0) // tensor([0.7311, 0.2689])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softmin.html
 */
export function softmin(x: Tensor, dim: number): Tensor {
  expectTensor('softmin', x, 'argument 0')
  return within('softmin', () => x.neg().softmax(dim))
}

const preluOp = /* @__PURE__ */ new ElementwiseOp('prelu', 2, {
  node: 'PreluKernelBackward0',
  names: ['self', 'weight'],
  refuses: /* @__PURE__ */ noKernel('prelu_cpu', 2),
  value: (x, w) => x!.where(x!.gt(0), x!.mul(w!)),
  vjp: [(g, { a, b }) => g.where(a.gt(0), g.mul(b)), (g, { a }) => g.mul(a).where(a.gt(0).logicalNot(), 0)],
})

/**
 * x above 0, weight·x below; one weight, or one for each channel (dim 1). Errors: ShapeError, DTypeError.
 * @example
 * prelu(tensor([-2, 2]), tensor([0.25])).tolist() // [-0.5, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.prelu.html
 */
export function prelu(x: Tensor, weight: Tensor): Tensor {
  expectTensor('prelu', x, 'argument 0')
  expectTensor('prelu', weight, 'the weight')
  if (weight.dt !== x.dt) {
    throw new DTypeError(`prelu: Type promoting not supported. Got ${x.dtype} and ${weight.dtype}`, {
      op: 'prelu',
      dtypes: [x.dtype, weight.dtype],
    })
  }
  if (weight.layout.rank > 1) {
    throw new ShapeError(`prelu: Expected \`weight\` to be a scalar or 1D tensor, but got: ndim = ${weight.layout.rank}`, {
      op: 'prelu',
      shapes: [weight.shape],
    })
  }
  const channels = x.layout.rank < 2 ? 1 : x.shape[1]!
  const count = weight.numel()
  if (count !== 1 && count !== channels) {
    throw new ShapeError(
      `prelu: Mismatch of parameter numbers and input channel size. Found parameter numbers = ${count} and channel size = ${channels}.`,
      {
        op: 'prelu',
        shapes: [x.shape, weight.shape],
      },
    )
  }
  const spread = x.layout.rank === 0 ? [] : x.shape.map((_, d) => (d === 1 ? count : 1))
  return preluOp.call2(x, x.layout.rank > 0 || weight.layout.rank > 0 ? weight.view(spread) : weight, null) as Tensor
}

const gluOp: GeneralOp<{ readonly dim: number }> = /* @__PURE__ */ general('glu', {
  node: 'GluBackward0',
  forward: ([x], { dim }) =>
    noGrad((): TensorCore => {
      const [a, b] = (x as Tensor).chunk(2, dim)
      return a!.mul(b!.sigmoid())
    }),
  vjp: [
    vjp([0], (g, c) => {
      const [a, b] = c.in(0).chunk(2, c.p.dim)
      const gate = b!.sigmoid()
      const slope = g.mul(gate)
      return slope.catWith([slope.mul(a!).mul(gate.neg().add(1))], c.p.dim)
    }),
  ],
  batch: (b) => gluOp.one([inFront(b, 0)], { dim: b.p.dim + 1 }),
})

/**
 * One half of x times the sigmoid of the other, cut along `dim` (the last by default). Errors: ShapeError for an odd size.
 * @example
 * glu(tensor([1, 2, 0, 0])) // tensor([0.5000, 1.0000])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.glu.html
 */
export function glu(x: Tensor, dim: number | { readonly dim?: number } = -1): Tensor {
  expectTensor('glu', x, 'argument 0')
  if (x.layout.rank === 0) throw new ShapeError('glu does not support 0-dimensional tensors', { op: 'glu', shapes: [x.shape] })
  const d = wrapDim(optionsOr('glu', 'dim', dim, { dim: 'any' }).dim ?? -1, x.layout.rank, 'glu')
  if (x.shape[d]! % 2 !== 0) {
    throw new ShapeError(`glu: Halving dimension must be even, but dimension ${d} is size ${x.shape[d]}`, { op: 'glu', shapes: [x.shape] })
  }
  return gluOp.one([x], { dim: d })
}
