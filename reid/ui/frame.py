"""What stands around the tabs: the header, the footer and the mark."""

from __future__ import annotations

from pathlib import Path

FAVICON = Path(__file__).with_name("mark.svg")

HEADER = f"""
<header class="pw-header">
  <span class="pw-mark" aria-hidden="true">{FAVICON.read_text(encoding="utf-8")}</span>
  <h1>Partwise</h1>
  <p>Find the same person or place again, and see which part matched.</p>
</header>
"""

FOOTER = """
<footer class="pw-footer">
  <p><b>Use it fairly.</b> A match is a lead for a human to check, never proof of who someone is. Search only pictures
  that you may use, tell the people in them where the law asks for it, and do not track anyone with it.</p>
  <p>Pictures stay on the machine that runs this page. Code: Apache-2.0; weights carry the terms shown beside each
  backend.</p>
</footer>
"""
