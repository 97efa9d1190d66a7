/** Cross-entropy with class numbers, and its gradient, in WebAssembly. */
import type { CrossEntropyBackwardKernel, CrossEntropyKernel, FloatType, LinearMemory } from '../backend.ts'
import { type Emitted, F64, I32, instantiate, type Local } from './assembler.ts'
import { bump, bytesOf, onRow, Pass, take, type Writer } from './passes.ts'
import { alongRows, loadRow, type RowOf, storeRow } from './rows.ts'
import { begin, exponentials, IMPORTS } from './softmax.ts'

/** The maximum and ln Σ eˣ⁻ᵐ of each row, into two flats. */
const statisticsRow: RowOf = (w) => {
  const terms = exponentials(w, false)
  return ([x], [first, second], n, step) => {
    const [m, s] = terms(x!, undefined, n, step)
    storeRow(w, first!, m)
    storeRow(w, second!, onRow(w, [s], (l, [v]) => [l.log(v!)])[0]!)
  }
}

/** c·e^((x − m) − ln Σ). */
const spreadRow: RowOf = (w) => {
  const spread = new Pass(w, {
    reads: 1,
    values: 3,
    make: (l, [x], [m, s, c]) => ({ stores: [l.mul(l.expFalling(l.sub(l.sub(x!, m!), s!)), c!)] }),
  })
  return ([x, out], flats, n, step) => spread.run([x!], [out!], flats.map((p) => loadRow(w, p)), n, step)
}

/** A float of the array's type as float64. */
function loadNumber(w: Pick<Writer, 'f' | 'dtype'>, at: Emitted): Emitted {
  if (w.dtype === 'float64') w.f.f64.load(at)
  else w.f.f64.promote_f32(w.f.f32.load(at))
}

function storeNumber({ f, dtype }: Pick<Writer, 'f' | 'dtype'>, at: Emitted, value: Emitted): void {
  if (dtype === 'float64') f.f64.store(at, value)
  else f.f32.store(at, f.f32.demote_f64(value))
}

export function compileCrossEntropy(memory: LinearMemory, dtype: FloatType, relaxed: boolean): CrossEntropyKernel {
  const { module, functions } = begin(memory)
  const bytes = bytesOf(dtype)
  const statistics = alongRows(module, functions, dtype, relaxed, { arrays: 1, flats: 2 }, statisticsRow)
  module.func(
    [I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32], [I32],
    (f, outer, n, inner, input, stats, target, weight, ignore, each, result, mean) => {
      const w = { f, dtype }
      const [left, at, t, second, done, p] = f.locals(I32, 6) as [Local, Local, Local, Local, Local, Local]
      const [loss, share, sum, total] = f.locals(F64, 4) as [Local, Local, Local, Local]
      const offset = (base: Local, index: () => Emitted, size: number): Emitted => f.i32.add(f.get(base), f.i32.mul(index(), f.i32.const(size)))
      const sized = (base: Local, index: Local): Emitted => offset(base, () => f.get(index), bytes)
      f.if(f.get(stats), () => {
        f.set(second, f.i32.add(f.get(stats), f.i32.mul(f.i32.mul(f.get(outer), f.get(inner)), f.i32.const(bytes))))
        f.call(statistics, f.get(outer), f.get(n), f.get(inner), f.get(input), f.get(stats), f.get(second))
      })
      take(f, outer, 1, () => {
        f.set(p, f.get(input))
        f.set(left, f.get(inner))
        take(f, left, 1, () => {
          f.set(t, f.i32.load(offset(target, () => f.get(done), 4)))
          f.if(f.i32.eq(f.get(t), f.get(ignore)), () => {
            f.set(loss, f.f64.const(0))
            f.set(share, f.f64.const(0))
          }, () => {
            // Read as unsigned, negative ones are beyond, too.
            f.if(f.i32.ge_u(f.get(t), f.get(n)), () => f.return(f.i32.add(f.get(done), f.i32.const(1))))
            f.set(at, f.i32.add(f.get(p), f.i32.mul(f.i32.mul(f.get(t), f.get(inner)), f.i32.const(bytes))))
            f.set(loss, loadNumber(w, f.get(at)))
            f.if(f.get(stats), () => f.set(loss, f.f64.sub(f.f64.sub(f.get(loss), loadNumber(w, sized(stats, done))), loadNumber(w, sized(second, done)))))
            f.if(f.get(weight), () => f.set(share, loadNumber(w, sized(weight, t))), () => f.set(share, f.f64.const(1)))
            f.set(loss, f.f64.mul(f.f64.neg(f.get(loss)), f.get(share)))
          })
          f.if(f.get(each), () => storeNumber(w, sized(each, done), f.get(loss)))
          f.set(sum, f.f64.add(f.get(sum), f.get(loss)))
          f.set(total, f.f64.add(f.get(total), f.get(share)))
          bump(f, done, 1)
          bump(f, p, bytes)
        })
        f.set(input, f.i32.add(f.get(input), f.i32.mul(f.i32.mul(f.get(n), f.get(inner)), f.i32.const(bytes))))
      })
      f.if(f.get(mean), () => f.set(sum, f.f64.div(f.get(sum), f.get(total))))
      storeNumber(w, f.get(result), f.get(sum))
      storeNumber(w, f.i32.add(f.get(result), f.i32.const(bytes)), f.get(total))
      f.i32.const(0)
    }, 'run')
  return instantiate(module.encode(), memory.memory, IMPORTS)['run'] as unknown as CrossEntropyKernel
}

export function compileCrossEntropyBackward(memory: LinearMemory, dtype: FloatType, relaxed: boolean): CrossEntropyBackwardKernel {
  const { module, functions } = begin(memory)
  const bytes = bytesOf(dtype)
  const spread = alongRows(module, functions, dtype, relaxed, { arrays: 2, flats: 3 }, spreadRow)
  module.func(
    [I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32, I32], [],
    (f, outer, n, inner, input, stats, target, weight, ignore, g, gStep, total, work, out) => {
      const w = { f, dtype }
      const [left, t, p, q] = f.locals(I32, 4) as [Local, Local, Local, Local]
      const c = f.local(F64)
      const samples = f.let(I32, f.i32.mul(f.get(outer), f.get(inner)))
      const row = f.let(I32, f.i32.mul(f.i32.mul(f.get(n), f.get(inner)), f.i32.const(bytes)))
      f.set(p, f.get(target))
      f.set(q, f.get(work))
      f.set(left, f.get(samples))
      take(f, left, 1, () => {
        f.set(t, f.i32.load(f.get(p)))
        f.set(c, f.f64.const(0))
        f.if(f.i32.ne(f.get(t), f.get(ignore)), () => {
          f.set(c, loadNumber(w, f.get(g)))
          f.if(f.get(weight), () => f.set(c, f.f64.mul(f.get(c), loadNumber(w, f.i32.add(f.get(weight), f.i32.mul(f.get(t), f.i32.const(bytes)))))))
          f.if(f.get(total), () => f.set(c, f.f64.div(f.get(c), loadNumber(w, f.get(total)))))
        })
        storeNumber(w, f.get(q), f.get(c))
        bump(f, g, gStep)
        bump(f, p, 4)
        bump(f, q, bytes)
      })
      f.if(f.get(stats), () => {
        f.call(spread, f.get(outer), f.get(n), f.get(inner), f.get(input), f.get(out), f.get(stats),
          f.i32.add(f.get(stats), f.i32.mul(f.get(samples), f.i32.const(bytes))), f.get(work))
      }, () => f.memoryFill(f.get(out), f.i32.const(0), f.i32.mul(f.get(row), f.get(outer))))
      // The target's own term.
      take(f, outer, 1, () => {
        f.set(p, f.get(out))
        f.set(left, f.get(inner))
        take(f, left, 1, () => {
          f.set(t, f.i32.load(f.get(target)))
          f.if(f.i32.ne(f.get(t), f.get(ignore)), () => {
            f.set(q, f.i32.add(f.get(p), f.i32.mul(f.i32.mul(f.get(t), f.get(inner)), f.i32.const(bytes))))
            storeNumber(w, f.get(q), f.f64.sub(loadNumber(w, f.get(q)), loadNumber(w, f.get(work))))
          })
          bump(f, work, bytes)
          bump(f, target, 4)
          bump(f, p, bytes)
        })
        bump(f, out, row)
      })
    }, 'run')
  return instantiate(module.encode(), memory.memory, IMPORTS)['run'] as unknown as CrossEntropyBackwardKernel
}
