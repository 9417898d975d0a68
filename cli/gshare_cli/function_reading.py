"""Reads what the autoscaler says of a function, and the HPAs that follow it."""

import contextlib
import json
from typing import Any, Final

from gshare import names
from gshare.errors import GshareError
from gshare.runtime.kube import ApiError, ApiServer, Pod, list_all
from gshare_autoscaler.objects import Hpa

from .cluster_reading import asking

_TIMEOUT_S: Final = 5.0
_LABEL: Final = f"app.kubernetes.io/name={names.PART_AUTOSCALER}"


class NoAutoscalerError(GshareError):
    """No autoscaler runs in the cluster, so that nothing is known of functions."""


def function(api: ApiServer, namespace: str, name: str) -> dict[str, Any] | None:
    """Return what the autoscaler knows of a function; None where it is none.

    NoAutoscalerError where no autoscaler runs, GshareError where none answers.
    """
    path = f"/api/v1/namespaces/{names.NAMESPACE}/pods"
    with asking(api):
        pods = list_all(api, path, Pod, {"labelSelector": _LABEL}).items
    running = [each.metadata.name for each in pods if each.status.phase == "Running"]
    if not running:
        raise NoAutoscalerError(
            f"no pod of {names.PART_AUTOSCALER} runs in the namespace {names.NAMESPACE}: "
            "apply manifests/autoscaler"
        )
    said = ""
    for pod in running:
        page = f"{path}/{pod}:{names.PORT_AUTOSCALER_METRICS}/proxy/v1/functions/{namespace}/{name}"
        try:
            found: dict[str, Any] = json.loads(api.get(page, timeout_s=_TIMEOUT_S))
        except ApiError as error:
            if error.status == 404:
                return None
            said = str(error)
        except ValueError:
            said = "it sends no JSON"
        else:
            return found
    raise GshareError(f"{names.PART_AUTOSCALER} does not answer: {said}")


def hpas(api: ApiServer, namespace: str) -> list[Hpa] | None:
    """Return the HPAs of a namespace; None where this user may not read them."""
    path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"
    with contextlib.suppress(ApiError):
        return list_all(api, path, Hpa).items
    return None
