"""Writes how pip on this machine reaches its package index into a folder: pip.conf, and pip.crt, the authority that it trusts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_KEPT = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")


def main(folder: Path) -> None:
    """From its files and the environment; nothing where there is no pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()  # noqa: S603
    found = {key.rpartition(".")[2]: value.strip("'\"") for key, _, value in (line.partition("=") for line in lines)}
    kept = {key: found[key] for key in _KEPT if key in found}
    authority = Path(found["cert"]).read_bytes() if "cert" in found else b""
    if authority:
        kept["cert"] = "/etc/pip.crt"
    (folder / "pip.crt").write_bytes(authority)
    (folder / "pip.conf").write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in kept.items()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
