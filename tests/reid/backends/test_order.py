"""The order of listing."""

import subprocess
import sys


def test_listing_does_not_depend_on_what_was_imported_first():
    code = "{} from reid import backends; print([card.name for card in backends.cards()])"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code.format(first).strip()], capture_output=True, text=True, check=True
        ).stdout
        for first in ("", "import reid.backends.retrieval, reid.backends.lite0;")
    ]
    assert runs[0] == runs[1]
    assert "resnet.partwise" in runs[0]
