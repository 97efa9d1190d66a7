"""Peak bytes of tensors in a training step in PyTorch, by its profiler; one line of JSON for bench/memory.ts."""
import json
import os
import tempfile

import torch
from torch import nn

torch.set_num_threads(1)


def mlp():
    return nn.Sequential(nn.Linear(784, 512), nn.Tanh(), nn.Linear(512, 10)), torch.randn(256, 784), torch.randn(256, 10)


def cnn():
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 49, 10),
    )
    return model, torch.randn(64, 1, 28, 28), torch.randn(64, 10)


def peak(make):
    model, x, y = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step():
        optimizer.zero_grad()
        d = model(x) - y
        (d * d).mean().backward()
        optimizer.step()

    step()
    # What stands before the step: the gradients are given back by zero_grad and would not be seen by the profiler.
    optimizer.zero_grad()
    alive = sum(t.numel() * 4 for t in [x, y, *model.parameters()])
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    path = os.path.join(tempfile.mkdtemp(), "trace.json")
    profile.export_chrome_trace(path)
    with open(path) as file:
        events = [e for e in json.load(file)["traceEvents"] if e.get("name") == "[memory]"]
    most = now = 0
    for event in sorted(events, key=lambda e: e["ts"]):
        now += event["args"]["Bytes"]
        most = max(most, now)
    return alive + most


print(json.dumps({f.__name__: peak(f) for f in (mlp, cnn)}))
