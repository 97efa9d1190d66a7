/** `optim.lrScheduler`: learning rates that change from epoch to epoch. */
export { ChainedScheduler, type ComposedState, SequentialLR } from './composed.ts'
export {
  CosineAnnealingWarmRestarts,
  CyclicLR,
  type CyclicOptions,
  type MomentumOptions,
  OneCycleLR,
  type OneCycleOptions,
} from './cycles.ts'
export * from './scheduler.ts'
