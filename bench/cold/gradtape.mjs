/** From importing the built library, a bundle named by the first argument, to the first gradient. */
const start = performance.now()
const { tensor } = await import(process.argv[2])
const x = tensor([1, 2, 3], { requiresGrad: true })
x.mul(x).sum().backward()
if (x.grad.tolist()[2] !== 6) throw new Error('wrong gradient')
console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000 }))
