/** Typed views of the linear memory by dtype, and the conversions between element types. */
import { type DType, dtypes, type TypedArray } from '../../dtype.ts'
import type { LinearMemory } from '../backend.ts'

/** The view whose elements are of this type. It lasts until the memory grows: take it inside each call. */
export function viewOf(memory: LinearMemory, dtype: DType): TypedArray {
  switch (dtype) {
    case 'float32':
      return memory.f32
    case 'float64':
      return memory.f64
    case 'int32':
      return memory.i32
    default:
      return memory.u8
  }
}

/** A view for moving elements without reading them as numbers: only their width matters. */
export function wordsOf(memory: LinearMemory, bytes: 1 | 4 | 8): Float64Array | Int32Array | Uint8Array {
  return bytes === 8 ? memory.f64 : bytes === 4 ? memory.i32 : memory.u8
}

export function bytesOf(dtype: DType): 1 | 4 | 8 {
  return dtypes[dtype].bytes
}

/** Towards zero, and into int32's range: what WebAssembly's saturating truncation does. NaN becomes 0. */
export function truncate(v: number): number {
  if (v >= 2147483647) return 2147483647
  if (v <= -2147483648) return -2147483648
  return v | 0
}
