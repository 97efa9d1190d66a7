/** The base of layers without parameters: what they were made with is printed. */
import { show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { Module } from './module.ts'

const printed = (value: unknown): string =>
  typeof value === 'string' ? `'${value}'` : Array.isArray(value) ? show(value as number[]) : String(value)

/** A layer that computes with its properties alone. */
export abstract class Layer<I extends unknown[] = [x: Tensor]> extends Module<I> {
  /** Every property, by name. */
  override extraRepr(): string {
    return Object.entries(this)
      .filter(([name]) => name !== 'training')
      .map(([name, value]) => `${name}=${printed(value)}`)
      .join(', ')
  }
}
