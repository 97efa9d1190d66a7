/** From importing a program, a file named by the first argument, to the first gradient. */
// Node 20 has no Float16Array, which jax-js names.
globalThis.Float16Array ??= class {}
const start = performance.now()
const { firstGradient } = await import(process.argv[2])
const gradient = await firstGradient()
const seconds = (performance.now() - start) / 1000
if (gradient[2] !== 6) throw new Error('wrong gradient')
console.log(JSON.stringify({ seconds }))
process.exit()
