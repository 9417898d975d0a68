"""Which nodes list which GPU. One that two nodes list is in neither for certain, or in both.

It happens where a machine comes back under another name while its old Node object is still there,
and where the annotations of one node were copied to another.
"""

from collections.abc import Collection


class Listings:
    """The nodes that list each GPU, in the order in which they came to do so."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[str, ...]] = {}

    def is_doubled(self, uuid: str) -> bool:
        """Tell whether more than one node lists a GPU."""
        return len(self._nodes.get(uuid, ())) > 1

    def others(self, uuid: str, node: str) -> tuple[str, ...]:
        """Return the nodes that list a GPU beside `node`."""
        return tuple(each for each in self._nodes.get(uuid, ()) if each != node)

    def change(
        self, node: str, before: Collection[str], after: Collection[str]
    ) -> list[tuple[str, str]]:
        """Take note of what `node` lists now.

        Return the GPUs of other nodes of which it makes doubled ones or single ones again: node
        and UUID.
        """
        changed = []
        for uuid in [each for each in before if each not in after]:
            left = self.others(uuid, node)
            if left:
                self._nodes[uuid] = left
            else:
                del self._nodes[uuid]
            changed += [(left[0], uuid)] if len(left) == 1 else []
        for uuid in [each for each in after if each not in before]:
            already = self._nodes.get(uuid, ())
            self._nodes[uuid] = (*already, node)
            changed += [(already[0], uuid)] if len(already) == 1 else []
        return changed
