/** From importing jax-js to the first gradient. */
globalThis.Float16Array ??= class {}
const start = performance.now()
const { numpy: np, init, grad } = await import('@jax-js/jax')
await init('wasm')
const g = grad((x) => x.ref.mul(x).sum())(np.array([1, 2, 3]))
if ((await g.data())[2] !== 6) throw new Error('wrong gradient')
console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000 }))
process.exit()
