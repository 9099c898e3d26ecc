"""What a run found: the verdict, the figures, and whether all is well."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.agents import Agent
from tests.chaos.judge import Verdict
from tests.chaos.viewers import Viewer


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a run.

    Attributes:
        verdict: transcripts and acknowledgements against the log.
        breaches: everything else that should not have happened, in words.
        figures: name and value, for people.
    """

    verdict: Verdict
    breaches: list[str]
    figures: list[tuple[str, str]]

    @property
    def clean(self) -> bool:
        """Whether the guarantee held."""
        return self.verdict.clean and not self.breaches

    def table(self) -> str:
        """Everything as one table, and what was found as examples below it."""
        rows = [
            *self.figures,
            *((name.replace("_", " "), str(n)) for name, n in self.verdict.counts().items()),
            ("other breaches", str(len(self.breaches))),
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        return "\n".join([*lines, *self.verdict.examples, *self.breaches[:20]])


def breaches_of(viewers: Sequence[Viewer], agents: Sequence[Agent], resets: int = 0) -> list[str]:
    """What viewers and agents met that should not have happened.

    Args:
        viewers: all of them.
        agents: all of them.
        resets: how often a viewer may be told to reload.
    """
    viewer_logs = [viewer_log for viewer in viewers for viewer_log in viewer.viewer_logs.values()]
    found = [text for viewer in viewers for text in viewer.breaches]
    found += [text for viewer_log in viewer_logs for text in viewer_log.breaches]
    found += [text for agent in agents for text in agent.refused]
    found += [
        f"{viewer_log.name} was told to reload {viewer_log.resets} times"
        for viewer_log in viewer_logs
        if viewer_log.resets > resets
    ]
    return found


def delays(viewers: Sequence[Viewer], agents: Sequence[Agent]) -> list[float]:
    """Seconds from acknowledgement to arrival, ascending, of what was written with a viewer there.

    Time in which a viewer was cut off or did not read is in it.
    """
    known = {write.id: write.acknowledged for agent in agents for write in agent.writes}
    return sorted(
        max(0.0, time - known[got.id])
        for viewer in viewers
        for viewer_log in viewer.viewer_logs.values()
        for got, time in zip(viewer_log.got, viewer_log.times, strict=True)
        if known.get(got.id, 0.0) > viewer.joined
    )
