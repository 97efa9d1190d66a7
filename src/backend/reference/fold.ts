/** Sums of elementwise expressions, term by term. */
import type { FoldKernel, LinearMemory } from '../backend.ts'
import type { Program } from '../scalar.ts'
import { elementwise } from './elementwise.ts'
import { bytesOf, viewOf } from './views.ts'

/** The flat loop computes one term at a time, into the place of the result. */
export function foldKernel(memory: LinearMemory, program: Program, fixed: number): FoldKernel {
  const flat = elementwise(memory).flat(program, fixed)
  const bytes = bytesOf(program.compute)
  const count = program.inTypes.length
  return (n, out, ...operands) => {
    let [sum, lost] = [0, 0]
    for (let k = 0; k < n; k++) {
      flat(1, out, ...operands.map((a, i) => (i < count && ((fixed >>> i) & 1) === 0 ? a + k * bytes : a)))
      // Kahan's summation: what rounding took from the sum is taken from the next term.
      const term = viewOf(memory, program.compute)[out / bytes]! - lost
      const next = sum + term
      lost = Number.isFinite(next) ? next - sum - term : 0
      sum = next
    }
    viewOf(memory, program.compute)[out / bytes] = sum / operands[operands.length - 1]!
  }
}
