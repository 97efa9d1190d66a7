/** From importing TensorFlow.js and its WebAssembly backend to the first gradient. */
const start = performance.now()
const tf = (await import('@tensorflow/tfjs')).default
await import('@tensorflow/tfjs-backend-wasm')
await tf.setBackend('wasm')
await tf.ready()
const g = tf.grad((x) => x.mul(x).sum())(tf.tensor([1, 2, 3]))
if (g.dataSync()[2] !== 6) throw new Error('wrong gradient')
console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000 }))
process.exit()
