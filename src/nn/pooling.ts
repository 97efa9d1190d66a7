/** Pooling layers. */
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { AVERAGE, LARGEST } from '../ops/poolOptions.ts'
import { checkOptions, describe, type Known } from '../options.ts'
import { perDim } from './arguments.ts'
import * as F from './functional.ts'
import { Layer } from './layer.ts'
import { Module } from './module.ts'

type Size = number | readonly number[]
const text = (value: unknown): string => (Array.isArray(value) ? `[${value.join(', ')}]` : String(value))

abstract class Pool<O extends { readonly stride?: Size; readonly padding?: Size }> extends Module<[Tensor]> {
  readonly kernelSize: Size
  protected readonly options: O
  constructor(kernelSize: Size, options: O, known: Known<NoInfer<O>>, dims: number) {
    super()
    const op = this.constructor.name
    checkOptions(op, options, known)
    perDim(op, 'kernelSize', kernelSize, dims, 1)
    perDim(op, 'stride', options.stride ?? kernelSize, dims, 1)
    perDim(op, 'padding', options.padding ?? 0, dims, 0)
    this.kernelSize = kernelSize
    this.options = options
  }
  override extraRepr(): string {
    const { kernelSize, options } = this
    return [
      `kernelSize=${text(kernelSize)}`,
      `stride=${text(options.stride ?? kernelSize)}`,
      `padding=${text(options.padding ?? 0)}`,
      ...Object.entries(options)
        .filter(([name]) => name !== 'stride' && name !== 'padding')
        .map(([name, value]) => `${name}=${text(value)}`),
    ].join(', ')
  }
}

/** The largest element of every window of signals. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool1d.html */
export class MaxPool1d extends Pool<F.MaxPoolOptions> {
  constructor(kernelSize: Size, options: F.MaxPoolOptions = {}) {
    super(kernelSize, options, LARGEST, 1)
  }
  forward(x: Tensor): Tensor {
    return F.maxPool1d(x, this.kernelSize, this.options)
  }
}

/** The largest element of every window of images. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html */
export class MaxPool2d extends Pool<F.MaxPoolOptions> {
  constructor(kernelSize: Size, options: F.MaxPoolOptions = {}) {
    super(kernelSize, options, LARGEST, 2)
  }
  forward(x: Tensor): Tensor {
    return F.maxPool2d(x, this.kernelSize, this.options)
  }
}

/** The average of every window of signals. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool1d.html */
export class AvgPool1d extends Pool<F.AvgPoolOptions> {
  constructor(kernelSize: Size, options: F.AvgPoolOptions = {}) {
    super(kernelSize, options, AVERAGE, 1)
  }
  forward(x: Tensor): Tensor {
    return F.avgPool1d(x, this.kernelSize, this.options)
  }
}

/** The average of every window of images. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html */
export class AvgPool2d extends Pool<F.AvgPoolOptions> {
  constructor(kernelSize: Size, options: F.AvgPoolOptions = {}) {
    super(kernelSize, options, AVERAGE, 2)
  }
  forward(x: Tensor): Tensor {
    return F.avgPool2d(x, this.kernelSize, this.options)
  }
}

/** Averages over as many windows as the output is to have. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html */
export class AdaptiveAvgPool2d extends Module<[Tensor]> {
  readonly outputSize: number | readonly [number | null, number | null]
  constructor(outputSize: number | readonly [number | null, number | null]) {
    super()
    if (typeof outputSize !== 'number' && !(Array.isArray(outputSize) && outputSize.length === 2))
      throw new ArgumentError(`AdaptiveAvgPool2d: expected a number or [rows, columns] for outputSize, got ${describe(outputSize)}`, {
        op: 'AdaptiveAvgPool2d',
      })
    this.outputSize = outputSize
  }
  forward(x: Tensor): Tensor {
    return F.adaptiveAvgPool2d(x, this.outputSize)
  }
  override extraRepr(): string {
    return `outputSize=${text(this.outputSize)}`
  }
}

/** Averages over as many windows as the output is to have. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool1d.html */
export class AdaptiveAvgPool1d extends Layer {
  readonly outputSize: number
  constructor(outputSize: number) {
    super()
    this.outputSize = outputSize
  }
  forward(x: Tensor): Tensor {
    return F.adaptiveAvgPool2d(x.unsqueeze(-2), [null, this.outputSize]).squeeze(-2)
  }
}
