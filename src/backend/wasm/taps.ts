/** Products with a matrix whose rows are shifted pieces of images ("taps"), read where they are: convolutions without columns. */
import {
  type DotTapsKernel,
  type FloatType,
  type LinearMemory,
  type MultiplyTapsKernel,
  type PackTapsKernel,
  TAP_PIXELS,
  TAP_TILE,
} from '../backend.ts'
import { type Body, type Emitted, type Func, I32, instantiate, type Local, type ModuleBuilder, moduleFor, V128 } from './assembler.ts'
import { Emitter } from './emitter.ts'

/** Rows of a register tile of two vectors. */
const ROWS = 6
/** Taps whose products are summed in registers; the sums of such blocks are added in memory, as in other products. */
const DEPTH = 384
/** Calls the function for `height` rows, 1 … ROWS. */
function byHeight(f: Body, height: Local, functions: readonly Func[], operands: () => Emitted[]): void {
  f.block((done) => {
    for (let h = ROWS; h >= 1; h--) {
      f.if(f.i32.eq(f.get(height), f.i32.const(h)), () => {
        f.call(functions[h - 1]!, ...operands())
        f.br(done)
      })
    }
  })
}

const heights = (make: (rows: number) => Func): Func[] => Array.from({ length: ROWS }, (_, r) => make(r + 1))

/** Compiles the kernel that lays out weights as panels. */
export function compilePackTaps(memory: LinearMemory, dtype: FloatType): PackTapsKernel {
  const module = moduleFor(memory.memory)
  module.func([I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32], [], (f, m, k, a, aRow, aTable, bTable, tall, height, bias, to, biasTo) => {
    const e = new Emitter(f, dtype, false)
    const [tile, done, h, i, p, r, line] = f.locals(I32, 7) as [Local, Local, Local, Local, Local, Local, Local]
    const v = f.local(V128)
    f.while(() => f.i32.lt_u(f.get(done), f.get(m)), () => {
      f.set(h, f.i32.sub(f.get(height), f.i32.ge_u(f.get(tile), f.get(tall))))
      f.set(line, e.at(a, done, aRow))
      e.range(i, k, 1, () => {
        f.i32.store(f.get(to), f.i32.load(e.at(bTable, i, 4)))
        e.bump(to, 4)
        f.set(p, f.i32.add(f.get(line), f.i32.load(e.at(aTable, i, 4))))
        e.range(r, h, 1, () => {
          e.store(f.get(to), e.load(f.get(p)))
          e.bump(to, e.width)
          e.bump(p, aRow)
        })
      })
      e.bump(done, h)
      e.bump(tile, 1)
    })
    f.if(f.get(bias), () => {
      e.range(i, m, 1, () => {
        f.set(v, e.loadSplat(e.at(bias, i, e.width)))
        for (const half of [0, 16]) f.v128.store(f.get(biasTo), f.get(v), half)
        e.bump(biasTo, 32)
      })
    })
  }, 'run')
  return instantiate(module.encode(), memory.memory)['run'] as unknown as PackTapsKernel
}

/**
 * C[rows, two vectors] = panel·B, plus what stands at `d` (32 bytes a row) unless that is 0. If they are `neighbours` in B, b1 is
 * not used, which is faster.
 */
function multiplyTile(module: ModuleBuilder, dtype: FloatType, relaxed: boolean, rows: number, neighbours: boolean): Func {
  return module.func([I32, I32, I32, I32, I32, I32, I32, I32], [], (f, panel, k, b0, b1, c0, c1, cRow, d) => {
    const e = new Emitter(f, dtype, relaxed)
    const acc = f.locals(V128, rows * 2)
    const [y0, y1, x] = f.locals(V128, 3) as [Local, Local, Local]
    const p = f.local(I32)
    f.set(b1, f.i32.sub(f.get(b1), f.get(b0)))
    // The same form as the tiles of other products have, for the same reasons.
    f.while(() => f.i32.ge_u(f.get(k), f.i32.const(1)), () => {
      f.set(p, f.i32.add(f.get(b0), f.i32.load(f.get(panel))))
      f.set(y0, f.v128.load(f.get(p)))
      f.set(y1, neighbours ? f.v128.load(f.get(p), 16) : f.v128.load(f.i32.add(f.get(p), f.get(b1))))
      for (let r = 0; r < rows; r++) {
        f.set(x, e.loadSplat(f.get(panel), 4 + r * e.width))
        e.madd(acc[2 * r]!, () => f.get(x), () => f.get(y0))
        e.madd(acc[2 * r + 1]!, () => f.get(x), () => f.get(y1))
      }
      e.bump(panel, 4 + rows * e.width)
      e.bump(k, -1)
    })
    const store = (add: boolean): void => {
      acc.forEach((sum, i) => {
        const c = i % 2 === 0 ? c0 : c1
        f.get(c)
        if (add) e.add(f.v128.load(f.get(d), 16 * i), f.get(sum))
        else f.get(sum)
        f.v128.store(0)
        e.bump(c, cRow)
      })
    }
    f.if(f.get(d), () => store(true), () => store(false))
  })
}

/** The first `count` elements of vectors 32 bytes apart, one for each row of C, where elements lie `cCol` bytes apart. */
function scatter(module: ModuleBuilder, dtype: FloatType): Func {
  return module.func([I32, I32, I32, I32, I32, I32], [], (f, tile, rows, c, cRow, cCol, count) => {
    const e = new Emitter(f, dtype, false)
    const [p, i] = f.locals(I32, 2) as [Local, Local]
    const v = f.local(V128)
    f.while(() => f.get(rows), () => {
      f.set(p, f.get(c))
      f.if(f.i32.eq(f.get(count), f.i32.const(e.lanes)), () => {
        f.set(v, f.v128.load(f.get(tile)))
        for (let lane = 0; lane < e.lanes; lane++) {
          if (e.double) f.v128.store64_lane(f.get(p), f.get(v), 0, lane)
          else f.v128.store32_lane(f.get(p), f.get(v), 0, lane)
          e.bump(p, cCol)
        }
      }, () => e.range(i, count, 1, () => {
        e.store(f.get(p), e.load(e.at(tile, i, e.width)))
        e.bump(p, cCol)
      }))
      e.bump(tile, 32)
      e.bump(c, cRow)
      e.bump(rows, -1)
    })
  })
}

/** Compiles the product of panels with images. */
export function compileMultiplyTaps(memory: LinearMemory, dtype: FloatType, relaxed: boolean): MultiplyTapsKernel {
  const module = moduleFor(memory.memory)
  const [tiles, apart] = [true, false].map((neighbours) => heights((rows) => multiplyTile(module, dtype, relaxed, rows, neighbours)))
  const spill = scatter(module, dtype)
  module.func(
    [I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32],
    [],
    (f, images, m, k, tall, height, panels, start, b, bImage, bLine, rows, cols, c, cImage, cRow, cLine, cCol, work) => {
      const e = new Emitter(f, dtype, relaxed)
      const local = (): Local => f.local(I32)
      const [left, x, bl, cl] = [local(), local(), local(), local()]
      const [b0, c0, n0, b1, c1, n1] = f.locals(I32, 6) as [Local, Local, Local, Local, Local, Local]
      const [panel, done, tile, h, d, rest, depth, whole, direct] = f.locals(I32, 9) as
        [Local, Local, Local, Local, Local, Local, Local, Local, Local]
      /** The next vector of pixels of the map. */
      const next = (bTo: Local, cTo: Local, nTo: Local): void => {
        f.set(bTo, e.at(bl, x, e.width))
        f.set(cTo, e.at(cl, x, cCol))
        f.set(nTo, e.min(() => f.i32.const(e.lanes), () => f.i32.sub(f.get(cols), f.get(x))))
        e.bump(x, e.lanes)
        f.if(f.i32.ge_u(f.get(x), f.get(cols)), () => {
          f.set(x, f.i32.const(0))
          e.bump(bl, bLine)
          e.bump(cl, cLine)
          e.bump(left, -1)
        })
      }
      const either = (direct_: Local, to: Local, offset: number): Emitted =>
        f.select(f.get(to), f.i32.add(f.get(work), f.i32.const(offset)), f.get(direct_))
      f.while(() => f.get(images), () => {
        f.set(left, f.get(rows))
        f.set(x, f.i32.const(0))
        f.set(bl, f.get(b))
        f.set(cl, f.get(c))
        f.while(() => f.get(left), () => {
          next(b0, c0, n0)
          f.set(n1, f.i32.const(0))
          f.if(f.get(left), () => next(b1, c1, n1), () => f.set(b1, f.get(b0)))
          f.set(whole, f.i32.and(
            f.i32.eq(f.i32.add(f.get(n0), f.get(n1)), f.i32.const(2 * e.lanes)),
            f.i32.eq(f.get(cCol), f.i32.const(e.width))))
          f.set(panel, f.get(panels))
          f.set(tile, f.i32.const(0))
          f.set(done, f.i32.const(0))
          f.while(() => f.i32.lt_u(f.get(done), f.get(m)), () => {
            f.set(h, f.i32.sub(f.get(height), f.i32.ge_u(f.get(tile), f.get(tall))))
            f.set(rest, f.get(k))
            f.set(d, f.select(e.at(start, done, 32), f.i32.const(0), f.get(start)))
            f.loop((again) => {
              f.set(depth, e.min(() => f.get(rest), () => f.i32.const(DEPTH)))
              f.set(rest, f.i32.sub(f.get(rest), f.get(depth)))
              f.set(direct, f.i32.and(f.get(whole), f.i32.eqz(f.get(rest))))
              const operands = (): Emitted[] => [
                f.get(panel), f.get(depth), f.get(b0), f.get(b1), either(direct, c0, 0), either(direct, c1, 16),
                f.select(f.get(cRow), f.i32.const(32), f.get(direct)), f.get(d),
              ]
              f.if(f.i32.eq(f.i32.sub(f.get(b1), f.get(b0)), f.i32.const(16)),
                () => byHeight(f, h, tiles!, operands),
                () => byHeight(f, h, apart!, operands))
              f.set(panel, f.i32.add(f.get(panel), f.i32.mul(f.get(depth), f.i32.add(f.i32.const(4), f.i32.mul(f.get(h), f.i32.const(e.width))))))
              f.set(d, f.get(work))
              f.br_if(again, f.get(rest))
            })
            f.if(f.i32.eqz(f.get(whole)), () => {
              f.call(spill, f.get(work), f.get(h), f.get(c0), f.get(cRow), f.get(cCol), f.get(n0))
              f.if(f.get(n1), () =>
                f.call(spill, f.i32.add(f.get(work), f.i32.const(16)), f.get(h), f.get(c1), f.get(cRow), f.get(cCol), f.get(n1)))
            })
            for (const to of [c0, c1]) f.set(to, e.at(to, h, cRow))
            e.bump(done, h)
            e.bump(tile, 1)
          })
        })
        e.bump(b, bImage)
        e.bump(c, cImage)
        e.bump(images, -1)
      })
    },
    'run',
  )
  return instantiate(module.encode(), memory.memory)['run'] as unknown as MultiplyTapsKernel
}

/** Elements that a step of a sum over pixels takes: whole vectors, and what is left at the end of a line, beside zeros. */
const steps = (dtype: FloatType): readonly number[] => (dtype === 'float32' ? [4, 2, 1] : [2, 1])

/**
 * tile[rows, two vectors] = A[row]·B[0 and 1], lane by lane, plus what stands at `d` unless that is 0. The table has the places of
 * k steps of `size` elements, in A and in B.
 */
function dotTile(module: ModuleBuilder, dtype: FloatType, relaxed: boolean, rows: number, size: number): Func {
  return module.func([I32, I32, I32, I32, I32, I32, I32, I32], [], (f, a, aRow, b0, b1, table, k, tile, d) => {
    const e = new Emitter(f, dtype, relaxed)
    const acc = f.locals(V128, rows * 2)
    const [y0, y1, x] = f.locals(V128, 3) as [Local, Local, Local]
    const p = f.local(I32)
    const load = (at: Emitted): Emitted => {
      const bytes = size * e.width
      return bytes === 16 ? f.v128.load(at) : bytes === 8 ? f.v128.load64_zero(at) : f.v128.load32_zero(at)
    }
    // One loop for all lines, and sums that are only stored behind it: else V8 runs out of registers, as it does in other tiles.
    f.while(() => f.i32.ge_u(f.get(k), f.i32.const(1)), () => {
      f.set(p, f.i32.load(f.get(table), 4))
      f.set(y0, load(f.i32.add(f.get(b0), f.get(p))))
      f.set(y1, load(f.i32.add(f.get(b1), f.get(p))))
      f.set(p, f.i32.add(f.get(a), f.i32.load(f.get(table))))
      for (let r = 0; r < rows; r++) {
        if (r > 0) e.bump(p, aRow)
        f.set(x, load(f.get(p)))
        e.madd(acc[2 * r]!, () => f.get(x), () => f.get(y0))
        e.madd(acc[2 * r + 1]!, () => f.get(x), () => f.get(y1))
      }
      e.bump(table, 8)
      e.bump(k, -1)
    })
    const store = (add: boolean): void => {
      acc.forEach((sum, i) => {
        f.get(tile)
        if (add) e.add(f.v128.load(f.get(d), 16 * i), f.get(sum))
        else f.get(sum)
        f.v128.store(16 * i)
      })
    }
    f.if(f.get(d), () => store(true), () => store(false))
  })
}

/** C[rows, one or two columns] += the sums of the vectors of a tile. */
function addSums(module: ModuleBuilder, dtype: FloatType): Func {
  return module.func([I32, I32, I32, I32, I32], [], (f, tile, rows, c, cRow, two) => {
    const e = new Emitter(f, dtype, false)
    const v = f.local(V128)
    const add = (column: number): void => {
      f.set(v, f.v128.load(f.get(tile), 16 * column))
      e.store(f.get(c), e.scalarAdd(e.load(f.get(c), column * e.width), e.sum(v)), column * e.width)
    }
    f.while(() => f.get(rows), () => {
      add(0)
      f.if(f.get(two), () => add(1))
      e.bump(tile, 32)
      e.bump(c, cRow)
      e.bump(rows, -1)
    })
  })
}

/** Compiles the product of maps with images along their pixels. */
export function compileDotTaps(memory: LinearMemory, dtype: FloatType, relaxed: boolean): DotTapsKernel {
  const module = moduleFor(memory.memory)
  const sizes = steps(dtype)
  const tiles = sizes.map((size) => heights((rows) => dotTile(module, dtype, relaxed, rows, size)))
  const finish = addSums(module, dtype)
  module.func(
    [I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32],
    [],
    (f, images, m, n, rows, cols, a, aImage, aRow, aLine, b, bImage, bLine, places, c, cRow, width, work) => {
      const e = new Emitter(f, dtype, relaxed)
      const [image, some, line, lines, column, wide, done, h, j, at, from, to, two, d, left] = f.locals(I32, 15) as
        [Local, Local, Local, Local, Local, Local, Local, Local, Local, Local, Local, Local, Local, Local, Local]
      const [i, y, x, aAt, bAt] = f.locals(I32, 5) as [Local, Local, Local, Local, Local]
      const ends = f.locals(I32, sizes.length)
      const tables = sizes.map((_, s) => f.let(I32, f.i32.add(f.get(work), f.i32.const(TAP_TILE + 8 * TAP_PIXELS * s))))
      /** How many things of this size, at least one, hold TAP_PIXELS. */
      const blocks = (size: Local): Emitted => {
        const count = f.let(I32, f.i32.div_u(f.i32.const(TAP_PIXELS), f.get(size)))
        f.select(f.get(count), f.i32.const(1), f.get(count))
      }
      const part = (size: Local, whole: Local, before: Local, most: () => Emitted): Emitted =>
        f.set(size, e.min(most, () => f.i32.sub(f.get(whole), f.get(before))))
      /** The tables of a block: the places of its steps, from its first pixels. */
      const write = (): void => {
        ends.forEach((end, s) => f.set(end, f.get(tables[s]!)))
        e.range(i, some, 1, () => {
          e.range(y, lines, 1, () => {
            f.set(x, f.get(wide))
            f.set(aAt, f.i32.add(f.i32.mul(f.get(i), f.get(aImage)), f.i32.mul(f.get(y), f.get(aLine))))
            f.set(bAt, f.i32.add(f.i32.mul(f.get(i), f.get(bImage)), f.i32.mul(f.get(y), f.get(bLine))))
            sizes.forEach((size, s) => {
              f.while(() => f.i32.ge_u(f.get(x), f.i32.const(size)), () => {
                f.i32.store(f.get(ends[s]!), f.get(aAt))
                f.i32.store(f.get(ends[s]!), f.get(bAt), 4)
                e.bump(ends[s]!, 8)
                for (const pointer of [aAt, bAt]) e.bump(pointer, size * e.width)
                e.bump(x, -size)
              })
            })
          })
        })
      }
      const pixels = f.let(I32, f.i32.mul(f.get(rows), f.get(cols)))
      const imageBlock = f.let(I32, blocks(pixels))
      const lineBlock = f.let(I32, blocks(cols))
      const columnBlock = f.let(I32, f.i32.const(TAP_PIXELS))
      const eachBlock = (body: () => void): void => {
        e.range(image, images, imageBlock, () => {
          part(some, images, image, () => f.get(imageBlock))
          e.range(line, rows, lineBlock, () => {
            part(lines, rows, line, () => f.get(lineBlock))
            e.range(column, cols, columnBlock, () => {
              part(wide, cols, column, () => f.get(columnBlock))
              body()
            })
          })
        })
      }
      eachBlock(() => {
        write()
        const first = (base: Local, byImage: Local, byLine: Local): Emitted =>
          f.i32.add(f.i32.add(e.at(base, image, byImage), f.i32.mul(f.get(line), f.get(byLine))), f.i32.mul(f.get(column), f.i32.const(e.width)))
        f.set(from, first(a, aImage, aLine))
        f.set(at, first(b, bImage, bLine))
        f.set(to, f.get(c))
        f.set(done, f.i32.const(0))
        f.while(() => f.i32.lt_u(f.get(done), f.get(m)), () => {
          // Tiles as equal as can be.
          f.set(left, f.i32.sub(f.get(m), f.get(done)))
          const count = (): Emitted => f.i32.div_u(f.i32.add(f.get(left), f.i32.const(ROWS - 1)), f.i32.const(ROWS))
          f.set(h, f.i32.div_u(f.i32.sub(f.i32.add(f.get(left), count()), f.i32.const(1)), count()))
          e.range(j, n, 2, () => {
            const place = (more: number): Emitted => f.i32.add(f.get(at), f.i32.load(e.at(places, j, 4), 4 * more))
            f.set(two, f.i32.lt_u(f.i32.add(f.get(j), f.i32.const(1)), f.get(n)))
            f.set(d, f.i32.const(0))
            sizes.forEach((_, s) => {
              const table = tables[s]!
              f.if(f.i32.ne(f.get(ends[s]!), f.get(table)), () => {
                byHeight(f, h, tiles[s]!, () => [
                  f.get(from), f.get(aRow), place(0), f.select(place(1), place(0), f.get(two)), f.get(table),
                  f.i32.shr_u(f.i32.sub(f.get(ends[s]!), f.get(table)), f.i32.const(3)), f.get(work), f.get(d),
                ])
                f.set(d, f.get(work))
              })
            })
            f.call(finish, f.get(work), f.get(h), e.at(to, j, width), f.get(cRow), f.get(two))
          })
          f.set(from, e.at(from, h, aRow))
          f.set(to, e.at(to, h, cRow))
          e.bump(done, h)
        })
      })
    },
    'run',
  )
  return instantiate(module.encode(), memory.memory)['run'] as unknown as DotTapsKernel
}
