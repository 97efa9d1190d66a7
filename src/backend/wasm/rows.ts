/** Rows of contiguous [outer, n, inner] arrays along the middle axis, one after the other or as columns side by side. */
import type { FloatType } from '../backend.ts'
import { type Func, I32, type Local, type ModuleBuilder, V128, type ValType } from './assembler.ts'
import { bump, bytesOf, copiesOf, load, store, take, type Writer } from './passes.ts'

/** Makes the passes of one row, at the top of a function, and returns what writes the row itself. */
export type RowOf = (w: Writer) => (arrays: readonly Local[], flats: readonly Local[], n: Local, step: Local, scalars: readonly Local[]) => void

/** Operands of rows: arrays of [outer, n, inner], flats of [outer, inner], and scalars for all rows. */
export interface Operands {
  readonly arrays: number
  readonly flats: number
  readonly scalars?: readonly ValType[]
}

/**
 * (outer, n, inner, array…, flat…, scalar…): runs a row for each place of [outer, inner].
 * Columns go as vectors side by side; the last vector may do some again, so rows must not overwrite what they read.
 */
export function alongRows(
  module: ModuleBuilder, functions: Map<string, Func>, dtype: FloatType, relaxed: boolean,
  operands: Operands, row: RowOf, name?: string,
): Func {
  const bytes = bytesOf(dtype)
  const lanes = 16 / bytes
  const full = operands.arrays
  const count = full + operands.flats
  const params: readonly ValType[] = [...new Array<ValType>(count).fill(I32), ...(operands.scalars ?? [])]
  const adjacent = module.func([I32, I32, ...params], [], (f, outer, n, ...locals) => {
    const pointers = locals.slice(0, count)
    const write = row({ f, dtype, relaxed, functions, columns: 0, single: false })
    const step = f.let(I32, f.i32.mul(f.get(n), f.i32.const(bytes)))
    take(f, outer, 1, () => {
      write(pointers.slice(0, full), pointers.slice(full), n, step, locals.slice(count))
      pointers.forEach((p, i) => bump(f, p, i < full ? step : bytes))
    })
  })
  const down = (columns: number, single: boolean): Func =>
    module.func([I32, I32, ...params], [], (f, n, step, ...locals) => {
      row({ f, dtype, relaxed, functions, columns, single })(locals.slice(0, full), locals.slice(full, count), n, step, locals.slice(count))
    })
  const [wide, narrow, single] = [down(2, false), down(1, false), down(1, true)]
  return module.func([I32, I32, I32, ...params], [], (f, outer, n, inner, ...locals) => {
    const starts = locals.slice(0, count)
    f.if(f.i32.eq(f.get(inner), f.i32.const(1)), () => {
      f.get(outer)
      f.get(n)
      for (const local of locals) f.get(local)
      f.call(adjacent)
      f.return()
    })
    const step = f.let(I32, f.i32.mul(f.get(inner), f.i32.const(bytes)))
    const jump = f.let(I32, f.i32.mul(f.get(step), f.get(n)))
    const pointers = f.locals(I32, starts.length)
    const left = f.local(I32)
    const columns = (func: Func, width: number): void => {
      f.get(n)
      f.get(step)
      for (const local of [...pointers, ...locals.slice(count)]) f.get(local)
      f.call(func)
      for (const p of pointers) bump(f, p, width * bytes)
    }
    take(f, outer, 1, () => {
      pointers.forEach((p, i) => f.set(p, f.get(starts[i]!)))
      f.set(left, f.get(inner))
      take(f, left, 2 * lanes, () => columns(wide, 2 * lanes))
      take(f, left, lanes, () => columns(narrow, lanes))
      f.if(f.i32.and(f.i32.ne(f.get(left), f.i32.const(0)), f.i32.gt_u(f.get(inner), f.i32.const(lanes))), () => {
        f.set(left, f.i32.mul(f.i32.sub(f.get(left), f.i32.const(lanes)), f.i32.const(bytes)))
        for (const p of pointers) bump(f, p, left)
        columns(narrow, 0)
        f.set(left, f.i32.const(0))
      })
      take(f, left, 1, () => columns(single, 1))
      starts.forEach((p, i) => bump(f, p, i < full ? jump : step))
    })
  }, name)
}

/** Values of a row at these addresses: one in all lanes, or one a column. */
export function loadRow(w: Writer, pointer: Local): Local[] {
  return Array.from({ length: copiesOf(w) }, (_, i) => w.f.let(V128, load(w, pointer, i, w.columns === 0 || w.single)))
}

export function storeRow(w: Writer, pointer: Local, values: readonly Local[]): void {
  values.forEach((value, i) => store(w, pointer, i, w.columns === 0 || w.single, value))
}
