/** `gradtape/nn`: modules, layers, losses, first values of parameters. */
export {
  Dropout,
  ELU,
  GELU,
  Hardtanh,
  LeakyReLU,
  LogSigmoid,
  LogSoftmax,
  ReLU,
  Sigmoid,
  SiLU,
  Softmax,
  Softplus,
  Tanh,
} from './activation.ts'
export { type AttendOptions, MultiheadAttention, type MultiheadAttentionOptions } from './attention.ts'
export * as utils from './collection.ts'
export { ModuleDict, ModuleList, ParameterList, Sequential } from './container.ts'
export { Conv1d, Conv2d, type ConvOptions } from './convolution.ts'
export * as functional from './functional.ts'
export {
  type BackwardHook,
  type BackwardPreHook,
  type ForwardHook,
  type ForwardHookOptions,
  type ForwardPreHook,
  type ModuleHookHandle,
  type ModuleHookOptions,
  registerModuleForwardHook,
  registerModuleForwardPreHook,
  registerModuleFullBackwardHook,
  registerModuleFullBackwardPreHook,
} from './hooks.ts'
export * as init from './init.ts'
export {
  type BiasOptions,
  Embedding,
  type EmbeddingLayerOptions,
  Flatten,
  Identity,
  type LayerOptions,
  Linear,
  Unflatten,
} from './linear.ts'
export {
  BCELoss,
  BCEWithLogitsLoss,
  type BCEWithLogitsLossOptions,
  CrossEntropyLoss,
  HuberLoss,
  L1Loss,
  MSELoss,
  NLLLoss,
  type NLLLossOptions,
  SmoothL1Loss,
} from './loss.ts'
export {
  CosineEmbeddingLoss,
  GaussianNLLLoss,
  HingeEmbeddingLoss,
  KLDivLoss,
  MarginRankingLoss,
  MultiLabelSoftMarginLoss,
  MultiMarginLoss,
  PoissonNLLLoss,
  SoftMarginLoss,
  TripletMarginLoss,
} from './margin.ts'
export {
  type AnyModule,
  type LoadReport,
  Module,
  type NamedOptions,
  type StateDict,
  type StateDictOptions,
} from './module.ts'
export { BatchNorm1d, BatchNorm2d, type BatchNormLayerOptions, LayerNorm, type LayerNormLayerOptions } from './normalization.ts'
export { Buffer, type BufferOptions, isBuffer, isParameter, Parameter } from './parameter.ts'
export { AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d } from './pooling.ts'
export { type EncodeOptions, TransformerEncoderLayer, type TransformerEncoderLayerOptions } from './transformer.ts'
