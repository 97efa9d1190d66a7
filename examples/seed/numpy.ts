/** The note (注意): arrays that share memory with a tensor come from detached tensors. */
import * as torch from '../../src/index.ts'

const x = torch.tensor([10, 20], { requiresGrad: true, dtype: torch.float64 })
try {
  x.numpy()
} catch (error) {
  console.log(`${error}`)
}

const array = x.detach().numpy()
console.log(array.get(0), array.get(1))
array.set(0, 11) // written through the array, seen in the tensor
console.log(x)
x.detach().mul_(2) // and the other way round
console.log(array.get(0), array.get(1))
