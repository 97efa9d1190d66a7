/** Overwriting a tensor's elements without reading them: the checks and the new history. */
import type { Task } from '../autograd/engine.ts'
import { topLevel } from '../autograd/levels.ts'
import { modes } from '../autograd/modes.ts'
import { Node, type Pass } from '../autograd/node.ts'
import { bump, checkInPlace, edgeOf, needs, rebase } from '../autograd/record.ts'
import { ArgumentError } from '../errors.ts'
import { full } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { refuseOverlap } from '../op/overlap.ts'
import { expectTensor, TensorCore } from '../tensor.ts'

/** The history after an in-place overwrite: the old value gets zeros; `src` (if any) gets the gradient. */
class OverwriteNode extends Node {
  private readonly label: string

  constructor(t: TensorCore, src: TensorCore | null, label: string) {
    super(
      [edgeOf(t, null), src === null ? null : edgeOf(src, null)],
      [t.node === null ? 0 : t.outputNr, src === null || src.node === null ? 0 : src.outputNr],
      t.layout.shape,
      t.dt,
    )
    this.label = label
  }
  name(): string {
    return this.label
  }
  run(g: TensorCore, _gs: null, task: Task): void {
    if (task.wants(this.edges[0] ?? null)) task.out[0] = zerosOf(g, task)
    if (task.wants(this.edges[1] ?? null)) task.out[1] = g
  }
}

/** Zeros shaped like g, one element in memory. */
function zerosOf(g: TensorCore, task: Pass): TensorCore {
  const one = full([], 0, g.dt, task.createGraph ? null : task.area)
  return new TensorCore(one.storage, one.layout.expand(g.layout.shape), g.dt)
}

/** Overwrites x by `write`, with the checks and the history of an in-place operation. */
export function overwrite(op: string, label: string, x: Tensor, src: TensorCore | null, write: () => void): Tensor {
  expectTensor(op, x, 'argument 0')
  if (topLevel(src === null ? [x] : [x, src]) !== null)
    throw new ArgumentError(`${op}: in-place operations on tensors inside a transform are not supported`, { op })
  const recording = modes.grad && x.dt.category === 2 && (needs(x, null) || (src !== null && needs(src, null)))
  checkInPlace(op, x, recording)
  refuseOverlap(op, x, src === null ? [] : [src])
  const node = recording ? new OverwriteNode(x, src, label) : null
  write()
  bump(x, op)
  if (node !== null) rebase(x, node)
  return x
}
