/** Refusals of in-place operations whose operands share memory in ways that have no meaning. */
import { ArgumentError } from '../errors.ts'
import { sameShape } from '../shape.ts'
import type { TensorCore } from '../tensor.ts'

/** Refuses destinations whose elements share places, and operands that overlap the destination without being it. */
export function refuseOverlap(op: string, a: TensorCore, others: readonly TensorCore[]): void {
  if (a.layout.overlapping) {
    throw new ArgumentError(
      `unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() the tensor before performing the operation. (${op})`,
      { op },
    )
  }
  for (const b of others) {
    if (b.storage !== a.storage || b.layout === a.layout) continue
    if (b.layout.offset === a.layout.offset && sameShape(b.layout.shape, a.layout.shape) && sameShape(b.layout.strides, a.layout.strides))
      continue
    if (b.layout.offset < a.layout.end && a.layout.offset < b.layout.end) {
      throw new ArgumentError(
        `unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. Please clone() the tensor before performing the operation. (${op})`,
        { op },
      )
    }
  }
}
