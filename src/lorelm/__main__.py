"""``python -m lorelm``: the same as the command ``lorelm``."""

from lorelm.cli.main import main

main()
