/** Functions that make tensors from numbers. */

import type { NdArray } from 'ndarray'
import type { DrawKind } from './backend/backend.ts'
import { bool, type DType, type DTypeInfo, defaultInfo, dtypeInfo, dtypes } from './dtype.ts'
import { ArgumentError, DTypeError, ShapeError, show, within } from './errors.ts'
import { fillWith } from './execute.ts'
import { Tensor } from './fluent.ts'
import { Layout } from './layout.ts'
import { EXTERNAL, Storage } from './memory/storage.ts'
import { draw, drawn } from './ops/drawing.ts'
import { checkKind, checkOptions, describe, type Known } from './options.ts'
import { type Generator, generatorOf } from './random.ts'
import { checkShape, type Shape } from './shape.ts'
import { checkValue, dataView, empty as emptyCore, expectTensor, isTensor, type Nested, readAll, TensorCore } from './tensor.ts'

/** Options of every function that makes a tensor. */
export interface TensorOptions {
  readonly dtype?: DType
  readonly requiresGrad?: boolean
  /** Only 'cpu' exists. */
  readonly device?: 'cpu'
}

/** The typed arrays that `tensor` understands. */
type Source =
  | Nested
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint8Array
  | Uint8ClampedArray
  | Int8Array
  | Int16Array
  | Uint16Array
  | Uint32Array
  | TensorCore

function finish(t: TensorCore, options: TensorOptions | undefined): Tensor {
  if (options?.requiresGrad) (t as Tensor).requiresGrad_()
  // Reading the class here keeps its methods in every bundle that makes a tensor.
  if (!(t instanceof Tensor)) throw new TypeError('internal: methods are not installed')
  return t as Tensor
}

const OPTIONS: Known<TensorOptions> = { dtype: 'any', requiresGrad: 'boolean', device: 'any' }

const RANDOM: Known<RandomOptions> = { dtype: 'any', requiresGrad: 'boolean', device: 'any', generator: 'any' }

/** The dtype of what `op` makes, after a look at all options. */
function typeOf(op: string, options: TensorOptions | undefined, fallback: DTypeInfo, known: Known<TensorOptions> = OPTIONS): DTypeInfo {
  if (options === undefined) return fallback
  checkOptions(op, options, known)
  if (options.device !== undefined && options.device !== 'cpu')
    throw new ArgumentError(`${op}: unknown device ${describe(options.device)}; only 'cpu' exists`, { op })
  const dt = options.dtype === undefined ? fallback : dtypeInfo(options.dtype, op)
  if (options.requiresGrad && !dt.floating)
    throw new DTypeError(`Only Tensors of floating point and complex dtype can require gradients, but ${op} makes ${dt.name}`, {
      op,
      dtypes: [dt.name],
    })
  return dt
}

/** The shape of nested arrays; refuses ragged ones. */
function nestedShape(data: Nested): number[] {
  const shape: number[] = []
  for (let level: Nested = data; Array.isArray(level); level = level[0] as Nested) {
    shape.push(level.length)
    if (level.length === 0) break
  }
  const check = (x: Nested, d: number): void => {
    if (d === shape.length) {
      if (Array.isArray(x))
        throw new ShapeError(`tensor: ragged nested arrays: expected a number at depth ${d} but found an array of ${x.length}`, {
          op: 'tensor',
        })
      return
    }
    if (!Array.isArray(x) || x.length !== shape[d]) {
      throw new ShapeError(
        `tensor: ragged nested arrays: expected sequence of length ${shape[d]} at dim ${d} (got ${Array.isArray(x) ? x.length : typeof x})`,
        { op: 'tensor' },
      )
    }
    for (const y of x as readonly Nested[]) check(y, d + 1)
  }
  check(data, 0)
  return shape
}

function firstLeaf(data: Nested): unknown {
  let x: unknown = data
  while (Array.isArray(x)) x = x[0]
  return x
}

/**
 * A tensor with these elements: a number, nested arrays, a typed array or a copy of a tensor. Numbers become the default
 * float type, booleans `bool`, unless `dtype` says otherwise; typed arrays keep their type.
 * Errors: ShapeError for ragged arrays, DTypeError for values the dtype can't hold or that aren't numbers.
 * @example
 * tensor([[1, 2], [3, 4]]).shape // [2, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.tensor.html
 */
export function tensor(data: Source, options?: TensorOptions): Tensor {
  if (isTensor(data)) {
    const dt = typeOf('tensor', options, data.dt)
    return finish(fromValues(readAll(data), [...data.layout.shape], dt), options)
  }
  if (ArrayBuffer.isView(data)) {
    const own =
      data instanceof Float64Array
        ? dtypes.float64
        : data instanceof Float32Array
          ? dtypes.float32
          : data instanceof Uint8Array || data instanceof Uint8ClampedArray
            ? dtypes.uint8
            : dtypes.int32
    return finish(fromValues(data, [data.length], typeOf('tensor', options, own)), options)
  }
  if (typeof data !== 'number' && typeof data !== 'boolean' && !Array.isArray(data)) {
    throw new ArgumentError(
      `tensor: expected a number, nested arrays, a typed array or a tensor, got ${data === null ? 'null' : typeof data}`,
      { op: 'tensor' },
    )
  }
  const shape = nestedShape(data)
  const dt = typeOf('tensor', options, typeof firstLeaf(data) === 'boolean' ? dtypes[bool] : defaultInfo())
  const flat = (Array.isArray(data) ? data.flat(shape.length - 1) : [data]) as (number | boolean)[]
  const values = flat.map((v) => checkValue(v, dt, 'tensor'))
  return finish(fromValues(values, shape, dt), options)
}

function fromValues(values: { readonly length: number; readonly [i: number]: number }, shape: Shape, dt: DTypeInfo): TensorCore {
  checkSize(shape, dt, 'tensor')
  const t = emptyCore(Layout.of(shape), dt, null)
  const view = dataView(t)
  if (ArrayBuffer.isView(values) && dt.category === 2) view.set(values as unknown as Float64Array)
  else for (let i = 0; i < values.length; i++) view[i] = checkValue(values[i]!, dt, 'tensor')
  return t
}

function checkSize(shape: Shape, dt: DTypeInfo, op: string): void {
  checkShape(shape, op)
  const bytes = shape.reduce((a, b) => a * b, 1) * dt.bytes
  if (bytes > 4 * 1024 ** 3)
    throw new ShapeError(
      `${op}: ${show(shape)} of ${dt.name} needs ${(bytes / 1024 ** 3).toFixed(1)} GiB, more than the 4 GiB that can be addressed`,
      { op, shapes: [shape] },
    )
}

function filled(op: string, shape: Shape | number, value: number, options: TensorOptions | undefined): Tensor {
  const dt = typeOf(op, options, defaultInfo())
  const t = blank(op, shape, dt)
  fillWith(t, value)
  return finish(t, options)
}

/** The sizes of a tensor, as a list or one by one, then options: `([2, 3], { dtype })` or `(2, 3, { dtype })`. */
export type Sized<O> = [shape: Shape | number, options?: O] | number[] | [...sizes: number[], options: O]

function sized<O>(args: Sized<O>): [shape: Shape, options: O | undefined] {
  const last = args.at(-1)
  const options = args.length > 1 && typeof last === 'object' ? (last as O) : undefined
  const sizes = (options === undefined ? args : args.slice(0, -1)) as unknown[]
  return [(sizes.length < 2 && typeof sizes[0] !== 'number' ? sizes[0] : sizes) as Shape, options]
}

/**
 * Zeros.
 * @example
 * zeros(2, 3).shape // [2, 3]
 * zeros([2, 3], { dtype: 'int32' }).dtype // 'int32'
 * @see https://docs.pytorch.org/docs/stable/generated/torch.zeros.html
 */
export function zeros(...args: Sized<TensorOptions>): Tensor {
  const [shape, options] = sized(args)
  return filled('zeros', shape, 0, options)
}

/**
 * Ones; sizes as for `zeros`.
 * @example
 * ones(2, 2).tolist() // [[1, 1], [1, 1]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.ones.html
 */
export function ones(...args: Sized<TensorOptions>): Tensor {
  const [shape, options] = sized(args)
  return filled('ones', shape, 1, options)
}

/**
 * One value everywhere.
 * @example
 * full([2], 3).tolist() // [3, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.full.html
 */
export function full(shape: Shape | number, value: number | boolean, options?: TensorOptions): Tensor {
  const dt = typeOf('full', options, typeof value === 'boolean' ? dtypes.bool : defaultInfo())
  return filled('full', shape, checkValue(value, dt, 'full'), { ...options, dtype: dt.name })
}

/**
 * Elements that nobody has written yet: whatever the memory held; sizes as for `zeros`.
 * @example
 * empty(2, 3).shape // [2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.empty.html
 */
export function empty(...args: Sized<TensorOptions>): Tensor {
  const [shape, options] = sized(args)
  return finish(blank('empty', shape, typeOf('empty', options, defaultInfo())), options)
}

function sizesOf(op: string, shape: Shape | number, dt: DTypeInfo): Shape {
  const sizes = typeof shape === 'number' ? [shape] : shape
  checkSize(sizes, dt, op)
  return [...sizes]
}

function blank(op: string, shape: Shape | number, dt: DTypeInfo): TensorCore {
  return emptyCore(Layout.of(sizesOf(op, shape, dt)), dt, null)
}

/** A fresh vector with the values of `at`. */
function computed(op: string, n: number, dt: DTypeInfo, options: TensorOptions | undefined, at: (i: number) => number): Tensor {
  const t = blank(op, n, dt)
  const data = dataView(t)
  const whole = dt.category !== 2
  for (let i = 0; i < n; i++) data[t.layout.offset + i] = whole ? checkValue(at(i), dt, op) : at(i)
  return finish(t, options)
}

/** Options where a number may stand, too. */
const notNumber = (x: number | TensorOptions | undefined): x is TensorOptions => typeof x !== 'number' && x !== undefined

/**
 * start, start + step, … before end; one number alone is the end. int32 when all numbers are whole, else the default float
 * type. Errors: ArgumentError when the step leads away from the end.
 * @example
 * arange(1, 6, 2).tolist() // [1, 3, 5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.arange.html
 */
export function arange(end: number, options?: TensorOptions): Tensor
export function arange(start: number, end: number, options?: TensorOptions): Tensor
export function arange(start: number, end: number, step: number, options?: TensorOptions): Tensor
export function arange(first: number, second?: number | TensorOptions, third?: number | TensorOptions, fourth?: TensorOptions): Tensor {
  const options = notNumber(second) ? second : notNumber(third) ? third : fourth
  const [start, end] = typeof second === 'number' ? [first, second] : [0, first]
  const step = typeof third === 'number' ? third : 1
  if (![start, end, step].every(Number.isFinite)) {
    throw new ArgumentError(`arange: unsupported range: ${start} -> ${end} by ${step}`, { op: 'arange' })
  }
  if (step === 0) throw new ArgumentError('arange: step must be nonzero', { op: 'arange' })
  if (end !== start && end > start !== step > 0) {
    throw new ArgumentError(`arange: upper bound and lower bound inconsistent with step sign: ${start} -> ${end} by ${step}`, {
      op: 'arange',
    })
  }
  const dt = typeOf('arange', options, [start, end, step].every(Number.isInteger) ? dtypes.int32 : defaultInfo())
  return computed('arange', Math.ceil((end - start) / step), dt, options, (i) => start + i * step)
}

/**
 * n numbers in equal steps from start to end, both included.
 * @example
 * linspace(0, 1, 5).tolist() // [0, 0.25, 0.5, 0.75, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linspace.html
 */
export function linspace(start: number, end: number, n: number, options?: TensorOptions): Tensor {
  for (const [name, v] of Object.entries({ start, end, n })) checkKind('linspace', name, v, 'number')
  const step = n > 1 ? (end - start) / (n - 1) : 0
  // From the nearer end, so that both ends are met exactly.
  return computed('linspace', n, typeOf('linspace', options, defaultInfo()), options, (i) =>
    i < n / 2 ? start + step * i : end - step * (n - 1 - i),
  )
}

/**
 * Ones on the diagonal of an n × m matrix (m = n if absent), zeros elsewhere.
 * @example
 * eye(2).tolist() // [[1, 0], [0, 1]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.eye.html
 */
export function eye(n: number, m?: number | TensorOptions, options?: TensorOptions): Tensor {
  const given = notNumber(m) ? m : options
  const columns = typeof m === 'number' ? m : n
  const t = blank('eye', [n, columns], typeOf('eye', given, defaultInfo()))
  fillWith(t, 0)
  fillWith({ storage: t.storage, dt: t.dt, layout: t.layout.diagonal(0, 0, 1) }, 1)
  return finish(t, given)
}

/** A typed array that tensors can share: its elements are the elements of a dtype. */
export type SharedArray = Float32Array | Float64Array | Int32Array | Uint8Array

/**
 * A tensor over the memory of a typed array or an `ndarray` over one: a write through either is seen in the other. The
 * dtype is the array's; nothing is copied. Operations copy such tensors into the library's own memory each time: prefer
 * `tensor(…)` unless sharing matters.
 * Errors: DTypeError for other element types, ArgumentError for negative strides.
 * @example
 * const x = fromNumpy(ones([2]).numpy())
 * x.tolist() // [1, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.from_numpy.html
 */
export function fromNumpy(array: SharedArray | NdArray<SharedArray>): Tensor {
  const data: unknown = ArrayBuffer.isView(array) ? array : (array as NdArray<SharedArray> | null)?.data
  const dt = sharedType(data)
  if (dt === undefined) {
    const what = data === null || typeof data !== 'object' ? typeof data : data.constructor.name
    throw new DTypeError(
      `fromNumpy: can't convert an array of ${what}. The only supported types are: Float32Array, Float64Array, Int32Array, Uint8Array, and ndarrays over those; tensor(…) copies others`,
      { op: 'fromNumpy' },
    )
  }
  const values = data as SharedArray
  let layout = Layout.of([values.length])
  if (!ArrayBuffer.isView(array)) {
    const { shape, stride, offset } = array
    checkShape(shape, 'fromNumpy')
    if (stride.some((s) => s < 0)) {
      throw new ArgumentError(
        'fromNumpy: At least one stride in the given numpy array is negative, and tensors with negative strides are not currently supported. Make a copy of the array first.',
        { op: 'fromNumpy' },
      )
    }
    layout = new Layout([...shape], [...stride], offset)
    if (!Number.isInteger(offset) || offset < 0 || layout.end > values.length) {
      throw new ArgumentError(
        `fromNumpy: shape ${show(shape)}, strides ${show(stride)} and offset ${offset} leave the ${values.length} elements of the array`,
        {
          op: 'fromNumpy',
        },
      )
    }
  }
  const storage = new Storage(EXTERNAL, values.byteLength, null)
  storage.external = values
  return finish(new TensorCore(storage, layout, dt), undefined)
}

function sharedType(data: unknown): DTypeInfo | undefined {
  if (data instanceof Float32Array) return dtypes.float32
  if (data instanceof Float64Array) return dtypes.float64
  if (data instanceof Int32Array) return dtypes.int32
  return data instanceof Uint8Array ? dtypes.uint8 : undefined
}

// --- random numbers -----------------------------------------------------------------------------------------------------

/** Makes the default generator start from `seed`. @see https://docs.pytorch.org/docs/stable/generated/torch.manual_seed.html */
export { defaultGenerator, Generator, manualSeed } from './random.ts'

/** Options of random tensors. */
export interface RandomOptions extends TensorOptions {
  /** Default: the one that `manualSeed` seeds. */
  readonly generator?: Generator
}

function random(
  op: string,
  shape: Shape | number,
  dt: DTypeInfo,
  options: RandomOptions | undefined,
  kind: DrawKind,
  a: number,
  b: number,
): Tensor {
  if (!dt.floating) throw new DTypeError(`${op}: only float32 and float64 are supported, got ${dt.name}`, { op, dtypes: [dt.name] })
  if (!(Number.isFinite(a) && Number.isFinite(b)))
    throw new ArgumentError(`${op}: expected finite numbers, got ${describe(a)} and ${describe(b)}`, { op })
  const generator = generatorOf(op, options?.generator)
  return finish(
    drawn(op, sizesOf(op, shape, dt), dt, (t) => draw(kind, t, generator, a, b)),
    options,
  )
}

/**
 * Uniform numbers in [0, 1); sizes as for `zeros`.
 * @example
 * rand(2, 3).shape // [2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.rand.html
 */
export function rand(...args: Sized<RandomOptions>): Tensor {
  const [shape, options] = sized(args)
  return random('rand', shape, typeOf('rand', options, defaultInfo(), RANDOM), options, 'uniform', 0, 1)
}

/**
 * Uniform numbers in [low, high).
 * @example
 * uniform(2, 3, [4]).shape // [4]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.uniform_.html
 */
export function uniform(low: number, high: number, shape: Shape | number, options?: RandomOptions): Tensor {
  return random('uniform', shape, typeOf('uniform', options, defaultInfo(), RANDOM), options, 'uniform', low, high)
}

/**
 * Standard normal numbers; sizes as for `zeros`.
 * @example
 * randn(2, 3).shape // [2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.randn.html
 */
export function randn(...args: Sized<RandomOptions>): Tensor {
  const [shape, options] = sized(args)
  return random('randn', shape, typeOf('randn', options, defaultInfo(), RANDOM), options, 'normal', 0, 1)
}

/**
 * Normal numbers with this mean and standard deviation.
 * @example
 * normal(0, 1, [2, 3]).shape // [2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.normal.html
 */
export function normal(mean: number, std: number, shape: Shape | number, options?: RandomOptions): Tensor {
  return random('normal', shape, typeOf('normal', options, defaultInfo(), RANDOM), options, 'normal', mean, std)
}

function integers(op: string, low: number, high: number, shape: Shape | number, dt: DTypeInfo, options: RandomOptions | undefined): Tensor {
  const generator = generatorOf(op, options?.generator)
  const fill = (t: TensorCore): void => {
    const { offset, numel } = t.layout
    const values = dt.category === 1 ? (dataView(t).subarray(offset, offset + numel) as Int32Array) : new Int32Array(numel)
    within(op, () => generator.integers(values, low, high))
    if (dt.category !== 1) dataView(t).set(dt.category === 0 ? values.map((v) => Number(v !== 0)) : values, offset)
  }
  return finish(drawn(op, sizesOf(op, shape, dt), dt, fill), options)
}

/**
 * Whole numbers in [low, high), or in [0, high): each as likely. int32 by default.
 * Errors: ArgumentError unless both are whole and low < high.
 * @example
 * randint(3, 4, [2]).tolist() // [3, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.randint.html
 */
export function randint(high: number, shape: Shape, options?: RandomOptions): Tensor
export function randint(low: number, high: number, shape: Shape, options?: RandomOptions): Tensor
export function randint(first: number, second: number | Shape, third?: Shape | RandomOptions, fourth?: RandomOptions): Tensor {
  const short = typeof second !== 'number'
  const options = (short ? third : fourth) as RandomOptions | undefined
  const shape = (short ? second : third) as Shape
  return integers('randint', short ? 0 : first, short ? first : second, shape, typeOf('randint', options, dtypes.int32, RANDOM), options)
}

/**
 * The whole numbers below n in random order, int32 by default.
 * @example
 * randperm(3).sum().item() // 3
 * @see https://docs.pytorch.org/docs/stable/generated/torch.randperm.html
 */
export function randperm(n: number, options?: RandomOptions): Tensor {
  const dt = typeOf('randperm', options, dtypes.int32, RANDOM)
  checkSize([n], dt, 'randperm')
  const generator = generatorOf('randperm', options?.generator)
  const fill = (t: TensorCore): void => {
    const data = dataView(t)
    for (let i = 0; i < t.layout.numel; i += n)
      data.set(
        Array.from(generator.permutation(n), (v) => checkValue(v, dt, 'randperm')),
        t.layout.offset + i,
      )
  }
  return finish(drawn('randperm', [n], dt, fill), options)
}

// --- like another tensor ------------------------------------------------------------------------------------------------

function likeShape(op: string, x: Tensor): Shape {
  expectTensor(op, x, 'argument 0')
  return x.layout.shape
}

/**
 * Unwritten elements, shaped and typed like x.
 * @example
 * emptyLike(ones([2, 3])).shape // [2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.empty_like.html
 */
export function emptyLike(x: Tensor, options?: TensorOptions): Tensor {
  return finish(blank('emptyLike', likeShape('emptyLike', x), typeOf('emptyLike', options, x.dt)), options)
}

/**
 * One value everywhere, shaped and typed like x.
 * @example
 * fullLike(zeros([2]), 3).tolist() // [3, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.full_like.html
 */
export function fullLike(x: Tensor, value: number | boolean, options?: TensorOptions): Tensor {
  const shape = likeShape('fullLike', x)
  const dt = typeOf('fullLike', options, x.dt)
  return filled('fullLike', shape, checkValue(value, dt, 'fullLike'), { ...options, dtype: dt.name })
}

/**
 * Uniform numbers in [0, 1), shaped and typed like x.
 * @example
 * randLike(zeros([2, 3])).shape // [2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.rand_like.html
 */
export function randLike(x: Tensor, options?: RandomOptions): Tensor {
  return random('randLike', likeShape('randLike', x), typeOf('randLike', options, x.dt, RANDOM), options, 'uniform', 0, 1)
}

/**
 * Standard normal numbers, shaped and typed like x.
 * @example
 * randnLike(zeros([2, 3])).shape // [2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.randn_like.html
 */
export function randnLike(x: Tensor, options?: RandomOptions): Tensor {
  return random('randnLike', likeShape('randnLike', x), typeOf('randnLike', options, x.dt, RANDOM), options, 'normal', 0, 1)
}

/**
 * Whole numbers in [low, high), shaped and typed like x.
 * @example
 * randintLike(zeros([2]), 3, 4).tolist() // [3, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.randint_like.html
 */
export function randintLike(x: Tensor, low: number, high: number, options?: RandomOptions): Tensor {
  return integers('randintLike', low, high, likeShape('randintLike', x), typeOf('randintLike', options, x.dt, RANDOM), options)
}
