"""The trackers, their pinned versions, and a virtual environment for each, made once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
MLFLOW = ("mlflow==3.17.2", "psycopg[binary]==3.3.9", "uvloop==0.23.0", "httptools==0.9.0")


@dataclass(frozen=True)
class Peer:
    """``module`` here adapts it; ``requirements`` of none means our own environment."""

    module: str
    requirements: tuple[str, ...] = ()
    on_postgres: bool = False


PEERS = {
    "runwire": Peer("runwire"),
    "runwire-postgres": Peer("runwire", on_postgres=True),
    "mlflow": Peer("mlflow", MLFLOW),
    "mlflow-async": Peer("mlflow_async", MLFLOW),
    "mlflow-postgres": Peer("mlflow", MLFLOW, on_postgres=True),
    "fasttrackml": Peer("fasttrackml", ("fasttrackml==0.6.0", "mlflow==2.11.3", "setuptools<81")),
    "aim": Peer("aim", ("aim==3.29.1",)),
    "wandb": Peer("wandb", ("wandb==0.31.0",)),
    "tensorboardx": Peer("tensorboardx", ("tensorboardX==2.6.5", "tensorboard==2.21.0")),
    "trackio": Peer("trackio", ("trackio==0.43.0",)),
    "neptune-scale": Peer("neptune_scale", ("neptune-scale==0.30.0",)),
}


def python_of(peer: Peer) -> Path:
    """The interpreter of its environment, which is made where it is missing or outdated.

    Raises ``CalledProcessError``, with pip's words in ``stderr``, if it does not install.
    """
    if not peer.requirements:
        return Path(sys.executable)
    folder = ROOT / ".cache" / "peers" / peer.requirements[0].partition("=")[0].lower()
    python, stamp = folder / "bin" / "python", folder / "requirements"
    wanted = "\n".join(peer.requirements)
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"{folder.name}: installing into {folder} …", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         *peer.requirements],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    stamp.write_text(wanted)
    return python
