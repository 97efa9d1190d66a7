/** Layers that change the size of signals and images: interpolation, shuffled pixels, padding. */
import type { Tensor } from '../fluent.ts'
import { checkKind, checkOptions, checkSizes } from '../options.ts'
import { perDim } from './arguments.ts'
import * as F from './functional.ts'
import { Layer } from './layer.ts'

/**
 * Signals [n, c, l] or images [n, c, h, w] made larger (or smaller), to a size or by a factor.
 * @example
 * new nn.Upsample({ scaleFactor: 2, mode: 'bilinear' }).forward(torch.ones([1, 3, 4, 4])).shape // [1, 3, 8, 8]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Upsample.html
 */
export class Upsample extends Layer {
  readonly size: number | readonly number[] | null
  readonly scaleFactor: number | readonly number[] | null
  readonly mode: F.InterpolationMode
  readonly alignCorners: boolean | null
  readonly recomputeScaleFactor: boolean | null
  constructor(options: F.InterpolateOptions = {}) {
    super()
    checkOptions('Upsample', options, {
      size: 'any',
      scaleFactor: 'any',
      mode: 'any',
      alignCorners: 'boolean',
      recomputeScaleFactor: 'boolean',
    })
    this.size = options.size ?? null
    this.scaleFactor = options.scaleFactor ?? null
    this.mode = options.mode ?? 'nearest'
    this.alignCorners = options.alignCorners ?? null
    this.recomputeScaleFactor = options.recomputeScaleFactor ?? null
  }
  forward(x: Tensor): Tensor {
    const { size, scaleFactor, mode, alignCorners, recomputeScaleFactor } = this
    return F.interpolate(x, {
      mode,
      ...(size !== null && { size }),
      ...(scaleFactor !== null && { scaleFactor }),
      ...(alignCorners !== null && { alignCorners }),
      ...(recomputeScaleFactor !== null && { recomputeScaleFactor }),
    })
  }
  override extraRepr(): string {
    const size = this.scaleFactor === null ? `size=${String(this.size)}` : `scaleFactor=${String(this.scaleFactor)}`
    return `${size}, mode='${this.mode}'`
  }
}

/** [*, c·r², h, w] → [*, c, h·r, w·r]. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelShuffle.html */
export class PixelShuffle extends Layer {
  readonly upscaleFactor: number
  constructor(upscaleFactor: number) {
    super()
    checkSizes('PixelShuffle', { upscaleFactor }, 1)
    this.upscaleFactor = upscaleFactor
  }
  forward(x: Tensor): Tensor {
    return F.pixelShuffle(x, this.upscaleFactor)
  }
}

/** [*, c, h·r, w·r] → [*, c·r², h, w]. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelUnshuffle.html */
export class PixelUnshuffle extends Layer {
  readonly downscaleFactor: number
  constructor(downscaleFactor: number) {
    super()
    checkSizes('PixelUnshuffle', { downscaleFactor }, 1)
    this.downscaleFactor = downscaleFactor
  }
  forward(x: Tensor): Tensor {
    return F.pixelUnshuffle(x, this.downscaleFactor)
  }
}

/** What is put around the last dims, by `pad`: one number for all sides, or [before, after, …], last dim first. */
abstract class Pad extends Layer {
  readonly padding: readonly number[]
  readonly #options: { readonly mode?: 'constant' | 'reflect' | 'replicate' | 'circular'; readonly value?: number }
  constructor(
    dims: number,
    padding: number | readonly number[],
    options: { readonly mode?: 'constant' | 'reflect' | 'replicate' | 'circular'; readonly value?: number },
  ) {
    super()
    this.padding = perDim(this.constructor.name, 'padding', padding, 2 * dims, Number.NEGATIVE_INFINITY)
    this.#options = options
  }
  forward(x: Tensor): Tensor {
    return F.pad(x, this.padding, this.#options)
  }
}

/** Zeros around signals. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad1d.html */
export class ZeroPad1d extends Pad {
  constructor(padding: number | readonly number[]) {
    super(1, padding, {})
  }
}

/** Zeros around images. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad2d.html */
export class ZeroPad2d extends Pad {
  constructor(padding: number | readonly number[]) {
    super(2, padding, {})
  }
}

/** A value around signals. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad1d.html */
export class ConstantPad1d extends Pad {
  readonly value: number
  constructor(padding: number | readonly number[], value: number) {
    super(1, padding, { value })
    checkKind('ConstantPad1d', 'value', value, 'number')
    this.value = value
  }
}

/** A value around images. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad2d.html */
export class ConstantPad2d extends Pad {
  readonly value: number
  constructor(padding: number | readonly number[], value: number) {
    super(2, padding, { value })
    checkKind('ConstantPad2d', 'value', value, 'number')
    this.value = value
  }
}

/** The elements mirrored at the edges, which are not repeated, around signals. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad1d.html */
export class ReflectionPad1d extends Pad {
  constructor(padding: number | readonly number[]) {
    super(1, padding, { mode: 'reflect' })
  }
}

/** The elements mirrored at the edges, which are not repeated, around images. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad2d.html */
export class ReflectionPad2d extends Pad {
  constructor(padding: number | readonly number[]) {
    super(2, padding, { mode: 'reflect' })
  }
}

/** The elements at the edges, repeated, around signals. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad1d.html */
export class ReplicationPad1d extends Pad {
  constructor(padding: number | readonly number[]) {
    super(1, padding, { mode: 'replicate' })
  }
}

/** The elements at the edges, repeated, around images. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad2d.html */
export class ReplicationPad2d extends Pad {
  constructor(padding: number | readonly number[]) {
    super(2, padding, { mode: 'replicate' })
  }
}

/** The elements from the other side around signals. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad1d.html */
export class CircularPad1d extends Pad {
  constructor(padding: number | readonly number[]) {
    super(1, padding, { mode: 'circular' })
  }
}

/** The elements from the other side around images. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad2d.html */
export class CircularPad2d extends Pad {
  constructor(padding: number | readonly number[]) {
    super(2, padding, { mode: 'circular' })
  }
}
