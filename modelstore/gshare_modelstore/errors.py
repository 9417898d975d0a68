"""The errors of the model store's client and of the formats that it shares with the server."""


class StoreError(Exception):
    """What went wrong, in one line that names the object, the field and the value."""


class StoreAwayError(StoreError):
    """Nobody serves the store's socket `path` (None where none is known), or it fell silent."""

    def __init__(self, path: str | None, reason: str) -> None:
        super().__init__(f"model store {path or '(no socket known)'}: {reason}")
        self.path = path
        self.reason = reason


class StoreDiedError(StoreAwayError):
    """The store ended while it was asked; one that was started anew may answer."""


class RefusedError(StoreError):
    """The store refused a request: `status` is the answer's name, such as FULL, `text` its why."""

    def __init__(self, key: str, status: str, text: str = "") -> None:
        super().__init__(text if text.startswith("model ") else f"model {key!r}: {text or status}")
        self.key = key
        self.status = status
        self.text = text


class GpuError(StoreError):
    """A CUDA driver call that failed: `call` is its name, `result` CUDA's name for the error."""

    def __init__(self, call: str, result: str) -> None:
        super().__init__(f"{call}: {result}")
        self.call = call
        self.result = result


class SafetensorsError(StoreError, ValueError):
    """Bytes that are no safetensors content, or tensors that cannot become such."""


class UnusableError(StoreError):
    """The store answered with weights that this process cannot map."""
