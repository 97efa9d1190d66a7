/**
 * Matrix products in WebAssembly: a blocked GEMM over packed panels, a direct path for small or skinny sizes, and
 * matrix-vector products, for operands with any strides.
 */
import type { LinearMemory, MatmulKernel } from '../backend.ts'
import { type Body, type Emitted, F32, F64, type Func, I32, instantiate, type Local, type ModuleBuilder, moduleFor, order, V128 } from './assembler.ts'

type FloatType = 'float32' | 'float64'

/** Rows of a register tile. Six rows of two vectors are twelve accumulators: with two of B and one of A they fill 16 registers. */
const MR = 6
/** Depth of a block: a panel of B (two vectors wide) stays in the first-level cache. */
const KC = 256
/** Rows of a block: the packed block of A stays in the second-level cache. */
const MC = 96
/** Columns of a block of B. */
const NC = 1024
/** Bytes of the tile that holds results at the edges of C. */
const TILE = 256
/** A is packed when each element is used for more columns than this. */
const PACK_A_COLUMNS = 32
/** B with unit stride along N is read in place up to this many rows of A, or bytes of B. */
const PACK_B_ROWS = 8
const PACK_B_BYTES = 16384

const ceil = (n: number, step: number): number => Math.ceil(n / step) * step

/** Bytes of workspace that a product of these sizes wants. */
export function matmulWork(dtype: FloatType, m: number, n: number, k: number): number {
  const width = dtype === 'float32' ? 4 : 8
  const vector = m === 1 || n === 1 ? k * width : 0
  const depth = Math.min(k, KC)
  // Not m rows but MC: a batch over one B becomes one tall product.
  return TILE + vector + width * depth * (ceil(Math.min(n, NC), 32 / width) + (n > PACK_A_COLUMNS ? MC : 0))
}

/** Compiles the product of one dtype; `relaxed` allows fused multiply-add. */
export function compileMatmul(memory: LinearMemory, dtype: FloatType, relaxed: boolean): MatmulKernel {
  const module = moduleFor(memory.memory)
  writeGemm(module, dtype, relaxed)
  return instantiate(module.encode(), memory.memory)['gemm'] as unknown as MatmulKernel
}

/** The instructions of one float type: vectors of `lanes` elements of `width` bytes. */
class Emitter {
  readonly f: Body
  readonly double: boolean
  readonly relaxed: boolean
  readonly width: 4 | 8
  readonly lanes: 4 | 2

  constructor(f: Body, dtype: FloatType, relaxed: boolean) {
    this.f = f
    this.double = dtype === 'float64'
    this.relaxed = relaxed
    this.width = this.double ? 8 : 4
    this.lanes = this.double ? 2 : 4
  }

  /** acc += x·y */
  madd(acc: Local, x: () => Emitted, y: () => Emitted): void {
    const { f } = this
    const v = this.double ? f.f64x2 : f.f32x4
    if (this.relaxed) f.set(acc, v.relaxed_madd(x(), y(), f.get(acc)))
    else f.set(acc, v.add(f.get(acc), v.mul(x(), y())))
  }
  add(x: Emitted, y: Emitted): Emitted {
    return this.double ? this.f.f64x2.add(x, y) : this.f.f32x4.add(x, y)
  }
  loadSplat(address: Emitted, offset = 0): Emitted {
    return this.double ? this.f.v128.load64_splat(address, offset) : this.f.v128.load32_splat(address, offset)
  }
  scalarAdd(x: Emitted, y: Emitted): Emitted {
    return this.double ? this.f.f64.add(x, y) : this.f.f32.add(x, y)
  }
  scalarMul(x: Emitted, y: Emitted): Emitted {
    return this.double ? this.f.f64.mul(x, y) : this.f.f32.mul(x, y)
  }
  load(address: Emitted, offset = 0): Emitted {
    return this.double ? this.f.f64.load(address, offset) : this.f.f32.load(address, offset)
  }
  store(address: Emitted, value: Emitted, offset = 0): Emitted {
    return this.double ? this.f.f64.store(address, value, offset) : this.f.f32.store(address, value, offset)
  }
  /** The sum of a vector's lanes. */
  sum(v: Local): Emitted {
    const { f } = this
    if (this.double) return f.f64.add(f.f64x2.extract_lane(f.get(v), 0), f.f64x2.extract_lane(f.get(v), 1))
    const lane = (i: number): Emitted => f.f32x4.extract_lane(f.get(v), i)
    f.f32.add(f.f32.add(lane(0), lane(1)), f.f32.add(lane(2), lane(3)))
  }

  bump(pointer: Local, by: Local | number): void {
    const { f } = this
    f.set(pointer, f.i32.add(f.get(pointer), typeof by === 'number' ? f.i32.const(by) : f.get(by)))
  }
  /** base + index · stride */
  at(base: Local, index: Local, stride: Local | number): Emitted {
    const { f } = this
    return f.i32.add(f.get(base), f.i32.mul(f.get(index), typeof stride === 'number' ? f.i32.const(stride) : f.get(stride)))
  }
  /** min(a, b), unsigned */
  min(a: () => Emitted, b: () => Emitted): Emitted {
    const { f } = this
    return f.select(a(), b(), f.i32.lt_u(a(), b()))
  }
  /** Runs `body` for counter = 0, step, 2·step, … below limit. */
  range(counter: Local, limit: Local, step: number | Local, body: () => void): void {
    const { f } = this
    f.set(counter, f.i32.const(0))
    f.while(() => f.i32.lt_u(f.get(counter), f.get(limit)), () => {
      body()
      this.bump(counter, step)
    })
  }
}

/**
 * A register tile: C[rows, 2 or 1 vectors] = (or +=) A·B over k, with byte strides. In a `panel` A is packed (`aRow` and
 * `aCol` are not used).
 */
function micro(module: ModuleBuilder, dtype: FloatType, relaxed: boolean, rows: number, vectors: number, panel: boolean): Func {
  return module.func([I32, I32, I32, I32, I32, I32, I32, I32, I32], [], (f, a, aRow, aCol, b, bRow, k, c, cRow, beta) => {
    const e = new Emitter(f, dtype, relaxed)
    const acc = f.locals(V128, rows * vectors)
    const y = f.locals(V128, vectors)
    const x = f.local(V128)
    const lines = panel ? [a] : [a, ...f.locals(I32, rows - 1)]
    for (let r = 1; r < lines.length; r++) f.set(lines[r]!, f.i32.add(f.get(lines[r - 1]!), f.get(aRow)))
    // Not unrolled, and counted down to one rather than to zero: with either change V8 moves the loads of several turns to
    // the front, runs out of registers and takes twice the time.
    f.while(() => f.i32.ge_u(f.get(k), f.i32.const(1)), () => {
      for (let v = 0; v < vectors; v++) f.set(y[v]!, f.v128.load(f.get(b), 16 * v))
      for (let r = 0; r < rows; r++) {
        f.set(x, panel ? e.loadSplat(f.get(a), r * e.width) : e.loadSplat(f.get(lines[r]!)))
        for (let v = 0; v < vectors; v++) e.madd(acc[r * vectors + v]!, () => f.get(x), () => f.get(y[v]!))
      }
      for (const line of lines) e.bump(line, panel ? rows * e.width : aCol)
      e.bump(b, bRow)
      e.bump(k, -1)
    })
    const store = (accumulate: boolean): void => {
      for (let r = 0; r < rows; r++) {
        for (let v = 0; v < vectors; v++) {
          const sum = acc[r * vectors + v]!
          f.get(c)
          if (accumulate) e.add(f.v128.load(f.get(c), 16 * v), f.get(sum))
          else f.get(sum)
          f.v128.store(16 * v)
        }
        if (r < rows - 1) e.bump(c, cRow)
      }
    }
    f.if(f.get(beta), () => store(true), () => store(false))
  })
}

/** Adds or copies the used part of an edge tile, rows of `step` bytes, into C. */
function spill(module: ModuleBuilder, dtype: FloatType): Func {
  return module.func([I32, I32, I32, I32, I32, I32, I32], [], (f, tile, step, c, cRow, rows, cols, beta) => {
    const e = new Emitter(f, dtype, false)
    const j = f.local(I32)
    const bytes = f.let(I32, f.i32.mul(f.get(cols), f.i32.const(e.width)))
    f.while(() => f.get(rows), () => {
      e.range(j, bytes, e.width, () => {
        const to = (): Emitted => f.i32.add(f.get(c), f.get(j))
        const from = (): Emitted => e.load(f.i32.add(f.get(tile), f.get(j)))
        to()
        f.if(f.get(beta), () => e.scalarAdd(e.load(to()), from()), () => from(), e.double ? F64 : F32)
        e.store()
      })
      e.bump(tile, step)
      e.bump(c, cRow)
      e.bump(rows, -1)
    })
  })
}

/**
 * Packs `count` lines of length k into panels of `size` lines, element by element along k: dst[panel][k][line]. Lines past
 * the end are zero. Strides in bytes; a unit stride along either axis is vectorised.
 */
function pack(module: ModuleBuilder, dtype: FloatType, size: number): Func {
  return module.func([I32, I32, I32, I32, I32, I32], [], (f, src, lineStep, kStep, count, k, dst) => {
    const e = new Emitter(f, dtype, false)
    const { width, lanes } = e
    const [left, p, r, n] = f.locals(I32, 4) as [Local, Local, Local, Local]
    const lines = [p, ...f.locals(I32, size - 1)]
    const v = f.locals(V128, 6)
    const row = size * width

    /** Copies the lines of one k, which lie side by side. */
    const copy = (to: Local, from: number): void => {
      let at = 0
      for (; at + 16 <= row; at += 16) f.v128.store(f.get(to), f.v128.load(f.get(p), from + at), at)
      if (at < row) f.i64.store(f.get(to), f.i64.load(f.get(p), from + at), at)
    }
    /** Transposes a square of `lanes` lines, loaded from `from` on, and stores one vector per k. */
    const transpose = (from: number): void => {
      for (let i = 0; i < lanes; i++) f.set(v[i]!, f.v128.load(f.get(lines[from + i]!)))
      const put = (kk: number, a: Local, b: Local, half: number): void => {
        const units = half === 0 ? [0, 2] : [1, 3]
        f.v128.store(f.get(dst), f.i8x16.shuffle(f.get(a), f.get(b), ...order(8, ...units)), kk * row + from * width)
      }
      if (lanes === 2) {
        put(0, v[0]!, v[1]!, 0)
        put(1, v[0]!, v[1]!, 1)
        return
      }
      const zip = (to: Local, a: Local, b: Local, ...units: number[]): void => {
        f.set(to, f.i8x16.shuffle(f.get(a), f.get(b), ...order(4, ...units)))
      }
      zip(v[4]!, v[0]!, v[1]!, 0, 4, 1, 5)
      zip(v[5]!, v[0]!, v[1]!, 2, 6, 3, 7)
      zip(v[0]!, v[2]!, v[3]!, 0, 4, 1, 5)
      zip(v[1]!, v[2]!, v[3]!, 2, 6, 3, 7)
      put(0, v[4]!, v[0]!, 0)
      put(1, v[4]!, v[0]!, 1)
      put(2, v[5]!, v[1]!, 0)
      put(3, v[5]!, v[1]!, 1)
    }
    /** The last two lines of a panel of six float32 lines. */
    const transposePair = (from: number): void => {
      f.set(v[0]!, f.v128.load(f.get(lines[from]!)))
      f.set(v[1]!, f.v128.load(f.get(lines[from + 1]!)))
      for (const half of [0, 1]) {
        const units = half === 0 ? [0, 4, 1, 5] : [2, 6, 3, 7]
        f.set(v[2]!, f.i8x16.shuffle(f.get(v[0]!), f.get(v[1]!), ...order(4, ...units)))
        for (const lane of [0, 1]) f.v128.store64_lane(f.get(dst), f.get(v[2]!), (half * 2 + lane) * row + from * width, lane)
      }
    }
    /** One k, any strides, `left` lines that exist. */
    const gather = (): void => {
      f.set(r, f.get(p))
      for (let i = 0; i < size; i++) {
        f.if(f.i32.gt_u(f.get(left), f.i32.const(i)),
          () => {
            e.store(f.get(dst), e.load(f.get(r)), i * width)
            e.bump(r, lineStep)
          },
          () => e.store(f.get(dst), e.double ? f.f64.const(0) : f.f32.const(0), i * width))
      }
    }
    const overK = (step: number, pointers: readonly Local[], advance: Local | number, body: () => void): void => {
      f.while(() => f.i32.ge_u(f.get(n), f.i32.const(step)), () => {
        body()
        for (const q of pointers) e.bump(q, advance)
        e.bump(dst, row * step)
        e.bump(n, -step)
      })
    }

    f.set(left, f.get(count))
    // Four panels at once, so that whole cache lines are read even where rows lie a multiple of 4096 bytes apart.
    const group = 4
    const targets = lines.slice(1, group)
    f.if(f.i32.eq(f.get(lineStep), f.i32.const(width)), () => {
      f.while(() => f.i32.ge_s(f.get(left), f.i32.const(group * size)), () => {
        f.set(p, f.get(src))
        f.set(n, f.get(k))
        targets.forEach((to, i) => f.set(to, f.i32.add(f.get(i === 0 ? dst : targets[i - 1]!), f.i32.mul(f.get(k), f.i32.const(row)))))
        f.while(() => f.get(n), () => {
          ;[dst, ...targets].forEach((to, i) => {
            copy(to, i * row)
            e.bump(to, row)
          })
          e.bump(p, kStep)
          e.bump(n, -1)
        })
        f.set(dst, f.get(targets[group - 2]!))
        e.bump(src, group * row)
        e.bump(left, -group * size)
      })
    })
    f.while(() => f.i32.gt_s(f.get(left), f.i32.const(0)), () => {
      f.set(p, f.get(src))
      f.set(n, f.get(k))
      f.if(f.i32.ge_s(f.get(left), f.i32.const(size)), () => {
        f.if(f.i32.eq(f.get(lineStep), f.i32.const(width)),
          () => overK(1, [p], kStep, () => copy(dst, 0)),
          () => f.if(f.i32.eq(f.get(kStep), f.i32.const(width)), () => {
            for (let i = 1; i < size; i++) f.set(lines[i]!, f.i32.add(f.get(lines[i - 1]!), f.get(lineStep)))
            overK(lanes, lines, 16, () => {
              let from = 0
              for (; from + lanes <= size; from += lanes) transpose(from)
              if (from < size) transposePair(from)
            })
          }))
      })
      overK(1, [p], kStep, gather)
      f.set(src, f.i32.add(f.get(src), f.i32.mul(f.get(lineStep), f.i32.const(size))))
      e.bump(left, -size)
    })
  })
}

/** y[j] = (or +=) Σ v[k]·M[k, j] where M has unit stride along j: rows of M are added up. `k > 0`. */
function addRows(module: ModuleBuilder, dtype: FloatType, relaxed: boolean): Func {
  return module.func([I32, I32, I32, I32, I32, I32, I32, I32], [], (f, k, n, v, vStep, mat, row, y, beta) => {
    const e = new Emitter(f, dtype, relaxed)
    const acc = f.locals(V128, 8)
    const x = f.local(V128)
    const [p, q, i] = f.locals(I32, 3) as [Local, Local, Local]
    const sum = f.local(e.double ? F64 : F32)
    const overK = (body: () => void): void => {
      f.set(p, f.get(mat))
      f.set(q, f.get(v))
      f.set(i, f.get(k))
      f.loop((again) => {
        body()
        e.bump(p, row)
        e.bump(q, vStep)
        f.br_if(again, f.tee(i, f.i32.sub(f.get(i), f.i32.const(1))))
      })
    }
    for (const vectors of [8, 2, 1]) {
      f.while(() => f.i32.ge_u(f.get(n), f.i32.const(vectors * e.lanes)), () => {
        for (let j = 0; j < vectors; j++) f.set(acc[j]!, f.f64x2.const(0))
        overK(() => {
          f.set(x, e.loadSplat(f.get(q)))
          for (let j = 0; j < vectors; j++) e.madd(acc[j]!, () => f.get(x), () => f.v128.load(f.get(p), 16 * j))
        })
        f.if(f.get(beta), () => {
          for (let j = 0; j < vectors; j++) f.set(acc[j]!, e.add(f.get(acc[j]!), f.v128.load(f.get(y), 16 * j)))
        })
        for (let j = 0; j < vectors; j++) f.v128.store(f.get(y), f.get(acc[j]!), 16 * j)
        e.bump(mat, 16 * vectors)
        e.bump(y, 16 * vectors)
        e.bump(n, -vectors * e.lanes)
      })
    }
    f.while(() => f.get(n), () => {
      f.set(sum, e.double ? f.f64.const(0) : f.f32.const(0))
      overK(() => f.set(sum, e.scalarAdd(f.get(sum), e.scalarMul(e.load(f.get(q)), e.load(f.get(p))))))
      f.if(f.get(beta), () => f.set(sum, e.scalarAdd(f.get(sum), e.load(f.get(y)))))
      e.store(f.get(y), f.get(sum))
      e.bump(mat, e.width)
      e.bump(y, e.width)
      e.bump(n, -1)
    })
  })
}

/** y[j] = (or +=) Σ v[k]·M[k, j] where v and M have unit stride along k: dot products, four at a time. */
function dotRows(module: ModuleBuilder, dtype: FloatType, relaxed: boolean): Func {
  return module.func([I32, I32, I32, I32, I32, I32, I32], [], (f, k, n, v, mat, column, y, beta) => {
    const e = new Emitter(f, dtype, relaxed)
    const scalar = e.double ? F64 : F32
    const [q, i] = f.locals(I32, 2) as [Local, Local]
    const x = f.locals(V128, 2)
    for (const columns of [4, 1]) {
      const p = f.locals(I32, columns)
      const acc = f.locals(V128, columns * 2)
      const sums = f.locals(scalar, columns)
      f.while(() => f.i32.ge_u(f.get(n), f.i32.const(columns)), () => {
        for (const a of acc) f.set(a, f.f64x2.const(0))
        f.set(q, f.get(v))
        f.set(i, f.get(k))
        for (let j = 0; j < columns; j++) f.set(p[j]!, j === 0 ? f.get(mat) : f.i32.add(f.get(p[j - 1]!), f.get(column)))
        for (const vectors of [2, 1]) {
          f.while(() => f.i32.ge_u(f.get(i), f.i32.const(vectors * e.lanes)), () => {
            for (let u = 0; u < vectors; u++) {
              f.set(x[u]!, f.v128.load(f.get(q), 16 * u))
              for (let j = 0; j < columns; j++) e.madd(acc[2 * j + u]!, () => f.get(x[u]!), () => f.v128.load(f.get(p[j]!), 16 * u))
            }
            for (const pointer of [q, ...p]) e.bump(pointer, 16 * vectors)
            e.bump(i, -vectors * e.lanes)
          })
        }
        for (let j = 0; j < columns; j++) {
          f.set(acc[2 * j]!, e.add(f.get(acc[2 * j]!), f.get(acc[2 * j + 1]!)))
          f.set(sums[j]!, e.sum(acc[2 * j]!))
        }
        f.while(() => f.get(i), () => {
          for (let j = 0; j < columns; j++) {
            f.set(sums[j]!, e.scalarAdd(f.get(sums[j]!), e.scalarMul(e.load(f.get(q)), e.load(f.get(p[j]!)))))
          }
          for (const pointer of [q, ...p]) e.bump(pointer, e.width)
          e.bump(i, -1)
        })
        for (let j = 0; j < columns; j++) {
          f.if(f.get(beta), () => f.set(sums[j]!, e.scalarAdd(f.get(sums[j]!), e.load(f.get(y), j * e.width))))
          e.store(f.get(y), f.get(sums[j]!), j * e.width)
        }
        f.set(mat, f.i32.add(f.get(mat), f.i32.mul(f.get(column), f.i32.const(columns))))
        e.bump(y, columns * e.width)
        e.bump(n, -columns)
      })
    }
  })
}

/** One product; strides in bytes, sizes all > 0. */
function product(module: ModuleBuilder, dtype: FloatType, relaxed: boolean): Func {
  const width = dtype === 'float32' ? 4 : 8
  const lanes = 16 / width
  const nr = 2 * lanes
  const panelTile = micro(module, dtype, relaxed, MR, 2, true)
  const direct = [1, 2].map((v) => Array.from({ length: MR }, (_, r) => micro(module, dtype, relaxed, r + 1, v, false)))
  const spillTile = spill(module, dtype)
  const packA = pack(module, dtype, MR)
  const packB = pack(module, dtype, nr)
  const rowsAdd = addRows(module, dtype, relaxed)
  const rowsDot = dotRows(module, dtype, relaxed)
  const params = [I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32] as const

  /** y = v·M, where `row` and `column` are M's byte strides; returns 0 if M has no unit stride. */
  const vectorProduct = module.func([I32, I32, I32, I32, I32, I32, I32, I32, I32, I32], [I32],
    (f, k, n, v, vStep, mat, row, column, y, beta, work) => {
      const e = new Emitter(f, dtype, relaxed)
      f.if(f.i32.eq(f.get(column), f.i32.const(width)), () => {
        f.call(rowsAdd, f.get(k), f.get(n), f.get(v), f.get(vStep), f.get(mat), f.get(row), f.get(y), f.get(beta))
        f.return(f.i32.const(1))
      })
      f.if(f.i32.eq(f.get(row), f.i32.const(width)), () => {
        f.if(f.i32.ne(f.get(vStep), f.i32.const(width)), () => {
          const i = f.local(I32)
          f.set(work, f.i32.add(f.get(work), f.i32.const(TILE)))
          e.range(i, k, 1, () => {
            e.store(e.at(work, i, width), e.load(f.get(v)))
            e.bump(v, vStep)
          })
          f.set(v, f.get(work))
        })
        f.call(rowsDot, f.get(k), f.get(n), f.get(v), f.get(mat), f.get(column), f.get(y), f.get(beta))
        f.return(f.i32.const(1))
      })
      f.i32.const(0)
    })

  return module.func(params, [], (f, m, n, k, a, aRow, aCol, b, bRow, bCol, c, accumulate, work) => {
    const e = new Emitter(f, dtype, relaxed)
    const local = (): Local => f.local(I32)
    f.if(f.i32.eq(f.get(m), f.i32.const(1)), () => {
      f.call(vectorProduct, f.get(k), f.get(n), f.get(a), f.get(aCol), f.get(b), f.get(bRow), f.get(bCol), f.get(c), f.get(accumulate), f.get(work))
      f.if(undefined, () => f.return())
    })
    f.if(f.i32.eq(f.get(n), f.i32.const(1)), () => {
      f.call(vectorProduct, f.get(k), f.get(m), f.get(b), f.get(bRow), f.get(a), f.get(aCol), f.get(aRow), f.get(c), f.get(accumulate), f.get(work))
      f.if(undefined, () => f.return())
    })

    /** The size of equal blocks, a multiple of `step`, that cut `size` into as few as blocks of `most` would. */
    const even = (size: Local, most: number, step: number): Local => {
      const blocks = f.let(I32, f.i32.div_u(f.i32.add(f.get(size), f.i32.const(most - 1)), f.i32.const(most)))
      f.i32.div_u(f.i32.add(f.get(size), f.i32.sub(f.get(blocks), f.i32.const(1))), f.get(blocks))
      if (step > 1) f.i32.mul(f.i32.div_u(f.i32.add(undefined, f.i32.const(step - 1)), f.i32.const(step)), f.i32.const(step))
      return f.let(I32)
    }
    const kBlock = even(k, KC, 1)
    const mBlock = even(m, MC, MR)
    const nBlock = even(n, NC, nr)
    const cRow = f.let(I32, f.i32.mul(f.get(n), f.i32.const(width)))
    const big = f.let(I32, f.i32.gt_u(f.get(n), f.i32.const(PACK_A_COLUMNS)))
    const inPlace = f.let(I32, f.i32.and(
      f.i32.eq(f.get(bCol), f.i32.const(width)),
      f.i32.or(
        f.i32.le_u(f.get(m), f.i32.const(PACK_B_ROWS)),
        f.i32.le_u(f.i32.mul(f.get(k), f.get(cRow)), f.i32.const(PACK_B_BYTES)))))
    f.if(f.i32.eqz(f.get(big)), () => f.set(mBlock, f.get(m)))

    const bPack = f.let(I32, f.i32.add(f.get(work), f.i32.const(TILE)))
    const aPack = f.let(I32, f.i32.add(f.get(bPack), f.i32.mul(f.i32.mul(f.get(nBlock), f.get(kBlock)), f.i32.const(width))))
    const [jc, nc, pc, kc, ic, mc, j, i, rows, cols, beta] = Array.from({ length: 11 }, local) as
      [Local, Local, Local, Local, Local, Local, Local, Local, Local, Local, Local]
    const [aBlock, bBlock, cBlock, bPanel, bStep, aTile, cTile, two] = Array.from({ length: 8 }, local) as
      [Local, Local, Local, Local, Local, Local, Local, Local]
    const part = (to: Local, size: Local, at: Local, most: () => Emitted): void => {
      f.set(to, e.min(() => f.i32.sub(f.get(size), f.get(at)), most))
    }

    const tile = (): void => {
      part(rows, mc, i, () => f.i32.const(MR))
      f.set(cTile, f.i32.add(e.at(cBlock, i, cRow), f.i32.mul(f.get(j), f.i32.const(width))))
      f.if(f.i32.and(f.get(big), f.i32.and(f.i32.eq(f.get(rows), f.i32.const(MR)), f.i32.eq(f.get(cols), f.i32.const(nr)))), () => {
        f.set(aTile, f.i32.add(f.get(aPack), f.i32.mul(f.i32.mul(f.get(i), f.get(kc)), f.i32.const(width))))
        f.call(panelTile, f.get(aTile), f.i32.const(0), f.i32.const(0), f.get(bPanel), f.get(bStep), f.get(kc), f.get(cTile), f.get(cRow), f.get(beta))
      }, () => {
        f.set(aTile, e.at(aBlock, i, aRow))
        f.set(two, f.i32.gt_u(f.get(cols), f.i32.const(lanes)))
        const run = (to: Local, toRow: () => Emitted, add: () => Emitted): void => {
          f.block((done) => {
            for (let r = MR; r >= 1; r--) {
              const call = (func: Func): void =>
                f.call(func, f.get(aTile), f.get(aRow), f.get(aCol), f.get(bPanel), f.get(bStep), f.get(kc), f.get(to), toRow(), add())
              f.if(f.i32.eq(f.get(rows), f.i32.const(r)), () => {
                f.if(f.get(two), () => call(direct[1]![r - 1]!), () => call(direct[0]![r - 1]!))
                f.br(done)
              })
            }
          })
        }
        f.if(f.i32.and(f.get(cols), f.i32.const(lanes - 1)), () => {
          run(work, () => f.i32.const(32), () => f.i32.const(0))
          f.call(spillTile, f.get(work), f.i32.const(32), f.get(cTile), f.get(cRow), f.get(rows), f.get(cols), f.get(beta))
        }, () => run(cTile, () => f.get(cRow), () => f.get(beta)))
      })
    }

    e.range(jc, n, nBlock, () => {
      part(nc, n, jc, () => f.get(nBlock))
      e.range(pc, k, kBlock, () => {
        part(kc, k, pc, () => f.get(kBlock))
        f.set(beta, f.i32.or(f.get(accumulate), f.i32.gt_u(f.get(pc), f.i32.const(0))))
        f.set(bBlock, f.i32.add(e.at(b, pc, bRow), f.i32.mul(f.get(jc), f.get(bCol))))
        f.if(f.get(inPlace), () => {
          // Only the columns of an incomplete last panel, so that nothing is read past them.
          f.set(cols, f.i32.and(f.get(nc), f.i32.const(nr - 1)))
          f.set(j, f.i32.sub(f.get(nc), f.get(cols)))
          f.call(packB, e.at(bBlock, j, bCol), f.get(bCol), f.get(bRow), f.get(cols), f.get(kc), f.get(bPack))
        }, () => f.call(packB, f.get(bBlock), f.get(bCol), f.get(bRow), f.get(nc), f.get(kc), f.get(bPack)))
        e.range(ic, m, mBlock, () => {
          part(mc, m, ic, () => f.get(mBlock))
          f.set(aBlock, f.i32.add(e.at(a, ic, aRow), f.i32.mul(f.get(pc), f.get(aCol))))
          f.set(cBlock, f.i32.add(e.at(c, ic, cRow), f.i32.mul(f.get(jc), f.i32.const(width))))
          f.if(f.get(big), () => {
            f.call(packA, f.get(aBlock), f.get(aRow), f.get(aCol), f.i32.sub(f.get(mc), f.i32.rem_u(f.get(mc), f.i32.const(MR))), f.get(kc), f.get(aPack))
          })
          e.range(j, nc, nr, () => {
            part(cols, nc, j, () => f.i32.const(nr))
            f.set(bPanel, f.get(bPack))
            f.set(bStep, f.i32.const(32))
            f.if(f.get(inPlace),
              () => f.if(f.i32.eq(f.get(cols), f.i32.const(nr)), () => {
                f.set(bPanel, e.at(bBlock, j, bCol))
                f.set(bStep, f.get(bRow))
              }),
              () => f.set(bPanel, f.i32.add(f.get(bPack), f.i32.mul(f.i32.mul(f.get(j), f.get(kc)), f.i32.const(width)))))
            e.range(i, mc, MR, tile)
          })
        })
      })
    })
  })
}

function writeGemm(module: ModuleBuilder, dtype: FloatType, relaxed: boolean): void {
  const one = product(module, dtype, relaxed)
  const params = [I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32] as const
  module.func(params, [], (f, batch, m, n, k, a, aBatch, aRow, aCol, b, bBatch, bRow, bCol, c, cBatch, accumulate, work) => {
    const e = new Emitter(f, dtype, relaxed)
    // One B for matrices of A that follow each other: their rows are one tall matrix.
    f.if(
      f.i32.and(
        f.i32.and(f.i32.eqz(f.get(bBatch)), f.i32.eq(f.get(aBatch), f.i32.mul(f.get(m), f.get(aRow)))),
        f.i32.eq(f.get(cBatch), f.i32.mul(f.get(m), f.get(n)))),
      () => {
        f.set(m, f.i32.mul(f.get(m), f.get(batch)))
        f.set(batch, f.i32.ne(f.get(batch), f.i32.const(0)))
      })
    f.if(f.i32.or(f.i32.eqz(f.get(m)), f.i32.eqz(f.get(n))), () => f.return())
    for (const stride of [aBatch, aRow, aCol, bBatch, bRow, bCol, cBatch]) {
      f.set(stride, f.i32.mul(f.get(stride), f.i32.const(e.width)))
    }
    f.while(() => f.get(batch), () => {
      f.if(f.get(k),
        () => f.call(one, f.get(m), f.get(n), f.get(k), f.get(a), f.get(aRow), f.get(aCol), f.get(b), f.get(bRow), f.get(bCol),
          f.get(c), f.get(accumulate), f.get(work)),
        () => f.if(f.i32.eqz(f.get(accumulate)),
          () => f.memoryFill(f.get(c), f.i32.const(0), f.i32.mul(f.i32.mul(f.get(m), f.get(n)), f.i32.const(e.width)))))
      e.bump(a, aBatch)
      e.bump(b, bBatch)
      e.bump(c, cBatch)
      e.bump(batch, -1)
    })
  }, 'gemm')
}
