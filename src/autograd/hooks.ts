/** The hooks around one node, in torch's order: tensor hooks, kept gradients, prehooks, the node, posthooks. */
import type { Tensor } from '../fluent.ts'
import type { TensorCore } from '../tensor.ts'
import { accumulate } from './accumulate.ts'
import type { Task } from './engine.ts'
import type { AccumulateGrad, GradList, Node, NodeHooks } from './node.ts'
import { needs } from './record.ts'
import { callHook, runTensorHook, takeReturned } from './user.ts'

type Grads = (TensorCore | null)[]

/** Tensor hooks of a node's outputs, in order, then the gradients that tensors want kept. Returns output 0's gradient. */
export function tensorHooks(node: Node, first: TensorCore | null, gs: Grads | null, task: Task): TensorCore | null {
  const hooks = node.hooks!
  const list = gs ?? [first]
  const outputs = Array.from(hooks.tensor.keys())
  for (let k = 0; k < outputs.length; k++) {
    const registered = hooks.tensor.get(outputs[k]!)!.list
    for (let i = 0; i < registered.length; i++) runTensorHook(registered[i]!, list, outputs[k]!, node)
  }
  if (hooks.retain.size > 0) keepRetained(hooks.retain, list, task)
  return list[0] ?? null
}

function keepRetained(retain: NodeHooks['retain'], list: Grads, task: Task): void {
  for (const [nr, t] of retain) {
    const g = list[nr]
    if (g !== null && g !== undefined) accumulate(t.leaf!, g, task.area, task.createGraph, false)
  }
}

/** Prehooks of a node. Returns output 0's gradient. */
export function preHooks(node: Node, first: TensorCore | null, gs: Grads | null): TensorCore | null {
  const list = gs ?? [first]
  for (const hook of node.hooks!.pre.list) takeReturned(list, callHook(hook, [[...list] as GradList]), hook, node)
  return list[0] ?? null
}

/** Posthooks of a node; may replace what is in `out`. */
export function postHooks(node: Node, out: Grads, gradOutputs: Grads): void {
  const hooks = node.hooks!.post.list
  if (hooks.length === 0) return
  const list = out.slice(0, node.edges.length)
  for (const hook of hooks) takeReturned(list, callHook(hook, [[...list] as GradList, [...gradOutputs] as GradList]), hook, node)
  for (let i = 0; i < list.length; i++) out[i] = list[i]!
}

/** A gradient arrives at a leaf: prehooks, accumulation, post-accumulate hooks, posthooks. */
export function atLeaf(node: AccumulateGrad, first: TensorCore | null, task: Task): void {
  const { hooks, variable } = node
  const g = hooks === null ? first : preHooks(node, first, null)
  const leaf = variable.leaf!
  const takes = g !== null && needs(variable, null)
  // A posthook sees the gradient after this, and may keep it: then its memory doesn't become `.grad`'s.
  if (takes) accumulate(leaf, g, task.area, task.createGraph, hooks === null)
  if (leaf.hooks !== null && takes) {
    leaf.shown = true
    for (const hook of leaf.hooks.list) callHook(hook, [variable as Tensor])
  }
  if (hooks !== null) for (const hook of hooks.post.list) callHook(hook, [[], [g] as GradList])
}
