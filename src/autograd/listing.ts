/** What a graph keeps for its backward pass, tensor by tensor. */
import type { Tensor } from '../fluent.ts'
import type { Storage } from '../memory/storage.ts'
import { isTensor } from '../tensor.ts'
import { nameOf } from './names.ts'
import type { Node } from './node.ts'
import { edgeOf } from './record.ts'

/** One tensor that a node saved. */
export interface SavedEntry {
  /** The node's name, `MulBackward0`, and its sequence number. */
  readonly node: string
  readonly sequenceNr: number
  /** torch's name of what was saved: `self`, `other`, `result`. */
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: string
  /** Bytes of its storage, which a view shares with its base; 0 where hooks have packed the tensor. */
  readonly bytes: number
  /** Is the storage a leaf's, which is alive anyway? Then its parameter's name, if a module knows it. */
  readonly leaf: boolean
  readonly parameter: string | null
  /** Did an earlier entry of the list name the same storage? */
  readonly shared: boolean
  /** Saved-tensor hooks hold it. */
  readonly packed: boolean
}

/** All that a graph saved. */
export interface SavedList {
  readonly entries: readonly SavedEntry[]
  /** Bytes kept alive by the graph alone: every storage once, those of leaves left out. */
  readonly bytes: number
  /** The same by node name, largest first. */
  readonly byNode: readonly (readonly [node: string, bytes: number])[]
}

/**
 * What the graph of `outputs` keeps for the backward pass: an answer to "what fills the memory?". Unpacks nothing.
 * @example
 * const x = ones([1024], { requiresGrad: true })
 * autograd.graph.listSavedTensors(x.tanh().sum()).byNode // [['TanhBackward0', 4096]]
 */
export function listSavedTensors(outputs: Tensor | readonly Tensor[]): SavedList {
  const list = isTensor(outputs) ? [outputs] : (outputs as readonly Tensor[])
  const nodes = reach(list.map((t) => edgeOf(t, null)).filter((n): n is Node => n !== null))
  const seen = new Set<Storage>()
  const entries: SavedEntry[] = []
  const sums = new Map<string, number>()
  for (const node of nodes) {
    for (const { name, value } of node.kept()) {
      const { held } = value
      const source = isTensor(held) ? (held.viewMeta?.base ?? held) : null
      const leaf = source !== null && source.rg && source.node === null
      const { storage } = value
      const shared = !value.isPacked && seen.has(storage)
      if (!value.isPacked) seen.add(storage)
      const bytes = value.isPacked ? 0 : storage.bytes
      entries.push({
        node: node.name(),
        sequenceNr: node.sequenceNr(),
        name,
        shape: value.layout.shape,
        dtype: value.dt.name,
        bytes,
        leaf,
        parameter: leaf ? (nameOf(source) ?? null) : null,
        shared,
        packed: value.isPacked,
      })
      if (!leaf && !shared) sums.set(node.name(), (sums.get(node.name()) ?? 0) + bytes)
    }
  }
  const byNode = [...sums].filter(([, bytes]) => bytes > 0).sort(([, a], [, b]) => b - a)
  return { entries, bytes: byNode.reduce((sum, [, bytes]) => sum + bytes, 0), byNode }
}

/** All nodes behind `roots`, newest first. */
function reach(roots: readonly Node[]): Node[] {
  const found = new Set<Node>(roots)
  for (const node of found) for (const next of node.edges) if (next !== null) found.add(next)
  return [...found].sort((a, b) => b.seq - a.seq)
}
