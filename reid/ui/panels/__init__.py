"""What the result view shows of a query and one of its hits: a panel a file, in the order of `PANELS`.

A panel makes its one component in `build` and fills it in `show`, which returns None where there is nothing to say of
this pair: the panel is then hidden. A new way to explain a match is one file here and one line below.
"""

from __future__ import annotations

from typing import Any, Protocol

from gradio.components import Component

from reid.studio import Comparison
from reid.ui.panels.body import BodyPanel
from reid.ui.panels.pair import Pair
from reid.ui.panels.part_bars import PartBars
from reid.ui.panels.space import Space
from reid.ui.panels.whereabouts import Whereabouts


class Panel(Protocol):
    def build(self, place: str = "pw") -> Component:
        """Make the panel's component, inside the page that is being built; `place` begins its element's id."""

    def show(self, comparison: Comparison) -> Any | None:
        """The component's new value for this pair, or None to hide the panel."""


PANELS: tuple[Panel, ...] = (Pair(), PartBars(), Space(), Whereabouts(), BodyPanel())
