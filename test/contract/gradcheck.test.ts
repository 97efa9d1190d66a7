/** gradcheck and gradgradcheck judge as PyTorch's do, case by case, as record_gradcheck.py recorded it. */
import { expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { type Checked, type GradcheckOptions, type GradgradcheckOptions, gradcheck, gradgradcheck } from '../../src/testing/index.ts'
import { type Ctx, define, type With } from './functions.ts'
import { type Cases, compare, leaf, plain } from './harness.ts'

type Tensor = torch.Tensor

/** True, false, or the first words of the error, and how many warnings came. */
function outcome(fn: () => unknown): [unknown, number] {
  let warnings = 0
  torch.setWarningHandler(() => warnings++)
  let made: unknown
  try {
    made = fn()
  } catch (e) {
    made = `error: ${(e as Error).message}`
  }
  torch.setWarningHandler(() => {})
  return [made, warnings]
}

const check = (f: unknown, inputs: Tensor | Tensor[], options?: GradcheckOptions) => outcome(() => gradcheck(f as Checked, inputs, options))
const checkTwice = (f: unknown, inputs: Tensor | Tensor[], g?: Tensor | null, options?: GradgradcheckOptions) =>
  outcome(() => gradgradcheck(f as Checked, inputs, g, options))

type Saving = With<object>
const own = (forward: (ctx: never, x: Tensor) => Tensor, backward: (ctx: never, g: Tensor) => unknown): Checked => {
  const F = define(forward as never, backward as never)
  return (x) => F.apply(x)
}
const save = (ctx: Saving, x: Tensor): Tensor => {
  ctx.saveForBackward(x)
  return x.mul(x)
}
const times = (k: number) => (ctx: Saving, g: Tensor) => ctx.savedTensors[0].mul(k).mul(g)
const double = (_ctx: Ctx, x: Tensor): Tensor => x.mul(2)
const right = own(save, times(2))
const wrong = own(save, times(3))
const notLinear = own(double, (_ctx: Ctx, g: Tensor) => g.mul(2).add(1e-7))
const silent = own(double, () => null)
let count = 0
const unsteady = own(double, (_ctx: Ctx, g: Tensor) => g.mul(2).add(g.mul(1e-6 * count++)))
const unmaterialized = (ctx: Ctx, x: Tensor): Tensor => {
  ctx.setMaterializeGrads(false)
  return x.mul(2)
}
const fragile = own(unmaterialized, (_ctx: Ctx, g: Tensor | null) => {
  if (g === null) throw new Error('None is not expected')
  return g.mul(2)
})
const inventive = own(unmaterialized, (_ctx: Ctx, g: Tensor | null) => g?.mul(2) ?? plain(1, 1))
const careful = own(unmaterialized, (_ctx: Ctx, g: Tensor | null) => g?.mul(2) ?? null)

/** x³ with a tangent rule whose factor may be wrong. */
function withJvp(factor: number): Checked {
  const F = define(((x: Tensor) => x.pow(3)) as never, ((ctx: Saving, g: Tensor) => ctx.savedTensors[0].pow(2).mul(3).mul(g)) as never, {
    setupContext(ctx: Saving, [x]: [Tensor]) {
      ctx.saveForBackward(x)
      ctx.saveForForward(x)
    },
    jvp: (ctx: Saving, t: Tensor) => ctx.savedTensors[0].pow(2).mul(factor).mul(t),
  })
  return (x) => F.apply(x)
}

const sin = (x: Tensor): Tensor => x.sin()
const cubes = (x: Tensor): Tensor => x.pow(3).mul(2)
const several = (x: Tensor, y: Tensor): Tensor[] => [x.mul(y), x.exp(), y.sum()]
const x = (): Tensor => leaf(1.5, -0.5)
const xy = (): Tensor[] => [x(), leaf(2, 3)]
const forgets = own(
  (ctx: With<{ x: Tensor }>, t: Tensor) => {
    ctx.x = t.detach()
    return t.mul(t)
  },
  (ctx: With<{ x: Tensor }>, g: Tensor) => ctx.x.mul(2).mul(g),
)

const cases: Cases = {
  right_and_wrong: () => [right, wrong, (t: Tensor) => t.exp(), sin].map((f) => check(f, [x()])),
  without_raising: () => [right, wrong, notLinear].map((f) => check(f, x(), { raiseException: false })),
  other_errors_are_raised_all_the_same() {
    const fails = (): never => {
      throw new Error('mine')
    }
    return [check(fails, x(), { raiseException: false }), check(sin, x().detach(), { raiseException: false })]
  },
  no_input_requires_grad: () => [check(sin, plain(1, 1))],
  single_precision_warns: () => [check(sin, torch.tensor([0.5], { requiresGrad: true }), { raiseException: false })],
  stride_zero: () => [check(sin, leaf(0.5).expand([3]))],
  strided_inputs() {
    const t = torch.arange(6, { dtype: 'float64' }).reshape([2, 3]).t().detach().requiresGrad_()
    return [check(sin, t), checkTwice(sin, t)]
  },
  several_inputs_and_outputs: () => [check(several, xy()), checkTwice(several, xy())],
  wrong_input_is_named: () => [check((a: Tensor, b: Tensor) => [a.mul(2), wrong(b)], xy())],
  constants_among_the_inputs: () => [check((a: Tensor, b: Tensor) => a.mul(b), [x(), plain(2, 3)])],
  tolerances() {
    const slightly = own(save, times(2.001))
    return [
      check(slightly, x(), { rtol: 1e-2 }),
      check(slightly, x(), { rtol: 1e-5, atol: 1e-6 }),
      check(slightly, x(), { rtol: 0, atol: 1e-2 }),
      check(sin, x(), { eps: 0.5 }),
    ]
  },
  not_multiplied_by_grad_output: () => [check(notLinear, x())],
  no_differentiable_output: () => [
    check((t: Tensor) => t.detach().mul(2), x()),
    check(() => plain(1, 1), x()),
    check((t: Tensor) => t.detach().mul(2), x(), { fastMode: true }),
  ],
  unused_input: () => [check((a: Tensor, _b: Tensor) => a.sin(), xy())],
  silent_backward: () => [check(silent, x()), check((t: Tensor) => t.mul(0), x())],
  reentrant: () => [check(unsteady, x()), check(unsteady, x(), { nondetTol: 1e-5 }), check(unsteady, x(), { fastMode: true })],
  undefined_grads: () => [fragile, inventive, careful].flatMap((f) => [true, false].map((on) => check(f, x(), { checkUndefinedGrad: on }))),
  undefined_grads_of_one_output: () => [
    check((t: Tensor) => [fragile(t) as Tensor, t.mul(3)], x()),
    check((t: Tensor) => [careful(t) as Tensor, t.mul(3)], x()),
  ],
  shapes_that_change: () => [
    check((t: Tensor) => t.maskedSelect(t.gt(0.5)), leaf(0.5, 1)),
    check((t: Tensor) => (t.sum().item() > 1.5 ? t.mul(2) : t.mul(2).to('float32')), leaf(0.5, 1)),
  ],
  options_that_exclude_each_other: () => [
    check(sin, x(), { checkBackwardAd: false }),
    check(sin, x(), { checkBackwardAd: false, checkForwardAd: true, checkBatchedGrad: true }),
    check(sin, x(), { checkBatchedForwardGrad: true }),
    checkTwice(sin, x(), null, { checkRevOverRev: false }),
    checkTwice(sin, x(), null, { checkRevOverRev: false, checkFwdOverRev: true }),
    checkTwice(sin, x(), null, { checkRevOverRev: false, checkFwdOverRev: true, checkUndefinedGrad: false, checkBatchedGrad: true }),
  ],
  forward_mode: () => [
    check(sin, x(), { checkForwardAd: true }),
    check(withJvp(3), x(), { checkForwardAd: true }),
    check(withJvp(4), x(), { checkForwardAd: true }),
    check(withJvp(4), x(), { checkForwardAd: true, checkBackwardAd: false }),
    check(withJvp(4), x()),
    check((a: Tensor, b: Tensor) => [a.mul(b), b.sin()], xy(), { checkForwardAd: true }),
  ],
  fast_mode: () => [
    check(several, xy(), { fastMode: true }),
    check(wrong, x(), { fastMode: true }),
    check(several, xy(), { fastMode: true, checkForwardAd: true }),
    check(withJvp(4), x(), { fastMode: true, checkForwardAd: true }),
    checkTwice(several, xy(), null, { fastMode: true }),
  ],
  batched: () => [
    check(sin, x(), { checkBatchedGrad: true }),
    check((a: Tensor, b: Tensor) => [a.mul(b), b.sum()], xy(), { checkBatchedGrad: true }),
    check(sin, x(), { checkForwardAd: true, checkBatchedForwardGrad: true }),
    checkTwice(sin, x(), null, { checkBatchedGrad: true }),
  ],
  batched_rule_reads_values() {
    const reads = own(double, (_ctx: Ctx, g: Tensor) => (g.sum().item() > -1e9 ? g.mul(2) : g))
    return [String(check(reads, x(), { checkBatchedGrad: true })[0]).slice(0, 45)]
  },
  second_derivatives: () => [
    checkTwice(cubes, x()),
    checkTwice(right, x()),
    checkTwice(cubes, x(), leaf(1, 2)),
    checkTwice(cubes, x(), plain(1, 1)),
    checkTwice(cubes, x(), null, { genNonContigGradOutputs: true }),
    checkTwice(cubes, x(), null, { checkFwdOverRev: true }),
    checkTwice(cubes, x(), null, { checkFwdOverRev: true, checkRevOverRev: false, checkUndefinedGrad: false }),
  ],
  wrong_second_derivatives: () => [
    check(forgets, x()),
    checkTwice(forgets, x()),
    checkTwice(forgets, x(), null, { raiseException: false }),
  ],
  dtypes_of_gradients: () => [
    check((t: Tensor) => t.to('float32').mul(2), x(), { checkGradDtypes: true, eps: 1e-2, atol: 1e-3 }),
    check(sin, x(), { checkGradDtypes: true }),
  ],
  inputs_are_restored() {
    const t = x()
    const version = t._version
    gradcheck(sin, t)
    return [t.tolist(), t.grad === null, t.requiresGrad, t._version === version]
  },
  empty_inputs: () => [check(sin, leaf()), check((a: Tensor, b: Tensor) => a.mul(b.sum()), [x(), leaf()])],
}

compare('gradcheck', 'gradcheck.json', cases)

test('a mismatch shows both Jacobians', () => {
  expect(() => gradcheck(wrong, x())).toThrow(/numerical:\n\[3\.00000, 0.*\]\n.*\nanalytical:\n\[4\.50000/)
  expect(() => gradcheck(wrong, x(), { fastMode: true })).toThrow('recompute numerical and analytical jacobians in slow mode')
})

test('random numbers of every example their own: batched gradients are told from single ones', () => {
  const noisy = own(double, (_ctx: Ctx, g: Tensor) => g.mul(torch.rand([2], { dtype: 'float64' })))
  expect(() => gradcheck(noisy, x(), { checkBatchedGrad: true, nondetTol: 9, atol: 9 })).toThrow('For output 0 and input 0')
})
