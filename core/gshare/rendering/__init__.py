"""Writes Kubernetes objects: Deployments, their autoscalers and Service, from values; pure."""

from gshare.rendering.beside import config_map
from gshare.rendering.bundle import KEEPS, Aim, Bundle, Keep, bundle
from gshare.rendering.conversion import Conversion, convert
from gshare.rendering.notes import Note
from gshare.rendering.plain import Object
from gshare.rendering.shapes import USUAL as USUAL_SHAPES
from gshare.rendering.shapes import Load
from gshare.rendering.template import Template
from gshare.rendering.template import read as read_template
from gshare.rendering.yaml_text import write

__all__ = [
    "KEEPS",
    "USUAL_SHAPES",
    "Aim",
    "Bundle",
    "Conversion",
    "Keep",
    "Load",
    "Note",
    "Object",
    "Template",
    "bundle",
    "config_map",
    "convert",
    "read_template",
    "write",
]
