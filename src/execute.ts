/**
 * Runs programs and structured kernels on arrays: chooses the loop for their layouts, allocates results, brings external
 * storages in and out. The rule everywhere: allocate first, then read addresses, then call the kernel.
 */
import type { Backend, FlatKernel, ReduceOp, StridedKernel } from './backend/backend.ts'
import { ANY, FIXED, UNIT } from './backend/backend.ts'
import { computeType, input, Program, scalar } from './backend/scalar.ts'
import { type DType, type DTypeInfo, dtypes } from './dtype.ts'
import { DTypeError, ShapeError } from './errors.ts'
import { collapse, Layout } from './layout.ts'
import { linearMemory } from './memory/linear.ts'
import { EXTERNAL, type Owner } from './memory/storage.ts'
import { broadcast, broadcastDims, reducedShape, type Shape, sameShape } from './shape.ts'
import { type ArrayLike, address, empty, readAll, TensorCore, writeAll } from './tensor.ts'

let factory: (() => Backend) | null = null
let active: Backend | null = null
/** The backend in force as it was given, and what it is wrapped in. */
let chosen: Backend | null = null
let wrap: ((backend: Backend) => Backend) | null = null
/** Grows when the backend changes: compiled loops of an older epoch are stale. */
let epoch = 0

/** Names how to make the backend that is used when nobody chose one. */
export function setDefaultBackend(make: () => Backend): void {
  factory = make
}

/** Makes `backend` run everything from here on. */
export function useBackend(backend: Backend): void {
  chosen = backend
  active = wrap === null ? backend : wrap(backend)
  epoch++
}

/** Wraps the backend in force, and every one that is chosen later. */
export function decorateBackend(decorate: (backend: Backend) => Backend): void {
  wrap = decorate
  if (chosen !== null) useBackend(chosen)
}

/** The backend in force. */
export function backend(): Backend {
  if (active === null) useBackend(factory!())
  return active!
}

/** A program with its compiled loops. */
export class Kernel {
  readonly program: Program
  readonly out: DTypeInfo
  /** Whose kernel this is, for errors: null when several operations share it. */
  op: string | null | undefined = undefined
  private epoch = -1
  private flats: (FlatKernel | undefined)[] = []
  private readonly strideds = new Map<number, StridedKernel>()

  constructor(program: Program) {
    this.program = program
    this.out = dtypes[program.outTypes[0]!]
  }

  flat(fixed: number): FlatKernel {
    const hit = this.epoch === epoch ? this.flats[fixed] : undefined
    return hit ?? this.compile(fixed)
  }

  private compile(fixed: number): FlatKernel {
    const b = backend()
    this.renew()
    return (this.flats[fixed] = b.flat(this.program, fixed))
  }

  strided(inner: number): StridedKernel {
    const b = backend()
    this.renew()
    let hit = this.strideds.get(inner)
    if (hit === undefined) this.strideds.set(inner, (hit = b.strided(this.program, inner)))
    return hit
  }

  private renew(): void {
    if (this.epoch === epoch) return
    this.epoch = epoch
    this.flats = []
    this.strideds.clear()
  }
}

/** Kernels are shared by equal programs; the least recently asked for are forgotten. */
const KERNELS = 4096
const kernels = new Map<string, Kernel>()

/** The kernel of a program; equal programs get the same one. */
export function kernel(program: Program): Kernel {
  let hit = kernels.get(program.key)
  if (hit === undefined) {
    hit = new Kernel(program)
    if (kernels.size >= KERNELS) kernels.delete(kernels.keys().next().value!)
  } else kernels.delete(program.key)
  kernels.set(program.key, hit)
  return hit
}

/** How many different kernels exist now. */
export function kernelCount(): number {
  return kernels.size
}

/** Run-time scalars of a call, or null when it takes none. */
export type Scalars = readonly number[] | null

/** One operand. */
export function run1(k: Kernel, a: ArrayLike, s: Scalars, owner: Owner | null): TensorCore {
  const la = a.layout
  if (a.storage.ptr < 0 || !la.contiguous) return run(k, [a], s, owner)
  const out = empty(la.offset === 0 ? la : Layout.of(la.shape), k.out, owner)
  const fn = k.flat(0)
  if (s === null) fn(la.numel, out.storage.ptr, a.storage.ptr + la.offset * a.dt.bytes)
  else if (s.length === 1) fn(la.numel, out.storage.ptr, a.storage.ptr + la.offset * a.dt.bytes, s[0]!)
  else fn(la.numel, out.storage.ptr, a.storage.ptr + la.offset * a.dt.bytes, ...s)
  return out
}

/** Two operands, broadcast together. */
export function run2(k: Kernel, a: ArrayLike, b: ArrayLike, s: Scalars, owner: Owner | null): TensorCore {
  const la = a.layout
  const lb = b.layout
  if (a.storage.ptr < 0 || b.storage.ptr < 0 || !la.contiguous || !lb.contiguous) return run(k, [a, b], s, owner)
  let fixed = 0
  let shape = la
  if (la !== lb && !sameShape(la.shape, lb.shape)) {
    if (lb.numel === 1 && lb.rank <= la.rank) fixed = 2
    else if (la.numel === 1 && la.rank <= lb.rank) {
      fixed = 1
      shape = lb
    } else if (leads(lb.shape, la.shape)) shape = lb
    else if (!leads(la.shape, lb.shape)) return run(k, [a, b], s, owner)
  }
  const out = empty(shape.offset === 0 ? shape : Layout.of(shape.shape), k.out, owner)
  const fn = k.flat(fixed)
  if (s === null) fn(shape.numel, out.storage.ptr, a.storage.ptr + la.offset * a.dt.bytes, b.storage.ptr + lb.offset * b.dt.bytes)
  else fn(shape.numel, out.storage.ptr, a.storage.ptr + la.offset * a.dt.bytes, b.storage.ptr + lb.offset * b.dt.bytes, ...s)
  return out
}

/** Any operands, broadcast together, into a fresh result. */
export function run(k: Kernel, ins: readonly ArrayLike[], s: Scalars, owner: Owner | null): TensorCore {
  let shape = ins[0]!.layout.shape
  for (let i = 1; i < ins.length; i++) shape = broadcast(shape, ins[i]!.layout.shape, k.op ?? 'broadcast')
  const out = empty(resultLayout(ins, shape), k.out, owner)
  runInto(k, [out], ins, s)
  return out
}

/** Row-major, unless every full-sized operand is permuted the same way: then the result is too, as torch does it. */
function resultLayout(ins: readonly ArrayLike[], shape: Shape): Layout {
  let common: Layout | undefined
  for (const { layout } of ins) {
    if (!sameShape(layout.shape, shape)) continue
    if (layout.contiguous) return layout.offset === 0 ? layout : Layout.of(shape)
    if (common === undefined) common = layout
    else if (!sameShape(common.strides, layout.strides)) return Layout.of(shape)
  }
  return common?.dense ? common.at(0) : Layout.of(shape)
}

/** Runs a kernel over existing outputs (all of one shape); inputs broadcast to it. Outputs may be inputs too. */
export function runInto(k: Kernel, outs: readonly ArrayLike[], ins: readonly ArrayLike[], s: Scalars): void {
  for (const a of ins) if (a.storage.ptr === EXTERNAL) return runInto(k, outs, ins.map(resident), s)
  for (const o of outs) if (o.storage.ptr === EXTERNAL) return throughCopy(k, outs, ins, s)
  const first = outs[0]!.layout
  const n = first.numel
  if (n === 0) return
  let fixed = 0
  let flat = first.contiguous || first.dense
  for (let i = 0; flat && i < outs.length; i++) flat = sameStrides(outs[i]!.layout, first)
  for (let i = 0; flat && i < ins.length; i++) {
    const l = ins[i]!.layout
    if (n !== 1 && single(l)) fixed |= 1 << i
    else if (n !== 1)
      flat = (sameShape(l.shape, first.shape) && sameStrides(l, first)) || (first.contiguous && l.contiguous && l.numel === n)
  }
  if (flat) {
    const fn = k.flat(fixed)
    const args: number[] = []
    for (const o of outs) args.push(address(o))
    for (const a of ins) args.push(address(a))
    if (s !== null) args.push(...s)
    fn(n, ...args)
    return
  }
  strided(k, outs, ins, s)
}

/** Room for the arguments of one kernel call: the length, operands, scalars. */
const call = new Float64Array(24)

/**
 * Runs a kernel over contiguous arrays of one size (outputs, then inputs; the first scalars of `s`) without making garbage:
 * for passes over many small arrays, where the call is what costs. Returns false, and does nothing, for anything else.
 */
export function runFlat(k: Kernel, operands: readonly ArrayLike[], s: Float64Array): boolean {
  const count = operands.length
  const scalars = k.program.scalars
  if (1 + count + scalars > call.length) return false
  const n = operands[0]!.layout.numel
  call[0] = n
  for (let i = 0; i < count; i++) {
    const { layout, storage, dt } = operands[i]!
    if (!layout.contiguous || layout.numel !== n || storage.ptr < 0) return false
    call[i + 1] = storage.ptr + layout.offset * dt.bytes
  }
  for (let i = 0; i < scalars; i++) call[count + 1 + i] = s[i]!
  if (n > 0) callFlat(k.flat(0), call)
  return true
}

/** Spreading an array into a call costs five times what naming the arguments does; functions ignore those too many. */
function callFlat(fn: FlatKernel, a: Float64Array): void {
  // biome-ignore format: one row of eight is easier to count
  fn(
    a[0]!, a[1]!, a[2]!, a[3]!, a[4]!, a[5]!, a[6]!, a[7]!,
    a[8]!, a[9]!, a[10]!, a[11]!, a[12]!, a[13]!, a[14]!, a[15]!,
    a[16]!, a[17]!, a[18]!, a[19]!, a[20]!, a[21]!, a[22]!, a[23]!,
  )
}

/** Is `long` the shape `short` behind dims of size 1? */
function leads(long: Shape, short: Shape): boolean {
  const lead = long.length - short.length
  if (lead <= 0) return false
  for (let i = 0; i < long.length; i++) if (long[i] !== (i < lead ? 1 : short[i - lead])) return false
  return true
}

/** Is it one element, maybe expanded? */
function single(l: Layout): boolean {
  for (let i = l.rank - 1; i >= 0; i--) if (l.shape[i] !== 1 && l.strides[i] !== 0) return false
  return true
}

function sameStrides(a: Layout, b: Layout): boolean {
  if (a === b || (a.contiguous && b.contiguous)) return true
  for (let i = 0; i < a.rank; i++) if (a.shape[i] !== 1 && a.strides[i] !== b.strides[i]) return false
  return true
}

function strided(k: Kernel, outs: readonly ArrayLike[], ins: readonly ArrayLike[], s: Scalars): void {
  const shape = outs[0]!.layout.shape
  const arrays = [
    ...outs,
    ...ins.map((a) => (a.layout.shape === shape ? a : { storage: a.storage, dt: a.dt, layout: a.layout.expand(shape) })),
  ]
  const loop = collapse(arrays.map((a) => a.layout))
  const rank = loop.sizes.length
  if (rank > 16) throw new ShapeError(`more than 16 dimensions that can't be merged are not supported, got ${rank}`, { shapes: [shape] })
  let inner = 0
  for (let i = 0; i < arrays.length; i++) {
    const stride = loop.strides[i]![rank - 1]!
    inner |= (stride === 1 ? UNIT : stride === 0 ? FIXED : ANY) << (2 * i)
  }
  const fn = k.strided(inner)
  const memory = linearMemory()
  const words = memory.u32
  let w = memory.scratch >>> 2
  words[w++] = rank
  for (const size of loop.sizes) words[w++] = size
  for (let i = 0; i < arrays.length; i++) {
    const a = arrays[i]!
    words[w++] = address(a)
    for (let d = 0; d < rank; d++) words[w++] = loop.strides[i]![d]! * a.dt.bytes
  }
  if (s === null) fn(memory.scratch)
  else fn(memory.scratch, ...s)
}

/** A copy in the linear memory of an array whose bytes live outside; others as they are. */
export function resident(a: ArrayLike): ArrayLike {
  if (a.storage.ptr !== EXTERNAL) return a
  const copy = empty(Layout.of(a.layout.shape), a.dt, null)
  writeAll(copy, readAll(a))
  return copy
}

function throughCopy(k: Kernel, outs: readonly ArrayLike[], ins: readonly ArrayLike[], s: Scalars): void {
  const inside = outs.map(resident)
  runInto(k, inside, ins, s)
  outs.forEach((o, i) => {
    if (o !== inside[i]) writeAll(o, readAll(inside[i]!))
  })
}

const copies: (Kernel | undefined)[] = []

/** The kernel that copies (and converts) elements. */
export function copyKernel(from: DTypeInfo, to: DTypeInfo): Kernel {
  return (copies[from.code * 8 + to.code] ??= kernel(
    new Program(
      [input(0)],
      [to.name],
      [from.name],
      0,
      computeType(to.category === 2 ? to.name : from.category === 2 ? from.name : to.name),
    ),
  ))
}

/** Up to this many elements a plain loop is as fast as the call of a kernel, and nothing has to be compiled. */
const FEW = 8

/** dst = src, converted and broadcast. */
export function copyInto(dst: ArrayLike, src: ArrayLike): void {
  if (
    src.dt === dst.dt &&
    dst.layout.contiguous &&
    src.layout.contiguous &&
    dst.layout.numel === src.layout.numel &&
    dst.storage.ptr >= 0 &&
    src.storage.ptr >= 0
  ) {
    const n = dst.layout.numel
    if (n > FEW || dst.dt.bytes < 4) {
      // On shared memory the engine's copyWithin takes twice as long as this kernel.
      if (n > 0) copyKernel(src.dt, dst.dt).flat(0)(n, address(dst), address(src))
      return
    }
    const { u32 } = linearMemory()
    const to = address(dst) >>> 2
    const from = address(src) >>> 2
    for (let i = (n * dst.dt.bytes) >>> 2; i-- > 0; ) u32[to + i] = u32[from + i]!
    return
  }
  runInto(copyKernel(src.dt, dst.dt), [dst], [src], null)
}

/** A fresh row-major copy. */
export function cloneContiguous(a: ArrayLike, owner: Owner | null): TensorCore {
  const out = empty(a.layout.contiguous && a.layout.offset === 0 ? a.layout : Layout.of(a.layout.shape), a.dt, owner)
  copyInto(out, a)
  return out
}

/** The array itself if it is row-major and inside the linear memory, else a copy that is. */
export function contiguous(a: ArrayLike, owner: Owner | null): ArrayLike {
  return a.layout.contiguous && a.storage.ptr !== EXTERNAL ? a : cloneContiguous(a, owner)
}

/** A copy in another dtype. */
export function cast(a: ArrayLike, dt: DTypeInfo, owner: Owner | null): TensorCore {
  return run1(copyKernel(a.dt, dt), a, null, owner)
}

/** Sets every element of a contiguous or strided array to `value`. */
export function fillWith(a: ArrayLike, value: number): void {
  const { layout, storage, dt } = a
  if (layout.numel <= FEW && layout.contiguous && dt.floating && storage.ptr >= 0) {
    const memory = linearMemory()
    const view = dt.bytes === 4 ? memory.f32 : memory.f64
    const from = address(a) / dt.bytes
    for (let i = layout.numel; i-- > 0; ) view[from + i] = value
    return
  }
  const k = (fills[a.dt.code] ??= kernel(fillProgram(a.dt.name)))
  runInto(k, [a], [], [value])
}
const fills: (Kernel | undefined)[] = []

function fillProgram(dtype: DType): Program {
  return new Program([fillScalar], [dtype], [], 1, computeType(dtype))
}

const fillScalar = scalar(0)

/** A fresh tensor of one value. */
export function full(shape: Shape, value: number, dt: DTypeInfo, owner: Owner | null): TensorCore {
  const out = empty(Layout.of(shape), dt, owner)
  fillWith(out, value)
  return out
}

const adds: (Kernel | undefined)[] = []
const addInputs = input(0).add(input(1))

function addKernel(dt: DTypeInfo): Kernel {
  return (adds[dt.code] ??= kernel(new Program([addInputs], [dt.name], [dt.name, dt.name], 0, computeType(dt.name))))
}

/** a + b of one dtype, fresh. */
export function addArrays(a: ArrayLike, b: ArrayLike, owner: Owner | null): TensorCore {
  return run2(addKernel(a.dt), a, b, null, owner)
}

/** dst += src. */
export function addInto(dst: ArrayLike, src: ArrayLike): void {
  runInto(addKernel(dst.dt), [dst], [dst, src], null)
}

/** The type a reduction writes. */
function reducedType(op: ReduceOp, dt: DTypeInfo): DTypeInfo {
  if (op === 'any' || op === 'all') return dtypes.bool
  if (op === 'argmax' || op === 'argmin') return dtypes.int32
  return (op === 'sum' || op === 'prod') && dt.category !== 2 ? dtypes.int32 : dt
}

/** Reduces `dims` (sorted, wrapped) of an array. */
export function reduce(op: ReduceOp, a: ArrayLike, dims: readonly number[], keepdim: boolean, owner: Owner | null): TensorCore {
  const { shape } = a.layout
  const rank = shape.length
  const result = reducedType(op, a.dt)
  const outShape = reducedShape(shape, dims, keepdim)
  let source = a
  let first = dims[0] ?? 0
  let last = dims[dims.length - 1] ?? -1
  const run = last - first + 1 === dims.length
  if (!run || !a.layout.contiguous || a.storage.ptr < 0) {
    // Bring the reduced dims together at the end.
    const kept = shape.map((_, i) => i).filter((i) => !dims.includes(i))
    const order = run && a.layout.contiguous ? shape.map((_, i) => i) : [...kept, ...dims]
    source = contiguous({ storage: a.storage, dt: a.dt, layout: a.layout.permute(order) }, owner)
    if (!(run && a.layout.contiguous)) {
      first = kept.length
      last = rank - 1
    }
  }
  let outer = 1
  let n = 1
  let inner = 1
  const sizes = source.layout.shape
  for (let i = 0; i < rank; i++) {
    if (dims.length === 0) outer *= sizes[i]!
    else if (i < first) outer *= sizes[i]!
    else if (i <= last) n *= sizes[i]!
    else inner *= sizes[i]!
  }
  const out = empty(Layout.of(outShape), result, owner)
  const fn = backend().reduce(op, a.dt.name, inner === 1)
  if (outer * inner === 0) return out
  const status = fn(outer, n, inner, n === 0 ? 0 : address(source), out.storage.ptr)
  if (status !== 0) {
    throw new DTypeError(
      `${op}: the result of this ${a.dt.name} tensor does not fit int32 (there is no int64); convert it first, e.g. x.to('float64')`,
      {
        op,
        dtypes: [a.dt.name],
      },
    )
  }
  return out
}

/** A gradient of a broadcast operand, summed back to the operand's shape. */
export function sumTo(a: TensorCore, shape: Shape, owner: Owner | null): TensorCore {
  if (sameShape(a.layout.shape, shape)) return a
  if (leads(a.layout.shape, shape)) return new TensorCore(a.storage, a.layout.reshape(shape)!, a.dt)
  const dims = broadcastDims(a.layout.shape, shape)
  const summed = dims.length === 0 ? a : reduce('sum', a, dims, true, owner)
  const lead = a.layout.rank - shape.length
  if (lead === 0) return summed
  const layout = summed.layout.reshape(shape)!
  return new TensorCore(summed.storage, layout, summed.dt)
}
