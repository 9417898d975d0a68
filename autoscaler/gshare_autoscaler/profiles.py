"""Finds the one profile of a function among ConfigMaps, and remembers those that it has read."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from gshare import names, profile
from gshare.profile import Profile, ProfileError

from .conditions import Reason, TroubleError
from .objects import ConfigMap

_Version = tuple[str, str]
"""A ConfigMap's UID and resource version."""


@dataclass(frozen=True, slots=True)
class Name:
    """Which function."""

    namespace: str
    function: str

    def __str__(self) -> str:
        """Return NAMESPACE/FUNCTION."""
        return f"{self.namespace}/{self.function}"


class Profiles:
    """Reads profiles; a ConfigMap that is as it was is not read again. One thread's alone."""

    def __init__(self) -> None:
        self._read: dict[_Version, Profile | ProfileError] = {}
        self._by_name: dict[Name, list[ConfigMap]] = {}

    def take(self, config_maps: Iterable[ConfigMap]) -> None:
        """Take over which ConfigMaps there are now, and forget what was read of others."""
        by_name: defaultdict[Name, list[ConfigMap]] = defaultdict(list)
        for each in sorted(config_maps, key=lambda each: each.metadata.name):
            function = each.metadata.labels.get(names.LABEL_FUNCTION, "")
            by_name[Name(each.metadata.namespace, function)].append(each)
        self._by_name = dict(by_name)
        current = {_version(each) for found in by_name.values() for each in found}
        self._read = {key: value for key, value in self._read.items() if key in current}

    def config_map(self, name: Name) -> ConfigMap | None:
        """Return the ConfigMap of a function, or None; TroubleError where it has several."""
        found = self._by_name.get(name, [])
        if len(found) > 1:
            first, second = found[:2]
            raise TroubleError(
                Reason.BAD_PROFILE,
                f"{label(second)}: metadata.labels[{names.LABEL_FUNCTION}]: "
                f"{name.function!r}: {label(first)} is a profile of this function too: keep one",
            )
        return found[0] if found else None

    def profile(self, name: Name) -> Profile:
        """Return the profile of a function; TroubleError where there is none that can be read."""
        found = self.config_map(name)
        if found is None:
            raise TroubleError(
                Reason.NO_PROFILE,
                f"function {name}: no ConfigMap in the namespace has the labels "
                f'{names.LABEL_PROFILE}="true" and {names.LABEL_FUNCTION}="{name.function}": '
                "apply what `gshare profile` wrote",
            )
        version = _version(found)
        if version not in self._read:
            self._read[version] = _read(found)
        known = self._read[version]
        if isinstance(known, ProfileError):
            raise TroubleError(Reason.BAD_PROFILE, str(known)) from known
        return known


def label(config_map: ConfigMap) -> str:
    """Return what messages call a ConfigMap."""
    return f"ConfigMap {config_map.metadata.namespace}/{config_map.metadata.name}"


def _read(config_map: ConfigMap) -> Profile | ProfileError:
    where = f"{label(config_map)}: data[{names.KEY_PROFILE}]"
    text = config_map.data.get(names.KEY_PROFILE)
    if text is None:
        return ProfileError(label(config_map), f"data[{names.KEY_PROFILE}]", None, "is missing")
    try:
        return profile.read(text, where)
    except ProfileError as error:
        return error


def _version(config_map: ConfigMap) -> _Version:
    return config_map.metadata.uid, config_map.metadata.resource_version
