/** Gather, scatter and whole rows by position in WebAssembly: single elements by computed addresses, rows by vectors. */
import { type DType, dtypes } from '../../dtype.ts'
import type { IndexKernel, IndexOp, LinearMemory } from '../backend.ts'
import { type Body, type Emitted, I32, instantiate, type Local, type ModuleBuilder, moduleFor } from './assembler.ts'

/** Elements that one turn of an element loop moves. */
const UNROLL = 4
/** Vectors that one turn of a row loop moves. */
const VECTORS = 4

const PARAMETERS = [I32, I32, I32, I32, I32, I32, I32] as const

/** Compiles one index job; elements that are only moved share a kernel by their width. */
export function compileIndex(memory: LinearMemory, op: IndexOp, dtype: DType): IndexKernel {
  const module = moduleFor(memory.memory)
  const element = new Element(dtype, op === 'scatterAdd' || op === 'indexAdd')
  if (op === 'gather' || op === 'scatter' || op === 'scatterAdd') eachElement(module, op, element)
  else eachRow(module, op, element)
  return instantiate(module.encode(), memory.memory)['run'] as unknown as IndexKernel
}

/** local += by */
export const bump = (f: Body, pointer: Local, by: Local | number): void => {
  f.set(pointer, f.i32.add(f.get(pointer), typeof by === 'number' ? f.i32.const(by) : f.get(by)))
}

/** How an element (and a vector of them) is copied to a place, or added to what is there. */
export class Element {
  readonly width: 1 | 4 | 8
  private readonly dtype: DType
  private readonly add: boolean

  constructor(dtype: DType, add: boolean) {
    this.width = dtypes[dtype].bytes
    this.dtype = dtype
    this.add = add
  }

  /** mem[to] = (or +=) mem[from + offset]; `to` is emitted twice where it is read too. */
  put(f: Body, to: () => Emitted, from: () => Emitted, toOffset = 0, fromOffset = 0): void {
    to()
    if (this.add) {
      this.load(f, to, toOffset)
      this.load(f, from, fromOffset)
      this.sum(f)
    } else this.load(f, from, fromOffset)
    const ops = this.scalar(f)
    if (this.width === 1) f.i32.store8(toOffset)
    else ops.store(toOffset)
  }

  /** The same for a vector of neighbours. */
  putVector(f: Body, to: Local, from: Local, offset: number): void {
    f.get(to)
    if (this.add) {
      f.v128.load(f.get(to), offset)
      f.v128.load(f.get(from), offset)
      this.sumVector(f)
    } else f.v128.load(f.get(from), offset)
    f.v128.store(offset)
  }

  private scalar(f: Body): Body['i32'] | Body['i64'] | Body['f32'] | Body['f64'] {
    if (this.add && this.dtype === 'float32') return f.f32
    if (this.add && this.dtype === 'float64') return f.f64
    return this.width === 8 ? f.i64 : f.i32
  }
  private load(f: Body, at: () => Emitted, offset: number): void {
    at()
    if (this.width === 1) f.i32.load8_u(offset)
    else this.scalar(f).load(offset)
  }
  /** A sum of bools is their disjunction. */
  private sum(f: Body): void {
    if (this.dtype === 'bool') f.i32.or()
    else this.scalar(f).add()
  }
  private sumVector(f: Body): void {
    if (this.dtype === 'bool') f.v128.or()
    else if (this.dtype === 'uint8') f.i8x16.add()
    else if (this.dtype === 'int32') f.i32x4.add()
    else if (this.dtype === 'float32') f.f32x4.add()
    else f.f64x2.add()
  }
}

/** A big and a small side: which of them is read and which written. */
type Way = 'toSmall' | 'toBig'

/**
 * `count` positions from `index` on: element mem[place + position · row], with `place` moving by `step` from one to the next, and
 * the small side's elements one after the other. `count`, `place`, `index` and `small` are used up.
 */
function moveElements(f: Body, way: Way, element: Element, count: Local, place: Local, step: Local | number, row: Local, index: Local, small: Local): void {
  const at = f.local(I32)
  const one = (u: number): void => {
    f.set(at, f.i32.add(f.get(place), f.i32.mul(f.i32.load(f.get(index), 4 * u), f.get(row))))
    const big = (): Emitted => f.get(at)
    const here = (): Emitted => f.get(small)
    if (way === 'toSmall') element.put(f, here, big, u * element.width, 0)
    else element.put(f, big, here, 0, u * element.width)
    if (step !== 0) bump(f, place, step)
  }
  for (const turn of [UNROLL, 1]) {
    f.while(() => f.i32.ge_u(f.get(count), f.i32.const(turn)), () => {
      for (let u = 0; u < turn; u++) one(u)
      bump(f, index, 4 * turn)
      bump(f, small, element.width * turn)
      bump(f, count, -turn)
    })
  }
}

/** Every element of the small side has a position of its own. */
function eachElement(module: ModuleBuilder, op: 'gather' | 'scatter' | 'scatterAdd', element: Element): void {
  module.func(PARAMETERS, [], (f, outer, n, inner, m, big, index, small) => {
    const { width } = element
    const way = op === 'gather' ? 'toSmall' : 'toBig'
    const [count, place, left] = f.locals(I32, 3) as [Local, Local, Local]
    const row = f.let(I32, f.i32.mul(f.get(inner), f.i32.const(width)))
    const slab = f.let(I32, f.i32.mul(f.get(n), f.get(row)))
    f.while(() => f.get(outer), () => {
      f.if(f.i32.eq(f.get(inner), f.i32.const(1)), () => {
        f.set(place, f.get(big))
        f.set(count, f.get(m))
        moveElements(f, way, element, count, place, 0, row, index, small)
      }, () => {
        f.set(left, f.get(m))
        f.while(() => f.get(left), () => {
          f.set(place, f.get(big))
          f.set(count, f.get(inner))
          moveElements(f, way, element, count, place, width, row, index, small)
          bump(f, left, -1)
        })
      })
      bump(f, big, slab)
      bump(f, outer, -1)
    })
  }, 'run')
}

/** A position for every row of the small side. */
function eachRow(module: ModuleBuilder, op: 'indexSelect' | 'indexCopy' | 'indexAdd', element: Element): void {
  module.func(PARAMETERS, [], (f, outer, n, inner, m, big, index, small) => {
    const { width } = element
    const way = op === 'indexSelect' ? 'toSmall' : 'toBig'
    const [count, place, left, here, there] = f.locals(I32, 5) as [Local, Local, Local, Local, Local]
    const row = f.let(I32, f.i32.mul(f.get(inner), f.i32.const(width)))
    const slab = f.let(I32, f.i32.mul(f.get(n), f.get(row)))
    f.while(() => f.get(outer), () => {
      f.set(here, f.get(index))
      f.set(left, f.get(m))
      f.if(f.i32.eq(f.get(inner), f.i32.const(1)), () => {
        f.set(place, f.get(big))
        moveElements(f, way, element, left, place, 0, row, here, small)
      }, () => {
        f.while(() => f.get(left), () => {
          f.set(there, f.i32.add(f.get(big), f.i32.mul(f.i32.load(f.get(here)), f.get(row))))
          f.set(count, f.get(row))
          const [to, from] = way === 'toSmall' ? [small, there] : [there, small]
          const turn = (bytes: number, body: () => void): void => f.while(() => f.i32.ge_u(f.get(count), f.i32.const(bytes)), () => {
            body()
            bump(f, small, bytes)
            bump(f, there, bytes)
            bump(f, count, -bytes)
          })
          for (const vectors of [VECTORS, 1]) {
            turn(16 * vectors, () => {
              for (let v = 0; v < vectors; v++) element.putVector(f, to, from, 16 * v)
            })
          }
          turn(width, () => element.put(f, () => f.get(to), () => f.get(from)))
          bump(f, here, 4)
          bump(f, left, -1)
        })
      })
      bump(f, big, slab)
      bump(f, outer, -1)
    })
  }, 'run')
}
