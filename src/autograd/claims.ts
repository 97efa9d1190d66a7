/** The nodes that a pass has found, whose scratch fields are its own until it ends. */
import { escape } from '../memory/area.ts'
import type { Task } from './engine.ts'
import type { Node } from './node.ts'

// Note [Scratch fields]
// A pass keeps its counts and buffers in fields of the nodes it visits, which costs nothing to find. A pass that starts
// inside another one (from a hook or a Function) and meets nodes the outer pass has claimed puts their fields aside and
// restores them at its end.

/** A node's scratch fields, put aside by an inner pass. */
type Stashed = Pick<Node, 'task' | 'pending' | 'needed' | 'buffer' | 'buffers'> & { readonly node: Node }

export class Claims {
  readonly nodes: Node[] = []
  private readonly stash: Stashed[] = []
  private readonly task: Task

  constructor(task: Task) {
    this.task = task
  }

  /** Claims all that can be reached from `roots` and counts, for each node, the edges that will deliver to it. */
  count(roots: readonly { readonly node: Node }[]): void {
    const stack: Node[] = []
    for (const { node } of roots) if (this.claim(node)) stack.push(node)
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      for (const next of node.edges) {
        if (next === null) continue
        if (this.claim(next)) stack.push(next)
        next.pending++
      }
    }
  }

  private claim(node: Node): boolean {
    if (node.task === this.task) return false
    if (node.task !== null) {
      const { task, pending, needed, buffer, buffers } = node
      this.stash.push({ node, task, pending, needed, buffer, buffers })
    }
    node.task = this.task
    node.pending = 0
    node.needed = true
    node.buffer = null
    node.buffers = null
    this.nodes.push(node)
    return true
  }

  /** Gives the nodes back: empty, or to the outer pass that was using them. */
  release(): void {
    for (const node of this.nodes) {
      node.task = null
      const { buffer, buffers } = node
      node.buffer = null
      node.buffers = null
      if (buffer !== null) escape(buffer.storage)
      if (buffers !== null) for (const b of buffers) if (b !== null) escape(b.storage)
    }
    for (const s of this.stash)
      Object.assign(s.node, { task: s.task, pending: s.pending, needed: s.needed, buffer: s.buffer, buffers: s.buffers })
  }
}
