/** The base of all layers and models: parameters, buffers and submodules are its properties. */
import { clearGrad, peekGrad } from '../autograd/accumulate.ts'
import { noGrad } from '../autograd/modes.ts'
import { nameTensor } from '../autograd/names.ts'
import { leafOf } from '../autograd/node.ts'
import { dtypeInfo } from '../dtype.ts'
import { ArgumentError, AutogradError, DTypeError, show } from '../errors.ts'
import { copyInto } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { checkFunction, checkOptions, describe, type Known } from '../options.ts'
import { sameShape } from '../shape.ts'
import { emptyPersistent, isTensor } from '../tensor.ts'
import {
  type BackwardHook,
  type BackwardPreHook,
  callWithHooks,
  type ForwardHook,
  type ForwardHookOptions,
  type ForwardPreHook,
  type ModuleHookHandle,
  type ModuleHookOptions,
  ModuleHooks,
  noGlobalHooks,
} from './hooks.ts'
import { Buffer, type BufferOptions, isBuffer, isParameter, isSaved, type Parameter, zeroGradient } from './parameter.ts'

// Note [Registration by walking]
// A module has no tables of its parts: whoever asks gets the properties that hold a parameter, a buffer or a module at
// that moment, in the order they were first assigned. So plain assignment registers, replaces and removes, as in torch,
// without proxies; and, as in torch, arrays are not searched (ModuleList and ParameterList are modules).

/** Tensors of a module by dotted name: what `stateDict` gives and `loadStateDict` takes. */
export type StateDict = Record<string, Tensor>

/** Names that a state and a module don't share. */
export interface LoadReport {
  readonly missingKeys: string[]
  readonly unexpectedKeys: string[]
}

/** Options of the iterations over parameters and buffers. */
export interface NamedOptions {
  /** Stands before every name. */
  readonly prefix?: string
  /** Those of submodules too? Default true. */
  readonly recurse?: boolean
  /** A tensor that has several names only under the first? Default true. */
  readonly removeDuplicate?: boolean
}
const NAMED: Known<NamedOptions> = { prefix: 'any', recurse: 'boolean', removeDuplicate: 'boolean' }

/** Options of `stateDict`. */
export interface StateDictOptions {
  readonly prefix?: string
  /** Keep the parameters themselves instead of detached tensors. */
  readonly keepVars?: boolean
  /** Names as PyTorch writes them (`running_mean`), for files that PyTorch is to read. `loadStateDict` understands both. */
  readonly snakeCase?: boolean
}

/** Any module, whatever it takes and gives. */
export type AnyModule = Module<unknown[], unknown>

const join = (prefix: string, name: string): string => (prefix === '' ? name : `${prefix}.${name}`)
/** Parameters on their way to a caller: from now on messages call them by these names. */
function* named(parameters: IterableIterator<[string, Parameter]>): IterableIterator<[string, Parameter]> {
  for (const entry of parameters) {
    nameTensor(entry[1], entry[0])
    yield entry
  }
}
/** `layer1.runningMean` → `layer1.running_mean`. */
const snakeCased = (name: string): string => name.replace(/[a-z0-9][A-Z]/g, (pair) => `${pair[0]}_${pair[1]!.toLowerCase()}`)
const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ')
const torchType = (value: unknown): string => (isTensor(value) ? value.dt.torchType : value === null ? 'null' : typeof value)

/**
 * A model or a part of one. Subclasses assign parameters, buffers and other modules to properties and define `forward`;
 * `I` is what it takes, `O` what it gives: by default tensors and one tensor. A model with two outputs is a
 * `nn.Module<[Tensor], [Tensor, Tensor]>`.
 * @example
 * class Net extends nn.Module {
 *   readonly first = new nn.Linear(2, 16)
 *   readonly second = new nn.Linear(16, 1)
 *   forward(x: Tensor): Tensor {
 *     return this.second.forward(this.first.forward(x).tanh())
 *   }
 * }
 * const net = new Net()
 * net.forward(zeros([5, 2])).shape // [5, 1]
 * Object.keys(net.stateDict()) // ['first.weight', 'first.bias', 'second.weight', 'second.bias']
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
 */
export abstract class Module<I extends unknown[] = Tensor[], O = Tensor> {
  /** In training (true) or evaluation; see `train` and `eval`. */
  training = true
  #hooks: ModuleHooks | null = null

  /** The computation. Hooks run only through `call`. */
  abstract forward(...inputs: I): O

  /** `forward` with the hooks around it: what Python writes as `module(x)`. */
  call(...inputs: I): O {
    if (this.#hooks === null && noGlobalHooks()) return this.forward(...inputs)
    return callWithHooks(this, this.#hooks, inputs) as O
  }

  /**
   * Runs `hook(module, inputs)` before each `call`; what it returns (if anything) replaces the inputs.
   * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_forward_pre_hook
   */
  registerForwardPreHook(hook: ForwardPreHook<I>, options: ModuleHookOptions = {}): ModuleHookHandle {
    return (this.#hooks ??= new ModuleHooks()).add('forwardPre', hook, options)
  }

  /**
   * Runs `hook(module, inputs, output)` after each `call`; what it returns (if anything) replaces the output.
   * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_forward_hook
   */
  registerForwardHook(hook: ForwardHook<I, O>, options: ForwardHookOptions = {}): ModuleHookHandle {
    return (this.#hooks ??= new ModuleHooks()).add('forward', hook, options)
  }

  /**
   * Runs `hook(module, gradOutputs)` when a backward pass reaches the output of a `call`, before it enters the module; what it
   * returns (if anything) replaces the gradients of the outputs. Results of `call` are views then, as those of a custom Function.
   * Errors: GraphError for a list of another length.
   * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_full_backward_pre_hook
   */
  registerFullBackwardPreHook(hook: BackwardPreHook, options: ModuleHookOptions = {}): ModuleHookHandle {
    return (this.#hooks ??= new ModuleHooks()).add('backwardPre', hook, options)
  }

  /**
   * Runs `hook(module, gradInputs, gradOutputs)` when the gradients of the inputs of a `call` are known (null for arguments
   * that are no tensors); what it returns (if anything) replaces them.
   * Errors: GraphError for a list of another length, and for gradients where no input requires any.
   * @example
   * layer.registerFullBackwardHook((_, [g]) => g!.clamp(-1, 1))
   * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_full_backward_hook
   */
  registerFullBackwardHook(hook: BackwardHook, options: ModuleHookOptions = {}): ModuleHookHandle {
    return (this.#hooks ??= new ModuleHooks()).add('backward', hook, options)
  }

  #register(kind: 'parameter' | 'buffer' | 'module', name: string, value: unknown, fit: (value: unknown) => unknown): void {
    checkName(kind, this, name)
    let held = fit(value)
    Object.defineProperty(this, name, {
      enumerable: true,
      configurable: true,
      get: () => held,
      set: (next: unknown) => {
        held = fit(next)
      },
    })
  }

  /**
   * Makes a property that holds a parameter or null, and refuses anything else from then on.
   * Errors: ArgumentError for a plain tensor, and for names with dots or already taken.
   * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_parameter
   */
  registerParameter(name: string, parameter: Parameter | null): void {
    let first = true
    this.#register('parameter', name, parameter, (value) => {
      if (value !== null && !isParameter(value)) {
        throw new ArgumentError(
          first
            ? `cannot assign '${torchType(value)}' object to parameter '${name}' (torch.nn.Parameter or None required); wrap it: new nn.Parameter(…)`
            : `cannot assign '${torchType(value)}' as parameter '${name}' (torch.nn.Parameter or None expected); wrap it: new nn.Parameter(…)`,
        )
      }
      first = false
      return value
    })
  }

  /**
   * Makes a property that holds a buffer or null; tensors assigned to it become buffers.
   * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_buffer
   */
  registerBuffer(name: string, tensor: Tensor | null, options: BufferOptions = {}): void {
    checkOptions('registerBuffer', options, { persistent: 'boolean' })
    this.#register('buffer', name, tensor, (value) => {
      if (value === null || isBuffer(value)) return value
      if (!isTensor(value))
        throw new ArgumentError(`cannot assign '${torchType(value)}' object to buffer '${name}' (torch Tensor or None required)`)
      return new Buffer(value as Tensor, options)
    })
  }

  /**
   * Makes a property that holds a module or null, for names that are computed.
   * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_module
   */
  registerModule(name: string, module: AnyModule | null): void {
    this.#register('module', name, module, (value) => {
      if (value !== null && !(value instanceof Module)) throw new ArgumentError(`${torchType(value)} is not a Module subclass`)
      return value
    })
  }

  /** The modules directly inside, by property name, each once. */
  *namedChildren(): IterableIterator<[string, AnyModule]> {
    const seen = new Set<unknown>()
    for (const [name, value] of Object.entries(this) as [string, unknown][]) {
      if (!(value instanceof Module) || seen.has(value)) continue
      seen.add(value)
      yield [name, value]
    }
  }

  /** The modules directly inside. */
  children(): AnyModule[] {
    return [...this.namedChildren()].map(([, m]) => m)
  }

  /** This module and everything inside, by dotted name, each once. */
  *namedModules(prefix = '', seen: Set<AnyModule> = new Set()): IterableIterator<[string, AnyModule]> {
    if (seen.has(this)) return
    seen.add(this)
    yield [prefix, this]
    for (const [name, value] of Object.entries(this) as [string, unknown][]) {
      if (value instanceof Module) yield* value.namedModules(join(prefix, name), seen)
    }
  }

  /** This module and everything inside. */
  modules(): AnyModule[] {
    return [...this.namedModules()].map(([, m]) => m)
  }

  *#named(test: (x: unknown) => boolean, options: NamedOptions): IterableIterator<[string, Tensor]> {
    const { prefix = '', recurse = true, removeDuplicate = true } = options
    const seen = new Set<unknown>()
    const modules: Iterable<[string, AnyModule]> = recurse
      ? removeDuplicate
        ? this.namedModules(prefix)
        : paths(this, prefix)
      : [[prefix, this]]
    for (const [path, module] of modules) {
      for (const [name, value] of Object.entries(module) as [string, unknown][]) {
        if (!test(value) || (removeDuplicate && seen.has(value))) continue
        seen.add(value)
        yield [join(path, name), value as Tensor]
      }
    }
  }

  /** Parameters by dotted name. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.named_parameters */
  namedParameters(options: NamedOptions = {}): IterableIterator<[string, Parameter]> {
    checkOptions('namedParameters', options, NAMED)
    return named(this.#named(isParameter, options) as IterableIterator<[string, Parameter]>)
  }

  /** Parameters, each once: what optimizers take. */
  parameters(options: { readonly recurse?: boolean } = {}): Parameter[] {
    return [...this.namedParameters(options)].map(([, t]) => t)
  }

  /** Buffers by dotted name. */
  namedBuffers(options: NamedOptions = {}): IterableIterator<[string, Tensor]> {
    checkOptions('namedBuffers', options, NAMED)
    return this.#named(isBuffer, options)
  }

  /** Buffers, each once. */
  buffers(options: { readonly recurse?: boolean } = {}): Tensor[] {
    return [...this.namedBuffers(options)].map(([, t]) => t)
  }

  /** Switches this module and everything inside to training (or evaluation); returns it. */
  train(mode = true): this {
    if (typeof mode !== 'boolean')
      throw new ArgumentError(`training mode is expected to be boolean: train got ${describe(mode)}`, { op: 'train' })
    for (const m of this.modules()) m.training = mode
    return this
  }

  /** Switches to evaluation; returns the module. */
  eval(): this {
    return this.train(false)
  }

  /** Makes all parameters require gradients (or not); returns the module. */
  requiresGrad_(requires = true): this {
    for (const p of this.parameters()) p.requiresGrad_(requires)
    return this
  }

  /** Forgets the gradients of all parameters, or with `setToNone: false` fills them with zeros. */
  zeroGrad(options: { readonly setToNone?: boolean } = {}): void {
    checkOptions('zeroGrad', options, { setToNone: 'boolean' })
    for (const p of this.parameters()) {
      if (options.setToNone ?? true) clearGrad(p)
      else zeroGradient(p)
    }
  }

  /** Applies `fn` to everything inside, then to this module; returns it. */
  apply(fn: (module: AnyModule) => void): this {
    checkFunction('apply', fn)
    for (const child of this.children()) child.apply(fn)
    fn(this)
    return this
  }

  /**
   * Converts parameters and buffers that hold floats, and gradients; returns the module. Integer buffers stay.
   * Errors: DTypeError for a dtype that isn't float32 or float64.
   * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.to
   */
  to(dtype: 'float32' | 'float64'): this {
    if (!dtypeInfo(dtype, 'nn.Module.to').floating)
      throw new DTypeError(`nn.Module.to only accepts floating point or complex dtypes, but got desired dtype=${String(dtype)}`, {
        dtypes: [dtype],
      })
    for (const t of [...this.parameters(), ...this.buffers()]) convert(t, dtype)
    return this
  }

  /** `to('float64')`. */
  double(): this {
    return this.to('float64')
  }

  /** `to('float32')`. */
  float(): this {
    return this.to('float32')
  }

  /** Parameters and saved buffers under all their names. */
  *#saved(prefix: string): IterableIterator<[string, Tensor]> {
    for (const [path, module] of paths(this, prefix)) {
      const entries = Object.entries(module) as [string, unknown][]
      for (const [name, value] of entries) if (isParameter(value)) yield [join(path, name), value]
      for (const [name, value] of entries) if (isBuffer(value) && isSaved(value)) yield [join(path, name), value]
    }
  }

  /**
   * Parameters and saved buffers by dotted name, detached: they share memory with the module.
   * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.state_dict
   */
  stateDict(options: StateDictOptions = {}): StateDict {
    checkOptions('stateDict', options, { prefix: 'any', keepVars: 'boolean', snakeCase: 'boolean' })
    const { prefix = '', keepVars = false, snakeCase = false } = options
    const entries = [...this.#saved(prefix)]
    return Object.fromEntries(entries.map(([name, t]) => [snakeCase ? snakeCased(name) : name, keepVars ? t : t.detach()]))
  }

  /**
   * Copies tensors of a state into parameters and buffers; names may be PyTorch's (`running_mean`).
   * Errors: AutogradError for wrong sizes and, with `strict` (the default), for missing and unexpected names. Nothing is
   * copied unless everything fits.
   * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.load_state_dict
   */
  loadStateDict(state: StateDict, options: { readonly strict?: boolean } = {}): LoadReport {
    checkOptions('loadStateDict', options, { strict: 'boolean' })
    if (typeof state !== 'object' || state === null || isTensor(state))
      throw new ArgumentError(`Expected state_dict to be dict-like, got ${torchType(state)}.`)
    const own = [...this.#saved('')]
    const missingKeys: string[] = []
    const unused = new Set(Object.keys(state))
    const problems: string[] = []
    const copies: [Tensor, Tensor][] = []
    for (const [name, t] of own) {
      const key = Object.hasOwn(state, name) ? name : snakeCased(name)
      if (!Object.hasOwn(state, key)) {
        missingKeys.push(name)
        continue
      }
      unused.delete(key)
      const given: unknown = state[key]
      if (!isTensor(given)) {
        problems.push(
          `While copying the parameter named "${name}", expected torch.Tensor or Tensor-like object from checkpoint but received ${torchType(given)}`,
        )
      } else if (!sameShape(given.layout.shape, t.shape)) {
        problems.push(
          `size mismatch for ${name}: copying a param with shape ${show(given.layout.shape)} from checkpoint, the shape in current model is ${show(t.shape)}.`,
        )
      } else copies.push([t, given as Tensor])
    }
    const unexpectedKeys = [...unused]
    if (options.strict ?? true) {
      if (unexpectedKeys.length > 0) problems.unshift(`Unexpected key(s) in state_dict: ${quoted(unexpectedKeys)}. `)
      if (missingKeys.length > 0) problems.unshift(`Missing key(s) in state_dict: ${quoted(missingKeys)}. `)
    }
    if (problems.length > 0)
      throw new AutogradError(`Error(s) in loading state_dict for ${this.constructor.name}:\n\t${problems.join('\n\t')}`)
    noGrad(() => {
      for (const [t, given] of copies) t.copy_(given.detach())
    })
    return { missingKeys, unexpectedKeys }
  }

  /** What stands between the parentheses in `toString`. */
  extraRepr(): string {
    return ''
  }

  /** The tree of modules, as torch prints it. */
  toString(): string {
    const extra = this.extraRepr()
    const inner = [...this.namedChildren()].map(([name, m]) => `(${name}): ${m.toString()}`)
    if (inner.length === 0) return `${this.constructor.name}(${extra})`
    const lines = [...(extra === '' ? [] : extra.split('\n')), ...inner].map((line) => `  ${line.replaceAll('\n', '\n  ')}`)
    return `${this.constructor.name}(\n${lines.join('\n')}\n)`
  }
}

/** Refuses names that can't be a part's. */
export function checkName(kind: 'parameter' | 'buffer' | 'module', module: AnyModule, name: string): void {
  if (typeof name !== 'string') throw new ArgumentError(`${kind} name should be a string. Got ${describe(name)}`)
  if (name.includes('.')) throw new ArgumentError(`${kind} name can't contain ".", got: ${name}`)
  if (name === '') throw new ArgumentError(`${kind} name can't be empty string ""`)
  if (name in module) throw new ArgumentError(`attribute '${name}' already exists`)
}

/** Modules under all their names: one that is used in two places comes twice. */
function* paths(module: AnyModule, prefix: string): IterableIterator<[string, AnyModule]> {
  yield [prefix, module]
  for (const [name, value] of Object.entries(module) as [string, unknown][]) {
    if (value instanceof Module) yield* paths(value, join(prefix, name))
  }
}

/** Gives a parameter or buffer another element type, and its gradient with it; it stays the same object. */
function convert(t: Tensor, dtype: 'float32' | 'float64'): void {
  if (!t.dt.floating || t.dtype === dtype) return
  const dt = dtypeInfo(dtype)
  const converted = emptyPersistent(t.layout.contiguous ? t.layout.at(0) : t.layout, dt)
  copyInto(converted, t)
  const grad = peekGrad(t)
  t.data = converted as Tensor
  if (t.leaf === null) return
  // What accumulates into a leaf expects the leaf's dtype, so it is made anew.
  t.leaf = null
  if (!t.rg) return
  leafOf(t)
  if (grad !== null) t.grad = noGrad(() => (grad as Tensor).detach().to(dtype))
}
