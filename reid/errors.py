"""Errors that a user can cause, each one sentence or two: what went wrong, why, and what to do."""


class PartwiseError(Exception):
    """Base of every error that is the input's fault, not the program's; the shell prints it and exits with 2."""


class ImageError(PartwiseError):
    """A picture that cannot be used; the text names the file and the cause."""


class UnknownNameError(PartwiseError):
    """A backend, gallery, part or layout that does not exist; the text lists those that do."""


class WeightsError(PartwiseError):
    """Weights that are missing, changed or of another network; the text says how to get the right ones."""


class GalleryError(PartwiseError):
    """A gallery that cannot be made, read or changed as asked."""


class DatasetError(PartwiseError):
    """A folder that does not hold the data set its layout promises."""
