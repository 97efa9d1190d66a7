/** Running sums and products along one axis in WebAssembly. */
import type { LinearMemory, ScanKernel } from '../backend.ts'
import { type DType, dtypes } from '../../dtype.ts'
import { F64, I32, instantiate, type Local, moduleFor } from './assembler.ts'

/** Columns that advance together, so that whole cache lines are used and the additions overlap. */
const COLUMNS = 8

/**
 * Compiles a scan. Floats accumulate in float64, so that a float32 result is off by its own rounding only; integers give int32,
 * modulo 2³².
 */
export function compileScan(memory: LinearMemory, op: 'sum' | 'prod', dtype: DType): ScanKernel {
  const module = moduleFor(memory.memory)
  const { bytes, floating } = dtypes[dtype]
  const outBytes = floating ? bytes : 4
  module.func([I32, I32, I32, I32, I32], [], (f, outer, n, inner, input, output) => {
    const group = floating ? f.f64 : f.i32
    const [p, q, step, outStep, left, row] = f.locals(I32, 6) as [Local, Local, Local, Local, Local, Local]
    const bump = (pointer: Local, by: Local | number): void => {
      f.set(pointer, f.i32.add(f.get(pointer), typeof by === 'number' ? f.i32.const(by) : f.get(by)))
    }
    const load = (offset: number): void => {
      if (dtype === 'float64') f.f64.load(f.get(p), offset)
      else if (dtype === 'float32') f.f64.promote_f32(f.f32.load(f.get(p), offset))
      else if (dtype === 'int32') f.i32.load(f.get(p), offset)
      else f.i32.load8_u(f.get(p), offset)
    }
    f.set(step, f.i32.mul(f.get(inner), f.i32.const(bytes)))
    f.set(outStep, f.i32.mul(f.get(inner), f.i32.const(outBytes)))
    f.while(() => f.get(outer), () => {
      f.set(left, f.get(inner))
      for (const count of [COLUMNS, 1]) {
        const sums = f.locals(floating ? F64 : I32, count)
        f.while(() => f.i32.ge_u(f.get(left), f.i32.const(count)), () => {
          for (const sum of sums) f.set(sum, group.const(op === 'sum' ? 0 : 1))
          f.set(p, f.get(input))
          f.set(q, f.get(output))
          f.set(row, f.get(n))
          f.while(() => f.get(row), () => {
            sums.forEach((sum, i) => {
              f.get(sum)
              load(i * bytes)
              if (op === 'sum') group.add()
              else group.mul()
              f.set(sum)
              f.get(q)
              f.get(sum)
              if (dtype === 'float32') f.f32.store(undefined, f.f32.demote_f64(), i * outBytes)
              else group.store(i * outBytes)
            })
            bump(p, step)
            bump(q, outStep)
            bump(row, -1)
          })
          bump(input, count * bytes)
          bump(output, count * outBytes)
          bump(left, -count)
        })
      }
      // The columns have moved by one row: skip the others.
      f.set(row, f.i32.sub(f.get(n), f.i32.const(1)))
      f.set(input, f.i32.add(f.get(input), f.i32.mul(f.get(row), f.get(step))))
      f.set(output, f.i32.add(f.get(output), f.i32.mul(f.get(row), f.get(outStep))))
      bump(outer, -1)
    })
  }, 'scan')
  return instantiate(module.encode(), memory.memory)['scan'] as unknown as ScanKernel
}
