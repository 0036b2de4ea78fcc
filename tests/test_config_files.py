"""Config files: what is read, what is refused, and that every refusal says where and why."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, PositiveInt, field_validator

from nas.config_files import (
    MAXIMUM_BYTES,
    MAXIMUM_DEPTH,
    Document,
    apply_overrides,
    dump_yaml,
    load_document,
    parse_document,
    parse_json,
    validate_document,
)
from nas.errors import ConfigError, DataError, NasError, NotFoundError, SpaceError


class Explore(BaseModel, frozen=True, extra="forbid"):
    trials: PositiveInt = 200
    batch: Annotated[int, Field(ge=1, le=1000)] = 16
    sampler: Literal["nsga2", "tpe"] = "nsga2"
    rate: float = 0.1


class Config(BaseModel, frozen=True, extra="forbid"):
    space: str
    data: str | Explore = "digits"
    search: Explore = Explore()
    stages: tuple[Explore, ...] = ()
    folder: Path | None = None

    @field_validator("data")
    @classmethod
    def _is_known(cls, value: Any) -> Any:
        if value == "lost":
            raise DataError("The data set is lost.", fix="Find it.")
        if value == "odd":
            raise ValueError("odd data is refused.")
        return value


def refusal(text: str, *overrides: str) -> NasError:
    document = apply_overrides(parse_document(text, "c.yaml"), overrides)
    with pytest.raises(NasError) as caught:
        validate_document(document, Config)
    return caught.value


@pytest.mark.fault("C3")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("~", None),
        ("", None),
        ("true", True),
        ("'1'", "1"),
        ('"true"', "true"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("=", "="),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text: str, value: Any) -> None:
    read = parse_document(f"key: {text}").data["key"]
    assert read == value
    assert type(read) is type(value)


def test_keys_stay_text() -> None:
    assert parse_document("{1: a, no: b, 1e3: c, null: d}").data == {
        "1": "a",
        "no": "b",
        "1e3": "c",
        "null": "d",
    }


@pytest.mark.fault("C1", "C5", "C6", "C7")
@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("a: 1\nb: 2\na: 3\n", "'a' stands twice in one mapping", "c.yaml:3:1"),
        ("a: &x 1\nb: *x\n", "Anchors and aliases are not allowed: &x", "c.yaml:1:4"),
        ("b: *x\n", r"not allowed: \*x", "c.yaml:1:4"),
        ("a: !!python/object:os.system x\n", "Tags are not allowed", "c.yaml:1:4"),
        ("a: ! x\n", "Tags are not allowed", "c.yaml:1:4"),
        ("a: 1\n---\nb: 2\n", "A second document starts", "c.yaml:2:1"),
        ("? [a]\n: b\n", "A key is a list or mapping", "c.yaml:1:3"),
        ("a: .inf\n", ".inf is not a finite number", "c.yaml:1:4"),
        ("a: .nan\n", ".nan is not a finite number", "c.yaml:1:4"),
        ("a: 1e999\n", "1e999 is too large for a number", "c.yaml:1:4"),
        (f"a: {'1' * 500}\n", "A number of 500 digits", "c.yaml:1:4"),
        ("a: [1, 2\nb: 3\n", "not valid YAML: while parsing a flow sequence", "c.yaml:2:2"),
        ('a: "\\ud800"\n', "Half of a surrogate pair", "c.yaml:1:4"),
        ("a: \x01\n", "not valid YAML", "c.yaml"),
        ("[" * (MAXIMUM_DEPTH + 1), f"deeper than {MAXIMUM_DEPTH} levels", "c.yaml:1:65"),
        ("[" + "1," * 30_000 + "]", "more than 20,000 values", "c.yaml:1"),
        ("a: 1\nb: \0\n", "NUL character at offset 8", "c.yaml:2"),
        ("a" * (MAXIMUM_BYTES + 1), "larger than 1,000,000 bytes", "c.yaml"),
    ],
)
def test_bad_yaml_is_refused_with_its_place(text: str, what: str, where: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        parse_document(text, "c.yaml")
    assert caught.value.where is not None
    assert caught.value.where.startswith(where)


def test_brackets_in_a_name_ask_for_quotes() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document("objectives: [error[ort,int8]]\n", "c.yaml")
    assert caught.value.fix is not None and "quotes" in caught.value.fix


@pytest.mark.fault("C1")
def test_a_syntax_error_points_at_the_column() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document("good: 1\nbad: [1, ]]\n", "c.yaml")
    assert caught.value.why == "bad: [1, ]]\n          ^"


def test_nesting_to_the_limit_is_read() -> None:
    text = "[" * MAXIMUM_DEPTH + "]" * MAXIMUM_DEPTH
    assert parse_document(text).data == parse_json(text).data


FRAGMENTS = [
    *("a: 1\n", "- ", "? ", "[", "]", "{", "}", ",", ": ", "&x ", "*x", "!!int ", "|\n", ">-\n"),
    *("'", '"', "\\x", "\\u12", "#", "\n", "  ", "\t", "\r", "%YAML 1.1\n", "---\n", "...\n"),
    *("\x85", "\u2028", "\ufeff", "é", "<<: ", "1e5", ".inf", "@", "`", "\x00", "\ud800"),
]


@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=25).map("".join))
def test_any_text_is_read_or_refused_by_our_own_error(text: str) -> None:
    for read in (parse_document, parse_json):
        try:
            document = read(text, "fuzz")
        except ConfigError as error:
            assert error.what
            assert error.where
        else:
            assert parse_document(dump_yaml(document.data)).data == document.data


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_by_our_own_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(raw)
    try:
        load_document(path)
    except ConfigError as error:
        assert str(path) in str(error)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | st.sampled_from(["no", "1", "~", "true", "a b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_what_is_written_reads_back_equal(data: Any) -> None:
    assert parse_document(dump_yaml(data)).data == data


def test_yaml_is_written_for_people() -> None:
    data = {"schema": "nas.search/1", "objectives": ["error", "macs"], "search": {"trials": 3}}
    assert dump_yaml(data) == (
        "schema: nas.search/1\nobjectives: [error, macs]\nsearch:\n  trials: 3\n"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1, 2}])
def test_what_is_no_plain_data_is_not_written(value: object) -> None:
    with pytest.raises(ConfigError, match="cannot be written as YAML"):
        dump_yaml({"a": [value]})


@pytest.mark.fault("C5", "C6")
@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"a": 1, "a": 2}', "'a' stands twice in one object"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": -Infinity}', "-Infinity is not a JSON number"),
        ('{"a": 1e999}', "1e999 is not a JSON number"),
        ('{"a": }', "not valid JSON: Expecting value"),
        ("{" + '"a":{' * 70, "deeper than 64 levels"),
        ('"\\ud800"', "half of a surrogate pair"),
        ("1" * 5000, "not valid JSON: Exceeds the limit"),
    ],
)
def test_bad_json_is_refused(text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        parse_json(text, "a.json")
    assert caught.value.where
    assert caught.value.where.startswith("a.json")


def test_brackets_inside_json_text_are_no_nesting() -> None:
    assert parse_json('{"a": "' + "[" * 100 + '\\""}').data == {"a": "[" * 100 + '"'}


class TestFiles:
    def test_json_and_yaml_are_told_apart_by_name(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text("{'a': 1}")
        (tmp_path / "a.yaml").write_text("{'a': 1}")
        assert load_document(tmp_path / "a.yaml").data == {"a": 1}
        with pytest.raises(ConfigError, match="not valid JSON"):
            load_document(tmp_path / "a.json")

    @pytest.mark.fault("C7")
    def test_a_byte_order_mark_and_carriage_returns_are_read_over(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: x\r\n")
        assert load_document(tmp_path / "a.yaml").data == {"a": 1, "b": "x"}

    @pytest.mark.fault("C7")
    def test_other_encodings_are_refused_with_the_offset(self, tmp_path: Path) -> None:
        path = tmp_path / "a.yaml"
        path.write_bytes("a: ok\nb: é\n".encode("latin-1"))
        with pytest.raises(ConfigError, match=r"not UTF-8: byte 0xe9 at offset 9.*\n.*\n.*iconv"):
            load_document(path)

    @pytest.mark.fault("C6")
    def test_a_file_that_is_too_large_is_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "a.yaml"
        path.write_bytes(b"\xff" + b"a" * 2 * MAXIMUM_BYTES)
        with pytest.raises(ConfigError, match="larger than 1,000,000 bytes"):
            load_document(path)

    def test_a_missing_file_is_not_found(self, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError, match=r"no file .*nowhere\.yaml"):
            load_document(tmp_path / "nowhere.yaml")

    def test_a_folder_is_not_read(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
            load_document(tmp_path)


class TestOverrides:
    def test_values_are_yaml_and_the_file_stays(self) -> None:
        document = parse_document("search: {trials: 3, rate: 1}\nspace: a\n")
        changed = apply_overrides(
            document, ["search.trials=1e2", "objectives=[error, macs]", "a.b.c=no"]
        )
        assert changed.data == {
            "search": {"trials": 100.0, "rate": 1},
            "space": "a",
            "objectives": ["error", "macs"],
            "a": {"b": {"c": "no"}},
        }
        assert document.data["search"]["trials"] == 3

    def test_list_items_are_numbered(self) -> None:
        document = apply_overrides(parse_document("a: [{b: 1}, {b: 2}]"), ["a.1.b=5"])
        assert document.data == {"a": [{"b": 1}, {"b": 5}]}

    def test_an_empty_file_can_be_filled(self) -> None:
        assert apply_overrides(parse_document(""), ["a.b="]).data == {"a": {"b": None}}

    @pytest.mark.parametrize("assignment", ["trials", "=3", "a..b=3", ""])
    def test_no_assignment_is_refused(self, assignment: str) -> None:
        with pytest.raises(ConfigError, match=r"is not an assignment[\s\S]*search.trials=100"):
            apply_overrides(parse_document(""), [assignment])

    def test_a_value_has_no_keys(self) -> None:
        with pytest.raises(ConfigError, match="'size' cannot be set inside 'digits'"):
            apply_overrides(parse_document("data: digits"), ["data.size=3"])

    def test_depth_is_limited(self) -> None:
        with pytest.raises(ConfigError, match="nests deeper than 64"):
            apply_overrides(parse_document(""), [".".join("a" * 65) + "=1"])

    def test_a_bad_value_names_the_assignment(self) -> None:
        error = refusal("space: a", "search.trials=-5")
        assert error.where == "--set search.trials=-5, key search.trials"


class TestValidation:
    def test_lists_become_tuples_and_text_becomes_paths(self) -> None:
        config = validate_document(parse_document("space: no\nstages: [{}]\nfolder: a/b"), Config)
        assert config == Config(space="no", stages=(Explore(),), folder=Path("a/b"))

    @pytest.mark.fault("C2", "C3", "C4")
    @pytest.mark.parametrize(
        ("text", "what", "where", "fix"),
        [
            (
                "space: a\nsearch:\n  trails: 3",
                "Unknown key 'search.trails'.",
                "c.yaml:3, key search.trails",
                "Did you mean 'trials'? Known keys: batch, rate, sampler, trials.",
            ),
            (
                "space: a\nstages:\n - {}\n - {rat: 3}",
                "Unknown key 'stages.1.rat'.",
                "c.yaml:4, key stages.1.rat",
                "Did you mean 'rate'? Known keys: batch, rate, sampler, trials.",
            ),
            ("data: a", "Key 'space' is missing.", "c.yaml:1, key space", "Add 'space: ...'."),
            (
                "space: a\nsearch: {batch: 5000}",
                "Key 'search.batch' is 5000; it must be at least 1 and at most 1000.",
                "c.yaml:2, key search.batch",
                "Leave it out for the default.",
            ),
            (
                "space: a\nsearch: {trials: true}",
                "Key 'search.trials' is true; it must be a whole number, greater than 0.",
                "c.yaml:2, key search.trials",
                "Leave it out for the default.",
            ),
            (
                "space: a\nsearch: {sampler: tpf}",
                "Key 'search.sampler' is 'tpf', which is no choice.",
                "c.yaml:2, key search.sampler",
                "Did you mean 'tpe'? Choose one of: nsga2, tpe.",
            ),
            (
                "space: 3",
                "Key 'space' is 3; it must be text.",
                "c.yaml:1, key space",
                "Change the value.",
            ),
            (
                "space:",
                "Key 'space' is empty; it must be text.",
                "c.yaml:1, key space",
                "Change the value.",
            ),
            (
                "space: a\nsearch: 3",
                "Key 'search' is 3; it must be a mapping of keys to values.",
                "c.yaml:2, key search",
                "Change the value.",
            ),
            ("space: a\ndata: lost", "The data set is lost.", "c.yaml:2, key data", "Find it."),
            (
                "space: a\ndata: odd",
                "Key 'data' is 'odd'; odd data is refused.",
                "c.yaml:2, key data",
                "Leave it out for the default.",
            ),
            (
                "space: a\ndata: {batch: x}",
                "Key 'data.batch' is 'x'; it must be a whole number, at least 1 and at most 1000.",
                "c.yaml:2, key data.batch",
                "Leave it out for the default.",
            ),
        ],
    )
    def test_a_bad_key_is_named_with_line_and_way_out(
        self, text: str, what: str, where: str, fix: str
    ) -> None:
        error = refusal(text)
        assert (error.what, error.where, error.fix) == (what, where, fix)

    def test_an_error_of_ours_keeps_its_class(self) -> None:
        assert isinstance(refusal("space: a\ndata: lost"), DataError)

    def test_further_faults_are_listed(self) -> None:
        error = refusal("search: {trials: 0}")
        assert error.what.startswith("Key 'space' is missing.\nalso c.yaml:1, key search.trials: ")

    def test_a_misspelt_key_comes_before_the_one_missing_for_it(self) -> None:
        assert refusal("spce: a").what.startswith("Unknown key 'spce'.\nalso")

    @pytest.mark.parametrize("text", ["[1]", "word", "3"])
    def test_a_file_without_keys_is_refused(self, text: str) -> None:
        document = parse_document(text, "c.yaml")
        with pytest.raises(SpaceError, match="where a mapping of keys to values is expected"):
            validate_document(document, Config, error=SpaceError)

    def test_json_has_lines_too(self) -> None:
        document = parse_json('{\n "space": "a",\n "search": {"trails": 1}}', "c.json")
        with pytest.raises(ConfigError) as caught:
            validate_document(document, Config)
        assert caught.value.where == "c.json:3, key search.trails"

    def test_data_without_text_is_named_without_a_line(self) -> None:
        with pytest.raises(ConfigError) as caught:
            validate_document(Document({"space": 1}, "the API"), Config)
        assert caught.value.where == "the API, key space"
