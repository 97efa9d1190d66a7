/** `autograd.graph`: places in the graph, hooks over several tensors, and what is known inside a running pass. */
import { ArgumentError, GraphError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { expectTensor, isTensor } from '../tensor.ts'
import { runningTask, type Task } from './engine.ts'
import { registerHook } from './methods.ts'
import { AccumulateGrad, type GradHook, GradientEdge, type HookHandle, type Node, versionOf } from './node.ts'
import { bump, edgeOf } from './record.ts'

export { listSavedTensors, type SavedEntry, type SavedList } from './listing.ts'
export { GradientEdge, Node, type PostHook, type PreHook } from './node.ts'
export { RawSaved } from './saved.ts'
export { allowMutationOnSavedTensors, disableSavedTensorsHooks, type MutationContext, savedTensorsHooks, saveOnCpu } from './savedHooks.ts'

/**
 * Where the gradient of `t` arrives: its node and output number, which outlive the tensor and later in-place operations.
 * Errors: GraphError when t takes no part in differentiation.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * const edge = autograd.graph.getGradientEdge(x)
 * edge.node.name() // torch::autograd::AccumulateGrad
 * autograd.grad(x.pow(3), edge)[0]!.item() // 12
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.graph.get_gradient_edge.html
 */
export function getGradientEdge(t: Tensor): GradientEdge {
  expectTensor('getGradientEdge', t, 'argument 0')
  const node = edgeOf(t, null)
  if (node === null) {
    throw new GraphError(
      `It is not possible to get the gradient edge for a Tensor that does not require gradients (shape ${show(t.shape)}, ${t.dtype})`,
      { op: 'getGradientEdge', shapes: [t.shape] },
    )
  }
  return new GradientEdge(node, t.gradFn === null ? 0 : t.outputNr)
}

/** What a hook over several tensors has seen of one pass. */
interface Seen {
  readonly grads: (Tensor | null)[]
  /** How many of the tensors take part in the pass. */
  readonly expected: number
  count: number
}

/**
 * Runs a function once per backward pass over several tensors: with `mode: 'all'`, `fn(grads)` after every tensor that takes
 * part has its gradient (null for the others); with `'any'`, `fn(grad)` at the first one.
 * @example
 * const [a, b] = [tensor(1, { requiresGrad: true }), tensor(2, { requiresGrad: true })]
 * let seen: unknown[] = []
 * autograd.graph.registerMultiGradHook([a, b], (grads) => void (seen = grads.map((g) => g?.item())))
 * a.mul(b).backward()
 * seen // [2, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.graph.register_multi_grad_hook.html
 */
export function registerMultiGradHook(
  tensors: readonly Tensor[],
  fn: (grads: (Tensor | null)[]) => void,
  options?: { readonly mode?: 'all' },
): HookHandle
export function registerMultiGradHook(tensors: readonly Tensor[], fn: (grad: Tensor) => void, options: { readonly mode: 'any' }): HookHandle
export function registerMultiGradHook(
  tensors: readonly Tensor[],
  fn: ((grads: (Tensor | null)[]) => void) | ((grad: Tensor) => void),
  options: { readonly mode?: 'all' | 'any' } = {},
): HookHandle {
  const mode = options.mode ?? 'all'
  if (mode !== 'all' && mode !== 'any') throw new ArgumentError(`Expects mode to be one of ('all', 'any') but got ${String(mode)}`)
  // Kept per pass, so that nested passes don't meet and a pass that failed leaves nothing behind.
  const passes = new WeakMap<Task, Seen>()
  const nodes = tensors.map((t) => getGradientEdge(t).node)
  const start = (task: Task): Seen => ({
    grads: tensors.map(() => null),
    expected: mode === 'any' ? 1 : nodes.filter((node) => executes(task, node)).length,
    count: 0,
  })
  const hookFor =
    (i: number): GradHook =>
    (grad) => {
      const task = runningTask()!
      let seen = passes.get(task)
      if (seen === undefined) passes.set(task, (seen = start(task)))
      seen.grads[i] = grad
      if (++seen.count !== seen.expected) return
      if (mode === 'any') (fn as (grad: Tensor) => void)(grad)
      else (fn as (grads: (Tensor | null)[]) => void)(seen.grads)
    }
  const handles = tensors.map((t, i) => registerHook(t, hookFor(i)))
  return { remove: () => handles.forEach((handle) => handle.remove()) }
}

function executes(task: Task, node: Node): boolean {
  if (node instanceof AccumulateGrad && task.returns(node)) {
    throw new GraphError(
      'A leaf node was passed to _will_engine_execute_node but we are currently running autograd.grad(). This is currently not supported.',
    )
  }
  return task.executes(node)
}

function inPass(what: string): Task {
  const task = runningTask()
  if (task === null) throw new GraphError(`${what} can only be used during backward pass: call it from a hook or a Function`)
  return task
}

/**
 * Will the running pass execute this node? Errors: GraphError outside a pass, and for leaves that `autograd.grad` returns.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * const y = x.pow(2)
 * const z = y.mul(3)
 * let later = false
 * z.registerHook(() => void (later = autograd.graph.willEngineExecuteNode(y.gradFn!)))
 * z.backward()
 * later // true
 */
export function willEngineExecuteNode(node: Node): boolean {
  return executes(inPass('willEngineExecuteNode'), node)
}

/**
 * The number of the running pass, counted up over the program; -1 outside.
 * @example
 * autograd.graph.currentGraphTaskId() // -1
 */
export function currentGraphTaskId(): number {
  return runningTask()?.id ?? -1
}

/**
 * The nodes of the running pass in the order in which it runs them.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * const y = x.pow(2)
 * let order: string[] = []
 * y.registerHook(() => void (order = autograd.graph.currentGraphTaskExecutionOrder().map((n) => n.name())))
 * y.backward()
 * order // ['PowBackward0', 'torch::autograd::AccumulateGrad']
 */
export function currentGraphTaskExecutionOrder(): Node[] {
  return inPass('currentGraphTaskExecutionOrder').order()
}

/**
 * Does the running pass keep what nodes saved?
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * let kept = false
 * x.registerHook(() => void (kept = autograd.graph.currentGraphTaskKeepGraph()))
 * x.pow(2).backward({ retainGraph: true })
 * kept // true
 */
export function currentGraphTaskKeepGraph(): boolean {
  return inPass('currentGraphTaskKeepGraph').keepGraph
}

/**
 * The node that is running, or null outside a pass.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * let name = ''
 * x.registerHook(() => void (name = autograd.graph.currentNode()!.name()))
 * x.pow(2).backward()
 * name // torch::autograd::AccumulateGrad
 */
export function currentNode(): Node | null {
  return runningTask()?.node ?? null
}

/**
 * Runs `fn` when the pass that is running now has finished; callbacks may add callbacks. A nested pass runs its own.
 * Errors: GraphError outside a pass.
 * @example
 * const x = tensor(2, { requiresGrad: true })
 * const done: string[] = []
 * x.registerHook(() => autograd.graph.queueCallback(() => done.push('finished')))
 * x.pow(2).backward()
 * done // ['finished']
 */
export function queueCallback(fn: () => void): void {
  const task = runningTask()
  if (task === null) throw new GraphError('Final callbacks can only be installed during backward pass.')
  task.callbacks.push(fn)
}

/**
 * Counts an in-place change of each tensor that happened behind the library's back (through `numpy()` memory, say), so that
 * graphs that saved it refuse to go on.
 * @example
 * const x = tensor([1, 2])
 * autograd.graph.incrementVersion(x)
 * x._version // 1
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.graph.increment_version.html
 */
export function incrementVersion(tensors: Tensor | readonly Tensor[]): void {
  const list = isTensor(tensors) ? [tensors as Tensor] : (tensors as readonly Tensor[])
  list.forEach((t, i) => expectTensor('incrementVersion', t, `tensor ${i}`))
  for (const t of list) bump(t, 'incrementVersion')
}

/**
 * Runs `fn`, then puts the version counters of the tensors back: for changes that graphs need not know of.
 * @example
 * const x = tensor([1, 2])
 * autograd.graph.unsafePreserveVersionCounter(x, () => x.mul_(2))
 * x._version // 0
 */
export function unsafePreserveVersionCounter<R>(tensors: Tensor | readonly Tensor[], fn: () => R): R {
  const list = isTensor(tensors) ? [tensors as Tensor] : (tensors as readonly Tensor[])
  const before = list.map((t) => versionOf(t).value)
  try {
    return fn()
  } finally {
    list.forEach((t, i) => {
      versionOf(t).value = before[i]!
    })
  }
}
