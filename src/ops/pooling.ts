/** Pooling: the largest or the average element of every window of signals and images. */
import { maxPool2d as maxPool2dJob } from '../backend/jobs/window.ts'
import { computeType, input, Program, scalar } from '../backend/scalar.ts'
import { type DTypeInfo, dtypes } from '../dtype.ts'
import { ArgumentError, DTypeError, ShapeError, show } from '../errors.ts'
import { addInto, backend, contiguous, copyInto, fillWith, full, type Kernel, kernel, reduce, resident, run, runInto } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import type { Owner } from '../memory/storage.ts'
import { type GeneralOp, general, inFront, OUT, vjp } from '../op/general.ts'
import { checkOptions, describe, type Known } from '../options.ts'
import { numel, type Shape } from '../shape.ts'
import { type ArrayLike, address, checkAddressable, empty, expectTensor, TensorCore, writeAll } from '../tensor.ts'
import { AVERAGE, LARGEST } from './poolOptions.ts'
import { eachPlace, type Pair, type PairOption, pair, type Windows, windowCount } from './window.ts'

/** Options of `maxPool1d` and `maxPool2d`; one number stands for all spatial dims. */
export interface MaxPoolOptions {
  /** Steps between windows. Default: the size of the window. */
  readonly stride?: PairOption
  /** Positions around the input that are never the largest; at most half a window. Default 0. */
  readonly padding?: PairOption
  /** Distance between the elements of a window. Default 1. */
  readonly dilation?: PairOption
  /** Also take windows that start inside and end outside. Default false. */
  readonly ceilMode?: boolean
}

/** Options of `avgPool1d` and `avgPool2d`. */
export interface AvgPoolOptions {
  readonly stride?: PairOption
  /** Zeros around the input; at most half a window. Default 0. */
  readonly padding?: PairOption
  readonly ceilMode?: boolean
  /** Do the zeros count in the average? Default true. */
  readonly countIncludePad?: boolean
}

/** The pooled values and where in their plane (row-major, of the input) they stood. */
export interface MaxPooled {
  readonly values: Tensor
  readonly indices: Tensor
}

/** Checks and sizes of a pooling of `dims` spatial dims; x has one dim more, or two with the batch. */
function pooling(
  op: string,
  x: Tensor,
  size: PairOption,
  options: MaxPoolOptions,
  dims: 1 | 2,
  known: Known<MaxPoolOptions> | Known<AvgPoolOptions>,
): Windows {
  expectTensor(op, x, 'argument 0')
  checkOptions<object>(op, options, known)
  const { rank, shape } = x.layout
  if (rank !== dims + 1 && rank !== dims + 2)
    throw new ShapeError(`non-empty ${dims + 1}D or ${dims + 2}D (batch mode) tensor expected for input: ${op} got ${show(shape)}`, {
      op,
      shapes: [shape],
    })
  if (shape.slice(rank - dims - 1).includes(0))
    throw new ShapeError(
      `Expected ${dims + 1}D or ${dims + 2}D (batch mode) tensor with optional 0 dim batch size for input, but got: ${show(shape)} (${op})`,
      { op, shapes: [shape] },
    )
  if (x.dt === dtypes.bool)
    throw new DTypeError(`"${op}" not implemented for 'Bool'; convert first, e.g. x.to('float32')`, { op, dtypes: ['bool'] })
  const kernel = pair(size, dims, 1, 1, 'kernel size', op)
  const stride = options.stride === undefined ? kernel : pair(options.stride, dims, 1, 1, 'stride', op)
  const padding = pair(options.padding ?? 0, dims, 0, 0, 'padding', op)
  const dilation = pair(options.dilation ?? 1, dims, 1, 1, 'dilation', op)
  for (const d of [0, 1] as const) {
    if (padding[d] > (dilation[d] * (kernel[d] - 1) + 1) / 2) {
      throw new ArgumentError(
        `pad should be at most half of effective kernel size, but got pad=${padding[d]}, kernel_size=${kernel[d]} and dilation=${dilation[d]} (${op})`,
        { op },
      )
    }
  }
  const image: Pair = [dims === 1 ? 1 : shape[rank - 2]!, shape[rank - 1]!]
  const count = (d: 0 | 1): number => windowCount(image[d], kernel[d], stride[d], padding[d], dilation[d], options.ceilMode === true)
  const map: Pair = [count(0), count(1)]
  if (map[0] < 1 || map[1] < 1) {
    const planes = shape[rank - dims - 1]!
    throw new ShapeError(
      `Given input size: (${planes}x${image[0]}x${image[1]}). Calculated output size: (${planes}x${Math.max(0, map[0])}x${Math.max(0, map[1])}). Output size is too small: ${op} of ${show(shape)} with windows of ${show(kernel)}`,
      { op, shapes: [shape] },
    )
  }
  const p = { kernel, stride, padding, dilation, image, map }
  refuseEmptyWindows(op, p)
  return p
}

/** Dilated windows at the edge of a padded image may hold none of its elements: then no maximum exists, and no gradient. */
function refuseEmptyWindows(op: string, p: Windows): void {
  for (const d of [0, 1] as const) {
    const [size, k, step, dilation, pad] = [p.image[d], p.kernel[d], p.stride[d], p.dilation[d], p.padding[d]]
    if (dilation === 1 || pad === 0) continue
    for (let i = 0; i < p.map[d]; i++) {
      const start = i * step - pad
      const entered = start < 0 ? start + Math.ceil(-start / dilation) * dilation : start
      if (entered < size && entered <= start + (k - 1) * dilation) continue
      throw new ArgumentError(
        `${op}: with dilation ${dilation} and padding ${pad}, window ${i} holds no element of a dim of size ${size}; use less padding`,
        { op },
      )
    }
  }
}

const lead = (x: TensorCore): Shape => x.layout.shape.slice(0, -2)
const planesOf = (x: TensorCore): number => numel(lead(x))

/** Two results: the largest element of each window, and its place in the plane. Any dims may lead. */
const largest: GeneralOp<Windows> = /* @__PURE__ */ general('maxPool2d', {
  node: 'MaxPool2DWithIndicesBackward0',
  forward: ([x], p, owner) => {
    const layout = Layout.of([...lead(x!), ...p.map])
    const y = empty(layout, x!.dt, owner)
    const at = empty(layout, dtypes.int32, owner)
    if (layout.numel === 0) return [y, at]
    const source = contiguous(x!, owner)
    backend().job(maxPool2dJob, x!.dt.name)(planesOf(x!), ...p.image, ...p.map, p, address(source), address(y), address(at))
    return [y, at]
  },
  vjp: [vjp([OUT - 1], (g, c, gs) => (gs[0] === null ? null : spread.one([g, c.out(1)], c.p)))],
  jvp: ([t], c) => pick(t!, c.out(1)),
  batch: (b) => largest.call([inFront(b, 0)], b.p) as Tensor[],
})

/** Elements of planes by their places. */
function pick(x: Tensor, at: Tensor): Tensor {
  const planes = x.shape.slice(0, -2)
  const flat = x.reshape([...planes, x.shape.at(-2)! * x.shape.at(-1)!])
  return flat.gather(-1, at.reshape([...planes, at.shape.at(-2)! * at.shape.at(-1)!])).reshape(at.shape)
}

/** The transpose of `pick`: each element is added at its place in a plane of zeros. */
const spread: GeneralOp<Windows> = /* @__PURE__ */ general('maxPool2dBackward', {
  node: 'MaxPool2DWithIndicesBackwardBackward0',
  forward: ([g, at], p, owner) => {
    const out = full([...lead(g!), ...p.image], 0, g!.dt, owner)
    if (g!.layout.numel === 0) return out
    const source = contiguous(g!, owner)
    const places = contiguous(at!, owner)
    const add = backend().index('scatterAdd', g!.dt.name)
    add(planesOf(g!), p.image[0] * p.image[1], 1, p.map[0] * p.map[1], address(out), address(places), address(source))
    return out
  },
  vjp: [vjp([1], (gg, c) => pick(gg, c.in(1))), null],
  jvp: 'linear',
  batch: (b) => {
    const whole = (i: number): Tensor => (b.dims[i] === -1 ? b.x[i]!.unsqueeze(0).expand([b.size, ...b.x[i]!.shape]) : inFront(b, i))
    return spread.one([whole(0), whole(1)], b.p)
  },
})

/**
 * The largest element of every window of x [n, c, h, w] (or [c, h, w]); the first of equal ones, NaN before all.
 * Errors: ShapeError when no window fits, ArgumentError for impossible options.
 * @example
 * maxPool2d(tensor([[[1, 2], [3, 4]]]), 2).tolist() // [[[4]]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool2d.html
 */
export function maxPool2d(x: Tensor, kernelSize: PairOption, options: MaxPoolOptions = {}): Tensor {
  return (largest.call([x], pooling('maxPool2d', x, kernelSize, options, 2, LARGEST)) as Tensor[])[0]!
}

/**
 * `maxPool2d` together with the places: h·w positions in the input's planes, int32.
 * @example
 * nn.functional.maxPool2dWithIndices(tensor([[[1, 2], [3, 4]]]), 2).indices.tolist() // [[[3]]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool2d.html
 */
export function maxPool2dWithIndices(x: Tensor, kernelSize: PairOption, options: MaxPoolOptions = {}): MaxPooled {
  const [values, indices] = largest.call([x], pooling('maxPool2dWithIndices', x, kernelSize, options, 2, LARGEST)) as [Tensor, Tensor]
  return { values, indices }
}

/**
 * The largest element of every window of x [n, c, l] (or [c, l]).
 * Errors: as `maxPool2d`.
 * @example
 * nn.functional.maxPool1d(tensor([[1, 3, 7, 5]]), 2).tolist() // [[3, 7]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool1d.html
 */
export function maxPool1d(x: Tensor, kernelSize: PairOption, options: MaxPoolOptions = {}): Tensor {
  const p = pooling('maxPool1d', x, kernelSize, options, 1, LARGEST)
  return (largest.call([x.unsqueeze(-2)], p) as Tensor[])[0]!.squeeze(-2)
}

/** An average pooling: how many elements each window counts, by row and by column. */
interface Averaging extends Windows {
  readonly rows: readonly number[]
  readonly columns: readonly number[]
}

/** For each window of one dim, how many elements its average counts. */
function counts(p: Windows, d: 0 | 1, includePad: boolean): number[] {
  const [size, k, pad] = [p.image[d], p.kernel[d], p.padding[d]]
  return Array.from({ length: p.map[d] }, (_, i) => {
    const start = i * p.stride[d] - pad
    const end = Math.min(start + k, size + pad)
    return includePad ? end - start : Math.min(end, size) - Math.max(start, 0)
  })
}

const cut = (a: ArrayLike, layout: Layout): ArrayLike => ({ storage: a.storage, dt: a.dt, layout })

const divisions: (Kernel | undefined)[] = []
const scalarDivisions: (Kernel | undefined)[] = []

/** Divides by one number, known at run time. */
function divisionBy(dt: DTypeInfo): Kernel {
  return (scalarDivisions[dt.code] ??= kernel(new Program([input(0).div(scalar(0))], [dt.name], [dt.name], 1, computeType(dt.name))))
}
function division(dt: DTypeInfo): Kernel {
  return (divisions[dt.code] ??= kernel(new Program([input(0).div(input(1))], [dt.name], [dt.name, dt.name], 0, computeType(dt.name))))
}

/** The counts of all windows: one number, or an array of them. */
function countsOf(p: Averaging, dt: DTypeInfo, owner: Owner | null): number | TensorCore {
  const one = p.rows[0]! * p.columns[0]!
  if (p.rows.every((r) => r === p.rows[0]) && p.columns.every((c) => c === p.columns[0])) return one
  const table = empty(Layout.of(p.map), dt, owner)
  writeAll(
    table,
    p.rows.flatMap((r) => p.columns.map((c) => r * c)),
  )
  return table
}

const average: GeneralOp<Averaging> = /* @__PURE__ */ general('avgPool2d', {
  node: 'AvgPool2DBackward0',
  forward: ([x], p, owner) => {
    const { dt } = x!
    const y = full([...lead(x!), ...p.map], 0, dt, owner)
    const n = countsOf(p, dt, owner)
    const source = resident(x!)
    let first = p.padding[0] + p.padding[1] === 0
    eachPlace(p, (_ky, _kx, windows, elements) => {
      const [map, image] = [cut(y, windows(y.layout)), cut(source, elements(source.layout))]
      // Without padding the first place is in all windows.
      if (first && map.layout.numel === y.layout.numel) copyInto(map, image)
      else addInto(map, image)
      first = false
    })
    if (typeof n === 'number') runInto(divisionBy(dt), [y], [y], [n])
    else runInto(division(dt), [y], [y, n], null)
    return y
  },
  vjp: [vjp([], (g, c) => averageBack.one([g], c.p))],
  jvp: 'linear',
  batch: (b) => average.one([inFront(b, 0)], b.p),
})

const averageBack: GeneralOp<Averaging> = /* @__PURE__ */ general('avgPool2dBackward', {
  node: 'AvgPool2DBackwardBackward0',
  forward: ([g], p, owner) => {
    const { dt } = g!
    const x = full([...lead(g!), ...p.image], 0, dt, owner)
    const n = countsOf(p, dt, owner)
    const share = typeof n === 'number' ? run(divisionBy(dt), [g!], [n], owner) : run(division(dt), [g!, n], null, owner)
    eachPlace(p, (_ky, _kx, windows, elements) => {
      addInto(cut(x, elements(x.layout)), cut(share, windows(share.layout)))
    })
    return x
  },
  vjp: [vjp([], (gg, c) => average.one([gg], c.p))],
  jvp: 'linear',
  batch: (b) => averageBack.one([inFront(b, 0)], b.p),
})

function averaging(op: string, x: Tensor, kernelSize: PairOption, options: AvgPoolOptions, dims: 1 | 2): Averaging {
  const p = pooling(op, x, kernelSize, options, dims, AVERAGE)
  if (!x.dt.floating)
    throw new DTypeError(`"${op}" not implemented for '${x.dtype}'; convert first, e.g. x.to('float32')`, { op, dtypes: [x.dtype] })
  const includePad = options.countIncludePad ?? true
  return { ...p, rows: counts(p, 0, includePad), columns: counts(p, 1, includePad) }
}

/**
 * The average of every window of x [n, c, h, w] (or [c, h, w]).
 * Errors: ShapeError when no window fits, DTypeError for integers, ArgumentError for impossible options.
 * @example
 * nn.functional.avgPool2d(tensor([[[1, 2], [3, 4]]]), 2).tolist() // [[[2.5]]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool2d.html
 */
export function avgPool2d(x: Tensor, kernelSize: PairOption, options: AvgPoolOptions = {}): Tensor {
  return average.one([x], averaging('avgPool2d', x, kernelSize, options, 2))
}

/**
 * The average of every window of x [n, c, l] (or [c, l]).
 * Errors: as `avgPool2d`.
 * @example
 * nn.functional.avgPool1d(tensor([[1, 3, 5, 7]]), 2).tolist() // [[2, 6]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool1d.html
 */
export function avgPool1d(x: Tensor, kernelSize: PairOption, options: AvgPoolOptions = {}): Tensor {
  const p = averaging('avgPool1d', x, kernelSize, options, 1)
  return average.one([x.unsqueeze(-2)], p).squeeze(-2)
}

/** From windows of `from` elements to averages of `to`: window i is ⌊i·from/to⌋ … ⌈(i+1)·from/to⌉. */
interface Adaptive {
  readonly image: Pair
  readonly map: Pair
}

/** One dim of `x` averaged to `to` windows, or of `g` spread back over `from` elements. */
function adapt(x: TensorCore, d: number, from: number, to: number, back: boolean, owner: Owner | null): TensorCore {
  if (from === to) return x
  const { dt } = x
  const out = empty(Layout.of(x.layout.shape.with(d, back ? from : to)), dt, owner)
  if (back) fillWith(out, 0)
  const part = (a: ArrayLike, start: number, count: number): TensorCore => new TensorCore(a.storage, a.layout.slice(d, start, count), a.dt)
  for (let i = 0; i < to; i++) {
    const start = Math.floor((i * from) / to)
    const count = Math.ceil(((i + 1) * from) / to) - start
    if (back) addInto(part(out, start, count), run(divisionBy(dt), [part(x, i, 1)], [count], owner))
    else runInto(divisionBy(dt), [part(out, i, 1)], [reduce('sum', part(x, start, count), [d], true, owner)], [count])
  }
  return out
}

function adapted(x: TensorCore, p: Adaptive, back: boolean, owner: Owner | null): TensorCore {
  const { rank } = x.layout
  const rows = adapt(x, rank - 2, p.image[0], p.map[0], back, owner)
  const y = adapt(rows, rank - 1, p.image[1], p.map[1], back, owner)
  return y === x ? new TensorCore(x.storage, x.layout, x.dt) : y
}

const adaptive: GeneralOp<Adaptive> = /* @__PURE__ */ general('adaptiveAvgPool2d', {
  node: 'AdaptiveAvgPool2DBackward0',
  forward: ([x], p, owner) => adapted(x!, p, false, owner),
  vjp: [vjp([], (g, c) => adaptiveBack.one([g], c.p))],
  jvp: 'linear',
  batch: (b) => adaptive.one([inFront(b, 0)], b.p),
})

const adaptiveBack: GeneralOp<Adaptive> = /* @__PURE__ */ general('adaptiveAvgPool2dBackward', {
  node: 'AdaptiveAvgPool2DBackwardBackward0',
  forward: ([g], p, owner) => adapted(g!, p, true, owner),
  vjp: [vjp([], (gg, c) => adaptive.one([gg], c.p))],
  jvp: 'linear',
  batch: (b) => adaptiveBack.one([inFront(b, 0)], b.p),
})

/**
 * Averages of x [n, c, h, w] (or [c, h, w]) over as many windows of nearly equal size as `outputSize` says; null keeps a size.
 * Errors: ShapeError for other ranks and for empty images, DTypeError for integers.
 * @example
 * nn.functional.adaptiveAvgPool2d(tensor([[[1, 2], [3, 4]]]), 1).tolist() // [[[2.5]]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool2d.html
 */
export function adaptiveAvgPool2d(x: Tensor, outputSize: number | readonly [number | null, number | null]): Tensor {
  const op = 'adaptiveAvgPool2d'
  expectTensor(op, x, 'argument 0')
  const { rank, shape } = x.layout
  if (rank !== 3 && rank !== 4) throw new ShapeError(`${op}(): Expected 3D or 4D tensor, but got ${show(shape)}`, { op, shapes: [shape] })
  if (shape.slice(-3).includes(0))
    throw new ShapeError(`${op}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes ${show(shape)}`, {
      op,
      shapes: [shape],
    })
  if (!x.dt.floating)
    throw new DTypeError(`"${op}" not implemented for '${x.dtype}'; convert first, e.g. x.to('float32')`, { op, dtypes: [x.dtype] })
  const image: Pair = [shape[rank - 2]!, shape[rank - 1]!]
  if (typeof outputSize !== 'number' && !Array.isArray(outputSize))
    throw new ArgumentError(`${op}: expected a number or [rows, columns] for the output size, got ${describe(outputSize)}`, { op })
  const sizes =
    typeof outputSize === 'number'
      ? [outputSize, outputSize]
      : (outputSize as readonly (number | null)[]).map((n, d) => n ?? image[d as 0 | 1])
  const map = pair(sizes, 2, 0, 1, 'output size', op)
  checkAddressable(op, [...shape.slice(0, -2), ...map], x.dt)
  if (map[0] === 1 && map[1] === 1) return x.mean({ dim: [-2, -1], keepdim: true })
  return adaptive.one([x], { image, map })
}
