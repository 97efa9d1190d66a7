/**
 * Convolutions of images as records. y = conv(x, w) is bilinear; its two transposes, with respect to the image and to the
 * weight, are operations of their own, and the derivatives of the three are again these three.
 */

import { fold2d, unfold2d } from '../backend/jobs/window.ts'
import type { DTypeInfo } from '../dtype.ts'
import { addInto, backend, contiguous, copyInto, fillWith } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { workspace } from '../memory/collector.ts'
import { type Owner, Storage } from '../memory/storage.ts'
import { type Batched, type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { type ArrayLike, address, empty, type TensorCore } from '../tensor.ts'
import { correlate, correlateMaps, perChannel, sumSteps, vectorSteps } from './correlate.ts'
import type { Pair, Windows } from './window.ts'

/**
 * A convolution between images of c channels and size `image` and maps of o channels and size `map`. Weights are
 * [o, c/groups, …kernel]. 1-d signals are images of height 1; their tensors lack that dim.
 */
export interface Convolution extends Windows {
  readonly groups: number
  readonly spatial: 1 | 2
}

/** Bytes of columns that several images share: what the caches hold. */
const COLUMNS = 1 << 20
/** Most bytes of columns kept from call to call. */
const LARGEST = 16 << 20

const shaped = (p: Convolution, a: number, b: number, size: Pair): number[] =>
  p.spatial === 1 ? [a, b, size[1]] : [a, b, size[0], size[1]]
const area = (size: Pair): number => size[0] * size[1]

/** A windowless convolution: the image itself has the columns. */
function pointwise({ kernel, stride, padding }: Convolution): boolean {
  return area(kernel) === 1 && area(stride) === 1 && padding[0] + padding[1] === 0
}

/** A stack of matrices inside an array: address, and elements from image to image, group to group, row to row, column to column. */
interface Stack {
  readonly at: number
  readonly image: number
  readonly group: number
  readonly row: number
  readonly column: number
}

/** The sizes of matrices C [m, n] = A [m, k]·B [k, n], one for each image and group. */
interface Products {
  readonly dt: DTypeInfo
  readonly m: number
  readonly n: number
  readonly k: number
  readonly groups: number
  readonly work: number
}

/** C = A·B, or C += A·B if `accumulate`. A stack C with no step from image to image becomes the sum over images. */
function multiply(p: Products, images: number, a: Stack, b: Stack, c: Stack, accumulate: boolean): void {
  const gemm = backend().matmul(p.dt.name)
  const { m, n, k, groups, work } = p
  const { bytes } = p.dt
  const go = (batch: number, i: number, g: number, sa: number, sb: number, sc: number, add: boolean): void => {
    const place = (s: Stack): number => s.at + (i * s.image + g * s.group) * bytes
    gemm(batch, m, n, k, place(a), sa, a.row, a.column, place(b), sb, b.row, b.column, place(c), sc, add ? 1 : 0, work)
  }
  // One call for all images or for all groups; where the images are summed it can only be the groups.
  if (c.image !== 0 && groups <= images) for (let g = 0; g < groups; g++) go(images, 0, g, a.image, b.image, c.image, accumulate)
  else for (let i = 0; i < images; i++) go(groups, i, 0, a.group, b.group, c.group, accumulate || (c.image === 0 && i > 0))
}

/** The sizes that all three operations share. */
interface Sizes {
  readonly n: number
  readonly c: number
  readonly o: number
  /** Channels of the image and of the map per group. */
  readonly cg: number
  readonly og: number
  /** Elements of an image plane, of a map plane, of a window (cg·kh·kw). */
  readonly plane: number
  readonly pixels: number
  readonly window: number
}

function sizes(p: Convolution, n: number, c: number, o: number): Sizes {
  const cg = c / p.groups
  return { n, c, o, cg, og: o / p.groups, plane: area(p.image), pixels: area(p.map), window: cg * area(p.kernel) }
}

/**
 * Runs `body` for chunks of images with room for their columns, [images, groups, cg, kh, kw, oh, ow]: each row is one place
 * of the window, seen from all positions. Pointwise convolutions have none, and go in one chunk.
 */
function chunks(
  p: Convolution,
  s: Sizes,
  dt: DTypeInfo,
  gemm: readonly [number, number, number],
  body: (first: number, count: number, columns: ArrayLike | null, work: number) => void,
): void {
  const need = backend().matmulWork(dt.name, ...gemm)
  if (pointwise(p)) {
    body(0, s.n, null, workspace(need))
    return
  }
  const each = p.groups * s.pixels * s.window * dt.bytes
  const count = Math.max(1, Math.min(s.n, Math.floor(COLUMNS / each)))
  const bytes = Math.ceil((count * each) / 64) * 64
  // Workspace is kept for ever: what one giant image needs comes from the collector instead.
  const giant = bytes > LARGEST ? empty(Layout.of([(count * each) / dt.bytes]), dt, null).storage : null
  const scratch = workspace(giant === null ? bytes + need : need)
  const storage = giant ?? new Storage(scratch, bytes, null)
  for (let first = 0; first < s.n; first += count) {
    const n = Math.min(count, s.n - first)
    const columns = { storage, dt, layout: Layout.of([n, p.groups, s.cg, ...p.kernel, ...p.map]) }
    body(first, n, columns, giant === null ? scratch + bytes : scratch)
  }
}

/**
 * Are images read where they are? A line of `width` pixels then costs about 1.06 perfect products of all lanes of its steps, used
 * or not; with columns it costs 1.08, and making them as much as 10 products. A window of one pixel is its own column, and
 * products by BLAS and of integers need columns.
 */
function direct(p: Convolution, s: Sizes, dt: DTypeInfo, width: number, steps: (width: number, lanes: number) => number): boolean {
  if (!dt.floating || area(p.kernel) === 1 || s.window === 0 || backend().name === 'blas') return false
  const lanes = 16 / dt.bytes
  return (1.06 * lanes * steps(width, lanes)) / width < 1.08 + 10 / s.og
}

/** columns = windows of the contiguous images first … first + count. */
function unfold(x: ArrayLike, first: number, count: number, columns: ArrayLike, p: Convolution, s: Sizes): void {
  backend().job(unfold2d, x.dt.name)(count * s.c, ...p.image, 0, ...p.map, p, planesOf(x, first, s).at, address(columns))
}

/** Contiguous images += columns, every element where it came from. */
function fold(x: ArrayLike, first: number, count: number, columns: ArrayLike, p: Convolution, s: Sizes): void {
  backend().job(fold2d, x.dt.name)(count * s.c, ...p.image, 0, ...p.map, p, planesOf(x, first, s).at, address(columns))
}

/** The columns as matrices [window, pixels]. */
const matrixOf = (columns: ArrayLike, p: Convolution, s: Sizes): Stack => ({
  at: address(columns),
  image: p.groups * s.pixels * s.window,
  group: s.pixels * s.window,
  row: s.pixels,
  column: 1,
})

/** Contiguous images as matrices [cg, plane]. */
const planesOf = (x: ArrayLike, first: number, s: Sizes): Stack => ({
  at: address(x) + first * s.c * s.plane * x.dt.bytes,
  image: s.c * s.plane,
  group: s.cg * s.plane,
  row: s.plane,
  column: 1,
})

/** Contiguous maps as matrices [og, pixels]. */
const mapsOf = (y: ArrayLike, first: number, s: Sizes): Stack => ({
  at: address(y) + first * s.o * s.pixels * y.dt.bytes,
  image: s.o * s.pixels,
  group: s.og * s.pixels,
  row: s.pixels,
  column: 1,
})

/** Contiguous weights as matrices [og, window]. */
const weightsOf = (w: ArrayLike, s: Sizes): Stack => ({ at: address(w), image: 0, group: s.og * s.window, row: s.window, column: 1 })

const transposed = (a: Stack): Stack => ({ ...a, row: a.column, column: a.row })

/** y[n, o, oh, ow] = Σ windows of x · w (+ bias). */
function forward(x: TensorCore, w: TensorCore, bias: TensorCore | undefined, p: Convolution, owner: Owner | null): TensorCore {
  const s = sizes(p, x.layout.shape[0]!, x.layout.shape[1]!, w.layout.shape[0]!)
  const { dt } = x
  const out = empty(Layout.of(shaped(p, s.n, s.o, p.map)), dt, owner)
  if (out.layout.numel === 0) return out
  const images = contiguous(x, owner)
  const weights = contiguous(w, owner)
  if (direct(p, s, dt, p.map[1], vectorSteps)) {
    const start = bias && contiguous(bias, owner)
    const channels = { images: s.n, groups: p.groups, from: s.cg, to: s.og }
    correlate(images, { array: weights, row: s.window, channel: area(p.kernel), group: s.og * s.window }, start, p, false, channels, out)
    return out
  }
  if (bias !== undefined) copyInto(out, perChannel(bias, out))
  else if (s.window === 0) fillWith(out, 0)
  if (s.window === 0) return out
  chunks(p, s, dt, [s.og, s.pixels, s.window], (first, count, columns, work) => {
    if (columns !== null) unfold(images, first, count, columns, p, s)
    const b = columns === null ? planesOf(images, first, s) : matrixOf(columns, p, s)
    const products = { dt, m: s.og, n: s.pixels, k: s.window, groups: p.groups, work }
    multiply(products, count, weightsOf(weights, s), b, mapsOf(out, first, s), bias !== undefined)
  })
  return out
}

/** x[n, c, h, w] = the windows g·w added up where they came from: the transpose of `forward` in the image. */
function toImage(g: TensorCore, w: TensorCore, bias: TensorCore | undefined, p: Convolution, owner: Owner | null): TensorCore {
  const s = sizes(p, g.layout.shape[0]!, w.layout.shape[1]! * p.groups, w.layout.shape[0]!)
  const { dt } = g
  const out = empty(Layout.of(shaped(p, s.n, s.c, p.image)), dt, owner)
  if (out.layout.numel === 0) return out
  const maps = contiguous(g, owner)
  const weights = contiguous(w, owner)
  const some = s.og > 0 && s.pixels > 0 && s.window > 0
  // Pixels that few products reach are dearer to write one by one than columns are.
  if (some && s.og * area(p.kernel) >= 8 * area(p.stride) && direct(p, s, dt, Math.ceil(p.image[1] / p.stride[1]), vectorSteps)) {
    const start = bias && contiguous(bias, owner)
    const channels = { images: s.n, groups: p.groups, from: s.og, to: s.cg }
    correlate(maps, { array: weights, row: area(p.kernel), channel: s.window, group: s.og * s.window }, start, p, true, channels, out)
    return out
  }
  if (!some || !pointwise(p)) fillWith(out, 0)
  if (some) {
    chunks(p, s, dt, [s.window, s.pixels, s.og], (first, count, columns, work) => {
      const c = columns === null ? planesOf(out, first, s) : matrixOf(columns, p, s)
      const products = { dt, m: s.window, n: s.pixels, k: s.og, groups: p.groups, work }
      multiply(products, count, transposed(weightsOf(weights, s)), mapsOf(maps, first, s), c, false)
      if (columns !== null) fold(out, first, count, columns, p, s)
    })
  }
  if (bias !== undefined) addInto(out, perChannel(bias, out))
  return out
}

/** w[o, c/groups, kh, kw] = Σ over images and positions of g · window: the transpose of `forward` in the weight. */
function toWeight(g: TensorCore, x: TensorCore, p: Convolution, owner: Owner | null): TensorCore {
  const s = sizes(p, x.layout.shape[0]!, x.layout.shape[1]!, g.layout.shape[1]!)
  const { dt } = x
  const out = empty(Layout.of(shaped(p, s.o, s.cg, p.kernel)), dt, owner)
  if (out.layout.numel === 0) return out
  const maps = contiguous(g, owner)
  const images = contiguous(x, owner)
  if (s.n === 0 || s.pixels === 0) {
    fillWith(out, 0)
    return out
  }
  if (direct(p, s, dt, p.map[1], sumSteps)) {
    correlateMaps(maps, images, p, { images: s.n, groups: p.groups, from: s.cg, to: s.og }, out)
    return out
  }
  chunks(p, s, dt, [s.og, s.window, s.pixels], (first, count, columns, work) => {
    if (columns !== null) unfold(images, first, count, columns, p, s)
    const b = columns === null ? planesOf(images, first, s) : matrixOf(columns, p, s)
    const products = { dt, m: s.og, n: s.window, k: s.pixels, groups: p.groups, work }
    multiply(products, count, mapsOf(maps, first, s), transposed(b), weightsOf(out, s), first > 0)
  })
  return out
}

const overPositions = (g: Tensor): Tensor => g.sum(g.layout.rank === 3 ? [0, 2] : [0, 2, 3])
const along = (bias: Tensor, like: Tensor): Tensor =>
  bias.reshape([bias.shape[0]!, ...new Array<number>(like.layout.rank - 2).fill(1)]).expand(like.shape)

/** conv(x, w, bias?). */
export const convolution: GeneralOp<Convolution> = /* @__PURE__ */ general('convolution', {
  node: 'ConvolutionBackward0',
  forward: ([x, w, bias], p, owner) => forward(x!, w!, bias, p, owner),
  vjp: [
    vjp([1], (g, c) => imageOf.one([g, c.in(1)], c.p)),
    vjp([0], (g, c) => weightOf.one([g, c.in(0)], c.p)),
    vjp([], (g) => overPositions(g)),
  ],
  jvp: ([tx, tw, tb], c) => {
    const terms: Tensor[] = []
    if (tx) terms.push(convolution.one([tx, c.in(1)], c.p))
    if (tw) terms.push(convolution.one([c.in(0), tw], c.p))
    if (tb) terms.push(along(tb, c.out()))
    return terms.reduce((a, b) => a.add(b))
  },
  batch: (b) => withBias(b, (x, w) => batchedConvolution(x, w, b)),
})

/** The transposed convolution: image(g, w, bias?). */
export const imageOf: GeneralOp<Convolution> = /* @__PURE__ */ general('convolutionTranspose', {
  node: 'ConvolutionBackward0',
  forward: ([g, w, bias], p, owner) => toImage(g!, w!, bias, p, owner),
  vjp: [
    vjp([1], (gg, c) => convolution.one([gg, c.in(1)], c.p)),
    vjp([0], (gg, c) => weightOf.one([c.in(0), gg], c.p)),
    vjp([], (gg) => overPositions(gg)),
  ],
  jvp: ([tg, tw, tb], c) => {
    const terms: Tensor[] = []
    if (tg) terms.push(imageOf.one([tg, c.in(1)], c.p))
    if (tw) terms.push(imageOf.one([c.in(0), tw], c.p))
    if (tb) terms.push(along(tb, c.out()))
    return terms.reduce((a, b) => a.add(b))
  },
  batch: (b) =>
    withBias(b, (g, w) => (w === null ? unmerge(imageOf.one([merge(g, 0), b.x[1]!], b.p), b.size, 0) : perExample(imageOf, g, w, b))),
})

/** The correlation of maps with images: weight(g, x). */
const weightOf: GeneralOp<Convolution> = /* @__PURE__ */ general('convolutionWeight', {
  node: 'ConvolutionBackward0',
  forward: ([g, x], p, owner) => toWeight(g!, x!, p, owner),
  vjp: [vjp([1], (gw, c) => convolution.one([c.in(1), gw], c.p)), vjp([0], (gw, c) => imageOf.one([c.in(0), gw], c.p))],
  jvp: 'multilinear',
  batch: (b) => {
    const whole = (i: number): Tensor => (b.dims[i] === -1 ? repeated(b.x[i]!, b.size) : inFront(b, i))
    // Every example's channels are groups of their own.
    const p = { ...b.p, groups: b.p.groups * b.size }
    return unmerge(weightOf.one([merge(whole(0), 1), merge(whole(1), 1)], p), b.size, 0)
  },
})

const repeated = (x: Tensor, size: number): Tensor => x.unsqueeze(0).expand([size, ...x.shape])

/** The batch, in front of an example's dims, joined with dim `at` of the example. */
function merge(x: Tensor, at: 0 | 1): Tensor {
  const [size, ...shape] = x.shape as [number, ...number[]]
  return (at === 0 ? x : x.movedim(0, 1)).reshape(shape.with(at, shape[at]! * size))
}

/** The opposite: dim `at` split, the batch in front. */
function unmerge(y: Tensor, size: number, at: 0 | 1): Tensor {
  const split = y.reshape([...y.shape.slice(0, at), size, y.shape[at]! / size, ...y.shape.slice(at + 1)])
  return at === 0 ? split : split.movedim(1, 0)
}

/** Batching without the bias, which is added to the result. `w` is null where the weight isn't batched. */
function withBias(b: Batched<Convolution>, of: (x: Tensor, w: Tensor | null) => Tensor): Tensor {
  const y = of(b.dims[0] === -1 ? repeated(b.x[0]!, b.size) : inFront(b, 0), b.dims[1] === -1 ? null : inFront(b, 1))
  if (b.x.length < 3) return y
  const bias = inFront(b, 2)
  return y.add(bias.reshape([bias.shape[0]!, 1, bias.shape[1]!, ...b.p.map.slice(2 - b.p.spatial).map(() => 1)]))
}

function batchedConvolution(x: Tensor, w: Tensor | null, b: Batched<Convolution>): Tensor {
  if (w === null) return unmerge(convolution.one([merge(x, 0), b.x[1]!], b.p), b.size, 0)
  // One image under many weights is one convolution to many channels.
  if (b.dims[0] === -1 && b.p.groups === 1) return unmerge(convolution.one([b.x[0]!, merge(w, 0)], b.p), b.size, 1)
  return perExample(convolution, x, w, b)
}

/** Every example's channels as groups of their own. */
function perExample(op: GeneralOp<Convolution>, x: Tensor, w: Tensor, b: Batched<Convolution>): Tensor {
  return unmerge(op.one([merge(x, 1), merge(w, 0)], { ...b.p, groups: b.p.groups * b.size }), b.size, 1)
}
