/** Images in other sizes: interpolation and the shuffling of channels into pixels. */

import { noGrad } from '../autograd/modes.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import { cloneContiguous } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { checkOptions } from '../options.ts'
import { shapeArgument } from '../shape.ts'
import { checkAddressable, expectTensor } from '../tensor.ts'
import { adaptiveAvgPool2d } from './pooling.ts'
import { mapped, type Tap } from './taps.ts'

/** How `interpolate` finds the new elements. */
export type InterpolationMode = 'nearest' | 'nearest-exact' | 'linear' | 'bilinear' | 'bicubic' | 'trilinear' | 'area'

/** Options of `interpolate`: a size or a factor, one for all or one for each dim. */
export interface InterpolateOptions {
  readonly size?: number | readonly number[]
  readonly scaleFactor?: number | readonly number[]
  /** Default 'nearest'. */
  readonly mode?: InterpolationMode
  /** Do the corners' centres coincide, rather than their edges? Default false. */
  readonly alignCorners?: boolean
  /** Take the scale from the sizes even where a factor was given. */
  readonly recomputeScaleFactor?: boolean
}

const DIMS: Readonly<Record<InterpolationMode, number | null>> = {
  nearest: null,
  'nearest-exact': null,
  linear: 1,
  bilinear: 2,
  bicubic: 2,
  trilinear: 3,
  area: 2,
}

/** Keys' kernel (1981) with a = −3/4 at distances up to 1 and from 1 to 2. */
const A = -0.75
const near = (t: number): number => ((A + 2) * t - (A + 3)) * t * t + 1
const far = (t: number): number => ((A * t - 5 * A) * t + 8 * A) * t - 4 * A

/** What each of `to` elements is read from among n, at `scale` old ones for a new one. */
function tapsOf(mode: InterpolationMode, n: number, to: number, scale: number, align: boolean): Tap[] {
  const places = Array.from({ length: to }, (_, i) => i)
  const inside = (i: number): number => Math.max(0, Math.min(n - 1, i))
  if (mode === 'nearest' || mode === 'nearest-exact') {
    const shift = mode === 'nearest' ? 0 : 0.5
    return [{ index: places.map((i) => inside(Math.floor((i + shift) * scale))), weights: null }]
  }
  const step = align ? (to > 1 ? (n - 1) / (to - 1) : 0) : scale
  const at = places.map((i) => (align ? step * i : step * (i + 0.5) - 0.5))
  if (mode !== 'bicubic') {
    const from = at.map((x) => Math.max(0, x))
    const index = from.map((x) => inside(Math.floor(x)))
    const weights = from.map((x, i) => x - index[i]!)
    return [
      { index, weights: weights.map((w) => 1 - w) },
      { index: index.map((i) => inside(i + 1)), weights },
    ]
  }
  const base = at.map(Math.floor)
  return [-1, 0, 1, 2].map((offset) => ({
    index: base.map((i) => inside(i + offset)),
    weights: at.map((x, i) => {
      const t = Math.abs(x - base[i]! - offset)
      return t <= 1 ? near(t) : far(t)
    }),
  }))
}

function nodeOf(mode: InterpolationMode, dims: number): string {
  if (mode === 'nearest') return `UpsampleNearest${dims}DBackward0`
  if (mode === 'nearest-exact') return `UpsampleNearestExact${dims}DBackward0`
  return `Upsample${mode[0]!.toUpperCase()}${mode.slice(1)}${dims}DBackward0`
}

/**
 * Images (N, C, …) in another size: the last one to three dims become `size`, or `scaleFactor` times as long.
 * Errors: ArgumentError for options that don't fit the mode, ShapeError for other ranks.
 * @example
 * nn.functional.interpolate(zeros([1, 3, 8, 8]), { scaleFactor: 2, mode: 'bilinear' }).shape // [1, 3, 16, 16]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html
 */
export function interpolate(x: Tensor, options: InterpolateOptions = {}): Tensor {
  const op = 'interpolate'
  expectTensor(op, x, 'argument 0')
  checkOptions(op, options, { size: 'any', scaleFactor: 'any', mode: 'any', alignCorners: 'boolean', recomputeScaleFactor: 'boolean' })
  const { size, scaleFactor, mode = 'nearest', alignCorners, recomputeScaleFactor = false } = options
  if (!Object.hasOwn(DIMS, mode)) throw new ArgumentError(`${op}: unknown mode ${String(mode)}`, { op })
  const dims = x.layout.rank - 2
  if (dims < 1 || dims > 3 || (DIMS[mode] !== null && DIMS[mode] !== dims)) {
    throw new ShapeError(
      `${op}: Input Error: Only 3D, 4D and 5D input Tensors supported (got ${x.layout.rank}D) for the modes: nearest | linear (3D) | bilinear, bicubic, area (4D) | trilinear (5D) (got ${mode})`,
      {
        op,
        shapes: [x.shape],
      },
    )
  }
  if (alignCorners !== undefined && (mode.startsWith('nearest') || mode === 'area')) {
    throw new ArgumentError(
      `${op}: align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear`,
      { op },
    )
  }
  if ((size === undefined) === (scaleFactor === undefined)) {
    throw new ArgumentError(
      size === undefined
        ? `${op}: either size or scale_factor should be defined`
        : `${op}: only one of size or scale_factor should be defined`,
      { op },
    )
  }
  const each = (v: number | readonly number[], name: string): readonly number[] => {
    const list = typeof v === 'number' ? new Array<number>(dims).fill(v) : shapeArgument(v, [], op)
    if (list.length !== dims)
      throw new ArgumentError(
        `${op}: Input and output must have the same number of spatial dimensions, but got ${show(x.shape)} and ${name} of ${show(list)}`,
        { op },
      )
    return list
  }
  const old = x.shape.slice(2)
  const factors = scaleFactor === undefined ? null : each(scaleFactor, 'scaleFactor')
  const to = factors === null ? each(size!, 'size') : old.map((n, d) => Math.floor(n * factors[d]!))
  if (to.some((n) => !Number.isInteger(n) || n < 1) || old.some((n) => n < 1)) {
    throw new ShapeError(`${op}: Input and output sizes should be greater than 0, but got input ${show(old)} and output ${show(to)}`, {
      op,
      shapes: [x.shape],
    })
  }
  checkAddressable(op, [...x.shape.slice(0, 2), ...to], x.dt)
  if (mode === 'area') return adaptiveAvgPool2d(x, [to[0]!, to[1]!])
  const scales = old.map((n, d) => (factors === null || recomputeScaleFactor ? n / to[d]! : 1 / factors[d]!))
  const list = old.map((n, d) => ({ dim: d + 2, taps: tapsOf(mode, n, to[d]!, scales[d]!, alignCorners ?? false) }))
  return mapped.one([x], { node: nodeOf(mode, dims), dims: list })
}

interface Shuffle {
  readonly r: number
  /** Channels into pixels, or back? */
  readonly up: boolean
}

function shuffled(x: Tensor, { r, up }: Shuffle): Tensor {
  const lead = x.shape.slice(0, -3)
  const [c, h, w] = x.shape.slice(-3) as [number, number, number]
  const k = lead.length
  const fixed = lead.map((_, d) => d)
  if (up) {
    const places = [...fixed, k, k + 3, k + 1, k + 4, k + 2]
    return x
      .reshape([...lead, c / (r * r), r, r, h, w])
      .permute(places)
      .reshape([...lead, c / (r * r), h * r, w * r])
  }
  const places = [...fixed, k, k + 2, k + 4, k + 1, k + 3]
  return x
    .reshape([...lead, c, h / r, r, w / r, r])
    .permute(places)
    .reshape([...lead, c * r * r, h / r, w / r])
}

const shuffleOp: GeneralOp<Shuffle> = /* @__PURE__ */ general('pixelShuffle', {
  node: ({ up }) => (up ? 'PixelShuffleBackward0' : 'PixelUnshuffleBackward0'),
  forward: ([x], p, owner) =>
    cloneContiguous(
      noGrad(() => shuffled(x as Tensor, p)),
      owner,
    ),
  vjp: [vjp([], (g, { p }) => shuffleOp.one([g], { ...p, up: !p.up }))],
  jvp: 'linear',
  batch: (b) => shuffleOp.one([inFront(b, 0)], b.p),
})

function checkImages(op: string, x: Tensor, r: number): void {
  expectTensor(op, x, 'argument 0')
  if (x.layout.rank < 3)
    throw new ShapeError(`${op} expects input to have at least 3 dimensions, but got input with ${x.layout.rank} dimension(s)`, {
      op,
      shapes: [x.shape],
    })
  if (!Number.isInteger(r) || r < 1) throw new ArgumentError(`${op} expects a positive factor, but got ${r}`, { op })
}

/**
 * Channels spread over pixels: (…, C·r², H, W) becomes (…, C, H·r, W·r). Errors: ShapeError, ArgumentError.
 * @example
 * nn.functional.pixelShuffle(zeros([1, 8, 2, 2]), 2).shape // [1, 2, 4, 4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pixel_shuffle.html
 */
export function pixelShuffle(x: Tensor, upscaleFactor: number): Tensor {
  const op = 'pixelShuffle'
  checkImages(op, x, upscaleFactor)
  if (x.shape.at(-3)! % upscaleFactor ** 2 !== 0) {
    throw new ShapeError(
      `${op} expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but input.size(-3)=${x.shape.at(-3)} is not divisible by ${upscaleFactor ** 2}`,
      {
        op,
        shapes: [x.shape],
      },
    )
  }
  return shuffleOp.one([x], { r: upscaleFactor, up: true })
}

/**
 * The way back of `pixelShuffle`.
 * @example
 * nn.functional.pixelUnshuffle(zeros([1, 2, 4, 4]), 2).shape // [1, 8, 2, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pixel_unshuffle.html
 */
export function pixelUnshuffle(x: Tensor, downscaleFactor: number): Tensor {
  const op = 'pixelUnshuffle'
  checkImages(op, x, downscaleFactor)
  if (x.shape.slice(-2).some((n) => n % downscaleFactor !== 0)) {
    throw new ShapeError(
      `${op} expects height and width to be divisible by downscale_factor, but ${show(x.shape)} is not divisible by ${downscaleFactor}`,
      {
        op,
        shapes: [x.shape],
      },
    )
  }
  return shuffleOp.one([x], { r: downscaleFactor, up: false })
}
