/** `nn.functional`: layers as plain functions. */
export { relu, sigmoid } from '../ops/activation.ts'
export {
  celu,
  glu,
  hardshrink,
  hardsigmoid,
  hardswish,
  mish,
  prelu,
  relu6,
  selu,
  softmin,
  softshrink,
  softsign,
  tanhshrink,
  threshold,
} from '../ops/activations.ts'
export { type AttentionOptions, scaledDotProductAttention } from '../ops/attention.ts'
export { type CrossEntropyOptions, crossEntropy, type NLLOptions, nllLoss } from '../ops/classification.ts'
export {
  type ConvolutionOptions,
  type ConvolutionTransposeOptions,
  conv1d,
  conv2d,
  convTranspose1d,
  convTranspose2d,
} from '../ops/convolution.ts'
export { dropout } from '../ops/dropout.ts'
export { type EmbeddingOptions, embedding } from '../ops/embedding.ts'
export { elu, gelu, hardtanh, leakyRelu, logSigmoid, silu, softplus } from '../ops/functional.ts'
export { type InstanceNormOptions, instanceNorm } from '../ops/instanceNorm.ts'
export { linear } from '../ops/linear.ts'
export {
  type BinaryCrossEntropyOptions,
  type BinaryCrossEntropyWithLogitsOptions,
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  type HuberOptions,
  huberLoss,
  type KLDivOptions,
  klDiv,
  type LossOptions,
  l1Loss,
  mseLoss,
  type Reduction,
  type SmoothL1Options,
  smoothL1Loss,
  softMarginLoss,
} from '../ops/loss.ts'
export {
  cosineEmbeddingLoss,
  type GaussianNLLOptions,
  gaussianNllLoss,
  hingeEmbeddingLoss,
  type MarginOptions,
  type MultiMarginOptions,
  marginRankingLoss,
  multilabelSoftMarginLoss,
  multiMarginLoss,
  type PoissonNLLOptions,
  poissonNllLoss,
  type TripletMarginOptions,
  tripletMarginLoss,
  type WeightedLossOptions,
} from '../ops/margin.ts'
export { batchNorm, groupNorm, layerNorm, rmsNorm } from '../ops/normalization.ts'
export { pad } from '../ops/padding.ts'
export {
  type AvgPoolOptions,
  adaptiveAvgPool2d,
  avgPool1d,
  avgPool2d,
  type MaxPooled,
  type MaxPoolOptions,
  maxPool1d,
  maxPool2d,
  maxPool2dWithIndices,
} from '../ops/pooling.ts'
export { type InterpolateOptions, type InterpolationMode, interpolate, pixelShuffle, pixelUnshuffle } from '../ops/resampling.ts'
export { gumbelSoftmax, oneHot } from '../ops/sampling.ts'
export {
  type CosineSimilarityOptions,
  cosineSimilarity,
  type NormalizeOptions,
  normalize,
  type PairwiseDistanceOptions,
  pairwiseDistance,
} from '../ops/similarity.ts'
export { logSoftmax, softmax } from '../ops/softmax.ts'
export { tanh } from '../ops/trigonometric.ts'
export { alphaDropout, type DropoutOptions, dropout1d, dropout2d } from './dropout.ts'
