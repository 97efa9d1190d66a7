/**
 * Random fills: by the backend's kernel where it has one, else by the generator itself; the numbers are the same. And what
 * random operations do inside `vmap`.
 */
import { batchLevel, type Level, wrap } from '../autograd/levels.ts'
import { type DrawKind, drawWords } from '../backend/backend.ts'
import type { DTypeInfo } from '../dtype.ts'
import { UnsupportedError } from '../errors.ts'
import { backend } from '../execute.ts'
import { Layout } from '../layout.ts'
import type { Generator } from '../random.ts'
import type { Shape } from '../shape.ts'
import { type ArrayLike, address, dataView, empty, type TensorCore } from '../tensor.ts'

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

/** The batch level that `op` draws on, if any. Errors: UnsupportedError where its `randomness` is 'error'. */
export function drawingLevel(op: string, from?: Level | null): Level | null {
  const level = batchLevel(from)
  if (level?.randomness === 'error') {
    throw new UnsupportedError(
      `${op}: vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' randomness flags on vmap ` +
        "(func.vmap(f, { randomness: 'different' })) or perform the randomness operation out of vmap",
      { op },
    )
  }
  return level
}

/** A fresh tensor that `fill` fills; on a batch level of different randomness, one for each example. */
export function drawn(op: string, shape: Shape, dt: DTypeInfo, fill: (out: TensorCore) => void, from?: Level | null): TensorCore {
  const level = drawingLevel(op, from)
  if (level === null) {
    const out = empty(Layout.of(shape), dt, null)
    fill(out)
    return out
  }
  return level.randomness === 'same'
    ? drawn(op, shape, dt, fill, level.outer)
    : wrap(level, drawn(op, [level.size, ...shape], dt, fill, level.outer))
}
