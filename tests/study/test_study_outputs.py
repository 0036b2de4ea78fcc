"""The files of a study: balanced and escaped LaTeX, plain CSV, Markdown, SVG, JSON."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_cases import made_study

from nas.cli.views import register_views
from nas.errors import ConfigError, NotFoundError
from nas.run_store import examine
from nas.study.caption import stamp
from nas.study.comparison import ranking
from nas.study.diagram import diagram_svg, diagram_text
from nas.study.outputs import document, write_markdown, write_outputs
from nas.study.results import read_results
from nas.study.tables import csv_text, latex, markdown, tex_text

NASTY = r"50%_of \all{it} & $x^2$ #1 ~|<b>"
FIGURES = {
    NASTY: [0.10, 0.11, 0.12, 0.10, 0.11],
    "close": [0.101, 0.109, 0.122, 0.101, 0.108],
    "=1+1": [0.30, 0.31, 0.32, 0.30, 0.31],
}
SPECIAL = re.compile(r"(?<!\\)[&%$#_{}~^]")


def unescaped(text: str) -> str:
    """Return what LaTeX would read as commands in escaped text, its own commands taken out."""
    text = text.replace(r"\\", "")
    for command in (r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}"):
        text = text.replace(command, "")
    text = re.sub(r"\$(\\pm|\\approx|\\dagger|-|<|>|\|)\$", "", text)
    return "".join(SPECIAL.findall(text))


@pytest.mark.fault("F3")
@given(st.text())
def test_escaped_text_holds_no_command(text: str) -> None:
    assert unescaped(tex_text(text)) == ""
    assert "\n" not in tex_text(text)


def balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text.replace(r"\\", "")):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def test_the_latex_is_balanced_and_every_row_has_every_column(tmp_path: Path) -> None:
    with made_study(tmp_path, FIGURES, command="nas study 50%_{x}.yaml") as run:
        text = latex(read_results(run))
    begun, ended = re.findall(r"\\begin\{(\w+)\}", text), re.findall(r"\\end\{(\w+)\}", text)
    assert begun == ended[::-1] == ["table", "tabular"]
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert balanced("\n".join(lines))
    (alignment,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    rows = [line for line in lines if line.endswith(r"\\") and "multicolumn" not in line]
    assert len(rows) == 1 + len(FIGURES)
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == len(alignment) - 1
    for rule in ("toprule", "midrule", "bottomrule"):
        assert rf"\{rule}" in text
    assert r"\textbf{10.80 $\pm$ 0.84}" in text
    assert r"10.82 $\pm$ 0.86 $\approx$" in text
    assert r"command: nas study 50\%\_\{x\}.yaml" in text


@pytest.mark.fault("F3")
def test_the_csv_has_plain_numbers_and_no_formula(tmp_path: Path) -> None:
    with made_study(tmp_path, FIGURES) as run:
        rows = list(csv.DictReader(io.StringIO(csv_text(read_results(run)))))
    assert [row["method"] for row in rows] == [NASTY, "close", "'=1+1"]
    assert float(rows[0]["test_error_percent_mean"]) == pytest.approx(10.8)
    assert float(rows[2]["test_error_percent_seed_4"]) == pytest.approx(31)
    assert [row["best"] for row in rows] == ["True", "False", "False"]
    assert [row["told_apart_from_best"] for row in rows] == ["False", "False", "True"]


def test_a_row_nobody_compared_is_not_said_to_be_told_apart(tmp_path: Path) -> None:
    with made_study(tmp_path, {"a": [0.1, 0.2], "b": [0.9, 0.8], "c": [0.1, None]}) as run:
        rows = list(csv.DictReader(io.StringIO(csv_text(read_results(run)))))
    assert [row["told_apart_from_best"] for row in rows] == ["False", "False", ""]


def test_a_panel_without_control_keeps_the_columns_of_the_others(tmp_path: Path) -> None:
    figures = {
        ("one", "s"): {"[a]": [0.1, None], "b": [0.3, 0.3], "c": [0.3, 0.2]},
        ("two", "s"): {"[a]": [0.1, 0.1], "b": [0.3, 0.0], "c": [0.3, 0.2]},
    }
    with made_study(tmp_path, figures, control="[a]") as run:
        text = latex(read_results(run))
    (alignment,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    assert r"less [a] [95 \%]" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and " & " in line]
    assert len(rows) == 1 + 6
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(alignment) - 1}
    # After a line break a bracket would begin an argument.
    assert not re.search(r"^[\[*]", text, re.MULTILINE)


def test_the_markdown_has_one_cell_per_column(tmp_path: Path) -> None:
    with made_study(tmp_path, FIGURES) as run:
        text = markdown(read_results(run))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(FIGURES)
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert "**10.80 ± 0.84**" in text


def test_every_output_names_what_the_figures_depend_on(tmp_path: Path) -> None:
    with made_study(tmp_path, FIGURES) as run:
        results = read_results(run)
        recipe = results.config.recipe.recipe_hash
        texts = [markdown(results), latex(results), json.dumps(document(results))]
        diagram = diagram_svg(ranking(results), stamp(results))
    for text in (*texts, diagram):
        for fact in ("f" * 12, recipe, "d" * 12, "5 seeds from 0", "distillation off", "made.yaml"):
            assert fact in text
    for row in csv.DictReader(io.StringIO(csv_text(results))):
        assert row["recipe_hash"] == recipe
        assert row["data_fingerprint"] == "f" * 64
        assert (row["device"], row["distillation"]) == ("d" * 12, "off")
        assert row["command"] == "nas study made.yaml"
    for text in texts:
        assert "noise of training there" in text.replace("\\", "")
        assert "cannot go below 0.0625" in text


def test_networks_of_another_size_and_failed_trainings_are_flagged(tmp_path: Path) -> None:
    figures = {"a": [0.1, 0.2], "b": [0.1, None]}
    match = {"macs": 800, "tolerance": 0.1}
    with made_study(tmp_path, figures, within=False, latency=False, match=match) as run:
        text = markdown(read_results(run))
    assert "| a † |" in text
    assert "† marks those that have none: a, b." in text
    assert "(1 missing)" in text
    assert "Failed trainings: b: seed 1: nonfinite: loss is inf" in text
    assert "Not complete yet" in text


def test_rows_that_are_one_network_are_told(tmp_path: Path) -> None:
    with made_study(tmp_path, {"a": [0.1, 0.2], "b": [0.1, 0.2]}) as run:
        assert "One and the same network: a, b." in markdown(read_results(run))


def test_the_diagram_is_sound_and_escaped(tmp_path: Path) -> None:
    with made_study(tmp_path, FIGURES) as run:
        ranks = ranking(read_results(run))
    assert ranks is not None
    tree = ElementTree.fromstring(diagram_svg(ranks))
    texts = [each.text or "" for each in tree.iter() if each.tag.endswith("text")]
    assert any(NASTY in text for text in texts)
    assert "critical difference" in " ".join(texts)
    numbers = [float(each.get("x1", "0")) for each in tree.iter() if each.tag.endswith("line")]
    assert all(0 <= number <= 720 for number in numbers)
    lines = diagram_text(ranks).splitlines()
    assert len(lines) == len(FIGURES) + 2
    assert lines[1].split()[0] == "1.40"


def test_the_same_log_gives_the_same_bytes(tmp_path: Path) -> None:
    with made_study(tmp_path, FIGURES) as run:
        names = write_outputs(run)
        first = {name: run.read_view(name) for name in names}
        write_outputs(run)
        assert first == {name: run.read_view(name) for name in names}
    assert names == ["cd.svg", "study.json", "table.csv", "table.md", "table.tex"]


def test_the_table_goes_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- begin study made -->\nFORMER\n<!-- end study made -->\nafter\n")
    with made_study(tmp_path / "studies", FIGURES) as run:
        for _ in range(2):
            write_markdown(run, page)
            text = page.read_text()
            assert text.startswith("before\n<!-- begin study made -->\ndigits, space `tiny`")
            assert text.endswith(".\n<!-- end study made -->\nafter\n")
            assert "FORMER" not in text
        page.write_text("no marks")
        with pytest.raises(ConfigError, match="no place for the table of the study 'made'"):
            write_markdown(run, page)
        with pytest.raises(NotFoundError, match="There is no document"):
            write_markdown(run, tmp_path / "none.md")
        with pytest.raises(ConfigError, match="cannot be read as a text"):
            write_markdown(run, tmp_path)


def test_a_study_has_its_own_files_and_none_of_a_search(tmp_path: Path) -> None:
    register_views()
    with made_study(tmp_path, {"a": [0.1, 0.2], "b": [None, 0.2]}) as run:
        write_outputs(run)
        assert b"<svg" in (run.read_view("cd.svg") or b"")
    assert [finding.what for finding in examine(run.path)] == []
    (run.path / "table.tex").write_text("edited")
    assert [finding.what for finding in examine(run.path)] == ["table.tex is out of date."]
