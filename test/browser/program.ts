/** The same work in Node and in pages: results of kernels of every kind, and of a training loop, as plain numbers. */
import { autograd, cat, linspace, manualSeed, nn, optim, randn, type Tensor, tensor } from '../../src/index.ts'

const F = nn.functional

/** Steps of a small network from seeded weights: the losses, then the weights. */
function training(dtype: 'float32' | 'float64'): number[] {
  manualSeed(7)
  const model = new nn.Sequential(new nn.Linear(4, 32), new nn.ReLU(), new nn.LayerNorm(32), new nn.Linear(32, 3)).to(dtype)
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 })
  const inputs = randn([48, 4], { dtype })
  const classes = inputs.narrow(1, 0, 3).argmax(1)
  const losses: number[] = []
  for (let step = 0; step < 60; step++) {
    const loss = F.crossEntropy(model.forward(inputs), classes)
    optimizer.zeroGrad()
    loss.backward()
    optimizer.step()
    losses.push(loss.item())
  }
  return [...losses, ...[...model.parameters()].flatMap((p) => [...p.detach().toTypedArray()])]
}

/** Values and gradients of one expression of each kind of kernel. */
function kernels(dtype: 'float32' | 'float64'): number[] {
  manualSeed(3)
  const a = randn([17, 33], { dtype, requiresGrad: true })
  const b = randn([33, 21], { dtype, requiresGrad: true })
  const image = randn([2, 3, 9, 8], { dtype, requiresGrad: true })
  const weight = randn([4, 3, 3, 3], { dtype, requiresGrad: true })
  const results: Tensor[] = [
    a.matmul(b).sum(1),
    a
      .t()
      .mul(2)
      .add(b.sum(1, { keepdim: true }))
      .abs()
      .sqrt(),
    F.conv2d(image, weight, null, { padding: 1 }),
    F.maxPool2d(image, 2),
    a.cumsum(1),
    a.flip(0).narrow(1, 3, 20).mean(0),
    cat([a, a.mul(a)], 1).amax(1),
    a.indexSelect(1, tensor([4, 4, 0], { dtype: 'int32' })),
    a.clamp(-0.5, 0.5).div(3),
  ]
  const total = results.map((r) => r.mul(r).sum()).reduce((s, r) => s.add(r))
  const gradients = autograd.grad(total, [a, b, image, weight])
  return [...results, ...gradients].flatMap((t) => [...t!.detach().toTypedArray()])
}

/** float64 functions that the runtime's own Math computes. */
function functions(): number[] {
  const x = linspace(-3, 3, 301, { dtype: 'float64' })
  return [x.exp(), x.sin(), x.tanh(), x.erf(), x.sigmoid(), x.abs().add(0.1).log(), x.atan()].flatMap((t) => [...t.toTypedArray()])
}

/** float32 functions, which are this package's own. */
function polynomials(): number[] {
  const x = linspace(-9, 9, 1001)
  return [x.exp(), x.sin(), x.tanh(), x.erf(), x.sigmoid(), x.abs().add(0.1).log(), x.softmax(0)].flatMap((t) => [...t.toTypedArray()])
}

export interface Numbers {
  /** Equal to the last bit between runtimes in the same SIMD mode. */
  readonly exact: Record<string, number[]>
  /** Within the accuracy of Math. */
  readonly close: Record<string, number[]>
}

export function numbers(): Numbers {
  return {
    exact: { kernels32: kernels('float32'), kernels64: kernels('float64'), polynomials: polynomials() },
    close: { functions: functions(), training32: training('float32'), training64: training('float64') },
  }
}
