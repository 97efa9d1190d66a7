/** Optimizers whose step is elementwise: one fused kernel over a parameter, its gradient and its state, in place. */
import { peekGrad } from '../autograd/accumulate.ts'
import { modes } from '../autograd/modes.ts'
import { bump } from '../autograd/record.ts'
import { input, Program, type Scalar, scalar } from '../backend/scalar.ts'
import { type Kernel, kernel, runFlat, runInto } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import type { TensorCore } from '../tensor.ts'
import { checkRate, Optimizer, type ParamGroup, type ParamState } from './optimizer.ts'

/** A step as expressions. */
export interface StepRule {
  /** Names of the state tensors. */
  readonly state: readonly string[]
  /** How many run-time scalars it takes. */
  readonly scalars: number
  /** Do the scalars depend on numbers in the parameter's own state, not only on its age? */
  readonly own?: boolean
  /** The new parameter, then the new state, from the parameter, its gradient, the state and the scalars. */
  next(p: Scalar, g: Scalar, state: readonly Scalar[], s: readonly Scalar[]): readonly Scalar[]
}

/** Hyper-parameters that most optimizers have. */
export interface CommonOptions {
  /** Learning rate. */
  lr: number
  /** Adds this share of the parameter to its gradient. Default 0. */
  weightDecay: number
  /** Climbs instead of descending. */
  maximize: boolean
}

/** Bits of a variant: what the common hyper-parameters change in a rule. A rule's own bits begin at 4. */
const DECAY = 1
const MAXIMIZE = 2

/** The variant that the common hyper-parameters ask for. */
export function commonVariant(o: Omit<CommonOptions, 'lr'>): number {
  return (o.weightDecay === 0 ? 0 : DECAY) | (o.maximize ? MAXIMIZE : 0)
}

/** Refuses impossible common hyper-parameters. */
export function checkCommon(o: Omit<CommonOptions, 'maximize'>): void {
  checkRate('learning rate', o.lr)
  checkRate('weight_decay value', o.weightDecay)
}

/** Where a step starts and what it follows: the gradient, negated to climb, with `decay` · p added in it. */
export function coupled(variant: number, p: Scalar, gradient: Scalar, decay: Scalar): readonly [p: Scalar, g: Scalar] {
  const g = (variant & MAXIMIZE) === 0 ? gradient : gradient.neg()
  return [p, (variant & DECAY) === 0 ? g : g.add(p.mul(decay))]
}

/** As `coupled`, with decay apart from the gradient: the parameter is first multiplied by `left`. */
export function decoupled(variant: number, p: Scalar, gradient: Scalar, left: Scalar): readonly [p: Scalar, g: Scalar] {
  return [(variant & DECAY) === 0 ? p : p.mul(left), (variant & MAXIMIZE) === 0 ? gradient : gradient.neg()]
}

/** Most scalars of a rule. */
const SCALARS = 12

/** A rule with its kernels, by dtype. */
class Plan {
  readonly rule: StepRule
  private readonly kernels = new Map<string, Kernel>()

  constructor(rule: StepRule) {
    this.rule = rule
  }

  kernel(dtype: 'float32' | 'float64'): Kernel {
    let hit = this.kernels.get(dtype)
    if (hit === undefined) {
      const { state, scalars, next } = this.rule
      const inputs = state.map((_, i) => input(i + 2))
      const results = next(
        input(0),
        input(1),
        inputs,
        Array.from({ length: scalars }, (_, i) => scalar(i)),
      )
      const types = results.map(() => dtype)
      hit = kernel(new Program(results, types, [...types, dtype], scalars, dtype))
      this.kernels.set(dtype, hit)
    }
    return hit
  }
}

/** One parameter made ready for its kernel. */
interface Slot {
  readonly p: Tensor
  readonly plan: Plan
  readonly kernel: Kernel
  readonly state: ParamState
  /** What the kernel writes, then what it reads: p, state, p, the gradient, state. */
  readonly operands: TensorCore[]
  /** Where the gradient stands among them. */
  readonly gradient: number
  /** Has its state been made for the coming step? */
  fresh: boolean
}

/**
 * An optimizer whose step is a `StepRule`. Hyper-parameters that change the rule's shape make a variant of their own;
 * all other numbers are run-time scalars, computed once per step and shared by parameters of the same age.
 */
export abstract class FusedOptimizer<H extends object> extends Optimizer<H> {
  private plans: (Plan | undefined)[] = []
  private slots = new WeakMap<ParamGroup<H>, (Slot | undefined)[]>()
  private readonly numbers = new Float64Array(SCALARS)

  /** Which form of the rule these hyper-parameters need, as a small number. */
  protected abstract variant(group: H): number
  /** The rule of a variant. */
  protected abstract rule(variant: number): StepRule
  /**
   * Writes the scalars of the step number `step`, counted from 1. `fresh`: the state tensors have just been made. `state` is the
   * parameter's, for rules that say `own`.
   */
  protected abstract numbersOf(group: H, step: number, fresh: boolean, out: Float64Array, state: ParamState): void
  /** What the elements of a state tensor are before the first step. */
  protected initial(_name: string, _group: H): number {
    return 0
  }

  protected override updateGroup(group: ParamGroup<H>): void {
    const variant = this.variant(group)
    const plan = (this.plans[variant] ??= new Plan(this.rule(variant)))
    let slots = this.slots.get(group)
    if (slots === undefined) this.slots.set(group, (slots = []))
    const { params } = group
    const own = plan.rule.own === true
    let step = -1
    let fresh = false
    for (let i = 0; i < params.length; i++) {
      const p = params[i]!
      const g = peekGrad(p)
      if (g === null) continue
      let slot = slots[i]
      if (slot === undefined || slot.p !== p || slot.plan !== plan || slot.kernel.out !== p.dt) slot = slots[i] = this.slot(p, plan, group)
      const now = ++slot.state.step
      if (now !== step || slot.fresh !== fresh || own) this.numbersOf(group, (step = now), (fresh = slot.fresh), this.numbers, slot.state)
      this.run(slot, g)
    }
  }

  protected update(p: Tensor, g: Tensor, group: ParamGroup<H>): void {
    const variant = this.variant(group)
    const slot = this.slot(p, (this.plans[variant] ??= new Plan(this.rule(variant))), group)
    this.numbersOf(group, ++slot.state.step, slot.fresh, this.numbers, slot.state)
    this.run(slot, g)
  }

  private run(slot: Slot, g: TensorCore): void {
    const { operands, gradient } = slot
    operands[gradient] = g
    if (modes.mutation !== null) modes.mutation.before(slot.p)
    if (!runFlat(slot.kernel, operands, this.numbers)) {
      const outputs = gradient - 1
      runInto(slot.kernel, operands.slice(0, outputs), operands.slice(outputs), [...this.numbers.subarray(0, slot.plan.rule.scalars)])
    }
    // Nobody but the leaf holds a gradient between steps.
    operands[gradient] = slot.p
    slot.fresh = false
    bump(slot.p, 'step')
  }

  private slot(p: Tensor, plan: Plan, group: ParamGroup<H>): Slot {
    let state = this.state.get(p)
    if (state === undefined) this.state.set(p, (state = { step: 0 }))
    let fresh = plan.rule.state.length === 0
    const tensors = plan.rule.state.map((name) => {
      const known = state[name]
      if (known !== undefined) return known as Tensor
      fresh = true
      return (state[name] = this.like(p, this.initial(name, group)))
    })
    return {
      p,
      plan,
      kernel: plan.kernel(p.dt.name as 'float32'),
      state,
      operands: [p, ...tensors, p, p, ...tensors],
      gradient: tensors.length + 2,
      fresh,
    }
  }

  protected override forgetPlans(): void {
    this.slots = new WeakMap()
  }
}
