/** The graph behind a tensor as plain data: nodes, edges, what each node saved, and gradients. */
import { enableGrad, type HookHandle, type Node } from '../autograd/index.ts'
import type { DType } from '../dtype.ts'
import { ArgumentError, GraphError, InPlaceError } from '../errors.ts'
import { Tensor } from '../fluent.ts'
import type { Shape } from '../shape.ts'

/** A tensor as data. */
export interface GraphValue {
  /** What the node calls it: `self`, `result`, `grad`. */
  readonly name: string
  readonly shape: Shape
  readonly dtype: DType
  /** The elements in row-major order; null for more than `maxValues`, and where they were changed since they were saved. */
  readonly values: readonly number[] | null
}

/** A recorded operation, or a leaf. */
export interface GraphNode {
  /** `n0`, `n1`, …: the tensor's own node first. */
  readonly id: string
  readonly kind: 'operation' | 'leaf'
  /** torch's name of the node: `MulBackward0`. */
  readonly name: string
  /** The name the caller gave to the leaf, or to the tensor this node made. */
  readonly label?: string
  /** Of the node's first output. */
  readonly shape: Shape
  readonly dtype: DType
  /** What the node keeps for its gradient rules; empty after a backward pass that didn't retain the graph. */
  readonly saved: readonly GraphValue[]
  /** Of a leaf: its elements. */
  readonly value?: GraphValue
  /** Of a leaf: its `.grad`. Of an operation: the gradient that was watched (`watchGradients`). */
  readonly grad?: GraphValue
}

/** Output `output` of node `from` is input `input` of node `to`: edges point the way values flow. */
export interface GraphEdge {
  readonly from: string
  readonly to: string
  readonly input: number
  readonly output: number
}

/** A graph as data; survives `JSON.stringify`. */
export interface Graph {
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
}

/** The gradients of the outputs of nodes, as a pass delivered them. */
export type Gradients = ReadonlyMap<Node, readonly (Tensor | null)[]>

/** Options of `graphOf`. */
export interface GraphOptions {
  /** Names for tensors, shown at the leaf or at the operation that made them. */
  readonly labels?: Readonly<Record<string, Tensor>>
  /** From `watchGradients`. */
  readonly gradients?: Gradients
  /** Tensors of more elements come without their elements. Default 8. */
  readonly maxValues?: number
}

function isTensor(value: unknown): value is Tensor {
  return value instanceof Tensor
}

function listOf(outputs: Tensor | readonly Tensor[]): readonly Tensor[] {
  return isTensor(outputs) ? [outputs] : outputs
}

function dataOf(name: string, t: Tensor, maxValues: number): GraphValue {
  return { name, shape: t.shape, dtype: t.dtype, values: t.numel() <= maxValues ? [...t.toTypedArray()] : null }
}

/** The leaf's tensor, if the node is one. */
function variable(node: Node): Tensor | null {
  return 'variable' in node && isTensor(node.variable) ? node.variable : null
}

/** A leaf that is given as a root has no `gradFn`, but a node: the one its consumers point to. */
function nodeOf(t: Tensor, i: number): Node {
  if (!isTensor(t)) throw new ArgumentError(`graphOf: expected a tensor for output ${i}, got ${typeof t}`, { op: 'graphOf' })
  const node = t.gradFn ?? (t.requiresGrad ? enableGrad(() => t.reshape(t.shape).gradFn)?.nextFunctions[0]?.[0] : null)
  if (node === null || node === undefined) {
    throw new GraphError(
      'graphOf: the tensor does not require grad and has no gradFn: it was made without inputs that require gradients, or under noGrad',
      {
        op: 'graphOf',
        shapes: [t.shape],
      },
    )
  }
  return node
}

/** Every node that leads to `roots`, the roots first, then the way the graph is found; each once. */
function reach(roots: readonly Node[]): Node[] {
  const found = new Set<Node>(roots)
  // A set's iteration goes on with what is added meanwhile.
  for (const node of found) for (const [next] of node.nextFunctions) if (next !== null) found.add(next)
  return [...found]
}

function savedOf(node: Node, maxValues: number): GraphValue[] {
  return node.kept().map(({ name, value }) => {
    try {
      return dataOf(name, value.unpack(node) as Tensor, maxValues)
    } catch (error) {
      if (!(error instanceof InPlaceError)) throw error
      return { name, shape: value.layout.shape, dtype: value.dt.name, values: null }
    }
  })
}

/**
 * The graph behind one tensor or several, as data. Walks without recursion, so any depth is fine.
 * Errors: GraphError for a tensor that has no graph.
 * @example
 * const x = tensor(10, { requiresGrad: true })
 * graphOf(x.pow(2).add(20)).nodes.map((n) => n.name) // ['AddBackward0', 'PowBackward0', 'torch::autograd::AccumulateGrad']
 * @see https://docs.pytorch.org/docs/stable/notes/autograd.html#how-autograd-encodes-the-history
 */
export function graphOf(outputs: Tensor | readonly Tensor[], options: GraphOptions = {}): Graph {
  const { maxValues = 8, gradients, labels = {} } = options
  const nodes = reach(listOf(outputs).map(nodeOf))
  const ids = new Map(nodes.map((node, i) => [node, `n${i}`]))
  const names = new Map<Node | Tensor, string>()
  for (const [label, t] of Object.entries(labels)) names.set(t.gradFn ?? t, label)
  const edges: GraphEdge[] = []
  const described = nodes.map((node): GraphNode => {
    const id = ids.get(node)!
    node.nextFunctions.forEach(([next, output], input) => {
      if (next !== null) edges.push({ from: ids.get(next)!, to: id, input, output })
    })
    const leaf = variable(node)
    const label = names.get(leaf ?? node)
    const grad = leaf === null ? gradients?.get(node)?.[0] : leaf.grad
    return {
      id,
      kind: leaf === null ? 'operation' : 'leaf',
      name: node.name(),
      ...(label === undefined ? {} : { label }),
      shape: node.shape,
      dtype: node.dt.name,
      saved: savedOf(node, maxValues),
      ...(leaf === null ? {} : { value: dataOf('value', leaf, maxValues) }),
      ...(grad === null || grad === undefined ? {} : { grad: dataOf('grad', grad, maxValues) }),
    }
  })
  return { nodes: described, edges }
}

/** Gradients being watched; `remove()` takes the hooks off the graph. */
export interface Watch extends HookHandle {
  /** Filled by every pass that runs from here on. */
  readonly gradients: Gradients
}

/**
 * Notes the gradient that arrives at each node behind `outputs`, in every backward pass from here on, for `graphOf`.
 * @example
 * const x = tensor(3, { requiresGrad: true })
 * const loss = x.pow(2)
 * const watch = watchGradients(loss)
 * loss.backward({ retainGraph: true })
 * graphOf(loss, { gradients: watch.gradients }).nodes.length // 2
 * watch.remove()
 */
export function watchGradients(outputs: Tensor | readonly Tensor[]): Watch {
  const gradients = new Map<Node, readonly (Tensor | null)[]>()
  const handles = reach(listOf(outputs).map(nodeOf)).map((node) =>
    node.registerPrehook((gs) => {
      gradients.set(node, [...gs])
    }),
  )
  return { gradients, remove: () => handles.forEach((handle) => handle.remove()) }
}
