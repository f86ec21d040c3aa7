"""Where a training stands, in one file that only the same training goes on from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from earmark.errors import StoreError
from earmark.files import atomic_write


def write_checkpoint(
    path: Path, identity: Mapping[str, Any], tensors: Mapping[str, Tensor], **facts: Any
) -> None:  # fmt: skip
    """Save tensors and plain facts.

    Parameters
    ----------
    identity
        Plain values that only the same training has.
    """
    content = safetensors.torch.save(dict(tensors), {"earmark": json.dumps({"identity": identity, **facts})})
    with atomic_write(path) as handle:
        handle.write(content)


def read_checkpoint(path: Path, identity: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts, as they were saved.

    Raises
    ------
    StoreError
        If the file is damaged, or another training's.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["earmark"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors raises its own type, json and dict theirs: all mean the same here
        raise StoreError(f"The checkpoint {path} is damaged. Delete it to begin this training anew.") from error
    if facts["identity"] != identity:
        raise StoreError(
            f"The checkpoint {path} belongs to another training. Delete it or choose another run folder."
        )
    return tensors, facts
