/** Elementwise kernels: an expression between the loads and stores of a flat or a strided loop, one small module each. */
import { type DType, dtypes } from '../../dtype.ts'
import { ANY, FIXED, type FlatKernel, type LinearMemory, type StridedKernel, UNIT } from '../backend.ts'
import type { Program } from '../scalar.ts'
import { type Body, F64, type Func, I32, instantiate, type Local, moduleFor, V128, type ValType } from './assembler.ts'
import type { Relaxed } from './features.ts'
import { IMPORTS, LANES, type Loaded, render, usedInputs } from './render.ts'
import { PER_CALL, PER_ELEMENT, PER_ROW, type Site, type Vec, VectorGraph } from './vector.ts'

/** One array operand of a loop. */
interface Operand {
  readonly type: DType
  readonly bytes: 1 | 4 | 8
  /** UNIT, FIXED or ANY. */
  readonly walk: number
  /** Where the next element is. */
  readonly pointer: Local
  /** Byte distance of neighbours, if the walk is ANY. */
  readonly stride: Local | undefined
  /** An input's elements as they lie in memory, for each of the vectors computed side by side. */
  readonly parts: readonly (readonly Local[])[]
}

/** A program rendered for one kind of loop, ready to be written into it. */
interface Loop {
  readonly site: Site
  readonly g: VectorGraph
  readonly lanes: 2 | 4
  /** Inputs that the expression reads. */
  readonly inputs: readonly Operand[]
  readonly outputs: readonly Operand[]
  readonly results: readonly (readonly Vec[])[]
  readonly unroll: number
}

/** A loop over contiguous operands. */
export function compileFlat(memory: LinearMemory, program: Program, fixed: number, features: Relaxed): FlatKernel {
  const walks = [
    ...program.outTypes.map(() => UNIT),
    ...program.inTypes.map((_, i) => (Math.floor(fixed / 2 ** i) % 2 === 1 ? FIXED : UNIT)),
  ]
  const operands = walks.length
  const params = [I32, ...walks.map((): ValType => I32), ...new Array<ValType>(program.scalars).fill(F64)] as const
  return compile(memory, program, walks, PER_CALL, features, params, (f, locals, prepare) => {
    const n = locals[0]!
    const loop = prepare(locals.slice(1, 1 + operands), locals.slice(1 + operands))
    loadFixed(loop)
    loop.g.hoist(loop.site, PER_CALL)
    writeRow(loop, n)
    f.return()
  })
}

/** A loop over strided operands, described in memory. */
export function compileStrided(memory: LinearMemory, program: Program, inner: number, features: Relaxed): StridedKernel {
  const walks = [...program.outTypes, ...program.inTypes].map((_, i) => Math.floor(inner / 4 ** i) % 4)
  // A single result to which all elements go can only be a loop of one element.
  for (let i = 0; i < program.outTypes.length; i++) if (walks[i] === FIXED) walks[i] = ANY
  const params = [I32, ...new Array<ValType>(program.scalars).fill(F64)] as const
  return compile(memory, program, walks, PER_ROW, features, params, (f, locals, prepare) => {
    const [descriptor, ...scalars] = locals as [Local, ...Local[]]
    const walking = f.locals(I32, walks.length)
    const loop = prepare(walking, scalars)
    loop.g.hoist(loop.site, PER_CALL)
    const operands = [...loop.outputs, ...loop.inputs]
    writeRows(loop, descriptor, walking, walking.map((pointer) => operands.find((o) => o.pointer === pointer)))
  })
}

/** Makes the module: `write` gets the function's parameters and a way to make the loop once it knows its pointers. */
function compile(
  memory: LinearMemory, program: Program, walks: readonly number[], fixedLevel: number, features: Relaxed, params: readonly ValType[],
  write: (f: Body, locals: readonly Local[], prepare: (pointers: readonly Local[], scalars: readonly Local[]) => Loop) => void,
): (...args: number[]) => void {
  const module = moduleFor(memory.memory)
  const functions = new Map<string, Func>()
  const g = new VectorGraph(features)
  // Imports come before the first function, so the expression is rendered before there are locals: loaded vectors get theirs later.
  const lanes = LANES[program.compute] === 'f64x2' ? 2 : 4
  const used = usedInputs(program)
  const sources = program.inTypes.map((type, i): (Loaded & { walk: number }) | undefined => {
    if (!used.has(i)) return undefined
    const walk = walks[program.outTypes.length + i]!
    const level = walk === FIXED ? fixedLevel : PER_ELEMENT
    const parts = dtypes[type].bytes * lanes === 32 ? [g.loaded(level), g.loaded(level)] : [g.loaded(level)]
    return { type, parts, walk }
  })
  const results = render(g, program, sources)
  const inside = g.seal(results.flat())
  const streams = walks.every((walk, i) => walk !== ANY || (i >= program.outTypes.length && !used.has(i - program.outTypes.length)))
  // Two vectors of a long expression don't fit in the registers.
  const unroll = !streams ? 1 : inside <= 8 ? 4 : inside <= 64 ? 2 : 1
  for (const [name, count] of g.calls) functions.set(name, module.importFunc(name, new Array<ValType>(count).fill(F64), [F64]))
  module.func(params, [], (f, ...locals) => {
    write(f, locals, (pointers, scalars) => {
      const operand = (type: DType, i: number, parts: readonly (readonly Local[])[]): Operand => ({
        type, bytes: dtypes[type].bytes, walk: walks[i]!, pointer: pointers[i]!,
        stride: walks[i] === ANY ? f.local(I32) : undefined, parts,
      })
      const outputs = program.outTypes.map((type, i) => operand(type, i, []))
      const inputs: Operand[] = []
      sources.forEach((source, i) => {
        if (source === undefined) return
        const copies = source.walk === FIXED ? 1 : unroll
        const parts = Array.from({ length: copies }, (_, copy) => source.parts.map((part) => (part.locals[copy] = f.local(V128))))
        inputs.push(operand(source.type, outputs.length + i, parts))
      })
      return { site: { f, scalars, functions, rest: undefined }, g, lanes, inputs, outputs, results, unroll }
    })
  }, 'run')
  const imports: Record<string, (...args: number[]) => number> = {}
  for (const name of g.calls.keys()) imports[name] = IMPORTS[name]!
  return instantiate(module.encode(), memory.memory, imports)['run'] as (...args: number[]) => void
}

/** Loads the inputs of one element into all lanes. */
function loadFixed({ site: { f }, inputs, lanes }: Loop): void {
  for (const input of inputs) if (input.walk === FIXED) loadSplat(f, input, lanes)
}

/** `n` elements from the operands' pointers on; the pointers and n are used up. */
function writeRow(loop: Loop, n: Local): void {
  const { site: { f }, lanes, unroll } = loop
  const turns = (vectors: number): void => {
    const step = vectors * lanes
    f.while(() => f.i32.ge_u(f.get(n), f.i32.const(step)), () => {
      writeVectors(loop, vectors)
      for (const o of [...loop.outputs, ...loop.inputs]) if (o.walk === UNIT) advance(f, o.pointer, step * o.bytes)
      advance(f, n, -step)
    })
  }
  if (unroll > 1) turns(unroll)
  turns(1)
  f.if(f.get(n), () => writeRest({ ...loop, site: { ...loop.site, rest: n } }, n))
}

function advance(f: Body, pointer: Local, bytes: number): void {
  f.set(pointer, f.i32.add(f.get(pointer), f.i32.const(bytes)))
}

/** Several vectors side by side; the pointers of ANY operands (one vector at a time) move by themselves. */
function writeVectors({ site, g, lanes, inputs, outputs, results }: Loop, count: number): void {
  const { f } = site
  for (let v = 0; v < count; v++) {
    for (const input of inputs) {
      if (input.walk === UNIT) loadVector(f, input, lanes, input.parts[v]!, v * lanes * input.bytes)
      if (input.walk === ANY) {
        loadSplat(f, input, lanes)
        for (let lane = 1; lane < lanes; lane++) {
          step(f, input)
          loadLane(f, input, lanes, lane, 0)
        }
        step(f, input)
      }
    }
  }
  const values = g.compute(site, results, count)
  for (let v = 0; v < count; v++) {
    outputs.forEach((output, i) => {
      if (output.walk === UNIT) storeVector(f, output, lanes, values[v]![i]!, v * lanes * output.bytes)
      else {
        for (let lane = 0; lane < lanes; lane++) {
          storeLane(f, output, lanes, values[v]![i]!, lane, 0)
          step(f, output)
        }
      }
    })
  }
}

/** The last `rest` < lanes elements, through the same instructions, so that an element's result doesn't depend on where it is. */
function writeRest({ site, g, lanes, inputs, outputs, results }: Loop, rest: Local): void {
  const { f } = site
  const moving = inputs.filter((input) => input.walk !== FIXED)
  const eachLane = (one: (lane: number) => void): void => {
    const from = (lane: number): void => {
      one(lane)
      if (lane + 1 < lanes - 1) f.if(f.i32.gt_u(f.get(rest), f.i32.const(lane + 1)), () => from(lane + 1))
    }
    from(0)
  }
  eachLane((lane) => {
    for (const input of moving) {
      if (lane === 0) loadSplat(f, input, lanes)
      else {
        if (input.walk === ANY) step(f, input)
        loadLane(f, input, lanes, lane, input.walk === ANY ? 0 : lane * input.bytes)
      }
    }
  })
  const [values] = g.compute(site, results, 1)
  eachLane((lane) => {
    outputs.forEach((output, i) => {
      if (lane > 0 && output.walk === ANY) step(f, output)
      storeLane(f, output, lanes, values![i]!, lane, output.walk === ANY ? 0 : lane * output.bytes)
    })
  })
}

function step(f: Body, { pointer, stride }: Operand): void {
  f.set(pointer, f.i32.add(f.get(pointer), f.get(stride!)))
}

/** Columns that are taken together where an operand's neighbours lie far apart: as many lines as caches and page tables keep at hand. */
const BLOCK = 32

/**
 * All rows of a strided loop. The two innermost dims are a loop nest, an odometer whose counters lie behind the descriptor
 * walks the others. If an operand's elements are closer together from row to row than within one (a transposed
 * matrix), columns go in blocks, so that a line of it that was fetched for one row is still there for the next.
 */
function writeRows(loop: Loop, descriptor: Local, walking: readonly Local[], operands: readonly (Operand | undefined)[]): void {
  const { site: { f } } = loop
  const [rank, record, columns, block, n, at, height, left] = f.locals(I32, 8) as [Local, Local, Local, Local, Local, Local, Local, Local]
  const rows = f.locals(I32, walking.length)
  const steps = f.locals(I32, walking.length)
  const blocked = operands.some((operand) => operand?.walk === ANY)
  const each = (one: (o: number, operand: Operand) => void): void => operands.forEach((operand, o) => {
    if (operand !== undefined) one(o, operand)
  })
  /** `at` = the word of size[d − 1], for d in `local`. */
  const turnTo = (local: Local): void => f.set(at, f.i32.add(f.get(descriptor), f.i32.shl(f.get(local), f.i32.const(2))))
  // Word d + 1 is size[d]; stride[o][d] lies (o + 1)·(rank + 1) words after it, d's counter one word before a further operand's.
  const ofOperand = (o: number): void => f.i32.load(f.i32.add(f.get(at), f.i32.mul(f.get(record), f.i32.const(o + 1))))
  const counter = (): void => f.i32.sub(f.i32.add(f.get(at), f.i32.mul(f.get(record), f.i32.const(walking.length + 1))), f.i32.const(4))
  const add = (target: Local, _amount: void): void => {
    f.get(target)
    f.i32.add()
    f.set(target)
  }

  f.set(rank, f.i32.load(f.get(descriptor)))
  f.set(record, f.i32.shl(f.i32.add(f.get(rank), f.i32.const(1)), f.i32.const(2)))
  f.set(at, f.get(descriptor))
  each((o) => f.set(rows[o]!, ofOperand(o)))
  // Counters start at zero; an empty dim leaves nothing to do.
  f.set(n, f.get(rank))
  f.loop((again) => {
    turnTo(n)
    f.i32.store(counter(), f.i32.const(0))
    f.if(f.i32.eqz(f.i32.load(f.get(at))), () => f.return())
    f.br_if(again, f.tee(n, f.i32.sub(f.get(n), f.i32.const(1))))
  })
  turnTo(rank)
  f.set(columns, f.i32.load(f.get(at)))
  each((o, { stride }) => {
    if (stride !== undefined) f.set(stride, ofOperand(o))
  })
  f.set(height, f.i32.const(1))
  f.if(f.i32.gt_u(f.get(rank), f.i32.const(1)), () => {
    f.set(at, f.i32.sub(f.get(at), f.i32.const(4)))
    f.set(height, f.i32.load(f.get(at)))
    each((o) => f.set(steps[o]!, ofOperand(o)))
  })
  f.set(left, f.get(height))
  f.set(block, f.get(columns))
  if (blocked) {
    // Strides are compared unsigned: a backward one counts as far.
    f.i32.const(0)
    each((o, { walk, stride }) => {
      if (walk === ANY) f.i32.or(undefined, f.i32.lt_u(f.get(steps[o]!), f.get(stride!)))
    })
    f.if(f.i32.and(undefined, f.i32.gt_u(f.get(height), f.i32.const(1))), () => {
      f.if(f.i32.gt_u(f.get(columns), f.i32.const(BLOCK)), () => f.set(block, f.i32.const(BLOCK)))
    })
  }

  f.loop((nextBlock) => {
    f.loop((nextRow) => {
      each((o, { pointer }) => f.set(pointer, f.get(rows[o]!)))
      f.set(n, f.get(block))
      loadFixed(loop)
      loop.g.hoist(loop.site, PER_ROW)
      writeRow(loop, n)
      f.if(f.tee(left, f.i32.sub(f.get(left), f.i32.const(1))), () => {
        each((o) => add(rows[o]!, f.get(steps[o]!)))
        f.br(nextRow)
      })
      f.set(left, f.get(height))
      each((o) => f.set(rows[o]!, f.i32.sub(f.get(rows[o]!), f.i32.mul(f.get(steps[o]!), f.i32.sub(f.get(height), f.i32.const(1))))))
      // The innermost of the other dims that has a next index; those inside it start again.
      f.set(n, f.i32.sub(f.get(rank), f.i32.const(2)))
      f.block((done) => {
        f.loop((again) => {
          f.br_if(done, f.i32.le_s(f.get(n), f.i32.const(0)))
          turnTo(n)
          each((o) => add(rows[o]!, ofOperand(o)))
          f.i32.store(counter(), f.i32.add(f.i32.load(counter()), f.i32.const(1)))
          f.br_if(nextRow, f.i32.ne(f.i32.load(f.get(at)), f.i32.load(counter())))
          f.i32.store(counter(), f.i32.const(0))
          each((o) => f.set(rows[o]!, f.i32.sub(f.get(rows[o]!), f.i32.mul(ofOperand(o), f.i32.load(f.get(at))))))
          advance(f, n, -1)
          f.br(again)
        })
      })
    })
    if (!blocked) return
    f.if(f.tee(columns, f.i32.sub(f.get(columns), f.get(block))), () => {
      each((o, { walk, bytes, stride }) => {
        if (walk === UNIT) add(rows[o]!, f.i32.mul(f.get(block), f.i32.const(bytes)))
        if (walk === ANY) add(rows[o]!, f.i32.mul(f.get(block), f.get(stride!)))
      })
      f.if(f.i32.lt_u(f.get(columns), f.get(block)), () => f.set(block, f.get(columns)))
      f.br(nextBlock)
    })
  })
}

/** A vector's worth of neighbours, whatever their width. */
function loadVector(f: Body, { pointer, bytes }: Operand, lanes: number, parts: readonly Local[], offset: number): void {
  const load = (part: number, name: 'load' | 'load64_zero' | 'load32_zero' | 'load16_splat', at: number): void => {
    f.get(pointer)
    f.v128[name](undefined, at)
    f.set(parts[part]!)
  }
  const total = bytes * lanes
  if (total >= 16) load(0, 'load', offset)
  if (total === 32) load(1, 'load', offset + 16)
  if (total === 8) load(0, 'load64_zero', offset)
  if (total === 4) load(0, 'load32_zero', offset)
  if (total === 2) load(0, 'load16_splat', offset)
}

const SPLAT = { 1: 'load8_splat', 4: 'load32_splat', 8: 'load64_splat' } as const
const LOAD_LANE = { 1: 'load8_lane', 4: 'load32_lane', 8: 'load64_lane' } as const
const STORE_LANE = { 1: 'store8_lane', 4: 'store32_lane', 8: 'store64_lane' } as const
const STORE_LOW = { 2: 'store16_lane', 4: 'store32_lane', 8: 'store64_lane' } as const

/** The element at the pointer, in all lanes. */
function loadSplat(f: Body, { pointer, parts, bytes }: Operand, lanes: number): void {
  const [first, second] = parts[0]!
  f.get(pointer)
  f.v128[SPLAT[bytes]]()
  f.set(first!)
  if (bytes * lanes === 32) f.set(second!, f.get(first!))
}

function loadLane(f: Body, { pointer, parts, bytes }: Operand, lanes: number, lane: number, offset: number): void {
  const split = bytes * lanes === 32
  const part = parts[0]![split ? lane >> 1 : 0]!
  f.get(pointer)
  f.get(part)
  f.v128[LOAD_LANE[bytes]](offset, 0, split ? lane & 1 : lane)
  f.set(part)
}

function storeVector(f: Body, { pointer, bytes }: Operand, lanes: number, values: readonly Local[], offset: number): void {
  const total = bytes * lanes
  if (total >= 16) {
    values.forEach((value, i) => f.v128.store(f.get(pointer), f.get(value), offset + 16 * i))
  } else f.v128[STORE_LOW[total as 2 | 4 | 8]](f.get(pointer), f.get(values[0]!), offset, 0, 0)
}

function storeLane(f: Body, { pointer, bytes }: Operand, lanes: number, values: readonly Local[], lane: number, offset: number): void {
  const split = bytes * lanes === 32
  f.get(pointer)
  f.get(values[split ? lane >> 1 : 0]!)
  f.v128[STORE_LANE[bytes]](offset, 0, split ? lane & 1 : lane)
}
