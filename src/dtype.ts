/** Element types, their facts, and torch's rules for the type of a result. */
import { DTypeError } from './errors.ts'
import { describe } from './options.ts'

/** An element type; the constants of the same names are exported too (`float64 === 'float64'`). */
export type DType = 'float32' | 'float64' | 'int32' | 'uint8' | 'bool'

/** 32-bit IEEE floating point, the default. */
export const float32 = 'float32'
/** 64-bit IEEE floating point. */
export const float64 = 'float64'
/** 32-bit signed integer; indices are of this type. */
export const int32 = 'int32'
/** 8-bit unsigned integer. */
export const uint8 = 'uint8'
/** True or false, one byte. */
export const bool = 'bool'

/** Typed arrays whose elements are the elements of some dtype. */
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array

/** Promotion looks at the category first: a float beats any integer, an integer beats bool. */
type Category = 0 | 1 | 2

export interface DTypeInfo {
  readonly name: DType
  /** A small integer, for tables. */
  readonly code: number
  readonly bytes: 1 | 4 | 8
  readonly category: Category
  /** Can tensors of this type require gradients? */
  readonly floating: boolean
  /** torch's name of the type in its error texts. */
  readonly torchType: string
}

const info = (name: DType, code: number, bytes: 1 | 4 | 8, category: Category, torchType: string): DTypeInfo => ({
  name,
  code,
  bytes,
  category,
  floating: category === 2,
  torchType,
})

/** The facts of each dtype. Order of codes is order of promotion within a category. */
export const dtypes: Readonly<Record<DType, DTypeInfo>> = {
  bool: info('bool', 0, 1, 0, 'torch.BoolTensor'),
  uint8: info('uint8', 1, 1, 1, 'torch.ByteTensor'),
  int32: info('int32', 2, 4, 1, 'torch.IntTensor'),
  float32: info('float32', 3, 4, 2, 'torch.FloatTensor'),
  float64: info('float64', 4, 8, 2, 'torch.DoubleTensor'),
}

/** dtype facts by code. */
export const byCode: readonly DTypeInfo[] = [dtypes.bool, dtypes.uint8, dtypes.int32, dtypes.float32, dtypes.float64]

let defaultFloat: DTypeInfo = dtypes.float32

/**
 * The dtype that JS numbers become when nothing else says so.
 * @example
 * getDefaultDtype() // float32
 */
export function getDefaultDtype(): DType {
  return defaultFloat.name
}

/**
 * Makes `dtype` (float32 or float64) the type that JS numbers become.
 * @example
 * setDefaultDtype('float64')
 * tensor(1).dtype // float64
 * setDefaultDtype('float32')
 */
export function setDefaultDtype(dtype: DType): void {
  const d = dtypeInfo(dtype)
  if (!d.floating) throw new DTypeError(`only floating-point types are supported as the default type, got ${dtype}`)
  defaultFloat = d
}

/** The facts of the default float type. */
export function defaultInfo(): DTypeInfo {
  return defaultFloat
}

/** The facts of `dtype`, or a DTypeError that lists what exists; `op` is who asks. */
export function dtypeInfo(dtype: DType, op?: string): DTypeInfo {
  const d = typeof dtype === 'string' && Object.hasOwn(dtypes, dtype) ? dtypes[dtype] : undefined
  if (d === undefined) {
    const who = op === undefined ? '' : `${op}: `
    throw new DTypeError(
      `${who}unknown dtype ${describe(dtype)}: expected one of ${Object.keys(dtypes).join(', ')}`,
      op === undefined ? {} : { op },
    )
  }
  return d
}

/** The category a JS operand counts as: a boolean, an integer-valued number, or any other number. */
export function scalarCategory(value: number | boolean): Category {
  return typeof value === 'boolean' ? 0 : Number.isInteger(value) ? 1 : 2
}

/** The type of a result of two types of equal standing: the higher one. */
export function promote(a: DTypeInfo, b: DTypeInfo): DTypeInfo {
  return a.code >= b.code ? a : b
}

/**
 * The type of a result of two tensors. torch's rule: operands with dimensions decide within a category, 0-dim
 * tensors count only if their category is higher.
 * @see https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
 */
export function promoteTensors(a: DTypeInfo, aDims: number, b: DTypeInfo, bDims: number): DTypeInfo {
  if (a === b) return a
  if (aDims > 0 === bDims > 0) return promote(a, b)
  const [strong, weak] = aDims > 0 ? [a, b] : [b, a]
  return weak.category > strong.category ? weak : strong
}

/** The type of a result of a tensor and a wrapped JS value: the tensor's, unless the value's category is higher. */
export function promoteScalar(a: DTypeInfo, value: number | boolean): DTypeInfo {
  if (a.category === 2) return a
  const category = scalarCategory(value)
  if (category <= a.category) return a
  return category === 2 ? defaultFloat : dtypes.int32
}

/** The typed array class that holds `dtype` outside. */
export function arrayType(d: DTypeInfo): typeof Float32Array | typeof Float64Array | typeof Int32Array | typeof Uint8Array {
  return d.code === 3 ? Float32Array : d.code === 4 ? Float64Array : d.code === 2 ? Int32Array : Uint8Array
}
