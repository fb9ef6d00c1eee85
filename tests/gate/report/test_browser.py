"""The HTML in a real browser: it draws, fits each screen, can be read in either light, and runs nothing foreign."""

import re
import shutil
from pathlib import Path

import pytest

from tidegate.gate.report import render_html

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ATTACK = (
    '<script>window.owned=1</script><img src=x onerror="window.owned=1">'
    '"onmouseover="window.owned=1"<svg/onload=window.owned=1>`{{window.owned=1}}'
)
NAMES = ("blocked", "passing", "underpowered", "first", "hidden", "failed", "nothing")
CONTRAST = """() => {
  const seen = (color) => {
    const c = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    c.fillStyle = color; c.fillRect(0, 0, 1, 1);
    return [...c.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const l = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2];
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = seen(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('body *')]
    .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
    .filter((node) => node.checkVisibility() && !node.closest('script, caption'))
    .map((node) => {
      const [a, b] = [light(seen(getComputedStyle(node).color)), light(behind(node))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.textContent.trim().slice(0, 40)];
    })
    .filter(([ratio]) => ratio < 4.5);
}"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def look(browser, tmp_path):
    """Open a report; what it complains of and whatever it asks for beside itself is kept in `told`."""
    contexts = []

    def opened(report, *, width=1280, scheme="light"):
        path = Path(tmp_path / "report.html")
        path.write_text(render_html(report), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page, told = context.new_page(), []
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: told.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("[data-plot]:not(:has(canvas))", state="detached")
        return page, [line for line in told if line != path.as_uri() and not line.startswith("data:image/")]

    yield opened
    for context in contexts:
        context.close()


def poll(page, seen):
    """Wait until it is seen, 10 s at most; the page's policy forbids the browser to evaluate what to wait for."""
    for _ in range(200):
        if seen():
            return
        page.wait_for_timeout(50)
    raise AssertionError("not seen within 10 s")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_complains_of_nothing(look, samples, name, width):
    page, told = look(samples[name], width=width)
    assert told == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_every_plot_is_drawn_in_the_width_of_its_place(look, blocked):
    page, _ = look(blocked, width=390)
    assert page.locator(".uplot canvas").count() == 3
    page.set_viewport_size({"width": 1000, "height": 900})
    poll(page, lambda: page.evaluate("document.querySelector('.uplot canvas').clientWidth") > 600)


def test_plots_follow_the_light(look, blocked):
    page, _ = look(blocked)
    drawn = "document.querySelector('.uplot canvas').toDataURL()"
    before = page.evaluate(drawn)
    page.emulate_media(color_scheme="dark")
    poll(page, lambda: page.evaluate(drawn) != before)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["blocked", "passing", "underpowered"])
def test_all_text_can_be_read(look, samples, name, scheme):
    page, _ = look(samples[name], scheme=scheme)
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize(
    "picture", ["", "javascript:window.owned=1", "data:image/svg+xml,<svg onload='owned=1'/>"]
)
def test_a_hostile_text_does_nothing(look, hostile, picture):
    page, told = look(hostile(ATTACK, picture))
    page.mouse.move(300, 300)
    assert page.evaluate("window.owned") is None
    assert told == []
    assert "window.owned=1" in page.inner_text("h1 + ul")


def test_the_policy_stops_what_would_have_come_through(browser, tmp_path, blocked):
    path = Path(tmp_path / "report.html")
    path.write_text(
        render_html(blocked).replace("</main>", "<script>window.owned=1</script></main>"), encoding="utf-8"
    )
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.evaluate("window.owned") is None
    page.close()


def test_a_print_is_light_and_unfolds_everything(look, blocked):
    page, _ = look(blocked, scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(24, 32, 45)"
    assert not page.locator("nav").is_visible()
    pages = re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))
    assert 2 <= len(pages) <= 12
