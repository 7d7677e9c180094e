"""The pages hold together: links lead somewhere, every reason has its paragraph, the site has every page."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitintegration.core.invalid import InvalidReason
from gitintegration.errors import Reason
from release import version

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md"), ROOT / "llms.txt"])
TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text()
_FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """As forges and the site make them of headings."""
    headings = _HEADING.findall(_FENCED.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[str]:
    for link in _LINK.findall(_FENCED.sub("", page.read_text())):
        if "://" not in link:
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_a_page_of_the_site_links_to_the_site_alone(page: Path) -> None:
    assert [link for link in links(page) if link.startswith("../")] == []


def pages_of(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for entry in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from pages_of(entry)


def test_the_site_has_every_page() -> None:
    nav = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    assert sorted(pages_of(nav)) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_every_condition_reason_has_its_paragraph() -> None:
    headings = re.findall(r"^### (\w+)\n\n[^#\s]", TROUBLESHOOTING, re.MULTILINE)
    assert sorted(headings) == sorted(Reason)


def test_every_reason_of_an_invalid_file_is_told() -> None:
    rows = re.findall(
        r"^\| ([A-Z]\w+(?:, [A-Z]\w+)*) \|", TROUBLESHOOTING.partition("## Invalid files")[2], re.MULTILINE
    )
    assert sorted(name for row in rows for name in row.split(", ")) == sorted(InvalidReason)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_file_of_the_code_that_a_page_names_is_there(page: str) -> None:
    text = _FENCED.sub("", (ROOT / page).read_text())
    named = set(re.findall(r"`([\w./-]+(?:\.py|/))`", text)) - {"pipelines/", "site/", "dist/"}
    assert len(named) > 10
    roots = (ROOT, ROOT / "operator" / "gitintegration", ROOT / "tests" / "laws")
    alone = {path.name for path in roots[1].rglob("*.py")}  # the folder stands before it
    assert {name for name in named - alone if not any((root / name).exists() for root in roots)} == set()


def test_the_pages_name_the_image_that_is_built() -> None:
    found = {tag for page in PAGES for tag in re.findall(r"gitintegration:(\d+\.\d+\.\d+)", page.read_text())}
    assert found - {"1.2.3"} == {version.read(ROOT)}  # an example is 1.2.3


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "images").iterdir()), ids=lambda picture: picture.name)
def test_a_picture_is_small_and_loads_nothing_from_elsewhere(picture: Path) -> None:
    text = picture.read_text()
    assert len(text) < 60_000
    assert not re.search(r"<script|@import|@font-face|(href|src)=.http|url\(.?http", text)
