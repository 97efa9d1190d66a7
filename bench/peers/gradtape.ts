/** The rows in gradtape. */
import { useBlas } from '../../src/blas/index.ts'
import * as torch from '../../src/index.ts'
import { type Run, serve } from '../protocol.ts'
import type { Row } from '../rows.ts'

type T = torch.Tensor
const F = torch.nn.functional

const wave = (shape: readonly number[], scale = 0.3, dtype: 'float32' | 'float64' = 'float32'): T => {
  const n = shape.reduce((a, b) => a * b, 1)
  return torch
    .tensor(
      Float64Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898) * scale),
      { dtype },
    )
    .reshape([...shape])
    .clone()
}
const trained = (...args: Parameters<typeof wave>): T => wave(...args).requiresGrad_()

/** Runs `once` n times. */
const repeat =
  (once: () => unknown): Run =>
  (times) => {
    for (let i = 0; i < times; i++) once()
  }

function chain(kind: Row['kind'], n: number): Run {
  const x = torch.full([n], 1.0001, { requiresGrad: kind !== 'chainNoGrad' })
  const y = torch.full([n], 0.5)
  const z = torch.full([n], 0.1)
  const forward = (): T => {
    let h = x
    for (let i = 0; i < 50; i++) h = h.mul(y).add(z)
    return h
  }
  if (kind !== 'chainBackward') return repeat(forward)
  const seed = torch.ones([n])
  return repeat(() => {
    x.grad = null
    forward().backward(seed)
  })
}

/** A training step: `loss` of the parameters, their gradients, the optimizer. */
function training(parameters: readonly T[], loss: () => T, adam: boolean): Run {
  const p = [...parameters]
  const optimizer = adam ? new torch.optim.Adam(p, { lr: 0.001 }) : new torch.optim.SGD(p, { lr: 0.01 })
  return repeat(() => {
    const l = loss()
    optimizer.zeroGrad()
    l.backward()
    optimizer.step()
  })
}

function mlp([batch, inputs, hidden, outputs]: readonly number[], adam: boolean): Run {
  const [w1, b1, w2, b2] = [trained([inputs!, hidden!], 0.05), trained([hidden!]), trained([hidden!, outputs!], 0.05), trained([outputs!])]
  const [x, y] = [wave([batch!, inputs!]), wave([batch!, outputs!])]
  const loss = (): T => {
    const d = x.matmul(w1).add(b1).tanh().matmul(w2).add(b2).sub(y)
    return d.mul(d).mean()
  }
  return training([w1, b1, w2, b2], loss, adam)
}

function cnn(batch: number): Run {
  const w = [trained([6, 1, 5, 5]), trained([6]), trained([16, 6, 5, 5], 0.1), trained([16])]
  const l = [trained([120, 400], 0.05), trained([120]), trained([84, 120], 0.05), trained([84]), trained([10, 84], 0.05), trained([10])]
  const x = wave([batch, 1, 28, 28])
  const y = torch.arange(batch, { dtype: 'int32' }).remainder(10).to('int32')
  const loss = (): T => {
    let h = F.maxPool2d(F.conv2d(x, w[0]!, { bias: w[1]!, padding: 2 }).relu(), 2)
    h = F.maxPool2d(F.conv2d(h, w[2]!, { bias: w[3]! }).relu(), 2).flatten(1)
    h = F.linear(h, l[0]!, l[1]!).relu()
    h = F.linear(h, l[2]!, l[3]!).relu()
    return F.crossEntropy(F.linear(h, l[4]!, l[5]!), y)
  }
  return training([...w, ...l], loss, false)
}

function transformer([batch, tokens, width, heads, count]: readonly [number, number, number, number, number]): Run {
  const layers = Array.from({ length: count }, () => ({
    n1: trained([width], 1),
    b1: trained([width]),
    qkv: trained([3 * width, width], 0.1),
    out: trained([width, width], 0.1),
    n2: trained([width], 1),
    b2: trained([width]),
    up: trained([4 * width, width], 0.1),
    upBias: trained([4 * width]),
    down: trained([width, 4 * width], 0.1),
    downBias: trained([width]),
  }))
  const [x, y] = [wave([batch, tokens, width]), wave([batch, tokens, width])]
  const loss = (): T => {
    let h = x
    for (const p of layers) {
      const [q, k, v] = F.linear(F.layerNorm(h, [width], { weight: p.n1, bias: p.b1 }), p.qkv)
        .reshape([batch, tokens, 3, heads, width / heads])
        .permute(2, 0, 3, 1, 4)
        .unbind(0) as [T, T, T]
      const attended = F.scaledDotProductAttention(q, k, v).transpose(1, 2).reshape([batch, tokens, width])
      h = h.add(F.linear(attended, p.out))
      const n = F.layerNorm(h, [width], { weight: p.n2, bias: p.b2 })
      h = h.add(F.linear(F.gelu(F.linear(n, p.up, p.upBias)), p.down, p.downBias))
    }
    return F.mseLoss(h, y)
  }
  return training(
    layers.flatMap((p) => Object.values(p)),
    loss,
    true,
  )
}

/** A sum of n/4 damped waves, each with amplitude, damping, frequency and phase. */
function curveFit(n: number, points: number): Run {
  const p = trained([4, n / 4], 0.5, 'float64')
  const t = torch.linspace(0, 1, points, { dtype: 'float64' }).reshape([points, 1])
  const y = wave([points], 0.5, 'float64')
  const loss = (): T => {
    const [a, d, w, f] = p.unbind(0) as [T, T, T, T]
    const waves = a.mul(t.mul(d).neg().exp()).mul(t.mul(w).add(f).sin())
    const e = waves.sum(1).sub(y)
    return e.mul(e).mean()
  }
  return training([p], loss, true)
}

function hessian(n: number): Run {
  const x = wave([n], 0.3, 'float64')
  const a = wave([n, n], 0.3, 'float64')
  const f = (v: T): T => a.matmul(v).tanh().mul(v).sum().add(v.pow(4).sum())
  const h = torch.func.hessian(f)
  return repeat(() => h(x))
}

function make({ kind, sizes }: Row): Run | undefined {
  const [n, m, k] = sizes as [number, number, number]
  switch (kind) {
    case 'chain':
    case 'chainBackward':
    case 'chainNoGrad':
      return chain(kind, n)
    case 'mlp':
      return mlp(sizes, false)
    case 'mlpAdam':
      return mlp(sizes, true)
    case 'cnn':
      return cnn(n)
    case 'transformer':
      return transformer(sizes as [number, number, number, number, number])
    case 'curveFit':
      return curveFit(n, m)
    case 'hessian':
      return hessian(n)
    case 'add': {
      const [a, b] = [wave([n]), wave([n])]
      return repeat(() => a.add(b))
    }
    case 'exp':
    case 'tanh':
    case 'gelu': {
      const a = wave([n])
      return repeat(kind === 'gelu' ? () => F.gelu(a) : () => a[kind]())
    }
    case 'sum': {
      const a = wave([n])
      return repeat(() => a.sum())
    }
    case 'sumRows': {
      const a = wave([n, m])
      return repeat(() => a.sum(1))
    }
    case 'softmax': {
      const a = wave([n, m])
      return repeat(() => a.softmax(1))
    }
    case 'softmaxBackward': {
      const a = trained([n, m])
      const g = wave([n, m])
      return repeat(() => {
        a.grad = null
        a.softmax(1).backward(g)
      })
    }
    case 'layerNorm': {
      const [a, w, b] = [wave([n, m]), wave([m]), wave([m])]
      return repeat(() => F.layerNorm(a, [m], { weight: w, bias: b }))
    }
    case 'layerNormBackward': {
      const [a, w, b] = [trained([n, m]), trained([m]), trained([m])]
      const g = wave([n, m])
      return repeat(() => {
        a.grad = w.grad = b.grad = null
        F.layerNorm(a, [m], { weight: w, bias: b }).backward(g)
      })
    }
    case 'crossEntropyBackward': {
      const a = trained([n, m])
      const y = torch.arange(n, { dtype: 'int32' }).remainder(m).to('int32')
      return repeat(() => {
        a.grad = null
        F.crossEntropy(a, y).backward()
      })
    }
    case 'matmul':
    case 'matmul64': {
      const dtype = kind === 'matmul64' ? 'float64' : 'float32'
      const [a, b] = [wave([n, m], 0.3, dtype), wave([m, k], 0.3, dtype)]
      return repeat(() => a.matmul(b))
    }
    case 'conv2d':
    case 'conv2dBackward': {
      const [images, channels, size, maps, kernel, stride, padding] = sizes as [number, number, number, number, number, number, number]
      const x = wave([images, channels, size, size])
      const w = wave([maps, channels, kernel, kernel])
      if (kind === 'conv2d') return repeat(() => F.conv2d(x, w, { stride, padding }))
      x.requiresGrad_()
      w.requiresGrad_()
      const g = F.conv2d(x, w, { stride, padding }).detach()
      return repeat(() => {
        x.grad = w.grad = null
        F.conv2d(x, w, { stride, padding }).backward(g)
      })
    }
    default:
      return undefined
  }
}

/** What each call makes is given back at its end. */
function inScope(run: Run): Run {
  return (times) => {
    for (let i = 0; i < times; i++) torch.scope(() => void run(1))
  }
}

await serve((row) => {
  if (row.blas) useBlas()
  else torch.setBackend('wasm')
  const run = make(row)
  return run !== undefined && row.scoped ? inScope(run) : run
})
