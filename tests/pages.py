"""What tests of pages use: a strict reader, a name that must not become markup, and a browser."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

EVIL = "<script>alert('x')</script> & \"größe\" 猫"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta", "img", "wbr"}


class Reader(HTMLParser):
    """Reads tables and attributes, and checks that every element is closed in turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tables, self.attributes, self.elements = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, name, attributes):
        self.elements.append(name)
        self.attributes += [(name, *attribute) for attribute in attributes]
        if name not in VOID:
            self.open.append(name)
        if name == "table":
            self.tables.append([])
        elif name == "tr":
            self.tables[-1].append([])
        elif name in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, name, attributes):
        self.elements.append(name)
        self.attributes += [(name, *attribute) for attribute in attributes]

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        if {"th", "td"} & set(self.open) and "small" not in self.open:
            self.tables[-1][-1][-1] += data


def in_browser(test):
    """Mark a test that loads a page in headless Chromium."""
    return pytest.mark.browser(pytest.mark.skipif(not CHROMIUM, reason="no Chromium on the PATH")(test))


def loaded(text, folder):
    """Return what becomes of a page in the browser; the console must stay empty."""
    path = folder / "page.html"
    path.write_text(text)
    line = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=390,844"]
    line += ["--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom", path.as_uri()]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def probed(text, script, folder):
    """Return what a script finds in a page in the browser: the JSON that it leaves as the title."""
    # The page lets no script run but its own, so that the probe's copy needs a looser policy.
    copy = re.sub(r"script-src &#x27;sha256-[^&]+&#x27;", "script-src &#x27;unsafe-inline&#x27;", text)
    assert copy != text
    found = loaded(copy.replace("</body>", f"<script>{script}</script></body>"), folder)
    return json.loads(html.unescape(re.search("<title>(.*?)</title>", found)[1]))
