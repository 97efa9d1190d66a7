/** Vector instructions as a graph: shared values are computed once, and those that don't change within a loop before it. */
import { type Body, type Func, type Local, V128 } from './assembler.ts'
import type { Relaxed } from './features.ts'

/** How often a value changes: with the call, with each row of a strided loop, with each vector of elements. */
export const PER_CALL = 0
export const PER_ROW = 1
export const PER_ELEMENT = 2

export type LaneType = 'f32x4' | 'f64x2' | 'i32x4' | 'i64x2' | 'i16x8' | 'i8x16' | 'v128'

/** Shuffles: the even 32-bit words of two vectors, the low halves of two vectors, the high half of one. */
export const EVEN_WORDS: readonly number[] = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]
export const LOW_HALVES: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]
export const HIGH_HALF: readonly number[] = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]

/** Where code is being written: the function, its run-time scalars, the functions it may call. */
export interface Site {
  readonly f: Body
  readonly scalars: readonly Local[]
  readonly functions: ReadonlyMap<string, Func>
  /** In the last, partial vector: the local that says how many lanes are elements (at least one). */
  readonly rest: Local | undefined
}

/** Emits one instruction (or several) after its operands: they are on the stack, or in `args` if the vector is `boxed`. */
type Write = (site: Site, args: readonly Local[]) => void

/** One 128-bit value of the graph. */
export class Vec {
  readonly id: number
  readonly args: readonly Vec[]
  readonly level: number
  readonly boxed: boolean
  readonly write: Write
  /** A constant's value, so that rules for special operands can see it. */
  constant: number | undefined = undefined
  uses = 0
  /** Needed by a value that changes more often: computed before the loop, kept in a local. */
  hoisted = false
  /** Where the value is kept: one local for each of the vectors that are computed side by side. */
  readonly locals: (Local | undefined)[] = []
  /** The emission in which `locals` were set. */
  readonly epochs: number[] = []

  constructor(id: number, args: readonly Vec[], level: number, boxed: boolean, write: Write) {
    this.id = id
    this.args = args
    this.level = level
    this.boxed = boxed
    this.write = write
  }
}

const ALWAYS = Number.POSITIVE_INFINITY

export class VectorGraph {
  /** Names of the imported functions that the graph calls, with the number of their arguments. */
  readonly calls: Map<string, number> = new Map()
  /** In the order they were made, so every vector comes after its operands. */
  readonly #nodes: Vec[] = []
  readonly #known = new Map<string, Vec>()
  #epoch = 0
  #copy = 0
  #reached: Vec[] = []
  readonly #features: Relaxed

  constructor(features: Relaxed) {
    this.#features = features
  }

  /** May fused multiply-add and the other relaxed instructions be used? */
  get relaxed(): boolean {
    return this.#features.relaxed
  }

  /** An instruction of the assembler's tables that takes vectors only. */
  op<T extends LaneType>(type: T, name: keyof Body[T] & string, ...args: Vec[]): Vec {
    return this.#node(`${type}.${name}`, args, (site) => instruction(site.f, type, name))
  }

  /** A shift by a constant count. */
  shift(type: 'i32x4' | 'i64x2', name: 'shl' | 'shr_s' | 'shr_u', vector: Vec, count: number): Vec {
    return this.#node(`${type}.${name}${count}`, [vector], ({ f }) => f[type][name](undefined, f.i32.const(count)))
  }

  /** Bytes chosen from two vectors, 0–15 from the first. */
  shuffle(a: Vec, b: Vec, bytes: readonly number[]): Vec {
    return this.#node(`shuffle${bytes.join('.')}`, [a, b], ({ f }) => f.i8x16.shuffle(...bytes))
  }

  /** The same number in all lanes. */
  constant(type: 'f32x4' | 'f64x2' | 'i32x4', value: number): Vec {
    const node = this.#node(`${type} ${Object.is(value, -0) ? '-0' : value}`, [], ({ f }) => f[type].const(value))
    node.constant = value
    return node
  }
  f32(value: number): Vec {
    return this.constant('f32x4', value)
  }
  i32(value: number): Vec {
    return this.constant('i32x4', value)
  }
  f64(value: number): Vec {
    return this.constant('f64x2', value)
  }

  /** The run-time scalar number `index`, converted to the lane type. */
  scalar(type: 'f32x4' | 'f64x2' | 'i32x4', index: number): Vec {
    return this.#node(`scalar${index}`, [], ({ f, scalars }) => {
      f.get(scalars[index]!)
      if (type === 'f32x4') f.f32.demote_f64()
      if (type === 'i32x4') f.i32.trunc_sat_f64_s()
      f[type].splat()
    })
  }

  /** A value that the loop itself puts into `locals` (made later) before anything that uses it. */
  loaded(level: number): Vec {
    const node = new Vec(this.#nodes.length, [], level, false, () => {})
    node.epochs[0] = ALWAYS
    this.#nodes.push(node)
    return node
  }

  /** a·b + c, fused where allowed. */
  madd(a: Vec, b: Vec, c: Vec, type: 'f32x4' | 'f64x2' = 'f32x4'): Vec {
    return this.relaxed ? this.op(type, 'relaxed_madd', a, b, c) : this.op(type, 'add', this.op(type, 'mul', a, b), c)
  }
  /** c − a·b, fused where allowed. */
  nmadd(a: Vec, b: Vec, c: Vec, type: 'f32x4' | 'f64x2' = 'f32x4'): Vec {
    return this.relaxed ? this.op(type, 'relaxed_nmadd', a, b, c) : this.op(type, 'sub', c, this.op(type, 'mul', a, b))
  }

  /** `a` where the mask's lane is all ones, `b` where it is zero. */
  select(mask: Vec, a: Vec, b: Vec): Vec {
    if (a === b) return a
    if (isZero(b)) return this.op('v128', 'and', a, mask)
    if (isZero(a)) return this.op('v128', 'andnot', b, mask)
    return this.relaxed ? this.op('i32x4', 'relaxed_laneselect', a, b, mask) : this.op('v128', 'bitselect', a, b, mask)
  }

  /** Several instructions with the operands in locals. */
  macro(key: string, args: readonly Vec[], write: Write): Vec {
    return this.#node(key, args, write, true)
  }

  /** An imported function of float64 numbers, called for each lane. */
  call(type: 'f32x4' | 'f64x2', name: string, ...args: Vec[]): Vec {
    this.calls.set(name, args.length)
    const uniform = args.every((a) => a.level < PER_ELEMENT)
    return this.macro(`call ${name}`, args, (site, locals) => {
      if (uniform) {
        callLane(site, type, name, locals, 0)
        site.f[type].splat()
      } else callLanes(site, type, name, locals)
    })
  }

  /** `value`, with `name(…)` in the lanes of `mask`; free of calls where the mask is empty. */
  patch(type: 'f32x4' | 'f64x2', value: Vec, mask: Vec, name: string, ...x: Vec[]): Vec {
    this.calls.set(name, x.length)
    return this.macro(`patch ${name}`, [value, mask, ...x], (site, [v, m, ...args]) => {
      const { f } = site
      f.if(f.v128.any_true(f.get(m!)), () => {
        callLanes({ ...site, rest: undefined }, type, name, args)
        f.v128.bitselect(undefined, f.get(v!), f.get(m!))
      }, () => f.get(v!), V128)
    })
  }

  /** Counts uses from the results and finds what can be computed outside the loop. Returns how many instructions stay inside. */
  seal(roots: readonly Vec[]): number {
    const reached = new Set<Vec>()
    const pending: Vec[] = []
    const use = (node: Vec, level: number): void => {
      node.uses++
      if (node.level < level) node.hoisted = true
      if (reached.has(node)) return
      reached.add(node)
      pending.push(node)
    }
    for (const root of roots) use(root, PER_ELEMENT)
    let inside = 0
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      for (const arg of node.args) use(arg, node.level)
      if (node.level === PER_ELEMENT && node.epochs[0] !== ALWAYS) inside += node.boxed ? 16 : 1
    }
    this.#reached = this.#nodes.filter((node) => node.level === PER_ELEMENT && reached.has(node))
    return inside
  }

  /** Computes what the loop needs of one level into locals. */
  hoist(site: Site, level: number): void {
    for (const node of this.#nodes) if (node.hoisted && node.level === level) this.#keep(site, node)
  }

  /**
   * Computes `results` of `copies` vectors into locals, `[copy][result][part]`, before any of them is stored over an input.
   * Several vectors go side by side: their chains of dependent instructions hide each other's latency.
   */
  compute(site: Site, results: readonly (readonly Vec[])[], copies: number): Local[][][] {
    this.#epoch++
    if (copies > 1) {
      for (const node of this.#reached) for (this.#copy = 0; this.#copy < copies; this.#copy++) this.#keep(site, node)
    }
    return Array.from({ length: copies }, (_, copy) => {
      this.#copy = copy
      const locals = results.map((parts) => parts.map((part) => this.#box(site, part)))
      this.#copy = 0
      return locals
    })
  }

  /** Puts a value on the stack, computing what isn't known. */
  #push(site: Site, node: Vec): void {
    if (this.#current(node)) {
      site.f.get(this.#local(node))
      return
    }
    this.#compute(site, node)
    if (node.uses > 1) {
      this.#mark(site, node)
      site.f.tee(this.#local(node))
    }
  }

  /** The local that holds a value, computed now if it isn't known. */
  #box(site: Site, node: Vec): Local {
    if (!this.#current(node)) this.#keep(site, node)
    return this.#local(node)
  }

  #keep(site: Site, node: Vec): void {
    if (this.#current(node)) return
    this.#compute(site, node)
    this.#mark(site, node)
    site.f.set(this.#local(node))
  }
  #compute(site: Site, node: Vec): void {
    if (node.boxed) node.write(site, node.args.map((a) => this.#box(site, a)))
    else {
      for (const arg of node.args) this.#push(site, arg)
      node.write(site, [])
    }
  }
  #mark(site: Site, node: Vec): void {
    const copy = this.#index(node)
    node.locals[copy] ??= site.f.local(V128)
    node.epochs[copy] = node.level < PER_ELEMENT ? ALWAYS : this.#epoch
  }
  #current(node: Vec): boolean {
    if (node.epochs[0] === ALWAYS) return true
    return node.epochs[this.#index(node)] === this.#epoch
  }
  #local(node: Vec): Local {
    return node.locals[this.#index(node)]!
  }
  #index(node: Vec): number {
    return node.level < PER_ELEMENT ? 0 : this.#copy
  }

  #node(key: string, args: readonly Vec[], write: Write, boxed = false): Vec {
    let full = key
    let level = PER_CALL
    for (const arg of args) {
      full += `,${arg.id}`
      if (arg.level > level) level = arg.level
    }
    let node = this.#known.get(full)
    if (node === undefined) {
      node = new Vec(this.#nodes.length, args, level, boxed, write)
      this.#nodes.push(node)
      this.#known.set(full, node)
    }
    return node
  }
}

const isZero = (v: Vec): boolean => Object.is(v.constant, 0)

function instruction<T extends LaneType>(f: Body, type: T, name: keyof Body[T] & string): void {
  ;(f[type] as unknown as Record<string, () => void>)[name]!()
}

/** Leaves `name(…)` of one lane on the stack, as a number of the lane's type. */
function callLane({ f, functions }: Site, type: 'f32x4' | 'f64x2', name: string, args: readonly Local[], lane: number): void {
  for (const arg of args) {
    f.get(arg)
    f[type].extract_lane(lane)
    if (type === 'f32x4') f.f64.promote_f32()
  }
  f.call(functions.get(name)!)
  if (type === 'f32x4') f.f32.demote_f64()
}

/** Leaves a vector of `name(…)` on the stack; lanes that are no elements are not computed. */
function callLanes(site: Site, type: 'f32x4' | 'f64x2', name: string, args: readonly Local[]): void {
  const { f, rest } = site
  const lanes = type === 'f32x4' ? 4 : 2
  const one = (lane: number): void => {
    callLane(site, type, name, args, lane)
    f[type].replace_lane(lane)
  }
  f.get(args[0]!)
  if (rest === undefined) {
    for (let lane = 0; lane < lanes; lane++) one(lane)
    return
  }
  one(0)
  if (lanes === 2) return
  const result = f.let(V128)
  const from = (lane: number): void => {
    f.if(f.i32.gt_u(f.get(rest), f.i32.const(lane)), () => {
      f.get(result)
      one(lane)
      f.set(result)
      if (lane < 2) from(lane + 1)
    })
  }
  from(1)
  f.get(result)
}
