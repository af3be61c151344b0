"""The only on-disk format of a model: see :mod:`lorelm.bundle.bundle`."""

from lorelm.bundle.bundle import EMBEDDED_NAME, EMBEDDED_PATH, Bundle, save_bundle

__all__ = ["EMBEDDED_NAME", "EMBEDDED_PATH", "Bundle", "save_bundle"]
