/**
 * Convolutions without columns. The sources are laid out once with their padding, split by the stride into grids; then every
 * tap of the window, seen from all positions, is a piece of a grid, which kernels read where it lies.
 */
import { DOT_WORK, type FloatType, TAP_TILE, type Window2d } from '../backend/backend.ts'
import { dotTaps, multiplyTaps, packTaps, TAP_PARTS } from '../backend/jobs/taps.ts'
import { unfold2d } from '../backend/jobs/window.ts'
import type { DTypeInfo } from '../dtype.ts'
import { backend, copyInto, fillWith } from '../execute.ts'
import { Layout } from '../layout.ts'
import { workspace } from '../memory/collector.ts'
import { linearMemory } from '../memory/linear.ts'
import { type ArrayLike, address, empty, type TensorCore } from '../tensor.ts'
import type { Pair, Windows } from './window.ts'

/** Bytes of grids laid out at a time, and of panels of weights read for one image after the other: what the caches hold. */
const GRIDS = 1 << 19
const PANELS = 1 << 19
/** Rows of a register tile. */
const TILE_ROWS = 6
/** Most bytes kept from call to call. */
const LARGEST = 16 << 20
/** What kernels read behind a grid. */
const SLACK = 64

/** One place of the window: its weight (elements from a channel's first), its grid and where in the grid the first pixel lies. */
interface Tap {
  readonly weight: number
  readonly grid: number
  readonly y: number
  readonly x: number
}

/** Results of a plane that have the same taps: rows × columns, elements from the plane's first, from line to line, side by side. */
interface Part {
  readonly taps: readonly Tap[]
  readonly size: Pair
  readonly at: number
  readonly line: number
  readonly column: number
}

/** How sources become grids (each pixel of a window without dilation has one), and results products of their taps. */
interface Plan {
  readonly image: Pair
  readonly grids: Window2d
  /** How far taps reach into a grid. */
  readonly reach: Pair
  readonly parts: readonly Part[]
}

const DIMS = [0, 1] as const
const align = (n: number): number => Math.ceil(n / 64) * 64
const both = (f: (d: 0 | 1) => number): Pair => [f(0), f(1)]
const area = (size: Pair): number => size[0] * size[1]

/** From images to maps: row i of a map has pixels of padded rows i·stride + k·dilation. */
function mapPlan(p: Windows): Plan {
  const [kh, kw] = p.kernel
  const last = (d: 0 | 1): number[] => Array.from({ length: p.kernel[d] }, (_, k) => k * p.dilation[d])
  const split = both((d) => Math.max(...last(d).map((at) => at % p.stride[d])) + 1)
  const taps = Array.from({ length: kh * kw }, (_, weight): Tap => {
    const at = both((d) => (d === 0 ? Math.floor(weight / kw) : weight % kw) * p.dilation[d])
    const [gy, gx] = both((d) => at[d] % p.stride[d])
    const [y, x] = both((d) => Math.floor(at[d] / p.stride[d]))
    return { weight, grid: gy * split[1] + gx, y, x }
  })
  return {
    image: p.image,
    grids: { kernel: split, stride: p.stride, padding: p.padding, dilation: [1, 1] },
    reach: both((d) => Math.floor(((p.kernel[d] - 1) * p.dilation[d]) / p.stride[d])),
    parts: [{ taps, size: p.map, at: 0, line: p.map[1], column: 1 }],
  }
}

/** From maps to images: pixel i·stride + r of an image has, for some k, elements i + (r + padding − k·dilation)/stride of a map. */
function imagePlan(p: Windows): Plan {
  const phases = DIMS.map((d) =>
    Array.from({ length: p.stride[d] }, (_, r) => ({
      start: r,
      count: Math.ceil((p.image[d] - r) / p.stride[d]),
      taps: Array.from({ length: p.kernel[d] }, (_, k) => ({ k, at: (r + p.padding[d] - k * p.dilation[d]) / p.stride[d] })).filter(
        ({ at }) => Number.isInteger(at),
      ),
    })).filter(({ count }) => count > 0),
  )
  const places = phases.map((list) => list.flatMap(({ taps }) => taps.map(({ at }) => at)))
  const before = both((d) => Math.max(0, -Math.min(...places[d]!)))
  return {
    image: p.map,
    grids: { kernel: [1, 1], stride: [1, 1], padding: before, dilation: [1, 1] },
    reach: both((d) => Math.max(0, ...places[d]!) + before[d]),
    parts: phases[0]!.flatMap((v) =>
      phases[1]!.map((h) => ({
        taps: v.taps.flatMap((y) =>
          h.taps.map((x) => ({ weight: y.k * p.kernel[1] + x.k, grid: 0, y: y.at + before[0], x: x.at + before[1] })),
        ),
        size: [v.count, h.count] as const,
        at: v.start * p.image[1] + h.start,
        line: p.stride[0] * p.image[1],
        column: p.stride[1],
      })),
    ),
  }
}

/**
 * The address of room for `bytes`. Workspace is kept for ever: what a giant needs is a tensor, which stays where it is until the
 * next one is made.
 */
function room(bytes: number, dt: DTypeInfo): number {
  return bytes <= LARGEST ? workspace(bytes) : address(empty(Layout.of([Math.ceil(bytes / dt.bytes)]), dt, null))
}

/** Grids as they lie in memory: of several images, or of a band of one image's rows. */
interface Bands {
  readonly images: number
  /** Rows of results that the grids are for. */
  readonly rows: number
  readonly width: number
  /** Elements of a grid, and of an image's grids. */
  readonly grid: number
  readonly each: number
}

function bandsOf(plan: Plan, planes: number, images: number, bytes: number): Bands {
  const most = (d: 0 | 1): number => Math.max(...plan.parts.map(({ size }) => size[d]))
  const [rows, width] = [most(0), most(1) + plan.reach[1]]
  const line = planes * area(plan.grids.kernel) * width
  const fit = Math.floor(GRIDS / (line * bytes)) - plan.reach[0]
  const band = Math.min(rows, Math.max(4, fit))
  const each = line * (band + plan.reach[0])
  const some = band < rows ? 1 : Math.max(1, Math.min(images, Math.floor(GRIDS / (each * bytes))))
  return { images: some, rows: band, width, grid: width * (band + plan.reach[0]), each }
}

/** Lays out the grids of all images, some at a time; `body` learns which rows of results they are for, and where row `first` starts. */
function eachBand(
  plan: Plan,
  bands: Bands,
  source: ArrayLike,
  planes: number,
  images: number,
  at: number,
  body: (image: number, count: number, first: number, rows: number, grids: number) => void,
): void {
  const { bytes, name } = source.dt
  const unfold = backend().job(unfold2d, name)
  const total = Math.max(...plan.parts.map(({ size }) => size[0]))
  for (let image = 0; image < images; image += bands.images) {
    const count = Math.min(bands.images, images - image)
    for (let first = 0; first < total; first += bands.rows) {
      // All bands have equally many rows: the last one starts earlier.
      const start = Math.min(first, total - bands.rows)
      const from = address(source) + image * planes * area(plan.image) * bytes
      unfold(count * planes, ...plan.image, start, bands.rows + plan.reach[0], bands.width, plan.grids, from, at)
      body(image, count, first, Math.min(bands.rows, total - first), at + (first - start) * bands.width * bytes)
    }
  }
}

/** Where the taps of all channels start, in bytes from the first grid; written as int32. */
function writePlaces(at: number, taps: readonly Tap[], channels: number, plan: Plan, bands: Bands, bytes: number): void {
  const { i32 } = linearMemory()
  let to = at / 4
  for (let c = 0; c < channels; c++) {
    for (const { grid, y, x } of taps) i32[to++] = ((c * area(plan.grids.kernel) + grid) * bands.grid + y * bands.width + x) * bytes
  }
}

/** Weights as matrices: elements from result channel to result channel, from source channel to source channel, from group to group. */
export interface Weights {
  readonly array: ArrayLike
  readonly row: number
  readonly channel: number
  readonly group: number
}

/** The sizes of a convolution: images, groups, channels of the source and of the result per group. */
export interface Channels {
  readonly images: number
  readonly groups: number
  readonly from: number
  readonly to: number
}

/** Steps in which products of `width` neighbouring pixels are made: the last one may be partly used. */
export const vectorSteps = (width: number, lanes: number): number => Math.ceil(width / lanes)
/** Steps in which `width` pixels are summed up: whole vectors, a half, a single one. */
export const sumSteps = (width: number, lanes: number): number =>
  Math.floor(width / lanes) + (lanes === 4 && (width & 2) > 0 ? 1 : 0) + (width & 1)

/** A vector of channels against images. */
export function perChannel(bias: ArrayLike, images: ArrayLike): ArrayLike {
  const { shape, strides, offset } = bias.layout
  const rest = images.layout.shape.slice(2)
  const layout = new Layout([shape[0]!, ...rest.map(() => 1)], [strides[0]!, ...rest.map(() => 0)], offset)
  return { storage: bias.storage, dt: bias.dt, layout }
}

/** out = bias + every window of the contiguous sources · weights: from images to maps, or (`back`) from maps to images. */
export function correlate(
  source: ArrayLike,
  weights: Weights,
  bias: ArrayLike | undefined,
  p: Windows,
  back: boolean,
  { images, groups, from, to }: Channels,
  out: TensorCore,
): void {
  const plan = back ? imagePlan(p) : mapPlan(p)
  const { bytes } = source.dt
  const name = source.dt.name as FloatType
  if (plan.parts.some(({ taps }) => taps.length === 0)) {
    if (bias === undefined) fillWith(out, 0)
    else copyInto(out, perChannel(bias, out))
  }
  const bands = bandsOf(plan, groups * from, images, bytes)
  const tiles = Math.ceil(to / TILE_ROWS)
  const height = Math.ceil(to / tiles)
  const tall = to - tiles * (height - 1)
  // Bytes of one group's panels, for each part.
  const sizes = plan.parts.map(({ taps }) => from * taps.length * (4 * tiles + to * bytes))
  const gridBytes = align(bands.images * bands.each * bytes + SLACK)
  const biasBytes = bias === undefined ? 0 : groups * to * 32
  const tableBytes = align(8 * from * area(p.kernel) + 8)
  const panelBytes = sizes.reduce((sum, size) => sum + groups * size, 0)
  const grids = room(gridBytes + tableBytes + TAP_PARTS * TAP_TILE + biasBytes + panelBytes, source.dt)
  const table = grids + gridBytes
  const work = table + tableBytes
  const start = work + TAP_PARTS * TAP_TILE
  const panels = start + biasBytes

  const pack = backend().job(packTaps, name)
  let end = panels
  const places = plan.parts.map(({ taps }, i) => {
    const k = from * taps.length
    const { i32 } = linearMemory()
    for (let c = 0, j = table / 4; c < from; c++) for (const { weight } of taps) i32[j++] = (c * weights.channel + weight) * bytes
    writePlaces(table + 4 * k, taps, from, plan, bands, bytes)
    const first = end
    for (let g = 0; g < groups; g++, end += sizes[i]!) {
      const a = address(weights.array) + g * weights.group * bytes
      const b = bias === undefined || i > 0 ? 0 : address(bias) + g * to * bytes
      if (k > 0) pack(to, k, a, weights.row * bytes, table, table + 4 * k, tall, height, b, end, start + g * to * 32)
    }
    return first
  })

  const multiply = backend().job(multiplyTaps, name)
  const plane = out.layout.numel / (images * groups * to)
  eachBand(plan, bands, source, groups * from, images, grids, (image, count, firstRow, rows, at) => {
    plan.parts.forEach(({ taps, size, at: offset, line, column }, i) => {
      const k = from * taps.length
      const lines = Math.min(rows, size[0] - firstRow)
      if (k === 0 || lines <= 0) return
      const block = Math.max(1, Math.floor(PANELS / (k * (4 + height * bytes))))
      for (let tile = 0; tile < tiles; tile += block) {
        const rowsBefore = (t: number): number => t * (height - 1) + Math.min(t, tall)
        const [first, next] = [rowsBefore(tile), rowsBefore(Math.min(tiles, tile + block))]
        for (let g = 0; g < groups; g++) {
          multiply(
            count,
            next - first,
            k,
            Math.max(0, tall - tile),
            height,
            places[i]! + g * sizes[i]! + k * (4 * tile + first * bytes),
            bias === undefined ? 0 : start + (g * to + first) * 32,
            at + g * from * area(plan.grids.kernel) * bands.grid * bytes,
            bands.each * bytes,
            bands.width * bytes,
            lines,
            size[1],
            address(out) + (((image * groups + g) * to + first) * plane + offset + firstRow * line) * bytes,
            groups * to * plane * bytes,
            plane * bytes,
            line * bytes,
            column * bytes,
            work,
          )
        }
      }
    })
  })
}

/** weights = Σ over images and positions of the contiguous maps · the windows of the contiguous images. */
export function correlateMaps(maps: ArrayLike, source: ArrayLike, p: Windows, sizes: Channels, weights: TensorCore): void {
  const { images, groups, from, to } = sizes
  const plan = mapPlan(p)
  const { bytes } = source.dt
  const name = source.dt.name as FloatType
  const bands = bandsOf(plan, groups * from, images, bytes)
  const k = from * area(p.kernel)
  const gridBytes = align(bands.images * bands.each * bytes + SLACK)
  const grids = room(gridBytes + TAP_PARTS * DOT_WORK + 4 * k + 4, source.dt)
  const work = grids + gridBytes
  const table = work + TAP_PARTS * DOT_WORK
  writePlaces(table, plan.parts[0]!.taps, from, plan, bands, bytes)
  fillWith(weights, 0)
  const dot = backend().job(dotTaps, name)
  const pixels = area(p.map)
  eachBand(plan, bands, source, groups * from, images, grids, (image, count, first, rows, at) => {
    for (let g = 0; g < groups; g++) {
      dot(
        count,
        to,
        k,
        rows,
        p.map[1],
        address(maps) + ((image * groups + g) * to * pixels + first * p.map[1]) * bytes,
        groups * to * pixels * bytes,
        pixels * bytes,
        p.map[1] * bytes,
        at + g * from * area(plan.grids.kernel) * bands.grid * bytes,
        bands.each * bytes,
        bands.width * bytes,
        table,
        address(weights) + g * to * k * bytes,
        k * bytes,
        bytes,
        work,
      )
    }
  })
}
