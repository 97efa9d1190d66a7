/** Tensors as text: torch's layout of numbers, lines and brackets, in our spelling of the suffixes. */
import { type DType, dtypeInfo, getDefaultDtype } from './dtype.ts'
import { ArgumentError } from './errors.ts'
import { numel } from './shape.ts'

/** How tensors print; the names and defaults are those of `torch.set_printoptions`. */
export interface PrintOptions {
  /** Digits after the decimal point. */
  readonly precision: number
  /** Tensors of more elements than this are summarised. */
  readonly threshold: number
  /** Elements shown at each end of a summarised dimension. */
  readonly edgeitems: number
  /** Columns before a line breaks. */
  readonly linewidth: number
  /** Scientific notation always, never, or (undefined) where the numbers ask for it. */
  readonly sciMode: boolean | undefined
}

/** What stands after the numbers. */
export interface PrintSuffix {
  readonly requiresGrad?: boolean
  /** The name of the node that made the tensor: `MulBackward0`. It takes the place of `requiresGrad=true`. */
  readonly gradFn?: string | undefined
  /** A forward-mode tangent, already as text. */
  readonly tangent?: string | undefined
  /** What stands in place of `tensor` before the bracket. */
  readonly name?: string
}

const DEFAULTS: PrintOptions = { precision: 4, threshold: 1000, edgeitems: 3, linewidth: 80, sciMode: undefined }

let options: PrintOptions = DEFAULTS

/** Changes how tensors print from now on; without arguments, back to the defaults. */
export function setPrintOptions(changes?: Partial<PrintOptions>): void {
  const next = changes === undefined ? DEFAULTS : { ...options, ...changes }
  if (!Number.isInteger(next.precision) || next.precision < 0 || next.precision > 60) {
    throw new ArgumentError(`setPrintOptions: precision must be a whole number from 0 to 60, got ${next.precision}`)
  }
  if (!Number.isInteger(next.edgeitems) || next.edgeitems < 1) {
    throw new ArgumentError(`setPrintOptions: edgeitems must be a whole number ≥ 1, got ${next.edgeitems}`)
  }
  if (!(next.linewidth >= 1) || !(next.threshold >= 0)) {
    throw new ArgumentError(`setPrintOptions: got linewidth ${next.linewidth}, threshold ${next.threshold}`)
  }
  options = next
}

/** How tensors print now. */
export function getPrintOptions(): PrintOptions {
  return options
}

/** `tensor([1., 2.], gradFn=<MulBackward0>)` for row-major `values`. */
export function formatTensor(values: ArrayLike<number>, shape: readonly number[], dtype: DType, suffix: PrintSuffix = {}): string {
  const open = `${suffix.name ?? 'tensor'}(`
  const empty = numel(shape) === 0
  const body = open + (empty ? '[]' : formatValues(values, shape, dtype, open.length))
  const notes: string[] = []
  if (empty && shape.length !== 1) notes.push(`size=(${shape.join(', ')})`)
  // Without an element to look at, only the default float goes without saying.
  const implied = dtype === getDefaultDtype() || (!empty && (dtype === 'int32' || dtype === 'bool'))
  if (!implied) notes.push(`dtype=${dtype}`)
  if (suffix.gradFn !== undefined) notes.push(`gradFn=<${suffix.gradFn}>`)
  else if (suffix.requiresGrad === true) notes.push('requiresGrad=true')
  if (suffix.tangent !== undefined) notes.push(`tangent=${suffix.tangent}`)
  return `${withNotes(body, notes, open.length)})`
}

/** The numbers alone, `[[1., 2.],\n [3., 4.]]`, with every line after the first indented by `indent` columns. */
export function formatValues(values: ArrayLike<number>, shape: readonly number[], dtype: DType, indent = 0): string {
  const count = numel(shape)
  if (count === 0) return '[]'
  const shown = shape.map((size) => positions(size, count > options.threshold))
  const strides = shape.map((_, i) => numel(shape.slice(i + 1)))
  const sample: number[] = []
  const collect = (dim: number, at: number): void => {
    if (dim === shape.length) sample.push(values[at]!)
    else for (const i of shown[dim]!) if (i !== GAP) collect(dim + 1, at + i * strides[dim]!)
  }
  collect(0, 0)
  const { width, text } = cells(sample, dtype)

  const render = (dim: number, at: number, column: number): string => {
    if (dim === shape.length) return text(values[at]!)
    const last = dim === shape.length - 1
    const items = shown[dim]!.map((i) => {
      if (i === GAP) return last ? ' ...' : '...'
      return render(dim + 1, at + i * strides[dim]!, column + 1)
    })
    const margin = ' '.repeat(column + 1)
    if (!last) return `[${items.join(`,${'\n'.repeat(shape.length - 1 - dim)}${margin}`)}]`
    const perLine = Math.max(1, Math.floor((options.linewidth - column) / (width + 2)))
    const lines: string[] = []
    for (let i = 0; i < items.length; i += perLine) lines.push(items.slice(i, i + perLine).join(', '))
    return `[${lines.join(`,\n${margin}`)}]`
  }
  return render(0, 0, indent)
}

/** Marks where elements are left out. */
const GAP = -1

/** The indices of a dimension that are shown, with one GAP where some are not. */
function positions(size: number, summarize: boolean): number[] {
  const edge = options.edgeitems
  if (!summarize || size <= 2 * edge) return Array.from({ length: size }, (_, i) => i)
  const head = Array.from({ length: edge }, (_, i) => i)
  return [...head, GAP, ...head.map((i) => size - edge + i)]
}

/** One column format for all numbers of a tensor. */
interface Cells {
  readonly width: number
  readonly text: (value: number) => string
}

function cells(sample: readonly number[], dtype: DType): Cells {
  const floating = dtypeInfo(dtype).floating
  const plain = floating ? floatStyle(sample) : dtype === 'bool' ? (x: number): string => (x === 0 ? 'false' : 'true') : String
  // torch measures the numbers only: nan, inf and zero are wider than the column if they must.
  const measured = floating ? sample.filter((x) => Number.isFinite(x) && x !== 0) : sample
  let width = 1
  for (const x of measured) width = Math.max(width, plain(x).length)
  return { width, text: (x) => plain(x).padStart(width) }
}

/** Fixed, whole or scientific notation: whichever suits the finite nonzero numbers. */
function floatStyle(sample: readonly number[]): (x: number) => string {
  let min = Number.POSITIVE_INFINITY
  let max = 0
  let whole = true
  for (const x of sample) {
    if (!Number.isFinite(x) || x === 0) continue
    min = Math.min(min, Math.abs(x))
    max = Math.max(max, Math.abs(x))
    whole = whole && Number.isInteger(x)
  }
  const { precision, sciMode } = options
  const scientific = max > 0 && (sciMode ?? (max / min > 1000 || max > 1e8 || min < 1e-4))
  return (x) => {
    if (Number.isNaN(x)) return 'nan'
    if (!Number.isFinite(x)) return x > 0 ? 'inf' : '-inf'
    const sign = x < 0 || Object.is(x, -0) ? '-' : ''
    const magnitude = Math.abs(x)
    return sign + (scientific ? exponential(magnitude, precision) : whole ? `${fixed(magnitude, 0)}.` : fixed(magnitude, precision))
  }
}

/**
 * C's `%.*f` for x ≥ 0. JS rounds a tie up where C rounds it to even. x is a tie exactly if x·2^(digits+1) is odd; its
 * decimal expansion then ends after digits + 1 places.
 */
function fixed(x: number, digits: number): string {
  if (x >= 1e21) return BigInt(x).toString() + (digits > 0 ? `.${'0'.repeat(digits)}` : '')
  if ((x * 2 ** (digits + 1)) % 2 === 1) {
    const truncated = x.toFixed(digits + 1).slice(0, digits > 0 ? -1 : -2)
    if (isEven(truncated)) return truncated
  }
  return x.toFixed(digits)
}

/** C's `%.*e` for x ≥ 0: ties to even, at least two digits of exponent. */
function exponential(x: number, digits: number): string {
  const [mantissa = '', exponent = ''] = x.toExponential(digits).split('e')
  // Forty more digits tell a tie from a number next to one.
  const [long = '', longExponent = ''] = x.toExponential(digits + 40).split('e')
  const point = digits > 0 ? digits + 2 : 1
  const rest = long.slice(point).replace('.', '')
  const tie = /^50*$/.test(rest) && isEven(long.slice(0, point))
  const power = tie ? longExponent : exponent
  return `${tie ? long.slice(0, point) : mantissa}e${power.slice(0, 1)}${power.slice(1).padStart(2, '0')}`
}

function isEven(digits: string): boolean {
  return Number(digits.slice(-1)) % 2 === 0
}

/** Appends notes, each on the same line if it ends before the last column. The 2 stands for `, ` or for `,` and `)`. */
function withNotes(body: string, notes: readonly string[], indent: number): string {
  let text = body
  let column = body.length - body.lastIndexOf('\n') + 1
  for (const note of notes) {
    if (column + note.length + 2 > options.linewidth) {
      text += `,\n${' '.repeat(indent)}${note}`
      column = indent + note.length
    } else {
      text += `, ${note}`
      column += note.length + 2
    }
  }
  return text
}
