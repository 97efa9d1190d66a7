/** Softmax, its logarithm, and their gradients, in WebAssembly. */
import type { FloatType, LinearMemory, SoftmaxBackwardKernel, SoftmaxKernel, SoftmaxOp } from '../backend.ts'
import { F64, type Func, instantiate, type Local, type ModuleBuilder, moduleFor } from './assembler.ts'
import { onRow, Pass, type Writer } from './passes.ts'
import { alongRows, type RowOf } from './rows.ts'

/** The functions these modules import. */
export const IMPORTS: Record<string, (...args: number[]) => number> = { log: Math.log as (...args: number[]) => number }

/** A module with its imports. */
export function begin(memory: LinearMemory): { module: ModuleBuilder; functions: Map<string, Func> } {
  const module = moduleFor(memory.memory)
  return { module, functions: new Map([['log', module.importFunc('log', [F64], [F64])]]) }
}

const largest = (w: Writer): Pass => new Pass(w, { reads: 1, values: 0, fold: 'max', make: (_, [x]) => ({ folds: [x!] }) })

/** A row's maximum m and Σ eˣ⁻ᵐ; with a third array the terms are stored there. */
export function exponentials(w: Writer, keep: boolean): (x: Local, y: Local | undefined, n: Local, step: Local) => [Local[], Local[]] {
  const max = largest(w)
  const sum = new Pass(w, {
    reads: 1,
    values: 1,
    fold: 'sum',
    make: (l, [x], [m]) => {
      const e = l.expFalling(l.sub(x!, m!))
      return { stores: keep ? [e] : [], folds: [e] }
    },
  })
  return (x, y, n, step) => {
    max.start()
    max.run([x], [], [], n, step)
    const m = max.results()[0]!
    sum.start()
    sum.run([x], y === undefined ? [] : [y], [m], n, step)
    return [m, sum.results()[0]!]
  }
}

const softmaxRow: RowOf = (w) => {
  const terms = exponentials(w, true)
  const share = new Pass(w, { reads: 1, values: 1, make: (l, [e], [r]) => ({ stores: [l.mul(e!, r!)] }) })
  return ([x, y], _, n, step) => {
    const [, s] = terms(x!, y!, n, step)
    share.run([y!], [y!], onRow(w, [s], (l, [v]) => [l.div(l.constant(1), v!)]), n, step)
  }
}

// (x − m) − ln Σ rather than x − (m + ln Σ): the two may differ in size by far.
const logSoftmaxRow: RowOf = (w) => {
  const terms = exponentials(w, false)
  const shift = new Pass(w, { reads: 1, values: 2, make: (l, [x], [m, s]) => ({ stores: [l.sub(l.sub(x!, m!), s!)] }) })
  return ([x, y], _, n, step) => {
    const [m, s] = terms(x!, undefined, n, step)
    shift.run([x!], [y!], [m, onRow(w, [s], (l, [v]) => [l.log(v!)])[0]!], n, step)
  }
}

/** y·(g − Σ g·y). */
const softmaxSlopeRow: RowOf = (w) => {
  const dot = new Pass(w, { reads: 2, values: 0, fold: 'sum', make: (l, [g, y]) => ({ folds: [l.mul(g!, y!)] }) })
  const slope = new Pass(w, { reads: 2, values: 1, make: (l, [g, y], [s]) => ({ stores: [l.mul(y!, l.sub(g!, s!))] }) })
  return ([g, y, out], _, n, step) => {
    dot.start()
    dot.run([g!, y!], [], [], n, step)
    slope.run([g!, y!], [out!], [dot.results()[0]!], n, step)
  }
}

/** g − eʸ·Σ g. */
const logSoftmaxSlopeRow: RowOf = (w) => {
  const sum = new Pass(w, { reads: 1, values: 0, fold: 'sum', make: (_, [g]) => ({ folds: [g!] }) })
  const slope = new Pass(w, { reads: 2, values: 1, make: (l, [g, y], [s]) => ({ stores: [l.sub(g!, l.mul(l.expFalling(y!), s!))] }) })
  return ([g, y, out], _, n, step) => {
    sum.start()
    sum.run([g!], [], [], n, step)
    slope.run([g!, y!], [out!], [sum.results()[0]!], n, step)
  }
}

export function compileSoftmax(memory: LinearMemory, op: SoftmaxOp, dtype: FloatType, relaxed: boolean): SoftmaxKernel {
  const { module, functions } = begin(memory)
  alongRows(module, functions, dtype, relaxed, { arrays: 2, flats: 0 }, op === 'softmax' ? softmaxRow : logSoftmaxRow, 'run')
  return instantiate(module.encode(), memory.memory, IMPORTS)['run'] as unknown as SoftmaxKernel
}

export function compileSoftmaxBackward(memory: LinearMemory, op: SoftmaxOp, dtype: FloatType, relaxed: boolean): SoftmaxBackwardKernel {
  const { module, functions } = begin(memory)
  alongRows(module, functions, dtype, relaxed, { arrays: 3, flats: 0 }, op === 'softmax' ? softmaxSlopeRow : logSoftmaxSlopeRow, 'run')
  return instantiate(module.encode(), memory.memory, IMPORTS)['run'] as unknown as SoftmaxBackwardKernel
}
