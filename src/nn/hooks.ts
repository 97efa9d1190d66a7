/** Hooks of modules: around `call`, and around what a module does in backward passes. */
import type { FunctionCtx } from '../autograd/context.ts'
import { Function } from '../autograd/function.ts'
import { isGradEnabled } from '../autograd/modes.ts'
import type { GradList, Node } from '../autograd/node.ts'
import { zeros } from '../creation.ts'
import { ArgumentError, GraphError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkOptions, type Known } from '../options.ts'
import { isTensor } from '../tensor.ts'
import { warn } from '../warnings.ts'
import type { AnyModule } from './module.ts'

/** Removes a hook; removing twice does nothing. */
export interface ModuleHookHandle {
  remove(): void
}

/** Options of hooks. */
export interface ModuleHookOptions {
  /** Run before the module's other hooks of this kind. Default false. */
  readonly prepend?: boolean
}

/** Options of forward hooks. */
export interface ForwardHookOptions extends ModuleHookOptions {
  /** Run also if `forward` or a hook has thrown; the output is null then. Default false. */
  readonly alwaysCall?: boolean
}

/** Runs before `forward`; a list it returns (or a single value) replaces the inputs. */
export type ForwardPreHook<I> = (module: AnyModule, inputs: I) => I | Tensor | undefined | void
/** Runs after `forward`; what it returns (if anything) replaces the output. */
export type ForwardHook<I, O> = (module: AnyModule, inputs: I, output: O) => O | undefined | void
/** Runs before the backward pass enters the module; what it returns replaces the gradients of the outputs. */
export type BackwardPreHook = (module: AnyModule, gradOutputs: GradList) => GradList | Tensor | null | undefined | void
/** Runs when the gradients of the inputs are known; what it returns replaces them. */
export type BackwardHook = (module: AnyModule, gradInputs: GradList, gradOutputs: GradList) => GradList | Tensor | null | undefined | void

/** A hook of any kind, as the lists hold it. */
type Loose = (...args: never[]) => unknown
interface Entry {
  readonly hook: Loose
  readonly always: boolean
}
type Kind = 'forwardPre' | 'forward' | 'backwardPre' | 'backward'

/** The hooks of one module, or of all: lists are replaced, never changed, so a call runs those it began with. */
export class ModuleHooks {
  readonly lists: Record<Kind, readonly Entry[]> = { forwardPre: [], forward: [], backwardPre: [], backward: [] }
  count = 0

  add(kind: Kind, hook: Loose, options: ForwardHookOptions = {}): ModuleHookHandle {
    if (typeof hook !== 'function') throw new ArgumentError(`a hook must be a function, got ${typeof hook}`)
    const op = `a hook (${kind})`
    checkOptions(
      op,
      options,
      kind === 'forward' ? { prepend: 'boolean', alwaysCall: 'boolean' } : ({ prepend: 'boolean' } as Known<ForwardHookOptions>),
    )
    const { prepend = false, alwaysCall = false } = options
    const entry: Entry = { hook, always: alwaysCall }
    const { lists } = this
    lists[kind] = prepend ? [entry, ...lists[kind]] : [...lists[kind], entry]
    this.count++
    return {
      remove: () => {
        if (!lists[kind].includes(entry)) return
        lists[kind] = lists[kind].filter((e) => e !== entry)
        this.count--
      },
    }
  }
}

const shared: { hooks: ModuleHooks | null } = { hooks: null }
const everywhere = (): ModuleHooks => (shared.hooks ??= new ModuleHooks())

/** Does no hook of all modules exist? */
export const noGlobalHooks = (): boolean => shared.hooks === null || shared.hooks.count === 0

/**
 * Runs a hook before `call` of every module, ahead of its own.
 * @example
 * const handle = nn.registerModuleForwardPreHook((module, [x]) => [(x as Tensor).mul(2)])
 * new nn.Identity().call(tensor(1)).item() // 2
 * handle.remove()
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.module.register_module_forward_pre_hook.html
 */
export function registerModuleForwardPreHook(hook: ForwardPreHook<unknown[]>): ModuleHookHandle {
  return everywhere().add('forwardPre', hook)
}

/**
 * Runs a hook after `call` of every module, ahead of its own.
 * @example
 * const seen: string[] = []
 * const handle = nn.registerModuleForwardHook((module) => void seen.push(module.constructor.name))
 * new nn.Identity().call(tensor(1))
 * seen // ['Identity']
 * handle.remove()
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.module.register_module_forward_hook.html
 */
export function registerModuleForwardHook(
  hook: ForwardHook<unknown[], unknown>,
  options: Pick<ForwardHookOptions, 'alwaysCall'> = {},
): ModuleHookHandle {
  return everywhere().add('forward', hook, options)
}

/**
 * Runs a hook before the backward pass of every module, ahead of its own.
 * @example
 * const x = tensor(1, { requiresGrad: true })
 * const handle = nn.registerModuleFullBackwardPreHook((module, [g]) => g!.mul(10))
 * new nn.Identity().call(x.mul(2)).backward()
 * x.grad!.item() // 20
 * handle.remove()
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.module.register_module_full_backward_pre_hook.html
 */
export function registerModuleFullBackwardPreHook(hook: BackwardPreHook): ModuleHookHandle {
  return everywhere().add('backwardPre', hook)
}

/**
 * Runs a hook after the backward pass of every module, ahead of its own.
 * @example
 * const x = tensor(0, { requiresGrad: true })
 * const handle = nn.registerModuleFullBackwardHook((module, [g]) => g!.mul(10))
 * new nn.Tanh().call(x).backward()
 * x.grad!.item() // 10
 * handle.remove()
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.module.register_module_full_backward_hook.html
 */
export function registerModuleFullBackwardHook(hook: BackwardHook): ModuleHookHandle {
  return everywhere().add('backward', hook)
}

/** The hooks of a kind that concern a module: those of all modules first. */
function hooksOf(kind: Kind, own: ModuleHooks | null): readonly Entry[] {
  const [all, mine] = [shared.hooks?.lists[kind] ?? [], own?.lists[kind] ?? []]
  return all.length === 0 ? mine : [...all, ...mine]
}

/** A module's `forward` with all hooks around it. */
export function callWithHooks(module: AnyModule, own: ModuleHooks | null, inputs: unknown[]): unknown {
  const after = hooksOf('forward', own)
  const called = new Set<Entry>()
  let given = inputs
  let output: unknown = null
  try {
    for (const { hook } of hooksOf('forwardPre', own)) {
      const made = (hook as (...args: unknown[]) => unknown)(module, given)
      if (made !== undefined && made !== null) given = Array.isArray(made) ? made : [made]
    }
    const boundary = Boundary.around(module, hooksOf('backwardPre', own), hooksOf('backward', own), given)
    output = module.forward(...(boundary?.inputs ?? given))
    for (const entry of after) {
      called.add(entry)
      output = (entry.hook as (...args: unknown[]) => unknown)(module, given, output) ?? output
    }
    return boundary === null ? output : boundary.leave(output)
  } catch (error) {
    for (const entry of after) {
      if (!entry.always || called.has(entry)) continue
      try {
        output = (entry.hook as (...args: unknown[]) => unknown)(module, given, output) ?? output
      } catch (second) {
        warn(
          `module forward hook with \`\`alwaysCall: true\`\` raised an exception that was silenced as another error was raised in forward: ${String(second)}`,
        )
      }
    }
    throw error
  }
}

/** The identity whose node stands where gradients enter or leave a module. */
class BackwardHookFunction extends Function {
  static forward(ctx: FunctionCtx, ...tensors: Tensor[]): Tensor[] {
    ctx.markNonDifferentiable(...tensors.filter((t) => !t.requiresGrad))
    return tensors
  }
  static backward(_ctx: FunctionCtx, ...grads: Tensor[]): Tensor[] {
    return grads
  }
}

/** Tensors passed through a node of the boundary; null if no gradient can come by. */
function pass(values: readonly unknown[]): { values: unknown[]; node: Node; at: number[] } | null {
  const at = values.map((_, i) => i).filter((i) => isTensor(values[i]))
  const tensors = at.map((i) => values[i] as Tensor)
  if (!isGradEnabled() || !tensors.some((t) => t.requiresGrad)) return null
  const passed = BackwardHookFunction.apply(...tensors)
  const out = [...values]
  passed.forEach((t, k) => {
    out[at[k]!] = t
  })
  return { values: out, node: passed.find((t) => t.gradFn !== null)!.gradFn!, at }
}

/** Spreads gradients of tensors over all arguments. */
const spread = (grads: GradList, at: readonly number[], count: number): GradList => {
  const all: GradList = new Array<Tensor | null>(count).fill(null)
  at.forEach((i, k) => {
    all[i] = grads[k] ?? null
  })
  return all
}

/** What a hook returned in place of gradients, as a list as long. */
function replaced(made: unknown, old: GradList, what: string): GradList {
  if (made === undefined || made === null) return old
  const list = (Array.isArray(made) ? made : [made]) as GradList
  if (list.length !== old.length) throw new GraphError(`${what}, got ${list.length}, but expected ${old.length}`)
  return list
}

/** One call of a module with backward hooks: nodes at its inputs and outputs, and the gradients on their way. */
class Boundary {
  readonly inputs: unknown[]
  private readonly module: AnyModule
  private readonly pre: readonly Entry[]
  private readonly hooks: readonly Entry[]
  private readonly count: number
  private readonly inside: boolean
  private gradOutputs: GradList | null = null

  private constructor(module: AnyModule, pre: readonly Entry[], hooks: readonly Entry[], given: unknown[]) {
    this.module = module
    this.pre = pre
    this.hooks = hooks
    this.count = given.length
    const passed = pass(given)
    this.inside = passed !== null
    this.inputs = passed?.values ?? given
    if (passed === null) return
    const { node, at } = passed
    const facts = at.map((i) => given[i] as Tensor).map((t) => ({ shape: t.shape, dtype: t.dtype }))
    node.registerHook((gradInputs) => {
      if (this.gradOutputs === null) return null
      // Tensors that need no gradient are shown zeros.
      const shown = gradInputs.map((g, k) => g ?? zeros(facts[k]!.shape, { dtype: facts[k]!.dtype }))
      const made = this.run(spread(shown, at, this.count))
      return at.map((i, k) => (gradInputs[k] === null ? null : made[i]!))
    })
  }

  /** Null if the module has no backward hooks. */
  static around(module: AnyModule, pre: readonly Entry[], hooks: readonly Entry[], given: unknown[]): Boundary | null {
    return pre.length === 0 && hooks.length === 0 ? null : new Boundary(module, pre, hooks, given)
  }

  /** The output, with a node at it. */
  leave(output: unknown): unknown {
    const list = Array.isArray(output)
    const values: unknown[] = list ? output : [output]
    const passed = pass(values)
    if (passed === null) return output
    const { node, at } = passed
    node.registerPrehook((grads) => {
      let gradOutputs = spread(grads, at, values.length)
      for (const { hook } of this.pre) {
        const made = (hook as BackwardPreHook)(this.module, gradOutputs)
        gradOutputs = replaced(made, gradOutputs, 'Backward pre hook returned an invalid number of grad_output')
      }
      this.gradOutputs = gradOutputs
      if (!this.inside) this.withoutInputs(gradOutputs)
      return at.map((i) => gradOutputs[i]!)
    })
    return list ? passed.values : passed.values[0]
  }

  private run(gradInputs: GradList): GradList {
    const gradOutputs = this.gradOutputs!
    this.gradOutputs = null
    let made = gradInputs
    for (const { hook } of this.hooks)
      made = replaced(
        (hook as BackwardHook)(this.module, made, gradOutputs),
        made,
        'Backward hook returned an invalid number of grad_input',
      )
    return made
  }

  /** No gradient leaves the module: its hooks run where gradients enter. */
  private withoutInputs(gradOutputs: GradList): void {
    this.gradOutputs = null
    if (this.hooks.length === 0) return
    warn('Full backward hook is firing when gradients are computed with respect to module outputs since no inputs require gradients.')
    for (const { hook } of this.hooks) {
      const made = (hook as BackwardHook)(this.module, spread([], [], this.count), gradOutputs)
      if (made === undefined || made === null || (Array.isArray(made) && made.every((g) => g === null))) continue
      throw new GraphError(
        'Backward hook for Modules where no input requires gradient should always return None or None for all gradients.',
      )
    }
  }
}
