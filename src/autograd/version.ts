/** Version counters: how a saved tensor knows that its elements were changed. */
import type { TensorCore } from '../tensor.ts'

// Note [Version counters]
// Every in-place change of a storage's elements counts one up. A tensor shares its counter with its views and with
// `detach()`; `data` gets a fresh one. A saved tensor remembers the count and refuses to be read under another. The
// counter object is made when somebody first needs to share it: a tensor without one has never been changed or shared.

export class VersionCounter {
  value = 0
  /** The operation that counted last. */
  op = ''
}

/** The tensor's counter, made now if nobody asked before. */
export function versionOf(t: TensorCore): VersionCounter {
  return (t.vc ??= new VersionCounter())
}

/**
 * The counter of all inference tensors, which doesn't count: they are born with it, and their views share it. That is also
 * how they are told from others.
 */
export const INFERENCE: VersionCounter = /* @__PURE__ */ new VersionCounter()

/** Was this tensor made in inference mode (or is it a view of one that was)? */
export function bornInInference(t: TensorCore): boolean {
  return t.vc === INFERENCE
}
