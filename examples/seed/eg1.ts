/** Example 1 (求导): the gradient of y = x² + 20 at x = 10. */
import * as torch from '../../src/index.ts'

// A tensor that requires gradients, x = 10
const x = torch.tensor(10, { requiresGrad: true, dtype: torch.float64 })
// The function; its graph is recorded as it runs
const f = x.pow(2).add(20)
// Gradients flow back from f
f.backward()
// df/dx = 2x = 20
console.log(x.grad)
