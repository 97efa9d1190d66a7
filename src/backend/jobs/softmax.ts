/** Softmax, its logarithm, and their gradients. */
import type { FloatType, Job, SoftmaxBackwardKernel, SoftmaxKernel, SoftmaxOp } from '../backend.ts'
import { softmaxBackwardKernel, softmaxKernel } from '../reference/softmax.ts'
import { compileSoftmax, compileSoftmaxBackward } from '../wasm/softmax.ts'

/** A softmax's job and its gradient's. */
export interface SoftmaxJobs {
  readonly forward: Job<SoftmaxKernel, FloatType>
  readonly backward: Job<SoftmaxBackwardKernel, FloatType>
}

const jobs = (op: SoftmaxOp): SoftmaxJobs => ({
  forward: {
    reference: (memory, dtype) => softmaxKernel(memory, op, dtype),
    wasm: (memory, dtype, relaxed) => compileSoftmax(memory, op, dtype, relaxed),
  },
  backward: {
    reference: (memory, dtype) => softmaxBackwardKernel(memory, op, dtype),
    wasm: (memory, dtype, relaxed) => compileSoftmaxBackward(memory, op, dtype, relaxed),
  },
})
export const softmaxJobs: SoftmaxJobs = /* @__PURE__ */ jobs('softmax')
export const logSoftmaxJobs: SoftmaxJobs = /* @__PURE__ */ jobs('logSoftmax')
