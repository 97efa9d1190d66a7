/** Starts backward passes: checks roots and gradients, names what is asked for, and hands out the results. */
import { ArgumentError, GraphError, ShapeError, show } from '../errors.ts'
import { full } from '../execute.ts'
import { sameShape } from '../shape.ts'
import { isTensor, refuse, type TensorCore } from '../tensor.ts'
import { type Edge, Task } from './engine.ts'
import type { Level } from './levels.ts'
import { nameOf } from './names.ts'
import { GradientEdge, type OutputMeta } from './node.ts'
import { edgeOf, keepGradient } from './record.ts'

/** Where a pass starts, or what it is asked for: a tensor, or a place in the graph. */
export type Place = TensorCore | GradientEdge

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

/** The place in the graph; null outside of it. */
function locate(x: Place, level: Level | null, op: string, what: string): Edge | null {
  if (x instanceof GradientEdge) return { node: x.node, nr: x.outputNr }
  if (!isTensor(x)) throw refuse(op, x, what)
  const node = edgeOf(x, level)
  return node === null ? null : { node, nr: x.node === null ? 0 : x.outputNr }
}

function rootEdge(x: Place, i: number, level: Level | null): Edge {
  const edge = locate(x, level, 'backward', `output ${i}`)
  if (edge !== null) return edge
  const { layout, dt } = x as TensorCore
  throw new GraphError(
    `element ${i} of tensors does not require grad and does not have a grad_fn (shape ${show(layout.shape)}, ${dt.name}): ` +
      'no input of its computation has requiresGrad, or it was computed under noGrad or from detached tensors',
    { shapes: [layout.shape] },
  )
}

function rootGradient(x: Place, { node, nr }: Edge, given: TensorCore | null | undefined, i: number, level: Level | null): TensorCore {
  const meta: OutputMeta = node.meta(nr)
  const { shape } = x instanceof GradientEdge ? meta : x.layout
  if (given === null || given === undefined) {
    if (shape.some((n) => n !== 1)) {
      throw new GraphError(
        `grad can be implicitly created only for scalar outputs (output ${i} has shape ${show(shape)}): reduce it first, e.g. with sum() or mean(), or pass the gradient`,
        { shapes: [shape] },
      )
    }
    const plain = level === null || x instanceof GradientEdge ? null : x.wrap!.value
    if (plain !== null && plain.wrap !== null) return (plain as unknown as { onesLike(): TensorCore }).onesLike()
    return full(shape, 1, x instanceof GradientEdge ? meta.dt : x.dt, null)
  }
  if (!isTensor(given)) throw new ArgumentError(`gradients can be either Tensors or None, but got ${typeof given}`)
  if (!sameShape(given.layout.shape, shape)) {
    throw new ShapeError(
      `Mismatch in shape: grad_output[${i}] has a shape of ${show(given.layout.shape)} and output[${i}] has a shape of ${show(shape)}.`,
      { shapes: [given.layout.shape, shape] },
    )
  }
  return given
}

function roots(outputs: readonly Place[], options: DifferentiateOptions): { edges: Edge[]; grads: TensorCore[] } {
  const { gradOutputs, level } = options
  if (gradOutputs !== null && gradOutputs.length !== outputs.length) {
    throw new ArgumentError(`got ${outputs.length} tensors and ${gradOutputs.length} gradients`)
  }
  const edges = outputs.map((t, i) => rootEdge(t, i, level))
  return { edges, grads: outputs.map((t, i) => rootGradient(t, edges[i]!, gradOutputs?.[i], i, level)) }
}

/** Where the gradient of input `i` arrives; `refusal` opens the message for inputs outside of the graph. */
function inputEdge(x: Place, i: number, level: Level | null, op: string, refusal: string): Edge {
  const edge = locate(x, level, op, `input ${i}`)
  if (edge !== null) return edge
  throw new GraphError(`${refusal}: ${describeInput(x, i)}; call requiresGrad_() on it before computing`, {
    shapes: [(x as TensorCore).layout.shape],
  })
}

/** `input 1 (shape [2, 3], the parameter 0.weight)`. */
export function describeInput(x: Place, i: number): string {
  if (x instanceof GradientEdge)
    return `input ${i} (output ${x.outputNr} of ${x.node.name()}, shape ${show(x.node.meta(x.outputNr).shape)})`
  const name = nameOf(x)
  const what = name !== undefined ? `the parameter ${name}` : x.node !== null ? `made by ${x.node.name()}` : x.rg ? 'a leaf' : x.dt.name
  return `input ${i} (shape ${show(x.layout.shape)}, ${what})`
}

/** The gradients of `outputs` with respect to `inputs`; null where none flows. Touches no `.grad`. */
export function differentiate(outputs: readonly Place[], inputs: readonly Place[], options: DifferentiateOptions): (TensorCore | null)[] {
  const { edges, grads } = roots(outputs, options)
  const task = new Task({
    keepGraph: options.keepGraph,
    createGraph: options.createGraph,
    record: options.record ?? options.createGraph,
    inputs: inputs.map((x, i) => inputEdge(x, i, options.level, 'grad', 'One of the differentiated Tensors does not require grad')),
    accumulate: false,
  })
  return task.execute(edges, grads)
}

/** Adds gradients to `.grad`: of all leaves, or of `inputs` alone (which, where they aren't leaves, keep theirs from then on). */
export function backpropagate(outputs: readonly Place[], inputs: readonly Place[] | null, options: DifferentiateOptions): void {
  const { edges, grads } = roots(outputs, options)
  const places =
    inputs === null
      ? null
      : inputs.map((x, i) => inputEdge(x, i, null, 'backward', "can't retain_grad on Tensor that has requires_grad=False"))
  if (inputs !== null) for (const x of inputs) if (!(x instanceof GradientEdge)) keepGradient(x)
  new Task({
    keepGraph: options.keepGraph,
    createGraph: options.createGraph,
    record: options.createGraph,
    inputs: places,
    accumulate: true,
  }).execute(edges, grads)
}
