"""Every format of an export: checked on real images, whole or not there at all, and described."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.errors import ArchitectureError, ConfigError, DataError, EnvironmentFault, NotFoundError
from nas.export.about import ABOUT, read_about
from nas.export.card import CARD, as_text
from nas.export.checking import compare
from nas.export.export import check_output, export_parcel, write_aside
from nas.export.formats import FORMATS, FormatOptions
from nas.export.parcel import Facts, Figure, Parcel, RealImages, Weights
from nas.export.reading import read_parcel, read_predictor
from nas.export.sample_images import sample_images
from nas.export.shipping import torch_logits
from nas.model.network import Network
from nas.space import load_space
from nas.training.data import ImageData, load_data
from nas.training.data.picture_files import write_pictures
from nas.training.data.preprocessing import Preprocessing

ODD_NAME = "a `b` <script>|\n# c"
PLAIN = FormatOptions()
HAS_EXECUTORCH = importlib.util.find_spec("executorch") is not None
FORMS = [name for name in FORMATS if name != "executorch" or HAS_EXECUTORCH]


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_data("digits")


@pytest.fixture(scope="module")
def parcel(digits: ImageData) -> Parcel:
    """A network that has seen images, so that its norms do something."""
    space = load_space("tiny_exhaustive")
    architecture = space.build(space.sample(np.random.default_rng(3)))
    network = Network(architecture, (1, 8, 8), 10, seed=3)
    expected = Preprocessing.of(digits)
    network(torch.from_numpy(expected.normalised(digits.x_train[:64])))
    return Parcel(
        title=ODD_NAME,
        network=network.eval(),
        num_classes=10,
        preprocessing=expected,
        weights=Weights("untrained", "for a test"),
        facts=Facts(
            "digits",
            "digits",
            (Figure("error_of|it", "1 %", "made up"),),
            "cpu",
            ("nas x",),
            recipe="epochs: 3",
        ),
        identity="s1-0",
    )


@pytest.fixture(scope="module")
def real(digits: ImageData) -> RealImages:
    images = Preprocessing.of(digits).normalised(digits.x_test[:70])
    return RealImages(images, digits.y_test[:70], "test images of digits")


@pytest.fixture(scope="module")
def exported(
    parcel: Parcel, real: RealImages, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """One folder per format."""
    root = tmp_path_factory.mktemp("exported")
    for name in FORMS:
        export_parcel(parcel, root / name, name, PLAIN, real)
    return {name: root / name for name in FORMS}


@pytest.mark.parametrize("name", FORMS)
def test_an_export_is_described_and_its_check_on_real_images_kept(
    name: str, exported: dict[str, Path]
) -> None:
    about = read_about(exported[name])
    assert about["check"]["images"] == 70
    assert about["check"]["relative_difference"] < 1e-4
    assert about["check"]["accuracy"] == about["check"]["accuracy_torch"]
    assert about["preprocessing"]["classes"] == [str(digit) for digit in range(10)]
    assert set(about["files"]) | {ABOUT} == {each.name for each in exported[name].iterdir()}
    assert (exported[name] / about["main"]).suffix == FORMATS.get(name).ending


@pytest.mark.parametrize("name", FORMS)
def test_a_card_answers_how_to_run_it_and_takes_no_markup_from_names(
    name: str, exported: dict[str, Path]
) -> None:
    card = (exported[name] / CARD).read_text()
    assert card.splitlines()[0] == r"# a \`b\` \<script\>\| \# c"
    assert r"error\_of\|it" in card
    for words in ("Weights: for a test", "How to run it", "epochs: 3", "accuracy", "Classes in"):
        assert words in card


@pytest.mark.parametrize("name", [name for name in FORMS if not FORMATS.get(name).plain])
def test_folded_networks_answer_the_same(
    name: str, parcel: Parcel, real: RealImages, tmp_path: Path
) -> None:
    batch = 3 if FORMATS.get(name).traced else None
    options = FormatOptions(fold=True, batch=batch)
    agreement = export_parcel(parcel, tmp_path / "out.zip", name, options, real)
    assert agreement.relative_difference < 1e-4
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert {CARD, ABOUT} < set(archive.namelist())


@pytest.mark.fault("D12")
@pytest.mark.parametrize("name", ["onnx", "json"])
def test_what_was_exported_is_read_back_and_answers_as_before(
    name: str, exported: dict[str, Path], parcel: Parcel, real: RealImages
) -> None:
    predictor = read_predictor(exported[name])
    assert predictor.title == ODD_NAME
    assert predictor.preprocessing == parcel.preprocessing
    found, wanted = predictor.run(real.images), torch_logits(parcel.network, real.images)
    assert np.abs(found - wanted).max() < 1e-5


def test_the_plain_form_is_exported_again_to_the_last_byte(
    exported: dict[str, Path], real: RealImages, tmp_path: Path
) -> None:
    again = read_parcel(exported["json"])
    export_parcel(again, tmp_path / "again", "json", PLAIN, real)
    for name in ("network.json", "network.safetensors", CARD):
        assert (tmp_path / "again" / name).read_bytes() == (exported["json"] / name).read_bytes()


def test_one_file_alone_still_knows_its_classes(
    parcel: Parcel, real: RealImages, tmp_path: Path
) -> None:
    export_parcel(parcel, tmp_path / "alone.onnx", "onnx", PLAIN, real)
    assert [each.name for each in tmp_path.iterdir()] == ["alone.onnx"]
    assert read_predictor(tmp_path / "alone.onnx").preprocessing == parcel.preprocessing


def test_the_cards_program_runs_an_onnx_file_without_torch(
    exported: dict[str, Path], digits: ImageData, real: RealImages, tmp_path: Path
) -> None:
    write_pictures(digits, tmp_path / "pictures", "test", 10)
    files = sorted((tmp_path / "pictures").rglob("*.png"))
    program = re.search(r"```python\n(.*?)```", (exported["onnx"] / CARD).read_text(), re.DOTALL)
    assert program is not None
    code = "import sys\nsys.modules['torch'] = sys.modules['nas'] = None\n" + program[1]
    (tmp_path / "run.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-I", tmp_path / "run.py", *files],
        cwd=exported["onnx"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    pixels = np.stack([digits.x_test[int(file.stem)] for file in files])
    expected = Preprocessing.of(digits).normalised(pixels)
    wanted = read_predictor(exported["json"]).run(expected).argmax(axis=1)
    answers = [int(line.split()[-2]) for line in done.stdout.splitlines()]
    assert answers == wanted.tolist()


def test_equal_networks_give_equal_archives(
    parcel: Parcel, real: RealImages, tmp_path: Path
) -> None:
    for name in ("one.zip", "two.zip"):
        export_parcel(parcel, tmp_path / name, "json", PLAIN, real)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_nothing_is_left_of_an_export_that_fails(
    parcel: Parcel, real: RealImages, tmp_path: Path
) -> None:
    wrong = replace(real, images=np.full_like(real.images, np.nan))
    with pytest.raises(
        ArchitectureError, match=r"differs from torch by nan[\s\S]*nothing was kept"
    ):
        export_parcel(parcel, tmp_path / "out", "json", PLAIN, wrong)

    def fail(folder: Path) -> str:
        (folder / "half").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(EnvironmentFault, match=r"cannot be written: No space left[\s\S]*has room"):
        write_aside(tmp_path / "out", fail)
    with pytest.raises(KeyboardInterrupt):
        write_aside(tmp_path / "out", lambda folder: (_ for _ in ()).throw(KeyboardInterrupt))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("D12")
def test_a_network_that_answers_otherwise_is_not_handed_over(
    parcel: Parcel, real: RealImages
) -> None:
    reference = torch_logits(parcel.network, real.images)
    with pytest.raises(ArchitectureError, match=r"differs from torch by 0\.0[\s\S]*without --fold"):
        compare(lambda images: reference * 1.01, reference, real, "onnx")


@pytest.mark.parametrize(
    ("output", "name", "options", "words"),
    [
        ("taken", "onnx", PLAIN, r"exists already[\s\S]*another one"),
        ("no/where", "onnx", PLAIN, r"no folder '.*no' to write into"),
        ("net.pt2", "onnx", PLAIN, r"'torch-export' does, not one of 'onnx'"),
        ("net.py", "source", PLAIN, r"'source' is more than one file[\s\S]*net\.zip"),
        (
            "out",
            "json",
            FormatOptions(fold=True),
            r"takes no --fold: it holds the network as it is",
        ),
        ("out", "source", FormatOptions(batch=2), r"takes no --batch: any number fits"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    output: str, name: str, options: FormatOptions, words: str, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(ConfigError, match=words):
        check_output(tmp_path / output, name, options)


def test_an_unknown_format_is_refused_and_the_nearest_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"export format 'onxx'[\s\S]*'onnx'"):
        check_output(tmp_path / "out", "onxx", PLAIN)


@pytest.mark.skipif(HAS_EXECUTORCH, reason="executorch is installed here")
def test_executorch_says_what_it_needs_where_it_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"'executorch' is not.*[\s\S]*nas\[executorch\]"):
        check_output(tmp_path / "out", "executorch", PLAIN)


def test_executorch_that_does_not_fit_torch_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "path" / "executorch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("")
    (broken / "exir.py").write_text("raise ImportError('undefined symbol: aten')")
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    with pytest.raises(
        EnvironmentFault, match=r"does not work beside torch[\s\S]*undefined symbol"
    ):
        check_output(tmp_path / "out", "executorch", PLAIN)
    for name in [name for name in sys.modules if name.partition(".")[0] == "executorch"]:
        monkeypatch.delitem(sys.modules, name)


def damaged(folder: Path, exported: Path, name: str, data: bytes) -> Path:
    folder.mkdir()
    for file in exported.iterdir():
        (folder / file.name).write_bytes(data if file.name == name else file.read_bytes())
    return folder


def test_damaged_and_foreign_folders_are_refused(exported: dict[str, Path], tmp_path: Path) -> None:
    own = exported["json"]
    weights = (own / "network.safetensors").read_bytes()
    with pytest.raises(DataError, match=r"not the one that was exported[\s\S]*plausible but wrong"):
        read_parcel(damaged(tmp_path / "a", own, "network.safetensors", weights[:-1] + b"x"))
    with pytest.raises(DataError, match=r"about\.json cannot be read"):
        read_parcel(damaged(tmp_path / "b", own, ABOUT, b'{"schema": NaN'))
    with pytest.raises(DataError, match=r"its schema is 'nas.run/1', not 'nas.network/1'"):
        read_parcel(damaged(tmp_path / "c", own, ABOUT, b'{"schema": "nas.run/1"}'))
    about = json.loads((own / ABOUT).read_text())
    strange = {**about, "num_classes": 7, "preprocessing": None}
    with pytest.raises(DataError, match=r"not those of this network: .* has the shape"):
        read_parcel(damaged(tmp_path / "d", own, ABOUT, json.dumps(strange).encode()))
    lost = {**about, "input": None}
    with pytest.raises(DataError, match="does not say the shape"):
        read_parcel(damaged(tmp_path / "e", own, ABOUT, json.dumps(lost).encode()))
    with pytest.raises(NotFoundError, match=r"holds no exported network"):
        read_parcel(tmp_path)
    with pytest.raises(DataError, match=r"from which no other can be made"):
        read_parcel(exported["onnx"])
    (tmp_path / "a.onnx").write_bytes(b"no model")
    with pytest.raises(DataError, match=r"no network in ONNX's format"):
        read_predictor(tmp_path / "a.onnx")
    with pytest.raises(DataError, match=r"'source' are not run[\s\S]*may run code"):
        read_predictor(exported["source"])


@pytest.mark.fault("F4")
def test_what_a_stranger_wrote_into_a_folder_is_checked_before_it_is_believed(
    exported: dict[str, Path], tmp_path: Path
) -> None:
    own = exported["json"]
    about = json.loads((own / ABOUT).read_text())
    prepared = about["preprocessing"]
    cases = (
        ({"preprocessing": {**prepared, "classes": ["a", "b"]}}, "speaks of 2 classes, but it has"),
        ({"preprocessing": {**prepared, "input_shape": [1, 9, 8]}}, r"images of \(1, 9, 8\), but"),
        ({"num_classes": 10**12}, "does not say the shape"),
        ({"input": {"shape": [1, 8, 10**9]}}, "does not say the shape"),
    )
    for place, (changes, message) in enumerate(cases):
        text = json.dumps({**about, **changes}).encode()
        with pytest.raises(DataError, match=message):
            read_predictor(damaged(tmp_path / f"{place}", own, ABOUT, text))
    piped = damaged(tmp_path / "p", own, ABOUT, json.dumps(about).encode())
    for plant in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        (piped / "network.safetensors").unlink()
        plant(piped / "network.safetensors")
        with pytest.raises(DataError, match="missing or no regular file"):
            read_predictor(piped)


def test_an_onnx_file_reads_no_other_files(exported: dict[str, Path], tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    whole = onnx.load(exported["onnx"] / "network.onnx")
    beside = tmp_path / "beside.onnx"
    onnx.save(whole, beside, save_as_external_data=True, location="w.bin", size_threshold=0)
    with pytest.raises(DataError, match="keeps numbers in other files"):
        read_predictor(beside)


def test_without_data_photographs_stand_in_and_nothing_is_claimed_of_classes(
    parcel: Parcel, tmp_path: Path
) -> None:
    bare = replace(parcel, preprocessing=None)
    agreement = export_parcel(bare, tmp_path / "o.onnx", "onnx", PLAIN, sample_images((1, 8, 8)))
    assert agreement.accuracy is None
    assert "the same answer for 100 %" in agreement.describe()
    with pytest.raises(DataError, match=r"Nothing is known of how images are prepared"):
        read_predictor(tmp_path / "o.onnx")
    for shape in ((3, 20, 33), (5, 7, 7)):
        images = sample_images(shape).images
        assert images.shape[1:] == shape
        assert np.abs(images.mean((0, 2, 3))).max() < 1e-4
        assert np.allclose(images.std((0, 2, 3)), 1, atol=1e-2)


def test_text_in_a_card_is_one_line() -> None:
    assert as_text("a\n\n# b\t*c*") == r"a \# b \*c\*"
