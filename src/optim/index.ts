/** `gradtape/optim`: optimizers, each step one fused pass per parameter, and schedules of learning rates. */
export { Adagrad, type AdagradOptions } from './adagrad.ts'
export { Adam, type AdamOptions, AdamW } from './adam.ts'
export { FusedOptimizer, type StepRule } from './fused.ts'
export { LBFGS, type LBFGSOptions } from './lbfgs.ts'
export { type GroupOptions, Optimizer, type OptimizerState, type ParamGroup, type ParamState, type Params } from './optimizer.ts'
export { RMSprop, type RMSpropOptions } from './rmsprop.ts'
export * as lrScheduler from './scheduler.ts'
export { SGD, type SGDOptions } from './sgd.ts'
