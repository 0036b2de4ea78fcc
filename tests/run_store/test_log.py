"""The log keeps what it acknowledged, and never reads a wrong value."""

from __future__ import annotations

import json
import logging
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_store.forked import in_child
from scale import scaled

from nas.errors import EnvironmentFault, RunError
from nas.run_store.log import Log, read_log
from nas.run_store.records import decode, encode, normalize, salvage, scan

RECORDS: list[dict[str, Any]] = [
    {"kind": "stage_started", "stage": "explore"},
    {"kind": "trial_asked", "trial": 0, "attempt": 1, "decisions": {"stage1.pattern": "dense"}},
    {"kind": "verdict", "text": "naïve\n\u2028 \x00 line", "tau": 0.5},
]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(name="log_path")
def _log_path(tmp_path: Path) -> Path:
    path = tmp_path / "trials.log"
    path.write_bytes(b"".join(encode(seq, record) for seq, record in enumerate(RECORDS)))
    return path


def append_one(path: Path, record: dict[str, Any]) -> int:
    log, _ = Log.open(path)
    try:
        return log.append(record)
    finally:
        log.close()


@given(st.dictionaries(st.text(), json_values, max_size=4), st.integers(0, 10**9))
def test_what_is_encoded_decodes_to_the_same_record(fields: dict[str, Any], seq: int) -> None:
    record = {**fields, "kind": "anything"}
    line = encode(seq, record)
    assert line.count(b"\n") == 1
    assert decode(line[:-1], seq) == record
    assert normalize(record) == record


def test_records_that_only_the_parser_of_python_reads_are_read() -> None:
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    record = {"kind": "verdict", "deep": deep, "half": "\ud800", "many": 10**400, "tiny": 5e-324}
    assert repr(decode(encode(0, record)[:-1], 0)) == repr(record)


def test_a_line_is_checksum_length_number_and_json() -> None:
    line = encode(7, {"kind": "x", "n": 1})
    checksum, length, number, text = line.rstrip(b"\n").split(b" ", 3)
    assert json.loads(text) == {"kind": "x", "n": 1}
    assert (int(length), int(number)) == (len(text), 7)
    assert int(checksum, 16) == zlib.crc32(line[9:-1])


def test_appended_records_are_read_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "trials.log"
    path.touch()
    log, before = Log.open(path)
    assert before == ()
    assert [log.append(record) for record in RECORDS] == [0, 1, 2]
    assert len(log) == 3
    log.close()
    log.close()
    assert list(read_log(path).records) == RECORDS


@pytest.mark.fault("B3", "G-R5")
def test_a_log_cut_at_every_byte_opens_keeps_its_prefix_and_goes_on(
    log_path: Path, tmp_path: Path
) -> None:
    whole = log_path.read_bytes()
    ends = [0]
    for record in RECORDS:
        ends.append(ends[-1] + len(encode(len(ends) - 1, record)))
    for length in range(len(whole) + 1):
        folder = tmp_path / "cut"
        folder.mkdir()
        path = folder / "trials.log"
        path.write_bytes(whole[:length])
        kept = sum(end <= length for end in ends) - 1
        for again in range(3):
            assert append_one(path, {"kind": "verdict", "again": again}) == kept + again
        records = list(read_log(path).records)
        assert records[:kept] == RECORDS[:kept]
        assert [record["again"] for record in records[kept:]] == [0, 1, 2]
        torn = whole[ends[kept] : length]
        quarantined = [file.read_bytes() for file in folder.glob("quarantine/*")]
        assert quarantined == ([torn] if torn else [])
        shutil.rmtree(folder)


@pytest.mark.fault("B3")
def test_a_torn_last_record_is_quarantined_with_one_warning(
    log_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with log_path.open("ab") as file:
        file.write(encode(3, RECORDS[0])[:-4])
    with caplog.at_level(logging.WARNING, logger="nas"):
        append_one(log_path, {"kind": "verdict"})
    assert len(caplog.records) == 1
    assert "torn" in caplog.text
    assert "quarantine/torn-" in caplog.text


def test_a_reader_overlooks_a_half_written_line_and_does_not_touch_it(log_path: Path) -> None:
    with log_path.open("ab") as file:
        file.write(b"deadbeef 5")
    before = log_path.read_bytes()
    contents = read_log(log_path)
    assert list(contents.records) == RECORDS
    assert contents.torn == b"deadbeef 5"
    assert log_path.read_bytes() == before


def test_a_growing_log_is_followed_from_where_reading_stopped(log_path: Path) -> None:
    first = read_log(log_path)
    append_one(log_path, {"kind": "verdict", "n": 1})
    news = read_log(log_path, offset=first.end, seq=len(first.records))
    assert list(news.records) == [{"kind": "verdict", "n": 1}]


@pytest.mark.fault("B4", "G-R7")
def test_no_flipped_bit_gives_a_wrong_value(log_path: Path) -> None:
    whole = log_path.read_bytes()
    step = 1 if scaled(10) == 10 else 3
    for position in range(0, len(whole) * 8, step):
        data = bytearray(whole)
        data[position // 8] ^= 1 << (position % 8)
        found = scan(bytes(data))
        records = list(found.records)
        assert records == RECORDS[: len(records)]
        assert len(records) < len(RECORDS)
        assert found.bad is not None or found.torn


@given(st.binary(max_size=200), st.integers(0, 3))
def test_arbitrary_bytes_are_never_read_as_records(noise: bytes, whole: int) -> None:
    start = b"".join(encode(seq, record) for seq, record in enumerate(RECORDS[:whole]))
    found = scan(start + noise)
    assert list(found.records) == RECORDS[:whole]


@pytest.mark.fault("B4")
def test_a_bad_record_in_the_middle_stops_and_names_number_offset_and_repair(
    log_path: Path,
) -> None:
    data = bytearray(log_path.read_bytes())
    offset = data.index(b"\n") + 1
    data[offset + 30] ^= 1
    log_path.write_bytes(data)
    message = rf"(?s)Record 1 of trials.log at byte {offset} is damaged: its checksum.*--repair"
    with pytest.raises(RunError, match=message):
        read_log(log_path)
    with pytest.raises(RunError, match=message):
        Log.open(log_path)
    assert log_path.read_bytes() == bytes(data)


def line_of(payload: bytes, seq: int = 0) -> bytes:
    body = b"%d %d %s" % (len(payload), seq, payload)
    return b"%08x %s" % (zlib.crc32(body), body)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "does not begin with checksum"),
        (b"0000000G 1 0 x", "does not begin with checksum"),
        (b"00000000 1 0 x", "checksum does not match"),
        (line_of(b'{"kind":"a"}', seq=4), "its number is 4, so lines are missing or doubled"),
        (line_of(b'{"kind":"a","x":NaN}'), "holds NaN, which is not JSON"),
        (line_of(b"[1]"), "not a JSON object with a 'kind'"),
        (line_of(b"[" * 100_000), "nested too deeply"),
        (b"%08x 9 0 {}" % zlib.crc32(b"9 0 {}"), "says 9 bytes and has 2"),
    ],
)
def test_every_defect_of_a_line_is_named(line: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode(line, 0)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"kind": "verdict", "x": float("nan")}, r"(?s)'verdict' cannot be written.*'nonfinite'"),
        ({"kind": "verdict", "x": {1, 2}}, r"cannot be written as JSON: .*set"),
        ({"kind": "verdict", "x": [{1: 2}]}, r"(?s)has the key 1; keys are strings.*Write '1'"),
        ({"trial": 1}, r"(?s)needs a 'kind'.*got None.*stage_started"),
        ({"kind": ""}, r"needs a 'kind' that is a non-empty string"),
    ],
)
def test_a_record_that_is_not_plain_json_is_refused_and_the_log_unchanged(
    log_path: Path, record: dict[str, Any], message: str
) -> None:
    before = log_path.read_bytes()
    with pytest.raises(RunError, match=message):
        append_one(log_path, record)
    assert log_path.read_bytes() == before


@pytest.mark.fault("B1", "G-R6")
def test_a_full_disk_is_named_the_log_stays_valid_and_goes_on_later(tmp_path: Path) -> None:
    path = tmp_path / "trials.log"
    for limit in range(200, 200 + scaled(40) * 17, 17):
        path.write_bytes(b"")

        def fill() -> None:
            log, _ = Log.open(path)
            for number in range(1000):
                try:
                    log.append({"kind": "verdict", "number": number})
                except EnvironmentFault as error:
                    assert "disk full: cannot append record" in str(error)
                    assert "nas resume" in str(error)
                    break
            else:
                raise AssertionError("the disk was never full")
            acknowledged = len(log)
            assert [r["number"] for r in read_log(path).records] == list(range(acknowledged))

        assert in_child(fill, largest_file=limit) == 0
        count = len(read_log(path).records)
        assert not read_log(path).torn
        assert append_one(path, {"kind": "verdict", "number": count}) == count


def test_an_interrupt_between_write_and_flush_leaves_no_trace(
    log_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = log_path.read_bytes()
    log, _ = Log.open(log_path)
    flush = os.fsync
    interrupts = iter([KeyboardInterrupt()])

    def fsync(descriptor: int) -> None:
        for interrupt in interrupts:
            raise interrupt
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeyboardInterrupt):
        log.append({"kind": "verdict"})
    assert log_path.read_bytes() == before
    assert log.append({"kind": "verdict"}) == 3
    log.close()


def test_a_log_that_could_not_be_rolled_back_refuses_to_go_on(
    log_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, _ = Log.open(log_path)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(EnvironmentFault, match=r"(?s)Cannot append record 3.*Input/output"):
            log.append({"kind": "verdict"})
    with pytest.raises(RunError, match=r"(?s)could not be taken back.*Open the run again"):
        log.append({"kind": "verdict"})
    log.close()


def test_a_closed_log_refuses_records(log_path: Path) -> None:
    log, _ = Log.open(log_path)
    log.close()
    with pytest.raises(RunError, match="log cannot be written: it is closed"):
        log.append({"kind": "verdict"})


@pytest.mark.fault("B11")
def test_a_log_deleted_or_changed_under_its_owner_is_noticed(log_path: Path) -> None:
    log, _ = Log.open(log_path)
    with log_path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(RunError, match=r"(?s)another program changed it.*nas doctor"):
        log.append({"kind": "verdict"})
    log_path.unlink()
    with pytest.raises(
        EnvironmentFault, match=r"(?s)log was deleted while.*nothing more can be kept"
    ):
        log.append({"kind": "verdict"})
    log.close()


@pytest.mark.fault("B15", "B16")
def test_a_missing_log_or_a_link_instead_of_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"(?s)'trials.log' is missing.*Copy the folder again"):
        read_log(tmp_path / "trials.log")
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "trials.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match=r"(?s)'trials.log' is not a regular file.*by hand"):
        Log.open(tmp_path / "trials.log")


def test_every_whole_record_is_salvaged_around_the_damage(log_path: Path) -> None:
    lines = log_path.read_bytes().splitlines(keepends=True)
    joined = lines[0][:-1] + b"?" + lines[1] + b"garbage\n" + lines[2]
    records, lost = salvage(joined)
    assert records == RECORDS
    assert [stretch for _, stretch in lost] == [b"?", b"garbage\n"]
    assert joined[lost[1][0] :].startswith(b"garbage")
