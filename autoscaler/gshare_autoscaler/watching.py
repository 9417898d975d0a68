"""Follows Deployments, ConfigMaps, HPAs and pods, and says whether they can be relied on."""

import time
from typing import Any

from gshare import names
from gshare.runtime.kube import ApiServer, Following, Pod, Reflector

from . import bounds
from .answers import Target
from .departures import holds_a_place
from .objects import ConfigMap, Deployment, Hpa


class Watches:
    """The reflectors of an autoscaler.

    Pods only matter for which replica leaves first, HPAs for how far others may be scaled: where
    they may not be read, their bounds are not known, and all else goes on.
    """

    def __init__(self, api: ApiServer) -> None:
        self.deployments = Reflector(
            api,
            "/apis/apps/v1/deployments",
            Deployment,
            _ignore,
            keeps=_is_function,
            following=Following(label_selector=names.LABEL_FUNCTION),
        )
        self.config_maps = Reflector(
            api,
            "/api/v1/configmaps",
            ConfigMap,
            _ignore,
            keeps=_is_profile,
            following=Following(label_selector=f"{names.LABEL_PROFILE}=true"),
        )
        self.hpas = Reflector(
            api,
            "/apis/autoscaling/v2/horizontalpodautoscalers",
            Hpa,
            _ignore,
            keeps=bounds.follows,
        )
        self.pods = Reflector(
            api,
            "/api/v1/pods",
            Pod,
            _ignore,
            keeps=holds_a_place,
            following=Following(field_selector="spec.nodeName!="),
        )

    def start(self) -> None:
        """Begin to follow."""
        for reflector in self._by_name().values():
            reflector.start()

    def stop(self) -> None:
        """Stop following."""
        for reflector in self._by_name().values():
            reflector.stop()

    def trouble(self) -> str:
        """Say in one line why no decision can be made; empty where one can."""
        now = time.monotonic()
        for name in ("deployments", "configmaps"):
            reflector = self._by_name()[name]
            if not reflector.is_synced:
                return f"gshare does not know the {name} yet: {reflector.trouble}"
            if reflector.is_stale(now):
                return f"gshare has lost sight of the {name}: {reflector.trouble}"
        # Once, so that a new process does not first decide without them.
        if not self.hpas.is_synced and not self.hpas.is_stale(now):
            return f"gshare does not know the HPAs yet: {self.hpas.trouble}"
        return ""

    def connected(self) -> dict[str, bool]:
        """Return which watches are open."""
        return {name: not reflector.trouble for name, reflector in self._by_name().items()}

    def known_pods(self) -> tuple[Pod, ...]:
        """Return the pods that hold a part of a GPU; none while they are not known for sure."""
        if not self.pods.is_synced or self.pods.is_stale(time.monotonic()):
            return ()
        return self.pods.items()

    def has_own_costs(self, target: Target) -> bool | None:
        """Tell whether a Deployment's template sets deletion costs itself; None: no function's."""
        found = self.deployments.find(target.namespace, target.name)
        if found is None:
            return None
        metadata = found.spec.template.get("metadata")
        annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
        return names.ANNOTATION_DELETION_COST in (annotations or {})

    def _by_name(self) -> dict[str, Reflector[Any]]:
        return {
            "deployments": self.deployments,
            "configmaps": self.config_maps,
            "horizontalpodautoscalers": self.hpas,
            "pods": self.pods,
        }


def _is_function(deployment: Deployment) -> bool:
    return bool(deployment.metadata.labels.get(names.LABEL_FUNCTION))


def _is_profile(config_map: ConfigMap) -> bool:
    return config_map.metadata.labels.get(names.LABEL_PROFILE) == "true"


def _ignore(*_: object) -> None:
    """Take no note: what is known is read at each round."""
