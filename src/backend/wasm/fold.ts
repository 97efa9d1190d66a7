/** Sums of elementwise expressions in one pass: losses, without an array of their terms. */
import type { FloatType, FoldKernel, LinearMemory } from '../backend.ts'
import type { Program } from '../scalar.ts'
import { F64, I32, instantiate, type Local, moduleFor, V128, type ValType } from './assembler.ts'
import { load, onRow, Pass, store, type Writer } from './passes.ts'
import { IMPORTS, render, usedInputs } from './render.ts'
import { PER_CALL, PER_ELEMENT, type Vec, VectorGraph } from './vector.ts'

export function compileFold(memory: LinearMemory, program: Program, fixed: number, relaxed: boolean): FoldKernel {
  const dtype = program.compute as FloatType
  const module = moduleFor(memory.memory)
  const used = [...usedInputs(program)]
  const isFixed = (i: number): boolean => Math.floor(fixed / 2 ** i) % 2 === 1
  const [still, moving] = [used.filter(isFixed), used.filter((i) => !isFixed(i))]
  const expression = (g: VectorGraph, vectors: ReadonlyMap<number, Vec>): Vec => {
    const sources = program.inTypes.map((type, i) => {
      const vector = vectors.get(i)
      return vector === undefined ? undefined : { type, parts: [vector] }
    })
    return render(g, program, sources)[0]![0]!
  }
  // Imports come before functions: rendered once to see which there are.
  const trial = new VectorGraph({ relaxed })
  expression(trial, new Map(used.map((i) => [i, trial.loaded(isFixed(i) ? PER_CALL : PER_ELEMENT)])))
  const functions = new Map([...trial.calls].map(([name, count]) => [name, module.importFunc(name, new Array<ValType>(count).fill(F64), [F64])]))
  const params: readonly ValType[] = [I32, I32, ...program.inTypes.map((): ValType => I32), ...new Array<ValType>(program.scalars + 1).fill(F64)]
  module.func(params, [], (f, ...locals) => {
    const [n, out, ...rest] = locals as [Local, Local, ...Local[]]
    const inputs = rest.slice(0, program.inTypes.length)
    const scalars = rest.slice(program.inTypes.length, -1)
    const w: Writer = { f, dtype, relaxed, functions, scalars, columns: 0, single: false }
    const sum = new Pass(w, {
      reads: moving.length,
      values: still.length,
      fold: 'sum',
      make: (l, x, v) => ({ folds: [expression(l.g, new Map([...moving.map((i, k) => [i, x[k]!] as const), ...still.map((i, k) => [i, v[k]!] as const)]))] }),
    })
    sum.start()
    sum.run(moving.map((i) => inputs[i]!), [], still.map((i) => [f.let(V128, load(w, inputs[i]!, 0, true))]), n)
    f.get(rest[rest.length - 1]!)
    if (dtype === 'float32') f.f32x4.splat(f.f32.demote_f64())
    else f.f64x2.splat()
    const divisor = f.let(V128)
    store(w, out, 0, true, onRow(w, [sum.results()[0]!, [divisor]], (l, [s, d]) => [l.div(s!, d!)])[0]![0]!)
  }, 'run')
  const imports: Record<string, (...args: number[]) => number> = {}
  for (const name of trial.calls.keys()) imports[name] = IMPORTS[name]!
  return instantiate(module.encode(), memory.memory, imports)['run'] as FoldKernel
}
