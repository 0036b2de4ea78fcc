"""Which file systems are shared between machines: there a kernel's lock is not enough.

The kernel names the type of every mounted file system (proc_pid_mountinfo(5)), which says more than
the number that statfs returns: all that run in user space share one number.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

NETWORK: Final = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "9p"),
        *("lustre", "gpfs", "beegfs", "ceph", "glusterfs", "ocfs2", "gfs2"),
        *("orangefs", "pvfs2", "panfs", "wekafs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.lustre"),
        *("fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.juicefs", "fuse.goofys"),
        *("fuse.mountpoint-s3", "fuse.davfs", "fuse.moosefs"),
    }
)
"""Types of file systems that other machines write to as well."""

_MOUNTS: Final = Path("/proc/self/mountinfo")


def network_kind(path: Path) -> str | None:
    """Return the type of the network file system that holds `path`; None where it is local.

    Where the system does not say (not Linux), it is taken for local.
    """
    try:
        text = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    kind = kind_among(text, path.absolute())
    return kind if kind in NETWORK else None


def kind_among(mounts: str, path: Path) -> str | None:
    """Return the type of the file system that holds `path`, by the text of a mountinfo file."""
    best: tuple[int, str] | None = None
    for line in mounts.splitlines():
        place, _, source = line.partition(" - ")
        fields, kind = place.split(" "), source.split(" ")[0]
        if len(fields) < 5 or not kind:
            continue
        mounted = Path(_unescaped(fields[4]))
        depth = len(mounted.parts)
        # Of two mounts on one place the later one is seen.
        if path.is_relative_to(mounted) and (best is None or depth >= best[0]):
            best = (depth, kind)
    return best[1] if best else None


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
