"""Fonts of this machine, as fontconfig lists them: whether there are any, and any for a language."""

from __future__ import annotations

import ctypes
from typing import Final

_LIBRARY: Final = "libfontconfig.so.1"


class _FontSet(ctypes.Structure):
    """The beginning of fontconfig's `FcFontSet`: how many fonts it has."""

    _fields_ = (("count", ctypes.c_int),)


def has_font(language: str | None = None) -> bool:
    """Whether there is a font with all letters of a language (`ko`), or any. Raises OSError without fontconfig."""
    library = ctypes.CDLL(_LIBRARY)
    library.FcNameParse.restype = library.FcObjectSetCreate.restype = ctypes.c_void_p
    library.FcFontList.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    library.FcFontList.restype = ctypes.POINTER(_FontSet)
    library.FcPatternDestroy.argtypes = library.FcObjectSetDestroy.argtypes = (ctypes.c_void_p,)
    library.FcFontSetDestroy.argtypes = (ctypes.POINTER(_FontSet),)
    pattern, properties = (
        library.FcNameParse(f":lang={language}".encode() if language else b""),
        library.FcObjectSetCreate(),
    )
    found = library.FcFontList(None, pattern, properties)
    try:
        return bool(found) and found.contents.count > 0
    finally:
        library.FcPatternDestroy(pattern)
        library.FcObjectSetDestroy(properties)
        if found:
            library.FcFontSetDestroy(found)
