"""The numbers that are made of a waveform's blocks, as tags: ``vibration.rms``, ``vibration.crest``, …

They carry the waveform's role, so that whoever watches vibration watches them without any glue.
"""

from __future__ import annotations

from drivers.profile.profile import AnyProfile, Tag
from drivers.profile.waveform import Waveform, feature_names, is_in_unit
from protocols.values import DataType


class FeatureTag(Tag):
    """A number made of blocks. It is not repeated between two blocks: nobody has read it again."""

    max_interval: float = 0.0


def feature_tags(profile: AnyProfile) -> dict[str, FeatureTag]:
    """The tags that are made of a profile's waveforms, by name."""
    made: dict[str, FeatureTag] = {}
    for name, tag in profile.waveforms.items():
        if tag.waveform is None:
            continue
        for feature in feature_names(tag.waveform.model_dump()):
            made[f"{name}.{feature}"] = FeatureTag(
                address=tag.address,
                type=DataType.FLOAT64,
                unit=tag.unit if is_in_unit(feature) else "",
                role=tag.role,
            )
    return made


def waveform_of(profile: AnyProfile, name: str) -> tuple[Tag, Waveform]:
    """A tag of a profile's waveforms and its waveform.

    Raises:
        KeyError: there is none of that name.
    """
    tag = profile.waveforms[name]
    if tag.waveform is None:
        raise KeyError(name)
    return tag, tag.waveform
