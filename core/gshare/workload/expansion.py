"""Turns a container into what one replica of it runs: references and pod fields resolved.

The rules are those of Kubernetes: `$(NAME)` stands for a variable; a variable may refer to those
that come before it in the list; a reference to an unknown variable stays as it is written; `$$`
is a plain `$`, so `$$(NAME)` comes out as `$(NAME)`.
https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gshare.workload.values import Function

_REFERENCE: Final = re.compile(r"\$(?:\$|\((?P<name>[^)]*)\))")


@dataclass(frozen=True, slots=True)
class Launch:
    """What one replica runs: its argument vector, its own environment, its working directory."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    working_dir: str | None


def launch_of(function: Function, replica: str, given: Mapping[str, str]) -> Launch:
    """Return what the replica (pod) named `replica` runs.

    `given` are variables that the node sets, such as PORT. They win over the container's own of
    the same name, and references may name them.
    """
    env = dict(given)
    fields = {"metadata.name": replica, "metadata.namespace": function.namespace}
    for variable in function.container.env:
        if variable.name in given:
            continue
        if variable.field_path is None:
            env[variable.name] = expand(variable.value, env)
        else:
            env[variable.name] = fields[variable.field_path]
    words = (*function.container.command, *function.container.args)
    return Launch(tuple(expand(word, env) for word in words), env, function.container.working_dir)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return `text` with its `$(NAME)` references replaced from `variables`."""

    def replacement(match: re.Match[str]) -> str:
        if match["name"] is None:
            return "$"
        return variables.get(match["name"], match[0])

    return _REFERENCE.sub(replacement, text)
