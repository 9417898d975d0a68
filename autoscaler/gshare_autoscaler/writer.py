"""Everything that the loop writes to the API server, but for events. Safe to repeat."""

from gshare import names
from gshare.runtime.kube import ApiServer


class Writer:
    """Speaks to the API server for the autoscaler. Any thread may call; ApiError if it fails."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    def set_cost(self, namespace: str, name: str, uid: str, cost: int) -> None:
        """Say how late a pod should leave among its siblings, by its UID: 409 where it is gone."""
        meta = {"uid": uid, "annotations": {names.ANNOTATION_DELETION_COST: str(cost)}}
        self._api.patch(f"/api/v1/namespaces/{namespace}/pods/{name}", {"metadata": meta})
