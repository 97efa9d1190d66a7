/** The base of all layers and models: parameters, buffers and submodules are its properties. */
import { clearGrad } from '../autograd/accumulate.ts'
import { noGrad } from '../autograd/modes.ts'
import { AutogradError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { sameShape } from '../shape.ts'
import { isTensor } from '../tensor.ts'
import { isBuffer, isParameter } from './parameter.ts'

/** Tensors of a module by dotted name: what `stateDict` gives and `loadStateDict` takes. */
export type StateDict = Record<string, Tensor>

/** Names that a state and a module don't share. */
export interface LoadReport {
  readonly missingKeys: string[]
  readonly unexpectedKeys: string[]
}

/**
 * A model or a part of one. Subclasses assign parameters, buffers and other modules (also in arrays) to properties and define `forward`.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
 */
export abstract class Module {
  /** In training (true) or evaluation; see `train` and `eval`. */
  training = true

  abstract forward(...inputs: Tensor[]): Tensor

  /** The modules directly inside, by property name. */
  *namedChildren(): IterableIterator<[string, Module]> {
    for (const [name, value] of Object.entries(this)) {
      if (value instanceof Module) yield [name, value]
      else if (Array.isArray(value)) for (const [i, v] of value.entries()) if (v instanceof Module) yield [`${name}.${i}`, v]
    }
  }

  /** The modules directly inside. */
  children(): Module[] {
    return [...this.namedChildren()].map(([, m]) => m)
  }

  /** This module and everything inside, by dotted name. */
  *namedModules(prefix = ''): IterableIterator<[string, Module]> {
    yield [prefix, this]
    for (const [name, child] of this.namedChildren()) yield* child.namedModules(prefix === '' ? name : `${prefix}.${name}`)
  }

  /** This module and everything inside. */
  modules(): Module[] {
    return [...this.namedModules()].map(([, m]) => m)
  }

  private *named(test: (x: unknown) => x is Tensor): IterableIterator<[string, Tensor]> {
    const seen = new Set<Tensor>()
    for (const [prefix, module] of this.namedModules()) {
      for (const [name, value] of Object.entries(module)) {
        const entries: [string, unknown][] = Array.isArray(value) ? value.map((v, i) => [`${name}.${i}`, v]) : [[name, value]]
        for (const [key, t] of entries) {
          if (!test(t) || seen.has(t)) continue
          seen.add(t)
          yield [prefix === '' ? key : `${prefix}.${key}`, t]
        }
      }
    }
  }

  /** Parameters by dotted name, each once. */
  namedParameters(): IterableIterator<[string, Tensor]> {
    return this.named(isParameter)
  }

  /** Parameters, each once: what optimizers take. */
  parameters(): Tensor[] {
    return [...this.namedParameters()].map(([, t]) => t)
  }

  /** Buffers by dotted name. */
  namedBuffers(): IterableIterator<[string, Tensor]> {
    return this.named(isBuffer)
  }

  /** Buffers. */
  buffers(): Tensor[] {
    return [...this.namedBuffers()].map(([, t]) => t)
  }

  /** Switches this module and everything inside to training (or evaluation); returns it. */
  train(mode = true): this {
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

  /** Forgets the gradients of all parameters, or zeroes them. */
  zeroGrad(options: { readonly setToNone?: boolean } = {}): void {
    for (const p of this.parameters()) {
      if (options.setToNone ?? true) clearGrad(p)
      else p.grad?.zero_()
    }
  }

  /** Applies `fn` to everything inside, then to this module; returns it. */
  apply(fn: (module: Module) => void): this {
    for (const child of this.children()) child.apply(fn)
    fn(this)
    return this
  }

  /** Parameters and buffers by dotted name, detached: they share memory with the module. */
  stateDict(): StateDict {
    return Object.fromEntries([...this.namedParameters(), ...this.namedBuffers()].map(([name, t]) => [name, t.detach()]))
  }

  /**
   * Copies tensors of a state into parameters and buffers. Errors (with `strict`, the default): AutogradError naming missing
   * and unexpected names; always: wrong sizes. Nothing is copied unless everything fits.
   */
  loadStateDict(state: StateDict, options: { readonly strict?: boolean } = {}): LoadReport {
    const own = new Map([...this.namedParameters(), ...this.namedBuffers()])
    const missingKeys = [...own.keys()].filter((k) => !(k in state))
    const unexpectedKeys = Object.keys(state).filter((k) => !own.has(k))
    const problems: string[] = []
    if (options.strict ?? true) {
      if (missingKeys.length > 0) problems.push(`Missing key(s) in state_dict: ${missingKeys.map((k) => `"${k}"`).join(', ')}. `)
      if (unexpectedKeys.length > 0) problems.push(`Unexpected key(s) in state_dict: ${unexpectedKeys.map((k) => `"${k}"`).join(', ')}. `)
    }
    for (const [name, t] of own) {
      const given = state[name]
      if (given === undefined) continue
      if (!isTensor(given)) problems.push(`"${name}" is not a tensor. `)
      else if (!sameShape(given.layout.shape, t.shape))
        problems.push(
          `size mismatch for ${name}: copying a param with shape ${show(given.layout.shape)} from checkpoint, the shape in current model is ${show(t.shape)}.`,
        )
    }
    if (problems.length > 0)
      throw new AutogradError(`Error(s) in loading state_dict for ${this.constructor.name}:\n\t${problems.join('\n\t')}`)
    noGrad(() => {
      for (const [name, t] of own) if (state[name] !== undefined) t.copy_(state[name])
    })
    return { missingKeys, unexpectedKeys }
  }

  /** What stands between the parentheses in `toString`. */
  extraRepr(): string {
    return ''
  }

  toString(): string {
    const inner = [...this.namedChildren()].map(([name, m]) => `  (${name}): ${m.toString().replaceAll('\n', '\n  ')}`)
    return `${this.constructor.name}(${inner.length === 0 ? this.extraRepr() : `\n${inner.join('\n')}\n`})`
  }
}
