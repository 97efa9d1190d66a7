/** The autograd face of a tensor: `backward`, `grad`, `gradFn`, hooks, `detach`. Installed on tensors in `fluent.ts`. */
import { type DType, dtypeInfo } from '../dtype.ts'
import { ArgumentError, AutogradError, DTypeError, GraphError, InPlaceError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { currentScope } from '../memory/scope.ts'
import { checkOptions, type Known } from '../options.ts'
import { sameShape } from '../shape.ts'
import { expectTensor, isTensor, TensorCore } from '../tensor.ts'
import { warnOnce } from '../warnings.ts'
import { clearGrad, showGrad } from './accumulate.ts'
import { insideTransform, wrap } from './levels.ts'
import { modes } from './modes.ts'
import { alias, type GradHook, type GradientEdge, type HookHandle, HookList, leafOf, type Node, NodeHooks } from './node.ts'
import { edgeOf, keepGradient, needs, refresh } from './record.ts'
import { backpropagate, type Place } from './run.ts'
import { bornInInference } from './version.ts'

/** Options of `backward`. */
export interface BackwardOptions {
  /** Keep the graph for another backward. Default: `createGraph`. */
  readonly retainGraph?: boolean
  /** Record the backward pass itself, for higher derivatives. */
  readonly createGraph?: boolean
  /** Accumulate only into these tensors (leaves or not). */
  readonly inputs?: Tensor | GradientEdge | readonly (Tensor | GradientEdge)[]
}

/** The options of `backward` for checks. */
export const BACKWARD_OPTIONS: Known<BackwardOptions> = { retainGraph: 'boolean', createGraph: 'boolean', inputs: 'any' }

/** `inputs` as a list; refuses an empty one. */
export function inputList(inputs: BackwardOptions['inputs']): readonly Place[] | null {
  if (inputs === undefined) return null
  const list = asPlaces(inputs)
  if (list.length === 0) throw new ArgumentError('`inputs` argument to `backward()` cannot be empty.')
  return list
}

/** One place or several, as a list. */
export function asPlaces(x: Tensor | GradientEdge | readonly (Tensor | GradientEdge)[]): readonly (Tensor | GradientEdge)[] {
  return Array.isArray(x) ? x : [x as Tensor | GradientEdge]
}

/**
 * Adds the gradient of x to the `.grad` of the leaves it depends on. `gradient` may be left out when x has one element.
 * Errors: GraphError without a graph, for a freed graph, or when a gradient is needed and missing.
 * @example
 * const x = tensor(10, { requiresGrad: true })
 * x.pow(2).add(20).backward()
 * x.grad.item() // 20
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html
 */
export function backward(x: Tensor, gradient?: Tensor | BackwardOptions | null, options?: BackwardOptions): void {
  expectTensor('backward', x, 'argument 0')
  const g = isTensor(gradient) ? gradient : null
  const o = (isTensor(gradient) || gradient === undefined || gradient === null ? options : gradient) ?? {}
  checkOptions('backward', o, BACKWARD_OPTIONS)
  if (insideTransform() && x.wrap !== null) {
    throw new GraphError(
      'backward() called inside a func transform. This is not supported, please use func.grad or func.vjp instead or call backward() outside of transforms.',
    )
  }
  const createGraph = o.createGraph ?? false
  backpropagate([x], inputList(o.inputs), { gradOutputs: [g], keepGraph: o.retainGraph ?? createGraph, createGraph, level: null })
}

/** Makes a leaf require gradients (or not); returns it. @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.requires_grad_.html */
export function requiresGrad_(x: Tensor, requires = true): Tensor {
  setRequiresGrad(x, requires, 'only Tensors of floating point dtype can require gradients')
  return x
}

function setRequiresGrad(x: TensorCore, requires: unknown, refusal: string): void {
  if (typeof requires !== 'boolean') throw new ArgumentError('requires_grad must be a bool')
  if (requires === needs(x, null)) return
  if (requires) {
    if (bornInInference(x) && !modes.inference)
      throw new AutogradError('Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.')
    if (!x.dt.floating)
      throw new DTypeError(`${refusal}, got ${x.dt.name}; convert it first, e.g. x.to('float32')`, { dtypes: [x.dt.name] })
    x.rg = true
    leafOf(x)
    return
  }
  if (x.node !== null) {
    throw new AutogradError(
      "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach().",
    )
  }
  x.rg = false
}

/**
 * The same elements outside the graph: shares memory and version with x.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html
 */
export function detach(x: Tensor): Tensor {
  expectTensor('detach', x, 'argument 0')
  if (x.wrap !== null) {
    const { level, value, dim } = x.wrap
    return wrap(level, detach(value as Tensor), null, dim) as Tensor
  }
  return alias(x) as Tensor
}

/** Is x a view of another tensor? (It shares the elements and counts changes with `_base`.) */
export function _isView(x: Tensor): boolean {
  expectTensor('_isView', x, 'argument 0')
  return x.viewMeta !== null
}

/**
 * A leaf with memory of its own: the same elements, flag and (copied) gradient. Of a Parameter: a plain tensor.
 * Errors: AutogradError for tensors that operations made. @see https://docs.python.org/3/library/copy.html#copy.deepcopy
 */
export function deepcopy(x: Tensor): Tensor {
  expectTensor('deepcopy', x, 'argument 0')
  if (x.gradFn !== null) {
    throw new AutogradError(
      'Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment. ' +
        `This one was made by ${x.gradFn.name()}: use clone() to stay in the graph, or detach().clone() to leave it.`,
    )
  }
  const copy = detach(x).clone()
  if (x.requiresGrad) requiresGrad_(copy)
  if (x.grad !== null) copy.grad = deepcopy(x.grad)
  return copy
}

/** Was x made in inference mode? @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.is_inference.html */
export function isInference(x: Tensor): boolean {
  expectTensor('isInference', x, 'argument 0')
  return bornInInference(x)
}

/** Takes x itself out of the graph. Errors: InPlaceError for views. @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach_.html */
export function detach_(x: Tensor): Tensor {
  expectTensor('detach_', x, 'argument 0')
  if (x.viewMeta !== null) throw new InPlaceError("Can't detach views in-place. Use detach() instead.", { op: 'detach_' })
  x.node = null
  x.outputNr = 0
  x.rg = false
  return x
}

/** Keeps the gradient of a non-leaf in its `.grad`. @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.retain_grad.html */
export function retainGrad(x: Tensor): void {
  expectTensor('retainGrad', x, 'argument 0')
  if (edgeOf(x, null) === null) throw new GraphError("can't retain_grad on Tensor that has requires_grad=False")
  keepGradient(x)
}

/**
 * Runs `hook(grad)` when the gradient of x is computed; what it returns (if anything) replaces the gradient.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.register_hook.html
 */
export function registerHook(x: Tensor, hook: GradHook): HookHandle {
  expectTensor('registerHook', x, 'argument 0')
  const node = edgeOf(x, null)
  if (node === null) throw new GraphError("cannot register a hook on a tensor that doesn't require gradient")
  const hooks = (node.hooks ??= new NodeHooks())
  const nr = x.node === null ? 0 : x.outputNr
  let list = hooks.tensor.get(nr)
  if (list === undefined) hooks.tensor.set(nr, (list = new HookList()))
  return list.add(hook)
}

/** Runs `hook(x)` after a leaf's `.grad` was updated. @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.register_post_accumulate_grad_hook.html */
export function registerPostAccumulateGradHook(x: Tensor, hook: (x: Tensor) => void): HookHandle {
  expectTensor('registerPostAccumulateGradHook', x, 'argument 0')
  if (!x.rg) throw new GraphError("cannot register a hook on a tensor that doesn't require gradient")
  if (x.node !== null) throw new GraphError('post accumulate grad hooks cannot be registered on non-leaf tensors')
  const leaf = leafOf(x)
  return (leaf.hooks ??= new HookList()).add((t) => {
    if ((hook(t) as unknown) !== undefined) throw new ArgumentError('Tensor post accumulate grad hooks should return None.')
  })
}

function grad(x: TensorCore): TensorCore | null {
  if (x.node !== null && x.rg && !retains(x)) {
    warnOnce(
      "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be populated during autograd.backward(). " +
        'If you indeed want the .grad field to be populated for a non-leaf Tensor, use .retainGrad() on the non-leaf Tensor. ' +
        'If you access the non-leaf Tensor by mistake, make sure you access the leaf Tensor instead.',
    )
  }
  return showGrad(x)
}

const retains = (x: TensorCore): boolean => x.node?.hooks?.retain.get(x.outputNr) === x

function assignGrad(x: TensorCore, value: unknown): void {
  if (value === null || value === undefined) {
    clearGrad(x)
    return
  }
  if (!isTensor(value)) throw new ArgumentError(`assigned grad expected to be a Tensor or None but got grad of type ${typeof value}`)
  if (value === x) throw new AutogradError("can't assign Variable as its own grad")
  if (!sameShape(value.layout.shape, x.layout.shape)) {
    throw new ShapeError(
      `attempting to assign a gradient of size '${show(value.layout.shape)}' to a tensor of size '${show(x.layout.shape)}'. Please ensure that the gradient and the tensor are the same size`,
      { shapes: [value.layout.shape, x.layout.shape] },
    )
  }
  const leaf = leafOf(x)
  if (value.dt !== leaf.node.dt && !leaf.node.anyDtype) {
    throw new DTypeError(
      `attempting to assign a gradient with dtype '${value.dt.name}' to a tensor with grad_dtype '${leaf.node.dt.name}'. The gradient must match the tensor's grad_dtype (defaults to the tensor's dtype). ` +
        "You can set the tensor's gradDtype with a specific dtype, or null to allow any dtype.",
      { dtypes: [value.dt.name, leaf.node.dt.name] },
    )
  }
  currentScope()?.keep(value.storage, value.node !== null)
  leaf.grad = value
  leaf.has = true
  leaf.shown = true
}

/** The tensor's own elements outside version tracking. */
function data(x: TensorCore): TensorCore {
  const d = new TensorCore(x.storage, x.layout, x.dt)
  d.wrap = x.wrap
  d.vc = bornInInference(x) ? x.vc : null
  return d
}

function setData(x: TensorCore, value: unknown): void {
  expectTensor('data', value, 'the assigned value')
  if (x.rg && !value.dt.floating) {
    throw new DTypeError('data set to a tensor that requires gradients must be floating point or complex dtype', {
      dtypes: [value.dt.name],
    })
  }
  const node = x.leaf?.node
  if (node !== undefined) {
    if (node.dt === x.dt) node.dt = value.dt
    node.shape = value.layout.shape
  }
  x.storage = value.storage
  x.layout = value.layout
  x.dt = value.dt
}

function gradDtype(x: TensorCore): DType | null {
  if (x.node !== null) throw new GraphError('grad_dtype can only be accessed on leaf tensors.')
  const node = x.leaf?.node
  return node === undefined ? x.dt.name : node.anyDtype ? null : node.dt.name
}

function setGradDtype(x: TensorCore, dtype: unknown): void {
  if (x.node !== null) throw new GraphError('grad_dtype can only be set on leaf tensors.')
  const dt = dtype === null ? null : dtypeInfo(dtype as DType)
  const { node, has, grad } = leafOf(x)
  if (dt !== null && has && grad!.dt !== dt) {
    throw new DTypeError(
      `Cannot set grad_dtype to '${dt.name}' because there is already a gradient with dtype '${grad!.dt.name}'. ` +
        "Please clear the gradient (.grad = null) before changing gradDtype, or ensure the new one matches the existing gradient's dtype.",
      { dtypes: [dt.name, grad!.dt.name] },
    )
  }
  node.anyDtype = dt === null
  node.dt = dt ?? x.dt
}

/** Properties of tensors that need the graph. */
export const accessors: {
  readonly [name: string]: { get(x: TensorCore): unknown; set?(x: TensorCore, value: unknown): void }
} = {
  requiresGrad: {
    get: (x) => needs(x, x.wrap === null ? null : x.wrap.level),
    set: (x, value) => setRequiresGrad(x, value, 'only Tensors of floating point and complex dtype can require gradients'),
  },
  grad: { get: grad, set: assignGrad },
  gradDtype: { get: gradDtype, set: setGradDtype },
  gradFn: {
    get: (x): Node | null => {
      if (x.viewMeta !== null) refresh(x)
      return x.node
    },
  },
  isLeaf: {
    get: (x) => {
      if (!needs(x, null)) return true
      if (x.viewMeta !== null) refresh(x)
      return x.node === null
    },
  },
  retainsGrad: { get: retains },
  data: { get: data, set: setData },
  _version: {
    get: (x) => {
      if (bornInInference(x)) throw new AutogradError('Inference tensors do not track version counter.')
      return x.vc?.value ?? 0
    },
  },
  _base: { get: (x) => x.viewMeta?.base ?? null },
}
