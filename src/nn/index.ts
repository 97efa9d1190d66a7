/** `gradtape/nn`: modules, layers and losses. */
export { clipGradNorm_, clipGradValue_ } from './clip.ts'
export * as functional from './functional.ts'
export {
  BatchNorm,
  CrossEntropyLoss,
  Dropout,
  Embedding,
  Flatten,
  GELU,
  Identity,
  LayerNorm,
  Linear,
  MSELoss,
  ReLU,
  Sequential,
  Sigmoid,
  SiLU,
  Tanh,
} from './layers.ts'
export { type LoadReport, Module, type StateDict } from './module.ts'
export { buffer, Parameter, parameter } from './parameter.ts'
