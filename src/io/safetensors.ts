/**
 * The safetensors file format as bytes: a length, a JSON header, the data. What torch, numpy and candle read and write.
 * @see https://huggingface.co/docs/safetensors
 */
import { type DType, dtypes } from '../dtype.ts'
import { AutogradError } from '../errors.ts'

/** Bytes that are not a safetensors file, or entries that don't make one. */
export class SafetensorsError extends AutogradError {
  override name = 'SafetensorsError'
  /** The tensor it is about, if it is about one. */
  readonly entry: string | undefined

  constructor(message: string, entry?: string, cause?: unknown) {
    super(`safetensors: ${entry === undefined ? '' : `${JSON.stringify(entry)}: `}${message}`, { op: 'safetensors', cause })
    this.entry = entry
  }
}

/** One tensor: its little-endian, row-major bytes. */
export interface SafetensorsEntry {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly data: Uint8Array
}

/** A decoded file. The `data` of the entries are views into the bytes given. */
export interface SafetensorsFile {
  readonly entries: SafetensorsEntry[]
  readonly metadata: Record<string, string>
}

/** The format's own limit on its header. */
const MAX_HEADER = 100_000_000
/** The header's key that isn't a tensor. */
const METADATA = '__metadata__'

const NAMES: Readonly<Record<DType, string>> = { bool: 'BOOL', uint8: 'U8', int32: 'I32', float32: 'F32', float64: 'F64' }
const DTYPES: ReadonlyMap<string, DType> = new Map(Object.entries(NAMES).map(([dtype, name]) => [name, dtype as DType]))

/** A file of these tensors. Entries lie widest element first, so that all are aligned to their element. */
export function encodeSafetensors(entries: readonly SafetensorsEntry[], metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  for (const { name, dtype, shape } of entries) byteSize(name, dtype, shape)
  // The reference implementation's order, so that the same tensors make the same bytes.
  const sorted = [...entries].sort(
    (a, b) => dtypes[b.dtype].code - dtypes[a.dtype].code || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  )
  const fields: [string, unknown][] = []
  if (Object.keys(metadata).length > 0) {
    for (const [key, value] of Object.entries(metadata)) {
      if (typeof value !== 'string') throw new SafetensorsError(`metadata ${JSON.stringify(key)} is not a string`)
    }
    fields.push([METADATA, metadata])
  }
  const seen = new Set<string>([METADATA])
  let size = 0
  for (const { name, dtype, shape, data } of sorted) {
    if (seen.has(name)) throw new SafetensorsError(name === METADATA ? 'a tensor may not have this name' : 'two tensors of this name', name)
    seen.add(name)
    const bytes = byteSize(name, dtype, shape)
    if (data.byteLength !== bytes)
      throw new SafetensorsError(`${dtype} of shape [${shape.join(', ')}] takes ${bytes} bytes, got ${data.byteLength}`, name)
    fields.push([name, { dtype: NAMES[dtype], shape, data_offsets: [size, size + bytes] }])
    size += bytes
  }
  // Written field by field: in an object, names such as "10" would move to the front, and "__proto__" would be lost.
  const json = `{${fields.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`
  const header = new TextEncoder().encode(json)
  // Spaces fill the header up to a multiple of 8, where the data starts.
  const length = Math.ceil(header.length / 8) * 8
  if (length > MAX_HEADER) throw new SafetensorsError(`the header takes ${length} bytes, more than the format's limit of ${MAX_HEADER}`)
  const out = new Uint8Array(8 + length + size)
  new DataView(out.buffer).setBigUint64(0, BigInt(length), true)
  out.set(header, 8)
  out.fill(0x20, 8 + header.length, 8 + length)
  let at = 8 + length
  for (const { data } of sorted) {
    out.set(data, at)
    at += data.byteLength
  }
  return out
}

/** The tensors of a file, in the order of their bytes. Whatever the format forbids is refused. */
export function decodeSafetensors(bytes: Uint8Array): SafetensorsFile {
  if (bytes.byteLength < 8) throw new SafetensorsError(`a file has at least 8 bytes, got ${bytes.byteLength}`)
  const long = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
  if (long > BigInt(MAX_HEADER))
    throw new SafetensorsError(`the header claims ${long} bytes, more than the format's limit of ${MAX_HEADER}`)
  const length = Number(long)
  if (8 + length > bytes.byteLength)
    throw new SafetensorsError(`the header claims ${length} bytes, the file ends after ${bytes.byteLength - 8}`)
  const data = bytes.subarray(8 + length)

  let metadata: Record<string, string> = {}
  const spans: (SafetensorsEntry & { readonly begin: number; readonly end: number })[] = []
  for (const [name, value] of Object.entries(parseHeader(bytes.subarray(8, 8 + length)))) {
    if (name === METADATA) metadata = readMetadata(value)
    else spans.push(readEntry(name, value, data))
  }
  // Sorted by place, the data must follow without gap or overlap; empty tensors come before what starts where they are.
  spans.sort((a, b) => a.begin - b.begin || a.end - b.end)
  let at = 0
  for (const { name, begin, end } of spans) {
    if (begin !== at)
      throw new SafetensorsError(`its data starts at ${begin}, ${begin < at ? 'inside other data' : 'after a gap'}; expected ${at}`, name)
    at = end
  }
  if (at !== data.byteLength) throw new SafetensorsError(`the header describes ${at} bytes of data, the file has ${data.byteLength}`)
  return { entries: spans.map(({ name, dtype, shape, data: own }) => ({ name, dtype, shape, data: own })), metadata }
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let header: unknown
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (cause) {
    throw new SafetensorsError('the header is not JSON', undefined, cause)
  }
  if (!isRecord(header) || bytes[0] !== 0x7b) throw new SafetensorsError('the header is not a JSON object')
  return header
}

function readMetadata(value: unknown): Record<string, string> {
  if (!isRecord(value)) throw new SafetensorsError('the metadata is not a JSON object')
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw new SafetensorsError(`metadata ${JSON.stringify(key)} is not a string`)
  }
  return value as Record<string, string>
}

function readEntry(name: string, value: unknown, data: Uint8Array): SafetensorsEntry & { readonly begin: number; readonly end: number } {
  if (!isRecord(value)) throw new SafetensorsError('its description is not a JSON object', name)
  const { dtype: format, shape, data_offsets: offsets } = value
  const dtype = DTYPES.get(format as string)
  if (dtype === undefined) {
    throw new SafetensorsError(`dtype ${JSON.stringify(format)} is not supported: expected one of ${[...DTYPES.keys()].join(', ')}`, name)
  }
  if (!isSizes(shape)) throw new SafetensorsError(`${JSON.stringify(shape)} is not a shape`, name)
  if (!isSizes(offsets) || offsets.length !== 2) throw new SafetensorsError(`${JSON.stringify(offsets)} are not data offsets`, name)
  const [begin, end] = offsets as [number, number]
  if (begin > end || end > data.byteLength) {
    throw new SafetensorsError(`its data is said to lie at ${begin} … ${end} of ${data.byteLength} bytes`, name)
  }
  const size = byteSize(name, dtype, shape)
  if (end - begin !== size)
    throw new SafetensorsError(`${format} of shape [${shape.join(', ')}] takes ${size} bytes, its offsets say ${end - begin}`, name)
  return { name, dtype, shape, data: data.subarray(begin, end), begin, end }
}

/** The bytes of a tensor, refused where they can't be counted exactly. */
function byteSize(name: string, dtype: DType, shape: readonly number[]): number {
  let size: number = Object.hasOwn(dtypes, dtype) ? dtypes[dtype].bytes : Number.NaN
  if (Number.isNaN(size)) throw new SafetensorsError(`unknown dtype ${JSON.stringify(dtype)}`, name)
  if (!isSizes(shape)) throw new SafetensorsError(`${JSON.stringify(shape)} is not a shape`, name)
  for (const n of shape) {
    // Checked at each factor, in order: a later zero does not excuse an overflow.
    size *= n
    if (!Number.isSafeInteger(size)) throw new SafetensorsError(`shape [${shape.join(', ')}] is too large`, name)
  }
  return size
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0)
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
