/** Normalization of rows and of channels, and its gradients. */
import type { BatchNormBackwardKernel, BatchNormKernel, FloatType, Job, LayerNormBackwardKernel, LayerNormKernel } from '../backend.ts'
import { batchNormBackwardKernel, batchNormKernel, layerNormBackwardKernel, layerNormKernel } from '../reference/norm.ts'
import { compileBatchNorm, compileBatchNormBackward, compileLayerNorm, compileLayerNormBackward } from '../wasm/norm.ts'

export const layerNorm: Job<LayerNormKernel, FloatType> = { reference: layerNormKernel, wasm: compileLayerNorm }
export const layerNormBackward: Job<LayerNormBackwardKernel, FloatType> = {
  reference: layerNormBackwardKernel,
  wasm: compileLayerNormBackward,
}
export const batchNorm: Job<BatchNormKernel, FloatType> = { reference: batchNormKernel, wasm: compileBatchNorm }
export const batchNormBackward: Job<BatchNormBackwardKernel, FloatType> = {
  reference: batchNormBackwardKernel,
  wasm: compileBatchNormBackward,
}
