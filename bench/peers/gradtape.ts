/** The rows in gradtape. */
import * as torch from '../../src/index.ts'
import { serve } from '../protocol.ts'

const wave = (shape: readonly number[], scale = 0.3): torch.Tensor => {
  const n = shape.reduce((a, b) => a * b, 1)
  return torch
    .tensor(Float32Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898) * scale))
    .reshape([...shape])
    .clone()
}

await serve(({ kind, sizes }) => {
  const n = sizes[0]!
  if (kind === 'chain' || kind === 'chainBackward') {
    const x = torch.tensor([1.0001], { requiresGrad: true })
    const y = torch.tensor([0.5])
    const z = torch.tensor([0.1])
    const chain = (): torch.Tensor => {
      let h = x
      for (let i = 0; i < 50; i++) h = h.mul(y).add(z)
      return h
    }
    return (times) => {
      for (let i = 0; i < times; i++) {
        const h = chain()
        if (kind === 'chain') continue
        x.grad = null
        h.backward()
      }
    }
  }
  if (kind === 'mlp') {
    const [batch, inputs, hidden, outputs] = sizes as [number, number, number, number]
    const p = [wave([inputs, hidden], 0.05), wave([hidden]), wave([hidden, outputs], 0.05), wave([outputs])].map((t) => t.requiresGrad_())
    const [w1, b1, w2, b2] = p as [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
    const x = wave([batch, inputs])
    const y = wave([batch, outputs])
    const optimizer = new torch.optim.SGD(p, { lr: 0.01 })
    return (times) => {
      for (let i = 0; i < times; i++) {
        const d = x.matmul(w1).add(b1).tanh().matmul(w2).add(b2).sub(y)
        const loss = d.mul(d).mean()
        optimizer.zeroGrad()
        loss.backward()
        optimizer.step()
      }
    }
  }
  if (kind === 'matmul') {
    const a = wave([n, n])
    const b = wave([n, n])
    return (times) => {
      for (let i = 0; i < times; i++) a.matmul(b)
    }
  }
  const a = wave([n])
  const b = wave([n])
  return kind === 'add'
    ? (times) => {
        for (let i = 0; i < times; i++) a.add(b)
      }
    : (times) => {
        for (let i = 0; i < times; i++) a.exp()
      }
})
