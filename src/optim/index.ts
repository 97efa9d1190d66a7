/** `gradtape/optim`: optimizers, each step one fused pass per parameter. */
export { Adam, type AdamOptions, AdamW } from './adam.ts'
export { Optimizer, type ParamGroup, type Params, type ParamState } from './optimizer.ts'
export { SGD, type SGDOptions } from './sgd.ts'
