"""Reads what was trained elsewhere, once, and makes a bundle of it; nothing foreign is executed.

See :mod:`lorelm.bundle.importing.imported_model`.
"""
