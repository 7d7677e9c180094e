"""`make recording`: the picture of a terminal in README. What it shows are commands, and what they really printed on the bed."""

from __future__ import annotations

import io
import re

from rich.console import Console

from tests.bed.cluster import ROOT
from tests.bed.demo import Story
from tests.bed.testbed import testbed

PLACE = ROOT / "docs" / "images" / "recording.svg"
_WIDTH = 92
_FONT = re.compile(r"\s*@font-face {.*?}", re.DOTALL)
"""The picture loads nothing from elsewhere."""


def tell(story: Story) -> None:
    """One edit each way, and where it leaves both sides."""
    bed = story.bed
    bed.plane.kubectl("apply", "-f", "-", stdin=bed.integration)
    story.wait(lambda: story.status().get("inSync"))
    story.say("# A colleague's commit goes live:")
    story.commit("Campaigns every ten minutes", lambda: story.replace("marketing.yaml", '"@hourly"', '"*/10 * * * *"'))
    story.wait(lambda: story.spec("campaigns")["schedule"] == "*/10 * * * *")
    story.kubectl("get", "pipeline", "campaigns")
    story.say("\n# An edit in the cluster becomes a commit of its line:")
    before = bed.repo.count()
    story.kubectl("patch", "pipeline", "orders", "--type=merge", "-p", '{"spec": {"schedule": "15 5 * * *"}}')
    story.wait(lambda: bed.repo.count() == before + 1)
    story.newest_commit()
    story.say("\n# And both sides are the same:")
    story.wait(lambda: story.status().get("inSync"))
    story.table()


def main() -> None:
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)
    with testbed() as bed:
        tell(Story(bed, console))
    picture = _FONT.sub("", console.export_svg(title="kubectl and git", unique_id="recording"))
    PLACE.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n")
    print(f"{PLACE.relative_to(ROOT)}: {len(picture) >> 10} KB")


if __name__ == "__main__":
    main()
