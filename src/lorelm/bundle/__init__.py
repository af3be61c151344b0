"""The only on-disk format of a model: see :mod:`lorelm.bundle.layout`."""

from lorelm.bundle.bundle import Bundle
from lorelm.bundle.layout import EMBEDDED_NAME, EMBEDDED_PATH
from lorelm.bundle.writer import BundleContents, save_bundle

__all__ = ["EMBEDDED_NAME", "EMBEDDED_PATH", "Bundle", "BundleContents", "save_bundle"]
