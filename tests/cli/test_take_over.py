"""`nas resume RUN --take-over`: the way on that a run held by a lost machine names."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from cli.conftest import Nas
from search_runs import fake_search

from nas.run_store import Run, lease, lock
from nas.run_store.lease import Lease


@pytest.mark.fault("A17")
def test_typing_what_a_run_of_a_lost_machine_says_goes_on_with_it(
    nas: Nas, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_search(Path("runs"), "search.trials=3", name="shared")
    lost = Lease("node7", "another machine", 41, "yesterday", "token", 1)
    (Path("runs") / "shared" / "lease").write_text(json.dumps(vars(lost)))
    monkeypatch.setattr(lock, "network_kind", lambda path: "nfs4")
    monkeypatch.setattr(lease, "PATIENCE_S", 0.3)
    refused = nas("resume", "shared", "--trials=+1")
    assert refused.code == 2
    assert "in use by pid 41 on host node7" in refused.err
    (command,) = re.findall(r"nas (resume .* --take-over)", refused.err)
    answer = nas(*shlex.split(command), "--trials=+1")
    assert answer.code == 0, answer.err
    assert len(Run.open(Path("runs") / "shared").table().finished()) == 4
