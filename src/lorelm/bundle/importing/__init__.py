"""Import models that were trained elsewhere; nothing in their files is executed.

See :mod:`lorelm.bundle.importing.importer`.
"""
