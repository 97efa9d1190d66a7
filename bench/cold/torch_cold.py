"""From importing torch to the first gradient."""
import time

start = time.perf_counter()
import torch  # noqa: E402

x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
(x * x).sum().backward()
assert x.grad[2].item() == 6
print('{"seconds": %r}' % (time.perf_counter() - start))
