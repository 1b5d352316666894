"""The guide: its table is the registry's, its commands are ones the program knows, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest

from reid import backends
from reid.cli import parser

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python -m reid (.+)$", README, re.MULTILINE)


def test_the_table_is_the_registrys():
    assert backends.markdown_table() in README, "print it with: python -m reid backends --markdown"


def test_there_are_commands():
    assert len(COMMANDS) >= 4


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_known(command):
    parser().parse_args(shlex.split(command))


@pytest.mark.parametrize("command", [c for c in COMMANDS if "gallery/" in c])
def test_pictures_in_commands_are_there(command):
    for word in shlex.split(command):
        if word.startswith("gallery/"):
            assert (ROOT / word).exists(), word


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()


def test_front_matter_is_what_a_space_needs():
    front = README.split("---")[1]
    values = dict(line.split(": ", 1) for line in front.strip().splitlines())
    assert values["sdk"] == "gradio"
    assert (ROOT / values["app_file"]).exists()
    assert values["license"] == "apache-2.0"
    assert re.fullmatch(r"6\.\d+\.\d+", values["sdk_version"])
    assert values["python_version"].strip('"') in ("3.10", "3.11", "3.12")
    assert len(values["short_description"]) <= 60
