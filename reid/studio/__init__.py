"""The app's one object: galleries, backends and limits. The interface talks to this and to nothing below."""

from reid.studio.frames import Frame
from reid.studio.records import Added, Body, Comparison, Found, Limits, Progress
from reid.studio.studio import Studio

__all__ = ["Added", "Body", "Comparison", "Found", "Frame", "Limits", "Progress", "Studio"]
