"""docs/performance.md and its pictures say what docs/performance.json says, and nothing else."""

import re

import pytest

from benchmarks import pictures, report
from benchmarks.__main__ import SECTIONS
from benchmarks.record import FILE, PAGE, PICTURES, Run, Section, load

SECTIONS_KEPT = load(FILE)


def test_the_page_is_what_the_file_says():
    """Else: `python -m benchmarks report`."""
    text = PAGE.read_text(encoding="utf-8")
    assert report.page(text, SECTIONS_KEPT) == text


def test_what_is_written_by_hand_has_no_measured_figure():
    """Outside the blocks there are no decimals and no units of time or rate beside a digit."""
    text = report.BLOCK.sub("", PAGE.read_text(encoding="utf-8"))
    assert not re.findall(r"\d+\.\d+|\d\s?(?:ms|jobs/s|MiB|KiB|%)", text)


def test_every_section_has_a_place():
    """And what the file has is a section; one that was never measured says so on the page."""
    places = report.BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert sorted(places) == sorted(SECTIONS)
    assert SECTIONS_KEPT
    assert not SECTIONS_KEPT.keys() - SECTIONS.keys()


CURVES = [curve for section in SECTIONS_KEPT.values() for curve in section.curves]


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_each_picture_is_its_curve(curve):
    """The same bytes for the same curve; both colour schemes; axes with units."""
    drawn = pictures.drawn(curve)
    assert drawn == (PICTURES / f"{curve.name}.svg").read_text(encoding="utf-8")
    assert "prefers-color-scheme:dark" in drawn
    assert len(drawn) < 40_000
    for label in (curve.x, curve.y, curve.title, *(line.name for line in curve.lines)):
        assert label in drawn
    assert "://" not in drawn.replace("http://www.w3.org/", "").replace("http://purl.org/", "")


def test_a_section_without_a_place_is_refused():
    """A new section wants a block on the page."""
    run = Run("today", "none", "this", "none", 0.0, 1.0)
    with pytest.raises(report.Unplaced, match="no place for new"):
        report.page("", {"new": Section("New", run)})
