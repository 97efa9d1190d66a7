/** Runs one recorded call on the library, in several memory layouts, and says where it differs from torch. */
import { type DType, dtypes } from '../../src/dtype.ts'
import { AutogradError } from '../../src/errors.ts'
import { type Argument, type Case, isRecorded, type Recorded, weights } from './load.ts'

/** What the checks use of a tensor. */
interface Tensor {
  readonly shape: readonly number[]
  readonly dtype: DType
  readonly requiresGrad: boolean
  readonly gradFn: { name(): string } | null
  readonly _version: number
  clone(): Tensor
  detach(): Tensor
  fill_(value: number): Tensor
  toTypedArray(): ArrayLike<number>
  requiresGrad_(): Tensor
  reshape(shape: readonly number[]): Tensor
  permute(dims: readonly number[]): Tensor
  expand(shape: readonly number[]): Tensor
  narrow(dim: number, start: number, length: number): Tensor
  select(dim: number, index: number): Tensor
}

type Callable = (...args: readonly unknown[]) => unknown

/** What the checks use of the library besides its ops. */
export interface Library {
  tensor(data: readonly (number | boolean)[], options: { dtype: DType }): Tensor
  noGrad<T>(body: () => T): T
  readonly autograd: {
    grad(
      outputs: readonly Tensor[],
      inputs: readonly Tensor[],
      options: { gradOutputs: readonly Tensor[]; createGraph?: boolean; allowUnused?: boolean },
    ): readonly (Tensor | null | undefined)[]
  }
  readonly nn?: { readonly functional?: Readonly<Record<string, unknown>> }
}

/** How an input lies in memory: as JSON has it, with permuted strides, inside a bigger tensor, or with a stride of 0. */
const layouts = ['contiguous', 'strided', 'offset', 'expanded'] as const
type LayoutName = (typeof layouts)[number]

interface Tolerance {
  readonly rtol: number
  /** Absolute, for results that cancel; multiplied by the largest finite result where `scaled`. */
  readonly atol: number
  readonly scaled: boolean
}

/** |ours − torch| ≤ atol + rtol·|torch|. One ulp is 2.2e-16 in float64, 1.2e-7 in float32. */
const tolerances: Readonly<Record<'elementwise' | 'sum' | 'derivative', Readonly<Record<'float64' | 'float32', Tolerance>>>> = {
  /** One number from few: a handful of ulp (both sides round; gelu and its kin subtract from 1). */
  elementwise: { float64: { rtol: 1e-14, atol: 1e-15, scaled: false }, float32: { rtol: 6e-7, atol: 3e-7, scaled: false } },
  /** Sums: the order of the terms is free, so the error is relative to the largest. */
  sum: { float64: { rtol: 1e-13, atol: 1e-14, scaled: true }, float32: { rtol: 1e-6, atol: 5e-7, scaled: true } },
  /** Derivatives. float32 ones are held against torch's float64 ones. */
  derivative: { float64: { rtol: 1e-12, atol: 1e-13, scaled: true }, float32: { rtol: 2e-5, atol: 4e-6, scaled: true } },
} as const satisfies Record<string, Record<'float32' | 'float64', Tolerance>>

const EXACT: Tolerance = { rtol: 0, atol: 0, scaled: false }
const ELEMENTWISE: ReadonlySet<string> = new Set(['unary', 'binary', 'ternary', 'comparison'])

/** Calls that say no to a layout, as torch does: `view` needs strides that fit the new shape; `asStrided` sees the storage. */
const refuses = (c: Case, layout: LayoutName): boolean =>
  c.op === 'asStrided' || ((c.op === 'view' || c.via?.[0] === 'view') && (layout === 'strided' || layout === 'expanded'))
/** The first argument isn't what the method is called on. */
const NO_METHOD: ReadonlySet<string> = new Set(['where', 'embedding', 'einsum', 'cat', 'stack'])

function strides(shape: readonly number[]): number[] {
  const s = new Array<number>(shape.length)
  let step = 1
  for (let d = shape.length - 1; d >= 0; d--) {
    s[d] = step
    step *= shape[d]!
  }
  return s
}

const count = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)

/** Row-major elements of `data` (of row-major `shape`) walked along other sizes and steps. */
function walk<T>(data: readonly T[], sizes: readonly number[], steps: readonly number[]): T[] {
  const own = strides(sizes)
  return Array.from({ length: count(sizes) }, (_, i) => {
    let at = 0
    for (let d = 0; d < sizes.length; d++) at += (Math.floor(i / own[d]!) % sizes[d]!) * steps[d]!
    return data[at]!
  })
}

/** The dimensions along which the numbers don't change. */
function constantDims(r: Recorded): number[] {
  const steps = strides(r.shape)
  return r.shape.flatMap((size, d) => {
    if (size < 2 || r.data.length === 0) return []
    const same = r.data.every((v, i) => Object.is(v, r.data[i - (Math.floor(i / steps[d]!) % size) * steps[d]!]))
    return same ? [d] : []
  })
}

/** Can some tensor of the case be given in this layout? */
function applies(c: Case, layout: LayoutName): boolean {
  if (layout === 'contiguous') return true
  if (c.error !== undefined || refuses(c, layout)) return false
  const has = (v: Argument): boolean =>
    Array.isArray(v) ? v.some(has) : isRecorded(v) && (layout !== 'expanded' || constantDims(v).length > 0)
  return has(c.args) || Object.values(c.opts ?? {}).some(has)
}

function build(lib: Library, r: Recorded, layout: LayoutName, dtype: DType): Tensor {
  const plain = (data: readonly (number | boolean)[], shape: readonly number[]) => lib.tensor(data, { dtype }).reshape(shape)
  const n = r.data.length
  if (layout === 'offset') {
    const pad = r.data[0] ?? 0
    return plain([pad, pad, pad, ...r.data, pad], [n + 4])
      .narrow(0, 3, n)
      .reshape(r.shape)
  }
  if (layout === 'strided' && r.shape.length < 2) {
    const twice = plain(
      r.data.flatMap((v) => [v, v]),
      [n, 2],
    ).select(1, 1)
    return r.shape.length === 0 ? twice.select(0, 0) : twice
  }
  if (layout === 'strided') {
    const order = r.shape.map((_, d) => r.shape.length - 1 - d)
    const steps = strides(r.shape)
    const sizes = order.map((d) => r.shape[d]!)
    return plain(
      walk(
        r.data,
        sizes,
        order.map((d) => steps[d]!),
      ),
      sizes,
    ).permute(order)
  }
  const constant = layout === 'expanded' ? constantDims(r) : []
  if (constant.length > 0) {
    const sizes = r.shape.map((size, d) => (constant.includes(d) ? 1 : size))
    return plain(walk(r.data, sizes, strides(r.shape)), sizes).expand(r.shape)
  }
  return plain(r.data, r.shape)
}

interface Call {
  readonly args: unknown[]
  readonly opts: Record<string, unknown> | undefined
  readonly inputs: Tensor[]
}

function prepare(lib: Library, c: Case, layout: LayoutName, single: boolean, grad = true): Call {
  const inputs: Tensor[] = []
  const make = (v: Argument): unknown => {
    if (Array.isArray(v)) return v.map(make)
    if (!isRecorded(v)) return v
    const t = build(lib, v, layout, single && v.dtype === 'float64' ? 'float32' : v.dtype)
    if (v.requiresGrad && grad) inputs.push(t.requiresGrad_())
    return t
  }
  const args = c.args.map(make)
  const opts = c.opts && Object.fromEntries(Object.entries(c.opts).map(([k, v]) => [k, make(v)]))
  return { args, opts, inputs }
}

function method(t: unknown, name: string): Callable | undefined {
  const f = (t as Record<string, unknown>)[name]
  return typeof f === 'function' ? (f as Callable).bind(t) : undefined
}

/** The op by its name, in the library or among its neural-network functions. */
export function find(lib: Library, op: string): Callable | undefined {
  const [first, second] = op.split('.') as [string, string?]
  const own = (lib as unknown as Record<string, unknown>)[first]
  const f = second === undefined ? (own ?? lib.nn?.functional?.[op]) : (own as Record<string, unknown> | undefined)?.[second]
  return typeof f === 'function' ? (f as Callable) : undefined
}

function results(c: Case, value: unknown): Tensor[] {
  if (c.kind === 'array') return [...(value as Iterable<Tensor>)]
  if (c.kind === 'named') return c.names!.map((n) => (value as Record<string, Tensor>)[n]!)
  return [value as Tensor]
}

function perform(lib: Library, c: Case, call: Call): Tensor[] {
  const trailing = call.opts === undefined ? [] : [call.opts]
  if (!c.inplace) {
    const f = find(lib, c.op)
    if (f === undefined) throw new Error('no such op')
    return results(c, f(...call.args, ...trailing))
  }
  const clone = (call.args[0] as Tensor).clone()
  const target = c.via === undefined ? clone : method(clone, c.via[0])?.(...c.via.slice(1))
  const rest = [...call.args.slice(1), ...trailing]
  const f = method(target, c.op)
  const g = find(lib, c.op)
  if (f !== undefined) f(...rest)
  else if (g !== undefined) g(target, ...rest)
  else throw new Error('no such method')
  return [clone]
}

function compareNumbers(ours: ArrayLike<number>, theirs: readonly (number | boolean)[], t: Tolerance): string | null {
  const expected = theirs.map(Number)
  const largest = t.scaled ? expected.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 1) : 1
  if (ours.length !== expected.length) return `${ours.length} elements, torch has ${expected.length}`
  for (let i = 0; i < expected.length; i++) {
    const e = expected[i]!
    const o = Number(ours[i])
    if (o === e || (Number.isNaN(o) && Number.isNaN(e))) continue
    if (Math.abs(o - e) <= t.atol * largest + t.rtol * Math.abs(e) && Number.isFinite(e)) continue
    return `element ${i} is ${o}, torch has ${e} (ours [${Array.from(ours).slice(0, 8).join(', ')}], torch [${expected.slice(0, 8).join(', ')}])`
  }
  return null
}

function tolerance(kind: keyof typeof tolerances, dtype: DType): Tolerance {
  return dtype === 'float64' || dtype === 'float32' ? tolerances[kind][dtype] : EXACT
}

function compare(what: string, ours: Tensor | null | undefined, theirs: Recorded | null, t: (dtype: DType) => Tolerance): string[] {
  if (theirs === null || ours === null || ours === undefined) {
    return theirs === null && !ours ? [] : [`${what}: ${ours ? 'a tensor' : 'none'}, torch has ${theirs ? 'a tensor' : 'none'}`]
  }
  const bad: string[] = []
  if (ours.shape.join() !== theirs.shape.join()) bad.push(`${what}: shape [${ours.shape}], torch has [${theirs.shape}]`)
  if (ours.dtype !== theirs.dtype) bad.push(`${what}: ${ours.dtype}, torch has ${theirs.dtype}`)
  if (bad.length > 0) return bad
  const numbers = compareNumbers(ours.detach().toTypedArray(), theirs.data, t(theirs.dtype))
  return numbers === null ? [] : [`${what}: ${numbers}`]
}

/** No gradient and a gradient of zeros are the same fact at second order. A float32 one is held as float32 ones are. */
function compareSecond(what: string, ours: Tensor | null | undefined, theirs: readonly number[] | null): string[] {
  const t = tolerance('derivative', ours?.dtype ?? 'float64')
  const have = ours ? Array.from(ours.detach().toTypedArray()) : null
  const numbers = compareNumbers(have ?? (theirs ?? []).map(() => 0), theirs ?? (have ?? []).map(() => 0), t)
  return numbers === null ? [] : [`${what}: ${numbers}`]
}

const constantTensor = (lib: Library, seed: number, like: Tensor): Tensor =>
  lib.tensor(weights(count(like.shape), seed), { dtype: like.dtype }).reshape(like.shape)

function checkGradients(lib: Library, c: Case, outs: readonly Tensor[], inputs: readonly Tensor[]): string[] {
  if (c.grads === undefined) return []
  const live = outs.flatMap((o, j) => (o.requiresGrad ? [{ o, j }] : []))
  if (live.length === 0) return ['no result requires grad']
  const ws = live.map(({ o, j }) => constantTensor(lib, j, o).requiresGrad_())
  const first = lib.autograd.grad(
    live.map(({ o }) => o),
    inputs,
    { gradOutputs: ws, createGraph: true, allowUnused: true },
  )
  const bad = c.grads.flatMap((g, k) => compare(`gradient ${k}`, first[k], g, (d) => tolerance('derivative', d)))
  if (c.grads2 === undefined || bad.length > 0) return bad
  const again = first.flatMap((g, k) => (g?.requiresGrad ? [{ g, k }] : []))
  const wanted = [...c.grads2, ...(c.gradsW ?? [])]
  if (again.length === 0) return wanted.every((g) => g === null) ? [] : ['the gradients do not require grad']
  const vs = again.map(({ g, k }) => constantTensor(lib, 100 + k, g))
  const all = [...inputs, ...ws]
  const second = lib.autograd.grad(
    again.map(({ g }) => g),
    all,
    { gradOutputs: vs, allowUnused: true },
  )
  const name = (k: number) => (k < inputs.length ? `second gradient ${k}` : `gradient of the gradients for w ${k - inputs.length}`)
  return wanted.flatMap((g, k) => compareSecond(name(k), second[k], g))
}

function checkView(lib: Library, call: Call, out: Tensor, kind: true | 'elements'): string[] {
  const before = out._version
  lib.noGrad(() => (call.args[0] as Tensor).fill_(0))
  const shared = kind === true ? out._version === before + 1 : Array.from(out.toTypedArray()).every((v) => v === 0)
  return shared ? [] : ['does not share memory with its input, torch gives a view']
}

/** A call in one layout: values, types, gradients of both orders; names, views and methods in the plain layout. */
function checkLayout(lib: Library, c: Case, layout: LayoutName): string[] {
  const call = prepare(lib, c, layout, false)
  const outs = perform(lib, c, call)
  const kind = ELEMENTWISE.has(c.family) ? 'elementwise' : 'sum'
  const values = (list: readonly Tensor[], what: string): string[] =>
    list.length !== c.out!.length
      ? [`${what}: ${list.length} results, torch has ${c.out!.length}`]
      : c.out!.flatMap((r, i) => compare(list.length > 1 ? `${what} ${i}` : what, list[i], r, (d) => tolerance(kind, d)))
  const bad = values(outs, 'result')
  for (const [k, r] of Object.entries(c.after ?? {})) {
    bad.push(...compare(`${k} afterwards`, call.opts![k] as Tensor, r, (d) => tolerance('sum', d)))
  }
  if (bad.length > 0) return bad
  if (layout === 'contiguous') {
    const node = outs.find((o) => o.requiresGrad)?.gradFn?.name() ?? null
    if (node !== (c.node ?? null)) bad.push(`node ${node}, torch has ${c.node}`)
    if (c.version !== undefined && outs[0]!._version !== c.version) bad.push(`version ${outs[0]!._version}, torch has ${c.version}`)
  }
  bad.push(...checkGradients(lib, c, outs, call.inputs))
  if (layout !== 'contiguous' || c.inplace) return bad
  const again = prepare(lib, c, layout, false, false)
  const own = isRecorded(c.args[0]) && !NO_METHOD.has(c.op) ? method(again.args[0], c.op) : undefined
  if (own !== undefined) {
    bad.push(...values(results(c, own(...again.args.slice(1), ...(again.opts === undefined ? [] : [again.opts]))), 'method'))
  }
  if (c.view !== undefined) bad.push(...checkView(lib, call, outs[0]!, c.view))
  return bad
}

/** The same call in float32: torch's float32 numbers, and gradients near its float64 ones. */
function checkSingle(lib: Library, c: Case): string[] {
  if (c.float32 === undefined) return []
  const call = prepare(lib, c, 'contiguous', true)
  const outs = perform(lib, c, call)
  const t = tolerances[ELEMENTWISE.has(c.family) ? 'elementwise' : 'sum'].float32
  const bad = c.float32.flatMap((data, i) =>
    data === null ? [] : compare('float32 result', outs[i], { shape: c.out![i]!.shape, dtype: 'float32', data }, () => t),
  )
  // Special values leave float32's range earlier, and no tag says where.
  if (bad.length > 0 || c.grads === undefined || c.tag !== undefined) return bad
  const live = outs.flatMap((o, j) => (o.requiresGrad ? [{ o, j }] : []))
  const gradOutputs = live.map(({ o, j }) => constantTensor(lib, j, o))
  const grads = lib.autograd.grad(
    live.map(({ o }) => o),
    call.inputs,
    { gradOutputs, allowUnused: true },
  )
  return c.grads.flatMap((g, k) =>
    compare(`float32 gradient ${k}`, grads[k], g && { ...g, dtype: 'float32' }, () => tolerances.derivative.float32),
  )
}

/** An error where torch raises: of our classes, with a message. */
function checkError(lib: Library, c: Case): string[] {
  let value: unknown
  try {
    value = perform(lib, c, prepare(lib, c, 'contiguous', false))
  } catch (e) {
    if (e instanceof AutogradError) return []
    return [`threw ${e instanceof Error ? `${e.name}: ${e.message}` : String(e)}, torch raises ${c.error!.type}: ${c.error!.message}`]
  }
  return [`gave [${(value as Tensor[]).map((t) => t.shape?.join())}], torch raises ${c.error!.type}: ${c.error!.message}`]
}

/** Where the library differs from torch on this call: nothing, or one line for each difference. */
export function check(lib: Library, c: Case): string[] {
  const attempt = (where: string, f: () => string[]): string[] => {
    try {
      return f().map((line) => `${where}: ${line}`)
    } catch (e) {
      return [`${where}: threw ${e instanceof Error ? `${e.name}: ${e.message}` : String(e)}`]
    }
  }
  if (c.error !== undefined) return attempt('error', () => checkError(lib, c))
  return [
    ...layouts.filter((l) => applies(c, l)).flatMap((l) => attempt(l, () => checkLayout(lib, c, l))),
    ...attempt('float32', () => checkSingle(lib, c)),
  ]
}

/** The message our call ends with, for a look at both side by side. */
export function messageOf(lib: Library, c: Case): string {
  try {
    perform(lib, c, prepare(lib, c, 'contiguous', false))
  } catch (e) {
    return e instanceof Error ? e.message : String(e)
  }
  return ''
}

/** The operand that a name in the table of result types stands for: `int32[]`, `int32`, `1.5`, `true`. */
export function operand(lib: Library, kind: string): unknown {
  if (kind === 'true') return true
  const dtype = kind.replace('[]', '')
  if (!Object.hasOwn(dtypes, dtype)) return Number(kind)
  const one = lib.tensor([dtype === 'bool' ? true : 1], { dtype: dtype as DType })
  return kind.endsWith('[]') ? one : one.reshape([])
}
