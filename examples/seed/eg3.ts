/** Example 3 (不计算梯度): three ways of computing without a graph. */
import * as torch from '../../src/index.ts'

const x = torch.tensor(10, { requiresGrad: true, dtype: torch.float64 })

// 1. A block
const a = torch.noGrad(() => x.pow(2).add(20))
console.log('block:', a, a.requiresGrad, a.gradFn)

// 2. A function, wrapped; the same wrapper is a method decorator
const square = torch.noGrad.wrap((v: torch.Tensor) => v.pow(2).add(20))
class Model {
  @torch.noGrad.wrap
  predict(v: torch.Tensor): torch.Tensor {
    return v.pow(2).add(20)
  }
}
const b = square(x)
const c = new Model().predict(x)
console.log('function:', b, b.requiresGrad, b.gradFn)
console.log('method:', c, c.requiresGrad, c.gradFn)

// 3. A switch, until it is set back
torch.setGradEnabled(false)
const d = x.pow(2).add(20)
torch.setGradEnabled(true)
console.log('switch:', d, d.requiresGrad, d.gradFn)
