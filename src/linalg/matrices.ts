/** What the operations on matrices share: batches in leading dims, checks, and numbers taken out and put back. */
import { DTypeError, LinAlgError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import type { Owner } from '../memory/storage.ts'
import { type Batched, inFront } from '../op/general.ts'
import { broadcast, numel, type Shape, sameShape } from '../shape.ts'
import { dataView, empty, expectTensor, readAll, type TensorCore } from '../tensor.ts'

/** x with its last two dims exchanged. */
export const mT = (x: Tensor): Tensor => x.transpose(-2, -1)

/** Rows and columns. */
export function sizes(x: TensorCore): readonly [m: number, n: number] {
  return [x.layout.shape.at(-2)!, x.layout.shape.at(-1)!]
}

/** The dims before the matrix. */
const batchOf = (x: TensorCore): Shape => x.layout.shape.slice(0, -2)

/** Refuses anything but floating-point matrices. */
export function checkMatrices(op: string, x: Tensor, name = 'A'): void {
  expectTensor(op, x, name)
  if (!x.dt.floating) {
    throw new DTypeError(
      `${op}: Expected a floating point or complex tensor as input. Got ${x.dtype}; convert it first, e.g. x.to('float32')`,
      {
        op,
        dtypes: [x.dtype],
      },
    )
  }
  if (x.layout.rank < 2) {
    throw new ShapeError(`${op}: The input tensor ${name} must have at least 2 dimensions, got ${show(x.shape)}`, { op, shapes: [x.shape] })
  }
}

/** Refuses anything but square ones. */
export function checkSquare(op: string, x: Tensor, name = 'A'): void {
  checkMatrices(op, x, name)
  const [m, n] = sizes(x)
  if (m !== n) {
    throw new ShapeError(`${op}: ${name} must be batches of square matrices, but they are ${m} by ${n} matrices: ${show(x.shape)}`, {
      op,
      shapes: [x.shape],
    })
  }
}

/** Refuses operands of two dtypes. */
export function checkSame(op: string, a: Tensor, b: Tensor): void {
  if (a.dt === b.dt) return
  throw new DTypeError(`${op}: Expected A and B to have the same dtype, but found A of type ${a.dtype} and B of type ${b.dtype} instead`, {
    op,
    dtypes: [a.dtype, b.dtype],
  })
}

/** Where in a batch it failed, as the head of a message. */
export function failure(op: string, x: TensorCore, index: number, why: string): LinAlgError {
  const where = x.layout.rank > 2 ? `(Batch element ${index}): ` : ''
  return new LinAlgError(`${op}: ${where}${why}`, { op, shapes: [x.layout.shape] })
}

/** Both with the batch dims that they broadcast to. */
export function together(op: string, a: Tensor, b: Tensor): [Tensor, Tensor] {
  const batch = broadcast(batchOf(a), batchOf(b), op)
  const whole = (x: Tensor): Tensor => {
    const shape = [...batch, ...sizes(x)]
    return sameShape(shape, x.shape) ? x : x.expand(shape)
  }
  return [whole(a), whole(b)]
}

/**
 * Results of the given shapes behind the batch dims of the first operand: `body` gets the numbers of each matrix (copies, in
 * float64) and where those of the results go.
 */
export function eachMatrix(
  x: readonly TensorCore[],
  shapes: readonly Shape[],
  owner: Owner | null,
  body: (x: Float64Array[], y: Float64Array[], index: number) => void,
): TensorCore[] {
  const batch = batchOf(x[0]!)
  const { dt } = x[0]!
  const made = shapes.map((s) => empty(Layout.of([...batch, ...s]), dt, owner))
  const from = x.map((t) => Float64Array.from(readAll(t)))
  const parts = x.map((t) => numel(t.layout.shape.slice(batch.length)))
  const counts = shapes.map(numel)
  const results = made.map((t) => new Float64Array(t.layout.numel))
  for (let b = 0; b < numel(batch); b++) {
    body(
      from.map((data, i) => data.subarray(b * parts[i]!, (b + 1) * parts[i]!)),
      results.map((data, i) => data.subarray(b * counts[i]!, (b + 1) * counts[i]!)),
      b,
    )
  }
  made.forEach((t, i) => {
    dataView(t).set(results[i]!, t.layout.offset)
  })
  return made
}

/** Every operand with the batch of `vmap` in front. */
export function allInFront(b: Batched<unknown>): Tensor[] {
  return b.x.map((_, i) => {
    const x = inFront(b, i)
    return x.shape[0] === b.size ? x : x.expand([b.size, ...x.shape.slice(1)])
  })
}
