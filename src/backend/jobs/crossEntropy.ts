/** Cross-entropy with class numbers, and its gradient. */
import type { CrossEntropyBackwardKernel, CrossEntropyKernel, FloatType, Job } from '../backend.ts'
import { crossEntropyBackwardKernel, crossEntropyKernel } from '../reference/crossEntropy.ts'
import { compileCrossEntropy, compileCrossEntropyBackward } from '../wasm/crossEntropy.ts'

export const crossEntropy: Job<CrossEntropyKernel, FloatType> = { reference: crossEntropyKernel, wasm: compileCrossEntropy }
export const crossEntropyBackward: Job<CrossEntropyBackwardKernel, FloatType> = {
  reference: crossEntropyBackwardKernel,
  wasm: compileCrossEntropyBackward,
}
