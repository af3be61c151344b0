"""The texts of the pages in several languages: catalogues made by ``translations/update.py``.

A language is ``translations/de.po`` in the repository, compiled into ``de.mo`` here and into
``server/static/messages-de.js`` for the scripts of the pages. English is in the source.
"""

from lorelm.translations.message_catalogue import Catalogue, catalogue, gettext_noop, languages

__all__ = ["Catalogue", "catalogue", "gettext_noop", "languages"]
