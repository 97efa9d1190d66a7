"""Writes modules.json: layers that map, normalize, resize and compare, recorded as those of generate.py."""
import json
import os

import torch

from generate import record, t

here = os.path.dirname(os.path.abspath(__file__))

LINE, SIGNALS, IMAGES = (3, 4), (2, 4, 5), (2, 4, 3, 5)


def case(name, shape, *arguments, before=0, evaluate=False, forward=None, **options):
    inputs = [t(*s) for s in (shape if isinstance(shape[0], tuple) else [shape])]
    return (name, list(arguments), options, inputs, before, evaluate) + ((forward,) if forward else ())


CASES = [
    *(case(name, (4, 3)) for name in ['ReLU6', 'SELU', 'CELU', 'Mish', 'Hardswish', 'Hardshrink', 'Softshrink', 'Tanhshrink', 'Softsign', 'PReLU']),
    case('CELU', LINE, 0.5),
    case('Hardshrink', LINE, 0.3),
    case('Softshrink', LINE, 0.3),
    case('Threshold', LINE, 0.2, -1.5),
    case('GLU', LINE),
    case('GLU', SIGNALS, 1),
    case('Softmin', LINE, 1),
    case('Softmax2d', IMAGES),
    case('PReLU', SIGNALS, 4, init=0.1),
    *(case(name, shape, 0.4, evaluate=True) for name, shape in [('Dropout1d', SIGNALS), ('Dropout2d', IMAGES), ('AlphaDropout', LINE)]),
    case('GroupNorm', IMAGES, 2, 4),
    case('GroupNorm', SIGNALS, 4, 4, eps=1e-2, bias=False),
    case('GroupNorm', (3, 4), 1, 4, affine=False),
    case('BatchNorm1d', (5, 3), 3, bias=False),
    case('InstanceNorm1d', SIGNALS, 4),
    case('InstanceNorm1d', (4, 5), 4, affine=True),
    case('InstanceNorm1d', SIGNALS, 4, affine=True, bias=False, track_running_stats=True, momentum=0.3, before=1),
    case('InstanceNorm2d', IMAGES, 4, affine=True, eps=1e-2),
    case('InstanceNorm2d', IMAGES, 4, track_running_stats=True, before=2, evaluate=True),
    case('InstanceNorm2d', (4, 3, 5), 4, track_running_stats=True),
    case('RMSNorm', (3, 4), 4),
    case('RMSNorm', (3, 2, 4), [2, 4], eps=1e-2),
    case('RMSNorm', (3, 4), 4, elementwise_affine=False),
    case('ConvTranspose1d', SIGNALS, 4, 3, 3),
    case('ConvTranspose1d', (4, 5), 4, 2, 2, stride=3, padding=1, output_padding=2, bias=False),
    case('ConvTranspose2d', (2, 2, 3, 4), 2, 3, 2),
    case('ConvTranspose2d', (2, 2, 3, 4), 2, 4, [3, 2], stride=[2, 3], padding=[1, 0], output_padding=[1, 2], dilation=[2, 1], groups=2),
    case('AdaptiveAvgPool1d', (2, 3, 7), 3),
    case('Upsample', (1, 2, 3), size=5),
    case('Upsample', (1, 2, 3, 2), scale_factor=2, mode='bilinear', align_corners=True),
    case('PixelShuffle', (2, 4, 2, 3), 2),
    case('PixelUnshuffle', (2, 1, 4, 6), 2),
    case('ZeroPad1d', SIGNALS, 2),
    case('ZeroPad2d', IMAGES, [1, -1, 0, 2]),
    case('ConstantPad1d', SIGNALS, [1, 0], 3.5),
    case('ConstantPad2d', IMAGES, 1, -2),
    case('ReflectionPad1d', SIGNALS, [1, 2]),
    case('ReflectionPad2d', IMAGES, [1, 2, 0, 1]),
    case('ReplicationPad1d', SIGNALS, 1),
    case('ReplicationPad2d', IMAGES, 1),
    case('CircularPad1d', SIGNALS, 1),
    case('CircularPad2d', IMAGES, [1, 2, 1, 0]),
    case('CosineSimilarity', ((4, 3), (4, 3))),
    case('CosineSimilarity', ((4, 3), (4, 3)), dim=0, eps=1e-4),
    case('PairwiseDistance', ((4, 3), (4, 3))),
    case('PairwiseDistance', ((4, 3), (4, 3)), p=1, eps=1e-2, keepdim=True),
]

if __name__ == '__main__':
    with open(os.path.join(here, 'modules.json'), 'w') as f:
        json.dump({'torch': torch.__version__, 'layers': [record(*c) for c in CASES]}, f)
