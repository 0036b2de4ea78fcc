"""Published networks as ONNX files: parts, scaled edges, layer norms and resizing keep their sense.

Each of these members has something that the networks of the spaces lack.
"""

from __future__ import annotations

import pytest
import torch
from scale import is_full_scale

from nas.export.onnx import check_onnx, export_onnx
from nas.model.fuse import fuse
from nas.model.network import Network
from nas.topology.published import PUBLISHED, build_published_text

MEMBERS = {
    "res2net:depth=14,base=8": 41,
    "inception-resnet-v2:blocks35=1,blocks17=1,blocks8=1,percent=8": 83,
    "rdnet:layers=1,percent=13": 45,
    "u2netp:percent=13": 45,
    "hardnet:depth=39,separable=true,percent=20": 45,
    "vovnet:depth=19,version=2,percent=10": 45,
    "csp-resnext:percent=12,groups=4": 45,
    "csp-darknet:percent=10": 45,
    "csp-densenet:growth=4": 45,
}
FEW = 3


@pytest.mark.parametrize("text", MEMBERS if is_full_scale() else [*MEMBERS][:FEW])
def test_onnx_runtime_gives_what_torch_gives(text: str) -> None:
    side = MEMBERS[text]
    shape = (3, side, side + 6)
    assert side >= PUBLISHED.get(text.partition(":")[0]).smallest
    network = Network(build_published_text(text), shape, 5, initialisation="default")
    images = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    network(images)  # norms see images, so that folding them changes something
    fused = fuse(network.eval())
    assert check_onnx(export_onnx(fused, shape, 2), fused, images.numpy()) < 1e-4
