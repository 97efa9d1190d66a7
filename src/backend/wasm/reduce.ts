/** Reductions along one axis in WebAssembly: sums and products, extrema and their places, any and all. */
import type { LinearMemory, ReduceKernel, ReduceOp } from '../backend.ts'
import { type DType, dtypes } from '../../dtype.ts'
import { type Body, type Emitted, F32, F64, type Func, I32, I64, instantiate, type Local, type ModuleBuilder, moduleFor, V128, type ValType } from './assembler.ts'

/** Additions of a block before its sum joins the compensated total. */
const BLOCK = 32

/** Compiles one reduction for one dtype, of neighbours (inner = 1) or of elements further apart. */
export function compileReduce(memory: LinearMemory, op: ReduceOp, dtype: DType, adjacent: boolean): ReduceKernel {
  const module = moduleFor(memory.memory)
  const floating = dtypes[dtype].floating
  const vectors = op === 'max' || op === 'min' || (floating && (op === 'sum' || op === 'prod'))
  if (!vectors) writeScalars(module, op, dtype, adjacent)
  else if (adjacent) writeRows(module, op, dtype)
  else writeColumns(module, op, dtype)
  return instantiate(module.encode(), memory.memory)['reduce'] as unknown as ReduceKernel
}

/** The state of one vector of results while it is computed. */
type State = readonly Local[]

/** A reduction on whole vectors. */
class VectorFold {
  readonly f: Body
  readonly op: ReduceOp
  readonly dtype: DType
  readonly width: 1 | 4 | 8
  readonly lanes: number
  readonly #temporaries: Local[]

  constructor(f: Body, op: ReduceOp, dtype: DType) {
    this.f = f
    this.op = op === 'argmax' ? 'max' : op === 'argmin' ? 'min' : op
    this.dtype = dtype
    this.width = dtypes[dtype].bytes
    this.lanes = 16 / this.width
    this.#temporaries = f.locals(V128, 3)
  }

  get floats(): Body['f32x4'] | Body['f64x2'] {
    return this.width === 8 ? this.f.f64x2 : this.f.f32x4
  }
  get floating(): boolean {
    return dtypes[this.dtype].floating
  }
  /** Sums have [block sum, total, compensation], extrema of floats [value, mask of lanes that saw a NaN]. */
  state(): State {
    return this.f.locals(V128, !this.floating ? 1 : this.op === 'sum' ? 3 : this.op === 'prod' ? 1 : 2)
  }
  /** The vector that changes nothing. */
  identity(): Emitted {
    const { f, op, dtype } = this
    if (op === 'sum') return f.f64x2.const(0)
    if (this.floating) return this.floats.const(op === 'prod' ? 1 : op === 'max' ? -Infinity : Infinity)
    if (dtype === 'int32') return f.i32x4.const(op === 'max' ? -0x80000000 : 0x7fffffff)
    return f.i8x16.const(op === 'max' ? 0 : -1)
  }
  start(state: State): void {
    this.f.set(state[0]!, this.identity())
    for (const other of state.slice(1)) this.f.set(other, this.f.f64x2.const(0))
  }
  /** Takes in one more vector. */
  step(state: State, load: () => Emitted): void {
    const { f, op } = this
    const acc = state[0]!
    if (this.floating && (op === 'max' || op === 'min')) {
      const x = this.#temporaries[0]!
      f.set(x, load())
      if (op === 'max') f.set(acc, this.floats.pmax(f.get(acc), f.get(x)))
      else f.set(acc, this.floats.pmin(f.get(acc), f.get(x)))
      f.set(state[1]!, f.v128.or(f.get(state[1]!), this.floats.ne(f.get(x), f.get(x))))
    } else f.set(acc, this.combine(f.get(acc), load()))
  }
  /** x ∘ y of two vectors of results; NaN propagates. */
  combine(x: Emitted, y: Emitted): Emitted {
    const { f, op, dtype } = this
    if (this.floating) return op === 'sum' ? this.floats.add(x, y) : op === 'prod' ? this.floats.mul(x, y) : op === 'max' ? this.floats.max(x, y) : this.floats.min(x, y)
    if (dtype === 'int32') return op === 'max' ? f.i32x4.max_s(x, y) : f.i32x4.min_s(x, y)
    return op === 'max' ? f.i8x16.max_u(x, y) : f.i8x16.min_u(x, y)
  }
  /**
   * Ends a block. A sum's block joins the total by Knuth's exact two-sum: with s = fl(a + b), the error a + b − s is
   * representable and is collected, so only roundings inside blocks remain.
   */
  flush(state: State): void {
    if (state.length !== 3) return
    const { f, floats } = this
    const [block, total, error] = state as [Local, Local, Local]
    const [s, t] = this.#temporaries as [Local, Local, Local]
    f.set(s, floats.add(f.get(total), f.get(block)))
    f.set(t, floats.sub(f.get(s), f.get(total)))
    f.set(error, floats.add(f.get(error), floats.add(
      floats.sub(f.get(total), floats.sub(f.get(s), f.get(t))),
      floats.sub(f.get(block), f.get(t)))))
    f.set(total, f.get(s))
    f.set(block, f.f64x2.const(0))
  }
  result(state: State): Emitted {
    const { f } = this
    if (state.length === 1) return f.get(state[0]!)
    if (state.length === 2) return f.v128.or(f.get(state[0]!), f.get(state[1]!))
    this.flush(state)
    const [, total, error] = state as [Local, Local, Local]
    // An infinite total has a NaN for its error.
    this.floats.add(f.get(total), f.v128.and(f.get(error), this.floats.eq(f.get(error), f.get(error))))
  }
  /** One element in the first lane, the identity elsewhere. */
  loadOne(address: Emitted): Emitted {
    const { f } = this
    this.identity()
    if (this.width === 8) f.v128.load64_lane(address, 0)
    else if (this.width === 4) f.v128.load32_lane(address, 0)
    else f.v128.load8_lane(address, 0)
  }
  storeOne(address: Emitted, value: Emitted): Emitted {
    const { f } = this
    if (this.width === 8) f.v128.store64_lane(address, value, 0)
    else if (this.width === 4) f.v128.store32_lane(address, value, 0)
    else f.v128.store8_lane(address, value, 0)
  }
  /** All lanes of the vector combined, in every lane. */
  across(value: Emitted): Emitted {
    const { f } = this
    const x = this.#temporaries[2]!
    f.set(x, value)
    for (let half = 8; half >= this.width; half >>= 1) {
      const turned = Array.from({ length: 16 }, (_, i) => i ^ half)
      f.set(x, this.combine(f.get(x), f.i8x16.shuffle(f.get(x), f.get(x), ...turned)))
    }
    f.get(x)
  }
}

const bump = (f: Body, pointer: Local, by: Local | number): void => {
  f.set(pointer, f.i32.add(f.get(pointer), typeof by === 'number' ? f.i32.const(by) : f.get(by)))
}

/** Runs `body` while at least `step` of `left` are left, and takes them off. */
const take = (f: Body, left: Local, step: number, body: () => void): void => {
  f.while(() => f.i32.ge_u(f.get(left), f.i32.const(step)), () => {
    body()
    bump(f, left, -step)
  })
}

/** Runs `body(part)` for parts of at most `most` of `left`; the body uses `part` up. */
const blocks = (f: Body, left: Local, part: Local, most: number, body: () => void): void => {
  f.while(() => f.get(left), () => {
    f.set(part, f.select(f.get(left), f.i32.const(most), f.i32.lt_u(f.get(left), f.i32.const(most))))
    f.set(left, f.i32.sub(f.get(left), f.get(part)))
    body()
  })
}

/** (address, n) → the combination of n adjacent elements, in every lane. */
function rowFold(module: ModuleBuilder, op: ReduceOp, dtype: DType): Func {
  return module.func([I32, I32], [V128], (f, p, n) => {
    const fold = new VectorFold(f, op, dtype)
    const { lanes } = fold
    const chains = 4
    const states = Array.from({ length: chains }, () => fold.state())
    const first = states[0]!
    const [left, part] = f.locals(I32, 2) as [Local, Local]
    const result = f.local(V128)
    fold.start(first)
    f.if(f.i32.ge_u(f.get(n), f.i32.const(4 * chains * lanes)), () => {
      for (const state of states.slice(1)) fold.start(state)
      f.set(left, f.i32.div_u(f.get(n), f.i32.const(chains * lanes)))
      f.set(n, f.i32.rem_u(f.get(n), f.i32.const(chains * lanes)))
      blocks(f, left, part, BLOCK, () => {
        take(f, part, 1, () => {
          states.forEach((state, i) => fold.step(state, () => f.v128.load(f.get(p), 16 * i)))
          bump(f, p, 16 * chains)
        })
        for (const state of states) fold.flush(state)
      })
      f.set(result, fold.combine(
        fold.combine(fold.result(states[1]!), fold.result(states[2]!)),
        fold.result(states[3]!)))
    }, () => f.set(result, fold.identity()))
    take(f, n, lanes, () => {
      fold.step(first, () => f.v128.load(f.get(p)))
      bump(f, p, 16)
    })
    take(f, n, 1, () => {
      fold.step(first, () => fold.loadOne(f.get(p)))
      bump(f, p, fold.width)
    })
    fold.across(fold.combine(f.get(result), fold.result(first)))
  })
}

/**
 * (n, stride, in, out): combines n rows, `stride` bytes apart, of `vectors` vectors each (0: of one element), with the rows
 * dealt to several `chains` so that one addition needn't wait for the other.
 */
function columnFold(module: ModuleBuilder, op: ReduceOp, dtype: DType, vectors: number, chains: number): Func {
  return module.func([I32, I32, I32, I32], [], (f, n, stride, input, output) => {
    const fold = new VectorFold(f, op, dtype)
    const count = Math.max(vectors, 1)
    const states = Array.from({ length: chains }, () => Array.from({ length: count }, () => fold.state()))
    const pointers = [input, ...f.locals(I32, chains - 1)]
    const [left, part, jump] = f.locals(I32, 3) as [Local, Local, Local]
    const load = (p: Local, v: number): Emitted => (vectors === 0 ? fold.loadOne(f.get(p)) : f.v128.load(f.get(p), 16 * v))
    for (const state of states.flat()) fold.start(state)
    for (let c = 1; c < chains; c++) f.set(pointers[c]!, f.i32.add(f.get(pointers[c - 1]!), f.get(stride)))
    f.set(jump, f.i32.mul(f.get(stride), f.i32.const(chains)))
    f.set(left, f.i32.div_u(f.get(n), f.i32.const(chains)))
    f.set(n, f.i32.rem_u(f.get(n), f.i32.const(chains)))
    blocks(f, left, part, BLOCK, () => {
      take(f, part, 1, () => {
        pointers.forEach((p, c) => states[c]!.forEach((state, v) => fold.step(state, () => load(p, v))))
        for (const p of pointers) bump(f, p, jump)
      })
      for (const state of states.flat()) fold.flush(state)
    })
    take(f, n, 1, () => {
      states[0]!.forEach((state, v) => fold.step(state, () => load(input, v)))
      bump(f, input, stride)
    })
    const result = (v: number): Emitted => {
      fold.result(states[0]![v]!)
      for (let c = 1; c < chains; c++) fold.combine(undefined, fold.result(states[c]![v]!))
    }
    const total = f.local(V128)
    for (let v = 0; v < count; v++) {
      f.set(total, result(v))
      if (vectors === 0) fold.storeOne(f.get(output), f.get(total))
      else f.v128.store(f.get(output), f.get(total), 16 * v)
    }
  })
}

function writeRows(module: ModuleBuilder, op: ReduceOp, dtype: DType): void {
  const row = rowFold(module, op, dtype)
  module.func([I32, I32, I32, I32, I32], [I32], (f, outer, n, _inner, input, output) => {
    const fold = new VectorFold(f, op, dtype)
    const bytes = f.let(I32, f.i32.mul(f.get(n), f.i32.const(fold.width)))
    take(f, outer, 1, () => {
      fold.storeOne(f.get(output), f.call(row, f.get(input), f.get(n)))
      bump(f, input, bytes)
      bump(f, output, fold.width)
    })
    f.i32.const(0)
  }, 'reduce')
}

function writeColumns(module: ModuleBuilder, op: ReduceOp, dtype: DType): void {
  const wide = columnFold(module, op, dtype, 4, 1)
  const single = columnFold(module, op, dtype, 1, 4)
  const narrow = columnFold(module, op, dtype, 0, 4)
  module.func([I32, I32, I32, I32, I32], [I32], (f, outer, n, inner, input, output) => {
    const { width, lanes } = new VectorFold(f, op, dtype)
    const [bytes, left, p, q] = f.locals(I32, 4) as [Local, Local, Local, Local]
    f.set(bytes, f.i32.mul(f.get(inner), f.i32.const(width)))
    take(f, outer, 1, () => {
      f.set(p, f.get(input))
      f.set(q, f.get(output))
      f.set(left, f.get(inner))
      const columns = (func: Func, count: number): void => {
        f.call(func, f.get(n), f.get(bytes), f.get(p), f.get(q))
        bump(f, p, count * width)
        bump(f, q, count * width)
      }
      take(f, left, 4 * lanes, () => columns(wide, 4 * lanes))
      take(f, left, lanes, () => columns(single, lanes))
      f.if(f.i32.and(f.i32.ne(f.get(left), f.i32.const(0)), f.i32.gt_u(f.get(inner), f.i32.const(lanes))), () => {
        // The last vector, which repeats a few columns, instead of one element at a time.
        f.set(left, f.i32.mul(f.i32.sub(f.i32.const(lanes), f.get(left)), f.i32.const(width)))
        f.set(p, f.i32.sub(f.get(p), f.get(left)))
        f.set(q, f.i32.sub(f.get(q), f.get(left)))
        columns(single, 0)
        f.set(left, f.i32.const(0))
      })
      take(f, left, 1, () => columns(narrow, 1))
      f.set(input, f.i32.add(f.get(input), f.i32.mul(f.get(n), f.get(bytes))))
      bump(f, output, bytes)
    })
    f.i32.const(0)
  }, 'reduce')
}

/** (address, n) → the place of the first extremum, or of the first NaN, of n > 0 adjacent elements. */
function findFirst(module: ModuleBuilder, op: ReduceOp, dtype: DType): Func {
  const row = rowFold(module, op, dtype)
  return module.func([I32, I32], [I32], (f, p, n) => {
    const fold = new VectorFold(f, op, dtype)
    const best = f.let(V128, f.call(row, f.get(p), f.get(n)))
    const x = f.local(V128)
    const [i, mask] = f.locals(I32, 2) as [Local, Local]
    const group = fold.floating ? fold.floats : fold.width === 4 ? f.i32x4 : f.i8x16
    const bitmask = (v: Emitted): Emitted => (fold.width === 8 ? f.i64x2.bitmask(v) : fold.width === 4 ? f.i32x4.bitmask(v) : f.i8x16.bitmask(v))
    // No element equals a NaN, so the second test decides exactly when the first cannot.
    const match = (): Emitted => {
      group.eq(f.get(x), f.get(best))
      if (fold.floating) f.v128.or(undefined, group.ne(f.get(x), f.get(x)))
    }
    take(f, n, fold.lanes, () => {
      f.set(x, f.v128.load(f.get(p)))
      f.if(f.tee(mask, bitmask(match())), () => f.return(f.i32.add(f.get(i), f.i32.ctz(f.get(mask)))))
      bump(f, p, 16)
      bump(f, i, fold.lanes)
    })
    take(f, n, 1, () => {
      f.set(x, fold.loadOne(f.get(p)))
      f.if(f.i32.and(bitmask(match()), f.i32.const(1)), () => f.return(f.get(i)))
      bump(f, p, fold.width)
      bump(f, i, 1)
    })
    f.get(i)
  })
}

/** (address, n) → is any (are all) of n adjacent elements not zero? Stops as soon as it is known. */
function scan(module: ModuleBuilder, op: ReduceOp, dtype: DType): Func {
  return module.func([I32, I32], [I32], (f, p, n) => {
    const { bytes, floating } = dtypes[dtype]
    const group = floating ? (bytes === 8 ? f.f64x2 : f.f32x4) : bytes === 4 ? f.i32x4 : f.i8x16
    const answer = op === 'any' ? 1 : 0
    take(f, n, 16 / bytes, () => {
      group.ne(f.v128.load(f.get(p)), f.f64x2.const(0))
      if (op === 'any') f.v128.any_true()
      else f.i32.eqz(f.i8x16.all_true())
      f.if(undefined, () => f.return(f.i32.const(answer)))
      bump(f, p, 16)
    })
    take(f, n, 1, () => {
      truth(f, dtype, p, 0)
      if (op === 'all') f.i32.eqz()
      f.if(undefined, () => f.return(f.i32.const(answer)))
      bump(f, p, bytes)
    })
    f.i32.const(1 - answer)
  })
}

function loadElement(f: Body, dtype: DType, p: Local, offset: number): Emitted {
  if (dtype === 'float64') return f.f64.load(f.get(p), offset)
  if (dtype === 'float32') return f.f32.load(f.get(p), offset)
  return dtype === 'int32' ? f.i32.load(f.get(p), offset) : f.i32.load8_u(f.get(p), offset)
}

/** 1 where the element is not zero; a NaN is not. */
function truth(f: Body, dtype: DType, p: Local, offset: number): Emitted {
  loadElement(f, dtype, p, offset)
  if (dtype === 'float64') f.f64.ne(undefined, f.f64.const(0))
  else if (dtype === 'float32') f.f32.ne(undefined, f.f32.const(0))
  else f.i32.ne(undefined, f.i32.const(0))
}

/** One column of a reduction on scalars. */
interface ScalarFold {
  start(): void
  step(p: Local, offset: number): void
  store(output: Local, offset: number): void
}

function scalarFold(f: Body, op: ReduceOp, dtype: DType, row: Local, overflow: Local): ScalarFold {
  if (op === 'any' || op === 'all') {
    const acc = f.local(I32)
    return {
      start: () => f.set(acc, f.i32.const(op === 'any' ? 0 : 1)),
      step: (p, offset) => {
        f.get(acc)
        truth(f, dtype, p, offset)
        if (op === 'any') f.i32.or()
        else f.i32.and()
        f.set(acc)
      },
      store: (output, offset) => f.i32.store8(f.get(output), f.get(acc), offset),
    }
  }
  if (op === 'sum' || op === 'prod') {
    const acc = f.local(I64)
    const outside = (limit: bigint, range: bigint): Emitted =>
      f.i64.gt_u(f.i64.add(f.get(acc), f.i64.const(limit)), f.i64.const(range))
    return {
      start: () => f.set(acc, f.i64.const(op === 'sum' ? 0 : 1)),
      step: (p, offset) => {
        f.get(acc)
        f.i64.extend_i32_s(loadElement(f, dtype, p, offset))
        if (op === 'sum') f.i64.add()
        else f.i64.mul()
        f.set(acc)
        // A product beyond ±2³¹ comes back only through a zero: any value out of range whose products fit int64 stands for it.
        if (op === 'prod') f.if(outside(0x80000000n, 0x100000000n), () => f.set(acc, f.i64.const(0xffffffffn)))
      },
      store: (output, offset) => {
        f.set(overflow, f.i32.or(f.get(overflow), outside(0x80000000n, 0xffffffffn)))
        f.i32.store(f.get(output), f.i32.wrap_i64(f.get(acc)), offset)
      },
    }
  }
  const type: ValType = dtype === 'float32' ? F32 : dtype === 'float64' ? F64 : I32
  const [best, x] = f.locals(type, 2) as [Local, Local]
  const place = f.local(I32)
  const better = (): Emitted => {
    f.get(x)
    f.get(best)
    if (type === I32) return op === 'argmax' ? f.i32.gt_s() : f.i32.lt_s()
    // Greater or unordered, unless the best is a NaN already.
    const group = type === F32 ? f.f32 : f.f64
    if (op === 'argmax') group.le()
    else group.ge()
    f.i32.and(f.i32.eqz(), group.eq(f.get(best), f.get(best)))
  }
  return {
    start: () => f.set(place, f.i32.const(0)),
    step: (p, offset) => {
      f.set(x, loadElement(f, dtype, p, offset))
      f.if(f.i32.or(f.i32.eqz(f.get(row)), better()), () => {
        f.set(best, f.get(x))
        f.set(place, f.get(row))
      })
    },
    store: (output, offset) => f.i32.store(f.get(output), f.get(place), offset),
  }
}

function writeScalars(module: ModuleBuilder, op: ReduceOp, dtype: DType, adjacent: boolean): void {
  const { bytes } = dtypes[dtype]
  const whole = !adjacent || op === 'sum' || op === 'prod' ? undefined : op === 'any' || op === 'all' ? scan(module, op, dtype) : findFirst(module, op, dtype)
  const outBytes = op === 'any' || op === 'all' ? 1 : 4
  module.func([I32, I32, I32, I32, I32], [I32], (f, outer, n, inner, input, output) => {
    const [overflow, left, p, start, row, stride] = f.locals(I32, 6) as [Local, Local, Local, Local, Local, Local]
    f.set(stride, f.i32.mul(f.get(inner), f.i32.const(bytes)))
    /** `count` columns at a time. */
    const columns = (count: number): void => {
      const folds = Array.from({ length: count }, () => scalarFold(f, op, dtype, row, overflow))
      take(f, left, count, () => {
        for (const fold of folds) fold.start()
        f.set(p, f.get(start))
        f.set(row, f.i32.const(0))
        f.while(() => f.i32.lt_u(f.get(row), f.get(n)), () => {
          folds.forEach((fold, i) => fold.step(p, i * bytes))
          bump(f, p, stride)
          bump(f, row, 1)
        })
        folds.forEach((fold, i) => fold.store(output, i * outBytes))
        bump(f, start, count * bytes)
        bump(f, output, count * outBytes)
      })
    }
    take(f, outer, 1, () => {
      if (whole === undefined) {
        f.set(left, f.get(inner))
        f.set(start, f.get(input))
        columns(8)
        columns(1)
      } else {
        f.get(output)
        f.call(whole, f.get(input), f.get(n))
        if (outBytes === 1) f.i32.store8()
        else f.i32.store()
        bump(f, output, outBytes)
      }
      f.set(input, f.i32.add(f.get(input), f.i32.mul(f.get(n), f.get(stride))))
    })
    f.get(overflow)
  }, 'reduce')
}
