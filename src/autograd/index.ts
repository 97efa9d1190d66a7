/** `gradtape/autograd`: passes, the graph's vocabulary, and what plugs into it. */
export { backward, type GradOptions, grad } from './grad.ts'
export type { BackwardOptions } from './methods.ts'
export { enableGrad, inferenceMode, isGradEnabled, isInferenceModeEnabled, noGrad, setGradEnabled } from './modes.ts'
export { type GradHook, type HookHandle, Node, type PostHook, type PreHook } from './node.ts'
