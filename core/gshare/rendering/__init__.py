"""Writes Kubernetes objects: Deployments, their autoscalers and Service, from values; pure."""

from gshare.rendering.conversion import Conversion, convert
from gshare.rendering.notes import Note
from gshare.rendering.plain import Object
from gshare.rendering.yaml_text import write

__all__ = ["Conversion", "Note", "Object", "convert", "write"]
