"""Manifests are what their schedulers read: valid, safe, and holding the config word for word."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from nas.cluster.rendering import RENDERINGS, JobDescription, render
from nas.cluster.rendering.kuberay import kubernetes_name
from nas.errors import ConfigError, NotFoundError

CONFIG = 'schema: nas.search/1\nspace: wired_cnn\ndata: "naïve: #1"\n'
HERE = Path(__file__).resolve().parent
SLUGS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True)


def job(name: str = "cells", **fields: Any) -> JobDescription:
    """Return a description."""
    return JobDescription(**{"name": name, "config": CONFIG, **fields})


def documents(text: str) -> list[Any]:
    """Return the YAML documents of a manifest."""
    return list(YAML(typ="safe").load_all(text))


def rayjob(described: JobDescription) -> tuple[Any, Any]:
    """Return ConfigMap and RayJob, both checked."""
    config_map, found = documents(render("kuberay", described))
    schema = json.loads((HERE / "rayjob_schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, schema)
    return config_map, found


@pytest.mark.parametrize("target", list(RENDERINGS))
def test_one_description_gives_one_text_that_names_the_run(target: str) -> None:
    text = render(target, job())
    assert text == render(target, job())
    assert "cells" in text
    assert text.startswith("#")
    assert text.endswith("\n")


def test_an_unknown_target_lists_those_there_are() -> None:
    with pytest.raises(NotFoundError, match=r"(?s)manifest 'kubernetes'.*kuberay, ray-cluster"):
        render("kubernetes", job())


@given(name=SLUGS, nodes=st.integers(1, 9), gpus=st.integers(0, 4))
def test_every_rayjob_keeps_the_schema_and_asks_for_what_was_described(
    name: str, nodes: int, gpus: int
) -> None:
    config_map, found = rayjob(job(name, nodes=nodes, gpus=gpus, runs="/data:1/runs"))
    assert config_map["data"]["search.yaml"] == CONFIG
    spec = found["spec"]["rayClusterSpec"]
    assert spec["authOptions"] == {"mode": "token"}
    head = spec["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert head["resources"]["limits"].get("nvidia.com/gpu", "0") == str(gpus)
    assert {"name": "runs", "mountPath": "/data:1/runs"} in head["volumeMounts"]
    assert sum(group["replicas"] for group in spec["workerGroupSpecs"]) == nodes - 1
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == ("4" if nodes == 1 else "0")
    volumes = spec["headGroupSpec"]["template"]["spec"]["volumes"]
    assert {"name": "config", "configMap": {"name": config_map["metadata"]["name"]}} in volumes


@given(names=st.lists(SLUGS, min_size=2, max_size=2, unique=True))
def test_runs_with_different_names_never_share_a_name_in_kubernetes(names: list[str]) -> None:
    first, second = map(kubernetes_name, names)
    assert first != second


def test_deleting_the_manifest_of_a_rayjob_deletes_no_run() -> None:
    assert [each["kind"] for each in documents(render("kuberay", job()))] == ["ConfigMap", "RayJob"]


def test_the_script_in_a_rayjob_is_a_shell_script() -> None:
    script = rayjob(job(modules="/shared/plugins"))[0]["data"]["start.sh"]
    checked = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_config_that_no_config_map_holds_is_refused_with_its_size() -> None:
    with pytest.raises(ConfigError, match=r"(?s)1000007 bytes.*at most 1000000.*job 'cells'"):
        render("kuberay", job(config="a: " + 1_000_003 * "x" + "\n"))


@pytest.mark.parametrize("target", ["kuberay", "slurm"])
def test_a_config_with_characters_that_yaml_reads_as_others_is_refused(target: str) -> None:
    with pytest.raises(ConfigError, match=r"(?s)cannot be printed.*escaped"):
        render(target, job(config='a: "\x85b: 1"\n'))


@pytest.mark.parametrize("nodes", [1, 3])
def test_a_cluster_file_keeps_the_schema_that_ships_with_ray(nodes: int) -> None:
    util = pytest.importorskip("ray.autoscaler._private.util")
    (found,) = documents(render("ray-cluster", job("123", nodes=nodes, modules="/shared/plugins")))
    schema = Path(util.ray.autoscaler.__file__).parent / "ray-schema.json"
    jsonschema.validate(found, json.loads(schema.read_text(encoding="utf-8")))
    prepared = util.prepare_config(found)
    util.validate_config(prepared)
    assert prepared["max_workers"] == nodes - 1
    assert prepared["cluster_name"] == "123"


@pytest.mark.fault("F13")
def test_no_manifest_starts_a_cluster_without_a_token() -> None:
    (found,) = documents(render("ray-cluster", job()))
    starts = [*found["head_start_ray_commands"], *found["worker_start_ray_commands"]]
    assert all(each.startswith("RAY_AUTH_MODE=token ") for each in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert "export RAY_AUTH_MODE=token" in render("slurm", job())
    assert rayjob(job())[1]["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}


@pytest.mark.fault("F15")
def test_nas_is_never_installed_by_its_name() -> None:
    """On a package index the name may be anybody's."""
    text = render("ray-cluster", job(nas_version="1.2.3"))
    (found,) = documents(text)
    (install,) = [each for each in found["setup_commands"] if "pip install" in each]
    wheel = "~/nas-1.2.3-py3-none-any.whl"
    assert install.split()[3:] == [wheel, '"ray[default,tune]==' + job().ray_version + '"']
    assert found["file_mounts"][wheel] == "WHEEL"


@pytest.mark.parametrize("target", list(RENDERINGS))
def test_no_manifest_ends_what_it_did_not_start(target: str) -> None:
    for line in render(target, job()).splitlines():
        assert "ray stop" not in line
        assert "pkill" not in line
        assert "killall" not in line


@pytest.mark.fault("F17")
@pytest.mark.parametrize("field", ["name", "runs", "image", "modules"])
def test_what_a_shell_could_read_as_more_than_a_word_is_refused(field: str) -> None:
    for value in ("$(touch x)", "`x`", "/a b", "/a;b", "/a'b", '/a"b', "/a\nb", "", "../a b", "/é"):
        told = rf"(?s)job's {field} is {re.escape(repr(value))}.*--render.*another {field}"
        with pytest.raises(ConfigError, match=told):
            job(**{field: value})


@pytest.mark.parametrize(
    ("field", "value", "nearest"),
    [("nodes", 0, 1), ("nodes", 5000, 4096), ("cpus", 0, 1), ("gpus", -1, 0), ("hours", 0, 1)],
)
def test_numbers_out_of_range_are_refused_with_the_nearest(
    field: str, value: int, nearest: int
) -> None:
    with pytest.raises(ConfigError, match=rf"(?s)job's {field} is {value};.*nearest is {nearest}"):
        job(**{field: value})
