/** The public face of gradtape. */

export { isAnomalyCheckNanEnabled, isAnomalyEnabled } from './autograd/anomaly.ts'
export * as autograd from './autograd/index.ts'
export { enableGrad, inferenceMode, isGradEnabled, isInferenceModeEnabled, noGrad, setGradEnabled } from './autograd/modes.ts'
export type { BackendName } from './backend/backend.ts'
export { getBackend, setBackend } from './backend/choose.ts'
export * from './creation.ts'
export * as data from './data/index.ts'
export { bool, type DType, float32, float64, getDefaultDtype, int32, setDefaultDtype, uint8 } from './dtype.ts'
export {
  ArgumentError,
  AutogradError,
  DTypeError,
  type ErrorDetail,
  GraphError,
  IndexError,
  InPlaceError,
  LinAlgError,
  MemoryError,
  ModeError,
  ReleasedTensorError,
  ShapeError,
  UnsupportedError,
} from './errors.ts'
export { Tensor } from './fluent.ts'
export * as func from './func/index.ts'
export { type Expression, type Fused, fuse } from './fuse.ts'
export * as io from './io/index.ts'
export * as linalg from './linalg/index.ts'
export type { MemoryStats } from './memory/collector.ts'
export { configureMemory, type MemoryOptions, memoryStats } from './memory/scope.ts'
export * as nn from './nn/index.ts'
export * from './ops/functions.ts'
export { where } from './ops/join.ts'
export * from './ops/methods.ts'
export * as optim from './optim/index.ts'
export { keep, type ScopeGuard, scope } from './scope.ts'
export type { Nested } from './tensor.ts'
export { getNumThreads, setNumThreads } from './threads/threads.ts'
export { setWarningHandler, type WarningCategory, type WarningHandler } from './warnings.ts'
