/** The rows in TensorFlow.js with its WASM backend (SIMD, one thread). */
import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import { serve } from '../protocol.ts'

await tf.setBackend('wasm')
await tf.ready()

const wave = (shape, scale = 0.3) => {
  const n = shape.reduce((a, b) => a * b, 1)
  return tf.tensor(Float32Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898) * scale), shape)
}

await serve(({ kind, sizes }) => {
  const [n] = sizes
  if (kind === 'chain' || kind === 'chainBackward') {
    const x = tf.tensor([1.0001])
    const y = tf.tensor([0.5])
    const z = tf.tensor([0.1])
    const chain = (v) => {
      let h = v
      for (let i = 0; i < 50; i++) h = h.mul(y).add(z)
      return h
    }
    const f = kind === 'chain' ? chain : tf.grad(chain)
    return (times) => {
      for (let i = 0; i < times; i++) tf.tidy(() => void f(x))
    }
  }
  if (kind === 'mlp') {
    const [batch, inputs, hidden, outputs] = sizes
    const w1 = tf.variable(wave([inputs, hidden], 0.05))
    const b1 = tf.variable(wave([hidden]))
    const w2 = tf.variable(wave([hidden, outputs], 0.05))
    const b2 = tf.variable(wave([outputs]))
    const x = wave([batch, inputs])
    const y = wave([batch, outputs])
    const optimizer = tf.train.sgd(0.01)
    return (times) => {
      for (let i = 0; i < times; i++) optimizer.minimize(() => x.matMul(w1).add(b1).tanh().matMul(w2).add(b2).sub(y).square().mean())
    }
  }
  if (kind === 'matmul') {
    const a = wave([n, n])
    const b = wave([n, n])
    return (times) => {
      for (let i = 0; i < times; i++) a.matMul(b).dispose()
    }
  }
  const a = wave([n])
  const b = wave([n])
  return (times) => {
    for (let i = 0; i < times; i++) (kind === 'add' ? a.add(b) : a.exp()).dispose()
  }
})
