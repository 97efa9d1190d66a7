/**
 * Bad arguments of what surrounds the operations: layers, first values, optimizers, schedules, data, files, functions that make
 * tensors. Each argument and each option of a call that works is replaced by what it can't be; options get names that there aren't.
 */
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { fault, never, rarely, state, tensorsOf } from './wrong.ts'

const { data, io, nn, optim } = torch

// Warnings about calls that work are no matter here.
torch.setWarningHandler(() => {})

type Call = (...args: never[]) => unknown
interface Notes {
  /** Places where any text or function may stand. */
  readonly free?: readonly (number | string)[]
  /** What errors name, if not the entry. */
  readonly says?: string
}
/** A call that works: what is called, and fresh arguments, the options last. */
type Entry = readonly [call: Call, args: () => unknown[], notes?: Notes]

/** `new` as a function; what is made computes, if there is something to compute with. */
const make =
  (Class: new (...args: never[]) => unknown, use?: (made: never) => unknown): Call =>
  (...args) => {
    const made = new Class(...args)
    use?.(made as never)
  }
const layer = (Class: new (...args: never[]) => { call(x: torch.Tensor): unknown }, ...shape: number[]): Call =>
  make(Class, (m: { call(x: torch.Tensor): unknown }) => m.call(torch.ones(shape)))
const loss = (Class: new (...args: never[]) => unknown, ...inputs: (() => torch.Tensor)[]): Call =>
  make(Class, (m: { call(...x: torch.Tensor[]): unknown }) => m.call(...inputs.map((f) => f())))

const float = (): torch.Tensor => torch.full([2, 3], 0.5)
const classes = (): torch.Tensor => torch.tensor([0, 2], { dtype: 'int32' })
const signs = (): torch.Tensor => torch.tensor([1, -1])
const leaf = (): torch.Tensor => torch.ones([2, 3]).requiresGrad_()
const model = (): InstanceType<typeof nn.Linear> => new nn.Linear(3, 2)
const sgd = (): InstanceType<typeof optim.SGD> => new optim.SGD(model().parameters(), { lr: 0.1 })
const method =
  (name: string): Call =>
  (...[of, ...args]: unknown[]) =>
    (of as Record<string, (...a: unknown[]) => unknown>)[name]!(...args)

const { init, utils } = nn
const schedulers = optim.lrScheduler

const entries: Readonly<Record<string, Entry>> = {
  // layers
  'nn.Linear': [layer(nn.Linear, 2, 3), () => [3, 2, { bias: true, dtype: 'float32' }]],
  'nn.Conv1d': [
    layer(nn.Conv1d, 1, 2, 5),
    () => [2, 4, 3, { stride: 1, padding: 1, dilation: 1, groups: 2, bias: true, dtype: 'float32' }],
  ],
  'nn.Conv2d': [
    layer(nn.Conv2d, 1, 2, 5, 5),
    () => [2, 4, [3, 3], { stride: [1, 1], padding: 'same', dilation: 1, groups: 1, bias: false, dtype: 'float32' }],
  ],
  'nn.Embedding': [
    make(nn.Embedding, (m: InstanceType<typeof nn.Embedding>) => m.call(classes())),
    () => [5, 4, { paddingIdx: 1, dtype: 'float64' }],
  ],
  'nn.Embedding.fromPretrained': [
    nn.Embedding.fromPretrained as Call,
    () => [torch.ones([4, 2]), { freeze: true, paddingIdx: 0, dtype: 'float32' }],
    { says: 'fromPretrained|Embedding' },
  ],
  'nn.Flatten': [layer(nn.Flatten, 2, 3, 4), () => [1, 2]],
  'nn.Unflatten': [layer(nn.Unflatten, 2, 6), () => [1, [2, 3]]],
  'nn.LayerNorm': [layer(nn.LayerNorm, 2, 3), () => [[3], { eps: 1e-5, elementwiseAffine: true, bias: true, dtype: 'float32' }]],
  'nn.BatchNorm1d': [
    layer(nn.BatchNorm1d, 4, 3),
    () => [3, { eps: 1e-5, momentum: 0.1, affine: true, bias: true, trackRunningStats: true, dtype: 'float32' }],
  ],
  'nn.BatchNorm2d': [
    layer(nn.BatchNorm2d, 4, 3, 2, 2),
    () => [3, { eps: 1e-5, momentum: 0.2, affine: false, trackRunningStats: false, dtype: 'float32' }],
  ],
  'nn.Dropout': [layer(nn.Dropout, 2, 3), () => [0.25]],
  'nn.ELU': [layer(nn.ELU, 2, 3), () => [0.5]],
  'nn.GELU': [layer(nn.GELU, 2, 3), () => [{ approximate: 'tanh' }]],
  'nn.Hardtanh': [layer(nn.Hardtanh, 2, 3), () => [-2, 2]],
  'nn.LeakyReLU': [layer(nn.LeakyReLU, 2, 3), () => [0.1]],
  'nn.Softmax': [layer(nn.Softmax, 2, 3), () => [1]],
  'nn.LogSoftmax': [layer(nn.LogSoftmax, 2, 3), () => [-1]],
  'nn.Softplus': [layer(nn.Softplus, 2, 3), () => [{ beta: 2, threshold: 10 }]],
  'nn.MultiheadAttention': [
    make(nn.MultiheadAttention, (m: InstanceType<typeof nn.MultiheadAttention>) => {
      const x = torch.ones([2, 1, 4])
      m.call(x, x, x)
    }),
    () => [4, 2, { bias: true, dropout: 0.1, batchFirst: true, dtype: 'float32' }],
  ],
  'MultiheadAttention.forward': [
    ((...args: [torch.Tensor, torch.Tensor, torch.Tensor, object]) => new nn.MultiheadAttention(4, 2).call(...args)) as Call,
    () => {
      const x = torch.ones([2, 1, 4])
      const options = { keyPaddingMask: torch.zeros([1, 2], { dtype: 'bool' }), attnMask: torch.zeros([2, 2]), needWeights: true }
      return [x, x.clone(), x.clone(), { ...options, averageAttnWeights: false }]
    },
    { says: 'MultiheadAttention' },
  ],
  'nn.MaxPool1d': [layer(nn.MaxPool1d, 1, 2, 6), () => [2, { stride: 2, padding: 0, dilation: 1, ceilMode: false }]],
  'nn.MaxPool2d': [layer(nn.MaxPool2d, 1, 2, 6, 6), () => [[2, 2], { stride: 2, padding: 0, dilation: 1, ceilMode: true }]],
  'nn.AvgPool1d': [layer(nn.AvgPool1d, 1, 2, 6), () => [2, { stride: 2, padding: 0, ceilMode: false, countIncludePad: true }]],
  'nn.AvgPool2d': [layer(nn.AvgPool2d, 1, 2, 6, 6), () => [2, { stride: [2, 2], padding: 0, ceilMode: false, countIncludePad: true }]],
  'nn.AdaptiveAvgPool2d': [layer(nn.AdaptiveAvgPool2d, 1, 2, 6, 6), () => [[2, 3]]],
  'nn.ConvTranspose1d': [
    layer(nn.ConvTranspose1d, 1, 2, 5),
    () => [2, 4, 3, { stride: 2, padding: 1, outputPadding: 1, dilation: 1, groups: 2, bias: true, dtype: 'float32' }],
  ],
  'nn.GroupNorm': [layer(nn.GroupNorm, 2, 4, 3), () => [2, 4, { eps: 1e-5, affine: true, bias: true, dtype: 'float32' }]],
  'nn.InstanceNorm1d': [
    layer(nn.InstanceNorm1d, 2, 3, 4),
    () => [3, { eps: 1e-5, momentum: 0.1, affine: true, bias: true, trackRunningStats: true, dtype: 'float32' }],
  ],
  'nn.RMSNorm': [layer(nn.RMSNorm, 2, 3), () => [[3], { eps: 1e-5, elementwiseAffine: true, dtype: 'float32' }]],
  'nn.PReLU': [layer(nn.PReLU, 2, 3), () => [3, { init: 0.5, dtype: 'float32' }]],
  'nn.CELU': [layer(nn.CELU, 2, 3), () => [0.5]],
  'nn.Hardshrink': [layer(nn.Hardshrink, 2, 3), () => [0.5]],
  'nn.Softshrink': [layer(nn.Softshrink, 2, 3), () => [0.5]],
  'nn.Threshold': [layer(nn.Threshold, 2, 3), () => [0.5, 1]],
  'nn.GLU': [layer(nn.GLU, 2, 4), () => [1]],
  'nn.Softmin': [layer(nn.Softmin, 2, 4), () => [1]],
  'nn.Dropout2d': [layer(nn.Dropout2d, 1, 2, 3, 3), () => [0.25]],
  'nn.Upsample': [
    layer(nn.Upsample, 1, 2, 3, 3),
    () => [{ size: [4, 4], mode: 'bilinear', alignCorners: true, recomputeScaleFactor: true }],
    { says: 'Upsample|interpolate' },
  ],
  'nn.PixelShuffle': [layer(nn.PixelShuffle, 1, 4, 2, 2), () => [2]],
  'nn.ConstantPad1d': [layer(nn.ConstantPad1d, 1, 2, 3), () => [[1, 2], 0.5], { says: 'ConstantPad1d|pad' }],
  'nn.ReflectionPad2d': [layer(nn.ReflectionPad2d, 1, 2, 3, 3), () => [1], { says: 'ReflectionPad2d|pad' }],
  'nn.TransformerEncoderLayer': [
    make(nn.TransformerEncoderLayer, (m: InstanceType<typeof nn.TransformerEncoderLayer>) => m.call(torch.ones([2, 1, 4]))),
    () => [
      4,
      2,
      {
        dimFeedforward: 8,
        dropout: 0.1,
        activation: 'gelu',
        layerNormEps: 1e-5,
        batchFirst: true,
        normFirst: false,
        bias: true,
        dtype: 'float32',
      },
    ],
    { free: ['activation'], says: 'TransformerEncoderLayer|MultiheadAttention|Linear|LayerNorm|dropout' },
  ],
  'nn.LSTM': [
    layer(nn.LSTM, 2, 1, 3),
    () => [3, 2, { numLayers: 2, batchFirst: true, dropout: 0.5, bidirectional: true, bias: true, dtype: 'float32' }],
  ],
  'nn.RNNCell': [layer(nn.RNNCell, 1, 3), () => [3, 2, { nonlinearity: 'relu', bias: false, dtype: 'float32' }], { says: 'RNN' }],
  'nn.CosineSimilarity': [loss(nn.CosineSimilarity, float, float), () => [{ dim: 1, eps: 1e-8 }]],
  'nn.PairwiseDistance': [loss(nn.PairwiseDistance, float, float), () => [{ p: 2, eps: 1e-6, keepdim: true }]],
  // losses
  'nn.MSELoss': [loss(nn.MSELoss, float, float), () => [{ reduction: 'sum' }]],
  'nn.L1Loss': [loss(nn.L1Loss, float, float), () => [{ reduction: 'sum' }]],
  'nn.HuberLoss': [loss(nn.HuberLoss, float, float), () => [{ reduction: 'sum', delta: 0.5 }]],
  'nn.SmoothL1Loss': [loss(nn.SmoothL1Loss, float, float), () => [{ reduction: 'sum', beta: 0.5 }]],
  'nn.CrossEntropyLoss': [
    loss(nn.CrossEntropyLoss, float, classes),
    () => [{ reduction: 'sum', weight: torch.ones([3]), ignoreIndex: 1, labelSmoothing: 0.1 }],
    { says: 'CrossEntropyLoss|crossEntropy' },
  ],
  'nn.NLLLoss': [loss(nn.NLLLoss, float, classes), () => [{ reduction: 'sum', weight: torch.ones([3]), ignoreIndex: 1 }]],
  'nn.BCELoss': [
    loss(nn.BCELoss, float, float),
    () => [{ reduction: 'sum', weight: torch.ones([3]) }],
    { says: 'BCELoss|binaryCrossEntropy' },
  ],
  'nn.BCEWithLogitsLoss': [
    loss(nn.BCEWithLogitsLoss, float, float),
    () => [{ reduction: 'sum', weight: torch.ones([3]), posWeight: torch.ones([3]) }],
    { says: 'BCEWithLogitsLoss|binaryCrossEntropyWithLogits' },
  ],
  'nn.KLDivLoss': [loss(nn.KLDivLoss, float, float), () => [{ reduction: 'batchmean', logTarget: true }], { says: 'KLDivLoss|klDiv' }],
  'nn.SoftMarginLoss': [loss(nn.SoftMarginLoss, float, float), () => [{ reduction: 'sum' }]],
  'nn.PoissonNLLLoss': [loss(nn.PoissonNLLLoss, float, float), () => [{ reduction: 'sum', logInput: false, full: true, eps: 0.1 }]],
  'nn.GaussianNLLLoss': [loss(nn.GaussianNLLLoss, float, float, float), () => [{ reduction: 'sum', full: true, eps: 0.1 }]],
  'nn.HingeEmbeddingLoss': [loss(nn.HingeEmbeddingLoss, float, float), () => [{ reduction: 'sum', margin: 0.5 }]],
  'nn.MarginRankingLoss': [loss(nn.MarginRankingLoss, float, float, float), () => [{ reduction: 'sum', margin: 0.5 }]],
  'nn.CosineEmbeddingLoss': [loss(nn.CosineEmbeddingLoss, float, float, signs), () => [{ reduction: 'sum', margin: 0.5 }]],
  'nn.TripletMarginLoss': [
    loss(nn.TripletMarginLoss, float, float, float),
    () => [{ reduction: 'sum', margin: 0.5, p: 2, eps: 1e-6, swap: true }],
  ],
  'nn.MultiLabelSoftMarginLoss': [loss(nn.MultiLabelSoftMarginLoss, float, float), () => [{ reduction: 'sum', weight: torch.ones([3]) }]],
  'nn.MultiMarginLoss': [
    loss(nn.MultiMarginLoss, float, classes),
    () => [{ reduction: 'sum', weight: torch.ones([3]), p: 2, margin: 0.5 }],
  ],
  // modules
  'nn.Parameter': [make(nn.Parameter), () => [torch.ones([2]), true]],
  'nn.Buffer': [make(nn.Buffer), () => [torch.ones([2]), { persistent: false }]],
  'nn.Sequential': [make(nn.Sequential), () => [new nn.ReLU(), model()]],
  'nn.ModuleList': [make(nn.ModuleList), () => [[new nn.ReLU(), model()]]],
  'nn.ModuleDict': [make(nn.ModuleDict), () => [{ act: new nn.ReLU() }], { says: 'ModuleDict|Module subclass' }],
  'nn.ParameterList': [make(nn.ParameterList), () => [[new nn.Parameter(torch.ones([2]))]], { says: 'ParameterList|parameter' }],
  registerBuffer: [method('registerBuffer'), () => [model(), 'mean', torch.ones([2]), { persistent: true }], { says: 'buffer', free: [1] }],
  registerParameter: [
    method('registerParameter'),
    () => [model(), 'scale', new nn.Parameter(torch.ones([2]))],
    { says: 'parameter', free: [1] },
  ],
  registerModule: [method('registerModule'), () => [model(), 'part', new nn.ReLU()], { says: 'module', free: [1] }],
  registerForwardHook: [
    method('registerForwardHook'),
    () => [model(), (): void => {}, { prepend: true, alwaysCall: false }],
    { says: 'hook', free: [1] },
  ],
  registerForwardPreHook: [
    method('registerForwardPreHook'),
    () => [model(), (): void => {}, { prepend: true }],
    { says: 'hook', free: [1] },
  ],
  registerFullBackwardHook: [
    method('registerFullBackwardHook'),
    () => [model(), (): void => {}, { prepend: true }],
    { says: 'hook', free: [1] },
  ],
  loadStateDict: [method('loadStateDict'), () => [model(), model().stateDict(), { strict: true }], { says: 'loadStateDict|state_dict' }],
  stateDict: [method('stateDict'), () => [model(), { snakeCase: true }]],
  train: [method('train'), () => [model(), true]],
  'nn.Module.to': [method('to'), () => [model(), 'float64'], { says: 'nn.Module.to' }],
  apply: [method('apply'), () => [model(), (): void => {}], { free: [1] }],
  // parameters of many layers
  clipGradNorm_: [utils.clipGradNorm_ as Call, () => [[leaf()], 1, { normType: 2, errorIfNonfinite: true }]],
  getTotalNorm: [utils.getTotalNorm as Call, () => [[float()], { normType: 2, errorIfNonfinite: true }]],
  clipGradsWithNorm_: [utils.clipGradsWithNorm_ as Call, () => [[leaf()], 1, 2]],
  clipGradValue_: [utils.clipGradValue_ as Call, () => [[leaf()], 1]],
  parametersToVector: [utils.parametersToVector as Call, () => [[leaf(), leaf()]]],
  vectorToParameters: [utils.vectorToParameters as Call, () => [torch.ones([6]), [torch.ones([2, 3])]]],
  // first values
  'init.uniform_': [init.uniform_ as Call, () => [float(), 0, 1, { generator: new torch.Generator(1) }]],
  'init.normal_': [init.normal_ as Call, () => [float(), 0, 1, { generator: new torch.Generator(1) }]],
  truncNormal_: [init.truncNormal_ as Call, () => [float(), 0, 1, -1, 1, { generator: new torch.Generator(1) }]],
  constant_: [init.constant_ as Call, () => [float(), 2]],
  ones_: [init.ones_ as Call, () => [float()]],
  eye_: [init.eye_ as Call, () => [float()]],
  xavierUniform_: [init.xavierUniform_ as Call, () => [float(), 1, { generator: new torch.Generator(1) }]],
  xavierNormal_: [init.xavierNormal_ as Call, () => [float(), 1, { generator: new torch.Generator(1) }]],
  kaimingUniform_: [
    init.kaimingUniform_ as Call,
    () => [float(), { a: 0.1, mode: 'fanOut', nonlinearity: 'relu', generator: new torch.Generator(1) }],
  ],
  kaimingNormal_: [
    init.kaimingNormal_ as Call,
    () => [float(), { a: 0.1, mode: 'fanIn', nonlinearity: 'leakyRelu', generator: new torch.Generator(1) }],
  ],
  calculateGain: [init.calculateGain as Call, () => ['leakyRelu', 0.1]],
  // optimizers
  'optim.SGD': [
    make(optim.SGD),
    () => [[leaf()], { lr: 0.1, momentum: 0.9, dampening: 0, weightDecay: 0.1, nesterov: true, maximize: false }],
    { says: 'SGD|Invalid|Nesterov' },
  ],
  'optim.Adam': [
    make(optim.Adam),
    () => [[leaf()], { lr: 0.1, betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0, amsgrad: true, maximize: false }],
    { says: 'Adam|Invalid' },
  ],
  'optim.AdamW': [
    make(optim.AdamW),
    () => [[leaf()], { lr: 0.1, betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0, amsgrad: true, maximize: false }],
    { says: 'AdamW|Invalid' },
  ],
  'optim.RMSprop': [
    make(optim.RMSprop),
    () => [[leaf()], { lr: 0.1, alpha: 0.9, eps: 1e-8, weightDecay: 0, momentum: 0, centered: true, maximize: false }],
    { says: 'RMSprop|Invalid' },
  ],
  'optim.Adagrad': [
    make(optim.Adagrad),
    () => [[leaf()], { lr: 0.1, lrDecay: 0, weightDecay: 0, initialAccumulatorValue: 0, eps: 1e-10, maximize: false }],
    { says: 'Adagrad|Invalid' },
  ],
  addParamGroup: [
    method('addParamGroup'),
    () => [sgd(), { params: [leaf()], lr: 0.5, momentum: 0.5 }],
    { says: 'addParamGroup|param_group|parameter group|Invalid|Nesterov' },
  ],
  'Optimizer.zeroGrad': [method('zeroGrad'), () => [sgd(), { setToNone: false }]],
  'Optimizer.loadStateDict': [method('loadStateDict'), () => [sgd(), sgd().stateDict()], { says: 'loadStateDict|state dict' }],
  'Optimizer.step': [method('step'), () => [sgd(), (): number => 1], { free: [1] }],
  StepLR: [make(schedulers.StepLR), () => [sgd(), 2, { gamma: 0.5, lastEpoch: -1 }]],
  MultiStepLR: [make(schedulers.MultiStepLR), () => [sgd(), [2, 4], { gamma: 0.5, lastEpoch: -1 }]],
  ExponentialLR: [make(schedulers.ExponentialLR), () => [sgd(), 0.9, { lastEpoch: -1 }]],
  LinearLR: [make(schedulers.LinearLR), () => [sgd(), { startFactor: 0.5, endFactor: 1, totalIters: 4, lastEpoch: -1 }]],
  ConstantLR: [make(schedulers.ConstantLR), () => [sgd(), { factor: 0.5, totalIters: 4, lastEpoch: -1 }]],
  PolynomialLR: [make(schedulers.PolynomialLR), () => [sgd(), { totalIters: 4, power: 2, lastEpoch: -1 }]],
  'optim.Adadelta': [
    make(optim.Adadelta),
    () => [[leaf()], { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0, maximize: false }],
    { says: 'Adadelta|Invalid' },
  ],
  CosineAnnealingLR: [make(schedulers.CosineAnnealingLR), () => [sgd(), 10, { etaMin: 0.01, lastEpoch: -1 }]],
  LambdaLR: [make(schedulers.LambdaLR), () => [sgd(), (e: number): number => 1 / (1 + e), { lastEpoch: -1 }], { free: [1] }],
  ReduceLROnPlateau: [
    make(schedulers.ReduceLROnPlateau),
    () => [sgd(), { mode: 'min', factor: 0.1, patience: 2, threshold: 0.1, thresholdMode: 'rel', cooldown: 0, minLr: 0, eps: 1e-8 }],
  ],
  // data and files
  DataLoader: [
    make(data.DataLoader, (loader: Iterable<unknown>) => [...loader]),
    () => [
      new data.TensorDataset(float()),
      { batchSize: 2, shuffle: true, dropLast: false, generator: new torch.Generator(1), collate: (e: unknown[]): number => e.length },
    ],
    { free: ['collate'] },
  ],
  'DataLoader of numbers': [
    make(data.DataLoader, (loader: Iterable<unknown>) => [...loader]),
    () => [[1, 2, 3], { batchSize: 2, seed: 3, sampler: [0, 2] }],
  ],
  TensorDataset: [make(data.TensorDataset), () => [float(), classes()]],
  Subset: [make(data.Subset), () => [new data.TensorDataset(float()), [1, 0]]],
  randomSplit: [data.randomSplit as Call, () => [new data.TensorDataset(float()), [1, 1], { generator: new torch.Generator(1) }]],
  saveSafetensors: [io.saveSafetensors as Call, () => [{ a: float() }, { by: 'hand' }], { says: 'safetensors', free: ['by'] }],
  loadSafetensors: [io.loadSafetensors as Call, () => [io.saveSafetensors({ a: float() })], { says: 'safetensors' }],
  // functions that make tensors
  'torch.tensor': [torch.tensor as Call, () => [[1, 2], { dtype: 'float32', requiresGrad: true, device: 'cpu' }]],
  zeros: [torch.zeros as Call, () => [[2, 3], { dtype: 'float32', requiresGrad: true, device: 'cpu' }]],
  full: [torch.full as Call, () => [[2, 3], 1, { dtype: 'float32', requiresGrad: true, device: 'cpu' }]],
  arange: [torch.arange as Call, () => [0, 5, 2, { dtype: 'float32', requiresGrad: true, device: 'cpu' }]],
  linspace: [torch.linspace as Call, () => [0, 5, 3, { dtype: 'float32', requiresGrad: true, device: 'cpu' }]],
  eye: [torch.eye as Call, () => [2, 3, { dtype: 'float32', requiresGrad: true, device: 'cpu' }]],
  rand: [torch.rand as Call, () => [[2, 3], { dtype: 'float32', generator: new torch.Generator(1) }]],
  'torch.uniform': [torch.uniform as Call, () => [0, 1, [2, 3], { dtype: 'float32', generator: new torch.Generator(1) }]],
  'torch.normal': [torch.normal as Call, () => [0, 1, [2, 3], { dtype: 'float32', generator: new torch.Generator(1) }]],
  randint: [torch.randint as Call, () => [0, 5, [2, 3], { dtype: 'int32', generator: new torch.Generator(1) }]],
  randperm: [torch.randperm as Call, () => [5, { dtype: 'int32', generator: new torch.Generator(1) }]],
  fullLike: [torch.fullLike as Call, () => [float(), 2, { dtype: 'float64', requiresGrad: true, device: 'cpu' }]],
  randintLike: [torch.randintLike as Call, () => [float(), 0, 4, { dtype: 'float64', generator: new torch.Generator(1) }]],
  fromNumpy: [torch.fromNumpy as Call, () => [new Float32Array(3)]],
  manualSeed: [torch.manualSeed as Call, () => [3]],
  Generator: [make(torch.Generator), () => [3], { says: 'manualSeed|Generator' }],
  // random numbers in place
  uniform_: [method('uniform_'), () => [float(), 0, 1, { generator: new torch.Generator(1) }]],
  normal_: [method('normal_'), () => [float(), 0, 1, { generator: new torch.Generator(1) }]],
  bernoulli_: [method('bernoulli_'), () => [float(), 0.5, { generator: new torch.Generator(1) }]],
  bernoulli: [method('bernoulli'), () => [float(), { generator: new torch.Generator(1) }]],
  softmax: [method('softmax'), () => [float(), 1, { dtype: 'float64' }]],
  logSoftmax: [method('logSoftmax'), () => [float(), 1, { dtype: 'float64' }]],
}

interface Place {
  readonly key: number | string
  readonly original: unknown
  put(args: unknown[], value: unknown): void
}

const isOptions = (v: unknown): v is Record<string, unknown> =>
  typeof v === 'object' && v !== null && Object.getPrototypeOf(v) === Object.prototype

function places(args: readonly unknown[]): Place[] {
  return args.flatMap((a, i): Place[] => [
    { key: i, original: a, put: (list, v) => void (list[i] = v) },
    ...(isOptions(a)
      ? Object.entries(a).map(
          ([key, original]): Place => ({ key, original, put: (list, v) => void ((list[i] as Record<string, unknown>)[key] = v) }),
        )
      : []),
  ])
}

/** A call's answer: what it threw, or nothing. */
function thrown(call: Call, args: unknown[]): unknown {
  try {
    call(...(args as never[]))
    return undefined
  } catch (e) {
    return e
  }
}

/** The name that errors tell. */
const nameOf = (entry: string): string => entry.split(' ')[0]!.split('.').at(-1)!.replace(/_$/, '')
const methodEntry = (call: Call): boolean => call.length === 0 && call.toString().includes('[of,')

describe('an argument that has no use', () => {
  for (const [name, [call, make, { free = [], says = nameOf(name) } = {}]] of Object.entries(entries)) {
    test(name, () => {
      const plain = thrown(call, make())
      expect(plain).toBeUndefined()
      const wrong: string[] = []
      const first = methodEntry(call) ? 1 : 0
      for (const place of places(make())) {
        if (typeof place.key === 'number' && place.key < first) continue
        const tell = (what: string, value: unknown, mustThrow: boolean): void => {
          const args = make()
          place.put(args, value)
          const tensors = tensorsOf(args)
          const before = tensors.map(state)
          const e = thrown(call, args)
          const bad = e === undefined ? (mustThrow ? 'a result' : null) : fault(e, says)
          if (bad !== null) wrong.push(`${name} with ${what} for ${place.key}: ${bad}`)
          else if (e !== undefined && tensors.some((t, i) => state(t) !== before[i]))
            wrong.push(`${name} with ${what} for ${place.key}: an argument was changed`)
        }
        for (const [what, value] of Object.entries(never)) tell(what, value(), !free.includes(place.key))
        for (const [what, value] of Object.entries(rarely)) {
          tell(what, value(), typeof place.original === 'number' && what === 'object')
        }
      }
      expect(wrong).toEqual([])
    })
  }
})

describe('an option that there is not', () => {
  for (const [name, [call, make, { says = nameOf(name) } = {}]] of Object.entries(entries)) {
    const at = make().findLastIndex(isOptions)
    if (at < 0) continue
    const keys = Object.keys(make()[at] as object)
    if (keys.length === 0 || name === 'nn.ModuleDict' || name.includes('oadStateDict') || name === 'saveSafetensors') continue
    test(name, () => {
      const misspelt = (key: string): string => {
        const args = make()
        args[at] = { ...(args[at] as object), [key]: 1 }
        return String(thrown(call, args))
      }
      expect(misspelt('bogus')).toMatch(new RegExp(`ArgumentError: .*${says}.*unknown option 'bogus'; there (is|are) .*${keys[0]}`, 'i'))
      for (const key of keys) {
        const snake = key.replace(/[A-Z]/g, (l) => `_${l.toLowerCase()}`)
        if (snake !== key) expect(misspelt(snake)).toContain(`here it is called ${key}`)
      }
    })
  }
})
