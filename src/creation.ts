/** Functions that make tensors from numbers. */
import { bool, type DType, type DTypeInfo, defaultInfo, dtypeInfo, dtypes } from './dtype.ts'
import { ArgumentError, DTypeError, ShapeError, show } from './errors.ts'
import { fillWith } from './execute.ts'
import { Tensor } from './fluent.ts'
import { Layout } from './layout.ts'
import { defaultGenerator, type Generator } from './random.ts'
import { checkShape, type Shape } from './shape.ts'
import { checkValue, dataView, empty as emptyCore, isTensor, type Nested, readAll, type TensorCore } from './tensor.ts'

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

function finish(t: TensorCore, options: TensorOptions | undefined, op: string): Tensor {
  if (options?.device !== undefined && options.device !== 'cpu')
    throw new ArgumentError(`${op}: unknown device '${String(options.device)}'; only 'cpu' exists`, { op })
  if (options?.requiresGrad) {
    if (!t.dt.floating)
      throw new DTypeError(`${op}: Only Tensors of floating point and complex dtype can require gradients, got ${t.dt.name}`, {
        op,
        dtypes: [t.dt.name],
      })
    ;(t as Tensor).requiresGrad_()
  }
  // Reading the class here keeps its methods in every bundle that makes a tensor.
  if (!(t instanceof Tensor)) throw new TypeError('internal: methods are not installed')
  return t as Tensor
}

function typeOf(options: TensorOptions | undefined, fallback: DTypeInfo): DTypeInfo {
  return options?.dtype === undefined ? fallback : dtypeInfo(options.dtype)
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
    const dt = typeOf(options, data.dt)
    return finish(fromValues(readAll(data), [...data.layout.shape], dt), options, 'tensor')
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
    return finish(fromValues(data, [data.length], typeOf(options, own)), options, 'tensor')
  }
  if (typeof data !== 'number' && typeof data !== 'boolean' && !Array.isArray(data)) {
    throw new ArgumentError(
      `tensor: expected a number, nested arrays, a typed array or a tensor, got ${data === null ? 'null' : typeof data}`,
      { op: 'tensor' },
    )
  }
  const shape = nestedShape(data)
  const dt = typeOf(options, typeof firstLeaf(data) === 'boolean' ? dtypes[bool] : defaultInfo())
  const flat = (Array.isArray(data) ? data.flat(shape.length - 1) : [data]) as (number | boolean)[]
  const values = flat.map((v) => checkValue(v, dt, 'tensor'))
  return finish(fromValues(values, shape, dt), options, 'tensor')
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
  const dt = typeOf(options, defaultInfo())
  const sizes = typeof shape === 'number' ? [shape] : shape
  checkSize(sizes, dt, op)
  const t = emptyCore(Layout.of([...sizes]), dt, null)
  fillWith(t, value)
  return finish(t, options, op)
}

/** Zeros. @see https://docs.pytorch.org/docs/stable/generated/torch.zeros.html */
export function zeros(shape: Shape | number, options?: TensorOptions): Tensor {
  return filled('zeros', shape, 0, options)
}

/** Ones. @see https://docs.pytorch.org/docs/stable/generated/torch.ones.html */
export function ones(shape: Shape | number, options?: TensorOptions): Tensor {
  return filled('ones', shape, 1, options)
}

/** One value everywhere. @see https://docs.pytorch.org/docs/stable/generated/torch.full.html */
export function full(shape: Shape | number, value: number | boolean, options?: TensorOptions): Tensor {
  const dt = typeOf(options, typeof value === 'boolean' ? dtypes.bool : defaultInfo())
  return filled('full', shape, checkValue(value, dt, 'full'), { ...options, dtype: dt.name })
}

/** Makes the default generator start from `seed`. @see https://docs.pytorch.org/docs/stable/generated/torch.manual_seed.html */
export { Generator, manualSeed } from './random.ts'

/** Options of random tensors. */
export interface RandomOptions extends TensorOptions {
  /** Default: the one that `manualSeed` seeds. */
  readonly generator?: Generator
}

function random(
  op: string,
  shape: Shape | number,
  options: RandomOptions | undefined,
  fill: (g: Generator, out: Float32Array | Float64Array) => void,
): Tensor {
  const dt = typeOf(options, defaultInfo())
  if (!dt.floating) throw new DTypeError(`${op}: only float32 and float64 are supported, got ${dt.name}`, { op, dtypes: [dt.name] })
  const sizes = typeof shape === 'number' ? [shape] : [...shape]
  checkSize(sizes, dt, op)
  const t = emptyCore(Layout.of(sizes), dt, null)
  const data = dataView(t)
  fill(options?.generator ?? defaultGenerator, data.subarray(0, t.layout.numel) as Float32Array)
  return finish(t, options, op)
}

/** Uniform numbers in [0, 1). @see https://docs.pytorch.org/docs/stable/generated/torch.rand.html */
export function rand(shape: Shape | number, options?: RandomOptions): Tensor {
  return random('rand', shape, options, (g, out) => g.uniform(out))
}

/** Standard normal numbers. @see https://docs.pytorch.org/docs/stable/generated/torch.randn.html */
export function randn(shape: Shape | number, options?: RandomOptions): Tensor {
  return random('randn', shape, options, (g, out) => g.normal(out))
}

/** Whole numbers in [low, high), int32 by default. @see https://docs.pytorch.org/docs/stable/generated/torch.randint.html */
export function randint(low: number, high: number, shape: Shape, options?: RandomOptions): Tensor {
  if (!Number.isInteger(low) || !Number.isInteger(high) || high <= low)
    throw new ArgumentError(`randint: expected whole numbers low < high, got [${low}, ${high})`, { op: 'randint' })
  checkSize(shape, dtypes.int32, 'randint')
  const values = new Int32Array(shape.reduce((a, b) => a * b, 1))
  ;(options?.generator ?? defaultGenerator).integers(values, low, high)
  return finish(fromValues(values, [...shape], typeOf(options, dtypes.int32)), options, 'randint')
}

/** The whole numbers below n in random order, int32. @see https://docs.pytorch.org/docs/stable/generated/torch.randperm.html */
export function randperm(n: number, options?: RandomOptions): Tensor {
  checkSize([n], dtypes.int32, 'randperm')
  return finish(
    fromValues((options?.generator ?? defaultGenerator).permutation(n), [n], typeOf(options, dtypes.int32)),
    options,
    'randperm',
  )
}

/** start, start + step, … below end; one number is the end. @see https://docs.pytorch.org/docs/stable/generated/torch.arange.html */
export function arange(start: number, end?: number, step = 1, options?: TensorOptions): Tensor {
  const [from, to] = end === undefined ? [0, start] : [start, end]
  if (!Number.isFinite(from) || !Number.isFinite(to) || !Number.isFinite(step) || step === 0)
    throw new ArgumentError(`arange: unsupported range: ${from} -> ${to} by ${step}`, { op: 'arange' })
  const n = Math.max(0, Math.ceil((to - from) / step))
  const dt = typeOf(options, [from, to, step].every(Number.isInteger) ? dtypes.int32 : defaultInfo())
  checkSize([n], dt, 'arange')
  return finish(
    fromValues(
      Array.from({ length: n }, (_, i) => from + i * step),
      [n],
      dt,
    ),
    options,
    'arange',
  )
}

/** n numbers from start to end, both included. @see https://docs.pytorch.org/docs/stable/generated/torch.linspace.html */
export function linspace(start: number, end: number, n: number, options?: TensorOptions): Tensor {
  const dt = typeOf(options, defaultInfo())
  checkSize([n], dt, 'linspace')
  const step = n > 1 ? (end - start) / (n - 1) : 0
  // From the nearer end, so that both ends are met exactly.
  return finish(
    fromValues(
      Array.from({ length: n }, (_, i) => (i < n / 2 ? start + step * i : end - step * (n - 1 - i))),
      [n],
      dt,
    ),
    options,
    'linspace',
  )
}

/** The identity matrix. @see https://docs.pytorch.org/docs/stable/generated/torch.eye.html */
export function eye(n: number, options?: TensorOptions): Tensor {
  const t = zeros([n, n], { ...(options?.dtype === undefined ? {} : { dtype: options.dtype }) })
  t.diagonal().fill_(1)
  return finish(t.detach(), options, 'eye')
}
