"""Runs the trials of a profile and writes all that comes of them."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from rich.console import Console

from gshare.errors import GshareError
from gshare.profile import Profile, ProfileError, read, write
from gshare.runtime.report import describe_machine
from gshare.runtime.state import write_atomically
from gshare_profiler import result
from gshare_profiler.campaign import Campaign
from gshare_profiler.journal import Journal, Trial
from gshare_profiler.result import Difference, Subject
from gshare_profiler.site import Site

from . import profile_view
from .profile_subject import Said

PROFILE: Final = "profile.json"
CONFIG_MAP: Final = "configmap.yaml"
REPORT: Final = "report.html"
JOURNAL: Final = "trials.jsonl"
_NEEDED: Final = ("locust", "matplotlib")


@dataclass(frozen=True, slots=True)
class ProfilePlan:
    """What is profiled, how, and where it goes."""

    said: Said
    campaign: Campaign
    output: Path
    slo_ms: float | None = None
    is_fresh: bool = False
    beside: tuple[str, Profile] | None = None
    """Another profile to print beside this one, and what to call it."""


async def profile(
    plan: ProfilePlan, site: Site, conditions: Mapping[str, object], console: Console
) -> Profile:
    """Run the trials that are not done yet, and write the profile; GshareError where it fails."""
    subject = _subject(plan, site, conditions)
    with Journal.open(plan.output / JOURNAL, subject, fresh=plan.is_fresh) as journal:
        if journal.trials:
            console.print(f"{len(journal.trials)} trials were done before; --fresh forgets them.")
        view = profile_view.ProgressView(console, plan.campaign.design.most, journal.trials)
        with view.showing():
            trials = await plan.campaign.run(site, journal, view)
    made = result.profile_of(
        Subject(plan.said.function.family, site.place.gpu, site.place.is_simulated, plan.slo_ms),
        trials,
    )
    _write(made, plan, {**_conditions(plan, site, trials), **conditions})
    _show(made, plan, console)
    return made


def require_parts() -> None:
    """Raise GshareError where what load and plots need is not installed."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise GshareError(
            f"gshare profile needs {' and '.join(missing)}: pip install 'gshare[profiler]'"
        )


def _subject(plan: ProfilePlan, site: Site, conditions: Mapping[str, object]) -> dict[str, object]:
    """Return all that the trials depend on: those of an earlier run count if it is the same."""
    function, campaign = plan.said.function, plan.campaign
    return {
        "function": function.family,
        "deployment": f"{function.namespace}/{function.name}",
        "image": function.image,
        "container": asdict(function.container),
        "grid": campaign.design.name,
        "request": str(campaign.request),
        "headers": campaign.request.headers,
        "body": campaign.request.body,
        "settings": asdict(campaign.settings),
        "gpu": asdict(site.place.gpu),
        "simulated": site.place.is_simulated,
        "time_scale": site.place.time_scale,
        **conditions,
    }


def _conditions(plan: ProfilePlan, site: Site, trials: Sequence[Trial]) -> dict[str, object]:
    settings = plan.campaign.settings
    rounds = settings.saturation
    return {
        "gshare": metadata.version("gshare"),
        "grid": plan.campaign.design.name,
        "trials": f"{len(trials)}, {sum(each.seconds for each in trials) / 60:.1f} min in all",
        "request": str(plan.campaign.request),
        "requests at once": settings.users,
        "saturation": f"rounds of {rounds.span.seconds:g} s and {rounds.span.requests} requests, "
        f"2 to {rounds.most}, after {settings.warm_up_s:g} s of warm-up",
        "latency": f"{settings.latency.seconds:g} s and {settings.latency.requests} requests at "
        f"{100 * settings.load_share:g} % of the throughput, arrivals {settings.arrivals}",
        "time scale": site.place.time_scale,
        "machine": describe_machine()["cpu"],
        "cores": describe_machine()["cores"],
    }


def _write(made: Profile, plan: ProfilePlan, conditions: Mapping[str, object]) -> None:
    from gshare_profiler import page, plots  # noqa: PLC0415 (matplotlib takes a second)

    folder = plan.output
    write_atomically(folder / PROFILE, write(made))
    write_atomically(folder / CONFIG_MAP, result.config_map(made, plan.said.namespace))
    drawings = {
        name: file.read_text(encoding="utf-8") for name, file in plots.draw(made, folder).items()
    }
    beside = None if plan.beside is None else (plan.beside[0], _differences(made, plan))
    write_atomically(folder / REPORT, page.page(made, drawings, conditions, beside))


def _differences(made: Profile, plan: ProfilePlan) -> list[Difference]:
    return [] if plan.beside is None else result.differences(made, plan.beside[1])


def _show(made: Profile, plan: ProfilePlan, console: Console) -> None:
    differences = _differences(made, plan)
    name = plan.beside[0] if plan.beside is not None and differences else None
    console.print(profile_view.profile_table(made, name, differences))
    if name is not None:
        line = profile_view.difference_line(name, differences)
        console.print(line, highlight=False, soft_wrap=True)
    for each in made.failed:
        console.print(
            f"failed: SM {each.sm_percent} quota {each.quota_percent}: {each.reason}",
            style="red", markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    written = f"Written to {plan.output}: {PROFILE}, {CONFIG_MAP}, {REPORT} and its figures."
    console.print(written, highlight=False, soft_wrap=True)


def beside_of(file: Path | None, function: str) -> tuple[str, Profile] | None:
    """Return the profile to print beside: the one asked for, else the paper's of this function.

    ProfileError where the one asked for is not a profile.
    """
    if file is not None:
        return file.name, _read(file)
    shipped = _paper_profiles() / f"{function}.json"
    try:
        return ("paper", _read(shipped)) if shipped.exists() else None
    except GshareError:
        return None


def _read(file: Path) -> Profile:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(str(file), "file", file.name, f"cannot be read: {error}") from error
    return read(text, str(file))


def _paper_profiles() -> Path:
    package = Path(__file__).resolve().parent
    shipped = package / "_paper" / "profiles"
    return shipped if shipped.is_dir() else package.parents[1] / "examples" / "paper" / "profiles"
