"""A report whose data are hostile, opened in a real browser: nothing runs, nothing is asked for, all of it is text."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright import sync_api as playwright

from rca import display
from rca.report import Cover, Failure, report

pytestmark = pytest.mark.system

SCRIPT = "<script>alert(1)</script>"
PICTURE = "<img src=x onerror=alert(2)>"
STYLE = "</style><script>alert(3)</script>"
ALL = f"{SCRIPT} {PICTURE} {STYLE}"
RAW = [
    f"<table onclick=alert(4)><tr><td>{SCRIPT}<svg onload=alert(5)></svg>{PICTURE}</td></tr></table>",
    "<style>@import url(http://example.org/x.css); body { display: none }</style><p>paragraph</p>",
    "<iframe src='http://example.org'></iframe><object data='http://example.org'></object><p>paragraph</p>",
    "<img src='http://example.org/pixel.png'><a href='javascript:alert(6)'>link</a>",
    "<meta http-equiv='refresh' content='0;url=http://example.org'><base href='http://example.org/'>",
]
LOOK = """() => {
  const luminance = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const opaque = colour => !/rgba\\(.*, 0\\)|transparent/.test(colour);
  const behind = node => {
    for (; node; node = node.parentElement)
      if (opaque(getComputedStyle(node).backgroundColor)) return getComputedStyle(node).backgroundColor;
    return 'rgb(255, 255, 255)';
  };
  const weak = [];
  for (const node of document.body.querySelectorAll('*')) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!own || node.closest('.skip')) continue;
    const [a, b] = [getComputedStyle(node).color, behind(node)].map(luminance).sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) weak.push(node.tagName + ' ' + node.className);
  }
  return weak;
}"""


def shown(call):
    """The output that a call of `show` makes in a notebook."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(display, "_emit", lambda *parts: found.append(parts))
        call()
    data, metadata = found[0]
    return new_output("display_data", data, metadata=metadata)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """A report with hostile text in every place that takes text from data."""
    table = pd.DataFrame({ALL: [ALL, "short"], **{f"column_{n}": ["long words " * 12, "x"] for n in range(6)}})
    figure = Figure(figsize=(9, 3))
    figure.subplots().plot([1, 2])
    error = new_output("error", ename="ValueError", evalue=ALL, traceback=[ALL])
    outputs = [
        shown(lambda: display.show(table, "hostile", caption=ALL)),
        shown(lambda: display.show(figure, "picture", caption=ALL)),
        shown(lambda: display.show([ALL], caption=ALL)),
        *(new_output("display_data", {"text/html": text, "text/plain": ALL}) for text in RAW),
        new_output("display_data", {"application/javascript": "alert(7)", "text/plain": "plain"}),
        new_output("display_data", {"image/svg+xml": "<svg onload=alert(8)/>", "text/plain": "plain"}),
        new_output("display_data", {"text/markdown": f"{ALL} [x](javascript:alert(9)) ![x](http://example.org/p.png)"}),
        new_output("stream", name="stdout", text=ALL),
        error,
    ]
    text = f"# Title\n\n## Part {ALL}\n\n{ALL} ![x](http://example.org/q.png)\n\n### Below\n\n[x](javascript:alert(10))"
    cells = [new_markdown_cell(text), new_code_cell("pass", outputs=outputs)]
    cover = Cover(title=ALL, facts={**{f"Severity {n}": f"SEV{n}" for n in range(1, 5)}, ALL: ALL}, notices=[ALL])
    failed = [Failure(2, ALL, f"ValueError: {ALL}", ALL), Failure(2, ALL, "not run", because=2)]
    return report(new_notebook(cells=cells), tmp_path_factory.mktemp("page"), cover=cover, failed=failed).html


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium of the system."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "chromium is not installed; .ci/run installs it"
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=path, args=flags)
        yield found
        found.close()


@pytest.fixture
def opened(browser, page_file):
    """Opens the report; everything it asks for or says is noted."""
    contexts = []

    def open_page(**options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.asked, page.said = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("dialog", lambda dialog: (page.said.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("console", lambda message: page.said.append(message.text))
        page.goto(page_file.as_uri())
        page.wait_for_timeout(200)
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_hostile_text_is_only_text(opened, page_file):
    page = opened()
    assert page.said == []
    assert [url for url in page.asked if not url.startswith("data:")] == [page_file.as_uri()]
    assert page.locator("script, iframe, object, svg, base, [onerror], [onclick], [onload]").count() == 0
    assert page.locator("style").count() == 1
    assert page.title() == ALL
    assert page.locator("h1").inner_text() == ALL
    assert page.locator("#main td").first.inner_text() == ALL
    assert page.locator("figcaption").first.inner_text() == ALL
    assert page.locator("main img").get_attribute("alt") == ALL
    assert page.locator("li", has_text=SCRIPT).count() >= 1
    assert ALL in page.locator(".failed pre").first.inner_text()
    assert page.locator("body").is_visible()


def test_the_policy_holds_even_for_a_script_that_got_in(opened):
    page = opened()
    blocked = []
    page.on("requestfailed", lambda request: blocked.append((request.url, request.failure)))
    page.evaluate(
        """() => {
          const script = document.createElement('script');
          script.textContent = 'window.ran = 1';
          const image = new Image();
          image.src = 'http://example.org/x.png';
          document.body.append(script, image);
        }"""
    )
    page.wait_for_timeout(100)
    assert page.evaluate("window.ran") is None
    assert blocked == [("http://example.org/x.png", "csp")]


def test_a_phone_shows_the_page_without_scrolling_sideways(opened):
    page = opened(viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.querySelector('.rca-scroll').scrollWidth") > 390
    page.locator(".rca-scroll").first.focus()
    assert page.evaluate("document.activeElement.className") == "rca-scroll"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_dark_enough_to_read(opened, scheme):
    page = opened(color_scheme=scheme)
    assert page.evaluate(LOOK) == []
    grounds = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 30)"}
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == grounds[scheme]


def test_every_link_on_the_page_leads_somewhere(opened):
    page = opened()
    links = page.locator("a[href^='#']").evaluate_all("links => links.map(link => link.hash.slice(1))")
    assert links
    assert page.evaluate("ids => ids.filter(id => !document.getElementById(decodeURIComponent(id)))", links) == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"


def test_it_prints_within_its_pages(opened, tmp_path):
    page = opened()
    page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
