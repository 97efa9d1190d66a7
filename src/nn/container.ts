/** Modules made of modules: a chain, a list, a dictionary; and a list of parameters. */
import { ArgumentError, IndexError, UnsupportedError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { describe, expectIterable } from '../options.ts'
import { type AnyModule, checkName, Module } from './module.ts'
import type { Parameter } from './parameter.ts'

/** Modules or other things by name, in a plain object. */
const isRecord = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype

const noModule = (container: AnyModule, value: unknown): ArgumentError =>
  new ArgumentError(`${typeof value} is not a Module subclass (${container.constructor.name})`)

/** Modules whose names are positions. */
abstract class Numbered<M extends AnyModule, I extends unknown[], O> extends Module<I, O> implements Iterable<M> {
  /** How many modules. */
  get length(): number {
    return [...this].length
  }

  /** The module at a position; negative ones count from the end. */
  get(index: number): M {
    return this.#entry(index)[1]
  }

  /** Replaces the module at a position. */
  set(index: number, module: M): void {
    ;(this as unknown as Record<string, unknown>)[this.#entry(index)[0]] = module
  }

  /** Adds a module at the end; returns the container. */
  append(module: M): this {
    this.place(String(this.length), module)
    return this
  }

  /** Plain properties, not `registerModule`'s: `forward` reads them at every step. */
  protected place(name: string, module: M): void {
    if (!(module instanceof Module)) throw noModule(this, module)
    checkName('module', this, name)
    ;(this as unknown as Record<string, unknown>)[name] = module
  }

  /** Adds modules at the end; returns the container. */
  extend(modules: Iterable<M>): this {
    for (const m of expectIterable(this.constructor.name, modules, 'modules')) this.append(m)
    return this
  }

  *#entries(): IterableIterator<[string, M]> {
    // Not namedChildren: a module may stand at several places.
    for (const [name, value] of Object.entries(this) as [string, unknown][]) if (value instanceof Module) yield [name, value as M]
  }

  *[Symbol.iterator](): IterableIterator<M> {
    for (const [, module] of this.#entries()) yield module
  }

  #entry(index: number): [string, M] {
    const entries = [...this.#entries()]
    const found = entries[index < 0 ? index + entries.length : index]
    if (found === undefined) throw new IndexError(`index ${index} is out of range: ${this.constructor.name} has ${entries.length} modules`)
    return found
  }
}

/**
 * Modules one after the other: given in order, or by name in one object.
 * @example
 * const model = new nn.Sequential(new nn.Linear(2, 16), new nn.ReLU(), new nn.Linear(16, 1))
 * model.forward(zeros([5, 2])).shape // [5, 1]
 * const named = new nn.Sequential({ hidden: new nn.Linear(2, 16), act: new nn.ReLU() })
 * Object.keys(named.stateDict()) // ['hidden.weight', 'hidden.bias']
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Sequential.html
 */
export class Sequential extends Numbered<Module<[Tensor]>, [Tensor], Tensor> {
  constructor(...modules: Module<[Tensor]>[] | [Readonly<Record<string, Module<[Tensor]>>>]) {
    super()
    const [first] = modules
    if (first !== undefined && !(first instanceof Module)) {
      if (!isRecord(first)) throw noModule(this, first)
      for (const [name, module] of Object.entries(first)) this.place(name, module)
    } else this.extend(modules as Module<[Tensor]>[])
  }
  forward(x: Tensor): Tensor {
    let y = x
    const parts = this as unknown as Readonly<Record<string, unknown>>
    for (const name in parts) {
      const part = parts[name]
      if (part instanceof Module) y = part.call(y) as Tensor
    }
    return y
  }
}

const noForward = (name: string): never => {
  throw new UnsupportedError(`Module [${name}] is missing the required "forward" function: iterate over it, or use nn.Sequential`)
}

/** A list of modules that are listed as parts; it computes nothing. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html */
export class ModuleList<M extends AnyModule = Module> extends Numbered<M, never[], never> {
  constructor(modules: Iterable<M> = []) {
    super()
    this.extend(modules)
  }
  forward(): never {
    return noForward('ModuleList')
  }
}

/** Modules by name that are listed as parts; it computes nothing. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleDict.html */
export class ModuleDict<M extends AnyModule = Module> extends Module<never[], never> {
  constructor(modules: Readonly<Record<string, M>> = {}) {
    super()
    if (!isRecord(modules)) throw new ArgumentError(`ModuleDict: expected modules by name, got ${describe(modules)}`, { op: 'ModuleDict' })
    for (const [name, module] of Object.entries(modules)) this.set(name, module)
  }
  /** The module of a name. */
  get(name: string): M {
    const module: unknown = Object.hasOwn(this, name) ? (this as unknown as Record<string, unknown>)[name] : undefined
    if (!(module instanceof Module))
      throw new ArgumentError(`ModuleDict: no module '${name}': there are ${this.keys().join(', ') || 'none'}`)
    return module as M
  }
  /** Adds or replaces the module of a name. */
  set(name: string, module: M): void {
    if (this.has(name)) (this as unknown as Record<string, unknown>)[name] = module
    else this.registerModule(name, module)
  }
  has(name: string): boolean {
    return this.keys().includes(name)
  }
  keys(): string[] {
    return [...this.namedChildren()].map(([name]) => name)
  }
  forward(): never {
    return noForward('ModuleDict')
  }
}

/** A list of parameters that are listed as parts; it computes nothing. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ParameterList.html */
export class ParameterList extends Module<never[], never> implements Iterable<Parameter> {
  constructor(parameters: Iterable<Parameter> = []) {
    super()
    for (const p of expectIterable('ParameterList', parameters, 'parameters')) this.append(p)
  }
  get length(): number {
    return this.parameters({ recurse: false }).length
  }
  get(index: number): Parameter {
    const found = this.parameters().at(index)
    if (found === undefined) throw new IndexError(`index ${index} is out of range: ParameterList has ${this.length} parameters`)
    return found
  }
  append(parameter: Parameter): this {
    this.registerParameter(String(this.length), parameter)
    return this
  }
  *[Symbol.iterator](): IterableIterator<Parameter> {
    yield* this.parameters()
  }
  forward(): never {
    return noForward('ParameterList')
  }
}
