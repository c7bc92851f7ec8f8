"""The page in a real browser, where one is at hand."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")

MEASURE = """<script>
const all = [...document.querySelectorAll('figure svg')].filter(e => e.getBoundingClientRect().width > 0);
parent.document.title = JSON.stringify([innerWidth, document.documentElement.scrollWidth,
  getComputedStyle(document.body).backgroundColor, all.length, all[0].getBoundingClientRect().width,
  getComputedStyle(all[0].querySelector('text')).fill]);
</script>"""


def measured(report: Path, tmp_path: Path, width: int, scheme: int) -> list[str]:
    """innerWidth, scrollWidth, background, figures seen, width of the first, colour of its text."""
    page = tmp_path / "page.html"
    inner = (report / "report.html").read_text(encoding="utf-8").replace("</body>", f"{MEASURE}</body>")
    # In a frame, because a headless window is never narrower than 500.
    frame = f'<iframe width="{width}" height="900" style="border: 0" srcdoc="{html.escape(inner)}"></iframe>'
    page.write_text(f"<!DOCTYPE html><meta charset='utf-8'><title></title>{frame}", encoding="utf-8")
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}", f"--blink-settings=preferredColorScheme={scheme}",
        "--window-size=1400,900", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r"<title>\[(.*?)\]</title>", dom)
    assert found is not None
    return re.findall(r'"[^"]*"|[\d.]+', found[1])


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize(("kind", "figures"), [("report", "6"), ("sequence_report", "10")])
def test_no_sideways_scrolling_and_dark_is_dark(request, tmp_path, kind, figures, width):
    record = request.getfixturevalue(kind)
    light, dark = (measured(record, tmp_path, width, scheme) for scheme in (1, 0))
    for found in (light, dark):
        assert int(found[0]) == width
        assert int(found[1]) <= width
        assert found[3] == figures  # each figure once: the wide or the narrow one
        assert float(found[4]) <= width
    assert light[2] == '"rgb(254, 254, 254)"'
    assert dark[2] == '"rgb(20, 24, 28)"'
    assert light[5] != dark[5]


CUT = """<script>
document.querySelectorAll('details').forEach(e => e.open = true);
parent.document.title = JSON.stringify([innerWidth, document.documentElement.scrollWidth,
  ...[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)]);
</script>"""


@pytest.mark.slow
def test_every_column_can_be_read_on_a_phone(report, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "MEASURE", CUT)
    width, page, *hidden = map(int, measured(report, tmp_path, 400, 1))
    assert (width, page <= 400) == (400, True)
    assert len(hidden) > 5
    assert set(hidden) == {0}  # no table has columns outside of its frame
