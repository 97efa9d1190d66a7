/** The public face of gradtape. */
export * from './creation.ts'
export { bool, type DType, float32, float64, getDefaultDtype, int32, setDefaultDtype, uint8 } from './dtype.ts'
export * from './errors.ts'
export { Tensor } from './fluent.ts'
export { enableGrad, inferenceMode, isGradEnabled, isInferenceModeEnabled, noGrad, setGradEnabled } from './autograd/modes.ts'
export * from './ops/methods.ts'
