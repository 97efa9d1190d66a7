/** What attention does between its products: rows of scores to weights, and their gradients. */
import type { AttentionBackwardKernel, AttentionDotKernel, AttentionKernel, FloatType, Job } from '../backend.ts'
import { attentionBackwardKernel, attentionDotKernel, attentionKernel } from '../reference/attention.ts'
import { compileAttention, compileAttentionBackward, compileAttentionDot } from '../wasm/attention.ts'

export const attention: Job<AttentionKernel, FloatType> = { reference: attentionKernel, wasm: compileAttention }
export const attentionBackward: Job<AttentionBackwardKernel, FloatType> = {
  reference: attentionBackwardKernel,
  wasm: compileAttentionBackward,
}
export const attentionDot: Job<AttentionDotKernel, FloatType> = { reference: attentionDotKernel, wasm: compileAttentionDot }
