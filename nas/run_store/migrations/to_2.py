"""From nas.run/1 to nas.run/2: a trial may fail because its process died or its machine was lost.

Records stay as they are. The number is new because a version of nas that knows only the reasons of
nas.run/1 would call a run with the new ones damaged, where it should say that it is newer.
"""

from __future__ import annotations

from nas.run_store.migrations import MIGRATIONS, Migration

MIGRATIONS.add("to_2", Migration(to=2, why="Trials may fail with the reasons `died` and `lost`."))
