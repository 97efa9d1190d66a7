/** Products of a vector and a matrix. */
import type { FloatType } from '../backend.ts'
import { type Emitted, F32, F64, type Func, I32, type Local, type ModuleBuilder, V128 } from './assembler.ts'
import { Emitter } from './emitter.ts'

/** A matrix of so many columns and elements is read by whole rows, some at a time; else by columns of vectors. */
const COLUMNS = 16
const ELEMENTS = 2048
const ROWS = 4

/** y[j] = Σ v[k]·M[k, j] (+ d[j], unless d is 0) where M has unit stride along j: rows of M are added up. `k > 0`. */
export function addRows(module: ModuleBuilder, dtype: FloatType, relaxed: boolean): Func {
  return module.func([I32, I32, I32, I32, I32, I32, I32, I32], [], (f, k, n, v, vStep, mat, row, y, d) => {
    const e = new Emitter(f, dtype, relaxed)
    const acc = f.locals(V128, 8)
    const x = f.local(V128)
    const [p, q, i] = f.locals(I32, 3) as [Local, Local, Local]
    const sum = f.local(e.double ? F64 : F32)
    f.if(f.i32.and(f.i32.ge_u(f.get(n), f.i32.const(COLUMNS)), f.i32.ge_u(f.i32.mul(f.get(k), f.get(n)), f.i32.const(ELEMENTS))), () => {
      const size = f.let(I32, f.i32.mul(f.get(n), f.i32.const(e.width)))
      f.if(f.get(d), () => f.memoryCopy(f.get(y), f.get(d), f.get(size)), () => f.memoryFill(f.get(y), f.i32.const(0), f.get(size)))
      f.set(d, f.get(y))
      const lines = [p, ...f.locals(I32, ROWS - 1)]
      f.while(() => f.i32.ge_u(f.get(k), f.i32.const(ROWS)), () => {
        const splats = acc.slice(0, ROWS)
        splats.forEach((to, r) => {
          f.set(to, e.loadSplat(f.get(v)))
          e.bump(v, vStep)
          f.set(lines[r]!, f.get(mat))
          e.bump(mat, row)
        })
        f.set(q, f.get(y))
        f.set(i, f.get(n))
        /** The sums of some columns, in vectors or single elements (which are the first of a vector). */
        const columns = (vectors: number, load: (at: Emitted, offset: number) => Emitted, store: (offset: number) => Emitted, count: number): void => {
          f.while(() => f.i32.ge_u(f.get(i), f.i32.const(vectors * count)), () => {
            for (let j = 0; j < vectors; j++) {
              f.set(x, load(f.get(q), 16 * j))
              splats.forEach((by, r) => e.madd(x, () => f.get(by), () => load(f.get(lines[r]!), 16 * j)))
              f.get(q)
              f.get(x)
              store(16 * j)
            }
            for (const pointer of [q, ...lines]) e.bump(pointer, vectors * count * e.width)
            e.bump(i, -vectors * count)
          })
        }
        columns(2, (at, offset) => f.v128.load(at, offset), (offset) => f.v128.store(offset), e.lanes)
        columns(1, (at, offset) => f.v128.load(at, offset), (offset) => f.v128.store(offset), e.lanes)
        columns(1, (at) => e.loadSplat(at), () => (e.double ? f.v128.store64_lane(0) : f.v128.store32_lane(0)), 1)
        e.bump(k, -ROWS)
      })
      f.if(f.i32.eqz(f.get(k)), () => f.return())
    })
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
        f.if(f.get(d), () => {
          for (let j = 0; j < vectors; j++) f.set(acc[j]!, e.add(f.get(acc[j]!), f.v128.load(f.get(d), 16 * j)))
          e.bump(d, 16 * vectors)
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
      f.if(f.get(d), () => {
        f.set(sum, e.scalarAdd(f.get(sum), e.load(f.get(d))))
        e.bump(d, e.width)
      })
      e.store(f.get(y), f.get(sum))
      e.bump(mat, e.width)
      e.bump(y, e.width)
      e.bump(n, -1)
    })
  })
}

/** y[j] = Σ v[k]·M[k, j] (+ d[j], unless d is 0) where v and M have unit stride along k: dot products, four at a time. */
export function dotRows(module: ModuleBuilder, dtype: FloatType, relaxed: boolean): Func {
  return module.func([I32, I32, I32, I32, I32, I32, I32], [], (f, k, n, v, mat, column, y, d) => {
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
        f.if(f.get(d), () => {
          for (let j = 0; j < columns; j++) f.set(sums[j]!, e.scalarAdd(f.get(sums[j]!), e.load(f.get(d), j * e.width)))
          e.bump(d, columns * e.width)
        })
        for (let j = 0; j < columns; j++) e.store(f.get(y), f.get(sums[j]!), j * e.width)
        f.set(mat, f.i32.add(f.get(mat), f.i32.mul(f.get(column), f.i32.const(columns))))
        e.bump(y, columns * e.width)
        e.bump(n, -columns)
      })
    }
  })
}
