"""Nothing that a user wrote becomes markup, and nothing becomes code in the page's templates."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from reid.ui import markup


class Tags(HTMLParser):
    """Collects the tags, attributes and text of a piece of markup."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.values: dict[str, str | None] = {}
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values.update(attrs)

    def handle_data(self, data):
        self.text += data


# A page's character references and newlines are read back as one thing; the rest must come back as it was.
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)


@given(texts)
def test_text_stays_text(text):
    parsed = Tags(markup.chip(text, title=text))
    assert parsed.tags == ["span"]
    assert parsed.text == text
    assert parsed.values["title"] == text


@given(texts, texts)
def test_a_card_says_what_it_is(label, line):
    parsed = Tags(markup.card(7, "data:,", [markup.esc(line)], label, pressed=True))
    assert parsed.tags == ["button", "span", "img", "span"]
    assert parsed.values["aria-label"] == label
    assert parsed.values["aria-pressed"] == "true"
    assert parsed.values["data-pick"] == "7"
    assert parsed.text == line


def test_templates_hold_no_text_of_users():
    # Gradio evaluates a template as JavaScript; text that is put into it, and not into the value, would be run.
    for component in (markup.picker("${alert(1)}"), markup.text("`${alert(1)}`")):
        assert component.html_template == "${value}"
        assert component.value in ("${alert(1)}", "`${alert(1)}`")


def test_attributes_leave_out_what_is_off():
    assert markup.attributes(disabled=True, hidden=False, title=None, aria_label='a "b"') == (
        ' disabled aria-label="a &quot;b&quot;"'
    )
    assert markup.attributes() == ""


def test_a_grid_takes_the_shape_of_its_pictures():
    assert "--pw-aspect: 0.50" in markup.grid([], "Pictures", [(64, 128), (64, 128), (300, 200)])
    assert "--pw-aspect: 1.40" in markup.grid([], "Pictures", [(4000, 100)])  # no wider than a card can show
    assert "--pw-aspect: 1.00" in markup.grid([], "Pictures", [])


def test_counts_read_well():
    assert [markup.count(n, "picture") for n in (0, 1, 1200)] == ["0 pictures", "1 picture", "1,200 pictures"]
    assert markup.count(2, "identity", "identities") == "2 identities"
