/** The nodes that may run now: newest first, leaves before everything. */
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
