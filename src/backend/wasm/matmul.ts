/**
 * Matrix products in WebAssembly: a blocked GEMM over packed panels, a direct path for small or skinny sizes, and
 * matrix-vector products, for operands with any strides.
 */
import type { FloatType, LinearMemory, MatmulKernel } from '../backend.ts'
import { type Emitted, F32, F64, type Func, I32, instantiate, type Local, type ModuleBuilder, moduleFor, V128 } from './assembler.ts'
import { Emitter } from './emitter.ts'
import { pack } from './pack.ts'
import { addRows, dotRows } from './vectorProduct.ts'

/** Rows of a register tile. Six rows of two vectors are twelve accumulators: with two of B and one of A they fill 16 registers. */
const MR = 6
/** Depth of a block, and of one in which long rows of B are read in place, each on a page of its own. */
const KC = 256
const KC_PLACE = 64
const LONG_ROW = 1024
/** Rows of a block of A, a panel of which stays in the first-level cache. */
const MC = 96
/** Columns of a block of B, which stays in the second-level cache. */
const NC = 512
/** `start` of a product that is added to C. */
const KEEP = 1
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

/**
 * A register tile: C[rows, 2 or 1 vectors] = A·B over k, with byte strides, plus what stands at `d` unless that is 0. In a
 * `panel` A is packed (`aRow` and `aCol` are not used).
 */
function micro(module: ModuleBuilder, dtype: FloatType, relaxed: boolean, rows: number, vectors: number, panel: boolean): Func {
  return module.func([I32, I32, I32, I32, I32, I32, I32, I32, I32, I32], [], (f, a, aRow, aCol, b, bRow, k, c, cRow, d, dRow) => {
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
    const store = (add: boolean): void => {
      for (let r = 0; r < rows; r++) {
        for (let v = 0; v < vectors; v++) {
          const sum = acc[r * vectors + v]!
          f.get(c)
          if (add) e.add(f.v128.load(f.get(d), 16 * v), f.get(sum))
          else f.get(sum)
          f.v128.store(16 * v)
        }
        if (r === rows - 1) break
        e.bump(c, cRow)
        if (add) e.bump(d, dRow)
      }
    }
    f.if(f.get(d), () => store(true), () => store(false))
  })
}

/** C = the used part of an edge tile, rows of `step` bytes, plus what stands at `d` unless that is 0. */
function spill(module: ModuleBuilder, dtype: FloatType): Func {
  return module.func([I32, I32, I32, I32, I32, I32, I32, I32], [], (f, tile, step, c, cRow, rows, cols, d, dRow) => {
    const e = new Emitter(f, dtype, false)
    const j = f.local(I32)
    const bytes = f.let(I32, f.i32.mul(f.get(cols), f.i32.const(e.width)))
    f.while(() => f.get(rows), () => {
      e.range(j, bytes, e.width, () => {
        const from = (): Emitted => e.load(f.i32.add(f.get(tile), f.get(j)))
        f.i32.add(f.get(c), f.get(j))
        f.if(f.get(d), () => e.scalarAdd(e.load(f.i32.add(f.get(d), f.get(j))), from()), () => from(), e.double ? F64 : F32)
        e.store()
      })
      e.bump(tile, step)
      e.bump(c, cRow)
      e.bump(d, dRow)
      e.bump(rows, -1)
    })
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

  /** y = v·M (plus what stands at `d`, unless 0), where `row` and `column` are M's byte strides; returns 0 if M has no unit stride. */
  const vectorProduct = module.func([I32, I32, I32, I32, I32, I32, I32, I32, I32, I32], [I32],
    (f, k, n, v, vStep, mat, row, column, y, d, work) => {
      const e = new Emitter(f, dtype, relaxed)
      f.if(f.i32.eq(f.get(column), f.i32.const(width)), () => {
        f.call(rowsAdd, f.get(k), f.get(n), f.get(v), f.get(vStep), f.get(mat), f.get(row), f.get(y), f.get(d))
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
        f.call(rowsDot, f.get(k), f.get(n), f.get(v), f.get(mat), f.get(column), f.get(y), f.get(d))
        f.return(f.i32.const(1))
      })
      f.i32.const(0)
    })

  return module.func(params, [], (f, m, n, k, a, aRow, aCol, b, bRow, bCol, c, start, work) => {
    const e = new Emitter(f, dtype, relaxed)
    const local = (): Local => f.local(I32)
    const i = local()
    const keep = f.let(I32, f.i32.eq(f.get(start), f.i32.const(KEEP)))
    /** Where a vector product starts from. */
    const from = (): Emitted => f.select(f.get(c), f.get(start), f.get(keep))
    f.if(f.i32.eq(f.get(m), f.i32.const(1)), () => {
      f.call(vectorProduct, f.get(k), f.get(n), f.get(a), f.get(aCol), f.get(b), f.get(bRow), f.get(bCol), f.get(c), from(), f.get(work))
      f.if(undefined, () => f.return())
    })
    f.if(f.i32.eq(f.get(n), f.i32.const(1)), () => {
      f.if(f.i32.gt_u(f.get(start), f.i32.const(KEEP)), () => {
        e.range(i, m, 1, () => e.store(e.at(c, i, width), e.load(f.get(start))))
        f.set(start, f.i32.const(KEEP))
        f.set(keep, f.i32.const(1))
      })
      f.call(vectorProduct, f.get(k), f.get(m), f.get(b), f.get(bRow), f.get(a), f.get(aCol), f.get(aRow), f.get(c), from(), f.get(work))
      f.if(undefined, () => f.return())
    })

    /** The size of equal blocks, multiples of `step`, that cut `size` into as few as blocks of `most` would; or `size`, if it is one. */
    const even = (size: Local, most: number, step: number): Local => {
      const block = f.let(I32, f.get(size))
      f.if(f.i32.gt_u(f.get(size), f.i32.const(most)), () => {
        const blocks = f.let(I32, f.i32.div_u(f.i32.add(f.get(size), f.i32.const(most - 1)), f.i32.const(most)))
        f.i32.div_u(f.i32.add(f.get(size), f.i32.sub(f.get(blocks), f.i32.const(1))), f.get(blocks))
        if (step > 1) f.i32.mul(f.i32.div_u(f.i32.add(undefined, f.i32.const(step - 1)), f.i32.const(step)), f.i32.const(step))
        f.set(block)
      })
      return block
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
    f.if(f.i32.and(f.get(inPlace), f.i32.gt_u(f.get(cRow), f.i32.const(LONG_ROW))), () => f.set(kBlock, f.get(even(k, KC_PLACE, 1))))

    const bPack = f.let(I32, f.i32.add(f.get(work), f.i32.const(TILE)))
    const aPack = f.let(I32, f.i32.add(f.get(bPack), f.i32.mul(
      f.i32.and(f.i32.add(f.get(nBlock), f.i32.const(nr - 1)), f.i32.const(-nr)),
      f.i32.mul(f.get(kBlock), f.i32.const(width)))))
    const [jc, nc, pc, kc, ic, mc, j, rows, cols, line, d, dRow] = Array.from({ length: 12 }, local) as
      [Local, Local, Local, Local, Local, Local, Local, Local, Local, Local, Local, Local]
    const [aBlock, bBlock, cBlock, bPanel, bNext, bStep, aTile, aRows, cTile, two, packed] = Array.from({ length: 11 }, local) as
      [Local, Local, Local, Local, Local, Local, Local, Local, Local, Local, Local]
    const part = (to: Local, size: Local, at: Local, most: () => Emitted): void => {
      f.set(to, e.min(() => f.i32.sub(f.get(size), f.get(at)), most))
    }

    const tile = (): void => {
      f.set(d, f.select(f.get(cTile), f.get(line), f.get(keep)))
      f.if(f.i32.and(f.get(packed), f.i32.eq(f.get(cols), f.i32.const(nr))), () => {
        f.call(panelTile, f.get(aTile), f.i32.const(0), f.i32.const(0), f.get(bPanel), f.get(bStep), f.get(kc), f.get(cTile), f.get(cRow), f.get(d), f.get(dRow))
      }, () => {
        f.set(two, f.i32.gt_u(f.get(cols), f.i32.const(lanes)))
        const run = (to: Local, toRow: () => Emitted, plus: () => Emitted): void => {
          f.block((done) => {
            for (let r = MR; r >= 1; r--) {
              const call = (func: Func): void =>
                f.call(func, f.get(aRows), f.get(aRow), f.get(aCol), f.get(bPanel), f.get(bStep), f.get(kc), f.get(to), toRow(), plus(), f.get(dRow))
              f.if(f.i32.eq(f.get(rows), f.i32.const(r)), () => {
                f.if(f.get(two), () => call(direct[1]![r - 1]!), () => call(direct[0]![r - 1]!))
                f.br(done)
              })
            }
          })
        }
        f.if(f.i32.and(f.get(cols), f.i32.const(lanes - 1)), () => {
          run(work, () => f.i32.const(32), () => f.i32.const(0))
          f.call(spillTile, f.get(work), f.i32.const(32), f.get(cTile), f.get(cRow), f.get(rows), f.get(cols), f.get(d), f.get(dRow))
        }, () => run(cTile, () => f.get(cRow), () => f.get(d)))
      })
    }

    e.range(jc, n, nBlock, () => {
      part(nc, n, jc, () => f.get(nBlock))
      e.range(pc, k, kBlock, () => {
        part(kc, k, pc, () => f.get(kBlock))
        // After the first block of k, what C starts from is in C.
        f.set(keep, f.i32.or(f.i32.eq(f.get(start), f.i32.const(KEEP)), f.i32.gt_u(f.get(pc), f.i32.const(0))))
        f.set(dRow, f.select(f.get(cRow), f.i32.const(0), f.get(keep)))
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
          // Along rows of C: its lines are used up, and its pages stay known.
          e.range(i, mc, MR, () => {
            part(rows, mc, i, () => f.i32.const(MR))
            f.set(packed, f.i32.and(f.get(big), f.i32.eq(f.get(rows), f.i32.const(MR))))
            f.if(f.get(packed), () =>
              f.set(aTile, f.i32.add(f.get(aPack), f.i32.mul(f.i32.mul(f.get(i), f.get(kc)), f.i32.const(width)))))
            f.set(aRows, e.at(aBlock, i, aRow))
            f.set(cTile, e.at(cBlock, i, cRow))
            f.set(line, f.select(e.at(start, jc, width), f.i32.const(0), f.get(start)))
            f.set(bNext, f.get(bPack))
            e.range(j, nc, nr, () => {
              part(cols, nc, j, () => f.i32.const(nr))
              f.set(bPanel, f.get(bNext))
              f.set(bStep, f.i32.const(32))
              f.if(f.get(inPlace),
                () => f.if(f.i32.eq(f.get(cols), f.i32.const(nr)), () => {
                  f.set(bPanel, e.at(bBlock, j, bCol))
                  f.set(bStep, f.get(bRow))
                }),
                () => f.set(bNext, e.at(bNext, kc, 32)))
              tile()
              e.bump(cTile, 32)
              f.if(f.get(line), () => e.bump(line, 32))
            })
          })
        })
      })
    })
  })
}

function writeGemm(module: ModuleBuilder, dtype: FloatType, relaxed: boolean): void {
  const one = product(module, dtype, relaxed)
  const params = [I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32] as const
  module.func(params, [], (f, batch, m, n, k, a, aBatch, aRow, aCol, b, bBatch, bRow, bCol, c, cBatch, start, work) => {
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
    const i = f.local(I32)
    const row = f.let(I32, f.i32.mul(f.get(n), f.i32.const(e.width)))
    f.while(() => f.get(batch), () => {
      f.if(f.get(k),
        () => f.call(one, f.get(m), f.get(n), f.get(k), f.get(a), f.get(aRow), f.get(aCol), f.get(b), f.get(bRow), f.get(bCol),
          f.get(c), f.get(start), f.get(work)),
        () => f.if(f.i32.ne(f.get(start), f.i32.const(KEEP)), () => {
          e.range(i, m, 1, () => {
            f.if(f.get(start),
              () => f.memoryCopy(e.at(c, i, row), f.get(start), f.get(row)),
              () => f.memoryFill(e.at(c, i, row), f.i32.const(0), f.get(row)))
          })
        }))
      e.bump(a, aBatch)
      e.bump(b, bBatch)
      e.bump(c, cBatch)
      e.bump(batch, -1)
    })
  }, 'gemm')
}
