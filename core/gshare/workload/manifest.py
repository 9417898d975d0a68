"""Reads whole files: documents, Lists, kinds; refuses one object written twice."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from gshare.errors import InputError
from gshare.workload import deployments, documents, services
from gshare.workload.fields import Field
from gshare.workload.values import DEFAULT_NAMESPACE, Function, Ignored, Service, Workload

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_LONGEST_NAME: Final = 253
_UNDERSTOOD: Final = {"Deployment": "apps/v1", "Service": "v1"}


def parse(source: str, text: str) -> Workload:
    """Return what the YAML `text` of the file `source` asks for.

    Deployments (apps/v1) that ask for a rectangle, and Services (v1), one a document or inside a
    List; other kinds are named as ignored. InputError, naming file, field and value, for the
    first thing that is wrong.
    """
    return combine(_read(item) for item in objects(source, text))


def objects(source: str, text: str) -> Iterator[Field]:
    """Yield the objects of the YAML `text`, one a document or inside a List, as they are written.

    InputError where it is no YAML or holds none.
    """
    roots = [
        Field(source, f"document {number}", document)
        for number, document in enumerate(documents.load(source, text), start=1)
    ]
    if not roots:
        raise InputError(source, "document", text[:60], "holds no Kubernetes object")
    for root in roots:
        yield from _objects(root)


def combine(workloads: Iterable[Workload]) -> Workload:
    """Return all of `workloads` as one; InputError where two hold the same object."""
    parts = list(workloads)
    functions = [function for part in parts for function in part.functions]
    balanced = [service for part in parts for service in part.services]
    _refuse_twins("Deployment", functions)
    _refuse_twins("Service", balanced)
    ignored = [entry for part in parts for entry in part.ignored]
    return Workload(tuple(functions), tuple(balanced), tuple(ignored))


def _objects(root: Field) -> Iterator[Field]:
    """Yield the objects of a document: itself, or the items of a List (which holds no List)."""
    if root.child("kind").text() != "List":
        yield root
        return
    for item in root.child("items").elements():
        if item.child("kind").text() == "List":
            item.child("kind").refuse("must not be a List inside a List")
        yield item


def _read(item: Field) -> Workload:
    kind = item.child("kind").name()
    name = item.at("metadata", "name").name()
    if kind not in _UNDERSTOOD:
        return Workload(ignored=(Ignored(kind, name, "only Deployments and Services are run"),))
    if _NAME.fullmatch(name) is None or len(name) > _LONGEST_NAME:
        item.at("metadata", "name").refuse("must be lower-case letters, digits, '-' and '.'")
    if item.child("apiVersion").text() != _UNDERSTOOD[kind]:
        item.child("apiVersion").refuse(f"must be {_UNDERSTOOD[kind]} for a {kind}")
    namespace = item.at("metadata", "namespace").text(DEFAULT_NAMESPACE) or DEFAULT_NAMESPACE
    named = Field(item.source, f"{kind}/{name}", item.value)
    if kind == "Service":
        service = services.read(named, name, namespace)
        if isinstance(service, Ignored):
            return Workload(ignored=(service,))
        return Workload(services=(service,))
    function, ignored = deployments.read(named, name, namespace)
    return Workload((function,) if function else (), ignored=tuple(ignored))


def _refuse_twins(kind: str, objects: Iterable[Function | Service]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for entry in objects:
        key = (entry.namespace, entry.name)
        if key in seen:
            raise InputError(
                entry.source,
                f"{kind}/{entry.name} metadata.name",
                entry.name,
                f"stands twice in namespace {entry.namespace}, first in {seen[key]}",
            )
        seen[key] = entry.source
