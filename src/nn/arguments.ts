/** What layers refuse when they are made, and the parameters they are made with. */
import { full } from '../creation.ts'
import { type DType, dtypeInfo } from '../dtype.ts'
import { ArgumentError, DTypeError, show, within } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkSizes } from '../options.ts'
import { Parameter } from './parameter.ts'

/** Options of layers with parameters. */
export interface LayerOptions {
  /** Element type of the parameters. Default: `getDefaultDtype()`. */
  readonly dtype?: DType
}

/** Only what was given, so that absent options stay absent. */
export function typed(options: LayerOptions): LayerOptions {
  return options.dtype === undefined ? {} : { dtype: options.dtype }
}

/** One whole number for each dim, from one for all or a list of them. */
export function perDim(op: string, name: string, value: unknown, dims: number, least: number): number[] {
  const list = Array.isArray(value) ? [...value] : new Array<unknown>(dims).fill(value)
  if (list.length !== dims) throw new ArgumentError(`${op}: ${name}: expected ${dims} numbers, got ${show(list)}`, { op })
  list.forEach((n) => checkSizes(op, { [name]: n }, least))
  return list as number[]
}

/** Refuses a dtype that parameters can't have. */
export function checkDtype(op: string, dtype: DType): void {
  if (!dtypeInfo(dtype, op).floating)
    throw new DTypeError(`${op}: parameters are float32 or float64, got ${dtype}`, { op, dtypes: [dtype] })
}

/** A tensor of one value, as layers start with. */
export function filled(op: string, shape: readonly number[], { dtype }: LayerOptions, value: number): Tensor {
  if (dtype === undefined) return within(op, () => full(shape, value))
  checkDtype(op, dtype)
  return within(op, () => full(shape, value, { dtype }))
}

/** A parameter of one value, before it is drawn. */
export function parameter(op: string, shape: readonly number[], options: LayerOptions, value = 0): Parameter {
  return new Parameter(filled(op, shape, options, value))
}
