"""Download: one file of a release at a public address, with what is known of its content."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file that can be fetched without a person: no log-in, no form, a stable address.

    Args:
        url: Its address: the file itself, of a fixed version.
        file: Its place in the release's folder; "../" leads to the data root.
        size: Bytes; None where unknown.
        checksum: "md5:", "sha256:" or "git:" (git's id of the content) and hex digits; None where
            unknown.
        unpack: Of an archive, the folder that it becomes in the release's folder.
    """

    url: str
    file: str
    size: int | None = None
    checksum: str | None = None
    unpack: str | None = None

    @property
    def gives(self) -> str:
        """What is there afterwards, relative to the release's folder; a folder ends with "/"."""
        return f"{self.unpack}/" if self.unpack else self.file

    def mismatch(self, path: Path) -> str | None:
        """In what ``path`` differs from the released file; None where nothing known differs."""
        found = path.stat().st_size
        if self.size is not None and found != self.size:
            return f"it has {found:,} bytes, {self.size:,} were expected"
        if self.checksum is not None:
            kind = self.checksum.partition(":")[0]
            if (digest := checksum(path, kind)) != self.checksum:
                return f"its checksum is {digest}, {self.checksum} was expected"
        return None


def checksum(path: Path, kind: str) -> str:
    """The content's checksum as ``kind:hex``, for kind "md5", "sha256" or "git"."""
    # MD5 is what Zenodo states. It tells a damaged file, not a forged one; https does that.
    digest = hashlib.new("sha1" if kind == "git" else kind, usedforsecurity=False)
    if kind == "git":
        digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return f"{kind}:{digest.hexdigest()}"
