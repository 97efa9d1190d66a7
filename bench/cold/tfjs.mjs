/** The first gradient in TensorFlow.js with its WebAssembly backend. */
import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'

export async function firstGradient() {
  await tf.setBackend('wasm')
  await tf.ready()
  return tf.grad((x) => x.mul(x).sum())(tf.tensor([1, 2, 3])).dataSync()
}
