/** Passes over rows of numbers: the loops that softmax, cross-entropy and normalization are written with. */
import type { FloatType } from '../backend.ts'
import { type Body, type Emitted, F64, type Func, I32, type Local, V128 } from './assembler.ts'
import { exp64, expFalling64 } from './double.ts'
import { exp, expFalling, log } from './math.ts'
import { HIGH_HALF, LOW_HALVES, PER_ELEMENT, PER_ROW, type Site, type Vec, VectorGraph } from './vector.ts'

/** Vectors that are computed side by side where elements lie next to each other. */
const UNROLL = 4

/** The arithmetic of one float type on vectors. */
export class Lanes {
  readonly type: 'f32x4' | 'f64x2'
  readonly g: VectorGraph
  constructor(g: VectorGraph, dtype: FloatType) {
    this.g = g
    this.type = dtype === 'float32' ? 'f32x4' : 'f64x2'
  }
  add(a: Vec, b: Vec): Vec {
    return this.g.op(this.type, 'add', a, b)
  }
  sub(a: Vec, b: Vec): Vec {
    return this.g.op(this.type, 'sub', a, b)
  }
  mul(a: Vec, b: Vec): Vec {
    return this.g.op(this.type, 'mul', a, b)
  }
  div(a: Vec, b: Vec): Vec {
    return this.g.op(this.type, 'div', a, b)
  }
  sqrt(a: Vec): Vec {
    return this.g.op(this.type, 'sqrt', a)
  }
  /** a·b + c. */
  madd(a: Vec, b: Vec, c: Vec): Vec {
    return this.g.madd(a, b, c, this.type)
  }
  equal(a: Vec, b: Vec): Vec {
    return this.g.op(this.type, 'eq', a, b)
  }
  /** a, or 0 where the mask holds. */
  without(a: Vec, mask: Vec): Vec {
    return this.g.op('v128', 'andnot', a, mask)
  }
  constant(v: number): Vec {
    return this.g.constant(this.type, v)
  }
  exp(a: Vec): Vec {
    return this.type === 'f32x4' ? exp(this.g, a) : exp64(this.g, a)
  }
  /** eᵃ for a ≤ 0. */
  expFalling(a: Vec): Vec {
    return this.type === 'f32x4' ? expFalling(this.g, a) : expFalling64(this.g, a)
  }
  log(a: Vec): Vec {
    return this.type === 'f32x4' ? log(this.g, a) : this.g.call('f64x2', 'log', a)
  }
}

/** What a function with passes is written with. */
export interface Writer {
  readonly f: Body
  readonly dtype: FloatType
  readonly relaxed: boolean
  /** Imported float64 functions. */
  readonly functions: ReadonlyMap<string, Func>
  /** Run-time scalars that expressions of this function may name. */
  readonly scalars?: readonly Local[]
  /**
   * 0: the elements of a row lie next to each other. Else this many vectors of columns go down side by side, a row's step
   * apart; with `single` it is one column, in the first lane.
   */
  readonly columns: number
  readonly single: boolean
}

export const bytesOf = (dtype: FloatType): 4 | 8 => (dtype === 'float32' ? 4 : 8)

export const bump = (f: Body, pointer: Local, by: Local | number): void => {
  f.set(pointer, f.i32.add(f.get(pointer), typeof by === 'number' ? f.i32.const(by) : f.get(by)))
}

/** Runs `body` while at least `step` of `left` are left, and takes them off. */
export const take = (f: Body, left: Local, step: number, body: () => void): void => {
  f.while(() => f.i32.ge_u(f.get(left), f.i32.const(step)), () => {
    body()
    bump(f, left, -step)
  })
}

const siteOf = ({ f, functions, scalars = [] }: Writer): Site => ({ f, scalars, functions, rest: undefined })

/** Loads vector number `at`, or one element into all lanes. */
export function load(w: Writer, pointer: Local, at: number, single: boolean): Emitted {
  const { f } = w
  f.get(pointer)
  if (!single) f.v128.load(undefined, 16 * at)
  else if (w.dtype === 'float32') f.v128.load32_splat()
  else f.v128.load64_splat()
}

/** Stores vector number `at`, or its first lane. */
export function store(w: Writer, pointer: Local, at: number, single: boolean, value: Local): void {
  const { f } = w
  f.get(pointer)
  f.get(value)
  if (!single) f.v128.store(undefined, undefined, 16 * at)
  else if (w.dtype === 'float32') f.v128.store32_lane(0, 0, 0)
  else f.v128.store64_lane(0, 0, 0)
}

/** A whole number or a float64 in all lanes. */
export function splat({ f, dtype }: Writer, value: Local): Local {
  if (value.type === F64) f.get(value)
  else f.f64.convert_i32_u(f.get(value))
  if (dtype === 'float32') f.f32x4.splat(f.f32.demote_f64())
  else f.f64x2.splat()
  return f.let(V128)
}

/** How many values a row has: one a vector of columns. */
export const copiesOf = (w: Writer): number => Math.max(w.columns, 1)

/** Computes on values of a row: `inputs[i][copy]` to `[result][copy]`, in fresh locals. */
export function onRow(w: Writer, inputs: readonly (readonly Local[])[], make: (l: Lanes, v: readonly Vec[]) => readonly Vec[]): Local[][] {
  const g = new VectorGraph(w)
  const copies = copiesOf(w)
  const loaded = inputs.map((locals) => {
    const node = g.loaded(PER_ELEMENT)
    locals.forEach((local, i) => {
      node.locals[i] = local
    })
    return node
  })
  const roots = make(new Lanes(g, w.dtype), loaded)
  g.seal(roots)
  const site = siteOf(w)
  g.hoist(site, 0)
  const values = g.compute(site, roots.map((r) => [r]), copies)
  return roots.map((_, i) => Array.from({ length: copies }, (_, copy) => values[copy]![i]![0]!))
}

/** What one pass does: from elements of `reads` arrays and `values` of the row to stores and to values that are folded. */
export interface PassRecord {
  readonly reads: number
  readonly values: number
  readonly fold?: 'sum' | 'max'
  make(l: Lanes, x: readonly Vec[], v: readonly Vec[]): { readonly stores?: readonly Vec[]; readonly folds?: readonly Vec[] }
}

/**
 * One pass. Make it at the top of the function: its constants are set there. Then `start`, `run` (once for each run of
 * adjacent elements) and `results` are written once each, in that order.
 *
 * Sums of float32 are folded in float64, four vectors at a time; so a row of any length keeps its digits.
 */
export class Pass {
  readonly #w: Writer
  readonly #g: VectorGraph
  readonly #site: Site
  readonly #fold: 'sum' | 'max' | undefined
  readonly #x: readonly Vec[]
  readonly #v: readonly Vec[]
  readonly #roots: readonly (readonly Vec[])[]
  readonly #stores: number
  /** [fold][copy][part]: sums of float32 have two parts. */
  readonly #state: Local[][][]

  constructor(w: Writer, record: PassRecord) {
    this.#w = w
    this.#g = new VectorGraph(w)
    this.#site = siteOf(w)
    this.#fold = record.fold
    this.#x = Array.from({ length: record.reads }, () => this.#g.loaded(PER_ELEMENT))
    this.#v = Array.from({ length: record.values }, () => this.#g.loaded(w.columns > 0 ? PER_ELEMENT : PER_ROW))
    const { stores = [], folds = [] } = record.make(new Lanes(this.#g, w.dtype), this.#x, this.#v)
    this.#stores = stores.length
    this.#roots = [...stores, ...folds].map((root) => [root])
    this.#g.seal([...stores, ...folds])
    this.#g.hoist(this.#site, 0)
    const parts = record.fold === 'sum' && w.dtype === 'float32' ? 2 : 1
    this.#state = folds.map(() => Array.from({ length: copiesOf(w) }, () => w.f.locals(V128, parts)))
  }

  get #lanes(): Body['f32x4'] | Body['f64x2'] {
    return this.#w.dtype === 'float32' ? this.#w.f.f32x4 : this.#w.f.f64x2
  }

  /** Sets the folds back. */
  start(): void {
    const { f } = this.#w
    for (const part of this.#state.flat(2)) f.set(part, this.#fold === 'max' ? this.#lanes.const(-Infinity) : f.f64x2.const(0))
  }

  /**
   * Over `n` elements (rows, for columns, `step` bytes apart) from the pointers on, which stay as they are.
   * `values[i][copy]` are the row's.
   */
  run(reads: readonly Local[], writes: readonly Local[], values: readonly (readonly Local[])[], n: Local, step?: Local): void {
    const w = this.#w
    const { f } = w
    const starts = [...reads, ...writes]
    const pointers = starts.map((start) => f.let(I32, f.get(start)))
    const left = f.let(I32, f.get(n))
    const buffers = reads.map(() => f.locals(V128, w.columns > 0 ? w.columns : UNROLL))
    this.#x.forEach((node, i) => {
      buffers[i]!.forEach((local, copy) => {
        node.locals[copy] = local
      })
    })
    this.#v.forEach((node, i) => {
      values[i]!.forEach((local, copy) => {
        node.locals[copy] = local
      })
    })
    this.#g.hoist(this.#site, PER_ROW)
    const from = pointers.slice(0, reads.length)
    const to = pointers.slice(reads.length)
    const body = (count: number, single: boolean): void => {
      for (let copy = 0; copy < count; copy++) {
        from.forEach((p, i) => f.set(buffers[i]![copy]!, load(w, p, copy, single)))
      }
      const results = this.#g.compute(this.#site, this.#roots, count)
      for (let copy = 0; copy < count; copy++) {
        to.forEach((p, i) => store(w, p, copy, single, results[copy]![i]![0]!))
      }
      this.#state.forEach((state, i) => {
        const found = results.map((r) => r[this.#stores + i]![0]!)
        if (w.columns > 0) found.forEach((value, copy) => this.#take(state[copy]!, () => f.get(value), false))
        else this.#take(state[0]!, () => this.#tree(found), single)
      })
    }
    if (w.columns > 0) {
      take(f, left, 1, () => {
        body(w.columns, w.single)
        for (const p of pointers) bump(f, p, step!)
      })
      return
    }
    const lanes = 16 / bytesOf(w.dtype)
    for (const count of [UNROLL, 1]) {
      take(f, left, count * lanes, () => {
        body(count, false)
        for (const p of pointers) bump(f, p, 16 * count)
      })
    }
    take(f, left, 1, () => {
      body(1, true)
      for (const p of pointers) bump(f, p, bytesOf(w.dtype))
    })
  }

  #combine(a: Emitted, b: Emitted): Emitted {
    return this.#fold === 'max' ? this.#lanes.pmax(a, b) : this.#lanes.add(a, b)
  }

  #tree(found: readonly Local[]): Emitted {
    const { f } = this.#w
    if (found.length === 1) return f.get(found[0]!)
    const half = found.length / 2
    this.#combine(this.#tree(found.slice(0, half)), this.#tree(found.slice(half)))
  }

  /** Takes a vector into the state; of `single` ones only the first lane counts. */
  #take(state: readonly Local[], value: () => Emitted, single: boolean): void {
    const { f, dtype } = this.#w
    const [low, high] = state as [Local, Local | undefined]
    if (this.#fold === 'max') {
      f.set(low, this.#lanes.pmax(f.get(low), value()))
      return
    }
    const first = (): void => {
      if (dtype === 'float32') f.v128.and(value(), f.i32x4.const(-1, 0, 0, 0))
      else f.v128.and(value(), f.i64x2.const(-1n, 0n))
    }
    if (dtype === 'float64') {
      f.set(low, f.f64x2.add(f.get(low), single ? first() : value()))
      return
    }
    const x = f.let(V128, single ? first() : value())
    f.set(low, f.f64x2.add(f.get(low), f.f64x2.promote_low_f32x4(f.get(x))))
    if (!single) f.set(high!, f.f64x2.add(f.get(high!), f.f64x2.promote_low_f32x4(f.i8x16.shuffle(f.get(x), f.get(x), ...HIGH_HALF))))
  }

  /** `[fold][copy]`: the folded values, a row's in all lanes. */
  results(): Local[][] {
    const { f, dtype, columns } = this.#w
    return this.#state.map((state) =>
      state.map(([low, high]) => {
        const out = f.local(V128)
        if (columns > 0) {
          if (high === undefined) f.get(low!)
          else f.i8x16.shuffle(f.f32x4.demote_f64x2_zero(f.get(low!)), f.f32x4.demote_f64x2_zero(f.get(high)), ...LOW_HALVES)
          f.set(out)
          return out
        }
        if (high !== undefined) {
          const sum = f.let(V128, f.f64x2.add(f.get(low!), f.get(high)))
          f.f32x4.splat(f.f32.demote_f64(f.f64.add(f.f64x2.extract_lane(f.get(sum), 0), f.f64x2.extract_lane(f.get(sum), 1))))
          f.set(out)
          return out
        }
        f.set(out, f.get(low!))
        for (let half = 8; half >= bytesOf(dtype); half >>= 1) {
          const turned = Array.from({ length: 16 }, (_, i) => i ^ half)
          f.set(out, this.#combine(f.get(out), f.i8x16.shuffle(f.get(out), f.get(out), ...turned)))
        }
        return out
      }),
    )
  }
}
