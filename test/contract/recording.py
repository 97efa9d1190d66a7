"""What the recorders share: cases by name, readers of values, and the file they are written to."""

import json
import pathlib

import torch

CASES = {}


def case(fn):
    CASES[fn.__name__] = fn
    return fn


def leaf(*values):
    return torch.tensor(list(values), dtype=torch.float64, requires_grad=True)


def one(value):
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def nums(t):
    return None if t is None else t.detach().to(torch.float64).tolist()


def error(fn):
    try:
        fn()
    except Exception as e:
        return "error: " + str(e).split("\n")[0]
    return "no error"


def plain(value):
    """JSON has no NaN."""
    return [plain(v) for v in value] if isinstance(value, list) else str(value) if value != value else value


def write(name):
    """Runs the cases and writes what they return to name.json."""
    recorded = {}
    for key, fn in CASES.items():
        try:
            recorded[key] = fn()
        except Exception as e:
            raise RuntimeError(f"case {key}") from e
    text = "{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(plain(v))}" for k, v in recorded.items()) + "\n}\n"
    pathlib.Path(__file__).with_name(f"{name}.json").write_text(text)
    print(f"{len(recorded)} cases")
