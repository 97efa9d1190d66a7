/** `gradtape/nn`: modules, layers, losses, first values of parameters. */
export {
  CELU,
  ELU,
  GELU,
  GLU,
  Hardshrink,
  Hardsigmoid,
  Hardswish,
  Hardtanh,
  LeakyReLU,
  LogSigmoid,
  LogSoftmax,
  Mish,
  PReLU,
  type PReLUOptions,
  ReLU,
  ReLU6,
  SELU,
  Sigmoid,
  SiLU,
  Softmax,
  Softmax2d,
  Softmin,
  Softplus,
  Softshrink,
  Softsign,
  Tanh,
  Tanhshrink,
  Threshold,
} from './activation.ts'
export type { LayerOptions } from './arguments.ts'
export { type AttendOptions, MultiheadAttention, type MultiheadAttentionOptions } from './attention.ts'
export * as utils from './collection.ts'
export { ModuleDict, ModuleList, ParameterList, Sequential } from './container.ts'
export {
  Conv1d,
  Conv2d,
  type ConvOptions,
  ConvTranspose1d,
  ConvTranspose2d,
  type ConvTransposeOptions,
} from './convolution.ts'
export { AlphaDropout, Dropout, Dropout1d, Dropout2d } from './dropout.ts'
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
export { type AutoNaming, autoNaming } from './naming.ts'
export {
  BatchNorm1d,
  BatchNorm2d,
  type BatchNormLayerOptions,
  GroupNorm,
  type GroupNormLayerOptions,
  InstanceNorm1d,
  InstanceNorm2d,
  LayerNorm,
  type LayerNormLayerOptions,
  RMSNorm,
  type RMSNormLayerOptions,
} from './normalization.ts'
export { Buffer, type BufferOptions, isBuffer, isParameter, Parameter } from './parameter.ts'
export { AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d } from './pooling.ts'
export {
  GRU,
  GRUCell,
  LSTM,
  LSTMCell,
  type RecurrentOptions,
  RNN,
  RNNCell,
  type RNNCellOptions,
  type RNNOptions,
} from './recurrent.ts'
export {
  CircularPad1d,
  CircularPad2d,
  ConstantPad1d,
  ConstantPad2d,
  PixelShuffle,
  PixelUnshuffle,
  ReflectionPad1d,
  ReflectionPad2d,
  ReplicationPad1d,
  ReplicationPad2d,
  Upsample,
  ZeroPad1d,
  ZeroPad2d,
} from './resampling.ts'
export { CosineSimilarity, PairwiseDistance } from './similarity.ts'
export { type EncodeOptions, TransformerEncoderLayer, type TransformerEncoderLayerOptions } from './transformer.ts'
