"""How galleries and their pictures look on the page."""

from __future__ import annotations

from collections.abc import Sequence

from reid.datasets import Sample
from reid.errors import ImageError
from reid.galleries import GalleryInfo, Item
from reid.images import image_size
from reid.studio import Added, Studio
from reid.ui import markup
from reid.ui.markup import esc
from reid.ui.thumbnails import thumbnails

NOTHING = """
<div class="pw-empty"><h2>No gallery yet</h2>
<p>Name one and drop some pictures, or a zip of them, beside this text.</p></div>
"""


def galleries(studio: Studio, infos: Sequence[GalleryInfo], chosen: str | None) -> str:
    """The list to pick from, each with a few of its pictures."""
    rows = []
    for i, info in enumerate(infos):
        if info.problem:
            strip, size = "", info.problem
        else:
            shown = thumbnails(studio, info.name, studio.examples(info.name, 4), 96)
            strip, size = "".join(f'<img src="{uri}" alt="">' for uri in shown), _size(info)
        state = markup.attributes(data_pick=i, aria_pressed=str(info.name == chosen).lower())
        rows.append(
            f'<button type="button" class="pw-shelf"{state}><span class="pw-strip">{strip}</span>'
            f'<span class="pw-name">{esc(info.name)}</span><span class="pw-quiet">{esc(size)}</span></button>'
        )
    return f'<div class="pw-shelves" role="group" aria-label="Galleries">{"".join(rows)}</div>'


def about(info: GalleryInfo, own: bool) -> str:
    origin = "" if own else markup.chip("ships with Partwise, read only")
    return f'<div class="pw-head"><h2>{esc(info.name)} {origin}</h2>' + markup.facts(
        [("Pictures", f"{info.items:,}"), ("Identities", f"{info.identities:,}"), ("Cameras", f"{info.cameras:,}"),
         ("Indexed by", ", ".join(info.backends) or "nothing yet")]
    ) + "</div>"  # fmt: skip


def damaged(info: GalleryInfo) -> str:
    """What stands in the place of a gallery that cannot be opened."""
    return f'<div class="pw-head"><h2>{esc(info.name)}</h2></div>{markup.note(str(info.problem))}'


def items(
    studio: Studio, gallery: str, shown: Sequence[Item], picked: int | None, start: int, total: int, terms: str
) -> str:
    """One page of a gallery; `picked` is an item id."""
    if not shown:
        return markup.note("No picture has these words." if terms.strip() else "This gallery is empty.")
    cards = [
        markup.card(
            item.id,
            uri,
            [f'<span class="pw-name">{esc(item.name)}</span>', labels(item)],
            f"Picture {item.name}",
            pressed=item.id == picked,
        )
        for item, uri in zip(shown, thumbnails(studio, gallery, shown), strict=True)
    ]
    where = f"{start + 1:,} to {start + len(shown):,} of {markup.count(total, 'picture')}"
    return f'<p class="pw-quiet">{where}</p>' + markup.grid(cards, "Pictures", [(i.width, i.height) for i in shown])


def labels(item: Item) -> str:
    """Identity and camera, where they are known."""
    known = (("identity", item.identity), ("camera", item.camera))
    return "".join(markup.chip(value, title=f"{what} {value}") for what, value in known if value)


def item(studio: Studio, gallery: str, item: Item) -> str:
    """One picture and what is known of it."""
    (uri,) = thumbnails(studio, gallery, [item], 512)
    pairs = [("Identity", item.identity), ("Camera", item.camera), ("Size", f"{item.width} × {item.height} px")]
    known = markup.facts([(name, value) for name, value in pairs if value])
    text = f'<h3>{esc(item.name)}</h3>{known}<p class="pw-quiet">{esc(item.words)}</p>'
    return f'<div class="pw-item-picture"><img src="{uri}" alt="{esc(item.name)}"><div>{text}</div></div>'


def report(added: Added) -> str:
    """What became of an upload: the count, then every file left out and why."""
    text = markup.note(f"{markup.count(added.added, 'picture')} added to {added.gallery}.")
    if added.skipped:
        rows = "".join(f"<li>{esc(why)}</li>" for why in added.skipped)
        text += (
            f'<details class="pw-skipped" open><summary>{markup.count(len(added.skipped), "file was", "files were")} '
            f"left out</summary><ul>{rows}</ul></details>"
        )
    return text


def _size(info: GalleryInfo) -> str:
    size = markup.count(info.items, "picture")
    return f"{size}, {markup.count(info.identities, 'identity', 'identities')}" if info.identities else size


def examples(studio: Studio, gallery: str | None, invitation: str) -> str:
    """A gallery's examples to pick from."""
    shown = studio.examples(gallery)
    if not gallery or not shown:
        return ""
    buttons = "".join(
        f'<button type="button" data-pick="{i}" aria-label="Search with example {esc(one.name)}">'
        f'<img src="{uri}" alt=""></button>'
        for i, (one, uri) in enumerate(zip(shown, thumbnails(studio, gallery, shown, 96), strict=True))
    )
    style = f'style="--pw-aspect: {markup.middle_aspect(map(_shape, shown)):.2f}"'
    return (
        f'<div class="pw-examples" role="group" aria-label="Examples" {style}>'
        f"<span>{esc(invitation)}</span>{buttons}</div>"
    )


def _shape(example: Sample | Item) -> tuple[int, int]:
    """Width and height of an example, square where it cannot be read."""
    try:
        return image_size(example.path)
    except ImageError:
        return 1, 1
