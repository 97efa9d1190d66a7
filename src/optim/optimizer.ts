/** The base of optimizers: parameter groups, state, gradients cleared, and the step around an update rule. */
import { clearGrad, peekGrad } from '../autograd/accumulate.ts'
import { enableGrad, noGrad } from '../autograd/modes.ts'
import { ArgumentError, AutogradError } from '../errors.ts'
import { copyInto, fillWith } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { zeroGradient } from '../nn/parameter.ts'
import { checkFunction, checkOptions, expectIterable, type Kind, describe as say } from '../options.ts'
import { sameShape } from '../shape.ts'
import { emptyPersistent, isTensor, type TensorCore } from '../tensor.ts'
import { warn } from '../warnings.ts'

/** Parameters that share hyper-parameters. Changing a hyper-parameter here changes the next step. */
export type ParamGroup<H> = H & {
  params: Tensor[]
  /** The learning rate a scheduler started from. */
  initialLr?: number
}
/** A group as it is given: parameters, and the hyper-parameters that differ from the optimizer's. */
export type GroupOptions<H> = Partial<H> & { readonly params: Tensor | Iterable<Tensor> }
/** What optimizers take: parameters, or groups of them. */
export type Params<H> = Iterable<Tensor> | Iterable<GroupOptions<H>>

/** What an optimizer remembers of one parameter: how many steps it took, and tensors, numbers and lists of them by name. */
export interface ParamState {
  step: number
  [name: string]: Tensor | number | readonly Tensor[] | readonly number[]
}

/** The state of an optimizer by position of the parameters: what `stateDict` gives and `loadStateDict` takes. */
export interface OptimizerState<H> {
  readonly state: Readonly<Record<number, ParamState>>
  readonly paramGroups: readonly (H & { readonly params: readonly number[]; readonly initialLr?: number })[]
}

const describe = (value: unknown): string => (isTensor(value) ? `torch.${value.dt.torchType.replace(/^torch\./, '')}` : typeof value)

/**
 * The base of optimizers. A subclass says which hyper-parameters are possible (`check`) and updates one parameter
 * (`update`, called without recording); those whose rule is elementwise extend `FusedOptimizer` instead.
 *
 * Errors: ArgumentError for what can't be optimized, for parameters given twice, and for impossible hyper-parameters.
 * @example
 * const x = tensor(1, { requiresGrad: true })
 * const optimizer = new optim.SGD([x], { lr: 0.25 })
 * optimizer.zeroGrad()
 * x.pow(2).backward()
 * optimizer.step()
 * x.item() // 0.5
 * @see https://docs.pytorch.org/docs/stable/optim.html#torch.optim.Optimizer
 */
export abstract class Optimizer<H extends object> {
  readonly paramGroups: ParamGroup<H>[] = []
  /** What is remembered of each parameter, made at its first step. */
  readonly state: Map<Tensor, ParamState> = new Map()
  /** The hyper-parameters of groups that don't have their own. */
  readonly defaults: H
  /** How often `step` ran. */
  stepCount = 0

  /**
   * `defaults` are the hyper-parameters there are, `options` those that were given: of names and kinds as in `defaults`.
   */
  constructor(params: Params<H>, defaults: H, options: Partial<H> = {}) {
    const op = this.constructor.name
    checkOptions<object>(op, options, kindsOf(defaults))
    this.defaults = { ...defaults, ...options }
    if (isTensor(params) || typeof (params as Iterable<Tensor> | null | undefined)?.[Symbol.iterator] !== 'function') {
      throw new ArgumentError(
        `params argument given to the optimizer should be an iterable of Tensors or dicts, but got ${describe(params)} (${op}); pass a list, or model.parameters()`,
      )
    }
    const list = [...(params as Iterable<unknown>)]
    if (list.length === 0) throw new ArgumentError(`optimizer got an empty parameter list (${op})`)
    const isGroup = (x: unknown): boolean => typeof x === 'object' && x !== null && !isTensor(x) && 'params' in x
    if (isGroup(list[0])) for (const g of list) this.addParamGroup(g as GroupOptions<H>)
    else this.addParamGroup({ params: list } as unknown as GroupOptions<H>)
  }

  /**
   * Adds parameters, with hyper-parameters of their own where given: for layers that are unfrozen during training.
   * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.add_param_group.html
   */
  addParamGroup(group: GroupOptions<H>): void {
    if (typeof group !== 'object' || group === null || isTensor(group) || !('params' in group))
      throw new ArgumentError(`param_group must be a dict, but got ${describe(group)}: a group is { params, … }`)
    const { params: given, initialLr: _from, ...own } = group as GroupOptions<H> & { readonly initialLr?: number }
    checkOptions<object>(`addParamGroup of ${this.constructor.name}`, own, kindsOf(this.defaults))
    const params = isTensor(given) ? [given as Tensor] : [...expectIterable('addParamGroup', given, 'parameters')]
    const known = new Set(this.paramGroups.flatMap((g) => g.params))
    for (const p of params) {
      if (!isTensor(p))
        throw new ArgumentError(
          `optimizer can only optimize Tensors, but one of the params is ${describe(p)} (addParamGroup of ${this.constructor.name})`,
        )
      if (!p.isLeaf) throw new ArgumentError("can't optimize a non-leaf Tensor")
    }
    const made = { ...this.defaults, ...group, params } as ParamGroup<H>
    for (const [name, value] of Object.entries(made)) {
      if (value === undefined)
        throw new ArgumentError(
          `parameter group didn't specify a value of required optimization parameter ${name} (${this.constructor.name})`,
        )
    }
    this.check(made)
    if (new Set(params).size !== params.length) {
      warn(
        'optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; see github.com/pytorch/pytorch/issues/40967 for more information',
      )
    }
    if (params.some((p) => known.has(p))) throw new ArgumentError('some parameters appear in more than one parameter group')
    this.paramGroups.push(made)
  }

  /** Refuses impossible hyper-parameters. Called while the base is constructed: reads nothing but its argument. */
  protected abstract check(group: H): void

  /** One step of one parameter, in place. `g` must not be kept: its memory is reused. */
  protected abstract update(p: Tensor, g: Tensor, group: ParamGroup<H>): void

  /** One step of all parameters of a group that have a gradient. */
  protected updateGroup(group: ParamGroup<H>): void {
    for (const p of group.params) {
      const g = peekGrad(p)
      if (g !== null) this.update(p, g as Tensor, group)
    }
  }

  /**
   * Updates every parameter that has a gradient. A closure that computes the loss and its gradients may be given: it runs
   * first, recording, and its result is returned.
   * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.step.html
   */
  step(): undefined
  step<R>(closure: () => R): R
  step<R>(closure?: () => R): R | undefined {
    if (closure !== undefined) checkFunction('step', closure)
    const loss = closure === undefined ? undefined : enableGrad(closure)
    noGrad(() => {
      for (const group of this.paramGroups) this.updateGroup(group)
    })
    this.stepCount++
    return loss
  }

  /**
   * Forgets all gradients; with `setToNone: false` fills them with zeros instead.
   * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html
   */
  zeroGrad(options: { readonly setToNone?: boolean } = {}): void {
    checkOptions('zeroGrad', options, { setToNone: 'boolean' })
    const forget = options.setToNone ?? true
    for (const { params } of this.paramGroups) {
      for (let i = 0; i < params.length; i++) {
        if (forget) clearGrad(params[i]!)
        else zeroGradient(params[i]!)
      }
    }
  }

  /** A tensor of state for `p`: of its shape and dtype, in memory that no scope releases. */
  protected like(p: TensorCore, value: number): Tensor {
    const t = emptyPersistent(Layout.of(p.layout.shape), p.dt)
    fillWith(t, value)
    return t as Tensor
  }

  /**
   * State and hyper-parameters, with positions in place of the parameters. The tensors share memory with the optimizer.
   * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.state_dict.html
   */
  stateDict(): OptimizerState<H> {
    let n = 0
    const state: Record<number, ParamState> = {}
    const paramGroups = this.paramGroups.map((group) => ({
      ...group,
      params: group.params.map((p) => {
        const s = this.state.get(p)
        if (s !== undefined) state[n] = { ...s }
        return n++
      }),
    }))
    return { state, paramGroups }
  }

  /**
   * Goes on from a saved state: hyper-parameters are taken over, tensors copied (and converted to the parameter's dtype).
   * Errors: ArgumentError, before anything is changed, when groups or shapes don't match.
   * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.load_state_dict.html
   */
  loadStateDict(saved: OptimizerState<H>): void {
    const isRecord = (x: unknown): boolean => typeof x === 'object' && x !== null
    if (
      !isRecord(saved) ||
      !isRecord(saved.state) ||
      !Object.values(saved.state).every(isRecord) ||
      !Array.isArray(saved.paramGroups) ||
      !saved.paramGroups.every((g) => Array.isArray(g?.params))
    )
      throw new ArgumentError(`loadStateDict: expected what stateDict gives, { state, paramGroups }, got ${describe(saved)}`)
    if (saved.paramGroups.length !== this.paramGroups.length)
      throw new ArgumentError(
        `loaded state dict has a different number of parameter groups: ${saved.paramGroups.length} instead of ${this.paramGroups.length}`,
      )
    const owners = new Map<number, Tensor>()
    this.paramGroups.forEach(({ params }, i) => {
      const numbers = saved.paramGroups[i]!.params
      if (numbers.length !== params.length)
        throw new ArgumentError(
          `loaded state dict contains a parameter group that doesn't match the size of optimizer's group: group ${i} has ${numbers.length} parameters instead of ${params.length}`,
        )
      params.forEach((p, j) => owners.set(numbers[j]!, p))
    })
    const made = new Map<Tensor, ParamState>()
    for (const [number, entries] of Object.entries(saved.state)) {
      const p = owners.get(Number(number))
      if (p !== undefined) made.set(p, this.copyState(p, entries))
    }
    this.state.clear()
    for (const [p, s] of made) this.state.set(p, s)
    this.paramGroups.forEach((group, i) => {
      const { params: _params, ...rest } = saved.paramGroups[i]!
      Object.assign(group, rest)
    })
    this.forgetPlans()
  }

  private copyState(p: Tensor, entries: ParamState): ParamState {
    const state: ParamState = { step: 0 }
    const shape = this.stateShape(p)
    const copied = (name: string, value: Tensor): Tensor => {
      if (!sameShape(value.shape, shape))
        throw new AutogradError(`loaded state dict: ${name} has shape [${value.shape.join(', ')}], its parameter [${shape.join(', ')}]`, {
          shapes: [value.shape, shape],
        })
      const t = emptyPersistent(Layout.of(shape), p.dt)
      copyInto(t, value)
      return t as Tensor
    }
    for (const [name, value] of Object.entries(entries)) {
      if (isTensor(value)) state[name] = copied(name, value as Tensor)
      else if (Array.isArray(value) && isTensor(value[0])) state[name] = (value as Tensor[]).map((t) => copied(name, t))
      else state[name] = value
    }
    return state
  }

  /** The shape of the tensors of state of a parameter. */
  protected stateShape(p: Tensor): readonly number[] {
    return p.shape
  }

  /** Called when state was replaced: whoever cached parts of it reads it again. */
  protected forgetPlans(): void {}

  /** The hyper-parameters of every group, as torch prints them. */
  toString(): string {
    const groups = this.paramGroups.map((group, i) => {
      const rows = Object.entries(group).filter(([name]) => name !== 'params')
      return [`Parameter Group ${i}`, ...rows.sort().map(([name, value]) => `    ${name}: ${String(value)}`)].join('\n')
    })
    return `${this.constructor.name} (\n${groups.join('\n\n')}\n)`
  }
}

/** The kinds of hyper-parameters, as their defaults show them. */
function kindsOf(defaults: object): Record<string, Kind> {
  const kindOf = (v: unknown): Kind => (typeof v === 'number' || typeof v === 'boolean' ? (typeof v as Kind) : 'any')
  return Object.fromEntries(Object.entries(defaults).map(([name, v]) => [name, kindOf(v)]))
}

/** Refuses a hyper-parameter that isn't a number ≥ 0. */
export function checkRate(name: string, value: number): void {
  if (!(value >= 0)) throw new ArgumentError(`Invalid ${name}: ${value}`)
}

/** Refuses decay rates of running averages outside [0, 1). */
export function checkBetas(betas: readonly [number, number]): void {
  if (!Array.isArray(betas) || betas.length !== 2) throw new ArgumentError(`Invalid betas: expected two numbers, got ${say(betas)}`)
  betas.forEach((b, i) => {
    if (!(typeof b === 'number' && b >= 0 && b < 1)) throw new ArgumentError(`Invalid beta parameter at index ${i}: ${say(b)}`)
  })
}
