/** Starts backward passes: checks roots and gradients, names what is asked for, and hands out the results. */
import { ArgumentError, GraphError, ShapeError, show } from '../errors.ts'
import { cloneContiguous, full } from '../execute.ts'
import { escape } from '../memory/area.ts'
import { sameShape } from '../shape.ts'
import { isTensor, refuse, type TensorCore } from '../tensor.ts'
import { accumulate } from './accumulate.ts'
import { type Edge, Task } from './engine.ts'
import type { Level } from './levels.ts'
import { leafOf } from './node.ts'
import { edgeOf, needs } from './record.ts'

/** What a pass computes from and keeps. */
export interface DifferentiateOptions {
  readonly gradOutputs: readonly (TensorCore | null | undefined)[] | null
  readonly keepGraph: boolean
  readonly createGraph: boolean
  /** With `createGraph`: record what the rules do? Default true; false when only transforms need to see them. */
  readonly record?: boolean
  /** Null: the plain tape. */
  readonly level: Level | null
}

function rootEdge(t: TensorCore, i: number, level: Level | null): Edge {
  if (!isTensor(t)) throw refuse('backward', t, `output ${i}`)
  const node = edgeOf(t, level)
  if (node === null) {
    throw new GraphError(
      `element ${i} of tensors does not require grad and does not have a grad_fn (shape ${show(t.layout.shape)}, ${t.dt.name}): ` +
        'no input of its computation has requiresGrad, or it was computed under noGrad or from detached tensors',
      { shapes: [t.layout.shape] },
    )
  }
  return { node, nr: t.node === null ? 0 : t.outputNr }
}

function rootGradient(t: TensorCore, given: TensorCore | null | undefined, i: number, level: Level | null): TensorCore {
  const plain = level === null ? t : t.wrap!.value
  if (given === null || given === undefined) {
    if (t.layout.numel !== 1) {
      throw new GraphError(
        `grad can be implicitly created only for scalar outputs (output ${i} has shape ${show(t.layout.shape)}): reduce it first, e.g. with sum() or mean(), or pass the gradient`,
        { shapes: [t.layout.shape] },
      )
    }
    if (plain.wrap !== null) return (plain as unknown as { onesLike(): TensorCore }).onesLike()
    return full(t.layout.shape, 1, t.dt, null)
  }
  if (!isTensor(given)) throw new ArgumentError(`gradients can be either Tensors or None, but got ${typeof given}`)
  if (!sameShape(given.layout.shape, t.layout.shape)) {
    throw new ShapeError(
      `Mismatch in shape: grad_output[${i}] has a shape of ${show(given.layout.shape)} and output[${i}] has a shape of ${show(t.layout.shape)}.`,
      { shapes: [given.layout.shape, t.layout.shape] },
    )
  }
  return given
}

function pairs(outputs: readonly TensorCore[], options: DifferentiateOptions): { edges: Edge[]; grads: TensorCore[] } {
  const { gradOutputs, level } = options
  if (gradOutputs !== null && gradOutputs.length !== outputs.length) {
    throw new ArgumentError(`got ${outputs.length} tensors and ${gradOutputs.length} gradients`)
  }
  const edges = outputs.map((t, i) => rootEdge(t, i, level))
  return { edges, grads: outputs.map((t, i) => rootGradient(t, gradOutputs?.[i], i, level)) }
}

/** Where the gradient of an input arrives. */
function inputEdge(t: TensorCore, level: Level | null): Edge {
  const node = edgeOf(t, level)!
  return { node, nr: t.node === null ? 0 : t.outputNr }
}

/** The gradients of `outputs` with respect to `inputs`; null where none flows. Touches no `.grad`. */
export function differentiate(
  outputs: readonly TensorCore[],
  inputs: readonly TensorCore[],
  options: DifferentiateOptions,
): (TensorCore | null)[] {
  inputs.forEach((t, i) => {
    if (!isTensor(t)) throw refuse('grad', t, `input ${i}`)
    if (!needs(t, options.level)) {
      throw new GraphError(
        `One of the differentiated Tensors does not require grad: input ${i} (shape ${show(t.layout.shape)}, ${t.dt.name}); call requiresGrad_() on it before computing`,
        {
          shapes: [t.layout.shape],
        },
      )
    }
  })
  const { edges, grads } = pairs(outputs, options)
  const task = new Task({
    keepGraph: options.keepGraph,
    createGraph: options.createGraph,
    record: options.record ?? options.createGraph,
    inputs: inputs.map((t) => inputEdge(t, options.level)),
    accumulate: false,
  })
  return task.execute(edges, grads)
}

/** Adds gradients to `.grad`: of all leaves, or of `inputs` alone. */
export function backpropagate(outputs: readonly TensorCore[], inputs: readonly TensorCore[] | null, options: DifferentiateOptions): void {
  const { edges, grads } = pairs(outputs, options)
  if (inputs === null) {
    new Task({
      keepGraph: options.keepGraph,
      createGraph: options.createGraph,
      record: options.createGraph,
      inputs: null,
      accumulate: true,
    }).execute(edges, grads)
    return
  }
  inputs.forEach((t, i) => {
    if (!isTensor(t)) throw refuse('backward', t, `input ${i}`)
    if (!needs(t, null))
      throw new GraphError(`One of the differentiated Tensors does not require grad: input ${i} (shape ${show(t.layout.shape)})`, {
        shapes: [t.layout.shape],
      })
  })
  const task = new Task({
    keepGraph: options.keepGraph,
    createGraph: options.createGraph,
    record: options.createGraph,
    inputs: inputs.map((t) => inputEdge(t, null)),
    accumulate: true,
  })
  const made = task.execute(edges, grads)
  made.forEach((g, i) => {
    const t = inputs[i]!
    if (g === null || t.node === null) return
    accumulate(leafOf(t), options.createGraph ? g : cloneContiguous(g, null), task.area, options.createGraph, false)
    escape(g.storage)
  })
}
