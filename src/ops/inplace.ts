/** In-place forms of operations that aren't elementwise: the checks, the write, and the new history. */
import { topLevel } from '../autograd/levels.ts'
import { modes } from '../autograd/modes.ts'
import { bump, checkInPlace, edgeOf, needs, rebase } from '../autograd/record.ts'
import { ArgumentError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { GeneralNode, type GeneralOp } from '../op/general.ts'
import { refuseOverlap } from '../op/overlap.ts'

/**
 * Overwrites `x[0]` by `write` and records it as `op` would be, out of place, on the same inputs. No rule of `op` may read
 * input 0: its old elements are gone.
 */
export function inPlace<P>(name: string, op: GeneralOp<P>, x: readonly Tensor[], p: P, write: () => void): Tensor {
  const t = x[0]!
  if (topLevel(x) !== null) {
    throw new ArgumentError(`${name}: in-place operations on tensors inside a transform are not supported; use ${op.name}`, { op: name })
  }
  const differentiable = x.map((v, i) => v.dt.category === 2 && op.rule(i) !== null)
  const recording = modes.grad && t.dt.category === 2 && x.some((v, i) => differentiable[i] && needs(v, null))
  checkInPlace(name, t, recording)
  refuseOverlap(name, t, x.slice(1))
  // Elementwise operations may read the very element they write; these read others.
  if (x.slice(1).some((v) => v.storage === t.storage && v.layout.offset === t.layout.offset)) {
    throw new ArgumentError(
      `unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. Please clone() the tensor before performing the operation. (${name})`,
      { op: name },
    )
  }
  let node: GeneralNode<P> | null = null
  if (recording) {
    const edges = x.map((v, i) => (differentiable[i] ? edgeOf(v, null) : null))
    node = new GeneralNode(
      op,
      edges,
      x.map((v, i) => (edges[i] === null ? 0 : v.outputNr)),
      [t],
      x,
      p,
      null,
    )
  }
  write()
  bump(t, name)
  if (node !== null) rebase(t, node)
  return t
}
