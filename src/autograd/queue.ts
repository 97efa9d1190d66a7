/** Which nodes of a pass run, and which first: newest first, leaves before everything. */
import type { Node } from './node.ts'

/** A binary max-heap by sequence number. */
export class ReadyQueue {
  private readonly heap: Node[] = []

  push(node: Node): void {
    const { heap } = this
    let i = heap.length
    heap.push(node)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (heap[parent]!.seq >= node.seq) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = node
  }

  pop(): Node | undefined {
    const { heap } = this
    const top = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return top
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]!.seq > heap[child]!.seq) child++
      if (heap[child]!.seq <= last.seq) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
    return top
  }
}

/**
 * Marks the nodes of a pass that lead to an input that was asked for, by walking the edges backwards from the inputs. With
 * `accumulate` the inputs themselves run too.
 */
export function markNeeded(visited: readonly Node[], inputs: Iterable<Node>, accumulate: boolean): void {
  const users = new Map<Node, Node[]>()
  for (const node of visited) {
    node.needed = false
    for (const next of node.edges) {
      if (next === null) continue
      const list = users.get(next)
      if (list === undefined) users.set(next, [node])
      else list.push(node)
    }
  }
  const stack: Node[] = []
  const visit = (of: Node): void => {
    for (const user of users.get(of) ?? []) {
      if (user.needed) continue
      user.needed = true
      stack.push(user)
    }
  }
  for (const node of inputs) {
    visit(node)
    if (accumulate) node.needed = true
  }
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) visit(node)
}

/** The nodes in the order in which a pass that starts now would run them. */
export function executionOrder(nodes: readonly Node[]): Node[] {
  const pending = new Map(nodes.map((node) => [node, 0]))
  for (const node of nodes) for (const next of node.edges) if (next !== null) pending.set(next, pending.get(next)! + 1)
  const ready = new ReadyQueue()
  for (const [node, n] of pending) if (n === 0) ready.push(node)
  const found: Node[] = []
  for (let node = ready.pop(); node !== undefined; node = ready.pop()) {
    found.push(node)
    for (const next of node.edges) {
      if (next === null) continue
      const n = pending.get(next)! - 1
      pending.set(next, n)
      if (n === 0) ready.push(next)
    }
  }
  return found
}
