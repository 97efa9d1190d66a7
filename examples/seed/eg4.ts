/** Example 4 (梯度清零): clearing the gradient, which would otherwise add up. */
import * as torch from '../../src/index.ts'

const x = torch.tensor(10, { requiresGrad: true, dtype: torch.float64 })
for (let round = 0; round < 100; round++) {
  const y1 = x.pow(2).add(20)
  const y2 = y1.mean()
  if (x.grad !== null) x.grad.data.zero_()
  y2.backward()
  console.log(x.grad)
}
