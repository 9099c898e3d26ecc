"""A short run of the whole harness: see ``make chaos`` for the long one."""

import pytest

from tests.chaos.run import Plan, run


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "plan",
    [
        Plan(seconds=12, seed=1, agents=6, viewers=15, sessions=4, pause=0.03),
        Plan(
            seconds=6, seed=2, agents=4, viewers=6, sessions=2, pause=0.03, bridge="http", workers=2
        ),
    ],
    ids=lambda plan: plan.bridge,
)
async def test_nothing_is_lost_repeated_reordered_or_shown_to_the_wrong_viewer(plan: Plan) -> None:
    report = await run(plan)
    print(report.table())
    assert report.clean, f"\n{report.table()}\nseed {plan.seed}"
