/** `gradtape/optim`: optimizers, each step one fused pass per parameter. */
export { Adam, type AdamOptions, AdamW } from './adam.ts'
export { Optimizer, type ParamGroup, type ParamState, type Params } from './optimizer.ts'
export { SGD, type SGDOptions } from './sgd.ts'
