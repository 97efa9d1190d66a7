/** Sums of elementwise expressions. */
import type { FloatType, FoldKernel, Folds, Job } from '../backend.ts'
import { foldKernel } from '../reference/fold.ts'
import type { Program } from '../scalar.ts'
import { compileFold } from '../wasm/fold.ts'

/** Programs are few and live as long as the operations they belong to. */
function kept(make: Folds): Folds {
  const made = new WeakMap<Program, FoldKernel[]>()
  return (program, fixed) => {
    let kernels = made.get(program)
    if (kernels === undefined) made.set(program, (kernels = []))
    return (kernels[fixed] ??= make(program, fixed))
  }
}

export const fold: Job<Folds, FloatType> = {
  reference: (memory) => kept((program, fixed) => foldKernel(memory, program, fixed)),
  wasm: (memory, _dtype, relaxed) => kept((program, fixed) => compileFold(memory, program, fixed, relaxed)),
}
