"""What each stage of Vivado does to the design, and what Vivado calls the design afterwards: one table for scripts and for their checks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """A command that changes the design.

    Attributes:
        states: what reports made after it say of the design, as `hwq.reports.states` names it.
    """

    tcl: str
    states: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """A script: it opens what `after` left, runs the commands in order and reports.

    Attributes:
        reports: kind of report -> arguments of its command; the file is <stage>_<kind>.rpt.
    """

    name: str
    after: str
    commands: tuple[Command, ...]
    reports: dict[str, str]

    @property
    def states(self) -> frozenset[str]:
        """What the design may be called in the reports of this stage: what one of its own commands made of it.

        Not only the last: whether a command that found nothing to do leaves the name as it was differs between versions.
        """
        return frozenset(state for command in self.commands for state in command.states)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files that the script leaves, without their folder."""
        return (f"{self.name}.dcp", *(f"{self.name}_{kind}.rpt" for kind in self.reports))


_UTILISATION = {"utilization": "report_utilization"}
_HIERARCHY = {"utilization_hierarchical": "report_utilization -hierarchical"}
_TIMING = {"timing": "report_timing_summary"}
STAGES: dict[str, Stage] = {
    s.name: s
    for s in (
        Stage(
            "synth",
            "",
            (
                Command("synth_design -mode out_of_context -top {top} -part {part} -max_dsp 0", ("synthesised",)),
                Command("opt_design", ("optimised",)),
            ),
            _UTILISATION | _HIERARCHY | _TIMING,
        ),
        Stage("place", "synth", (Command("place_design", ("placed",)),), _UTILISATION | _TIMING),
        Stage(
            "route",
            "place",
            (Command("route_design", ("routed",)),),
            _UTILISATION | _HIERARCHY | _TIMING | {"power": "report_power"},
        ),
    )
}
