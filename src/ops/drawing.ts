/** Random fills: by the backend's kernel where it has one, else by the generator itself; the numbers are the same. */
import { type DrawKind, drawWords } from '../backend/backend.ts'
import { backend } from '../execute.ts'
import type { Generator } from '../random.ts'
import { type ArrayLike, address, dataView } from '../tensor.ts'

const NONE: Float32Array = /* @__PURE__ */ new Float32Array(0)

/**
 * Fills a contiguous array: uniform in [a, b), normal with mean a and deviation b, or b with probability a, else 0.
 * Errors: ArgumentError for parameters out of range; nothing is drawn then.
 */
export function draw(kind: DrawKind, out: ArrayLike, generator: Generator, a: number, b: number): void {
  const { layout, dt, storage } = out
  const make = backend().draw
  if (make === undefined || storage.external !== null) {
    generator[kind](dataView(out).subarray(layout.offset, layout.offset + layout.numel) as Float32Array, a, b)
    return
  }
  // Refuses bad parameters.
  generator[kind](NONE, a, b)
  const words = layout.numel * drawWords(kind, dt.name)
  // Normals come in pairs: an odd last one still takes a whole point.
  const { low, high, key0, key1 } = generator.take(kind === 'normal' ? words + (layout.numel % 2) * drawWords(kind, dt.name) : words)
  if (layout.numel > 0) make(kind, dt.name)(layout.numel, address(out), low, high, key0, key1, a, b)
}
