"""Published networks with their figures, and narrow members that run fast, each also by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hand_written.csp import CSPDarknet, CSPDenseNet, CSPResNet
from hand_written.hardnet import HarDNet
from hand_written.inception_resnet import InceptionResNet
from hand_written.rdnet import RDNet
from hand_written.res2net import Res2Net
from hand_written.u2net import SMALL, U2Net
from hand_written.vovnet import VoVNet
from torch import nn


class Case(NamedTuple):
    """A published network: how to build it, by hand too, and its number of parameters."""

    hand: Callable[[], nn.Module]
    exact: int
    millions: str
    source: str


CASES = {
    "hardnet:depth=68": Case(
        lambda: HarDNet(68), 17_565_348, "17.57", "arXiv:1909.00948; PingoLH/Pytorch-HarDNet 17.6"
    ),
    "hardnet:depth=85": Case(
        lambda: HarDNet(85), 36_670_212, "36.7", "PingoLH/Pytorch-HarDNet, README"
    ),
    "hardnet:depth=39,separable=true": Case(
        lambda: HarDNet(39, True), 3_488_228, "3.5", "PingoLH/Pytorch-HarDNet, README"
    ),
    "hardnet:depth=68,separable=true": Case(
        lambda: HarDNet(68, True), 4_180_602, "4.2", "PingoLH/Pytorch-HarDNet, README"
    ),
    "vovnet:depth=27,slim=true": Case(
        lambda: VoVNet(27, slim=True), 3_525_736, "3.53", "stigma0617/VoVNet.pytorch defines it"
    ),
    "vovnet:depth=39": Case(
        lambda: VoVNet(39), 22_600_296, "22.60", "pytorch-image-models, vovnet39a"
    ),
    "vovnet:depth=57": Case(
        lambda: VoVNet(57), 36_640_296, "36.64", "pytorch-image-models, vovnet57a"
    ),
    "vovnet:depth=19,version=2": Case(
        lambda: VoVNet(19, version=2), 11_205_416, "11.2", "youngwanLE/vovnet-detectron2, README"
    ),
    "vovnet:depth=19,slim=true,version=2": Case(
        lambda: VoVNet(19, True, 2), 3_166_136, "3.17", "pytorch-image-models, ese_vovnet19b_slim"
    ),
    "vovnet:depth=39,version=2,gates=last": Case(
        lambda: VoVNet(39, False, 2, "last"), 24_568_936, "24.57", "timm, ese_vovnet39b"
    ),
    "vovnet:depth=57,version=2,gates=last": Case(
        lambda: VoVNet(57, False, 2, "last"), 38_608_936, "38.61", "timm, ese_vovnet57b"
    ),
    "vovnet:depth=99,version=2,gates=last": Case(
        lambda: VoVNet(99, False, 2, "last"), 63_199_272, "63.20", "timm, ese_vovnet99b"
    ),
    "res2net:depth=50,width=26,scale=4": Case(
        lambda: Res2Net(50, 26, 4), 25_699_120, "25.70", "Res2Net-PretrainedModels, README"
    ),
    "res2net:depth=50,width=14,scale=8": Case(
        lambda: Res2Net(50, 14, 8), 25_059_816, "25.06", "Res2Net-PretrainedModels, README"
    ),
    "res2net:depth=50,width=48,scale=2": Case(
        lambda: Res2Net(50, 48, 2), 25_287_304, "25.29", "Res2Net-PretrainedModels, README"
    ),
    "res2net:depth=50,width=26,scale=6": Case(
        lambda: Res2Net(50, 26, 6), 37_051_448, "37.05", "Res2Net-PretrainedModels, README"
    ),
    "res2net:depth=50,width=26,scale=8": Case(
        lambda: Res2Net(50, 26, 8), 48_403_776, "48.40", "Res2Net-PretrainedModels, README"
    ),
    "res2net:depth=101": Case(
        lambda: Res2Net(101), 45_206_688, "45.21", "Res2Net-PretrainedModels, README"
    ),
    "csp-resnet:depth=50": Case(
        lambda: CSPResNet(), 21_607_848, "21.61", "WongKinYiu/CrossStagePartialNetworks, csresnet50"
    ),
    "csp-resnext:depth=50": Case(
        lambda: CSPResNet(32), 20_557_480, "20.56", "the same, csresnext50.cfg"
    ),
    "csp-darknet:depth=53": Case(
        lambda: CSPDarknet(), 27_642_184, "27.64", "timm, cspdarknet53; the same, csdarknet53.cfg"
    ),
    "csp-densenet:past=0,fusion=first": Case(
        lambda: CSPDenseNet(percent_past=0, fusion="first"),
        7_978_856,
        "7.98",
        "DenseNet-121, torchvision",
    ),
    "inception-resnet-v2": Case(
        lambda: InceptionResNet(), 55_843_464, "55.84", "timm, inception_resnet_v2"
    ),
    "rdnet:size=tiny": Case(lambda: RDNet("tiny"), 23_863_008, "23.86", "timm, rdnet_tiny"),
    "rdnet:size=small": Case(lambda: RDNet("small"), 50_436_448, "50.44", "timm, rdnet_small"),
    "rdnet:size=base": Case(lambda: RDNet("base"), 87_451_096, "87.45", "timm, rdnet_base"),
    "rdnet:size=large": Case(lambda: RDNet("large"), 186_269_632, "186.27", "timm, rdnet_large"),
    "u2net": Case(lambda: U2Net(), 44_009_869, "44.01", "xuebinqin/U-2-Net, 176.3 MB"),
    "u2netp": Case(lambda: U2Net(*SMALL), 1_131_181, "1.13", "xuebinqin/U-2-Net, issue 279"),
}
"""For VoVNet-27-slim no published count was found. The abbreviation timm stands for the tables of
huggingface/pytorch-image-models, results/*.csv.
"""

NARROW = {
    "hardnet:depth=68,percent=12": (lambda: HarDNet(68, percent=12, classes=7), (3, 69, 50)),
    "hardnet:depth=39,separable=true,percent=20": (
        lambda: HarDNet(39, True, 20, 7),
        (3, 69, 50),
    ),
    "vovnet:depth=27,slim=true,percent=25": (
        lambda: VoVNet(27, slim=True, percent=25, classes=7),
        (3, 69, 50),
    ),
    "vovnet:depth=39,version=2,percent=10": (
        lambda: VoVNet(39, version=2, percent=10, classes=7),
        (3, 69, 50),
    ),
    "res2net:depth=26,width=26,scale=4,base=8": (
        lambda: Res2Net(26, 26, 4, 8, 7),
        (3, 69, 50),
    ),
    "csp-resnet:percent=10": (lambda: CSPResNet(percent=10, classes=7), (3, 69, 50)),
    "csp-resnext:percent=12,groups=4": (
        lambda: CSPResNet(4, percent=12, classes=7),
        (3, 69, 50),
    ),
    "csp-darknet:percent=10": (lambda: CSPDarknet(percent=10, classes=7), (3, 69, 50)),
    "csp-densenet:growth=4,past=25": (
        lambda: CSPDenseNet(growth=4, percent_past=25, classes=7),
        (3, 69, 50),
    ),
    "csp-densenet:growth=3,fusion=last": (
        lambda: CSPDenseNet(growth=3, fusion="last", classes=7),
        (3, 69, 50),
    ),
    "csp-densenet:growth=4,past=75,fusion=first": (
        lambda: CSPDenseNet(growth=4, percent_past=75, fusion="first", classes=7),
        (3, 69, 50),
    ),
    "inception-resnet-v2:blocks35=2,blocks17=2,blocks8=2,percent=8": (
        lambda: InceptionResNet((2, 2, 2), 8, 7),
        (3, 107, 90),
    ),
    "rdnet:layers=2,percent=13": (lambda: RDNet("tiny", 2, 13, 7), (3, 69, 50)),
    "u2netp:percent=25": (
        lambda: U2Net(((4, 16),) * 6, ((4, 16),) * 5),
        (3, 69, 50),
    ),
    "u2net:maps=2,percent=5": (
        lambda: U2Net(
            ((1, 3), (1, 6), (3, 12), (6, 25), (12, 25), (12, 25)),
            ((1, 3), (1, 3), (3, 6), (6, 12), (12, 25)),
            2,
        ),
        (3, 69, 50),
    ),
}
