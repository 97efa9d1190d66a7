/** Arithmetic: sums, products, quotients, remainders. */

import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { ElementwiseOp, type TensorOrNumber } from '../op/elementwise.ts'
import { type Binary, binary, type HasOp, type Ternary, ternary, type Unary, unary } from '../op/kinds.ts'
import { noKernel, type Refusal } from '../op/operands.ts'
import { checkOptions } from '../options.ts'
import { isTensor } from '../tensor.ts'
import { difference, floorQuotient, lift, quotient, zero } from './rules.ts'

/** A binary function with options; its record for methods and in-place forms. */
type WithOptions<O> = ((a: Tensor, b: TensorOrNumber, options?: O) => Tensor) &
  HasOp & { readonly inPlace: (a: Tensor, b: TensorOrNumber, options?: O) => Tensor }

const addOp = /* @__PURE__ */ new ElementwiseOp('add', 2, { node: 'AddBackward0', value: (a, b) => a!.add(b!), vjp: [(g) => g, (g) => g] })
const addScaled = /* @__PURE__ */ new ElementwiseOp('add', 2, {
  node: 'AddBackward0',
  scalars: 1,
  value: (a, b, s) => a!.add(b!.mul(s!)),
  vjp: [(g) => g, (g, { s }) => g.mul(s[0]!)],
})

/**
 * a + alpha·b, broadcast.
 * @example
 * add(tensor([1, 2]), 10).tolist() // [11, 12]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.add.html
 */
export const add: WithOptions<{ alpha?: number }> = /* @__PURE__ */ scaled(addOp, addScaled)

const notBool: Refusal = {
  below: 1,
  each: true,
  says: (type) =>
    type === 'Bool'
      ? 'Subtraction, the `-` operator, with two bool tensors is not supported. Use logicalXor() instead.'
      : 'Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use logicalNot() instead.',
}
const subOp = /* @__PURE__ */ new ElementwiseOp('sub', 2, {
  node: 'SubBackward0',
  refuses: notBool,
  value: (a, b) => a!.sub(b!),
  vjp: [(g) => g, (g) => g.neg()],
})
const subScaled = /* @__PURE__ */ new ElementwiseOp('sub', 2, {
  node: 'SubBackward0',
  refuses: notBool,
  scalars: 1,
  value: (a, b, s) => a!.sub(b!.mul(s!)),
  vjp: [(g) => g, (g, { s }) => g.mul(s[0]!).neg()],
})

/**
 * a − alpha·b, broadcast.
 * @example
 * tensor([3, 4]).sub(tensor([1, 1]), { alpha: 2 }).tolist() // [1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.sub.html
 */
export const sub: WithOptions<{ alpha?: number }> = /* @__PURE__ */ scaled(subOp, subScaled)

function alphaOf(op: string, a: Tensor, b: TensorOrNumber, options: { alpha?: number }): number {
  checkOptions(op, options, { alpha: 'number' })
  const { alpha = 1 } = options
  const integral = (x: TensorOrNumber): boolean => (isTensor(x) ? x.dt.category !== 2 : Number.isInteger(Number(x)))
  if (Number.isInteger(alpha) || !integral(a) || !integral(b)) return alpha
  throw new ArgumentError(
    `For integral input tensors, argument alpha must not be a floating point number. (${op} with alpha ${alpha}); convert them first, e.g. x.to('float32')`,
    { op },
  )
}

// @__NO_SIDE_EFFECTS__
function scaled(plain: ElementwiseOp, withAlpha: ElementwiseOp): WithOptions<{ alpha?: number }> {
  const call = (a: Tensor, b: TensorOrNumber, options?: { alpha?: number }): Tensor => {
    const alpha = options === undefined ? 1 : alphaOf(plain.name, a, b, options)
    return (alpha === 1 ? plain.call2(a, b, null) : withAlpha.call2(a, b, [alpha])) as Tensor
  }
  const inPlace = (a: Tensor, b: TensorOrNumber, options?: { alpha?: number }): Tensor => {
    const alpha = options === undefined ? 1 : alphaOf(`${plain.name}_`, a, b, options)
    return (alpha === 1 ? plain.inPlace(a, [b], null) : withAlpha.inPlace(a, [b], [alpha])) as Tensor
  }
  return Object.assign(call, { op: plain, inPlace })
}

/**
 * a · b, element by element, broadcast.
 * @example
 * tensor([1, 2]).mul(tensor([[3], [4]])).tolist() // [[3, 6], [4, 8]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.mul.html
 */
export const mul: Binary = /* @__PURE__ */ binary('mul', {
  node: 'MulBackward0',
  value: (a, b) => a!.mul(b!),
  vjp: [(g, { b }) => g.mul(b), (g, { a }) => g.mul(a)],
})

const divOp = /* @__PURE__ */ new ElementwiseOp('div', 2, {
  node: 'DivBackward0',
  result: 'float',
  value: (a, b) => a!.div(b!),
  // d(a/b)/db = −(a/b)/b keeps the range of the quotient, where a/b² would overflow.
  vjp: [(g, { b }) => g.div(b), (g, { a, b }) => quotient(a, b).div(b).mul(g).neg()],
})
const divFloor = /* @__PURE__ */ new ElementwiseOp('div', 2, {
  node: 'DivBackward2',
  refuses: /* @__PURE__ */ noKernel('div_floor_cpu', 1),
  divisor: 1,
  value: (a, b) => floorQuotient(a!, b!),
  vjp: [zero, zero],
})
const divTrunc = /* @__PURE__ */ new ElementwiseOp('div', 2, {
  node: 'DivBackward2',
  refuses: /* @__PURE__ */ noKernel('div_trunc_cpu', 1),
  divisor: 1,
  value: (a, b) => a!.div(b!).trunc(),
  vjp: [zero, zero],
})

const divisionBy = (options: { roundingMode?: 'floor' | 'trunc' } | undefined): ElementwiseOp => {
  if (options === undefined) return divOp
  checkOptions('div', options, { roundingMode: 'any' })
  const mode = options.roundingMode
  if (mode === undefined || mode === null) return divOp
  if (mode === 'floor') return divFloor
  if (mode === 'trunc') return divTrunc
  throw new ArgumentError(`div expected roundingMode to be one of absent, 'trunc', or 'floor' but found '${String(mode)}'`, { op: 'div' })
}

/**
 * a / b, broadcast; integers divide to floats unless `roundingMode` is 'floor' or 'trunc'.
 * @example
 * tensor([7, -7]).div(2).tolist() // [3.5, -3.5]
 * tensor([7, -7]).div(2, { roundingMode: 'floor' }).tolist() // [3, -4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.div.html
 */
export const div: WithOptions<{ roundingMode?: 'floor' | 'trunc' }> = /* @__PURE__ */ Object.assign(
  (a: Tensor, b: TensorOrNumber, options?: { roundingMode?: 'floor' | 'trunc' }): Tensor => divisionBy(options).call2(a, b, null) as Tensor,
  {
    op: divOp,
    inPlace: (a: Tensor, b: TensorOrNumber, options?: { roundingMode?: 'floor' | 'trunc' }): Tensor =>
      divisionBy(options).inPlace(a, [b], null) as Tensor,
  },
)

/**
 * −x.
 * @example
 * tensor([1, -2]).neg().tolist() // [-1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.neg.html
 */
export const neg: Unary = /* @__PURE__ */ unary('neg', {
  refuses: {
    below: 1,
    says: () =>
      'Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use logicalNot() instead.',
  },
  value: (x) => x!.neg(),
  vjp: [(g) => g.neg()],
})

/**
 * |x|; the gradient at 0 and NaN is 0.
 * @example
 * tensor([-1, 2]).abs().tolist() // [1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.abs.html
 */
export const abs: Unary = /* @__PURE__ */ unary('abs', {
  refuses: /* @__PURE__ */ noKernel('abs_cpu', 1),
  value: (x) => x!.abs(),
  vjp: [(g, { a }) => g.mul(a.sign())],
})

/**
 * −1, 0 or 1 by the sign of x; 0 for NaN.
 * @example
 * tensor([-3, 0, 5]).sign().tolist() // [-1, 0, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.sign.html
 */
export const sign: Unary = /* @__PURE__ */ unary('sign', { value: (x) => x!.sign(), vjp: [zero] })

/**
 * The remainder with the divisor's sign (Python's %). Errors: ArgumentError for integers modulo 0.
 * @example
 * tensor([-3, 3]).remainder(2).tolist() // [1, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.remainder.html
 */
export const remainder: Binary = /* @__PURE__ */ binary('remainder', {
  node: (numbers) => (numbers & 2 ? 'RemainderBackward0' : 'RemainderBackward1'),
  refuses: /* @__PURE__ */ noKernel('remainder_cpu', 1),
  divisor: 1,
  value: (a, b) => a!.remainder(b!),
  vjp: [(g) => g, (g, { a, b }) => g.neg().mul(floorQuotient(lift(a, b), b))],
})

/**
 * The remainder with the dividend's sign. Errors: ArgumentError for integers modulo 0.
 * @example
 * tensor([-3, 3]).fmod(2).tolist() // [-1, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.fmod.html
 */
export const fmod: Binary = /* @__PURE__ */ binary('fmod', {
  node: (numbers) => (numbers & 2 ? 'FmodBackward0' : 'FmodBackward1'),
  refuses: /* @__PURE__ */ noKernel('fmod_cpu', 1),
  divisor: 1,
  value: (a, b) => a!.fmod(b!),
  vjp: [(g) => g, (g, { a, b }) => g.neg().mul(lift(a, b).div(b).trunc())],
})

/**
 * a + weight·(b − a). Errors: DTypeError for integers and for tensors of several dtypes.
 * @example
 * tensor([0, 10]).lerp(tensor([10, 20]), 0.5).tolist() // [5, 15]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.lerp.html
 */
export const lerp: Ternary = /* @__PURE__ */ ternary('lerp', {
  node: (numbers) => (numbers & 4 ? 'LerpBackward0' : 'LerpBackward1'),
  refuses: /* @__PURE__ */ noKernel('lerp_kernel_tensor', 2),
  same: ['self', 'end', 'weight'],
  // From the nearer end, so that both ends are met exactly.
  value: (a, b, w) => a!.add(w!.mul(b!.sub(a!))).where(w!.abs().lt(0.5), b!.sub(b!.sub(a!).mul(w!.neg().add(1)))),
  vjp: [
    (g, { c }) => (typeof c === 'number' ? g.mul(1 - c) : g.mul(c.neg().add(1))),
    (g, { c }) => g.mul(c),
    (g, { a, b }) => g.mul(difference(a, b)),
  ],
})

const addcmulOp = /* @__PURE__ */ new ElementwiseOp('addcmul', 3, {
  node: 'AddcmulBackward0',
  refuses: /* @__PURE__ */ noKernel('addcmul_cpu_out', 1),
  scalars: 1,
  value: (x, a, b, s) => x!.add(a!.mul(b!).mul(s!)),
  vjp: [(g) => g, (g, { c, s }) => g.mul(c).mul(s[0]!), (g, { b, s }) => g.mul(b).mul(s[0]!)],
})
type Fused = ((x: Tensor, a: Tensor, b: Tensor, options?: { value?: number }) => Tensor) &
  HasOp & { readonly inPlace: (x: Tensor, a: Tensor, b: Tensor, options?: { value?: number }) => Tensor }
function factorOf(op: string, options: { value?: number } | undefined): number {
  if (options === undefined) return 1
  checkOptions(op, options, { value: 'number' })
  return options.value ?? 1
}

// @__NO_SIDE_EFFECTS__
function fused(op: ElementwiseOp): Fused {
  return Object.assign(
    (x: Tensor, a: Tensor, b: Tensor, options?: { value?: number }): Tensor => op.call3(x, a, b, [factorOf(op.name, options)]) as Tensor,
    {
      op,
      inPlace: (x: Tensor, a: Tensor, b: Tensor, options?: { value?: number }): Tensor =>
        op.inPlace(x, [a, b], [factorOf(op.name, options)]) as Tensor,
    },
  )
}

/**
 * x + value·a·b.
 * @example
 * tensor([1, 1]).addcmul(tensor([1, 2]), tensor([3, 4]), { value: 0.5 }).tolist() // [2.5, 5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.addcmul.html
 */
export const addcmul: Fused = /* @__PURE__ */ fused(addcmulOp)

const addcdivOp = /* @__PURE__ */ new ElementwiseOp('addcdiv', 3, {
  node: 'AddcdivBackward0',
  refuses: {
    below: 2,
    says: () => 'Integer division with addcdiv is no longer supported. Use x.add(a.div(b), { alpha: value })',
  },
  scalars: 1,
  value: (x, a, b, s) => x!.add(a!.div(b!).mul(s!)),
  vjp: [(g) => g, (g, { c, s }) => g.mul(s[0]!).div(c), (g, { b, c, s }) => g.neg().mul(s[0]!).mul(b.div(c)).div(c)],
})

/**
 * x + value·a/b.
 * @example
 * tensor([1, 1]).addcdiv(tensor([1, 4]), tensor([2, 2]), { value: 2 }).tolist() // [2, 5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.addcdiv.html
 */
export const addcdiv: Fused = /* @__PURE__ */ fused(addcdivOp)
