"""Readers of data sets: folders by layout, evaluation protocols, label maps, words and zip archives."""

from reid.datasets.camvid import CAMVID_CLASSES, CAMVID_VOID, LabelledFrame, read_camvid
from reid.datasets.folders import LAYOUTS, OnSkip, detect_layout, read_folder, read_table
from reid.datasets.protocols import PROTOCOLS, Protocol, read_protocol
from reid.datasets.sample import DISTRACTOR, JUNK, Sample
from reid.datasets.words import read_words_csv
from reid.datasets.zips import read_zip

__all__ = [
    "CAMVID_CLASSES",
    "CAMVID_VOID",
    "DISTRACTOR",
    "JUNK",
    "LAYOUTS",
    "PROTOCOLS",
    "LabelledFrame",
    "OnSkip",
    "Protocol",
    "Sample",
    "detect_layout",
    "read_camvid",
    "read_folder",
    "read_protocol",
    "read_table",
    "read_words_csv",
    "read_zip",
]
