/** Example 2 (多向量梯度): two vectors, y = (x1² + x2² + x1·x2) @ x3. */
import * as torch from '../../src/index.ts'

const x1 = torch.tensor([10, 20], { requiresGrad: true, dtype: torch.float64 })
const x2 = torch.tensor([30, 40], { requiresGrad: true, dtype: torch.float64 })
const x3 = torch.tensor([[1], [1]], { requiresGrad: true, dtype: torch.float64 })

const y1 = x1.pow(2).add(x2.pow(2)).add(x1.mul(x2)) // [100, 400] + [900, 1600] + [300, 800] = [1300, 2800]
const y2 = y1.matmul(x3) // 4100
y2.backward()

console.log(x1.grad) // 2·x1 + x2 = [50, 80]
console.log(x2.grad) // 2·x2 + x1 = [70, 100]
