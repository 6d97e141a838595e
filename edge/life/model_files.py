"""The keys and models that ``edge.yaml`` names, read and checked before anything starts; and how a model of
any origin is checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from drivers.profile.profile import AnyProfile
from edge.tags import sampled
from protocols.documents import Document, Problem, not_one_of
from protocols.prognostics import model_file
from protocols.prognostics.deployment import NOBODY_TRUSTED
from protocols.prognostics.lifeline import asked
from protocols.prognostics.model import Model, Prognoser
from protocols.prognostics.model_file import ModelRefusedError
from protocols.prognostics.public_keys import NoPublicKeyError, public_key
from protocols.prognostics.rows import wanted
from protocols.values import DataType


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelOf(_Part):
    """A model file and the machine that it scores."""

    device: str
    file: Path


class LifeConfig(_Part):
    """Models of remaining life, and the public keys of who may have signed them."""

    trusted_keys: tuple[Path, ...] = Field(min_length=1, description="files ending in .pub")
    models: tuple[ModelOf, ...] = Field(
        default=(), max_length=500, description="files of this PC, which go before what the service sends"
    )

    def at(self, folder: Path) -> LifeConfig:
        """The same with every path resolved against ``folder``."""
        keys = tuple((folder / path.expanduser()).resolve() for path in self.trusted_keys)
        models = tuple(
            one.model_copy(update={"file": (folder / one.file.expanduser()).resolve()}) for one in self.models
        )
        return LifeConfig(trusted_keys=keys, models=models)


@dataclass(frozen=True, slots=True)
class EdgeModel:
    """A model that a machine is scored with, and its identity."""

    sha256: str
    prognoser: Prognoser

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags whose samples are needed, by name."""
        model = self.prognoser.model
        assert model.row is not None  # noqa: S101 - without it a model is not loaded
        return wanted(model.row, asked(model))


@dataclass(frozen=True, slots=True)
class LifeFiles:
    """The public keys of who may have signed a model, by id, and the models that are named, by device."""

    trusted: Mapping[str, bytes] = field(default_factory=dict)
    models: Mapping[str, EdgeModel] = field(default_factory=dict)


def checked(data: bytes, name: str, trusted: Mapping[str, bytes]) -> EdgeModel:
    """A model of its file; takes up to a second. Raises ModelRefusedError."""
    if not trusted:
        raise ModelRefusedError(f"{name}: {NOBODY_TRUSTED}")
    model = model_file.read(data, name, trusted)
    return EdgeModel(model_file.identity(data), Prognoser(model))


def load(
    document: Document, config: LifeConfig, profiles: Mapping[str, AnyProfile]
) -> tuple[LifeFiles, list[Problem]]:
    """Keys and models, and what is wrong, each with its place. ``profiles`` are those of the devices."""
    problems: list[Problem] = []
    trusted: dict[str, bytes] = {}
    for place, path in enumerate(config.trusted_keys):
        try:
            name, raw = public_key(path.read_bytes(), str(path))
            trusted[name] = raw
        except (NoPublicKeyError, OSError) as error:
            problems.append(document.problem(("life", "trusted_keys", place), _said(path, error)))
    found: dict[str, EdgeModel] = {}
    for place, one in enumerate(config.models):
        at = ("life", "models", place)
        if one.device not in profiles:
            problems.append(document.problem((*at, "device"), not_one_of(one.device, profiles)))
            continue
        if one.device in found:
            text = f"{one.device} has a model already: an edge scores a machine with one"
            problems.append(document.problem((*at, "device"), text))
            continue
        if problems:
            continue  # a model cannot be checked without all of the keys
        try:
            made = checked(one.file.read_bytes(), str(one.file), trusted)
        except (ModelRefusedError, OSError) as error:
            problems.append(document.problem((*at, "file"), _said(one.file, error)))
            continue
        unfit = list(lacking(made.prognoser.model, profiles[one.device]))
        problems += [document.problem((*at, "file"), f"{one.file}: {text}") for text in unfit]
        if not unfit:
            found[one.device] = made
    return LifeFiles(trusted, found), problems


def lacking(model: Model, profile: AnyProfile) -> Iterator[str]:
    """Why a model cannot score a machine of a profile, each in words."""
    if model.row is None:
        yield "scores files alone: train it with --counter TAG or --every SECONDS"
        return
    known = sampled(profile)
    for name in wanted(model.row, asked(model)):
        if name not in known:
            yield f"asks for the tag {name}, which the profile has not{_near(name, list(known))}"
        elif known[name].value_type is DataType.STRING:
            yield f"asks for the tag {name}, which is a text: a number is wanted"


def _near(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _said(path: Path, error: Exception) -> str:
    return f"{path}: {error.strerror or error}" if isinstance(error, OSError) else str(error)
