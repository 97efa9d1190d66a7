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

const gelu = (x) => x.mul(0.5).mul(x.div(Math.SQRT2).erf().add(1))
const UNARY = { exp: (x) => x.exp(), tanh: (x) => x.tanh(), gelu, sum: (x) => x.sum() }

/** Runs `once` n times, its tensors disposed of. */
const repeat = (once) => (times) => {
  for (let i = 0; i < times; i++) tf.tidy(() => void once())
}

await serve(({ kind, sizes }) => {
  const [n, m, k] = sizes
  if (kind === 'chain' || kind === 'chainBackward' || kind === 'chainNoGrad') {
    const x = tf.fill([n], 1.0001)
    const y = tf.fill([n], 0.5)
    const z = tf.fill([n], 0.1)
    const chain = (v) => {
      let h = v
      for (let i = 0; i < 50; i++) h = h.mul(y).add(z)
      return h
    }
    const f = kind === 'chainBackward' ? tf.grad(chain) : chain
    return repeat(() => f(x))
  }
  if (kind === 'mlp' || kind === 'mlpAdam') {
    const [batch, inputs, hidden, outputs] = sizes
    const w1 = tf.variable(wave([inputs, hidden], 0.05))
    const b1 = tf.variable(wave([hidden]))
    const w2 = tf.variable(wave([hidden, outputs], 0.05))
    const b2 = tf.variable(wave([outputs]))
    const x = wave([batch, inputs])
    const y = wave([batch, outputs])
    const optimizer = kind === 'mlp' ? tf.train.sgd(0.01) : tf.train.adam(0.001)
    return (times) => {
      for (let i = 0; i < times; i++) optimizer.minimize(() => x.matMul(w1).add(b1).tanh().matMul(w2).add(b2).sub(y).square().mean())
    }
  }
  if (kind === 'cnn') {
    const v = (shape, scale = 0.05) => tf.variable(wave(shape, scale))
    const w = [v([5, 5, 1, 6], 0.3), v([6]), v([5, 5, 6, 16], 0.1), v([16])]
    const l = [v([400, 120]), v([120]), v([120, 84]), v([84]), v([84, 10]), v([10])]
    const x = wave([n, 28, 28, 1])
    const y = tf.oneHot(
      tf.tensor1d(
        Array.from({ length: n }, (_, i) => i % 10),
        'int32',
      ),
      10,
    ).toFloat()
    const optimizer = tf.train.sgd(0.01)
    return (times) => {
      for (let i = 0; i < times; i++) {
        optimizer.minimize(() => {
          let h = x.conv2d(w[0], 1, 'same').add(w[1]).relu().maxPool(2, 2, 'valid')
          h = h.conv2d(w[2], 1, 'valid').add(w[3]).relu().maxPool(2, 2, 'valid').reshape([n, 400])
          h = h.matMul(l[0]).add(l[1]).relu().matMul(l[2]).add(l[3]).relu().matMul(l[4]).add(l[5])
          return tf.losses.softmaxCrossEntropy(y, h)
        })
      }
    }
  }
  if (kind === 'matmul') {
    const a = wave([n, m])
    const b = wave([m, k])
    return repeat(() => a.matMul(b))
  }
  if (kind === 'add') {
    const a = wave([n])
    const b = wave([n])
    return repeat(() => a.add(b))
  }
  if (kind in UNARY) {
    const a = wave([n])
    return repeat(() => UNARY[kind](a))
  }
  if (kind === 'sumRows') {
    const a = wave([n, m])
    return repeat(() => a.sum(1))
  }
  if (kind === 'softmax' || kind === 'softmaxBackward') {
    const a = wave([n, m])
    const g = wave([n, m])
    const f = kind === 'softmax' ? (x) => x.softmax() : tf.grad((x) => x.softmax().mul(g).sum())
    return repeat(() => f(a))
  }
  if (kind === 'conv2d') {
    const [images, channels, size, maps, kernel, stride, padding] = sizes
    const x = wave([images, size, size, channels])
    const w = wave([kernel, kernel, channels, maps])
    return repeat(() => x.conv2d(w, stride, padding))
  }
  return undefined
})
