/** The rows in jax-js (wasm), jitted, as its users would write them; the result of each call is awaited on the device. */
import { serve } from '../protocol.ts'

globalThis.Float16Array ??= class {}
const { numpy: np, nn, init, valueAndGrad, grad, jit, tree } = await import('@jax-js/jax')
await init('wasm')

const wave = (shape, scale = 0.3) => {
  const n = shape.reduce((a, b) => a * b, 1)
  return np.array(Float32Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898) * scale)).reshape(shape)
}

/** Results are lazy: each is waited for, then released. */
const finished = async (times, make) => {
  for (let i = 0; i < times; i++) {
    const made = make()
    await made.blockUntilReady()
    made.dispose()
  }
}

const gelu = (x) => nn.gelu(x, { approximate: false })
const UNARY = { exp: (x) => np.exp(x), tanh: (x) => np.tanh(x), gelu, sum: (x) => np.sum(x) }

await serve(({ kind, sizes }) => {
  const [n, m, k] = sizes
  if (kind === 'chain' || kind === 'chainBackward' || kind === 'chainNoGrad') {
    const y = np.full([n], 0.5)
    const z = np.full([n], 0.1)
    const chain = (x) => {
      let h = x
      for (let i = 0; i < 50; i++) h = h.mul(y.ref).add(z.ref)
      return h
    }
    const f = kind === 'chainBackward' ? grad((x) => chain(x).sum()) : chain
    return (times) => {
      for (let i = 0; i < times; i++) f(np.full([n], 1.0001)).js()
    }
  }
  if (kind === 'mlp') {
    const [batch, inputs, hidden, outputs] = sizes
    let p = { w1: wave([inputs, hidden], 0.05), b1: wave([hidden]), w2: wave([hidden, outputs], 0.05), b2: wave([outputs]) }
    const x = wave([batch, inputs])
    const y = wave([batch, outputs])
    const loss = (q, a, b) => np.square(np.dot(np.tanh(np.dot(a, q.w1).add(q.b1)), q.w2).add(q.b2).sub(b)).mean()
    const step = jit((q, a, b) => {
      const [l, g] = valueAndGrad(loss)(tree.ref(q), a, b)
      return [l, tree.map((u, v) => u.sub(v.mul(0.01)), q, g)]
    })
    return (times) => {
      for (let i = 0; i < times; i++) {
        let l
        ;[l, p] = step(p, x.ref, y.ref)
        l.js()
      }
    }
  }
  if (kind === 'matmul') {
    const a = wave([n, m])
    const b = wave([m, k])
    const f = jit((u, v) => np.matmul(u, v))
    return (times) => finished(times, () => f(a.ref, b.ref))
  }
  if (kind === 'add') {
    const a = wave([n])
    const b = wave([n])
    const f = jit((u, v) => u.add(v))
    return (times) => finished(times, () => f(a.ref, b.ref))
  }
  if (kind in UNARY) {
    const a = wave([n])
    const f = jit(UNARY[kind])
    return (times) => finished(times, () => f(a.ref))
  }
  if (kind === 'softmax' || kind === 'softmaxBackward') {
    const a = wave([n, m])
    const g = wave([n, m])
    const f =
      kind === 'softmax' ? jit((x) => nn.softmax(x, 1)) : jit(grad((x, h) => nn.softmax(x, 1).mul(h).sum()))
    return (times) => finished(times, () => (kind === 'softmax' ? f(a.ref) : f(a.ref, g.ref)))
  }
  return undefined
})
