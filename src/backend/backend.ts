/**
 * What a backend must do: turn expressions and a few structured jobs into functions over addresses in the linear memory.
 * Backends never see a tensor. Every function returned here may be kept and called again; none allocates tensor memory.
 */
import type { DType } from '../dtype.ts'
import type { Program } from './scalar.ts'

/** The dtypes of real numbers. */
export type FloatType = 'float32' | 'float64'

/**
 * The bytes all tensors live in. `buffer` changes when the memory grows: use the views through this object each time.
 * Element i of a typed array of width w at address p is `view[p / w + i]`; addresses are unsigned.
 */
export interface LinearMemory {
  readonly memory: WebAssembly.Memory | undefined
  readonly buffer: ArrayBufferLike
  readonly u8: Uint8Array
  readonly i32: Int32Array
  readonly u32: Uint32Array
  readonly f32: Float32Array
  readonly f64: Float64Array
  /** Byte address of `SCRATCH_BYTES` for loop descriptors; what is there is lost at the next call. */
  readonly scratch: number
}

/** Room for one loop descriptor. */
export const SCRATCH_BYTES = 4096

/**
 * A loop over contiguous operands: `(n, out…, in…, scalar…)`, addresses in bytes. An output may be the same address as an
 * input; partial overlap is refused before it gets here.
 */
export type FlatKernel = (n: number, ...operands: number[]) => void

/**
 * A loop over strided operands: `(descriptor, scalar…)`. The descriptor is int32 words at a byte address:
 * `rank, size[0..rank), then for each output and each input: base address, byte stride[0..rank)`, outermost dim first.
 */
export type StridedKernel = (descriptor: number, ...scalars: number[]) => void

/** How an operand moves along the innermost dim of a strided loop: unit stride, stride 0, anything else. */
export const UNIT = 0
export const FIXED = 1
export const ANY = 2

export type ReduceOp = 'sum' | 'prod' | 'max' | 'min' | 'argmax' | 'argmin' | 'any' | 'all'

/**
 * Reduces the middle axis of a contiguous [outer, n, inner] array into a contiguous [outer, inner] one:
 * `(outer, n, inner, in, out)`. Sums use pairwise (or better) summation. max/min propagate NaN; argmax/argmin give the
 * first of equals (the first NaN, if any) as int32. `any`/`all` write bool. Integer sums and products return 1 if a
 * result does not fit int32 (the output is then unspecified), else 0; everything else returns 0.
 */
export type ReduceKernel = (outer: number, n: number, inner: number, input: number, output: number) => number

/** Running sums or products along the middle axis of a contiguous [outer, n, inner] array: `(outer, n, inner, in, out)`. */
export type ScanKernel = (outer: number, n: number, inner: number, input: number, output: number) => void

/**
 * C = start + A·B, for `batch` matrices: A[M,K] and B[K,N] with any row and column strides, C row-major with row stride N.
 * Strides in elements, addresses in bytes; a batch stride of 0 repeats a matrix. `start` is 0 (nothing), 1 (what is in C), or
 * the address of N elements that every row starts from. `work` is an address with `matmulWork` bytes.
 */
export type MatmulKernel = (
  batch: number,
  m: number,
  n: number,
  k: number,
  a: number,
  aBatch: number,
  aRow: number,
  aCol: number,
  b: number,
  bBatch: number,
  bRow: number,
  bCol: number,
  c: number,
  cBatch: number,
  start: number,
  work: number,
) => void

/**
 * Moves between a contiguous [outer, n, inner] array and an index array, along the middle axis. Indices are int32, already
 * wrapped (negative ones made positive) and checked.
 * - `gather`: out[o,j,i] = src[o, index[o,j,i], i], index and out of shape [outer, m, inner]
 * - `scatter`/`scatterAdd`: dst[o, index[o,j,i], i] = / += src[o,j,i]
 * - `indexSelect`: out[o,j,i] = src[o, index[j], i], index of shape [m]
 * - `indexCopy`/`indexAdd`: dst[o, index[j], i] = / += src[o,j,i]
 * Called as `(outer, n, inner, m, big, index, small)`: `big` is the [outer, n, inner] side, `small` the [outer, m, inner] one.
 */
export type IndexOp = 'gather' | 'scatter' | 'scatterAdd' | 'indexSelect' | 'indexCopy' | 'indexAdd'
export type IndexKernel = (outer: number, n: number, inner: number, m: number, big: number, index: number, small: number) => void

/** What a random fill draws: see the distributions of random.ts. */
export type DrawKind = 'uniform' | 'normal' | 'bernoulli'

/** Words of the generator that one element takes up. */
export function drawWords(kind: DrawKind, dtype: DType): 1 | 2 {
  return kind !== 'bernoulli' && dtype === 'float64' ? 2 : 1
}

/**
 * Fills n contiguous elements: `(n, out, block low, block high, key0, key1, a, b)`, from this block of the generator on.
 * Uniform in [a, b); normal with mean a and deviation b; b with probability a, else 0 (bernoulli).
 */
export type DrawKernel = (n: number, out: number, low: number, high: number, key0: number, key1: number, a: number, b: number) => void

/** Sizes of a 2-d pooling or window job; padding is added on both sides. */
export interface Window2d {
  readonly kernel: readonly [number, number]
  readonly stride: readonly [number, number]
  readonly padding: readonly [number, number]
  readonly dilation: readonly [number, number]
}

/**
 * Max pooling of `planes` contiguous [h, w] images into [oh, ow]; `indices` receives h·w positions (int32, the first of
 * equal maxima in row-major window order; the last NaN wins).
 */
export type MaxPoolKernel = (
  planes: number,
  h: number,
  w: number,
  oh: number,
  ow: number,
  window: Window2d,
  input: number,
  output: number,
  indices: number,
) => void

/**
 * Windows of images as columns of a matrix, and the transpose, which adds every element back to the pixel it came from:
 * `planes` contiguous [h, w] images and a contiguous [planes, kh, kw, rows, ow] array, which holds the windows of map rows
 * first … first + rows − 1. What lies in the padding is written as zero, or not added.
 */
export type WindowKernel = (
  planes: number,
  h: number,
  w: number,
  first: number,
  rows: number,
  ow: number,
  window: Window2d,
  image: number,
  columns: number,
) => void

/**
 * Weights [m, k] as panels, for `multiplyTaps`: the first `tall` panels have `height` rows, the others one less. A panel has, for
 * each of the k taps, where the tap's first pixel lies (an int32 of `bTable`: bytes from the first pixel of all) and the weights of
 * its rows, which are found at `a` + row·aRow + what `aTable` says. Unless it is 0, `bias` [m] is written to `biasTo`, 32 bytes a row.
 * Strides here and below are in bytes.
 */
export type PackTapsKernel = (
  m: number,
  k: number,
  a: number,
  aRow: number,
  aTable: number,
  bTable: number,
  tall: number,
  height: number,
  bias: number,
  to: number,
  biasTo: number,
) => void

/**
 * C[image, row, line, column] = Σ over taps of the row's weight · the pixel of B that lies line·bLine + column elements after the
 * tap's first one, for `rows` lines of `cols` columns. `start` is 0 or what `packTaps` wrote of the bias. Up to 32 bytes after a
 * line of B are read. `work` has TAP_TILE bytes.
 */
export type MultiplyTapsKernel = (
  images: number,
  m: number,
  k: number,
  tall: number,
  height: number,
  panels: number,
  start: number,
  b: number,
  bImage: number,
  bLine: number,
  rows: number,
  cols: number,
  c: number,
  cImage: number,
  cRow: number,
  cLine: number,
  cCol: number,
  work: number,
) => void

/** Bytes for one tile of results. */
export const TAP_TILE = 192
/** Pixels that are summed up at a time: what the rows of a tile hold of them stays in the first-level cache. */
export const TAP_PIXELS = 1024
/** Bytes of workspace of `dotTaps`: a tile, and where the steps of a sum lie. */
export const DOT_WORK: number = TAP_TILE + 3 * 8 * TAP_PIXELS

/**
 * C[m, n] += Σ over images, lines and columns of A's maps · B's pixels, those of column j of C from `table`[j] bytes on. Elements
 * of a row of C follow each other, `width` bytes each. `work` has DOT_WORK bytes.
 */
export type DotTapsKernel = (
  images: number,
  m: number,
  n: number,
  rows: number,
  cols: number,
  a: number,
  aImage: number,
  aRow: number,
  aLine: number,
  b: number,
  bImage: number,
  bLine: number,
  table: number,
  c: number,
  cRow: number,
  width: number,
  work: number,
) => void

/**
 * Softmax, or its logarithm, along the middle axis of contiguous [outer, n, inner] float arrays: `(outer, n, inner, in, out)`.
 * Input and output don't overlap, here and below.
 */
export type SoftmaxOp = 'softmax' | 'logSoftmax'
export type SoftmaxKernel = (outer: number, n: number, inner: number, input: number, output: number) => void

/** The gradient, from those of the result and the result itself: y·(g − Σ g·y), or g − eʸ·Σ g. */
export type SoftmaxBackwardKernel = (outer: number, n: number, inner: number, g: number, y: number, output: number) => void

/**
 * −w[t]·input[o, t, i] for the class numbers t = target[o, i] (int32) of a contiguous [outer, n, inner] float array. With
 * `stats` (two arrays of [outer, inner], written here: the maximum and ln Σ e^(x − maximum) along the middle axis) the input is
 * scores, and their log-softmax is meant. Targets equal to `ignore` count with weight 0. `weight` is 0 or an array of [n].
 * `each` is 0 or receives [outer, inner] losses; `result` receives their sum (or, if `mean`, that over the sum of weights) and
 * the sum of weights. Returns 0, or 1 + the place of the first target that is no class.
 */
export type CrossEntropyKernel = (
  outer: number,
  n: number,
  inner: number,
  input: number,
  stats: number,
  target: number,
  weight: number,
  ignore: number,
  each: number,
  result: number,
  mean: number,
) => number

/**
 * The gradient of the input: c·(softmax − 1ₜ), or −c·1ₜ without `stats`, where c = w[t]·g/total for the gradients g at `gStep`
 * bytes from each other (0: one for all). `total` is 0 or the address of what a mean divides by. `work` has room for [outer, inner].
 */
export type CrossEntropyBackwardKernel = (
  outer: number,
  n: number,
  inner: number,
  input: number,
  stats: number,
  target: number,
  weight: number,
  ignore: number,
  g: number,
  gStep: number,
  total: number,
  work: number,
  output: number,
) => void

/**
 * Each row of a contiguous [rows, n] float array by its mean and rstd = 1/√(variance + eps), which are written to arrays of
 * [rows]: (x − mean)·rstd·weight + bias. `weight` and `bias` are 0 or arrays of [n].
 */
export type LayerNormKernel = (
  rows: number,
  n: number,
  input: number,
  weight: number,
  bias: number,
  eps: number,
  output: number,
  mean: number,
  rstd: number,
) => void

/** The gradients of input (`dx`, or 0), weight and bias (`dw` and `db` of [n], or both 0). `work` has room for [2, n]. */
export type LayerNormBackwardKernel = (
  rows: number,
  n: number,
  g: number,
  input: number,
  mean: number,
  rstd: number,
  weight: number,
  dx: number,
  dw: number,
  db: number,
  work: number,
) => void

/**
 * Each channel of a contiguous [outer, channels, inner] float array by statistics in arrays of [channels]: mean, variance and
 * rstd are computed over the `count` = outer·inner elements and written, or, if `given`, mean and rstd are read.
 */
export type BatchNormKernel = (
  outer: number,
  channels: number,
  inner: number,
  input: number,
  output: number,
  weight: number,
  bias: number,
  mean: number,
  variance: number,
  rstd: number,
  count: number,
  eps: number,
  given: number,
) => void

/** The gradients of input, weight and bias. `share` is 1/count, or 0 where the statistics were given. */
export type BatchNormBackwardKernel = (
  outer: number,
  channels: number,
  inner: number,
  g: number,
  input: number,
  dx: number,
  weight: number,
  mean: number,
  rstd: number,
  dw: number,
  db: number,
  share: number,
) => void

/**
 * Rows of scores become weights, in place: the softmax of t = score·scale + mask. `max` and `share` (arrays of [rows]) receive
 * each row's maximum m and 1/Σ e^(t − m), or 0 and 0 for a row of −∞, whose weights are 0. Row i of the contiguous [rows, n]
 * scores sees its first min(n, first + i + 1) keys, the others get 0. `mask` is 0 or rows `maskRow` bytes apart.
 */
export type AttentionKernel = (
  rows: number,
  n: number,
  first: number,
  scores: number,
  mask: number,
  maskRow: number,
  scale: number,
  max: number,
  share: number,
) => void

/**
 * The gradients of weights w in `slopes` become those of the unscaled scores: scale·w·(slope − delta), with an array `delta` of
 * [rows]. The other operands are those of `AttentionKernel`: `scores` become weights again, or are weights if `max` is 0.
 */
export type AttentionBackwardKernel = (
  rows: number,
  n: number,
  first: number,
  scores: number,
  slopes: number,
  mask: number,
  maskRow: number,
  scale: number,
  max: number,
  share: number,
  delta: number,
) => void

/** Σ g·y of each row, `gRow` and `yRow` bytes apart: `(rows, d, g, gRow, y, yRow, out)`. */
export type AttentionDotKernel = (rows: number, d: number, g: number, gRow: number, y: number, yRow: number, out: number) => void

/**
 * The sum of a program's only output over contiguous operands, divided by `divisor`: `(n, out, in…, scalar…, divisor)`. One
 * element is written. All operands are of the type the program computes in, a float.
 */
export type FoldKernel = (n: number, ...operands: number[]) => void
/** Makes them, one for each program and set of `fixed` inputs (bits as in `Backend.flat`). */
export type Folds = (program: Program, fixed: number) => FoldKernel

/**
 * A job that not every program has: how each backend makes its kernel. An operation passes its job to `Backend.job`, so
 * that bundles hold the kernels of the operations in them and no others.
 */
export interface Job<K, D extends DType = DType> {
  readonly reference: (memory: LinearMemory, dtype: D) => K
  /** Without it, WASM programs run the reference's loop. */
  readonly wasm?: (memory: LinearMemory, dtype: D, relaxed: boolean) => K
  /** How a call of `least` multiplications or more is divided among threads: the arguments of the parts. */
  readonly divide?: (args: readonly number[], threads: number, least: number) => readonly (readonly number[])[] | undefined
}

/**
 * 'wasm': SIMD kernels, with fused multiply-add where the runtime has it (the default). 'wasm-strict': without it, so that
 * results are the same bits everywhere. 'reference': plain TypeScript, slow and obviously right. 'blas': matrix products by
 * OpenBLAS, once `useBlas` of `gradtape/blas` has loaded it.
 */
export type BackendName = 'wasm' | 'wasm-strict' | 'reference' | 'blas'

export interface Backend {
  readonly name: BackendName
  /** Bit i of `fixed` set: input i is one element, used for all. All other operands are contiguous. */
  flat(program: Program, fixed: number): FlatKernel
  /** `inner` has two bits per operand, outputs first, lowest bits first: UNIT, FIXED or ANY. */
  strided(program: Program, inner: number): StridedKernel
  /** `adjacent`: for neighbours only, all calls have inner = 1. Else none has. */
  reduce(op: ReduceOp, dtype: DType, adjacent: boolean): ReduceKernel
  scan(op: 'sum' | 'prod', dtype: DType): ScanKernel
  matmul(dtype: DType): MatmulKernel
  /** Bytes of workspace a matmul of these sizes wants. */
  matmulWork(dtype: DType, m: number, n: number, k: number): number
  index(op: IndexOp, dtype: DType): IndexKernel
  /** Absent: random.ts fills by itself. Uniform and normal for floating dtypes. */
  draw?(kind: DrawKind, dtype: DType): DrawKernel
  /** The kernel of a job, made at its first use. */
  job<K, D extends DType>(job: Job<K, D>, dtype: D): K
}
