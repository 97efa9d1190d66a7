/** `gradtape/autograd`: passes, the graph's vocabulary, and what plugs into it. */
export { type AnomalyOptions, detectAnomaly, isAnomalyCheckNanEnabled, isAnomalyEnabled, setDetectAnomaly } from './anomaly.ts'
export {
  type Checkpoint,
  CheckpointError,
  type CheckpointOptions,
  checkpoint,
  checkpointSequential,
  graphExecGroup,
  type Stage,
  setCheckpointDebugEnabled,
  setCheckpointEarlyStop,
} from './checkpoint.ts'
export { FunctionContext, type FunctionCtx, FunctionNode, type VmapInfo } from './context.ts'
export { type ApplyArguments, Function, onceDifferentiable, type WithForward } from './function.ts'
export * as functional from './functional.ts'
export { backward, type GradOptions, grad, type Places } from './grad.ts'
export * as graph from './graph.ts'
export type { BackwardOptions } from './methods.ts'
export { enableGrad, inferenceMode, isGradEnabled, isInferenceModeEnabled, noGrad, setGradEnabled } from './modes.ts'
export { type GradHook, type HookHandle, Node, type PostHook, type PreHook } from './node.ts'
export { type OperationWatch, watchOperations } from './operations.ts'
export { forceOriginalViewTracking, isViewReplayEnabled, type ViewParameters, viewFunc } from './replay.ts'
export {
  type CheckpointPolicy,
  createSelectiveCheckpointContexts,
  type PolicyFunction,
  type SelectiveCheckpointContext,
} from './selective.ts'
