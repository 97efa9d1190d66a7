/** `autograd.grad` and `autograd.backward`: passes over several outputs at once. */
import { ArgumentError, GraphError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { checkOptions, type Known } from '../options.ts'
import { sameShape } from '../shape.ts'
import { isTensor, type TensorCore } from '../tensor.ts'
import { insideTransform, withLevel, wrap } from './levels.ts'
import { asPlaces, BACKWARD_OPTIONS, type BackwardOptions, inputList } from './methods.ts'
import { GradientEdge } from './node.ts'
import { backpropagate, describeInput, differentiate, type Place } from './run.ts'

/** Options of `grad`. */
export interface GradOptions {
  /** Gradients of the outputs; may be left out (or null) for outputs of one element. */
  readonly gradOutputs?: Tensor | readonly (Tensor | null)[] | null
  /** Keep the graph for another pass. Default: `createGraph`. */
  readonly retainGraph?: boolean
  /** Record the pass, for higher derivatives. */
  readonly createGraph?: boolean
  /** Give null for inputs the outputs don't depend on, instead of throwing. Default: `materializeGrads`. */
  readonly allowUnused?: boolean
  /** The first dim of each of `gradOutputs` is a batch: one gradient per entry. */
  readonly isGradsBatched?: boolean
  /** Give zeros for unused inputs. */
  readonly materializeGrads?: boolean
}

const GRAD_OPTIONS: Known<GradOptions> = {
  gradOutputs: 'any',
  retainGraph: 'boolean',
  createGraph: 'boolean',
  allowUnused: 'boolean',
  isGradsBatched: 'boolean',
  materializeGrads: 'boolean',
}

/** A tensor or a place in the graph, or several. */
export type Places = Tensor | GradientEdge | readonly (Tensor | GradientEdge)[]

/**
 * The gradients of `outputs` (summed) with respect to each input; `.grad` is not touched.
 * Errors: GraphError for unused inputs (unless allowed), inputs or outputs outside the graph, a freed graph.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * const [g] = autograd.grad(x.pow(3), x, { createGraph: true })
 * g!.item() // 12
 * autograd.grad(g!, x)[0]!.item() // 12
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad.html
 */
export function grad(
  outputs: Places,
  inputs: Places,
  options: GradOptions & { readonly allowUnused: true; readonly materializeGrads?: false },
): (Tensor | null)[]
export function grad(outputs: Places, inputs: Places, options?: GradOptions): Tensor[]
export function grad(outputs: Places, inputs: Places, options: GradOptions = {}): (Tensor | null)[] {
  checkOptions('grad', options, GRAD_OPTIONS)
  const outs = asPlaces(outputs)
  const ins = asPlaces(inputs)
  if (ins.length === 0) throw new ArgumentError('`inputs` argument to `grad()` cannot be empty: grad requires non-empty inputs.')
  if (options.materializeGrads && options.allowUnused === false) {
    throw new ArgumentError('Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False.')
  }
  if (insideTransform() && outs.some((t) => isTensor(t) && t.wrap !== null)) {
    throw new GraphError(
      'grad() called inside a func transform. This is not supported, please use func.grad or func.vjp instead or call grad() outside of transforms.',
    )
  }
  const createGraph = options.createGraph ?? false
  const gradOutputs =
    options.gradOutputs === undefined || options.gradOutputs === null
      ? null
      : isTensor(options.gradOutputs)
        ? [options.gradOutputs]
        : (options.gradOutputs as readonly (Tensor | null)[])
  const settings = { keepGraph: options.retainGraph ?? createGraph, createGraph, level: null }
  const made = options.isGradsBatched ? batched(outs, ins, gradOutputs, settings) : differentiate(outs, ins, { ...settings, gradOutputs })
  return made.map((g, i) => {
    if (g !== null) return g as Tensor
    const x = ins[i]!
    if (options.materializeGrads) {
      if (x instanceof GradientEdge) throw new ArgumentError('materialize_grads cannot be used when the given input is a GradientEdge')
      const zeros = (x as Tensor).detach().zerosLike()
      return createGraph ? zeros.requiresGrad_() : zeros
    }
    if (options.allowUnused) return null
    throw new GraphError(
      `The differentiated Tensor at index ${i} appears to not have been used in the graph. Set allowUnused: true if this is the desired behavior. It is ${describeInput(x, i)}; no output depends on it.`,
    )
  }) as Tensor[]
}

/** One pass over gradients that are batched along dim 0, by the batching rules. */
function batched(
  outs: readonly Place[],
  ins: readonly Place[],
  gradOutputs: readonly (Tensor | null)[] | null,
  settings: { keepGraph: boolean; createGraph: boolean; level: null },
): (TensorCore | null)[] {
  if (gradOutputs === null) throw new ArgumentError('grad: isGradsBatched needs gradOutputs with a leading batch dimension')
  let size = -1
  gradOutputs.forEach((g, i) => {
    const out = outs[i]!
    if (g === null) return
    const shape = out instanceof GradientEdge ? out.node.meta(out.outputNr).shape : out.layout.shape
    if (g.layout.rank === 0 || !sameShape(g.shape.slice(1), shape)) {
      throw new ShapeError(
        `If \`isGradsBatched: true\`, we interpret the first dimension of each grad_output as the batch dimension. The sizes of the remaining dimensions are expected to match the shape of corresponding output, but a mismatch was detected: grad_output[${i}] has a shape of ${show(g.shape)} and output[${i}] has a shape of ${show(shape)}. If you only want some tensors in \`grad_output\` to be considered batched, consider using vmap.`,
        { shapes: [g.shape, shape] },
      )
    }
    size = g.shape[0]!
  })
  return withLevel('batch', size, (level) => {
    const wrapped = gradOutputs.map((g) => (g === null ? null : wrap(level, g)))
    // Rules must run on tensors, so that batching sees them; recording stays as asked.
    const made = differentiate(outs, ins, { ...settings, gradOutputs: wrapped, createGraph: true, record: settings.createGraph })
    return made.map((g) => (g === null ? null : (unbatch(g, level.depth, size) as TensorCore)))
  })
}

/** The value of a batch tensor with the batch in front; others repeated. */
export function unbatch(t: TensorCore, depth: number, size: number): Tensor {
  if (t.wrap === null || t.wrap.level.depth !== depth) return (t as Tensor).unsqueeze(0).expand([size, ...t.layout.shape])
  return t.wrap.dim === 0 ? (t.wrap.value as Tensor) : (t.wrap.value as Tensor).movedim(t.wrap.dim, 0)
}

/**
 * Adds the gradients of `tensors` (summed) to the `.grad` of the leaves they depend on.
 * @example
 * const x = tensor([1, 2], { requiresGrad: true })
 * autograd.backward(x.pow(2), tensor([1, 10]))
 * x.grad!.tolist() // [2, 40]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.backward.html
 */
export function backward(tensors: Places, gradTensors?: Tensor | readonly (Tensor | null)[] | null, options: BackwardOptions = {}): void {
  checkOptions('backward', options, BACKWARD_OPTIONS)
  const outs = asPlaces(tensors)
  const grads =
    gradTensors === undefined || gradTensors === null
      ? null
      : isTensor(gradTensors)
        ? [gradTensors as Tensor]
        : (gradTensors as readonly (Tensor | null)[])
  const createGraph = options.createGraph ?? false
  backpropagate(outs, inputList(options.inputs), {
    gradOutputs: grads,
    keepGraph: options.retainGraph ?? createGraph,
    createGraph,
    level: null,
  })
}
